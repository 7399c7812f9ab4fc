"""The figures of two answers that differ, row by row."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bowtie_projections.diff.sides import Side

__all__ = ["Cell", "Figure", "figures_of", "keys_of", "verdicts_of"]

#: The values that name a row, in the order of its columns.
Cell = tuple[Any, ...]
_Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Figure:
    """A figure that changed.

    Args:
        cell: what names its row.
        column: where it stands in the row.
        before, after: what it was and is.
        counts: whether it is a number of members.
    """

    cell: Cell
    column: str
    before: Any
    after: Any
    counts: bool

    @property
    def change(self) -> float | None:
        """By how much; None where one of the two is no number."""
        if self.before is None or self.after is None:
            return None
        return float(self.after - self.before)


def keys_of(sides: tuple[Side, Side]) -> list[str]:
    """The columns that name a row."""
    roster = sides[1].roster
    return [*roster.named] or sides[1].answer.columns[: len(roster.keys)]


def figures_of(sides: tuple[Side, Side], keys: Sequence[str]) -> Iterator[Figure]:
    """The figures that differ, in the order of the answer; rows that are gone stand last."""
    import pyarrow as pa

    rows = _rows(sides, keys)
    fields = [
        field
        for field in sides[1].answer.to_arrow().schema
        if field.name not in keys
        and (pa.types.is_integer(field.type) or pa.types.is_floating(field.type)
             or pa.types.is_decimal(field.type))
    ]  # fmt: skip
    counts = set(sides[1].roster.counts)
    for cell in {**rows[1], **rows[0]}:
        both = rows[0].get(cell), rows[1].get(cell)
        for name in (field.name for field in fields):
            found = [None if row is None else row.get(name) for row in both]
            if name in counts and None in both:
                place = both.index(None)
                found[place] = _nobody(sides[place], name, found[1 - place])
            if found[0] != found[1]:
                yield Figure(cell, name, found[0], found[1], counts=name in counts)


def verdicts_of(sides: tuple[Side, Side], keys: Sequence[str]) -> Iterator[tuple[Cell, str, str]]:
    """The rows, if rows have a verdict, of which it is another one: before and after."""
    rows = _rows(sides, keys)
    for cell in {**rows[1], **rows[0]}:
        before, after = ((row.get(cell) or {}).get("verdict") for row in rows)
        if before != after:
            yield cell, str(before or "not there"), str(after or "not there")


def _rows(sides: tuple[Side, Side], keys: Sequence[str]) -> list[dict[Cell, _Row]]:
    """Of each side the rows by what names them."""
    return [{tuple(row[key] for key in keys): row for row in side.answer.rows()} for side in sides]


def _nobody(side: Side, column: str, other: int | None) -> int | None:
    """How many a cell counts that is not there: none, unless that side can't tell of anybody."""
    values = side.answer.to_arrow().column(column)
    untold = values.null_count == len(values)
    if not len(values):
        sees_losses = side.definition.loss == "events" or side.asked.get("lost_after") is not None
        untold = column == "lost" and not sees_losses
    return None if other is None or untold else 0
