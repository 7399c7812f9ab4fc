"""Who is in the cells of recurring revenue: all who signed a paid contract, as of their first."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy.sql.elements import ColumnElement

from bowtie.stages import STAGES
from bowtie_projections import tables
from bowtie_projections.conditions import Facts
from bowtie_projections.cycles import first_touch
from bowtie_projections.views.cut import Cut, counts
from bowtie_projections.views.journey_source import Needs

__all__ = ["signers"]


def signers(cut: Cut, needs: Needs) -> sa.CTE:
    """Who signed a paid contract, in the shape of journeys: one row each, of the first signing.

    Args:
        cut: the facts that count.
        needs: what a breakdown reads of them.
    """
    signed = tables.facts["contract_signed"]
    rows = (
        sa.select(signed.c.customer, sa.func.min(signed.c.occurred_at).label("at"))
        .where(counts(signed, cut), signed.c.kind == "paid")
        .group_by(signed.c.customer)
        .subquery("first_signings")
    )
    joined: sa.FromClause = rows
    touch: list[ColumnElement[Any]] = []
    if needs.touch:
        first = first_touch(Facts(cut)).subquery("touch")
        joined = rows.outerjoin(first, first.c.customer == rows.c.customer)
        touch = [column for column in first.c if column.name != "customer"]
    nothing = sa.cast(sa.null(), sa.DateTime())
    entries = {"commitment": rows.c.at}
    return (
        sa.select(
            rows.c.customer,
            sa.literal_column("1", sa.BigInteger()).label("cycle"),
            *(entries.get(stage, nothing).label(f"{stage}_at") for stage in STAGES),
            nothing.label("lost_at"),
            *touch,
        )
        .select_from(joined)
        .cte("signers")
        .prefix_with("MATERIALIZED")
    )
