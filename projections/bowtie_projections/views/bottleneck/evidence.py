"""Who is counted in a conversion of the bottleneck, and by what they came to be there."""

from __future__ import annotations

import sqlalchemy as sa

from bowtie.stages import STAGES
from bowtie_projections.evidence import Evidence, Figure, Trace, has_values, not_explained
from bowtie_projections.views.bottleneck.counts import REACHED
from bowtie_projections.views.bottleneck.question import ask
from bowtie_projections.views.bottleneck.table import COLUMNS
from bowtie_projections.views.breakdown import dimensions
from bowtie_projections.views.funnel.view import members_of
from bowtie_projections.views.journey_source import settled_through
from bowtie_projections.views.units import Units

__all__ = ["evidence"]

_EXPLAINED = ("mature", "conversion")


def evidence(figure: Figure) -> Evidence:
    """The mature members of a stage: their entry, and that of the next stage, if they reached it.

    Args:
        figure: of the row of the bottleneck; its column is ``mature`` or ``conversion``;
            all else is made of several figures.

    Raises:
        UsageError: no members stand behind the column.
    """
    column = figure.column
    asked = dict(figure.asked)
    cut = figure.cut
    if column not in _EXPLAINED:
        raise not_explained(column, _EXPLAINED)
    personal_names = asked.pop("personal_names")
    question = ask(asked)
    found = dimensions(
        figure.reader, cut, question.funnel.by, cohort_stage=None, personal_names=personal_names
    )
    cut = settled_through(figure.reader, cut, question.funnel.data_through)
    question = question.at(cut)
    units = Units.of(figure.reader, cut, question.funnel.unit, question.funnel.look_back)
    members = members_of(units, cut, figure.definition, question.funnel, found)
    stage = figure.cell["stage"]
    following = STAGES[STAGES.index(stage) + 1]
    judged = members.judged(stage)
    reached = judged.c.state.in_(REACHED)
    rows = (
        sa.select(
            judged.c.customer,
            judged.c.cycle,
            judged.c.at,
            sa.case((reached, judged.c.next_at)).label("next_at"),
            sa.case((reached, 1), else_=0).label("reached"),
        )
        .where(judged.c.mature, has_values(judged, found, members.kept, figure.cell, COLUMNS))
        .cte("own")
    )
    share = sa.cast(sa.func.sum(rows.c.reached), sa.Double()) / sa.func.count()
    return Evidence(
        units,
        cut,
        figure.definition,
        rows,
        [Trace.entry(stage, rows.c.at), Trace.entry(following, rows.c.next_at)],
        None if column == "mature" else share,
    )
