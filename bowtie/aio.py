"""The engine for asyncio applications: the same calls, awaited; the work is done in threads.

>>> import asyncio
>>> from bowtie import Onboarded
>>> from bowtie.aio import AsyncBowtie
>>> async def main():
...     async with await AsyncBowtie.open("memory://") as engine:
...         (recorded,) = await engine.record("acme", Onboarded())
...         journey = await engine.journey("acme")
...         following = [event.type async for event in engine.subscribe(until=recorded.position)]
...         return journey.stage, following
>>> asyncio.run(main())
('utilization', ['onboarded'])

A call that is cancelled ends when its thread has: nothing goes on behind the caller's back. Whether
a cancelled ``record`` was in time shows when it is called again under the same id.
"""

from __future__ import annotations

import asyncio
import contextvars
import functools
import os
import threading
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from itertools import islice
from typing import Any, BinaryIO, ParamSpec, Self, TypeVar

from bowtie.engine import Bowtie
from bowtie.envelope import Recorded
from bowtie.events import Event
from bowtie.ingest import IngestReport
from bowtie.records import JourneyRecord

__all__ = ["AsyncBowtie"]

_THREADS = 8
#: Events handed over at a time.
_AT_ONCE = 500
#: Seconds for which a wait can't be interrupted.
_SLICE = 0.25

P = ParamSpec("P")
T = TypeVar("T")


class _Cancelled(Exception):
    """Ends an ingest between two batches."""


class AsyncBowtie:
    """An open store, for coroutines; made by :meth:`open`, or around an engine at hand.

    It is bound to no event loop, and starts its threads with the first call.
    """

    def __init__(self, engine: Bowtie) -> None:
        #: the engine itself, for what is not wrapped here (in a thread of your own)
        self.engine = engine
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="bowtie-aio")

    def __repr__(self) -> str:
        return f"<AsyncBowtie {self.engine.store.url}>"

    @classmethod
    async def open(cls, url: str, *, create: bool = True) -> Self:
        """The store at a URL; see :meth:`bowtie.Bowtie.open`."""
        return cls(await asyncio.to_thread(Bowtie.open, url, create=create))

    async def close(self) -> None:
        """Wait for what is being done, and release the store."""
        await self._call(self.engine.close)
        self._threads.shutdown(wait=False)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def record(self, customer: str, *events: Event, **how: Any) -> list[Recorded]:
        """Append events to one stream; takes what :meth:`bowtie.Bowtie.record` takes."""
        return await self._call(self.engine.record, customer, *events, **how)

    async def ingest(self, log: str | os.PathLike[str] | BinaryIO, **how: Any) -> IngestReport:
        """Append an event log; takes what :meth:`bowtie.Bowtie.ingest` takes.

        Cancelled, it ends after the batch at hand; sent again, it goes on from there.
        """
        cancelled, told = threading.Event(), how.pop("progress", None)

        def progress(report: IngestReport) -> None:
            if cancelled.is_set():
                raise _Cancelled
            if told is not None:
                told(report)

        ingest = functools.partial(self.engine.ingest, log, progress=progress, **how)
        return await _finished(self._threads, ingest, cancelled)

    async def journey(self, customer: str, **how: Any) -> JourneyRecord:
        """What is known of one customer; takes what :meth:`bowtie.Bowtie.journey` takes."""
        return await self._call(self.engine.journey, customer, **how)

    async def events(
        self, customer: str | None = None, *, after: int = 0, upto: int | None = None
    ) -> AsyncIterator[Recorded]:
        """The events of the log, or of one customer; see :meth:`bowtie.Bowtie.events`."""
        events = self.engine.events(customer, after=after, upto=upto)
        while some := await self._call(list, islice(events, _AT_ONCE)):
            for event in some:
                yield event

    async def subscribe(
        self,
        after: int = 0,
        *,
        until: int | None = None,
        poll: float = _SLICE,
        patience: float = 300.0,
    ) -> AsyncIterator[Recorded]:
        """Each event after a position as it is recorded; see :meth:`bowtie.Bowtie.subscribe`.

        To stop, leave the loop or cancel the task: it ends within ``poll`` seconds.
        """
        stop = threading.Event()
        batches = self.engine.follow(after, until, stop, poll, patience)
        more = functools.partial(next, batches, None)
        with ThreadPoolExecutor(1, "bowtie-subscribe") as thread:
            while (batch := await _finished(thread, more, stop)) is not None:
                for event in batch:
                    yield event

    async def wait_until(self, position: int, timeout: float = 30.0) -> None:  # noqa: ASYNC109
        """Wait until the log has reached a position; see :meth:`bowtie.Bowtie.wait_until`."""
        end = asyncio.get_running_loop().time() + timeout
        while (left := end - asyncio.get_running_loop().time()) > 0:
            changed = self.engine.store.changed
            if await self._call(changed, position - 1, min(left, _SLICE)):
                return
        await self._call(self.engine.wait_until, position, 0)

    async def _call(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        return await _finished(self._threads, functools.partial(function, *args, **kwargs))


async def _finished(
    threads: ThreadPoolExecutor, function: Callable[[], T], cancelled: threading.Event | None = None
) -> T:
    """What a function returns in a thread; cancelled, the thread is told, and waited for."""
    call = functools.partial(contextvars.copy_context().run, function)
    running = asyncio.get_running_loop().run_in_executor(threads, call)
    try:
        return await asyncio.shield(running)
    except asyncio.CancelledError:
        if cancelled is not None:
            cancelled.set()
        while not running.done():
            with suppress(asyncio.CancelledError):
                await asyncio.wait([running])
        if not running.cancelled():
            running.exception()  # looked at, or the loop would complain that nobody did
        raise
