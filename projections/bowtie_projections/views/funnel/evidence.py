"""Who is behind a figure of the stage funnel, and by what they came to be there."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa
from sqlalchemy.sql.elements import ColumnElement

from bowtie.errors import UsageError
from bowtie.stages import STAGES
from bowtie_projections.evidence import Evidence, Figure, Trace, has_values, not_explained
from bowtie_projections.views.cohorts import period
from bowtie_projections.views.funnel.estimate import ESTIMATES
from bowtie_projections.views.funnel.estimate_evidence import ESTIMATED, again, stands_behind
from bowtie_projections.views.funnel.members import COHORT, QUANTILES, Members, State
from bowtie_projections.views.funnel.question import ask
from bowtie_projections.views.funnel.roster import counts_of
from bowtie_projections.views.funnel.table import ADDS, COLUMNS, DAY_MICROS
from bowtie_projections.views.funnel.view import asked_members
from bowtie_projections.views.telling import breakdowns, told_columns

__all__ = ["evidence"]

_REACHED = [int(state) for state, adds in ADDS.items() if "reached_next" in adds]
_EVER_REACHED = [*_REACHED, int(State.REACHED_LATE)]
_EXPLAINED = (
    "entered", "reached_next", "out_of_order", "lost", "expired", "reached_late", "pending",
    "mature", "imputed", "conversion", "conversion_so_far", *QUANTILES, *ESTIMATED,
)  # fmt: skip


def evidence(figure: Figure) -> Evidence:
    """Who is counted in a cell: their entry, what came of it, the loss, and what told the cell.

    Args:
        figure: of the row of the funnel; its column is a count, ``conversion`` (its members
            are the mature), ``conversion_so_far`` (all who entered), a quantile of the days
            (the mature that reached in time), an estimate (all who were watched), or
            ``at_risk``.

    Raises:
        UsageError: no members stand behind the column.
    """
    cell, column = figure.cell, figure.column
    asked = dict(figure.asked)
    if column not in _EXPLAINED:
        raise not_explained(column, _EXPLAINED)
    kept, personal_names = asked.pop("kept"), asked.pop("personal_names")
    question = ask(asked)
    if question.customers is not None:
        raise UsageError("customers lists who is behind a cell already; ask without it")
    members = asked_members(
        figure.reader, figure.cut, figure.definition, question, personal_names, kept=kept
    )
    if column in ESTIMATED:
        members = members.with_older()
    rows = _counted(members, cell, column)
    traces = _traces(rows, cell["stage"], members) + breakdowns(rows, members)
    value, finish = _value(rows, column), None
    if column in ESTIMATED:
        value, finish = again(rows, members, cell["stage"], column)
    return Evidence(
        members.units, members.cut, figure.definition, rows, traces, value, finish=finish
    )


def _in_cell(members: Members, rows: sa.FromClause, cell: Mapping[str, Any]) -> ColumnElement[bool]:
    """The rows of members that are of a cell."""
    taken = {*COLUMNS, *(ESTIMATES if members.question.estimating else ())}
    taken |= {"cohort"} if members.question.cohort is not None else set()
    own = has_values(rows, members.dimensions, members.kept, cell, taken)
    if members.question.cohort is None:
        return own
    start = period(cell["cohort"])[0].date()
    return sa.and_(own, rows.c[COHORT] == sa.literal(start))


def _counted(members: Members, cell: Mapping[str, Any], column: str) -> sa.CTE:
    """The members that a column counts, with all that their journeys and breakdowns tell."""
    stage = cell["stage"]
    last = stage == STAGES[-1]
    judged = members.entered(stage) if last else members.judged(stage)
    counts_it = (
        stands_behind(judged, members, stage, column)
        if column in ESTIMATED
        else _counts(judged, column, last=last)
    )
    own = sa.select(judged).where(_in_cell(members, judged, cell), counts_it).cte("own")
    j = members.journeys.c
    told = [j.lost_inferred, *(j[f"{one}_at"] for one in STAGES)]
    if "last_activity_at" in j:
        told.append(j.last_activity_at)
    same = sa.and_(j.customer == own.c.customer, j.cycle == own.c.cycle)
    joined = own.join(members.journeys, same)
    moment: ColumnElement[Any] = own.c.at
    if members.question.cohort_stage is not None:
        moment = members.time(members.question.cohort_stage)
    every, by = told_columns(members, joined, moment)
    return sa.select(*own.c, *told, *by).select_from(every).cte("told")


def _counts(rows: sa.FromClause, column: str, *, last: bool) -> ColumnElement[bool]:
    """Whether a member is behind a column."""
    if column in QUANTILES:
        return sa.and_(rows.c.mature, rows.c.state == int(State.REACHED))
    of_rates = {"conversion": "mature", "conversion_so_far": "entered"}
    return counts_of(rows, of_rates.get(column, column), last=last)


def _value(rows: sa.FromClause, column: str) -> ColumnElement[Any] | None:
    """The figure again, where it is no mere count."""
    if column in {"conversion", "conversion_so_far"}:
        reached = sa.case((rows.c.state.in_(_REACHED), 1.0), else_=0.0)
        return sa.cast(sa.func.sum(reached), sa.Double()) / sa.func.count()
    if column in QUANTILES:
        share: ColumnElement[Any] = sa.literal_column(str(QUANTILES[column]), sa.Double())
        return sa.func.percentile_cont(share).within_group(rows.c.micros) / DAY_MICROS
    return None


def _traces(rows: sa.FromClause, stage: str, members: Members) -> list[Trace]:
    """The entry, that of the next stage where it was reached, and the loss where it came first."""
    c = rows.c
    traces = _entries(rows, stage, f"entered {stage}", None, members)
    if stage == STAGES[-1]:
        return traces
    following = STAGES[STAGES.index(stage) + 1]
    reached = c.state.in_(_EVER_REACHED)
    traces += _entries(rows, following, f"reached {following}", reached, members)
    lost = c.state == int(State.LOST)
    traces.append(Trace.loss(sa.case((sa.and_(lost, sa.not_(c.lost_inferred)), c.lost_at))))
    if "last_activity_at" in c:
        silent = sa.case((sa.and_(lost, c.lost_inferred), c.last_activity_at))
        traces.append(Trace.heard(silent, "last heard of, lost by silence"))
    return traces


def _entries(
    rows: sa.FromClause,
    stage: str,
    role: str,
    where: ColumnElement[bool] | None,
    members: Members,
) -> list[Trace]:
    """The entry of a stage; where skipped ones are imputed, that of the stage it is taken from."""
    c, traces = rows.c, []
    skipped: list[ColumnElement[bool]] = [] if where is None else [where]
    later = STAGES[STAGES.index(stage) :] if members.question.imputes else (stage,)
    for one in later:
        said = role if one == stage else f"{role} (imputed from {one})"
        at = sa.case((sa.and_(sa.true(), *skipped), c[f"{one}_at"]))
        traces.append(Trace.entry(one, at, said))
        skipped.append(c[f"{one}_at"].is_(None))
    return traces
