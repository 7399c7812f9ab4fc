"""What is asked of findings once there are any: pairs, value, sources, and who has them now."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import comb
from typing import Any

import sqlalchemy as sa

from bowtie.stages import STAGES
from bowtie_projections.views.loop.counts import MISSING, Totals
from bowtie_projections.views.loop.findings import Finding, Judged
from bowtie_projections.views.loop.pairs import Pairs, assess_pair, beam
from bowtie_projections.views.loop.population import Population
from bowtie_projections.views.loop.traced import Leveling, Traced

__all__ = [
    "MOST_TRACED",
    "PROSPECTS",
    "assess_pairs",
    "prospect_rows",
    "prospects_of",
    "traced_findings",
]

#: Of so many findings it is told what they were worth, where they came from, and who has them now.
MOST_TRACED = 20
PROSPECTS = (
    "trait", "level", "verdict", "prospects", "share_of_prospects", "share_of_customers", "reason",
)  # fmt: skip
_FOUND = ("mark", "anti-mark", "not replicated", "can't tell")


def traced_findings(rows: Sequence[Finding]) -> list[Finding]:
    """The findings that are traced: the first of them."""
    return [row for row in rows if row["verdict"] in _FOUND][:MOST_TRACED]


def assess_pairs(
    population: Population,
    leveling: Leveling,
    tested: Sequence[Judged],
    totals: Totals,
    effect: float,
) -> Pairs:
    """The pairs of the traits with the smallest p, tested and not yet corrected.

    Args:
        population: of the question.
        leveling: of all traits that were tested.
        tested: the traits.
        totals: of all.
        effect: how many units count for one.
    """
    best = [tested[place].trait for place in beam([one.p for one in tested])]
    all_pairs = comb(sum(one.p is not None for one in tested), 2)
    gain = float(population.question.least_gain)
    if len(best) < 2:
        return Pairs([], 0, gain)
    traced = Traced.of(population, Leveling(leveling.observed, leveling.bins, best))
    found = [assess_pair(pair, gain, effect) for pair in traced.pairs(totals)]
    return Pairs(found, all_pairs - len(found), gain)


def prospects_of(population: Population, lead: str) -> sa.CTE:
    """Those who may still buy: who entered the lead stage or the next ones, and stand there.

    They never committed, and are not lost. What is known of them is asked of the moment of the cut.

    Args:
        population: of the question.
        lead: the stage that makes a lead.

    Returns:
        ``customer``; ``t0``, that moment; and when each stage before the commitment was first
        entered, such as ``selection_at``.
    """
    c = population.journeys.c
    before = STAGES[STAGES.index(lead) : STAGES.index("commitment")]
    entered = {f"{stage}_at": sa.func.min(c[f"{stage}_at"]) for stage in before}
    came = [at <= sa.literal(population.end) for at in entered.values()]
    still_open = sa.func.max(sa.case((c.lost_at.is_(None), 1), else_=0)) == 1
    return (
        sa.select(
            c.customer,
            sa.literal(population.end, sa.DateTime()).label("t0"),
            *(at.label(name) for name, at in entered.items()),
        )
        .group_by(c.customer)
        .having(sa.or_(sa.false(), *came), sa.func.min(c.commitment_at).is_(None), still_open)
        .cte("prospects")
    )


def prospect_rows(
    population: Population, leveling: Leveling, lead: str, findings: Sequence[Finding]
) -> list[dict[str, Any]]:
    """For each finding, how many of those who may still buy have it now.

    Args:
        population: of the question.
        leveling: of the traits that are findings.
        lead: the stage that makes a lead.
        findings: in their order.
    """
    leads = prospects_of(population, lead)
    reader = population.units.reader
    everybody = reader.fetch(sa.select(sa.func.count()).select_from(leads)).column(0)[0].as_py()
    levels = leveling.rows(leads).subquery("levels_now").c
    counted = sa.select(levels.name, levels.level, sa.func.count().label("prospects"))
    rows = reader.fetch(counted.group_by(levels.name, levels.level)).to_pylist()
    found: dict[tuple[str, str], int] = {}
    for row in rows:
        if row["level"] is not None:
            found[row["name"], row["level"]] = row["prospects"]
    known: dict[str, int] = {}
    for (name, _), number in found.items():
        known[name] = known.get(name, 0) + number
    return [_prospects(finding, found, known, everybody) for finding in findings]


def _prospects(
    finding: Finding,
    found: Mapping[tuple[str, str], int],
    known: Mapping[str, int],
    everybody: int,
) -> dict[str, Any]:
    trait, level = finding["trait"], finding["level"]
    number = found.get((trait, level), 0)
    if level == MISSING:
        number = everybody - known.get(trait, 0)
    reason = None
    if not everybody:
        reason = "nobody is a prospect at this moment"
    return {name: finding[name] for name in ("trait", "level", "verdict", "share_of_customers")} | {
        "prospects": number,
        "share_of_prospects": number / everybody if everybody else None,
        "reason": reason,
    }
