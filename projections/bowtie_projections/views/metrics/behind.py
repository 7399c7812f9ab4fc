"""The figure that each metric is taken from: of which view, and where in its answer it stands."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from itertools import pairwise
from typing import Any, NamedTuple

from bowtie.stages import Definition
from bowtie_projections.evidence import Evidence, Figure, every_parameter
from bowtie_projections.results import Result
from bowtie_projections.roster import Roster
from bowtie_projections.views import cohort_evidence, cohort_rosters
from bowtie_projections.views.cut import Cut, Reader
from bowtie_projections.views.funnel import funnel
from bowtie_projections.views.funnel.evidence import evidence as of_funnel
from bowtie_projections.views.funnel.roster import roster as funnel_roster
from bowtie_projections.views.metrics.editions import numbered
from bowtie_projections.views.metrics.pairs import pair_of
from bowtie_projections.views.metrics.right import PERIOD, SHARED
from bowtie_projections.views.metrics.view import NAMES
from bowtie_projections.views.revenue import revenue
from bowtie_projections.views.revenue.evidence import evidence as of_revenue
from bowtie_projections.views.revenue.roster import roster as revenue_roster
from bowtie_projections.views.value import evidence as value_evidence
from bowtie_projections.views.value import value
from bowtie_projections.views.velocity import velocity

__all__ = ["COMMITTED", "Behind", "behind"]

#: Right of the knot: of which stage the entries are.
_ENTERED = {"active": "onboarding", "live": "utilization"}
#: The money of the contracts that made the commitments.
COMMITTED = {"revenue_committed": "annual", "revenue_after_onboarding": "after"}
#: Of recurring revenue: the column, and that of whom it is of.
_RECURRING = {
    "recurring_revenue": ("end", "customers_end"),
    "gross_retention": ("grr_12m", None),
    "net_retention": ("nrr_12m", None),
}


class Source(NamedTuple):
    """A view that metrics are taken from.

    Attributes:
        view: itself.
        explain: what explains a figure of it.
        roster: everybody whom it counts.
    """

    view: Callable[..., Result]
    explain: Callable[[Figure], Evidence]
    roster: Callable[..., Roster]


_FUNNEL = Source(funnel, of_funnel, funnel_roster)
_VELOCITY = Source(velocity, cohort_evidence.velocity, cohort_rosters.velocity)
_VALUE = Source(value, value_evidence.evidence, value_evidence.roster)
_REVENUE = Source(revenue, of_revenue, revenue_roster)


class Behind(NamedTuple):
    """The figure that a metric is taken from.

    Attributes:
        source: its view.
        definition: by which it is asked.
        cell: what names its row; the last one, where several are left.
        columns: where the metric's ``value`` and its ``of`` stand; empty where it has none there.
        given: what the view is asked.
    """

    source: Source
    definition: Definition
    cell: Mapping[str, Any]
    columns: tuple[str, str | None]
    given: Mapping[str, Any]

    def asked(self) -> dict[str, Any]:
        """All parameters of the view."""
        return every_parameter(self.source.view, self.given)

    def rows(self, reader: Reader, cut: Cut) -> list[dict[str, Any]]:
        """The answer that the figure stands in."""
        return self.source.view(reader, cut, self.definition, **self.asked()).rows()

    def row(self, rows: list[dict[str, Any]]) -> dict[str, Any]:
        """Its row of them."""
        wanted = self.cell.items()
        return [one for one in rows if all(one[name] == value for name, value in wanted)][-1]


def behind(definition: Definition, asked: Mapping[str, Any], currency: Any) -> dict[str, Behind]:
    """By metric the figure that it is taken from, of those that are taken from one.

    Args:
        definition: of the metrics.
        asked: the parameters of the metrics, without the edition.
        currency: of money, which one.
    """
    return dict(_left(definition, asked)) | dict(_right(definition, asked, currency))


def _left(definition: Definition, asked: Mapping[str, Any]) -> Iterator[tuple[str, Behind]]:
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
        of = partial(Behind, _FUNNEL, by)
        yield f"{first.name}s", of({"stage": start}, ("entered", None), asked)
        yield f"{second.name}s", of({"stage": end}, ("entered", None), asked)
        step = f"{first.name}_to_{second.name}"
        yield aliases.get(step, step), of({"stage": start}, ("conversion", "mature"), asked)
        days = f"{step}_days"
        yield aliases.get(days, days), of({"stage": start}, ("days_p50", None), asked)


def _right(
    definition: Definition, asked: Mapping[str, Any], currency: Any
) -> Iterator[tuple[str, Behind]]:
    """The figures of the other views."""

    def own(*names: str, **more: Any) -> dict[str, Any]:
        return {name: asked[name] for name in names} | more

    for metric, stage in _ENTERED.items():
        entered = Behind(_FUNNEL, definition, {"stage": stage}, ("entered", None), asked)
        yield metric, entered
    step, period = "commitment_to_first_impact", (*SHARED, *PERIOD)
    yield step, Behind(
        _VELOCITY, definition, {"step": step}, ("days_p50", None),
        own(*period, "within", cohort="all"),
    )  # fmt: skip
    yield (
        "lifetime_revenue",
        Behind(_VALUE, definition, {}, ("realised", "customers"), own(*period)),
    )
    for metric, columns in _RECURRING.items():
        over = {} if metric == "recurring_revenue" else {"complete": True}
        yield metric, Behind(
            _REVENUE, definition, {"currency": currency, **over}, columns,
            own(*SHARED, "to", per="year"),
        )  # fmt: skip
