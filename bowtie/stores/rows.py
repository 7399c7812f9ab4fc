"""What lies in a store, row by row: events, ids, commits, snapshots, lines that were refused."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

__all__ = [
    "CommitRow",
    "DroppedLine",
    "IdRow",
    "ParkedLine",
    "Snapshot",
    "StateBatch",
    "StoredState",
]


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


class CommitRow(NamedTuple):
    """What dates and seals the events of one transaction: those up to ``last_position``."""

    last_position: int
    recorded_at: int
    seal: bytes | None = None


class Snapshot(NamedTuple):
    """What a stream folded to at a version, as whoever made it wrote it down.

    ``schema`` says by which rules: a snapshot of other rules is of no use.
    """

    version: int
    schema: str
    state: bytes


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


class DroppedLine(NamedTuple):
    """A parked line that someone dropped; ``note``, under the store's key, says who and why."""

    digest: bytes
    reason: str
    origin: str
    line: int
    dropped_at: int
    note: bytes
