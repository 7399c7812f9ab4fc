"""Which levels of which traits go with high value: tests, correction, verdicts.

One test a trait (two levels: the stratified test; more: the omnibus test), corrected over all of
them. Where a trait with more levels is a finding, its levels are tested one by one, and pay for
having been picked.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from bowtie_projections import statistics
from bowtie_projections.stratified import Strata, deflated, omnibus
from bowtie_projections.views.loop.counts import Totals, TraitCounts

__all__ = ["COLUMNS", "FEWEST", "VERDICTS", "Finding", "Judged", "findings", "judge_traits"]

Counts = NDArray[np.int64]

#: A level with fewer customers, in it or outside of it, says nothing.
FEWEST = 30
#: The false discovery rate of findings, and the level of their replication.
RATE = 0.05
#: With less power than this, a replication that failed says nothing.
POWER = 0.5
#: What can be said of a level, the strongest first: the order of the rows.
VERDICTS = (
    "mark", "anti-mark", "not replicated", "can't tell", "no finding", "insufficient", "leak",
)  # fmt: skip
COLUMNS = (
    "trait", "level", "customers", "high", "high_rate", "high_rate_low", "high_rate_high", "lift",
    "lift_low", "lift_high", "risk_ratio", "odds_ratio", "p", "q", "share_of_customers",
    "share_of_high", "sign_change", "replicated", "verdict",
)  # fmt: skip

Finding = dict[str, Any]


@dataclass(slots=True)
class Judged:
    """One trait and its test.

    Args:
        trait: its counts.
        test: ``two levels``, ``omnibus``, or None where nothing can be compared.
        p: stratified by acquisition quarter and motion.
        p_crude: of all strata thrown together; shown, not corrected on.
        q: corrected over all tests.
        single: of each level against the rest, where the omnibus test is a finding: (p, q).
    """

    trait: TraitCounts
    test: Literal["two levels", "omnibus"] | None = None
    p: float | None = None
    p_crude: float | None = None
    q: float | None = None
    single: dict[int, tuple[float, float]] = field(default_factory=dict)


def judge_traits(
    traits: Sequence[TraitCounts], totals: Totals, effect: float = 1.0
) -> list[Judged]:
    """Each trait tested and corrected over all; then the levels of those that are findings.

    Args:
        traits: the counts of each.
        totals: of all.
        effect: how many units count for one, where they are of few accounts.
    """
    tested = [_test(trait, effect) for trait in traits]
    run = [one for one in tested if one.p is not None]
    q = statistics.benjamini_hochberg([one.p for one in run if one.p is not None])
    for one, value in zip(run, q.tolist(), strict=True):
        one.q = value
    selected = [one for one in run if one.q is not None and one.q <= RATE]
    for one in selected:
        if one.test == "omnibus":
            _test_levels(one, totals, effect, families=len(run), selected=len(selected))
    return tested


def _test(trait: TraitCounts, effect: float) -> Judged:
    customers, high = _overall(trait.counts)
    enough = customers.sum(axis=1) >= FEWEST
    # the small ones, thrown together, are a level too if they are enough
    rest_n, rest_high = customers[~enough].sum(axis=0), high[~enough].sum(axis=0)
    n, k = customers[enough], high[enough]
    if rest_n.sum() >= FEWEST:
        n, k = np.vstack([n, rest_n]), np.vstack([k, rest_high])
    if len(n) < 2:
        return Judged(trait)
    return Judged(
        trait,
        test="two levels" if len(n) == 2 else "omnibus",
        p=deflated(omnibus(k, n), effect, len(n) - 1),
        p_crude=deflated(
            omnibus(k.sum(axis=1, keepdims=True), n.sum(axis=1, keepdims=True)), effect, len(n) - 1
        ),
    )


def _test_levels(
    tested: Judged, totals: Totals, effect: float, *, families: int, selected: int
) -> None:
    trait = tested.trait
    places = [place for place in range(len(trait.levels)) if _comparable(trait, place, totals)]
    p = [
        deflated(_against_rest(trait.counts[place], totals.counts).p(), effect) for place in places
    ]
    q = statistics.benjamini_hochberg_within(p, families, selected).tolist()
    tested.single = {
        place: (single, corrected) for place, single, corrected in zip(places, p, q, strict=True)
    }


def _overall(counts: Counts) -> tuple[Counts, Counts]:
    """Customers and high, without regard to the parts."""
    return counts.sum(axis=(-1, -2)), counts[..., 1].sum(axis=-1)


def _against_rest(level: Counts, total: Counts, part: int | None = None) -> Strata:
    """A level against all others, of one part or of both."""
    chosen = slice(None) if part is None else slice(part, part + 1)
    (n, k), (n_all, k_all) = _overall(level[:, chosen]), _overall(total[:, chosen])
    return Strata(k, n, k_all, n_all)


def _comparable(trait: TraitCounts, place: int, totals: Totals) -> bool:
    size = int(trait.sizes[place])
    return min(size, totals.customers - size) >= FEWEST


def findings(tested: Sequence[Judged], totals: Totals, effect: float = 1.0) -> list[Finding]:
    """A row for each level of each trait, by :data:`VERDICTS`, then by the bound of lift."""
    rows = [row for one in tested for row in _level_rows(one, totals, effect)]
    return sorted(rows, key=_order)


def _order(row: Finding) -> tuple[Any, ...]:
    low = row["lift_low"]
    nowhere = low is None or np.isnan(low)
    bound = 0.0 if nowhere else -low
    return VERDICTS.index(row["verdict"]), nowhere, bound, row["trait"], row["level"] or ""


def _level_rows(tested: Judged, totals: Totals, effect: float) -> list[Finding]:
    trait = tested.trait
    n, high = (counts.sum(axis=1) for counts in _overall(trait.counts))
    everybody, all_high = totals.customers, totals.high
    table = (high, n, all_high - high, everybody - n)
    effective = tuple(counts / effect for counts in table)
    low, top = statistics.wilson(*effective[:2])
    lift, ratio = statistics.lift(*effective), statistics.risk_ratio(*effective)
    odds = statistics.odds_ratio(*table)
    rows = []
    for place, level in enumerate(trait.levels):
        counted: Finding = {
            "trait": trait.name,
            "level": level,
            "customers": int(n[place]),
            "high": int(high[place]),
            "high_rate": float(high[place] / n[place]),
            "high_rate_low": float(low[place]),
            "high_rate_high": float(top[place]),
            "lift": float(lift.estimate[place]),
            "lift_low": float(lift.low[place]),
            "lift_high": float(lift.high[place]),
            "risk_ratio": float(ratio.estimate[place]),
            "odds_ratio": float(odds[place]),
            "share_of_customers": float(n[place] / everybody),
            "share_of_high": float(high[place] / all_high) if all_high else None,
        }
        judged = counted | _judged(tested, place, counted["lift"], totals, effect)
        rows.append({name: judged[name] for name in COLUMNS})
    return rows


def _judged(tested: Judged, place: int, lift: float, totals: Totals, effect: float) -> Finding:
    """The level's p and q, whether it held in the later cohorts, and the verdict."""
    trait = tested.trait
    strata = _against_rest(trait.counts[place], totals.counts)
    judged: Finding = {"sign_change": strata.sign_change, "replicated": None, "p": None, "q": None}
    if tested.p is None or not _comparable(trait, place, totals):
        return judged | {"verdict": "insufficient"}
    p, q = tested.single.get(place, (tested.p, tested.q))
    judged |= {"p": p, "q": q}
    if q is None or q > RATE:
        return judged | {"verdict": "no finding"}
    later = _against_rest(trait.counts[place], totals.counts, part=1)
    good = lift > 1
    # one-sided on the side of the lift: an effect of the other sign has a p near 1
    if deflated(later.p("greater" if good else "less"), effect, 0) <= RATE:
        return judged | {"replicated": True, "verdict": "mark" if good else "anti-mark"}
    power = statistics.replication_power(
        strata.score, strata.information, later.information / effect
    )
    if power < POWER:
        return judged | {"verdict": "can't tell"}
    return judged | {"replicated": False, "verdict": "not replicated"}
