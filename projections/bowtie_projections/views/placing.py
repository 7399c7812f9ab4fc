"""Where a customer stood when something happened, in SQL."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy.sql.elements import ColumnElement

from bowtie_projections.expressions import END
from bowtie_projections.views.stock.places import LOST, NO_STAGE, PLACES, furthest

__all__ = ["Passes", "place_at"]


class Passes:
    """The cycles of all customers, each from its opening to the opening of the next.

    Args:
        journeys: all cycles at the cut.
    """

    def __init__(self, journeys: sa.FromClause) -> None:
        c = journeys.c
        following = sa.func.lead(c.opened_at).over(partition_by=c.customer, order_by=c.cycle)
        # a moment in any case: with an "or" in it DuckDB compares each row with all passes
        until = sa.func.coalesce(following, END)
        rows = sa.select(journeys, until.label("next_opened_at"))
        self.rows = rows.subquery("passes")

    def around(self, customer: ColumnElement[Any], at: ColumnElement[Any]) -> ColumnElement[bool]:
        """On what the pass is joined in which something happened, if it was in any."""
        c = self.rows.c
        return sa.and_(c.customer == customer, c.opened_at <= at, c.next_opened_at > at)


def place_at(passes: Passes, at: ColumnElement[Any]) -> ColumnElement[Any]:
    """The number of the place in which a customer was, what happened at that moment included."""
    c = passes.rows.c
    return sa.case(
        (c.customer.is_(None), PLACES.index(NO_STAGE)),
        (c.lost_at <= at, PLACES.index(LOST)),
        else_=furthest(passes.rows, at),
    )
