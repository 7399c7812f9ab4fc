"""Two arms of a trial: how far apart they are, what could be seen, and whether the split is right.

>>> share = detectable_share(0.3, 400, 100)
>>> round(share, 3)
0.151
>>> round(detectable_mean(1000.0, 400, 100), 1)
313.2
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import NamedTuple

import numpy as np
import scipy
from numpy.typing import ArrayLike, NDArray

__all__ = [
    "ALPHA",
    "POWER",
    "Contrast",
    "Gap",
    "clustered_bounds",
    "clustered_gap",
    "detectable_mean",
    "detectable_share",
    "interaction_p",
    "mean_bounds",
    "mean_contrast",
    "mean_gap",
    "share_contrast",
    "split_p",
]

Floats = NDArray[np.float64]

#: The level of a two-sided test, and the chance to see a difference of the size that is named.
ALPHA, POWER = 0.05, 0.8
#: So many standard errors to either side hold the middle 95% of a normal distribution.
_NORMAL = NormalDist().inv_cdf(1 - ALPHA / 2)
#: How often arms are drawn anew.
DRAWS = 2_000
#: With more amounts than this in an arm, the mean is as good as normal and nothing is drawn.
_MANY = 20_000
_CHUNK = 2_000_000


@dataclass(frozen=True, slots=True)
class Gap:
    """One mean less another, with its 95% interval, and how that was found."""

    estimate: float
    low: float | None
    high: float | None
    method: str


def _reach(first: float, second: float, alpha: float, power: float) -> float:
    """How many standard errors apart two arms must be, times the root of 1/n of both."""
    return float(scipy.special.ndtri(1 - alpha / 2) + scipy.special.ndtri(power)) * math.sqrt(
        1 / first + 1 / second
    )


def detectable_share(
    base: float, first: float, second: float, *, alpha: float = ALPHA, power: float = POWER
) -> float | None:
    """The smallest rise of a share that is seen with the power asked for.

    By the arcsine transformation (J. Cohen, Statistical Power Analysis for the Behavioral Sciences,
    2nd edition 1988, chapter 6): two shares are h = 2 asin(sqrt p1) - 2 asin(sqrt p0) apart, and
    h = (z of 1 - alpha/2 + z of power) * sqrt(1/n1 + 1/n2) is seen.

    Args:
        base: the share without any effect.
        first, second: how many are in each arm.
        alpha: of a two-sided test.
        power: the chance to see it.

    Returns:
        The rise; None where an arm is empty, or even a share of 1 would not be far enough.
    """
    if min(first, second) <= 0 or not 0 <= base <= 1:
        return None
    angle = math.asin(math.sqrt(base)) + _reach(first, second, alpha, power) / 2
    return None if angle > math.pi / 2 else math.sin(angle) ** 2 - base


def detectable_mean(
    deviation: float, first: float, second: float, *, alpha: float = ALPHA, power: float = POWER
) -> float | None:
    """The smallest difference of means that is seen with the power asked for.

    (z of 1 - alpha/2 + z of power) * deviation * sqrt(1/n1 + 1/n2): Cohen 1988, chapter 2, with the
    normal in place of the t distribution.

    Args:
        deviation: the standard deviation of one amount, alike in both arms.
        first, second: how many are in each arm.
        alpha: of a two-sided test.
        power: the chance to see it.

    Returns:
        The difference; None where an arm is empty.
    """
    if min(first, second) <= 0:
        return None
    return _reach(first, second, alpha, power) * deviation


def mean_gap(first: ArrayLike, second: ArrayLike, seed: int) -> Gap | None:
    """The mean of one arm less that of another, with a bootstrap interval.

    Each arm is drawn anew from itself 2,000 times; the interval holds the middle 95% of the
    differences (B. Efron, R. Tibshirani, An Introduction to the Bootstrap, 1993, chapter 13). Of
    those worth nothing only their number is drawn, which is the same and faster. With more than
    20,000 amounts that are not 0 in an arm it is the normal interval, which is then no other.

    Args:
        first, second: the amounts, one for each member, those of 0 too.
        seed: the same gives the same interval.

    Returns:
        None where an arm is empty; no bounds where one has a single member.
    """
    arms = [np.asarray(arm, dtype=np.float64) for arm in (first, second)]
    if not all(arm.size for arm in arms):
        return None
    gap = float(arms[0].mean() - arms[1].mean())
    if min(arm.size for arm in arms) == 1:
        return Gap(gap, None, None, "none: one member in an arm")
    if max(np.count_nonzero(arm) for arm in arms) > _MANY:
        half = _NORMAL * math.sqrt(sum(arm.var(ddof=1) / arm.size for arm in arms))
        return Gap(gap, gap - half, gap + half, "normal")
    random = np.random.default_rng(seed)
    return Gap(gap, *_middle(_means(arms[0], random) - _means(arms[1], random)), "bootstrap")


def mean_bounds(arm: ArrayLike, seed: int) -> tuple[float, float] | None:
    """The 95% interval of the mean of one arm, found as that of :func:`mean_gap`.

    Args:
        arm: the amounts, one for each member, those of 0 too.
        seed: the same gives the same interval.

    Returns:
        None where it has fewer than two members.

    >>> mean_bounds([0.0] * 50, 1)
    (0.0, 0.0)
    """
    amounts = np.asarray(arm, dtype=np.float64)
    if amounts.size < 2:
        return None
    if np.count_nonzero(amounts) > _MANY:
        half = _NORMAL * math.sqrt(amounts.var(ddof=1) / amounts.size)
        return float(amounts.mean() - half), float(amounts.mean() + half)
    return _middle(_means(amounts, np.random.default_rng(seed)))


def clustered_bounds(sums: ArrayLike, sizes: ArrayLike, seed: int) -> tuple[float, float] | None:
    """The same where whole clusters were drawn: they are drawn anew, not members.

    Args:
        sums, sizes: of the clusters, and how many members each has.
        seed: the same gives the same interval.

    Returns:
        None where there are fewer than two.
    """
    total, members = (np.asarray(one, dtype=np.float64) for one in (sums, sizes))
    if total.size < 2:
        return None
    return _middle(_cluster_means(total, members, np.random.default_rng(seed)))


def _middle(drawn: Floats) -> tuple[float, float]:
    low, high = np.quantile(drawn, [ALPHA / 2, 1 - ALPHA / 2])
    return float(low), float(high)


def _cluster_means(sums: Floats, sizes: Floats, random: np.random.Generator) -> Floats:
    places = random.integers(sums.size, size=(DRAWS, sums.size))
    found: Floats = sums[places].sum(axis=1) / sizes[places].sum(axis=1)
    return found


def _means(arm: Floats, random: np.random.Generator) -> Floats:
    """The means of an arm drawn anew from itself."""
    worth = arm[arm != 0]
    if not worth.size:
        return np.zeros(DRAWS)
    numbers = random.binomial(arm.size, worth.size / arm.size, DRAWS)
    sums = np.empty(DRAWS)
    at_once = max(1, _CHUNK // int(numbers.max() or 1))
    for begin in range(0, DRAWS, at_once):
        chosen = numbers[begin : begin + at_once]
        drawn = worth[random.integers(worth.size, size=int(chosen.sum()))]
        ends = np.concatenate([[0], np.cumsum(chosen)])
        running = np.concatenate([[0.0], np.cumsum(drawn)])
        sums[begin : begin + at_once] = running[ends[1:]] - running[ends[:-1]]
    return sums / arm.size


def clustered_gap(
    first: tuple[ArrayLike, ArrayLike], second: tuple[ArrayLike, ArrayLike], seed: int
) -> Gap | None:
    """The same where whole clusters were drawn, such as markets: they are drawn anew, not members.

    Args:
        first, second: of each arm, the sums of its clusters and how many members each has.
        seed: the same gives the same interval.

    Returns:
        None where an arm is empty; no bounds where one has a single cluster.
    """
    arms = [
        (np.asarray(sums, dtype=np.float64), np.asarray(sizes, dtype=np.float64))
        for sums, sizes in (first, second)
    ]
    if not all(sizes.sum() for _, sizes in arms):
        return None
    means = [float(sums.sum() / sizes.sum()) for sums, sizes in arms]
    gap = means[0] - means[1]
    if min(sums.size for sums, _ in arms) == 1:
        return Gap(gap, None, None, "none: one cluster in an arm")
    random = np.random.default_rng(seed)
    drawn = [_cluster_means(sums, sizes, random) for sums, sizes in arms]
    return Gap(gap, *_middle(drawn[0] - drawn[1]), "bootstrap of clusters")


class Contrast(NamedTuple):
    """One mean less another, the variance of that, and its degrees of freedom."""

    estimate: float
    variance: float
    freedom: float

    def bounds(self, confidence: float) -> tuple[float, float] | None:
        """Its interval by the t distribution; None where nothing varies."""
        if not self.variance > 0:
            return None
        reach = float(scipy.special.stdtrit(self.freedom, 0.5 + confidence / 2))
        half = reach * math.sqrt(self.variance)
        return self.estimate - half, self.estimate + half


def mean_contrast(first: ArrayLike, second: ArrayLike) -> Contrast:
    """The mean of one arm less that of another, whose variances may differ.

    With the degrees of freedom of F. E. Satterthwaite (Biometrics Bulletin 2, 1946).

    Args:
        first, second: the amounts, of two members at least in each arm.

    >>> found = mean_contrast([3.0, 5.0, 7.0], [1.0, 2.0, 3.0])
    >>> found.estimate, round(found.variance, 4), round(found.freedom, 4)
    (3.0, 1.6667, 2.9412)
    """
    arms = [np.asarray(arm, dtype=np.float64) for arm in (first, second)]
    parts = [float(arm.var(ddof=1)) / arm.size for arm in arms]
    gap = float(arms[0].mean() - arms[1].mean())
    return Contrast(gap, sum(parts), _freedom(parts, [arm.size for arm in arms]))


def _freedom(parts: Sequence[float], sizes: Sequence[int]) -> float:
    pull = sum(part**2 / (size - 1) for part, size in zip(parts, sizes, strict=True))
    return sum(parts) ** 2 / pull if pull > 0 else math.inf


def share_contrast(first: tuple[int, int], second: tuple[int, int]) -> Contrast:
    """One share less another, with a variance that is not 0 where none or all are counted.

    One counted and one not counted are added to each (A. Agresti, B. Caffo, The American
    Statistician 54, 2000).

    Args:
        first, second: of each arm, how many are counted, and of how many: two at least.

    >>> found = share_contrast((8, 10), (4, 10))
    >>> round(found.estimate, 4), round(found.variance, 5)
    (0.3333, 0.03588)
    """
    shares = [(counted + 1) / (members + 2) for counted, members in (first, second)]
    sizes = [members for _, members in (first, second)]
    parts = [p * (1 - p) / (n + 2) for p, n in zip(shares, sizes, strict=True)]
    return Contrast(shares[0] - shares[1], sum(parts), _freedom(parts, sizes))


def interaction_p(found: Sequence[Contrast]) -> float | None:
    """How likely effects as far apart as these are, if there is but one effect in all groups.

    Welch's test of means whose variances differ, of the effects (B. L. Welch, Biometrika 38, 1951).
    Whether an effect differs is asked of the difference itself: one group with an effect that is
    significant and another without one don't tell (A. Gelman, H. Stern, The American Statistician
    60, 2006).

    Args:
        found: the effect in each group.

    Returns:
        None of fewer than two groups, or where nothing varies in one.

    >>> round(interaction_p([Contrast(5, 1, 30), Contrast(1, 1, 30)]), 4)
    0.0064
    """
    if len(found) < 2 or not all(one.variance > 0 for one in found):
        return None
    effects, variances, freedom = np.array(found, dtype=np.float64).T
    weights = 1 / variances
    share = weights / weights.sum()
    between = float((weights * (effects - (share * effects).sum()) ** 2).sum()) / (len(found) - 1)
    slack = float(((1 - share) ** 2 / freedom).sum()) / (len(found) ** 2 - 1)
    statistic = between / (1 + 2 * (len(found) - 2) * slack)
    if slack == 0:
        return float(scipy.special.chdtrc(len(found) - 1, statistic * (len(found) - 1)))
    return float(scipy.special.fdtrc(len(found) - 1, 1 / (3 * slack), statistic))


def split_p(targeted: int, holdout: int, share: float) -> float | None:
    """How likely a split as far from the one that was drawn is by chance alone.

    A chi-square test of the numbers in the arms against the share that is held out (sample ratio
    mismatch: A. Fabijan et al., KDD 2019). A small p says that members were lost or added after the
    draw, and that the arms can't be compared.

    >>> split_p(800, 200, 0.2), round(split_p(800, 260, 0.2), 6)
    (1.0, 0.000228)
    """
    n = targeted + holdout
    if not n:
        return None
    expected = n * share
    distance = (holdout - expected) ** 2 * (1 / expected + 1 / (n - expected))
    return float(scipy.special.chdtrc(1, distance))
