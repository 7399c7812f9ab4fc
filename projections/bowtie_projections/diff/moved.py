"""Who moved between two answers: the members that a figure counts on one side alone."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from bowtie_projections.diff.figures import Cell
from bowtie_projections.diff.sides import Side

__all__ = ["Moved", "moved_members"]

#: A unit's key, and what members of one key are told apart by, such as the cycle.
Member = tuple[str, Any]


@dataclass(frozen=True, slots=True)
class Moved:
    """A member of a cell, and the columns that count it on each side.

    Args:
        cell: what names the row.
        member: whom.
        before, after: the columns; none where the member is not in the cell.
        amounts: before and after, what the member adds to each column that is a sum.
    """

    cell: Cell
    member: Member
    before: tuple[str, ...]
    after: tuple[str, ...]
    amounts: tuple[Mapping[str, Any], Mapping[str, Any]] = ({}, {})

    @property
    def changed(self) -> set[str]:
        """The columns that count the member on one side alone, or with another amount."""
        before, after = self.amounts
        other = {name for name in {*before} & {*after} if before[name] != after[name]}
        return ({*self.before} ^ {*self.after}) | other


@dataclass(slots=True)
class _Counted:
    """By which columns a member is counted on one side, and with what amounts."""

    code: int = 0
    amounts: dict[str, Any] = field(default_factory=dict)

    def add(self, code: int, amounts: Mapping[str, Any]) -> None:
        """Count the member by the columns of a code, a bit each, with what it adds to each."""
        self.code |= code
        for name, amount in amounts.items():
            self.amounts[name] = self.amounts.get(name, 0) + amount


def moved_members(sides: tuple[Side, Side]) -> list[Moved]:
    """Who is counted otherwise, and in which cell, in order.

    The members of either side are told by one statement each; who is the same on both is left out.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    tables = []
    for number, side in enumerate(sides):
        rows = side.roster.fetch()
        tables.append(rows.append_column("side", pa.array([number] * rows.num_rows, pa.int8())))
    both = pa.concat_tables(tables, promote_options="permissive")
    own = [name for name in both.column_names if name != "side"]
    # a row of one side alone is in one group with no other
    grouped = both.group_by(own).aggregate([("side", "count"), ("side", "max")])
    alone = grouped.filter(pc.field("side_count") == 1)
    told: dict[tuple[Cell, Member], list[_Counted]] = defaultdict(lambda: [_Counted(), _Counted()])
    for row in alone.to_pylist():
        number = row["side_max"]
        roster = sides[number].roster
        place = (roster.cell(row), (row["customer"], row["apart"]))
        told[place][number].add(row["code"], roster.amounts(row))
    found = []
    for (cell, member), counted in told.items():
        before, after = (
            side.roster.counted_by(one.code) for side, one in zip(sides, counted, strict=True)
        )
        amounts = (counted[0].amounts, counted[1].amounts)
        found.append(Moved(cell, member, before, after, amounts))
    return sorted(found, key=_place)


def _place(moved: Moved) -> tuple[Any, ...]:
    customer, apart = moved.member
    values = [(value is not None, "" if value is None else value) for value in moved.cell]
    return customer, apart or 0, values
