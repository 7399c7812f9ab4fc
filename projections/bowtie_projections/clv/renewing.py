"""Renewing a contract: the shifted-beta-geometric model (sBG).

At each renewal a customer leaves with a chance of their own, which never changes; that chance is
beta among customers. The rate of renewal rises with age all the same, for those who leave easily
have left (P. S. Fader, B. G. S. Hardie, *How to Project Customer Retention*, Journal of
Interactive Marketing 21, 2007; *Customer-Base Valuation in a Contractual Setting*, Marketing
Science 29, 2010).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from bowtie_projections.clv.fitting import Fit, Floats, maximise
from bowtie_projections.clv.special import betaln, hyp2f1

__all__ = ["ShiftedBetaGeometric"]

_STARTS = ((1.0, 1.0), (0.5, 3.0), (5.0, 5.0), (0.2, 0.5))


@dataclass(frozen=True, slots=True)
class ShiftedBetaGeometric:
    """The model of renewals; time is counted in terms of a contract.

    >>> model = ShiftedBetaGeometric(Fit((0.704, 1.182), 0, True, 1, 1, 1))
    >>> [round(float(model.renewing(t)), 3) for t in (1, 2, 3, 4)]
    [0.627, 0.756, 0.819, 0.856]
    """

    NAMES: ClassVar = ("alpha", "beta")
    name: ClassVar = "sbg"
    fit: Fit

    @classmethod
    def fitted(cls, renewals: Floats, lost: Floats, kept: Floats) -> ShiftedBetaGeometric:
        """The model of the greatest likelihood.

        Args:
            renewals: 0, 1, 2 ... renewals that were passed.
            lost: how many passed so many and left at the next.
            kept: how many passed so many and have not come to the next yet.
        """
        counted = lost + kept

        def rows(alpha: float, beta: float) -> Floats:
            left = betaln(alpha + 1, beta + renewals)
            stayed = betaln(alpha, beta + renewals)
            both = lost * left + kept * stayed - counted * betaln(alpha, beta)
            return np.asarray(both / counted)

        return cls(maximise(rows, _STARTS, counted))

    def named(self) -> dict[str, float]:
        """The parameters by name."""
        return dict(zip(self.NAMES, self.fit.values, strict=True))

    def surviving(self, renewals: Floats | float) -> Floats:
        """The share that passes so many renewals."""
        alpha, beta = self.fit.values
        return np.asarray(np.exp(betaln(alpha, beta + renewals) - betaln(alpha, beta)))

    def renewing(self, number: Floats | float) -> Floats:
        """The share of those who come to a renewal, the first being 1, that passes it."""
        alpha, beta = self.fit.values
        return np.asarray((beta + number - 1) / (alpha + beta + number - 1))

    def lifetime_of_new(self, discount: float) -> float:
        """The payments to expect of a new customer, discounted by the term: the first is now."""
        alpha, beta = self.fit.values
        return float(hyp2f1(1, beta, alpha + beta, 1 / (1 + discount)))

    def lifetime_before(self, renewal: int, discount: float) -> float:
        """The payments to expect of a customer just before a renewal, the first being 1."""
        alpha, beta = self.fit.values
        b = beta + renewal
        rest = hyp2f1(1, b, alpha + b, 1 / (1 + discount))
        return float((b - 1) / (alpha + b - 1) * rest)
