"""Pairs of traits: which two levels together tell more than either of them.

A pair that merely holds a mark is none. Its rate must pass those of both its levels by a stated
factor (generalisation-aware: each level is a generalisation of the pair), and it must be told from
both: within the first level those with the second differ, and within the second those with the
first. The p of a pair is the greater of the two (an intersection-union test: R. L. Berger,
Technometrics 24, 1982), which holds whatever either level means alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from bowtie_projections import statistics
from bowtie_projections.stratified import Strata, deflated
from bowtie_projections.views.loop.counts import Totals

__all__ = [
    "COLUMNS",
    "FEWEST",
    "PAIRED",
    "POWER",
    "RATE",
    "Cell",
    "JudgedPair",
    "PairCounts",
    "Pairs",
    "assess_pair",
    "beam",
    "judge_cells",
    "pair_rows",
]  # fmt: skip

Counts = NDArray[np.int64]

#: A level with fewer customers, in it or outside of it, says nothing.
FEWEST = 30
#: The false discovery rate of findings, and the level of their replication.
RATE = 0.05
#: With less power than this, a replication that failed says nothing.
POWER = 0.5
#: Pairs are made of so many traits, those with the smallest p.
PAIRED = 8
COLUMNS = (
    "trait", "level", "trait_2", "level_2", "customers", "high", "high_rate", "high_rate_low",
    "high_rate_high", "gain", "lift", "lift_low", "lift_high", "p", "q", "share_of_customers",
    "share_of_high", "replicated", "verdict",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class PairCounts:
    """The mature customers by the levels of two traits.

    Args:
        names: of the traits.
        levels: of each.
        counts: customers, by level of the first, of the second, stratum, part and high.
    """

    names: tuple[str, str]
    levels: tuple[list[str], list[str]]
    counts: Counts


@dataclass(slots=True)
class Cell:
    """One level of each of two traits.

    Args:
        place: of the levels.
        gain: the pair's rate over that of the better level, or for a low rate the other way
            round: over 1 where the pair tells more than both.
        good: whether its rate is above theirs.
        p: the greater of the two tests.
        q: corrected, where the pair of traits is a finding.
        later: the greater of the two one-sided tests in the later cohorts.
        power: the smaller chance of the two to show the effect in the later cohorts.
    """

    place: tuple[int, int]
    gain: float
    good: bool
    p: float
    later: float
    power: float
    q: float | None = None


@dataclass(slots=True)
class JudgedPair:
    """Two traits and their test.

    Args:
        pair: the counts.
        asked: how many pairs of levels have enough customers to be compared.
        p: the smallest p of a pair of levels, times their number; None where none is large enough.
        cells: the pairs of levels that pass the stated factor.
        q: corrected over all tests of the run.
    """

    pair: PairCounts
    asked: int = 0
    p: float | None = None
    cells: list[Cell] = field(default_factory=list)
    q: float | None = None


@dataclass(slots=True)
class Pairs:
    """The pairs of a run.

    Args:
        tested: those whose traits were among the best.
        left_out: how many others there are; they count as tests that found nothing.
        least_gain: the factor that was stated.
    """

    tested: list[JudgedPair] = field(default_factory=list)
    left_out: int = 0
    least_gain: float = 1.0


def beam(p: Sequence[float | None]) -> list[int]:
    """The places of the traits that pairs are made of: those with the smallest p."""
    run = [place for place, value in enumerate(p) if value is not None]
    return sorted(run, key=lambda place: (p[place] or 0.0, place))[:PAIRED]


def assess_pair(pair: PairCounts, least_gain: float, effect: float = 1.0) -> JudgedPair:
    """One test of two traits: whether some level of each together tells more than either.

    Args:
        pair: the counts.
        least_gain: the factor by which a pair's rate must pass those of both its levels.
        effect: how many units count for one, where they are of few accounts.
    """
    tested = JudgedPair(pair)
    n, high = (counts.sum(axis=-1) for counts in _overall(pair.counts))
    n_1, n_2 = n.sum(axis=1, keepdims=True), n.sum(axis=0, keepdims=True)
    fewest = np.minimum(n, np.minimum(n_1 - n, n_2 - n))
    rates = high / np.maximum(n, 1)
    rate_1 = np.broadcast_to(high.sum(axis=1, keepdims=True) / np.maximum(n_1, 1), n.shape)
    rate_2 = np.broadcast_to(high.sum(axis=0, keepdims=True) / np.maximum(n_2, 1), n.shape)
    with np.errstate(divide="ignore", invalid="ignore"):
        above = rates / np.maximum(rate_1, rate_2)
        below = np.minimum(rate_1, rate_2) / rates
    gain = np.fmax(above, below)
    able = fewest >= FEWEST
    tested.asked = int(able.sum())
    for place in zip(*np.nonzero(able & (gain >= least_gain)), strict=True):
        at = (int(place[0]), int(place[1]))
        tested.cells.append(_cell(pair, at, float(gain[at]), effect, good=bool(above[at] >= 1)))
    if tested.asked:
        least = min((cell.p for cell in tested.cells), default=1.0)
        tested.p = min(1.0, tested.asked * least)
    return tested


def _cell(
    pair: PairCounts, place: tuple[int, int], gain: float, effect: float, *, good: bool
) -> Cell:
    both = pair.counts[place]
    parts = (pair.counts[place[0]].sum(axis=0), pair.counts[:, place[1]].sum(axis=0))
    side: Literal["greater", "less"] = "greater" if good else "less"
    p, later, power = [], [], []
    for part in parts:
        within = _within(both, part)
        right = (within.score > 0) == good
        p.append(deflated(within.p(), effect) if right else 1.0)
        newer = _within(both[:, 1:], part[:, 1:])
        later.append(deflated(newer.p(side), effect, 0))
        information = newer.information / effect
        power.append(
            float(statistics.replication_power(within.score, within.information, information))
        )
    return Cell(place, gain, good, max(p), max(later), min(power))


def judge_cells(tested: JudgedPair, *, families: int, selected: int) -> None:
    """Correct the pairs of levels of two traits that are a finding together."""
    # those that were too small a gain count as tests that found nothing
    p = [cell.p for cell in tested.cells] + [1.0] * (tested.asked - len(tested.cells))
    q = statistics.benjamini_hochberg_within(p, families, selected).tolist()
    for cell, value in zip(tested.cells, q, strict=False):
        cell.q = value


def pair_rows(pairs: Pairs, totals: Totals, effect: float = 1.0) -> list[dict[str, Any]]:
    """A row for each pair of levels that tells more than both: the greatest gain first."""
    rows = [
        _row(tested, cell, totals, effect)
        for tested in pairs.tested
        for cell in tested.cells
        if cell.q is not None and cell.q <= RATE
    ]
    verdicts = ("mark", "anti-mark", "not replicated", "can't tell")
    return sorted(
        rows,
        key=lambda row: (
            verdicts.index(row["verdict"]), -row["gain"], row["trait"], row["level"],
            row["trait_2"], row["level_2"],
        ),
    )  # fmt: skip


def _row(tested: JudgedPair, cell: Cell, totals: Totals, effect: float) -> dict[str, Any]:
    pair = tested.pair
    n, high = int(pair.counts[cell.place].sum()), int(pair.counts[cell.place][..., 1].sum())
    everybody, all_high = totals.customers, totals.high
    if pair.counts[..., 0, :].sum() == 0:  # of a split only the later cohorts tell
        everybody, all_high = (int(totals.counts[:, 1].sum()), int(totals.counts[:, 1, 1].sum()))
    table = (high / effect, n / effect, (all_high - high) / effect, (everybody - n) / effect)
    low, top = statistics.wilson(*table[:2])
    lift = statistics.lift(*table)
    held = cell.later <= RATE
    verdict = "mark" if cell.good else "anti-mark"
    if not held:
        verdict = "can't tell" if cell.power < POWER else "not replicated"
    return {
        "trait": pair.names[0],
        "level": pair.levels[0][cell.place[0]],
        "trait_2": pair.names[1],
        "level_2": pair.levels[1][cell.place[1]],
        "customers": n,
        "high": high,
        "high_rate": high / n,
        "high_rate_low": float(low),
        "high_rate_high": float(top),
        "gain": cell.gain,
        "lift": float(lift.estimate),
        "lift_low": float(lift.low),
        "lift_high": float(lift.high),
        "p": cell.p,
        "q": cell.q,
        "share_of_customers": n / everybody,
        "share_of_high": high / all_high if all_high else None,
        "replicated": None if verdict == "can't tell" else held,
        "verdict": verdict,
    }


def _overall(counts: Counts) -> tuple[Counts, Counts]:
    """Customers and high, without regard to the parts."""
    return counts.sum(axis=(-1, -2)), counts[..., 1].sum(axis=-1)


def _within(both: Counts, part: Counts) -> Strata:
    """A pair against the rest of one of its levels, by stratum."""
    (n, high), (n_all, high_all) = _overall(both), _overall(part)
    return Strata(high, n, high_all, n_all)
