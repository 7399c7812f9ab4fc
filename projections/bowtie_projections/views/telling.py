"""What told the values of breakdowns: the touch, the observation or the contract behind each."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy.sql.elements import ColumnElement

from bowtie_projections import tables
from bowtie_projections.evidence import Trace
from bowtie_projections.expressions import packed_field, packed_min
from bowtie_projections.views.breakdown import Dimension
from bowtie_projections.views.cut import Cut, counts
from bowtie_projections.views.funnel.members import Members

__all__ = ["breakdowns", "told_columns", "with_breakdowns"]


def told_columns(
    members: Members, joined: sa.FromClause, moment: ColumnElement[Any]
) -> tuple[sa.FromClause, list[ColumnElement[Any]]]:
    """By which fact, or when, the value of each breakdown was told.

    Args:
        members: of the question.
        joined: their journeys, with whatever else.
        moment: as of which the values are known.

    Returns:
        What to select from, and the columns, for :func:`breakdowns` to read.
    """
    j = members.journeys.c
    told: list[ColumnElement[Any]] = []
    for one in members.dimensions:
        source = one.told_by(members.cut)
        if source is not None:
            joined = joined.outerjoin(source, one.place(members.journeys, source, moment))
            told.append(sa.case((source.c.value.is_not(None), source.c.position)).label(_told(one)))
        elif one.kind == "touch":
            told.append(sa.case((j.first_touch_at <= moment, j.first_touch_at)).label(_told(one)))
    return joined, told


def with_breakdowns(members: Members, rows: sa.FromClause, stage: str) -> sa.Select[Any]:
    """Some of the members, one row each, with what told their breakdowns.

    Args:
        members: of the question, each with one journey.
        rows: with ``customer``.
        stage: as of whose entry the values are known.
    """
    if not members.dimensions:
        return sa.select(rows)
    own = rows.join(members.journeys, members.journeys.c.customer == rows.c.customer)
    joined, told = told_columns(members, own, members.time(stage))
    return sa.select(*rows.c, *told).select_from(joined)


def breakdowns(rows: sa.FromClause, members: Members) -> list[Trace]:
    """What told the values of the breakdowns; of a segment there is no one fact.

    Args:
        rows: the members, with the columns of :func:`told_columns`.
        members: of the question.
    """
    traces = []
    for one in members.dimensions:
        if one.kind == "touch":
            touches = _first_touches(one, rows, members.cut)
            traces.append(Trace.facts(one.name, touches))
        elif _told(one) in rows.c:
            traces.append(Trace.fact(one.name, rows.c[_told(one)]))
    return traces


def _told(dimension: Dimension) -> str:
    """The column that says by which fact, or when, a breakdown's value was told."""
    return f"told_by_{dimension.number}"


def _first_touches(dimension: Dimension, rows: sa.FromClause, cut: Cut) -> sa.Subquery:
    """The first touch of each member, that told them a value; of several at once, the first."""
    table = tables.facts["touched"]
    c = table.c
    then = sa.and_(c.customer == rows.c.customer, c.occurred_at == rows.c[_told(dimension)])
    first = packed_min(c.position, c[dimension.key])
    keys = [c.customer, *([rows.c.cycle] if "cycle" in rows.c else [])]
    found = (
        sa.select(*keys, first.label("first"))
        .select_from(rows.join(table, then))
        .where(counts(table, cut))
        .group_by(*keys)
        .subquery()
    )
    position = packed_field(found.c.first, 0, sa.BigInteger()).label("position")
    said = packed_field(found.c.first, 1, sa.String()).is_not(None)
    kept = [one for one in found.c if one.name != "first"]
    return sa.select(*kept, position).where(said).subquery()
