"""Tests of a level against the rest, and of a trait's levels together, within strata.

Customers of one acquisition cohort are compared with customers of the same cohort: a level that is
merely older than the rest shows nothing here. Strata are arrays: in stratum ``s``, ``high[s]`` of
the ``n[s]`` customers in the level are of high value, and ``high_all[s]`` of all ``n_all[s]``.

All tests hold the margins fixed, so each count is hypergeometric where the level means nothing.

>>> table = Strata([18, 20], [20, 200], [178, 21], [200, 210])   # Simpson: crude 0.04, within 1.1
>>> float(round(table.crude_odds_ratio, 3)), float(round(table.odds_ratio, 2)), table.sign_change
(0.038, 1.08, True)
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import scipy
from numpy.typing import ArrayLike, NDArray

__all__ = ["Strata", "deflated", "fisher", "omnibus", "variances"]

Floats = NDArray[np.float64]
Alternative = Literal["two-sided", "greater", "less"]

#: Up to this variance of the count the exact distribution is used; the skewness that the normal
#: approximation leaves out is then under a tenth, and a convolution takes under a millisecond.
EXACT_VARIANCE = 100.0
#: Two tables are equally likely if their probabilities differ by less: rounding, not order.
TIE = 1e-7
#: With fewer in a cell by the common odds ratio a stratum is too small for a chi-square.
_FITTED = 2.0
#: So near to 1 an odds ratio makes no difference that a number could hold.
_EVEN = 1e-9


class Strata:
    """One level against the rest, in each stratum.

    Args:
        high: of high value in the level.
        n: customers in the level.
        high_all: of high value in the stratum.
        n_all: customers in the stratum.
    """

    __slots__ = ("high", "high_all", "n", "n_all")

    def __init__(
        self, high: ArrayLike, n: ArrayLike, high_all: ArrayLike, n_all: ArrayLike
    ) -> None:
        self.high, self.n, self.high_all, self.n_all = (
            np.atleast_1d(np.asarray(counts, dtype=np.int64))
            for counts in (high, n, high_all, n_all)
        )

    def pooled(self) -> Strata:
        """All strata thrown together: the crude table."""
        return Strata(self.high.sum(), self.n.sum(), self.high_all.sum(), self.n_all.sum())

    @property
    def score(self) -> float:
        """How many more are high in the level than chance within strata would have."""
        n_all = np.maximum(self.n_all, 1)
        return float((self.high - self.n * self.high_all / n_all).sum())

    @property
    def information(self) -> float:
        """The variance of the score where the level means nothing."""
        return float(variances(self.n, self.high_all, self.n_all).sum())

    @property
    def crude_odds_ratio(self) -> float:
        """The odds ratio over all strata together, from the plain counts."""
        return self.pooled().odds_ratio

    @property
    def odds_ratio(self) -> float:
        """The Mantel-Haenszel odds ratio: infinite or 0 at a zero margin, NaN where undefined."""
        a, b = self.high, self.n - self.high
        c = self.high_all - a
        d = self.n_all - self.n - c
        return self._mantel_haenszel(a * d, c * b)

    @property
    def risk_ratio(self) -> float:
        """The Mantel-Haenszel risk ratio."""
        out = self.n_all - self.n
        return self._mantel_haenszel(self.high * out, (self.high_all - self.high) * self.n)

    def _mantel_haenszel(self, over: NDArray[np.int64], under: NDArray[np.int64]) -> float:
        n_all = np.maximum(self.n_all, 1)
        top, bottom = float((over / n_all).sum()), float((under / n_all).sum())
        if bottom == 0:
            return float("nan") if top == 0 else float("inf")
        return top / bottom

    @property
    def homogeneity(self) -> float:
        """The p of "the odds ratio is the same in all strata"; NaN where that can't be asked.

        Breslow and Day's test with Tarone's correction (R. E. Tarone, Biometrika 72, 1985), about
        the Mantel-Haenszel odds ratio. Strata in which a cell would hold fewer than 2 by that
        ratio take no part, for there the chi-square is none; two must be left.
        """
        ratio = self.odds_ratio
        if not 0 < ratio < np.inf:
            return float("nan")
        fitted = _fitted(self, ratio)
        n, high_all, n_all = (np.asarray(one, float) for one in (self.n, self.high_all, self.n_all))
        cells = np.stack([fitted, n - fitted, high_all - fitted, n_all - n - high_all + fitted])
        enough = cells.min(axis=0) >= _FITTED
        if enough.sum() < 2:
            return float("nan")
        variance = 1 / (1 / cells[:, enough]).sum(axis=0)
        apart = (self.high - fitted)[enough]
        statistic = (apart**2 / variance).sum() - apart.sum() ** 2 / variance.sum()
        return float(scipy.special.chdtrc(int(enough.sum()) - 1, max(0.0, statistic)))

    @property
    def sign_change(self) -> bool:
        """Whether crude and stratified effect point opposite ways (Simpson's paradox)."""
        # whole numbers over a common denominator would be exact; a score below 1e-9 is no effect
        within, crude = self.score, self.pooled().score
        return bool(min(abs(within), abs(crude)) > 1e-9 and (within > 0) != (crude > 0))

    def p(self, alternative: Alternative = "two-sided") -> float:
        """How likely a table at least as odd is, were the level without meaning.

        Exact (the conditional distribution, a convolution of hypergeometrics) where the variance of
        the count is at most 100, by the Mantel-Haenszel normal approximation beyond. Two-sided
        exact: all counts that are no likelier than the one seen, as Fisher's test has it; with one
        stratum it is Fisher's test. 1 where nothing can differ.
        """
        if self.information == 0:
            return 1.0
        if self.information <= EXACT_VARIANCE:
            return self._exact(alternative)
        return self._normal(alternative)

    def _normal(self, alternative: Alternative) -> float:
        # corrected for continuity: the count moves in whole steps, and the exact test says so too
        deviation = self.information**0.5
        tails = {
            "two-sided": min(1.0, 2 * scipy.special.ndtr((0.5 - abs(self.score)) / deviation)),
            "greater": scipy.special.ndtr((0.5 - self.score) / deviation),
            "less": scipy.special.ndtr((0.5 + self.score) / deviation),
        }
        return float(tails[alternative])

    def _exact(self, alternative: Alternative) -> float:
        chances = _null_distribution(self)
        seen = chances.seen
        if alternative == "greater":
            return float(min(1.0, chances.of[seen:].sum()))
        if alternative == "less":
            return float(min(1.0, chances.of[: seen + 1].sum()))
        no_likelier = chances.of <= chances.of[seen] * (1 + TIE)
        return float(min(1.0, chances.of[no_likelier].sum()))


def fisher(high: int, n: int, high_all: int, n_all: int) -> float:
    """Fisher's two-sided test of one table; the normal approximation where counts are large.

    >>> round(fisher(8, 10, 9, 20), 4)
    0.0055
    """
    return Strata(high, n, high_all, n_all).p()


def deflated(p: float, effect: float, freedom: int = 1) -> float:
    """The p of a test of units that are of few accounts, from that of as many independent ones.

    The chi-square is divided by the design effect (J. N. K. Rao, A. J. Scott, JASA 76, 1981: their
    first-order correction), here by way of its p.

    Args:
        p: of the test that takes all units for independent.
        effect: from :func:`bowtie_projections.statistics.design_effect`.
        freedom: the degrees of freedom of the chi-square; 0 for a one-sided test.

    >>> round(deflated(0.01, 2.0), 4), deflated(0.01, 1.0)
    (0.0685, 0.01)
    """
    if effect <= 1 or not 0 < p < 1:
        return p
    if freedom == 0:
        return float(scipy.special.ndtr(scipy.special.ndtri(p) / effect**0.5))
    return float(scipy.special.chdtrc(freedom, scipy.special.chdtri(freedom, p) / effect))


def _fitted(strata: Strata, ratio: float) -> Floats:
    """How many would be high in the level of each stratum, by its margins and the odds ratio."""
    n, high, total = (np.asarray(m, float) for m in (strata.n, strata.high_all, strata.n_all))
    if abs(ratio - 1) < _EVEN:
        return np.asarray(n * high / np.maximum(total, 1))
    # the root of a quadratic that lies within the margins
    b = total - n - high + ratio * (n + high)
    root: Floats = (b - np.sqrt(b * b - 4 * (ratio - 1) * ratio * n * high)) / (2 * (ratio - 1))
    return root


@dataclass(frozen=True, slots=True)
class _Chances:
    """The probabilities of neighbouring counts, and which of them was seen."""

    of: Floats
    seen: int


def _null_distribution(strata: Strata) -> _Chances:
    """The distribution of the sum of the level's high, given all margins."""
    spread = variances(strata.n, strata.high_all, strata.n_all)
    moves = spread > 0
    seen, n = strata.high[moves], strata.n[moves]
    high_all, n_all = strata.high_all[moves], strata.n_all[moves]
    least = np.maximum(0, high_all - (n_all - n))
    most = np.minimum(n, high_all)
    # 15 standard deviations and 40 hold all but 1e-40 of the mass; the count seen is always inside
    middle, reach = n * high_all / n_all, 15 * np.sqrt(spread[moves]) + 40
    low = np.maximum(least, np.minimum(np.floor(middle - reach), seen - 40)).astype(np.int64)
    top = np.minimum(most, np.maximum(np.ceil(middle + reach), seen + 40)).astype(np.int64)
    counts = low[:, None] + np.arange(int((top - low).max()) + 1)
    inside = counts <= top[:, None]
    safe = np.where(inside, counts, low[:, None])
    logs = _log_choose(n[:, None], safe) + _log_choose(
        (n_all - n)[:, None], high_all[:, None] - safe
    )
    logs = np.where(inside, logs - _log_choose(n_all, high_all)[:, None], -np.inf)
    total = np.ones(1)
    for row, width in zip(np.exp(logs), top - low + 1, strict=True):
        total = np.convolve(total, row[:width])
    return _Chances(total / total.sum(), int((seen - low).sum()))


def variances(n: ArrayLike, high_all: ArrayLike, n_all: ArrayLike) -> Floats:
    """The hypergeometric variances; 0 where a stratum is all or none in the level or high."""
    level, high, total = (np.asarray(counts, dtype=np.float64) for counts in (n, high_all, n_all))
    return np.asarray(
        level * (total - level) * high * (total - high) / np.maximum(total * total * (total - 1), 1)
    )


def _log_choose(n: NDArray[np.int64], k: NDArray[np.int64]) -> Floats:
    return np.asarray(
        scipy.special.gammaln(n + 1.0)
        - scipy.special.gammaln(k + 1.0)
        - scipy.special.gammaln(n - k + 1.0)
    )


def omnibus(high: ArrayLike, n: ArrayLike) -> float:
    """One test of all levels of a trait: the p of "no level differs, within strata".

    The generalised Cochran-Mantel-Haenszel chi-square (J. R. Landis, E. R. Heyman, G. G. Koch, Int.
    Stat. Rev. 46, 1978). Where counts are too small for it (Cochran's rule on the expected counts,
    summed over strata: none under 1, at most a fifth under 5), the smallest exact p of a level
    against the rest, times the number of levels: valid however the levels hang together.

    Args:
        high: of high value, by level (rows) and stratum (columns).
        n: customers, by level and stratum.

    >>> round(omnibus([[10], [20], [30]], [[50], [50], [50]]), 5)
    0.00025
    """
    a, m = (np.atleast_2d(np.asarray(counts, dtype=np.int64)) for counts in (high, n))
    kept = m.sum(axis=1) > 0
    a, m = a[kept], m[kept]
    high_all, n_all = a.sum(axis=0), m.sum(axis=0)
    if len(a) < 2:
        return 1.0
    if len(a) == 2:
        return Strata(a[0], m[0], high_all, n_all).p()
    expected = m * (high_all / np.maximum(n_all, 1))
    cells = np.concatenate([expected.sum(axis=1), (m - expected).sum(axis=1)])
    if cells.min() < 1 or (cells < 5).mean() > 0.2:
        single = [Strata(row, of, high_all, n_all).p() for row, of in zip(a, m, strict=True)]
        return min(1.0, len(single) * min(single))
    return _chi_square(a, m, expected)


def _chi_square(a: NDArray[np.int64], m: NDArray[np.int64], expected: Floats) -> float:
    high_all, n_all = a.sum(axis=0).astype(float), m.sum(axis=0).astype(float)
    weight = high_all * (n_all - high_all) / np.maximum(n_all * n_all * (n_all - 1), 1)
    # the last level is what the others leave over: without it the matrix is regular, unless
    # strata share no levels; its rank says how many comparisons there really are
    counts = m[:-1].astype(float)
    variance = np.diag((counts * (weight * n_all)).sum(axis=1)) - (counts * weight) @ counts.T
    score = (a - expected)[:-1].sum(axis=1)
    scale = np.sqrt(np.maximum(np.diag(variance), 1e-300))
    roots, axes = np.linalg.eigh(variance / np.outer(scale, scale))
    real = roots > 1e-9
    if not real.any():
        return 1.0
    along = axes.T[real] @ (score / scale)
    return float(scipy.special.chdtrc(int(real.sum()), float((along**2 / roots[real]).sum())))
