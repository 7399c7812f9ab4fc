"""Who is behind an estimate of the funnel, and the estimate made of them again."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any

import numpy as np
import sqlalchemy as sa
from sqlalchemy.sql.elements import ColumnElement

from bowtie_projections.survival import Incidence
from bowtie_projections.views.funnel.members import Members
from bowtie_projections.views.funnel.watched import Span

__all__ = ["ESTIMATED", "again", "stands_behind"]

#: The columns of an estimate that members stand behind.
ESTIMATED = ("conversion_estimate", "at_risk", "days_to_half")
_MICROSECOND = timedelta(microseconds=1)
_DAY = timedelta(days=1)


def stands_behind(
    rows: sa.FromClause, members: Members, stage: str, column: str
) -> ColumnElement[bool]:
    """Whether a member adds to a column: all who were watched, or those still at risk at the end.

    Args:
        rows: the members of the stage.
        members: of the question, with those older than the data where they take part.
        stage: the stage.
        column: one of :data:`ESTIMATED`.
    """
    span = Span.of(rows, members)
    if column != "at_risk":
        return span.is_watched
    window = _whole(members.question.window(stage) // _MICROSECOND)
    return sa.and_(span.is_watched, span.start <= window, span.age >= window)


def again(
    rows: sa.FromClause, members: Members, stage: str, column: str
) -> tuple[ColumnElement[Any] | None, Callable[[Any], Any] | None]:
    """The figure as an aggregate over its members, and what makes it of that.

    Args:
        rows: the members behind it.
        members: of the question.
        stage: the stage.
        column: one of :data:`ESTIMATED`.
    """
    if column == "at_risk":
        return None, None
    span = Span.of(rows, members)
    # ages, and starts as numbers below 0: one list
    both = sa.func.array_agg(span.packed).op("||")(sa.func.array_agg(-1 - span.start))
    window = members.question.window(stage) // _MICROSECOND

    def made(numbers: Sequence[int] | None) -> float | None:
        told = np.asarray(numbers or [], dtype=np.int64)
        starts = -1 - told[told < 0]
        incidence = Incidence(told[told >= 0], starts[starts > 0])
        if column == "conversion_estimate":
            return float(incidence.at([window]).share[0])
        half = incidence.age_at(0.5)
        return None if half is None else half * _MICROSECOND / _DAY

    return both, made


def _whole(number: int) -> ColumnElement[Any]:
    return sa.cast(sa.literal_column(str(number)), sa.BigInteger())
