"""Who is behind a metric: whoever is behind the figure of the view that it is taken from."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import sqlalchemy as sa

from bowtie.errors import UsageError
from bowtie_projections.evidence import Evidence, Figure, Trace
from bowtie_projections.views.metrics.behind import COMMITTED, behind
from bowtie_projections.views.metrics.right import Right

__all__ = ["evidence"]


def evidence(figure: Figure) -> Evidence:
    """Who is behind a metric, as the view behind it names them.

    Args:
        figure: of the row of the metric; its column is its ``value``, or whom a share is
            ``of``.

    Raises:
        UsageError: no members stand behind the column; the metric is made of several figures.
    """
    cell, column = figure.cell, figure.column
    asked = dict(figure.asked)
    del asked["edition"]
    metric = str(cell["metric"])
    if metric in COMMITTED and column in {"value", "of"}:
        right = Right(figure.reader, figure.cut, figure.definition, asked, {})
        return _committed(right, str(cell["currency"]), COMMITTED[metric], column)
    known = behind(figure.definition, asked, cell["currency"])
    taken = known.get(metric)
    own = None if taken is None else taken.columns[0 if column == "value" else 1]
    if taken is None or own is None or column not in {"value", "of"}:
        raise UsageError(
            f"{column} of {metric} has no members to name: explain the value (or of whom it is) of"
            f" one of: {', '.join([*known, *COMMITTED])}"
        )
    row = taken.row(taken.rows(figure.reader, figure.cut))
    found = taken.source.explain(
        Figure(figure.reader, figure.cut, taken.definition, taken.asked(), row, own)
    )
    if metric != "recurring_revenue" or column != "value":
        return found
    return _by_the_month(found, 12 if cell["unit"] == "money a month" else 1)


def _by_the_month(found: Evidence, parts: int) -> Evidence:
    """What is told of a year, told of a month."""
    finish = found.finish

    def told(figure: Any) -> float:
        return float((figure if finish is None else finish(figure)) / parts)

    return replace(found, finish=told)


def _committed(right: Right, currency: str, name: str, column: str) -> Evidence:
    """Who committed with a contract of a currency, by that contract."""
    members, rows = right.members, right.contracts().subquery("contracts")
    c = rows.c
    own = c.currency == currency
    signed = sa.select(c.customer, c.position).where(own).subquery("signed")
    told = (
        sa.select(c.customer, c.at, sa.func.sum(c[name]).label("annual"))
        .where(own)
        .group_by(c.customer, c.at)
        .cte("told")
        .prefix_with("MATERIALIZED")
    )
    traces = [
        Trace.entry("commitment", told.c["at"]), Trace.facts("the contract committed to", signed)
    ]  # fmt: skip
    total = None if column == "of" else sa.func.sum(told.c.annual)
    finish = None if total is None else lambda annual: float(annual / 12)
    return Evidence(
        members.units, members.cut, right.definition, told, traces, total, finish=finish
    )
