"""Rates of many groups, each drawn to the mean of all by as much as it may be chance.

The rate of a group of few members is mostly noise: the highest and the lowest of many rates are of
small groups. The beta-binomial model says how much of the spread is more than noise, and each rate
keeps only that part of its distance from the mean (B. Efron, C. Morris, JASA 70, 1975).

>>> shrunk = shrink([30, 12, 1], [100, 60, 2])
>>> shrunk.rates.round(3).tolist()
[0.279, 0.247, 0.268]
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy
from numpy.typing import ArrayLike, NDArray

__all__ = ["Chance", "Shrunk", "by_chance", "shrink", "shrink_each", "shrink_means"]

Floats = NDArray[np.float64]
#: A chi-square test of counts so small would be none (W. G. Cochran, Biometrics 10, 1954).
_FEWEST_EXPECTED = 5
_STEPS = 2000


@dataclass(frozen=True, slots=True)
class Shrunk:
    """The rates of groups, drawn to their mean.

    Args:
        mean: the rate of all groups together.
        rho: the share of a member's variance that lies between groups; 0 where the rates differ no
            more than chance makes them, 1 where each group is all high or all low.
        rates: each group's, NaN where it has no member.
    """

    mean: float
    rho: float
    rates: Floats


def shrink(high: ArrayLike, n: ArrayLike) -> Shrunk:
    """The rates of groups, drawn to their mean by the beta-binomial model.

    ``rho`` is fitted by moments (J. C. Kleinman, JASA 68, 1973, with the groups weighted by their
    members): with X2 the chi-square statistic of equal rates over m groups of n_i of N members,
    rho = (X2 - (m - 1)) / (N - sum(n_i^2) / N - (m - 1)), not under 0 nor over 1. A group's rate is
    the posterior mean (k_i + M p) / (n_i + M) with p the mean and M = (1 - rho) / rho.

    Args:
        high: members of each group that are high.
        n: members of each group; may be fractions, where members of one cluster count for fewer.
    """
    mean, rho, rates = shrink_each(high, n)
    return Shrunk(float(mean), float(rho), rates)


def shrink_each(high: ArrayLike, n: ArrayLike) -> tuple[Floats, Floats, Floats]:
    """The same of many sets of groups at once, each along the last axis: means, rhos, rates.

    A group without a member takes no part in its set, and has no rate.
    """
    k, m = (np.asarray(count, dtype=np.float64) for count in (high, n))
    total = m.sum(axis=-1, keepdims=True)
    freedom = (m > 0).sum(axis=-1, keepdims=True) - 1
    with np.errstate(divide="ignore", invalid="ignore"):
        mean = k.sum(axis=-1, keepdims=True) / total
        apart = np.where(m > 0, (k - m * mean) ** 2 / m, 0.0).sum(axis=-1, keepdims=True)
        even = (mean <= 0) | (mean >= 1)
        statistic = np.where(even, 0.0, apart / (mean * (1 - mean)))
        room = total - (m * m).sum(axis=-1, keepdims=True) / total - freedom
        rho = np.where(room > 0, np.clip((statistic - freedom) / room, 0.0, 1.0), 0.0)
        # (k + M p) / (n + M), with both sides times rho: it holds for rho 0 too
        rates = (rho * k + (1 - rho) * mean) / np.where(m > 0, rho * m + (1 - rho), np.nan)
    return mean[..., 0], rho[..., 0], rates


def shrink_means(means: ArrayLike, variances: ArrayLike) -> Floats:
    """Estimates of groups, each drawn to their mean by its own variance.

    The variance between groups is fitted by moments (R. DerSimonian, N. Laird, Controlled Clinical
    Trials 7, 1986); an estimate keeps the share of its distance from the mean that this variance
    is of both.

    >>> shrink_means([10.0, 20.0, 30.0], [25.0, 25.0, 25.0]).round(2).tolist()
    [12.5, 20.0, 27.5]
    """
    x, v = (np.asarray(values, dtype=np.float64) for values in (means, variances))
    w = 1 / v
    mean = float((w * x).sum() / w.sum())
    excess = float((w * (x - mean) ** 2).sum()) - (x.size - 1)
    room = float(w.sum() - (w * w).sum() / w.sum())
    between = max(0.0, excess / room) if room > 0 else 0.0
    shrunk: Floats = mean + between / (between + v) * (x - mean)
    return shrunk


@dataclass(frozen=True, slots=True)
class Chance:
    """How far the rates of groups would lie apart, were all groups the same.

    Args:
        groups: how many there are.
        seen: the lowest and the highest rate there is.
        expected: the lowest and the highest that is expected by chance alone.
        p: of the chi-square test of equal rates; None where groups are too small for one.
    """

    groups: int
    seen: tuple[float, float]
    expected: tuple[float, float]
    p: float | None


def by_chance(high: ArrayLike, n: ArrayLike) -> Chance | None:
    """What range of rates chance alone would show, from the binomials of all groups at one rate.

    None for fewer than two groups with a member.

    >>> chance = by_chance([3, 2, 0, 5], [10, 10, 10, 10])
    >>> [round(rate, 2) for rate in chance.expected]
    [0.12, 0.39]
    """
    k, m = (np.asarray(count, dtype=np.float64) for count in (high, n))
    k, m = k[m > 0], m[m > 0]
    if m.size < 2:
        return None
    mean = float(k.sum() / m.sum())
    statistic, freedom = _chi_square(k, m, mean)
    least = float(m.min()) * min(mean, 1 - mean)
    p = float(scipy.special.chdtrc(freedom, statistic)) if least >= _FEWEST_EXPECTED else None
    rates = k / m
    return Chance(m.size, (float(rates.min()), float(rates.max())), _extremes(m, mean), p)


def _chi_square(k: Floats, m: Floats, mean: float) -> tuple[float, int]:
    """The statistic of equal rates, and its degrees of freedom."""
    some = m > 0
    freedom = int(some.sum()) - 1
    if not 0 < mean < 1:
        return 0.0, freedom
    spread = (k[some] - m[some] * mean) ** 2 / m[some]
    return float(spread.sum()) / (mean * (1 - mean)), freedom


def _extremes(m: Floats, mean: float) -> tuple[float, float]:
    """The expected lowest and highest of the rates of binomials of one rate.

    The expectation of what lies in 0 to 1 is the integral of the chance to exceed each value.
    """
    sizes = np.maximum(np.rint(m), 1.0)
    # in the middle of each step, where no rate of a small group lies
    values = (np.arange(_STEPS)[:, None] + 0.5) / _STEPS
    most = np.floor(values * sizes)
    # the binomial's distribution is an incomplete beta
    below = scipy.special.betainc(sizes - most, most + 1, 1 - mean)
    lowest, highest = (1 - below).prod(axis=1), 1 - below.prod(axis=1)
    return float(lowest.mean()), float(highest.mean())
