"""Everybody whom a view counts, in every cell at once: what two of its answers differ by.

A view whose answers can be compared has a function ``roster(reader, cut, definition, **asked)``,
beside the one that explains a figure. It gives one statement, with a row for each member of each
cell and all counts that the member adds to, so that its cost doesn't grow with the number of
figures.

>>> rows = sa.table("entered", *map(sa.column, ("customer", "channel", "mature")))
>>> counts = {"entered": sa.true(), "mature": rows.c.mature}
>>> listed(rows, [rows.c.channel], counts).selected_columns.keys()
['key_0', 'customer', 'apart', 'code']
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from sqlalchemy.sql.elements import ColumnElement

from bowtie.stages import STAGES
from bowtie_projections.conditions import Facts
from bowtie_projections.views.units import Units

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["Naming", "Roster", "Telling", "listed"]

#: How a value is named in the answer, where SQL has not named it; None where it has.
Naming = Callable[[Any], Any] | None
#: What an amount of SQL is in the answer.
Telling = Callable[[Any], Any]


@dataclass(frozen=True, slots=True)
class Roster:
    """The members of all cells of one answer.

    Args:
        units: what a member is; the rows are read under their keys.
        keys: of each of the answer's first columns, which name its cells, how values are named.
        counts: the columns that are numbers of members.
        rows: of :func:`listed`, one statement for each kind of row.
        apart: what members of one key are told apart by: ``cycle`` or ``opportunity``; None where
            a key is one member.
        stages: those whose entries bear on the figures.
        reads: what else does: by what it is, facts with ``customer`` and ``position``.
        sums: the columns that add up an amount of each member, and what an amount is told as.
        named: the answer's columns that name its cells, if they are not the first ones.
        broken_down: whether ``by`` names breakdowns, whose facts bear on the figures too.
    """

    units: Units
    keys: Sequence[Naming]
    counts: Sequence[str]
    rows: Sequence[sa.Select[Any]]
    apart: str | None = None
    stages: Collection[str] = STAGES
    reads: Mapping[str, Callable[[Facts], sa.Select[Any]]] = field(default_factory=dict)
    sums: Mapping[str, Telling] = field(default_factory=dict)
    named: Sequence[str] = ()
    broken_down: bool = True

    def fetch(self) -> pa.Table:
        """The rows: ``key_0``, ..., ``customer``, ``apart``, the ``code``, and ``sum_0``, ...

        A member whom several kinds of row count in one cell has as many of them.
        """
        every = sa.union_all(*self.rows).subquery("every")
        return self.units.reader.fetch(sa.select(every).where(every.c.code > 0))

    def cell(self, row: Mapping[str, Any]) -> tuple[Any, ...]:
        """The values that name a row's cell in the answer."""
        values = [row[f"key_{place}"] for place in range(len(self.keys))]
        return tuple(
            value if name is None else name(value)
            for value, name in zip(values, self.keys, strict=True)
        )

    def counted_by(self, code: int) -> tuple[str, ...]:
        """The columns of counts and of sums that a member adds to."""
        columns = (*self.counts, *self.sums)
        return tuple(name for place, name in enumerate(columns) if code >> place & 1)

    def amounts(self, row: Mapping[str, Any]) -> dict[str, Any]:
        """What a row adds to each of the sums; nothing is left out."""
        found = {name: row[f"sum_{place}"] for place, name in enumerate(self.sums)}
        return {name: amount for name, amount in found.items() if amount is not None}


def listed(
    rows: sa.FromClause,
    cell: Sequence[ColumnElement[Any]],
    counts: Mapping[str, ColumnElement[bool]],
    apart: ColumnElement[Any] | None = None,
    sums: Sequence[ColumnElement[Any]] = (),
) -> sa.Select[Any]:
    """A row for each member: the cell, whom, and by one number which columns count them.

    Args:
        rows: with ``customer``.
        cell: the values that name the cell, in the order of the answer.
        counts: every column of counts, and whether it counts a row.
        apart: what members of one key are told apart by.
        sums: what the row adds to each of the columns of sums; null where it adds to none.
    """
    conditions = [*counts.values(), *(amount.is_not(None) for amount in sums)]
    flags = [_flag(condition, 1 << place) for place, condition in enumerate(conditions)]
    code = flags[0]
    for flag in flags[1:]:
        code = code + flag
    nothing = sa.cast(sa.null(), sa.BigInteger())
    return sa.select(
        *(value.label(f"key_{place}") for place, value in enumerate(cell)),
        rows.c.customer,
        (nothing if apart is None else apart).label("apart"),
        sa.cast(code, sa.Integer()).label("code"),
        # PostgreSQL forgets the decimals of what is chosen between
        *(sa.cast(one, one.type).label(f"sum_{place}") for place, one in enumerate(sums)),
    ).select_from(rows)


def _flag(condition: ColumnElement[bool], flag: int) -> ColumnElement[Any]:
    if condition is sa.true():
        return sa.literal_column(str(flag), sa.Integer())
    one, nothing = (sa.literal_column(str(number), sa.Integer()) for number in (flag, 0))
    return sa.case((condition, one), else_=nothing)
