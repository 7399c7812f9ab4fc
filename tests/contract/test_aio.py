"""The engine awaited, over every store."""

from __future__ import annotations

import asyncio
import gc
import subprocess
import sys
import threading
import time
from collections.abc import Coroutine
from io import BytesIO
from typing import Any

import pytest

from bowtie import ANY, Bowtie, Touched
from bowtie.aio import AsyncBowtie
from bowtie.errors import NotReached, StreamConflict
from tests.logs import log, wire

TOUCH = Touched(channel="web", direction="inbound")


def run(main: Coroutine[Any, Any, Any]) -> Any:
    """What a coroutine returns; it leaves no thread and no warning behind."""
    try:
        return asyncio.run(main)
    finally:
        gc.collect()


def test_each_call_gives_what_the_engine_gives(engine: Bowtie) -> None:
    """And errors come through as they are."""

    async def main() -> None:
        aio = AsyncBowtie(engine)
        (event,) = await aio.record("acme", TOUCH, expected=0)
        report = await aio.ingest(BytesIO(log(*(wire(str(n)) for n in range(700)))))
        assert (event.position, report.appended) == (1, 700)
        assert (await aio.journey("acme")).version == engine.journey("acme").version
        assert [one async for one in aio.events()] == list(engine.events())
        assert [one async for one in aio.events("acme", after=1)] == list(
            engine.events("acme", after=1)
        )
        with pytest.raises(StreamConflict):
            await aio.record("acme", TOUCH, expected=0)

    run(main())


def test_a_subscription_follows_while_others_record(engine: Bowtie) -> None:
    """More of them than there are threads for calls."""

    async def follow(aio: AsyncBowtie) -> list[int]:
        return [event.position async for event in aio.subscribe(until=20)]

    async def main() -> None:
        aio = AsyncBowtie(engine)
        following = [asyncio.create_task(follow(aio)) for _ in range(12)]
        await asyncio.gather(*(aio.record(f"c{n}", TOUCH) for n in range(20)))
        for seen in await asyncio.wait_for(asyncio.gather(*following), 60):
            assert seen == list(range(1, 21))

    run(main())


def test_a_subscription_ends_when_it_is_cancelled_or_left(engine: Bowtie) -> None:
    """Soon, and with its thread."""
    engine.record("acme", TOUCH, TOUCH)

    async def main() -> None:
        aio = AsyncBowtie(engine)
        both = asyncio.Event()

        async def follow() -> None:
            async for event in aio.subscribe(poll=0.05):
                if event.position == 2:
                    both.set()

        task = asyncio.create_task(follow())
        await both.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asyncio.wait_for(task, 5)
        async for event in aio.subscribe():
            assert event.position == 1
            break

    run(main())
    assert not [one for one in threading.enumerate() if "subscribe" in one.name]


def test_a_cancelled_record_has_ended_when_it_returns(engine: Bowtie, monkeypatch) -> None:
    """It is recorded or not, and that does not change afterwards."""
    started, record = threading.Event(), engine.record

    def slow(*args: Any, **how: Any) -> Any:
        started.set()
        time.sleep(0.2)
        return record(*args, **how)

    monkeypatch.setattr(engine, "record", slow)

    async def main() -> None:
        task = asyncio.create_task(AsyncBowtie(engine).record("acme", TOUCH))
        await asyncio.to_thread(started.wait)
        task.cancel()
        await asyncio.sleep(0.01)
        task.cancel()  # somebody is impatient
        with pytest.raises(asyncio.CancelledError):
            await task
        assert engine.store.head() == 1

    run(main())


def test_a_cancelled_ingest_ends_after_its_batch(engine: Bowtie) -> None:
    """What it took in stays, and it goes on from there."""
    lines = log(*(wire(str(n)) for n in range(300)))

    async def main() -> None:
        aio, first = AsyncBowtie(engine), asyncio.Event()
        loop = asyncio.get_running_loop()

        def told(_report: Any) -> None:
            loop.call_soon_threadsafe(first.set)
            time.sleep(0.1)

        task = asyncio.create_task(aio.ingest(BytesIO(lines), progress=told))
        await first.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        head = engine.store.head()
        assert head
        await asyncio.sleep(0.1)
        assert engine.store.head() == head
        assert (await aio.ingest(BytesIO(lines))).duplicates == head

    run(main())


def test_waiting_for_a_position(engine: Bowtie) -> None:
    """Leaves the loop free, and ends in time."""

    async def main() -> None:
        aio = AsyncBowtie(engine)
        waiting = asyncio.create_task(aio.wait_until(1, timeout=30))
        await aio.record("acme", TOUCH)
        await waiting
        with pytest.raises(NotReached):
            await aio.wait_until(9, timeout=0.1)
        endless = asyncio.create_task(aio.wait_until(9, timeout=600))
        await asyncio.sleep(0.05)
        endless.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asyncio.wait_for(endless, 5)

    run(main())


def test_it_opens_and_closes(tmp_path) -> None:
    """And serves one loop after another."""

    async def main() -> int:
        async with await AsyncBowtie.open(f"sqlite:///{tmp_path / 'a.db'}") as aio:
            await aio.record("acme", TOUCH, expected=ANY)
            return aio.engine.store.head()

    assert [run(main()), run(main())] == [1, 2]
    assert not [one for one in threading.enumerate() if one.name.startswith("bowtie-aio")]


def test_the_engine_alone_loads_no_asyncio() -> None:
    """An application that has no loop pays nothing for this."""
    script = "import bowtie, sys; print('asyncio' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "False"
