"""Who moved between two answers: the members that a figure counts on one side alone."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from bowtie.errors import UsageError
from bowtie_projections.diff.figures import Cell, Figure
from bowtie_projections.diff.sides import Side
from bowtie_projections.explaining import Explained
from bowtie_projections.views.funnel.memberships import memberships

__all__ = ["Moved", "moved_members"]

#: A unit's key, and its cycle where cycles are told apart.
Member = tuple[str, int | None]


@dataclass(frozen=True, slots=True)
class Moved:
    """A member of a cell, and the columns that count it on each side.

    Args:
        cell: what names the row.
        member: whom.
        before, after: the columns; none where the member is not in the cell.
    """

    cell: Cell
    member: Member
    before: tuple[str, ...]
    after: tuple[str, ...]


def moved_members(
    view: str,
    explained: Explained,
    sides: tuple[Side, Side],
    keys: Sequence[str],
    figures: Sequence[Figure],
) -> list[Moved]:
    """Who is counted otherwise, and in which cell, in order.

    Args:
        view: the name of the view.
        explained: the view, with who stands behind its figures.
        sides: where it was asked.
        keys: the columns that name a cell.
        figures: those that changed.
    """
    if not figures:
        return []
    if view == "funnel":
        return sorted(_by_statement(sides, keys), key=_place)
    asked = [figure for figure in figures if figure.counts]
    return sorted(_by_figure(explained, sides, asked), key=_place)


def _place(moved: Moved) -> tuple[Any, ...]:
    customer, cycle = moved.member
    return customer, cycle or 0, [(value is not None, value or "") for value in moved.cell]


def _by_statement(sides: tuple[Side, Side], keys: Sequence[str]) -> Iterable[Moved]:
    """All members of either side at once, those left out that are the same on both."""
    import pyarrow as pa
    import pyarrow.compute as pc

    found = [memberships(side.reader, side.cut, side.definition, **side.asked) for side in sides]
    tables = [
        one.table.append_column("side", pa.array([number] * one.table.num_rows, pa.int8()))
        for number, one in enumerate(found)
    ]
    both = pa.concat_tables(tables)
    left_out = {"side"} if sides[0].by_cycle else {"side", "cycle"}
    own = [name for name in both.column_names if name not in left_out]
    # a row of one side alone is in one group with no other
    grouped = both.group_by(own).aggregate([("side", "count"), ("side", "max")])
    alone = grouped.filter(pc.field("side_count") == 1)
    told: dict[tuple[Cell, Member], list[tuple[str, ...]]] = defaultdict(lambda: [(), ()])
    for row in alone.to_pylist():
        number = row["side_max"]
        mine = {name: row[name] for name in own}
        cell = found[number].cell(mine)
        place = (tuple(cell[name] for name in keys), (row["customer"], row.get("cycle")))
        told[place][number] = found[number].counted_by(mine)
    return [Moved(cell, member, *columns) for (cell, member), columns in told.items()]


def _by_figure(
    explained: Explained, sides: tuple[Side, Side], figures: Sequence[Figure]
) -> Iterable[Moved]:
    """The members of each figure, as the view's evidence has them."""
    told: dict[tuple[Cell, Member], list[tuple[str, ...]]] = defaultdict(lambda: [(), ()])
    for figure in figures:
        members = [
            set() if row is None else _members(explained, side, row, figure.column)
            for side, row in zip(sides, figure.rows, strict=True)
        ]
        for number, own in enumerate(members):
            for member in own - members[1 - number]:
                told[figure.cell, member][number] += (figure.column,)
    return [Moved(cell, member, *columns) for (cell, member), columns in told.items()]


def _members(explained: Explained, side: Side, row: Mapping[str, Any], column: str) -> set[Member]:
    try:
        found = explained.evidence(
            side.reader, side.cut, side.definition, cell=row, column=column, **side.asked
        )
    except UsageError:  # a figure without members of its own
        return set()
    c = found.members.c
    told_apart = found.has_cycles and side.by_cycle
    cycle = sa.cast(c.cycle if told_apart else sa.null(), sa.BigInteger())
    asked = sa.select(c.customer, cycle.label("cycle")).select_from(found.members)
    rows = found.units.reader.fetch(asked).to_pylist()
    return {(one["customer"], one["cycle"]) for one in rows}
