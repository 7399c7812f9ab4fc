"""What customers bring: recurring revenue, second orders, and what they are worth."""

from __future__ import annotations

from bowtie_projections.parameters import RepeatAsked, RetentionAsked, RevenueAsked
from bowtie_projections.report import figures
from bowtie_projections.report.sections.shape import Ask, Drawn, Section
from bowtie_projections.report.tables import Shown
from bowtie_projections.worth_questions import ValueAsked

__all__ = ["REPEAT", "RETENTION", "REVENUE", "VALUE"]

REVENUE = Section(
    "revenue",
    "What recurring revenue is there, and what moves it?",
    "Recurring revenue",
    (
        Ask(
            "revenue",
            RevenueAsked,
            (
                Shown(
                    "Recurring revenue a month at the start and end of each quarter, and what"
                    " moved it",
                    (
                        "period", "currency", "start", "new", "expansion", "contraction", "churned",
                        "reactivated", "end", "customers_end", "complete",
                    ),
                    most=-8,
                ),
                Shown(
                    "Of the recurring revenue of a year before: what was kept",
                    ("period", "currency", "start_12m", "grr_12m", "nrr_12m"),
                    most=-8,
                ),
            ),
            {"every": "quarter"},
            drawn=Drawn(),
            figures=figures.of_revenue,
        ),
    ),
    (
        "grr (gross retention) is what was kept of a year before, without expansion.",
        "nrr (net retention) has expansion in it, and may be over 100%.",
        "Usage, orders and invoices are not in recurring revenue.",
    ),
    needs="contracts (contract_signed of kind paid)",
)  # fmt: skip

RETENTION = Section(
    "retention",
    "How many customers stay?",
    "Who stays",
    (
        Ask(
            "retention",
            RetentionAsked,
            (
                Shown(
                    "Of those old enough: who is still active at each age in months",
                    (
                        "age", "at_risk", "active", "retention", "retention_low", "retention_high",
                        "grr", "nrr",
                    ),
                    part="curve",
                    every=("age", (0, 1, 3, 6, 9, 12, 18, 24, 36, 48)),
                ),
            ),
            {"cohort": "quarter"},
            drawn=Drawn("curve"),
            figures=figures.of_retention,
        ),
    ),
    (
        "Each age is of the cohorts that are all so old: the older, the fewer are at risk.",
        "Some ages are shown; the command has each.",
    ),
    needs="contracts, orders or usage of customers who committed",
)  # fmt: skip

REPEAT = Section(
    "repeat",
    "How many order again?",
    "Second orders",
    (
        Ask(
            "repeat",
            RepeatAsked,
            (
                Shown(
                    "Of those whose time is over: who placed a second order in it",
                    (
                        "within", "customers", "mature", "repeated", "repeat_rate",
                        "repeat_rate_low", "repeat_rate_high", "days_p50", "days_p90",
                    ),
                ),
            ),
            {"cohort": "all"},
            figures=figures.of_repeat,
            by=True,
        ),
    ),
    (
        "What one customer orders on a day is one order.",
        "Each rate is of those whose time is over: the longer the time, the fewer.",
    ),
    needs="orders (order_placed)",
)  # fmt: skip

VALUE = Section(
    "value",
    "What is a customer worth?",
    "What they are worth",
    (
        Ask(
            "value",
            ValueAsked,
            (
                Shown(
                    "Value of those old enough, each over the same time of their own",
                    (
                        "customers", "mature", "paying", "high", "value", "value_mean",
                        "value_median", "value_p90", "top10_share", "top20_share",
                    ),
                ),
                Shown(
                    "Tiers: each customer is in one",
                    ("tier", "condition", "customers", "customers_share", "value", "value_share"),
                    part="tiers",
                ),
            ),
            figures=figures.of_value,
            by=True,
            worth=True,
        ),
    ),
    (
        "Each is judged over the same time of their own, so that none looks better for being old.",
        "Who is younger is left out, and counted.",
        "What it cost to win a customer is not in it: that stands with the sources.",
    ),
    needs="contracts, orders or invoices of customers who committed long enough ago",
)  # fmt: skip
