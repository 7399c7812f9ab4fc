"""What a mapping would make of a file's first rows, without recording anything."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from itertools import islice
from typing import Any

from bowtie.errors import EventRejected
from bowtie.logs.mapping import Mapping, Unmapped, Wire
from bowtie.logs.reading import LogFile
from bowtie.logs.rows import BadRow, Row

__all__ = ["DryRow", "DryRun", "Parked", "dry_run"]


@dataclass(frozen=True, slots=True)
class Parked:
    """An event that would be parked, and why; None where none could be made."""

    reason: str
    problem: str
    event: Wire | None = None


@dataclass(slots=True)
class DryRow:
    """One row: the events it becomes, and those that would be parked (reason and problem)."""

    line: int
    row: dict[str, Any] | str
    events: list[Wire] = field(default_factory=list)
    parked: list[Parked] = field(default_factory=list)


@dataclass(slots=True)
class DryRun:
    """What the first rows become; ``unused`` counts rows to which no event applies."""

    mapping: str
    source: str
    file: str
    rows: list[DryRow]
    events: int = 0
    parked: int = 0
    unused: int = 0
    unchanged: int = 0

    def to_dict(self) -> dict[str, Any]:
        """As plain values, for JSON."""
        return asdict(self)


def dry_run(
    mapping: Mapping,
    log: LogFile,
    rows: int = 10,
    validate: Callable[[Wire], object] | None = None,
) -> DryRun:
    """Map the first rows of a file, and say which events would be parked.

    Args:
        rows: how many.
        validate: raises :class:`~bowtie.errors.EventRejected` for an event that would be parked;
            unless said, the check that all events pass on their way in.

    Raises:
        FileError: a column is missing, or the file is damaged within those rows.
    """
    check = validate
    if check is None:
        from bowtie.reader import Reader

        check = Reader().wire
    mapper = mapping.begin(log)
    result = DryRun(f"{mapping.name}/{mapping.version}", mapping.source, log.name, [])
    for row, made in islice(mapper.over(log), rows):
        result.rows.append(_dry_row(row, made, check))
    result.events = sum(len(row.events) for row in result.rows)
    result.parked = sum(len(row.parked) for row in result.rows)
    result.unused, result.unchanged = mapper.unused, mapper.unchanged
    return result


def _dry_row(
    row: Row | BadRow, made: list[Wire | Unmapped], check: Callable[[Wire], object]
) -> DryRow:
    values = row.values if isinstance(row, Row) else row.raw.decode("utf-8", "replace")
    result = DryRow(row.line, values)
    for event in made:
        if isinstance(event, Unmapped):
            result.parked.append(Parked(event.reason, event.problem))
            continue
        try:
            check(event)
        except EventRejected as error:
            result.parked.append(Parked(error.reason, error.problem, event))
        else:
            result.events.append(event)
    return result
