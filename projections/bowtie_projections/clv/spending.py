"""Gamma-Gamma: how much a customer spends at a purchase, told from those seen so far.

Each customer has a mean of their own; what is seen of few purchases is drawn to the mean of all
(P. S. Fader, B. G. S. Hardie, K. L. Lee, Journal of Marketing Research 42, 2005; Fader and
Hardie's note 025). It takes spend and the number of purchases for independent: say their
correlation beside it. Only further purchases are told of, never the first.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from bowtie_projections.clv.fitting import Fit, Floats, maximise_of_many
from bowtie_projections.clv.special import gammaln

__all__ = ["GammaGamma", "correlation"]

_STARTS = ((1.0, 2.0, 1.0), (5.0, 3.0, 1.0), (0.5, 1.5, 0.5), (10.0, 10.0, 1.0))


@dataclass(frozen=True, slots=True)
class GammaGamma:
    """The model of spend.

    >>> model = GammaGamma(Fit((6.25, 3.74, 15.44), 0, True, 1, 1, 1))
    >>> round(model.mean_of_all(), 2)
    35.22
    """

    NAMES: ClassVar = ("p", "q", "v")
    name: ClassVar = "gamma-gamma"
    fit: Fit

    @classmethod
    def fitted(cls, x: Floats, mean: Floats) -> GammaGamma:
        """The model of the greatest likelihood.

        Args:
            x: how many further purchases each customer made, over 0.
            mean: what they spent at one of them on average, over 0.
        """
        scale = float(np.average(mean, weights=x))
        inside = mean / scale

        def rows(values: tuple[float, ...], step: int) -> Floats:
            return _log_likelihood(values, x[::step], inside[::step])

        found = maximise_of_many(rows, _STARTS, np.ones(len(x)))
        p, q, v = found.values[0], found.values[1], found.values[2] * scale
        total = float(_log_likelihood((p, q, v), x, mean).sum())
        return cls(replace(found, values=(p, q, v), log_likelihood=total))

    def named(self) -> dict[str, float]:
        """The parameters by name; ``v`` is in money."""
        return dict(zip(self.NAMES, self.fit.values, strict=True))

    def mean_of_all(self) -> float:
        """The mean of the customers' means: of whom nothing is known; NaN where there is none."""
        p, q, v = self.fit.values
        return p * v / (q - 1) if q > 1 else float("nan")

    def expected(self, x: Floats, mean: Floats) -> Floats:
        """What each spends at a purchase, by what they spent at those seen.

        Args:
            x: how many further purchases were seen; of 0 the mean of all is expected.
            mean: what was spent at one on average; anything where there was none.
        """
        p, q, v = self.fit.values
        below = p * x + q - 1
        known = p * (v + x * np.where(x > 0, mean, 0.0)) / np.where(below > 0, below, np.nan)
        return np.asarray(np.where(x > 0, known, self.mean_of_all()))


def correlation(x: Floats, mean: Floats) -> float:
    """How far those who order more spend more at once (Pearson); NaN where it can't be told.

    >>> round(correlation(np.array([1.0, 2.0, 3.0]), np.array([5.0, 6.0, 7.0])), 3)
    1.0
    """
    if len(x) < 3 or not np.ptp(x) or not np.ptp(mean):
        return float("nan")
    return float(np.corrcoef(x, mean)[0, 1])


def _log_likelihood(values: tuple[float, ...], x: Floats, mean: Floats) -> Floats:
    """The log-likelihood of each row (Fader and Hardie, note 025, equation 1a)."""
    p, q, v = values
    px = p * x
    return np.asarray(
        gammaln(px + q) - gammaln(px) - gammaln(q) + q * np.log(v)
        + (px - 1) * np.log(mean) + px * np.log(x) - (px + q) * np.log(x * mean + v)
    )  # fmt: skip
