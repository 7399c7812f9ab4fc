"""Which levels of which traits go with high value: tests, correction, verdicts.

One test a trait (two levels: the stratified test; more: the omnibus test) and, where they are asked
for, one a pair of traits, corrected over all of them. Where a trait with more levels is a finding,
its levels are tested one by one, and pay for having been picked.

All functions take counts as arrays, whatever they were counted from.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from bowtie_projections import statistics
from bowtie_projections.shrinking import Shrunk, shrink
from bowtie_projections.stratified import Strata, deflated, omnibus
from bowtie_projections.views.loop.counts import Totals, TraitCounts
from bowtie_projections.views.loop.pairs import FEWEST, POWER, RATE, JudgedPair, Pairs, judge_cells

__all__ = [
    "COLUMNS",
    "FEWEST",
    "RATE",
    "VERDICTS",
    "Finding",
    "Judged",
    "assess_traits",
    "correct",
    "findings",
    "judge_traits",
    "shrunk_levels",
]  # fmt: skip

Counts = NDArray[np.int64]

#: What can be said of a level, the strongest first: the order of the rows.
VERDICTS = (
    "mark", "anti-mark", "not replicated", "can't tell", "no finding", "insufficient", "leak",
)  # fmt: skip
COLUMNS = (
    "trait", "level", "customers", "high", "high_rate", "high_rate_low", "high_rate_high",
    "high_rate_shrunk", "lift", "lift_low", "lift_high", "risk_ratio", "odds_ratio", "p", "q",
    "share_of_customers", "share_of_high", "sign_change", "p_homogeneity", "replicated", "verdict",
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
    tested = assess_traits(traits, effect)
    correct(tested, Pairs(), totals, effect)
    return tested


def assess_traits(traits: Sequence[TraitCounts], effect: float = 1.0) -> list[Judged]:
    """Each trait tested, and not yet corrected."""
    return [_test(trait, effect) for trait in traits]


def correct(tested: Sequence[Judged], pairs: Pairs, totals: Totals, effect: float = 1.0) -> None:
    """Correct all tests of a run together, then test the levels of what is a finding.

    Args:
        tested: the traits.
        pairs: the pairs of traits, if any; those that were left out count with a p of 1.
        totals: of all.
        effect: how many units count for one, where they are of few accounts.
    """
    run: list[Judged | JudgedPair] = [one for one in tested if one.p is not None]
    run += [one for one in pairs.tested if one.p is not None]
    p = [one.p or 0.0 for one in run] + [1.0] * pairs.left_out
    q = statistics.benjamini_hochberg(p).tolist()
    for one, value in zip(run, q, strict=False):
        one.q = value
    selected = [one for one in run if one.q is not None and one.q <= RATE]
    for one in selected:
        if isinstance(one, JudgedPair):
            judge_cells(one, families=len(p), selected=len(selected))
        elif one.test == "omnibus":
            _test_levels(one, totals, effect, families=len(p), selected=len(selected))


def _test(trait: TraitCounts, effect: float) -> Judged:
    customers, high = _overall(trait.told)
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
    trait, totals = tested.trait, totals.told(tested.trait)
    places = [place for place in range(len(trait.levels)) if _comparable(trait, place, totals)]
    p = [deflated(_against_rest(trait.told[place], totals.counts).p(), effect) for place in places]
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
    size = int(trait.told[place].sum())
    return min(size, totals.customers - size) >= FEWEST


def findings(
    tested: Sequence[Judged], totals: Totals, effect: float = 1.0, rank: str = "lift"
) -> list[Finding]:
    """A row for each level of each trait, the strongest verdict first.

    Args:
        tested: the traits, corrected.
        totals: of all.
        effect: how many units count for one, where they are of few accounts.
        rank: rows of one verdict come by the lower bound of ``lift``, or by the ``shrunk`` rate.
    """
    shrunk = iter(shrunk_levels(tested, effect).rates.tolist())
    rows: list[Finding] = []
    for one in tested:
        found = _level_rows(one, totals.told(one.trait), effect)
        rows += [row | {"high_rate_shrunk": next(shrunk)} for row in found]
    by = "lift_low" if rank == "lift" else "high_rate_shrunk"
    return sorted(rows, key=lambda row: _order(row, by))


def shrunk_levels(tested: Sequence[Judged], effect: float = 1.0) -> Shrunk:
    """The rate of every level of every trait, drawn to the rate of all by what chance explains.

    One beta-binomial model over all levels: where most traits mean nothing, the rates of small
    levels are believed little.
    """
    counted = [_overall(one.trait.told) for one in tested]
    n = np.concatenate([np.zeros(0), *(customers.sum(axis=1) for customers, _ in counted)])
    high = np.concatenate([np.zeros(0), *(found.sum(axis=1) for _, found in counted)])
    return shrink(high / effect, n / effect)


def _order(row: Finding, by: str) -> tuple[Any, ...]:
    low = row[by]
    nowhere = low is None or np.isnan(low)
    bound = 0.0 if nowhere else -low
    return VERDICTS.index(row["verdict"]), nowhere, bound, row["trait"], row["level"] or ""


def _level_rows(tested: Judged, totals: Totals, effect: float) -> list[Finding]:
    trait = tested.trait
    n, high = (counts.sum(axis=1) for counts in _overall(trait.told))
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
            "high_rate": float(high[place] / n[place]) if n[place] else None,
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
        rows.append({name: judged.get(name) for name in COLUMNS})
    return rows


def _judged(tested: Judged, place: int, lift: float, totals: Totals, effect: float) -> Finding:
    """The level's p and q, whether it held in the later cohorts, and the verdict."""
    trait = tested.trait
    strata = _against_rest(trait.told[place], totals.counts)
    judged: Finding = {"sign_change": strata.sign_change, "replicated": None, "p": None, "q": None}
    if tested.p is None or not _comparable(trait, place, totals):
        return judged | {"verdict": "insufficient"}
    p, q = tested.single.get(place, (tested.p, tested.q))
    alike = strata.homogeneity
    judged |= {"p": p, "q": q, "p_homogeneity": None if np.isnan(alike) else alike}
    if q is None or q > RATE:
        return judged | {"verdict": "no finding"}
    good = lift > 1
    if trait.split:
        # the test is of the later cohorts already: they must say what the older half said
        held = good == (_older_score(tested, place) > 0)
        return judged | _verdict(held=held, good=good)
    later = _against_rest(trait.counts[place], totals.counts, part=1)
    # one-sided on the side of the lift: an effect of the other sign has a p near 1
    if deflated(later.p("greater" if good else "less"), effect, 0) <= RATE:
        return judged | _verdict(held=True, good=good)
    power = statistics.replication_power(
        strata.score, strata.information, later.information / effect
    )
    if power < POWER:
        return judged | {"verdict": "can't tell"}
    return judged | _verdict(held=False, good=good)


def _verdict(*, held: bool, good: bool) -> Finding:
    if not held:
        return {"replicated": False, "verdict": "not replicated"}
    return {"replicated": True, "verdict": "mark" if good else "anti-mark"}


def _older_score(tested: Judged, place: int) -> float:
    """How many more are high in a level of a split than chance would have, in the older half."""
    older = tested.trait.counts[..., :1, :]
    return _against_rest(older[place], older.sum(axis=0)).score
