"""Everybody whom flow, velocity, retention and repeat count, in all cells at once."""

from __future__ import annotations

from functools import partial
from typing import Any

import sqlalchemy as sa
from sqlalchemy.sql.elements import ColumnElement

from bowtie.durations import format_duration
from bowtie.errors import UsageError
from bowtie.stages import STAGES, Definition
from bowtie_projections import tables
from bowtie_projections.conditions import Facts
from bowtie_projections.evidence import named_values
from bowtie_projections.roster import Naming, Roster, listed
from bowtie_projections.views import flow as flow_view
from bowtie_projections.views.cohorts import ALL, cohort_label
from bowtie_projections.views.cut import Cut, Reader
from bowtie_projections.views.funnel.members import COHORT, Members
from bowtie_projections.views.repeat.view import buyers_of
from bowtie_projections.views.retention.ages import every_age
from bowtie_projections.views.retention.view import acquired_of
from bowtie_projections.views.velocity import pace
from bowtie_projections.views.velocity.view import paces

__all__ = ["flow", "repeat", "retention", "velocity"]


def _cohort(members: Members) -> Naming:
    """How cohorts are named."""
    length = members.question.cohort
    return None if length is None else partial(cohort_label, cohort=length)


def _values(members: Members) -> list[Naming]:
    """How the values of the breakdowns are: SQL does it."""
    return [None] * len(members.dimensions)


def _cell(members: Members, rows: sa.FromClause) -> list[ColumnElement[Any]]:
    """The breakdowns' values and the cohort; all together where there is none."""
    cohort = rows.c[COHORT] if COHORT in rows.c else _text(ALL)
    return [*named_values(rows, members.dimensions, members.kept), cohort]


def _text(value: str) -> ColumnElement[Any]:
    return sa.literal_column(f"'{value}'", sa.String())


def _cycle(members: Members, rows: sa.FromClause) -> ColumnElement[Any] | None:
    return sa.cast(rows.c.cycle, sa.BigInteger()) if members.question.cycles else None


def _apart(members: Members) -> str | None:
    return "cycle" if members.question.cycles else None


def flow(reader: Reader, cut: Cut, definition: Definition, **asked: Any) -> Roster:
    """Who entered each stage in each period, and the next one; and who was lost from it.

    Args:
        reader: the read tables.
        cut: where the flow was asked.
        definition: what entering a stage means.
        asked: the parameters of :func:`bowtie_projections.views.flow.flow`, all of them.
    """
    members = flow_view.flowing(reader, cut, definition, asked)
    names = ("entered", "lost", "entered_next")
    rows = []
    for place, stage in enumerate(STAGES):
        found = members.entered(stage)
        rows.append(_flowing(members, found, stage, "entered", names))
        if place:
            rows.append(_flowing(members, found, STAGES[place - 1], "entered_next", names))
    lost = flow_view.losses(members)
    furthest = sa.case(*((lost.c.place == place, one) for place, one in enumerate(STAGES)))
    rows.append(_flowing(members, lost, furthest, "lost", names))
    keys = [*_values(members), _cohort(members), None]
    return Roster(members.units, keys, names, rows, apart=_apart(members))


def _flowing(
    members: Members,
    rows: sa.FromClause,
    stage: str | ColumnElement[Any],
    counted: str,
    names: tuple[str, ...],
) -> sa.Select[Any]:
    counts = {name: sa.true() if name == counted else sa.false() for name in names}
    named = _text(stage) if isinstance(stage, str) else stage
    return listed(rows, [*_cell(members, rows), named], counts, _cycle(members, rows))


def velocity(reader: Reader, cut: Cut, definition: Definition, **asked: Any) -> Roster:
    """Who began each step, with what counts them.

    Args:
        reader: the read tables.
        cut: where the velocity was asked.
        definition: what entering a stage means.
        asked: the parameters of :func:`bowtie_projections.views.velocity.velocity`, all of them.
    """
    asked_of = paces(reader, cut, definition, asked)
    members, rows = asked_of.members, []
    names: tuple[str, ...] = ()
    for place, step in enumerate(asked_of.steps):
        found = asked_of.judged(place)
        *values, cohort = _cell(members, found)
        counts = pace.counts_of(found.c)
        cell = [*values, _text(step.name), cohort, _text(format_duration(step.window))]
        rows.append(listed(found, cell, counts, _cycle(members, found)))
        names = tuple(counts)
    keys = [*_values(members), None, _cohort(members), None]
    return Roster(members.units, keys, names, rows, apart=_apart(members))


def retention(reader: Reader, cut: Cut, definition: Definition, **asked: Any) -> Roster:
    """Who is of each cohort, at each age that any of it was seen at.

    Args:
        reader: the read tables.
        cut: where the retention was asked.
        definition: what the commitment is.
        asked: the parameters of :func:`bowtie_projections.views.retention.retention`, all of them.

    Raises:
        UsageError: the triangle is wide.
    """
    if asked["wide"] is not None:
        raise UsageError("the columns of a wide triangle are no figures: ask without wide")
    acquired, _ = acquired_of(reader, cut, definition, asked)
    members, people, active = acquired.members, acquired.people, acquired.active_ages
    keys = [people.c[name] for name in members.key_names]
    oldest = sa.func.max(people.c.last_age).over(partition_by=keys)
    everybody = sa.select(people, oldest.label("oldest")).subquery("everybody")
    e, ages = everybody.c, every_age(acquired.most)
    told = sa.or_(ages.c.age <= e.oldest, ages.c.age == 0)
    at_age = sa.and_(active.c.number == e.number, active.c.age == ages.c.age)
    rows = (
        sa.select(everybody, ages.c.age, active.c.number.is_not(None).label("was_active"))
        .select_from(everybody.join(ages, told).outerjoin(active, at_age))
        .subquery("at_ages")
    )
    c = rows.c
    seen = c.last_age >= c.age
    counts = {"customers": sa.true(), "observed": seen, "active": sa.and_(seen, c.was_active)}
    own, tz = acquired.active, members.question.tz

    def activity(facts: Facts) -> sa.Select[Any]:
        return own.facts(facts.cut, tz)

    return Roster(
        members.units,
        [*_values(members), _cohort(members), None],
        tuple(counts),
        [listed(rows, [*_cell(members, rows), c.age], counts)],
        stages=("commitment",),
        reads={"activity": activity},
    )


def repeat(reader: Reader, cut: Cut, definition: Definition, **asked: Any) -> Roster:
    """Who placed a first order, for each time in which a second is looked for.

    Args:
        reader: the read tables.
        cut: where the question was asked.
        definition: says only how long after the data's beginning a customer may be older than it.
        asked: the parameters of :func:`bowtie_projections.views.repeat.repeat`, all of them.
    """
    buyers = buyers_of(reader, cut, definition, asked)
    members, found = buyers.members, buyers.people()
    names: tuple[str, ...] = ()
    rows = []
    for time in buyers.times:
        old, again = buyers.judged(found.c, time)
        counts = {"customers": sa.true(), "mature": old, "repeated": sa.and_(old, again)}
        cell = [*_cell(members, found), _text(format_duration(time))]
        rows.append(listed(found, cell, counts))
        names = tuple(counts)
    keys = [*_values(members), _cohort(members), None]
    return Roster(members.units, keys, names, rows, stages=(), reads={"order": _orders})


def _orders(facts: Facts) -> sa.Select[Any]:
    table = tables.facts["order_placed"]
    bought = table.c.kind.in_(("order", "exchange"))
    return sa.select(table.c.customer, table.c.position).where(facts.counted(table), bought)
