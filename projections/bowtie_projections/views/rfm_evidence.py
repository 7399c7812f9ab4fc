"""Who is in a segment of recency, frequency and money, by all that they ordered."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.sql.elements import ColumnElement

from bowtie.stages import Definition
from bowtie_projections import tables
from bowtie_projections.conditions import Facts
from bowtie_projections.evidence import (
    Evidence,
    Figure,
    Trace,
    has_values,
    named_values,
    not_explained,
)
from bowtie_projections.roster import Roster, listed
from bowtie_projections.views.cut import NEVER, Cut, Reader
from bowtie_projections.views.rfm import COLUMNS, NEW, SEGMENTS, Ordered, ordered
from bowtie_projections.views.telling import breakdowns, with_breakdowns

__all__ = ["evidence", "movement", "roster"]


def evidence(figure: Figure) -> Evidence:
    """Who is in a segment.

    Args:
        figure: of the row of the segment; its column is ``customers`` or their ``value``;
            the others are means and shares of these.

    Raises:
        UsageError: no members stand behind the column.
    """
    column = figure.column
    if column not in {"customers", "value"}:
        raise not_explained(column, ("customers", "value"))
    own, _ = ordered(figure.reader, figure.cut, figure.definition, figure.asked)
    now, cells = own.placed(own.cut), own.members
    inside = now.c.segment == SEGMENTS.index(figure.cell["segment"])
    of_cell = has_values(now, cells.dimensions, cells.kept, figure.cell, COLUMNS)
    rows = sa.select(now.c.customer, now.c.value).where(inside, of_cell).subquery("own")
    members = with_breakdowns(cells, rows, "commitment").cte("told").prefix_with("MATERIALIZED")
    total = sa.func.coalesce(sa.func.sum(members.c.value), 0) if column == "value" else None
    return _told(own, figure.definition, members, total, breakdowns(members, cells))


def movement(figure: Figure) -> Evidence:
    """Who went from one segment to another.

    Args:
        figure: of the row of the part ``movement``; its column is ``customers``.

    Raises:
        UsageError: no members stand behind the column.
    """
    if figure.column != "customers":
        raise not_explained(figure.column, ("customers",))
    own, earlier = ordered(figure.reader, figure.cut, figure.definition, figure.asked)
    assert earlier is not None  # noqa: S101 - there is a row of such a part
    then, now = own.scored(earlier, "then"), own.scored(own.cut, "now")
    customer = sa.func.coalesce(now.c.customer, then.c.customer).label("customer")
    joined = then.join(now, then.c.customer == now.c.customer, full=True)
    found = sa.select(customer).select_from(joined)
    inside = found.where(_is(then, figure.cell["from"]), _is(now, figure.cell["to"]))
    return _told(own, figure.definition, inside.cte("told"))


def _is(rows: sa.FromClause, segment: str) -> ColumnElement[bool]:
    own = rows.c.segment
    return own.is_(None) if segment == NEW else own == SEGMENTS.index(segment)


def _told(
    own: Ordered,
    definition: Definition,
    members: sa.FromClause,
    value: ColumnElement[Any] | None = None,
    told: Sequence[Trace] = (),
) -> Evidence:
    orders = Trace.facts("order", _orders(Facts(own.cut, members)).subquery("ordered"))
    traces = [*told, orders]
    return Evidence(own.units, own.cut, definition, members, traces, value)


def _orders(facts: Facts) -> sa.Select[Any]:
    """All that was ordered, and given back."""
    table = tables.facts["order_placed"]
    return sa.select(table.c.customer, table.c.position).where(facts.counted(table))


def roster(reader: Reader, cut: Cut, definition: Definition, **asked: Any) -> Roster:
    """Everybody with an order, in the segment they are in.

    Args:
        reader: the read tables.
        cut: where it was asked.
        definition: says who may be older than the data.
        asked: the parameters of :func:`bowtie_projections.views.rfm.rfm`, all of them.
    """
    own, _ = ordered(reader, cut, definition, asked)
    at = own.cut if own.cut.moment is not None else Cut(own.cut.position, NEVER)
    rows, cells = own.placed(at), own.members
    cell = [*named_values(rows, cells.dimensions, cells.kept), rows.c.segment]
    return Roster(
        own.units,
        [*[None] * len(cells.dimensions), SEGMENTS.__getitem__],
        ("customers",),
        [listed(rows, cell, {"customers": sa.true()})],
        stages=(),
        reads={"order": _orders},
    )
