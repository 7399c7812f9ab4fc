"""Following the log: the read tables are caught up again and again, until one says stop.

A round is a replay as any other, so nothing is read, settled or swapped in another way. Between two
rounds others get at the tables, and commits gather: many small ones cost one round. A server that
goes away is waited for.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from bowtie.errors import StoreBusy, TablesError, TablesHeld
from bowtie_projections.opening import tables_of
from bowtie_projections.replay import ReplayReport, replay
from bowtie_projections.source import Source

if TYPE_CHECKING:
    from bowtie import Bowtie
    from bowtie.stages import Definition
    from bowtie_projections.databases.contract import Tables

__all__ = ["POLL", "FollowReport", "follow"]

#: How far apart rounds are while events keep coming, in seconds.
POLL = 0.25
#: A round begins sooner where so many events wait for it.
MANY = 20_000
#: But never sooner: readers of a file get in between two rounds.
_PAUSE = 0.1
#: How long one look at the log may take before it is looked whether to stop, in seconds.
_LOOK = 0.25
#: How long a round waits for readers that hold the tables; the next one tries again.
_WAIT = 2.0
#: How long to wait before trying to reach a server again: first, and at most.
_FIRST_RETRY, _LAST_RETRY = 0.1, 10.0


class Followed(Source, Protocol):
    """A log that grows."""

    def changed(self, after: int, timeout: float) -> bool:
        """Wait until there are events after a position; whether there are."""


@dataclass(frozen=True, slots=True)
class FollowReport:
    """What was done until it was stopped, and where the tables stand now.

    Attributes:
        rounds: how many replays brought something.
        events, skipped: how many were read and could not be processed, in all rounds completed.
        seconds: how long it took, with all waiting.
        position: where the tables stand.
    """

    rounds: int
    events: int
    position: int
    seconds: float
    skipped: int


def follow(
    engine: Bowtie,
    url: str | Path | None = None,
    *,
    stop: threading.Event,
    poll: float = POLL,
    strict: bool = False,
    wait: float | None = None,
    on_round: Callable[[ReplayReport], None] | None = None,
    on_trouble: Callable[[str], None] | None = None,
) -> FollowReport:
    """Keep the read tables of a store up to date until ``stop`` is set.

    Args:
        engine: the store, opened.
        url: where the tables are; by default beside the store, as for :meth:`Views.open`.
        stop: set it, from another thread or a signal's handler, to end after the round at work.
        poll: how far apart rounds are, in seconds, while events keep coming.
        strict: end at an event that can't be processed.
        wait: how long a round waits for readers that hold the tables, at most 2 seconds; the next
            one tries again.
        on_round: called with the report of each round that brought something, and of the first.
        on_trouble: told once when the tables or the server can't be reached, and once when they
            can again.

    Raises:
        EventSkipped, TablesForeign, TablesError: as :func:`bowtie_projections.replay.replay`.
        StoreError: the store can't be read, and waiting would not help.
    """
    following = _Following(
        engine.store,
        tables_of(url, engine, wait),
        lambda: engine.definition,
        stop=stop,
        poll=poll,
        strict=strict,
        on_round=on_round,
        on_trouble=on_trouble,
    )
    return following.run()


class _Stopped(Exception):
    """Between two batches it was found that there shall be no more."""


class _Following:
    def __init__(
        self,
        source: Followed,
        tables: Tables,
        definition: Callable[[], Definition],
        *,
        stop: threading.Event,
        poll: float,
        strict: bool,
        on_round: Callable[[ReplayReport], None] | None,
        on_trouble: Callable[[str], None] | None,
    ) -> None:
        self._source, self._tables, self._definition = source, tables, definition
        self._stop, self._poll, self._strict = stop, poll, strict
        self._on_round, self._on_trouble = on_round, on_trouble
        self._rounds = self._events = self._skipped = 0
        self._position = -1
        self._trouble = ""
        self._retry = _FIRST_RETRY

    def run(self) -> FollowReport:
        """Go on until it is time to stop."""
        started = time.perf_counter()
        while not self._stop.is_set():
            with self._patiently():
                self._round()
                self._wait()
        return FollowReport(
            rounds=self._rounds,
            events=self._events,
            position=max(self._position, 0),
            seconds=time.perf_counter() - started,
            skipped=self._skipped,
        )

    def _round(self) -> None:
        """Bring the tables to the head of the log, unless it is time to stop before that."""
        first = self._position < 0
        try:
            report = replay(
                self._source,
                self._tables,
                self._definition(),
                wait=min(self._tables.wait, _WAIT),
                progress=self._stop_between,
                strict=self._strict,
            )
        except _Stopped:
            standing = self._tables.standing()
            self._position = 0 if standing is None else standing.position
            return
        if report.note:  # they are of another version, and will be tomorrow
            raise TablesError(report.note)
        self._position = report.position
        self._is_well()
        self._events += report.events
        self._skipped += report.skipped
        self._rounds += report.events > 0
        if self._on_round is not None and (first or report.events):
            self._on_round(report)

    def _stop_between(self, done: int, todo: int) -> None:
        if self._stop.is_set() and done < todo:
            raise _Stopped

    def _wait(self) -> None:
        """Until there is something to do, and long enough for more of it to gather."""
        ended = time.monotonic()
        while not self._source.changed(self._position, _LOOK):
            if self._stop.is_set():
                return
            self._is_well()
        soonest, latest = ended + _PAUSE, ended + max(self._poll, _PAUSE)
        while (now := time.monotonic()) < latest and not self._stop.is_set():
            if now >= soonest and self._source.head() - self._position >= MANY:
                return
            self._stop.wait(min(latest - now, _PAUSE))

    @contextmanager
    def _patiently(self) -> Iterator[None]:
        """Go on after what passes: readers of the tables, a busy store, a server that is away."""
        try:
            yield
        except (TablesHeld, StoreBusy, ConnectionError) as error:
            if self._position < 0 and isinstance(error, ConnectionError):
                raise  # it never was there: it may be the wrong name
            self._tell(f"{error}; trying again")
            self._stop.wait(self._retry)
            self._retry = min(self._retry * 2, _LAST_RETRY)

    def _tell(self, trouble: str) -> None:
        """Tell of trouble once, until it is over."""
        if not self._trouble and self._on_trouble is not None:
            self._on_trouble(trouble)
        self._trouble = self._trouble or trouble

    def _is_well(self) -> None:
        """What was in the way is not any more."""
        if self._trouble and self._on_trouble is not None:
            self._on_trouble(f"going on from position {max(self._position, 0):,}")
        self._trouble, self._retry = "", _FIRST_RETRY
