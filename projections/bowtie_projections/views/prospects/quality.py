"""How good scores are, on leads they were not learnt from."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy
from numpy.typing import NDArray

from bowtie_projections.statistics import design_effect, wilson

__all__ = ["Decile", "Quality", "auc", "deciles", "judged"]

Bools = NDArray[np.bool_]
Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Quality:
    """Scores against what happened.

    Args:
        looks: how many were tested.
        observed: for how many it happened.
        expected: the sum of their scores.
        auc: the chance that of two looks, of which one had the event, that one scored higher.
        auc_low, auc_high: its 95% interval, clustered.
        brier: the mean squared error of the scores.
        brier_base: that of the rate among those learnt from, given to everybody.
    """

    looks: int
    observed: int
    expected: float
    auc: float
    auc_low: float
    auc_high: float
    brier: float
    brier_base: float


@dataclass(frozen=True, slots=True)
class Decile:
    """A tenth of the tested looks, by score.

    Args:
        decile: 1 is the tenth of the highest scores.
        looks: how many it has.
        predicted: their mean score.
        observed: for how many it happened.
        rate: their share, with the bounds of its interval (Wilson, clustered).
        lift: that share over the share of all.
        captured: of all for which it happened, the share in this tenth and those above.
    """

    decile: int
    looks: int
    predicted: float
    observed: int
    rate: float
    rate_low: float
    rate_high: float
    lift: float | None
    captured: float | None


def judged(scores: Floats, happened: Bools, clusters: Ints, base: float) -> Quality:
    """How good scores are.

    Args:
        scores: of each look.
        happened: whether the event did.
        clusters: of which account each look is, or of which lead, as a number.
        base: the rate among those the scores were learnt from.
    """
    area, low, high = auc(scores, happened, clusters)
    return Quality(
        looks=scores.size,
        observed=int(happened.sum()),
        expected=float(scores.sum()),
        auc=area,
        auc_low=low,
        auc_high=high,
        brier=float(np.mean((scores - happened) ** 2)),
        brier_base=float(np.mean((base - happened) ** 2)),
    )


def auc(scores: Floats, happened: Bools, clusters: Ints) -> tuple[float, float, float]:
    """The area under the ROC curve, and the bounds of its 95% interval.

    The placements of E. R. DeLong and others (Biometrics 44, 1988), added up by cluster, for looks
    at one lead are not independent (N. A. Obuchowski, Biometrics 53, 1997). The interval is that of
    the area's log odds, so that it stays between 0 and 1. NaN where all or none had the event; the
    bounds are, too, where one cluster had all the events or all the others.

    >>> scores, happened = np.array([0.9, 0.8, 0.3, 0.2]), np.array([True, False, True, False])
    >>> auc(scores, happened, np.arange(4))[0]
    0.75
    """
    ones, noughts = scores[happened], scores[~happened]
    m, n = ones.size, noughts.size
    if not m or not n:
        return np.nan, np.nan, np.nan
    together = scipy.stats.rankdata(np.concatenate([ones, noughts]))
    # the share of the others that each stands above
    of_ones = (together[:m] - scipy.stats.rankdata(ones)) / n
    of_noughts = 1 - (together[m:] - scipy.stats.rankdata(noughts)) / m
    area = float(of_ones.mean())
    _, cluster = np.unique(clusters, return_inverse=True)
    size = int(cluster.max()) + 1
    up = np.bincount(cluster[happened], of_ones - area, size)
    down = np.bincount(cluster[~happened], of_noughts - area, size)
    with_ones = np.unique(cluster[happened]).size
    with_noughts = np.unique(cluster[~happened]).size
    if with_ones < 2 or with_noughts < 2 or not 0 < area < 1:
        return area, np.nan, np.nan
    variance = (
        with_ones / (with_ones - 1) * float(up @ up) / m**2
        + with_noughts / (with_noughts - 1) * float(down @ down) / n**2
        + 2 * size / (size - 1) * float(up @ down) / (m * n)
    )
    middle = np.log(area / (1 - area))
    half = scipy.stats.norm.ppf(0.975) * np.sqrt(max(variance, 0.0)) / (area * (1 - area))
    low, high = (float(1 / (1 + np.exp(-(middle + side * half)))) for side in (-1, 1))
    return area, low, high


def deciles(scores: Floats, happened: Bools, clusters: Ints) -> list[Decile]:
    """The looks in tenths by score, the highest first; of equal scores those that come first."""
    order = np.argsort(-scores, kind="stable")
    overall, total, found, reached = happened.mean(), int(happened.sum()), [], 0
    for place, own in enumerate(np.array_split(order, 10), start=1):
        if not own.size:
            continue
        events = int(happened[own].sum())
        reached += events
        effect = _effect(happened[own], clusters[own])
        low, high = wilson(events / effect, own.size / effect)
        rate = events / own.size
        found.append(
            Decile(
                place, own.size, float(scores[own].mean()), events, rate, float(low), float(high),
                rate / overall if total else None, reached / total if total else None,
            )
        )  # fmt: skip
    return found


def _effect(happened: Bools, clusters: Ints) -> float:
    """How many looks tell as much as one, because looks at one lead are alike."""
    _, cluster = np.unique(clusters, return_inverse=True)
    sizes = np.bincount(cluster).astype(np.float64)
    events = np.bincount(cluster, happened.astype(np.float64))
    sums = (float(events @ events), float(events @ sizes), float(sizes @ sizes))
    return design_effect(float(events.sum()), float(sizes.sum()), sizes.size, sums)
