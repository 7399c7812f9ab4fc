"""Of whom something is expected, and what the models were told of them.

What is expected of a customer is learnt from all together, and no event says it; but the events are
known from which the model was told of that one customer.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from fractions import Fraction
from typing import Any

import numpy as np
import sqlalchemy as sa
from numpy.typing import NDArray

from bowtie_projections import tables
from bowtie_projections.contracts import Rates, rates
from bowtie_projections.evidence import Evidence, Figure, Trace, not_explained
from bowtie_projections.expressions import rows_given
from bowtie_projections.value import contract_facts
from bowtie_projections.views.clv.forecast import Forecast, cents
from bowtie_projections.views.clv.view import Predicting, foretold
from bowtie_projections.views.cut import counts
from bowtie_projections.views.telling import breakdowns, with_breakdowns
from bowtie_projections.views.units import Units

__all__ = ["evidence", "expected_note", "of_cents", "told_to_the_model"]

_SUMS = ("purchases", "expected_purchases", "predicted_value")
_MEANS = ("recency_days", "age_days", "alive", "predicted_mean")
_EXPECTED = {"alive", "expected_purchases", "predicted_value", "predicted_mean"}


def evidence(figure: Figure) -> Evidence:
    """The customers of a row, or the one whose row it is, and what the models were told of them.

    Args:
        figure: of the row; its column is ``customers``, or one of their sums and means.

    Raises:
        UsageError: no members stand behind the column.
    """
    column = figure.column
    predicting, rows = foretold(figure.reader, figure.cut, figure.definition, figure.asked)
    found, who = rows.found, predicting.question.who
    known = (*_SUMS, *_MEANS[:-1]) if who else ("customers", *_SUMS, *_MEANS)
    if column not in known:
        raise not_explained(column, known)
    units, cut = predicting.units, predicting.cut
    own = _row_of(units, found, figure.cell) if who else rows.of_cell(figure.cell)
    figures = None if column == "customers" else _figures(found, column)
    members, told = _foretold_members(found, own, figures), []
    if rows.members is not None:
        members = with_breakdowns(rows.members, members, "commitment").cte("told_of")
        told = breakdowns(members, rows.members)
    value = None if figures is None else sa.func.sum(members.c.figure)
    return Evidence(
        units, cut, figure.definition, members,
        [*told, *told_to_the_model(found.of, predicting, members)],
        value,
        finish=_finish(column, who=who),
        mean=column in _MEANS and not who,
        notes=[expected_note(predicting, found)] if column in _EXPECTED else [],
    )  # fmt: skip


def _foretold_members(
    found: Forecast, own: NDArray[np.bool_], figures: NDArray[Any] | None
) -> sa.CTE:
    """Some customers of a forecast, each with its ``figure``.

    Args:
        found: the forecast.
        own: which of its customers.
        figures: of all of them, whole numbers or doubles; None where they are only counted.
    """
    import pyarrow as pa

    keys: list[Any] = found.customers.filter(pa.array(own)).to_pylist()
    if figures is None:
        return rows_given("foretold", {"customer": sa.String()}, ([key] for key in keys)).once()
    whole = np.issubdtype(figures.dtype, np.integer)
    kinds = {"customer": sa.String(), "figure": sa.BigInteger() if whole else sa.Double()}
    return rows_given("foretold", kinds, zip(keys, figures[own].tolist(), strict=True)).once()


def told_to_the_model(of: str, predicting: Predicting, members: sa.CTE) -> list[Trace]:
    """The events that a model of orders or of contracts was told of some customers."""
    cut = predicting.cut
    inside = sa.select(members.c.customer)
    if of == "orders":
        table = tables.facts["order_placed"]
        c = table.c
        orders = sa.select(c.customer, c.position).where(
            counts(table, cut), c.kind.in_(("order", "exchange")), c.customer.in_(inside)
        )
        return [Trace.facts("order", orders.subquery("ordered"))]
    read = Rates(cut, predicting.today, predicting.question.tz, "told_")
    spans = rates(read, members).subquery("told_spans").c
    in_force = sa.or_(spans.to_on.is_(None), spans.to_on >= spans.from_on)
    contracts = sa.select(spans.customer, spans.contract).where(in_force).distinct()
    facts = contract_facts(contracts.cte("told_contracts"), cut)
    return [Trace.facts("contract", facts.subquery("contracted"))]


def expected_note(predicting: Predicting, found: Forecast) -> str:
    """That the figure is a model's, and what the events are."""
    models = " and ".join(one.name for one in found.models)
    expect = "expects" if len(found.models) == 1 else "expect"
    more = "; what is given back is taken off as one share of all orders"
    many = predicting.units.count(len(found.age))
    return (
        f"It is what {models}, fitted to {many} together, {expect} of these: the events are what"
        f" the model was told of each{more if found.of == 'orders' else ''}."
    )


def of_cents(number: Any) -> Any:
    """Money, from cents."""
    exact = Fraction(number)
    return round(Decimal(exact.numerator) / exact.denominator / 100, 6)


def _finish(column: str, *, who: bool) -> Any:
    if column.startswith("predicted_"):
        return of_cents
    return float if column in _MEANS or who else None


def _figures(found: Forecast, column: str) -> NDArray[Any]:
    """What a column adds up, or is the mean of."""
    if column.startswith("predicted_"):
        return cents(found.value)
    names = {"recency_days": "recency", "age_days": "age", "expected_purchases": "expected"}
    return np.asarray(getattr(found, names.get(column, column)))


def _row_of(units: Units, found: Forecast, row: Mapping[str, Any]) -> NDArray[np.bool_]:
    """The one customer of a row."""
    import pyarrow as pa

    keys = units.by_name(pa.table({"customer": found.customers}))
    named: list[dict[str, Any]] = keys.to_pylist()
    return np.array([all(row[name] == one[name] for name in one) for one in named], bool)
