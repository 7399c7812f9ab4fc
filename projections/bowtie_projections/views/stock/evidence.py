"""Who stands where a figure of the stock says, and by what they came to be there."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy.sql.elements import ColumnElement

from bowtie.errors import UsageError
from bowtie.stages import STAGES
from bowtie_projections.conditions import Facts
from bowtie_projections.cycles import activity
from bowtie_projections.evidence import Evidence, Figure, Trace, has_values, not_explained
from bowtie_projections.views.breakdown import dimensions
from bowtie_projections.views.cut import Cut
from bowtie_projections.views.funnel.members import QUANTILES
from bowtie_projections.views.funnel.question import ask
from bowtie_projections.views.journey_source import settled_through
from bowtie_projections.views.stock.places import LOST, NO_STAGE, PLACES
from bowtie_projections.views.stock.series import moment_of, moments_of
from bowtie_projections.views.stock.standing import everybody_of
from bowtie_projections.views.stock.waiting import DAY
from bowtie_projections.views.units import Units, plural

__all__ = ["evidence"]

_COLUMNS = (
    "period", "as_of", "complete", "stage", "customers", *QUANTILES, "stuck_after_days", "stuck",
)  # fmt: skip


def evidence(figure: Figure) -> Evidence:
    """Who stands in a stage, by the entry of it; the lost by their loss.

    Args:
        figure: of the row of the stock; its column is the customers (or what is counted),
            ``stuck``, or a quantile of the days.

    Raises:
        UsageError: no members stand behind the column.
    """
    cell, column = figure.cell, figure.column
    asked = dict(figure.asked)
    cut = figure.cut
    personal_names, listed = asked.pop("personal_names"), asked.pop("customers")
    if listed is not None:
        raise UsageError("customers lists who stands there already; ask without it")
    every, question = asked.pop("every"), ask(asked)
    counted = plural(question.unit)
    known = (counted, "stuck", *QUANTILES)
    if column not in known:
        raise not_explained(column, known)
    by = dimensions(
        figure.reader, cut, question.by, cohort_stage=STAGES[-1], personal_names=personal_names
    )
    cut = settled_through(figure.reader, cut, question.data_through)
    apart = None
    if every is not None:
        last = moments_of(figure.reader, cut, question, every)[-1].cut
        units = Units.of(figure.reader, last, question.unit, question.look_back)
        apart = everybody_of(units, last, figure.definition, question, by).kept
        cut = moment_of(cut, question, cell["period"])
    units = Units.of(figure.reader, cut, question.unit, question.look_back)
    everybody = everybody_of(units, cut, figure.definition, question, by, apart=apart)
    rows = everybody.placed().subquery("placed")
    own = [
        rows.c.place == PLACES.index(cell["stage"]),
        has_values(rows, by, everybody.kept, cell, (*_COLUMNS, counted)),
    ]
    if column == "stuck":
        own.append(everybody.is_stuck(rows))
    stands = sa.select(rows).where(*own).cte("stands")
    members, traces = _told(stands, everybody.journeys, cut, cell["stage"])
    value: ColumnElement[Any] | None = None
    if column in QUANTILES:
        share: ColumnElement[Any] = sa.literal_column(str(QUANTILES[column]), sa.Double())
        value = sa.func.percentile_cont(share).within_group(members.c.micros) / DAY
    return Evidence(units, cut, figure.definition, members, traces, value)


def _told(
    stands: sa.CTE, journeys: sa.FromClause, cut: Cut, stage: str
) -> tuple[sa.FromClause, list[Trace]]:
    """The members, with the moment that says why they stand there."""
    if stage == NO_STAGE:
        seen = activity(Facts(cut, stands)).subquery("seen")
        joined = stands.outerjoin(seen, seen.c.customer == stands.c.customer)
        members = sa.select(*stands.c, seen.c.last_activity_at).select_from(joined)
        rows = members.subquery("told")
        return rows, [Trace.heard(rows.c.last_activity_at, "last heard of, in no stage")]
    if stage != LOST:
        return stands, [Trace.entry(stage, stands.c.since)]
    j = journeys.c
    same = sa.and_(j.customer == stands.c.customer, j.cycle == stands.c.cycle)
    told: list[ColumnElement[Any]] = [sa.case((sa.not_(j.lost_inferred), j.lost_at)).label("lost")]
    if "last_activity_at" in j:
        told.append(sa.case((j.lost_inferred, j.last_activity_at)).label("silent"))
    found = sa.select(*stands.c, *told).select_from(stands.join(journeys, same)).subquery("told")
    traces = [Trace.loss(found.c.lost)]
    if "silent" in found.c:
        traces.append(Trace.heard(found.c.silent, "last heard of, lost by silence"))
    return found, traces
