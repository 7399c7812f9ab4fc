"""Whose open opportunities make a figure of the pipeline, and what names them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import sqlalchemy as sa
from sqlalchemy.sql.elements import ColumnElement

from bowtie.errors import UsageError
from bowtie_projections.evidence import Evidence, Figure, Trace, has_values, not_explained
from bowtie_projections.views.funnel.members import QUANTILES
from bowtie_projections.views.opportunities import namings
from bowtie_projections.views.pipeline.view import (
    counts_of,
    history_of,
    owners_of,
    placed_ones,
    values_apart,
)
from bowtie_projections.views.stock.places import PLACES

__all__ = ["evidence"]

_COUNTS = ("opportunities", "valued", "judged", "overdue")
#: Sums of amounts, and of whose.
_OF_SUMS = {"amount": "valued", "overdue_amount": "overdue"}
_COLUMNS = ("stage", "currency", *_COUNTS, *_OF_SUMS, "expected", *QUANTILES)


def evidence(figure: Figure) -> Evidence:
    """Whose the open opportunities are, and all that names them.

    Args:
        figure: of the row of the pipeline; its column is a number of opportunities, or a
            sum of their amounts.

    Raises:
        UsageError: no members stand behind the column.
    """
    cell, column = figure.cell, figure.column
    asked = dict(figure.asked)
    personal_names, listed = asked.pop("personal_names"), asked.pop("opportunities")
    if listed is not None:
        raise UsageError("opportunities lists the single ones already; ask without it")
    if column not in (*_COUNTS, *_OF_SUMS):
        raise not_explained(column, (*_COUNTS, *_OF_SUMS), "chances are learnt from all of them")
    units, customers = owners_of(
        figure.reader, figure.cut, figure.definition, asked, personal_names
    )
    customers = replace(customers, kept=values_apart(units, customers))
    rows = placed_ones(customers).order_by(None).subquery("placed_ones")
    c = rows.c
    own: list[ColumnElement[bool]] = [
        c.place == PLACES.index(cell["stage"]),
        c.currency.is_not_distinct_from(cell["currency"]),
        has_values(rows, customers.dimensions, customers.kept, cell, _COLUMNS),
    ]
    counts = counts_of(c, customers, history_of(units, customers))
    own.append(counts[_OF_SUMS.get(column, column)])
    chosen = sa.select(rows).where(*own).cte("chosen").prefix_with("MATERIALIZED")
    o = chosen.c
    members = (
        sa.select(
            o.customer, sa.func.count().label("number"), sa.func.sum(o.amount).label("amount")
        )
        .group_by(o.customer)
        .cte("owners_of_chosen")
    )
    named = namings(customers.cut)
    same = sa.and_(named.c.customer == o.customer, named.c.opportunity == o.opportunity)
    facts = sa.select(o.customer, named.c.position).select_from(chosen.join(named, same))
    total = sa.func.sum(members.c.amount if column in _OF_SUMS else members.c.number)
    value = sa.func.coalesce(total, 0)
    kind: Any = sa.Numeric(38, 6) if column in _OF_SUMS else sa.BigInteger()
    return Evidence(
        units,
        customers.cut,
        figure.definition,
        members,
        [Trace.facts("names an open opportunity", facts.subquery("naming_chosen"))],
        sa.cast(value, kind),
    )
