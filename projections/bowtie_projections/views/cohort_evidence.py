"""Who is behind the figures of flow, velocity, retention and repeat, and by what they got there."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.sql.elements import ColumnElement

from bowtie.durations import parse_duration
from bowtie.errors import UsageError
from bowtie.stages import STAGES, Definition
from bowtie_projections import tables
from bowtie_projections.evidence import Evidence, Figure, Trace, not_explained
from bowtie_projections.localtime import local_day
from bowtie_projections.views import flow as flow_view
from bowtie_projections.views.cut import counts
from bowtie_projections.views.funnel.members import Members
from bowtie_projections.views.repeat import buyers as buying
from bowtie_projections.views.repeat.view import buyers_of
from bowtie_projections.views.retention.ages import age_in_sql
from bowtie_projections.views.retention.population import Acquired
from bowtie_projections.views.retention.view import acquired_of
from bowtie_projections.views.shares import of_cell
from bowtie_projections.views.velocity import pace
from bowtie_projections.views.velocity.view import paces

__all__ = ["flow", "repeat", "retention", "velocity"]

_DAY = timedelta(days=1) // timedelta(microseconds=1)
_RETENTION = (
    "cohort", "age", "customers", "observed", "active", "at_risk", "retention", "retention_low",
    "retention_high", "mrr_start", "mrr", "mrr_kept", "grr", "nrr",
)  # fmt: skip


def _evidence(
    members: Members,
    definition: Definition,
    rows: sa.FromClause,
    traces: list[Trace],
    value: ColumnElement[Any] | None = None,
) -> Evidence:
    return Evidence(members.units, members.cut, definition, rows, traces, value)


def _share(hit: ColumnElement[Any]) -> ColumnElement[Any]:
    hits: ColumnElement[Any] = sa.cast(sa.func.sum(sa.case((hit, 1.0), else_=0.0)), sa.Double())
    return hits / sa.func.count()


def _days(waited: ColumnElement[Any], share: float) -> ColumnElement[Any]:
    wanted: ColumnElement[Any] = sa.literal_column(str(share), sa.Double())
    return sa.func.percentile_cont(wanted).within_group(waited) / _DAY


def flow(figure: Figure) -> Evidence:
    """Who entered a stage in a period, by the entry; or was lost from it, by the loss.

    Raises:
        UsageError: no members stand behind the column.
    """
    cell, column = figure.cell, figure.column
    known = ("entered", "lost", "entered_next")
    if column not in known:
        why = "it is one count over another of other people" if column == "flow_ratio" else ""
        raise not_explained(column, known, why)
    members = flow_view.flowing(figure.reader, figure.cut, figure.definition, figure.asked)
    place = STAGES.index(cell["stage"])
    lost = column == "lost"
    stage = STAGES[place + 1] if column == "entered_next" else cell["stage"]
    rows = flow_view.losses(members) if lost else members.entered(stage)
    own = of_cell(members, rows, cell, flow_view.COLUMNS, "period")
    found = sa.select(rows).where(own, rows.c.place == place if lost else sa.true())
    told = found.subquery("told")
    if not lost:
        return _evidence(members, figure.definition, told, [Trace.entry(stage, told.c.at)])
    traces = [Trace.loss(sa.case((sa.not_(told.c.lost_inferred), told.c.at)))]
    if "last_activity_at" in told.c:
        silent = sa.case((told.c.lost_inferred, told.c.last_activity_at))
        traces.append(Trace.heard(silent, "last heard of, lost by silence"))
    return _evidence(members, figure.definition, told, traces)


def velocity(figure: Figure) -> Evidence:
    """Who began a step, by the entries of its two stages.

    Behind ``moved_share`` are the mature, behind the days those who moved in order.

    Raises:
        UsageError: no members stand behind the column.
    """
    column = figure.column
    known = ("entered", "mature", "moved", "out_of_order", "moved_share", *pace.QUANTILES)
    if column not in known:
        raise not_explained(column, known)
    asked_of = paces(figure.reader, figure.cut, figure.definition, figure.asked)
    place = [step.name for step in asked_of.steps].index(figure.cell["step"])
    rows = asked_of.judged(place)
    c = rows.c
    counts_it = {**pace.counts_of(c), "moved_share": c.mature}
    which = counts_it.get(column, sa.and_(c.mature, c.moved, c.waited >= 0))
    own = of_cell(asked_of.members, rows, figure.cell, pace.COLUMNS)
    told = sa.select(rows).where(own, which).subquery("told")
    step = asked_of.steps[place]
    traces = [
        Trace.entry(step.start, told.c.at),
        Trace.entry(step.end, sa.case((told.c.moved, told.c.end_at)), f"reached {step.end}"),
    ]
    value = None
    if column == "moved_share":
        value = _share(told.c.moved)
    elif column in pace.QUANTILES:
        value = _days(told.c.waited, pace.QUANTILES[column])
    return _evidence(asked_of.members, figure.definition, told, traces, value)


def retention(figure: Figure) -> Evidence:
    """Who is of a cohort, by the commitment; and what says that they were active at an age.

    With contracts these are all facts of theirs. Without a cohort in the row, all cohorts are
    meant, as in the curve.

    Raises:
        UsageError: no members stand behind the column, or the triangle is wide.
    """
    column = figure.column
    known = ("customers", "observed", "at_risk", "active", "retention")
    if column not in known:
        raise not_explained(column, known)
    if figure.asked["wide"] is not None:
        raise UsageError("a wide triangle has no columns to explain: ask without wide")
    acquired, _ = acquired_of(figure.reader, figure.cut, figure.definition, figure.asked)
    people, active = acquired.people, acquired.active_ages
    age = figure.cell["age"]
    at_age = sa.and_(active.c.number == people.c.number, active.c.age == age)
    rows = (
        sa.select(people, active.c.number.is_not(None).label("was_active"))
        .select_from(people.outerjoin(active, at_age))
        .subquery("at_an_age")
    )
    own = [of_cell(acquired.members, rows, figure.cell, _RETENTION)]
    if column != "customers":
        own.append(rows.c.last_age >= age)
    if column == "active":
        own.append(rows.c.was_active)
    told = sa.select(rows).where(*own).cte("told").prefix_with("MATERIALIZED")
    traces = [Trace.entry("commitment", told.c.at), _activity(acquired, told, age)]
    value = _share(told.c.was_active) if column == "retention" else None
    return _evidence(acquired.members, figure.definition, told, traces, value)


def _activity(acquired: Acquired, told: sa.CTE, age: int) -> Trace:
    """What happened at an age; with contracts, all that is known of them."""
    facts = acquired.active.facts(acquired.members.cut, acquired.members.question.tz)
    f = facts.subquery("of_members")
    rows = sa.select(f.c.customer, f.c.position).join(told, told.c.customer == f.c.customer)
    if acquired.active.by_contract:
        return Trace.facts("contract", rows.subquery("contracts"))
    within = age_in_sql(told.c.day, f.c.day, acquired.age) == age
    found = rows.where(f.c.day >= told.c.day, within, told.c.was_active)
    return Trace.facts(f"active at {acquired.age} {age}", found.subquery("happened_then"))


def repeat(figure: Figure) -> Evidence:
    """Who placed a first order, by its lines; and those of the second, where it came in time.

    Behind ``repeat_rate`` are the mature, behind the days those who ordered again.

    Raises:
        UsageError: no members stand behind the column.
    """
    column = figure.column
    known = ("customers", "mature", "repeated", "repeat_rate", *buying.QUANTILES)
    if column not in known:
        raise not_explained(column, known)
    buyers = buyers_of(figure.reader, figure.cut, figure.definition, figure.asked)
    members, rows = buyers.members, buyers.people()
    old, again = buyers.judged(rows.c, parse_duration(figure.cell["within"]))
    which = {"customers": sa.true(), "mature": old, "repeat_rate": old}
    own = of_cell(members, rows, figure.cell, buying.COLUMNS)
    told = (
        sa.select(rows, again.label("again"))
        .where(own, which.get(column, sa.and_(old, again)))
        .cte("told")
        .prefix_with("MATERIALIZED")
    )
    second = sa.case((told.c.again, told.c.second_at))
    traces = [_lines(members, told, *one) for one in (("first", told.c.at), ("second", second))]
    value = None
    if column == "repeat_rate":
        value = _share(told.c.again)
    elif column in buying.QUANTILES:
        value = _days(told.c.waited, buying.QUANTILES[column])
    return _evidence(members, figure.definition, told, traces, value)


def _lines(members: Members, told: sa.CTE, which: str, at: ColumnElement[Any]) -> Trace:
    """The lines of what was ordered on the day of an order."""
    table, tz = tables.facts["order_placed"], members.question.tz
    same_day = local_day(table.c.occurred_at, tz) == local_day(at, tz)
    rows = (
        sa.select(table.c.customer, table.c.position)
        .join(told, sa.and_(told.c.customer == table.c.customer, same_day))
        .where(counts(table, members.cut), table.c.kind.in_(("order", "exchange")))
    )
    return Trace.facts(f"{which} order", rows.subquery(f"{which}_order"))
