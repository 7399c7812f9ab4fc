"""Two arms of a trial: how far apart they are, what could be seen, and whether the split is right.

>>> share = detectable_share(0.3, 400, 100)
>>> round(share, 3)
0.151
>>> round(detectable_mean(1000.0, 400, 100), 1)
313.2
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import scipy
from numpy.typing import ArrayLike, NDArray

__all__ = [
    "ALPHA",
    "POWER",
    "Gap",
    "clustered_gap",
    "detectable_mean",
    "detectable_share",
    "mean_gap",
    "split_p",
]

Floats = NDArray[np.float64]

#: The level of a two-sided test, and the chance to see a difference of the size that is named.
ALPHA, POWER = 0.05, 0.8
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
        half = float(scipy.special.ndtri(1 - ALPHA / 2)) * math.sqrt(
            sum(arm.var(ddof=1) / arm.size for arm in arms)
        )
        return Gap(gap, gap - half, gap + half, "normal")
    random = np.random.default_rng(seed)
    low, high = np.quantile(
        _means(arms[0], random) - _means(arms[1], random), [ALPHA / 2, 1 - ALPHA / 2]
    )
    return Gap(gap, float(low), float(high), "bootstrap")


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
    drawn = []
    for sums, sizes in arms:
        places = random.integers(sums.size, size=(DRAWS, sums.size))
        drawn.append(sums[places].sum(axis=1) / sizes[places].sum(axis=1))
    low, high = np.quantile(drawn[0] - drawn[1], [ALPHA / 2, 1 - ALPHA / 2])
    return Gap(gap, float(low), float(high), "bootstrap of clusters")


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
