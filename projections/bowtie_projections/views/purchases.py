"""Purchases: what a customer ordered on one day is one, where it comes to more than 0."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from bowtie_projections import tables
from bowtie_projections.localtime import local_day
from bowtie_projections.value import MONEY
from bowtie_projections.views.cut import Cut, counts

__all__ = ["purchases"]


def purchases(cut: Cut, tz: str) -> sa.Select[Any]:
    """The purchases of every customer.

    Orders and exchanges of one customer, day and currency are added up; a return is no purchase
    and takes none away. Two currencies on one day are one purchase.

    Args:
        cut: the facts that count.
        tz: the zone of the days.

    Returns:
        A statement with the columns ``customer``, ``day``, ``at``, the first moment of each, and
        ``amount``, which means nothing where there are two currencies.
    """
    c = tables.facts["order_placed"].c
    day = local_day(c.occurred_at, tz)
    totals = (
        sa.select(
            c.customer,
            day.label("day"),
            sa.func.min(c.occurred_at).label("at"),
            sa.func.sum(c.amount).label("amount"),
        )
        .where(counts(tables.facts["order_placed"], cut), c.kind.in_(("order", "exchange")))
        .group_by(c.customer, day, c.currency)
        .having(sa.func.sum(c.amount) > 0)
        .subquery("day_totals")
    )
    t = totals.c
    sums = [sa.func.min(t.at).label("at"), sa.cast(sa.func.sum(t.amount), MONEY).label("amount")]
    return sa.select(t.customer, t.day, *sums).group_by(t.customer, t.day)
