"""The chance of an event, by a scorecard: a weight for each level of each feature.

A logistic regression with an L2 penalty (ridge), from scikit-learn. How strong the penalty is, is
chosen by cross-validation in the order of time: on the older leads is learnt, on the next ones
tested, and never the other way round.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy
from numpy.typing import NDArray

from bowtie_projections.views.prospects.features import Feature, Levels, learnt_levels

__all__ = ["PENALTIES", "Model", "chosen_penalty", "fitted", "log_loss"]

Bools = NDArray[np.bool_]
Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

#: The penalties to choose from: scikit-learn's C, the smaller the stronger.
PENALTIES = (0.001, 0.01, 0.03, 0.1, 0.3, 1.0)
#: Into so many blocks of leads, in the order of time, is parted what a penalty is chosen on.
BLOCKS = 4
#: To choose a penalty so many looks are enough.
_ENOUGH = 10_000


@dataclass(frozen=True, slots=True)
class Model:
    """A scorecard that was learnt.

    Args:
        base: the log odds of the average of those it was learnt from.
        features: with the levels it knows.
        weights: of each feature, by level: the log odds it adds, against that average.
        counts: of each feature, by level: how many looks it was learnt from.
    """

    base: float
    features: list[Levels]
    weights: list[Floats]
    counts: list[Ints]

    def parts(self, rows: Ints) -> Floats:
        """What each feature adds to the log odds of each row; rows by features."""
        found = np.zeros((rows.size, len(self.features)))
        for place, (feature, weights) in enumerate(zip(self.features, self.weights, strict=True)):
            # a level nobody had weighs nothing: the last, which -1 finds
            found[:, place] = np.append(weights, 0.0)[feature.codes[rows]]
        return found

    def chances(self, rows: Ints) -> Floats:
        """The chance of each row."""
        total = np.full(rows.size, self.base)
        for feature, weights in zip(self.features, self.weights, strict=True):
            total += np.append(weights, 0.0)[feature.codes[rows]]
        found: Floats = scipy.special.expit(total)
        return found


def fitted(features: Sequence[Feature], rows: Ints, happened: Bools, penalty: float) -> Model:
    """The scorecard of an event.

    Args:
        features: of all looks.
        rows: those to learn from; the event happened for some of them, and for some not.
        happened: whether it did, for each of these rows.
        penalty: scikit-learn's C.
    """
    levels = [learnt_levels(feature, rows) for feature in features]
    levels = [one for one in levels if len(one.levels) > 1]
    return _of_levels(levels, rows, happened, penalty)


def _of_levels(levels: list[Levels], rows: Ints, happened: Bools, penalty: float) -> Model:
    sizes = [len(one.levels) for one in levels]
    starts = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
    intercept, coefficients = _regressed(_table(levels, starts, rows), happened, penalty)
    weights, counts, base = [], [], intercept
    for place, one in enumerate(levels):
        own = coefficients[starts[place] : starts[place + 1]]
        count = np.bincount(one.codes[rows], minlength=sizes[place])
        average = float(own @ count) / rows.size
        base += average
        weights.append(own - average)
        counts.append(count)
    return Model(base, levels, weights, counts)


def _table(levels: Sequence[Levels], starts: Ints, rows: Ints) -> Any:
    """A row for each look, with a one in the column of each level it has."""
    columns = np.empty((rows.size, len(levels)), np.int64)
    for place, one in enumerate(levels):
        columns[:, place] = one.codes[rows] + starts[place]
    ends = np.arange(rows.size + 1) * len(levels)
    shape = (rows.size, int(starts[-1]))
    return scipy.sparse.csr_matrix((np.ones(columns.size), columns.ravel(), ends), shape)


def _regressed(table: Any, happened: Bools, penalty: float) -> tuple[float, Floats]:
    from sklearn.linear_model import LogisticRegression

    events = int(happened.sum())
    if not table.shape[1] or events in {0, happened.size}:
        # nothing to tell them apart by, or nothing to tell apart: the rate, and half of each more
        rate = (events + 0.5) / (happened.size + 1)
        return float(np.log(rate / (1 - rate))), np.zeros(table.shape[1])
    found = LogisticRegression(C=penalty, tol=1e-5, max_iter=1000).fit(table, happened)
    return float(found.intercept_[0]), np.asarray(found.coef_[0], np.float64)


def chosen_penalty(features: Sequence[Feature], rows: Ints, happened: Bools, t0: Ints) -> float:
    """The penalty under which the next leads were foretold best.

    The rows are parted into blocks of leads, by when they came; each block but the first is
    foretold from those before it. The least mean log loss wins; of equal ones the stronger.

    Args:
        features: of all looks.
        rows: those to learn from.
        happened: whether the event did, for each of them.
        t0: when the lead of each of them came; all of a lead have one.
    """
    if rows.size > _ENOUGH:
        some = np.isin(t0, np.unique(t0)[:: -(-rows.size // _ENOUGH)])
        rows, happened, t0 = rows[some], happened[some], t0[some]
    borders = np.quantile(t0, np.arange(1, BLOCKS) / BLOCKS, method="inverted_cdf")
    block = np.searchsorted(borders, t0, "left")
    losses = np.zeros(len(PENALTIES))
    for last in range(1, BLOCKS):
        before, after = block < last, block == last
        if not after.any() or happened[before].all() or not happened[before].any():
            continue
        levels = [learnt_levels(one, rows[before]) for one in features]
        levels = [one for one in levels if len(one.levels) > 1]
        for place, penalty in enumerate(PENALTIES):
            model = _of_levels(levels, rows[before], happened[before], penalty)
            losses[place] += log_loss(model.chances(rows[after]), happened[after]) * after.sum()
    return PENALTIES[int(np.argmin(losses))]


def log_loss(chances: Floats, happened: Bools) -> float:
    """The mean of the logarithms of what was not foretold.

    >>> round(log_loss(np.array([0.9, 0.2]), np.array([True, False])), 4)
    0.1643
    """
    kept = np.clip(np.where(happened, chances, 1 - chances), 1e-15, 1)
    return float(-np.log(kept).mean())
