"""Customers by what was known of them when they first bought: with an order, or by a contract.

They stand in the shape of journeys whose commitment is that moment, so that cells of them are made
as those of any view.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import sqlalchemy as sa
from sqlalchemy.sql.elements import ColumnElement

from bowtie.errors import UsageError
from bowtie.stages import STAGES, Definition
from bowtie_projections import tables
from bowtie_projections.conditions import Facts
from bowtie_projections.cycles import activity, first_touch
from bowtie_projections.expressions import nth_least
from bowtie_projections.views.breakdown import CONTRACT, dimensions
from bowtie_projections.views.cut import Cut, counts
from bowtie_projections.views.funnel.members import Members
from bowtie_projections.views.funnel.question import Question, ask
from bowtie_projections.views.funnel.view import members_of
from bowtie_projections.views.journey_source import Needs
from bowtie_projections.views.purchases import purchases
from bowtie_projections.views.units import Units

__all__ = [
    "broken_down",
    "cells_asked",
    "cells_of",
    "first_contracts",
    "first_orders",
    "refuse_contracts",
]


def cells_asked(asked: Mapping[str, Any]) -> Question:
    """What is asked of the cells of everybody who bought, by the parameters of a view.

    Args:
        asked: ``by``, how many values stand apart (``top``), ``unit``, ``look_back``, ``tz``,
            ``data_from`` and ``data_through``; others are not looked at.

    Raises:
        UsageError: a value that can't be asked.
    """
    names = ("by", "top", "unit", "look_back", "tz", "data_from", "data_through")
    own = {name: asked[name] for name in names}
    return replace(ask(own | {"include_truncated": True}), cohort_stage="commitment")


def refuse_contracts(by: Sequence[str]) -> None:
    """Refuse what only contracts tell, where orders are asked for.

    Raises:
        UsageError: it says what to ask for instead.
    """
    for name in by:
        if name in CONTRACT:
            raise UsageError(
                f"{name} is of contracts, and these are orders: ask by trait.{name} if it is a"
                " trait"
            )


def broken_down(
    units: Units,
    cut: Cut,
    definition: Definition,
    question: Question,
    personal_names: Collection[str],
    *,
    contracts: bool = False,
) -> Members:
    """Everybody who ever bought, with what they are broken down by, as known when they first did.

    Args:
        units: what is counted.
        cut: settled.
        definition: says how long after the data's beginning a customer may be older than it.
        question: from :func:`cells_asked`.
        personal_names: traits that are sealed.
        contracts: they signed a paid contract; else they ordered.

    Raises:
        UnknownName: a breakdown that is not there.
        UsageError: one of contracts, where orders are asked for.
        Refused: one that is sealed.
    """
    if not contracts:
        refuse_contracts(question.by)
    found = dimensions(
        units.reader, cut, question.by, cohort_stage="commitment", personal_names=personal_names
    )
    source = first_contracts if contracts else partial(first_orders, question.tz)
    return members_of(units, cut, definition, question, found, journeys_of=partial(source, cut))


def first_orders(tz: str, cut: Cut, needs: Needs) -> sa.CTE:
    """Customers with an order, in the shape of journeys whose commitment is the first one.

    Beside it ``second_at``, and how many ``orders`` there are.
    """
    c = purchases(cut, tz).subquery("purchases").c
    firsts = (
        sa.select(
            c.customer,
            sa.func.min(c.at).label("first_at"),
            nth_least(c.at, 2).label("second_at"),
            sa.func.count().label("orders"),
        )
        .group_by(c.customer)
        .cte("first_orders")
        .prefix_with("MATERIALIZED")
    )
    return _as_journeys(firsts, cut, needs)


def first_contracts(cut: Cut, needs: Needs) -> sa.CTE:
    """Customers who signed a paid contract, in the shape of journeys whose commitment is that."""
    table = tables.facts["contract_signed"]
    c = table.c
    firsts = (
        sa.select(c.customer, sa.func.min(c.occurred_at).label("first_at"))
        .where(counts(table, cut), c.kind == "paid")
        .group_by(c.customer)
        .cte("first_contracts")
        .prefix_with("MATERIALIZED")
    )
    return _as_journeys(firsts, cut, needs)


def _as_journeys(firsts: sa.CTE, cut: Cut, needs: Needs) -> sa.CTE:
    """Customers with ``first_at``, in the shape of journeys, with all else there is of them."""
    joined: sa.FromClause = firsts
    more: list[ColumnElement[Any]] = [
        one for one in firsts.c if one.name not in {"customer", "first_at"}
    ]
    facts = Facts(cut, firsts)
    for needed, statement in ((needs.activity, activity(facts)), (needs.touch, first_touch(facts))):
        if needed:
            rows = statement.subquery()
            joined = joined.outerjoin(rows, rows.c.customer == firsts.c.customer)
            more += [column for column in rows.c if column.name != "customer"]
    nothing = sa.cast(sa.null(), sa.DateTime())
    stages = [
        (firsts.c.first_at if stage == "commitment" else nothing).label(f"{stage}_at")
        for stage in STAGES
    ]
    return (
        sa.select(
            firsts.c.customer,
            sa.literal_column("1", sa.BigInteger()).label("cycle"),
            *stages,
            nothing.label("lost_at"),
            sa.false().label("lost_inferred"),
            *more,
        )
        .select_from(joined)
        .cte("buyers")
        .prefix_with("MATERIALIZED")
    )


def cells_of(members: Members) -> sa.CTE:
    """Each customer with the keys of their cell."""
    keys, joined = members.keys_at(members.time("commitment"))
    return sa.select(members.journeys.c.customer, *keys).select_from(joined).cte("cells_of")
