"""Rates, ratios and corrections for many 2 x 2 tables at once, on numpy and scipy alone.

A 2 x 2 table is written as four counts: ``high`` of ``n`` customers in a level, and ``high_out`` of
``n_out`` customers outside of it. All functions take arrays as well as single numbers, and give NaN
where a figure has no meaning (a rate of nobody). The tests of significance are in
:mod:`bowtie_projections.stratified`.

>>> low, high = wilson(8, 10)
>>> float(low.round(3)), float(high.round(3))
(0.49, 0.943)
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from statistics import NormalDist

import numpy as np
import scipy
from numpy.typing import ArrayLike, NDArray

__all__ = [
    "Interval",
    "benjamini_hochberg",
    "benjamini_hochberg_within",
    "bootstrap_difference",
    "design_effect",
    "difference",
    "lift",
    "odds_ratio",
    "poisson",
    "replication_power",
    "risk_ratio",
    "wilson",
]

Floats = NDArray[np.float64]
#: Of the bootstrap: any number will do, but always the same.
_SEED = 1979
_AT_ONCE = 250


@dataclass(frozen=True, slots=True)
class Interval:
    """An estimate with the bounds of its confidence interval, each an array."""

    estimate: Floats
    low: Floats
    high: Floats


def wilson(high: ArrayLike, n: ArrayLike, confidence: float = 0.95) -> tuple[Floats, Floats]:
    """The bounds of Wilson's interval of a proportion; NaN where nobody is counted.

    Unlike the textbook interval it never leaves 0 to 1 and holds its level for few and for rare
    (E. B. Wilson, JASA 22, 1927).
    """
    k, m = _floats(high), _floats(n)
    z2 = NormalDist().inv_cdf(0.5 + confidence / 2) ** 2
    with np.errstate(divide="ignore", invalid="ignore"):
        middle = (k + z2 / 2) / (m + z2)
        half = np.sqrt(z2 * (k * (m - k) / m + z2 / 4)) / (m + z2)
    # at the ends the bound is 0 or 1 exactly, not 1e-17 beside it
    low = np.where(k == 0, 0.0, np.clip(middle - half, 0, 1))
    top = np.where(k == m, 1.0, np.clip(middle + half, 0, 1))
    return np.where(m > 0, low, np.nan), np.where(m > 0, top, np.nan)


def design_effect(high: float, n: float, clusters: int, sums: tuple[float, float, float]) -> float:
    """How many times as many members tell as much, because members of one cluster are alike.

    The variance of a proportion between clusters over that of as many independent members: counts
    divided by it can be taken for independent ones (J. N. K. Rao, A. J. Scott, Biometrics 48,
    1992). Never under 1, and at most what it is where the members of a cluster are all alike.
    Where it can't be estimated, for nobody is high, or everybody, or there is one cluster, each
    cluster counts as one member.

    Args:
        high: members that are high.
        n: members.
        clusters: how many clusters they are of.
        sums: over the clusters, of the squares of their high, of high times members, and of the
            squares of their members.

    >>> design_effect(20, 40, 20, (40.0, 40.0, 80.0))  # pairs that are always alike
    2.0
    >>> design_effect(20, 40, 40, (20.0, 20.0, 40.0))
    1.0
    """
    rate = high / n
    if clusters < 2 or not 0 < rate < 1:
        return max(1.0, n / clusters)
    squares, products, sizes = sums
    between = (squares - 2 * rate * products + rate * rate * sizes) * clusters / (clusters - 1)
    return min(max(1.0, between / (n * rate * (1 - rate))), max(1.0, sizes / n))


def difference(one: Interval, other: Interval) -> Interval:
    """One proportion less another, with Newcombe's interval from the Wilson bounds of each.

    The hybrid score interval (R. G. Newcombe, Statistics in Medicine 17, 1998, method 10): it keeps
    its level for few and for rare, and stays within -1 to 1. The two are taken as independent;
    where each one's bounds allow for clusters, so do those of the difference (G. Y. Zou,
    A. Donner, Statistics in Medicine 27, 2008).

    >>> now, before = (Interval(np.array(k / n), *wilson(k, n)) for k, n in ((56, 70), (48, 80)))
    >>> found = difference(now, before)
    >>> [float(bound.round(4)) for bound in (found.low, found.estimate, found.high)]
    [0.0524, 0.2, 0.3339]
    """
    gap = one.estimate - other.estimate
    down = np.hypot(one.estimate - one.low, other.high - other.estimate)
    up = np.hypot(one.high - one.estimate, other.estimate - other.low)
    return Interval(gap, gap - down, gap + up)


def poisson(counts: ArrayLike, confidence: float = 0.95) -> tuple[Floats, Floats]:
    """The bounds of the mean of which each count is one draw, for events that are independent.

    The exact interval (F. Garwood, Biometrika 28, 1936): never under its level.

    >>> low, high = poisson([0, 10])
    >>> low.round(3).tolist(), high.round(3).tolist()
    ([0.0, 4.795], [3.689, 18.39])
    """
    k, tail = _floats(counts), (1 - confidence) / 2
    inverse = scipy.special.gammaincinv
    low = np.where(k > 0, inverse(np.maximum(k, 1), tail), 0.0)
    return low, np.asarray(inverse(k + 1, 1 - tail))


def risk_ratio(
    high: ArrayLike,
    n: ArrayLike,
    high_out: ArrayLike,
    n_out: ArrayLike,
    confidence: float = 0.95,
) -> Interval:
    """The rate in a level over the rate outside of it, with the interval of its logarithm.

    The estimate is that of the plain counts: 0 where none in the level is high, infinite where none
    outside is, NaN where nobody is high at all or one side is empty. Where a count of the table is
    0, the interval is that of the table with 1/2 added to each count, opened to 0 or infinity on
    the side of the zero.

    >>> ratio = risk_ratio(30, 100, 20, 200)
    >>> [float(bound.round(3)) for bound in (ratio.low, ratio.estimate, ratio.high)]
    [1.797, 3.0, 5.008]
    """
    a, n1, c, n0 = (_floats(count) for count in (high, n, high_out, n_out))
    with np.errstate(divide="ignore", invalid="ignore"):
        estimate = (a / n1) / (c / n0)
        zero = (a == 0) | (c == 0) | (a == n1) | (c == n0)
        more = np.where(zero, 0.5, 0.0)
        a1, c1, m1, m0 = a + more, c + more, n1 + 2 * more, n0 + 2 * more
        middle = np.log((a1 / m1) / (c1 / m0))
        half = scipy.special.ndtri(0.5 + confidence / 2) * np.sqrt(
            1 / a1 - 1 / m1 + 1 / c1 - 1 / m0
        )
        low, top = np.exp(middle - half), np.exp(middle + half)
    low = np.where(a == 0, 0.0, low)
    top = np.where(c == 0, np.inf, top)
    void = np.isnan(estimate)
    return Interval(estimate, np.where(void, np.nan, low), np.where(void, np.nan, top))


def odds_ratio(high: ArrayLike, n: ArrayLike, high_out: ArrayLike, n_out: ArrayLike) -> Floats:
    """The odds in a level over the odds outside of it, with 1/2 added to each count.

    The half (Haldane, Anscombe) keeps it finite and less biased where a count is small.
    """
    a, n1, c, n0 = (_floats(count) for count in (high, n, high_out, n_out))
    ratio = (a + 0.5) * (n0 - c + 0.5) / ((n1 - a + 0.5) * (c + 0.5))
    return np.where((n1 > 0) & (n0 > 0), ratio, np.nan)


def lift(
    high: ArrayLike,
    n: ArrayLike,
    high_out: ArrayLike,
    n_out: ArrayLike,
    confidence: float = 0.95,
) -> Interval:
    """The rate in a level over the rate of all: RR / (w RR + 1 - w), w the level's share.

    It is symmetric: as many times more frequent as the high are in the level, the level is among
    the high. It can't exceed 1 over the rate of all. The interval is the risk ratio's, carried
    over, with w taken as known.

    >>> float(lift(30, 100, 20, 200).estimate.round(3))
    1.8
    """
    a, n1, c, n0 = (_floats(count) for count in (high, n, high_out, n_out))
    ratio = risk_ratio(a, n1, c, n0, confidence)
    with np.errstate(divide="ignore", invalid="ignore"):
        w = n1 / (n1 + n0)
        # by the counts, for a level that is everybody (no ratio, lift 1) and for an infinite ratio
        estimate = (a / n1) / ((a + c) / (n1 + n0))

        def carried(bound: Floats) -> Floats:
            return np.where(np.isinf(bound), 1 / w, bound / (w * bound + 1 - w))

        return Interval(estimate, carried(ratio.low), carried(ratio.high))


def benjamini_hochberg(p: ArrayLike) -> Floats:
    """The q of each p: the smallest false discovery rate at which it is a finding.

    Y. Benjamini, Y. Hochberg, JRSS B 57, 1995. The number of tests m is the length of ``p``.

    >>> benjamini_hochberg([0.01, 0.04, 0.03, 0.5]).round(4).tolist()
    [0.04, 0.0533, 0.0533, 0.5]
    """
    values = _floats(p)
    m = values.size
    if m == 0:
        return values
    order = np.argsort(values, kind="stable")
    raised = values[order] * m / np.arange(1, m + 1)
    # the cap at 1 and the running minimum from above keep q monotone in p
    running = np.minimum.accumulate(np.minimum(raised, 1.0)[::-1])[::-1]
    q = np.empty(m)
    q[order] = running
    return q


def benjamini_hochberg_within(p: ArrayLike, families: int, selected: int) -> Floats:
    """The q of each test of one family that was selected for its omnibus test.

    Levels are only looked at where the trait's omnibus is a finding, and picking families first
    makes what is found inside of them too good. Y. Benjamini, M. Bogomolov (JRSS B 76, 2014): test
    inside at the level times the share of families selected; here as a q, raised by its inverse.

    Args:
        p: the p values of the family's own tests.
        families: how many families there were.
        selected: how many of them were selected, this one included.
    """
    return np.minimum(1.0, benjamini_hochberg(p) * families / max(selected, 1))


def replication_power(
    score: ArrayLike, information: ArrayLike, information_later: ArrayLike, level: float = 0.05
) -> Floats:
    """The chance that the later cohorts show an effect as large as the one found, one-sided.

    Normal approximation of the Mantel-Haenszel test (S. Wittes, S. Wallenstein, JASA 82, 1987, in
    its local form): with score U and information V over all, the effect is U / V on the log-odds
    scale (Peto's one-step estimate, finite for zero counts), and the test in cohorts of information
    V' has mean U / V * sqrt(V') and variance 1.

    >>> float(replication_power(30.0, 100.0, 50.0).round(2))
    0.68
    """
    u, v, later = _floats(score), _floats(information), _floats(information_later)
    with np.errstate(divide="ignore", invalid="ignore"):
        expected = np.where(v > 0, np.abs(u) / v, 0.0) * np.sqrt(later)
    normal = scipy.special
    power: Floats = normal.ndtr(expected - normal.ndtri(1 - level))
    # where the later cohorts hold no information, no test can reject
    return np.where(later > 0, power, 0.0)


def bootstrap_difference(
    sums: ArrayLike,
    sizes: ArrayLike,
    sums_out: ArrayLike,
    sizes_out: ArrayLike,
    *,
    draws: int = 2000,
    confidence: float = 0.95,
) -> tuple[float, float]:
    """The interval of the mean of some less the mean of others, by drawing blocks anew.

    The percentile bootstrap (B. Efron, Annals of Statistics 7, 1979) over blocks of members that
    were put together by chance: a sum over blocks is a sum over members, so that its distribution
    is the same, and a million members are drawn as quickly as some thousand blocks. With few
    members a block is one of them; where those of one account share a block it is clustered.
    Where one value is worth more than the others together it is too narrow, as every bootstrap of
    a mean is: look at the difference without that one. Drawn from a fixed seed, so that the same
    blocks give the same bounds.

    Args:
        sums: what the members of each block are worth together.
        sizes: how many they are.
        sums_out: the same of the others.
        sizes_out: how many they are.
        draws: how often.
        confidence: of the interval.

    Returns:
        The bounds; NaN where there are fewer than two blocks.

    >>> low, high = bootstrap_difference([1, 2, 3, 4], [1] * 4, [8, 5, 7, 6], [1] * 4)
    >>> low < -4 < high
    True
    """
    blocks = np.stack([_floats(one) for one in (sums, sizes, sums_out, sizes_out)])
    count = blocks.shape[1]
    if count < 2:
        return float("nan"), float("nan")
    weights = _weights(count, draws)
    found = []
    for first in range(0, draws, _AT_ONCE):
        drawn = weights[first : first + _AT_ONCE].astype(np.float64)
        own, number, others, number_out = blocks @ drawn.T
        with np.errstate(divide="ignore", invalid="ignore"):
            found.append(own / number - others / number_out)
    tail = (1 - confidence) / 2
    differences = np.concatenate(found)
    differences = differences[np.isfinite(differences)]
    if not differences.size:
        return float("nan"), float("nan")
    low, high = np.quantile(differences, [tail, 1 - tail])
    return float(low), float(high)


@lru_cache(maxsize=4)
def _weights(count: int, draws: int) -> NDArray[np.uint8]:
    """How often each of so many blocks is drawn; drawn once, for it takes longer than their use."""
    draw = np.random.default_rng(_SEED)
    return draw.multinomial(count, np.full(count, 1 / count), size=draws).astype(np.uint8)


def _floats(values: ArrayLike) -> Floats:
    return np.asarray(values, dtype=np.float64)
