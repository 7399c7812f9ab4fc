"""Who the good customers are, where they come from, and what is done about it."""

from __future__ import annotations

from bowtie_projections.parameters import AttributionAsked, LoopAsked, ProspectsAsked, StatusAsked
from bowtie_projections.profile_questions import ProfileAsked
from bowtie_projections.report import figures
from bowtie_projections.report.sections.shape import PROFILE, Ask, Drawn, Section
from bowtie_projections.report.tables import Shown

__all__ = ["ATTRIBUTION", "FINDINGS", "MISSING", "PROFILES", "PROSPECTS", "SOURCES"]

SOURCES = Section(
    "sources",
    "Where do good customers come from, and what do they cost?",
    "Where they come from",
    (
        Ask(
            "loop",
            LoopAsked,
            (
                Shown(
                    "Customers, cost and high value by the channel of the first touch",
                    (
                        "source", "spend", "customers", "mature", "high", "value",
                        "cost_per_customer", "cost_per_high", "months", "reason",
                    ),
                    part="sources",
                    most=20,
                ),
            ),
            figures=figures.of_sources,
            worth=True,
        ),
    ),
    (
        "Cost per high is the spend for the mature, by those of them who are of high value.",
        "Spend and customers are of the same months.",
        "A source without spend on record costs an unknown amount, not nothing.",
        "The first touch names the source; models that credit others stand below.",
    ),
    needs="commitments long ago enough to be judged, touches with a channel, and spend",
)  # fmt: skip

FINDINGS = Section(
    "loop",
    "What marks the good customers, from the day they came?",
    "What marks them",
    (
        Ask(
            "loop",
            LoopAsked,
            (
                Shown(
                    "What was known of customers when they came, and how often those are of high"
                    " value",
                    (
                        "trait", "level", "customers", "high", "high_rate", "high_rate_low",
                        "high_rate_high", "lift", "lift_low", "lift_high", "q", "replicated",
                        "verdict",
                    ),
                    most=20,
                ),
            ),
            drawn=Drawn(most=20),
            figures=figures.of_findings,
            worth=True,
        ),
    ),
    (
        "Every finding is an association: it says who they were, not what made them so.",
        "Lift: how many times as often as all customers they are of high value.",
        "A mark held in the newer customers too (replicated), and is unlikely to be chance (q).",
        "No finding is no proof that there is nothing: of more customers, there may be.",
    ),
    needs="commitments long ago enough to be judged, and traits or touches from before them",
)  # fmt: skip

ATTRIBUTION = Section(
    "attribution",
    "Which sources get the credit, model by model?",
    "Who gets the credit",
    (
        Ask(
            "attribution",
            AttributionAsked,
            (
                Shown(
                    "Commitments credited to each source; each column adds up to all of them",
                    pivot=("channel", "model", "wins"),
                    most=20,
                ),
                Shown(
                    "Spend for each credited commitment that is of high value",
                    pivot=("channel", "model", "cost_per_high"),
                    most=20,
                ),
            ),
            drawn=Drawn(),
            figures=figures.of_attribution,
            worth=True,
        ),
    ),
    (
        "A row whose cells differ is a source that the models argue about: none is the truth.",
        "Credit is for what was there before, and not for what would be missing without it.",
        "To know that takes an experiment, such as a holdout (bowtie profile).",
        "A dash is a source without spend on record, or without anybody of high value.",
    ),
    needs="touches with a channel before commitments",
)  # fmt: skip

PROFILES = Section(
    "profile",
    "Does going by a target profile pay?",
    "Target profiles",
    (
        Ask(
            "profile_history",
            ProfileAsked,
            (
                Shown(
                    "Each version: who fitted it before and while it ran, and what it did",
                    (
                        "profile", "starts_on", "ends_on", "fitting_share_before", "fitting_share",
                        "assigned", "mature", "conversion_effect", "conversion_effect_low",
                        "conversion_effect_high", "value_effect", "value_effect_low",
                        "value_effect_high", "reason",
                    ),
                ),
            ),
            {"profile": PROFILE},
        ),
    ),
    (
        "An effect is of those targeted less those held out, drawn by lot.",
        "What was before and while it ran is a trend, and no effect.",
    ),
    needs="a target profile with a holdout (bowtie profile publish --from-loop)",
)  # fmt: skip

PROSPECTS = Section(
    "prospects",
    "Who of the open prospects is worth working on?",
    "Open prospects",
    (
        Ask(
            "prospects",
            ProspectsAsked,
            (
                Shown(
                    "The best of the open prospects",
                    (
                        "customer", "rank", "stage", "lead_days", "p_win", "p_high",
                        "p_high_value", "expected", "source", "why_high",
                    ),
                    names_customers=True,
                ),
                Shown(
                    "How good such scores were on newer leads that they had not learnt from",
                    part="quality",
                ),
            ),
            {"most": 20},
            drawn=Drawn("deciles"),
            worth=True,
        ),
    ),
    (
        "A score is a model's guess, from what became of leads that looked the same.",
        "The chart holds what was foretold against what came.",
    ),
    always=False,
    needs="more leads whose outcome is known",
)  # fmt: skip

MISSING = Section(
    "missing",
    "What can't be answered yet, and what to record for it?",
    "What is missing",
    (
        Ask(
            "status",
            StatusAsked,
            (
                Shown(
                    "Views that lack something in the log",
                    ("view", "missing"),
                    part="views",
                    only=("answerable", False),
                ),
                Shown(
                    "Of how many customers anything of a kind is on record",
                    ("what", "customers", "of", "coverage"),
                    part="coverage",
                ),
            ),
        ),
    ),
    (
        "What is not on record did not happen, as far as these figures know.",
        "Where much is missing, they are of the part that is there.",
    ),
)
