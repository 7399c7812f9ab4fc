"""What every store gives, whatever database it lies in.

A store keeps states (see :mod:`bowtie.codec`) in streams, in one total order, and beside them the
tables that hold across streams: ids, claims, keys, parked lines. It knows nothing of journeys.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, Protocol

from bowtie.sealing import StoreKeys

__all__ = ["IdRow", "ParkedLine", "StateBatch", "Store", "StoredState", "Writing"]


@dataclass(frozen=True, slots=True)
class StateBatch:
    """A run of events, column by column, for readers that never look at one event.

    Attributes:
        positions: ascending; a range where there are no gaps.
        topics: the type of each event, each newline-ended.
        states: the state of each event, one line each, in the same order.
        recorded: (last position, recorded_at in microseconds), ascending, covering the batch;
            None where the time of recording isn't known (a log file read without a store).
    """

    positions: Sequence[int]
    topics: bytes
    states: bytes
    recorded: list[tuple[int, int | None]]


class StoredState(NamedTuple):
    """One event as it lies in the store."""

    position: int
    stream: str
    version: int
    topic: str
    state: bytes
    recorded_at: int | None


class IdRow(NamedTuple):
    """Where an event of a known (source, id) is, and the hash of what it says."""

    position: int
    content: bytes | None


class ParkedLine(NamedTuple):
    """A line that was refused; ``sealed`` is the line under the store's key."""

    parked_id: int
    digest: bytes
    reason: str
    problem: str
    origin: str
    line: int
    parked_at: int
    subject: str | None
    sealed: bytes


class Writing(Protocol):
    """One transaction under the writer's lock. What is read here can't change before the commit."""

    #: the newest position, this transaction's events included
    head: int
    #: this store's clock, one value a transaction, never falling
    recorded_at: int
    #: the newest recorded_at before this transaction
    last_recorded_at: int

    def versions(self, streams: Sequence[str]) -> dict[str, int]:
        """The newest version of each stream that exists."""

    def ids(self, hashes: Sequence[bytes]) -> dict[bytes, IdRow]:
        """Those of the ids that are taken."""

    def state_at(self, position: int) -> StoredState:
        """The event at a position that is known to exist."""

    def streams(self, streams: Sequence[str], topics: Sequence[str]) -> list[StoredState]:
        """The events of some topics in some streams, each stream's in the order of versions."""

    def insert_events(self, rows: Sequence[tuple[str, int, str, bytes]]) -> None:
        """Append (stream, version, topic, state) rows; positions follow the head without gaps."""

    def insert_ids(self, rows: Mapping[bytes, tuple[int, bytes]]) -> None:
        """Take ids: position and content by hash; an integrity error where one is taken."""

    def insert_commits(self, rows: Sequence[tuple[int, int]]) -> None:
        """Date events: (last position, recorded_at) rows."""

    def claim(self, alias: str) -> str | None:
        """The stream that an alias (its hash) belongs to."""

    def set_claim(self, alias: str, stream: str | None) -> None:
        """Give an alias to a stream, or to none."""

    def keys(self, streams: Sequence[str]) -> dict[str, bytes]:
        """The wrapped keys of those streams that have one."""

    def insert_keys(self, rows: Sequence[tuple[str, bytes]]) -> None:
        """Keep streams' wrapped keys."""

    def park(self, rows: Sequence[tuple[object, ...]]) -> None:
        """Keep refused lines; one that is parked already stays as it is."""

    def unpark(self, parked_id: int) -> None:
        """Drop a parked line that has been recorded."""

    def meta(self, name: str) -> bytes | str | None:
        """What was noted under a name."""

    def set_meta(self, name: str, value: bytes | str | None) -> None:
        """Note something about the store; None takes it away."""


class Store(Protocol):
    """A store of states."""

    @property
    def url(self) -> str:
        """How it was named."""

    @property
    def path(self) -> Path | None:
        """Its file, where it is one."""

    @property
    def store_id(self) -> str:
        """Random, from when it was made."""

    @property
    def master_key(self) -> bytes:
        """The key that wraps the others."""

    @property
    def secrets(self) -> StoreKeys:
        """The keys derived from the store's own key."""

    def close(self) -> None:
        """Release it."""

    def head(self) -> int:
        """The newest position; 0 when the store is empty."""

    def count(self, upto: int) -> int:
        """How many events there are through a position."""

    def hash_at(self, position: int) -> str:
        """A hash of the event at a position, to recognise it by; "" where there is none."""

    def meta(self) -> Mapping[str, bytes | str]:
        """What the store knows of itself."""

    def writing(self) -> AbstractContextManager[Writing]:
        """A transaction under the writer's lock."""

    def batches(self, after: int, upto: int, size: int) -> Iterator[StateBatch]:
        """The events of positions (after, upto] in runs of at most ``size``."""

    def states(self, after: int = 0, upto: int | None = None) -> Iterator[StoredState]:
        """Each event of positions (after, upto], in order."""

    def state_at(self, position: int) -> StoredState:
        """The event at a position that is known to exist."""

    def stream(self, stream: str) -> list[StoredState]:
        """All events of a stream, in the order of its versions."""

    def position_recorded_by(self, micros: int) -> int:
        """The last position recorded at or before a moment; 0 when none was."""

    def keys(self, streams: Iterable[str] | None = None) -> dict[str, bytes]:
        """The wrapped keys of the streams named, or of all."""

    def parked(self) -> Iterator[ParkedLine]:
        """The parked lines, oldest first."""

    def parked_counts(self) -> dict[str, int]:
        """How many lines are parked, by reason."""
