"""Who is behind a metric: whoever is behind the figure of the view that it is taken from."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from functools import partial
from itertools import pairwise
from typing import Any, NamedTuple

import sqlalchemy as sa

from bowtie.errors import UsageError
from bowtie.stages import Definition
from bowtie_projections.evidence import Evidence, Figure, Trace, every_parameter
from bowtie_projections.results import Result
from bowtie_projections.views import cohort_evidence
from bowtie_projections.views.funnel import funnel
from bowtie_projections.views.funnel.evidence import evidence as of_funnel
from bowtie_projections.views.metrics.editions import numbered
from bowtie_projections.views.metrics.pairs import pair_of
from bowtie_projections.views.metrics.right import PERIOD, SHARED, Right
from bowtie_projections.views.metrics.view import NAMES
from bowtie_projections.views.revenue import revenue
from bowtie_projections.views.revenue.evidence import evidence as of_revenue
from bowtie_projections.views.value import value
from bowtie_projections.views.value.evidence import evidence as of_value
from bowtie_projections.views.velocity import velocity

__all__ = ["evidence"]

#: Right of the knot: of which stage the entries are.
_ENTERED = {"active": "onboarding", "live": "utilization"}
#: The money of the contracts that made the commitments.
_COMMITTED = {"revenue_committed": "annual", "revenue_after_onboarding": "after"}
#: Of recurring revenue: the column, and that of whom it is of.
_RECURRING = {
    "recurring_revenue": ("end", "customers_end"),
    "gross_retention": ("grr_12m", None),
    "net_retention": ("nrr_12m", None),
}


class _Behind(NamedTuple):
    """The figure that a metric is taken from.

    Attributes:
        view: its view.
        explain: what explains a figure of that.
        definition: by which it is asked.
        cell: what names its row; the last one, where several are left.
        columns: where the metric's ``value`` and its ``of`` stand; empty where it has none there.
        given: what the view is asked.
    """

    view: Callable[..., Result]
    explain: Callable[[Figure], Evidence]
    definition: Definition
    cell: Mapping[str, Any]
    columns: tuple[str, str | None]
    given: Mapping[str, Any]


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
    if metric in _COMMITTED and column in {"value", "of"}:
        right = Right(figure.reader, figure.cut, figure.definition, asked, {})
        return _committed(right, str(cell["currency"]), _COMMITTED[metric], column)
    known = dict(_left(figure.definition, asked)) | dict(
        _right(figure.definition, asked, cell["currency"])
    )
    behind = known.get(metric)
    own = None if behind is None else behind.columns[0 if column == "value" else 1]
    if behind is None or own is None or column not in {"value", "of"}:
        raise UsageError(
            f"{column} of {metric} has no members to name: explain the value (or of whom it is) of"
            f" one of: {', '.join([*known, *_COMMITTED])}"
        )
    given = every_parameter(behind.view, behind.given)
    rows = behind.view(figure.reader, figure.cut, behind.definition, **given).rows()
    wanted = behind.cell.items()
    row = [one for one in rows if all(one[name] == value for name, value in wanted)][-1]
    found = behind.explain(Figure(figure.reader, figure.cut, behind.definition, given, row, own))
    if metric != "recurring_revenue" or column != "value":
        return found
    return _by_the_month(found, 12 if cell["unit"] == "money a month" else 1)


def _left(definition: Definition, asked: Mapping[str, Any]) -> Iterator[tuple[str, _Behind]]:
    """The funnel's figures, by milestones."""
    aliases = {}
    for place, pair in enumerate(pairwise(numbered(definition)), start=1):
        for kind, ending in (("CR", ""), ("dt", "_days")):
            name = "_to_".join(pair) + ending
            aliases[name] = NAMES.get(f"{kind}{place}", name)
    for first, second in pairwise(definition.milestones):
        dealt = pair_of(definition, first, second)
        if isinstance(dealt, str):
            continue
        by, start, end = dealt
        of = partial(_Behind, funnel, of_funnel, by)
        yield f"{first.name}s", of({"stage": start}, ("entered", None), asked)
        yield f"{second.name}s", of({"stage": end}, ("entered", None), asked)
        step = f"{first.name}_to_{second.name}"
        yield aliases.get(step, step), of({"stage": start}, ("conversion", "mature"), asked)
        days = f"{step}_days"
        yield aliases.get(days, days), of({"stage": start}, ("days_p50", None), asked)


def _right(
    definition: Definition, asked: Mapping[str, Any], currency: Any
) -> Iterator[tuple[str, _Behind]]:
    """The figures of the other views."""

    def own(*names: str, **more: Any) -> dict[str, Any]:
        return {name: asked[name] for name in names} | more

    for metric, stage in _ENTERED.items():
        entered = _Behind(funnel, of_funnel, definition, {"stage": stage}, ("entered", None), asked)
        yield metric, entered
    step, period = "commitment_to_first_impact", (*SHARED, *PERIOD)
    yield step, _Behind(
        velocity, cohort_evidence.velocity, definition, {"step": step}, ("days_p50", None),
        own(*period, "within", cohort="all"),
    )  # fmt: skip
    yield (
        "lifetime_revenue",
        _Behind(value, of_value, definition, {}, ("realised", "customers"), own(*period)),
    )
    for metric, columns in _RECURRING.items():
        over = {} if metric == "recurring_revenue" else {"complete": True}
        yield metric, _Behind(
            revenue, of_revenue, definition, {"currency": currency, **over}, columns,
            own(*SHARED, "to", per="year"),
        )  # fmt: skip


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
