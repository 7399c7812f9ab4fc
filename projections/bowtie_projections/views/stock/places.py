"""Where a customer can stand: in a stage, lost, or in none."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy.sql.elements import ColumnElement

from bowtie.stages import STAGES

__all__ = ["LOST", "NO_STAGE", "PLACES", "furthest", "since"]

LOST, NO_STAGE = "lost", "no stage"
#: The places in order; in SQL a place is its number here.
PLACES = (*STAGES, LOST, NO_STAGE)
_FROM_THE_END = tuple(reversed(list(enumerate(STAGES))))


def furthest(journeys: sa.FromClause, by: ColumnElement[Any] | None = None) -> ColumnElement[Any]:
    """The number of the furthest stage of a cycle; with ``by``, of those entered by then."""
    cases = []
    for place, stage in _FROM_THE_END:
        entered = journeys.c[f"{stage}_at"]
        cases.append((entered.is_not(None) if by is None else entered <= by, place))
    return sa.case(*cases)


def since(journeys: sa.FromClause) -> ColumnElement[Any]:
    """When the furthest stage of a cycle was entered."""
    return sa.func.coalesce(*(journeys.c[f"{stage}_at"] for _, stage in _FROM_THE_END))
