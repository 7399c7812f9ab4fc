"""The views whose figures can be explained, and those whose answers can be compared."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from bowtie_projections.evidence import Evidence, Figure
from bowtie_projections.results import Result
from bowtie_projections.roster import Roster
from bowtie_projections.views import cohort_evidence, cohort_rosters, rfm_evidence, status_evidence
from bowtie_projections.views.attribution import attribution
from bowtie_projections.views.attribution.evidence import evidence as attribution_evidence
from bowtie_projections.views.attribution.roster import roster as attribution_roster
from bowtie_projections.views.bottleneck import bottleneck
from bowtie_projections.views.bottleneck.evidence import evidence as bottleneck_evidence
from bowtie_projections.views.clv import clv
from bowtie_projections.views.clv.evidence import evidence as clv_evidence
from bowtie_projections.views.flow import flow
from bowtie_projections.views.funnel import funnel
from bowtie_projections.views.funnel.evidence import evidence as funnel_evidence
from bowtie_projections.views.funnel.roster import roster as funnel_roster
from bowtie_projections.views.loop import evidence as loop_evidence
from bowtie_projections.views.loop import loop
from bowtie_projections.views.loop.roster import roster as loop_roster
from bowtie_projections.views.metrics import metrics
from bowtie_projections.views.metrics.evidence import evidence as metrics_evidence
from bowtie_projections.views.metrics.roster import roster as metrics_roster
from bowtie_projections.views.paths import evidence as paths_evidence
from bowtie_projections.views.paths import paths
from bowtie_projections.views.pipeline import pipeline
from bowtie_projections.views.pipeline.evidence import evidence as pipeline_evidence
from bowtie_projections.views.pipeline.roster import roster as pipeline_roster
from bowtie_projections.views.profile import evidence as profile_evidence
from bowtie_projections.views.profile import profile_evaluation, profile_history
from bowtie_projections.views.prospects import prospects
from bowtie_projections.views.prospects.evidence import evidence as prospects_evidence
from bowtie_projections.views.referrals import evidence as referrals_evidence
from bowtie_projections.views.referrals import partners, referrals
from bowtie_projections.views.repeat import repeat
from bowtie_projections.views.retention import retention
from bowtie_projections.views.revenue import revenue
from bowtie_projections.views.revenue.evidence import evidence as revenue_evidence
from bowtie_projections.views.revenue.roster import roster as revenue_roster
from bowtie_projections.views.rfm import rfm
from bowtie_projections.views.status import status
from bowtie_projections.views.steps import steps
from bowtie_projections.views.steps.evidence import evidence as steps_evidence
from bowtie_projections.views.stock import stock
from bowtie_projections.views.stock.evidence import evidence as stock_evidence
from bowtie_projections.views.stock.roster import roster as stock_roster
from bowtie_projections.views.touchpoints import touchpoints
from bowtie_projections.views.touchpoints.evidence import evidence as touchpoints_evidence
from bowtie_projections.views.value import evidence as value_evidence
from bowtie_projections.views.value import value
from bowtie_projections.views.velocity import velocity

__all__ = ["EVIDENCE", "Explained"]


@dataclass(frozen=True, slots=True)
class Explained:
    """A view whose figures can be explained.

    Args:
        view: the view itself.
        evidence: what stands behind a cell of it (see :mod:`bowtie_projections.evidence`).
        parts: of further tables that have evidence too, theirs.
        roster: everybody whom an answer of it counts, where two answers can be compared.
        nobodys: of further tables that are of nobody alone, what to explain instead.
    """

    view: Callable[..., Result]
    evidence: Callable[[Figure], Evidence]
    parts: Mapping[str, Callable[[Figure], Evidence]] = field(default_factory=dict)
    roster: Callable[..., Roster] | None = None
    nobodys: Mapping[str, str] = field(default_factory=dict)


#: Of figures that no event stands behind.
_LEARNT = "is learnt from all customers together: explain"
#: The views that can be explained, by name.
EVIDENCE: dict[str, Explained] = {
    "funnel": Explained(funnel, funnel_evidence, roster=funnel_roster),
    "steps": Explained(steps, steps_evidence),
    "stock": Explained(stock, stock_evidence, roster=stock_roster),
    "flow": Explained(flow, cohort_evidence.flow, roster=cohort_rosters.flow),
    "velocity": Explained(velocity, cohort_evidence.velocity, roster=cohort_rosters.velocity),
    "retention": Explained(
        retention,
        cohort_evidence.retention,
        {"curve": cohort_evidence.retention},
        roster=cohort_rosters.retention,
    ),
    "repeat": Explained(repeat, cohort_evidence.repeat, roster=cohort_rosters.repeat),
    "revenue": Explained(revenue, revenue_evidence, roster=revenue_roster),
    "paths": Explained(
        paths,
        paths_evidence.evidence,
        {"moves": paths_evidence.moves, "sequences": paths_evidence.sequences},
    ),
    "bottleneck": Explained(bottleneck, bottleneck_evidence),
    "touchpoints": Explained(touchpoints, touchpoints_evidence),
    "pipeline": Explained(pipeline, pipeline_evidence, roster=pipeline_roster),
    "value": Explained(
        value,
        value_evidence.evidence,
        {"tiers": value_evidence.tiers},
        roster=value_evidence.roster,
    ),
    "clv": Explained(
        clv,
        clv_evidence,
        nobodys={
            "models": f"what was fitted {_LEARNT} the customers or purchases of a row",
            "holdout": f"what was expected {_LEARNT} customers as of the day before instead",
        },
    ),
    "rfm": Explained(
        rfm,
        rfm_evidence.evidence,
        {"movement": rfm_evidence.movement},
        roster=rfm_evidence.roster,
    ),
    "referrals": Explained(
        referrals, referrals_evidence.evidence, {"depth": referrals_evidence.depth}
    ),
    "partners": Explained(partners, referrals_evidence.partners),
    "prospects": Explained(
        prospects,
        prospects_evidence,
        nobodys=dict.fromkeys(
            ("quality", "deciles", "weights"),
            "it is of what all leads teach together: explain the chances of a prospect instead",
        ),
    ),
    "profile_evaluation": Explained(
        profile_evaluation,
        profile_evidence.evaluation,
        nobodys={
            "trend": "it is of prospects who came, assigned or not: explain the arms instead",
            "subgroups": "its effects are of both arms: explain the arms, within where= a level",
            "interaction": "it compares effects: explain the arms, within where= a level",
        },
    ),
    "profile_history": Explained(profile_history, profile_evidence.history),
    "metrics": Explained(metrics, metrics_evidence, roster=metrics_roster),
    "attribution": Explained(attribution, attribution_evidence, roster=attribution_roster),
    "loop": Explained(
        loop,
        loop_evidence.evidence,
        {
            "sources": loop_evidence.sources,
            "traits": loop_evidence.traits,
            "pairs": loop_evidence.pairs,
            "values": loop_evidence.values,
            "origins": loop_evidence.origins,
            "prospects": loop_evidence.prospects,
        },
        roster=loop_roster,
    ),
    "status": Explained(
        status,
        status_evidence.types,
        {
            "sources": status_evidence.sources,
            "months": status_evidence.months,
            "coverage": status_evidence.coverage,
        },
    ),
}
