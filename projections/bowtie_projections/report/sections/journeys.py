"""How customers move through the stages."""

from __future__ import annotations

from bowtie_projections.parameters import FlowAsked, FunnelAsked, StockAsked, VelocityAsked
from bowtie_projections.report import figures
from bowtie_projections.report.sections.shape import Ask, Drawn, Section
from bowtie_projections.report.tables import Shown

__all__ = ["FLOW", "FUNNEL", "STOCK", "VELOCITY"]

FUNNEL = Section(
    "funnel",
    "How do customers move through the bowtie?",
    "The bowtie",
    (
        Ask(
            "funnel",
            FunnelAsked,
            (
                Shown(
                    "Of those who entered a stage: how many came to the next, in time",
                    (
                        "stage", "entered", "reached_next", "lost", "expired", "pending", "mature",
                        "conversion", "conversion_low", "conversion_high", "days_p50", "days_p90",
                    ),
                ),
            ),
            drawn=Drawn(),
            figures=figures.of_funnel,
            by=True,
        ),
    ),
    (
        "Conversion is of the mature: those for whom the time to come to the next stage is over.",
        "Pending are still in time: not yet is not never.",
        "Entered = reached next + lost + expired + pending; the expired may still come, later.",
        "Behind a rate stands its interval: where it may well lie, given how few it is of (95%).",
    ),
    needs="events that enter a stage by the definition (bowtie definition check says which do)",
)  # fmt: skip

STOCK = Section(
    "stock",
    "Who stands where, and who is stuck?",
    "Where they stand",
    (
        Ask(
            "stock",
            StockAsked,
            (
                Shown(
                    "Who stands in each stage at this moment, and for how many days",
                    (
                        "stage", "customers", "days_p50", "days_p90", "stuck_after_days", "stuck",
                    ),
                ),
            ),
            drawn=Drawn(),
            figures=figures.of_stock,
            by=True,
        ),
    ),
    (
        "Stuck is who stands there longer than nine in ten of those took who moved on.",
        "Who is there now came at very different times: it is no conversion.",
    ),
    needs="events that enter a stage by the definition (bowtie definition check says which do)",
)  # fmt: skip

FLOW = Section(
    "flow",
    "Does more come in than before?",
    "What comes in",
    (
        Ask(
            "flow",
            FlowAsked,
            (
                Shown(
                    "Entries into each stage, by quarter",
                    pivot=("period", "stage", "entered"),
                    beside=("complete",),
                    most=-8,
                ),
            ),
            {"period": "quarter"},
            drawn=Drawn(),
            figures=figures.of_flow,
        ),
    ),
    (
        "Who enters two stages in one quarter are different people: dividing them converts nobody.",
        "A quarter that is not complete will still grow, and is not in the chart.",
    ),
    needs="events that enter a stage by the definition",
)

VELOCITY = Section(
    "velocity",
    "How long does each step take?",
    "How long it takes",
    (
        Ask(
            "velocity",
            VelocityAsked,
            (
                Shown(
                    "Days of those who made the step in time",
                    (
                        "step", "within", "entered", "mature", "moved", "moved_share",
                        "moved_share_low", "moved_share_high", "days_p25", "days_p50", "days_p75",
                        "days_p90",
                    ),
                ),
            ),
            {"cohort": "all"},
            figures=figures.of_velocity,
        ),
    ),
    (
        "Half of those who made the step took no longer than p50, nine in ten than p90.",
        "Days are of those who moved: where few did, they say little of all.",
    ),
    needs="events that enter a stage by the definition",
)  # fmt: skip
