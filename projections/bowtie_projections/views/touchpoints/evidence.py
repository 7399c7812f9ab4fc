"""Who was touched where a figure of the touchpoints says, and by which touches."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy.sql.elements import ColumnElement

from bowtie_projections.evidence import Evidence, Figure, Trace, has_values, not_explained
from bowtie_projections.views.funnel.members import WORDS
from bowtie_projections.views.labels import apart_in_sql
from bowtie_projections.views.stock.places import PLACES
from bowtie_projections.views.touchpoints.touches import VALUE
from bowtie_projections.views.touchpoints.view import COLUMNS, touches_of
from bowtie_projections.views.units import plural

__all__ = ["evidence"]


def evidence(figure: Figure) -> Evidence:
    """Who was touched, and the touches themselves.

    Args:
        figure: of the row of the touchpoints; its column is ``touches``, ``inbound``,
            ``outbound``, those reached, or ``cost``.

    Raises:
        UsageError: no members stand behind the column.
    """
    cell, column = figure.cell, figure.column
    units, touches = touches_of(figure.reader, figure.cut, figure.definition, figure.asked)
    reached = plural(units.name)
    known = ("touches", "inbound", "outbound", reached, "cost")
    if column not in known:
        raise not_explained(column, known)
    rows = touches.touched()
    c = rows.c
    named = {one.name for one in touches.dimensions if one.column in touches.kept}
    taken = (*COLUMNS, touches.of, reached)
    value, wanted = c[VALUE], cell[touches.of]
    called = value if VALUE in touches.kept else apart_in_sql(value, WORDS)
    own: list[ColumnElement[bool]] = [
        value.is_(None) if wanted is None else called == wanted,
        has_values(rows, touches.dimensions, named, cell, taken),
    ]
    if touches.by_stage:
        own.append(c.place == PLACES.index(cell["stage"]))
    if column in {"inbound", "outbound"}:
        own.append(c.direction == column)
    if column == "cost":
        own.append(c.cost.is_not(None))
    chosen = sa.select(rows).where(*own).cte("chosen").prefix_with("MATERIALIZED")
    o = chosen.c
    members = (
        sa.select(o.customer, sa.func.count().label("number"), sa.func.sum(o.cost).label("cost"))
        .group_by(o.customer)
        .cte("touched_members")
    )
    total: ColumnElement[Any] | None = None
    if column == "cost":
        total = sa.cast(sa.func.sum(members.c.cost), sa.Numeric(38, 6))
    elif column != reached:
        total = sa.cast(sa.func.coalesce(sa.func.sum(members.c.number), 0), sa.BigInteger())
    facts = sa.select(o.customer, o.position).subquery("touches_of_members")
    return Evidence(
        units, touches.cut, figure.definition, members, [Trace.facts("touch", facts)], total
    )
