"""How a batch of facts is to be taken, and what became of it."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field

from bowtie.erasing import Erased
from bowtie.errors import EventRejected, RuleViolation
from bowtie.expecting import ANY, Expected

__all__ = ["Mode", "Outcome", "Rejection"]


@dataclass(frozen=True, slots=True)
class Mode:
    """How to take facts: as a command, with corrections, or as an export put back.

    A command may expect something of its stream; ``new_ids`` says that its ids were made for it, so
    that none of them can be taken; ``undated`` that it names no time, so that what was recorded
    under its id before keeps the time of then.
    """

    command: bool = False
    correct: bool = False
    restore: bool = False
    expected: Expected = ANY
    new_ids: bool = False
    undated: bool = False


@dataclass(slots=True)
class Rejection:
    """A fact that can't be taken; ``index`` is its place in the batch."""

    index: int
    error: EventRejected


@dataclass(slots=True)
class Outcome:
    """What became of a batch.

    Attributes:
        positions: where each fact taken (or its duplicate) is.
        versions: of a command's facts in their streams; 0 for a duplicate.
        recorded_at: when those that were appended were recorded, in microseconds.
        ids: the ids of those that were appended.
        erased: what was taken away with customers that were forgotten.
        scrubbed: whether no file holds it any more.
    """

    positions: list[int] = field(default_factory=list)
    versions: list[int] = field(default_factory=list)
    recorded_at: int = 0
    ids: Collection[bytes] = ()
    appended: int = 0
    duplicates: int = 0
    corrected: int = 0
    rejected: list[Rejection] = field(default_factory=list)
    out_of_sequence: list[RuleViolation] = field(default_factory=list)
    erased: Erased | None = None
    scrubbed: bool = True
