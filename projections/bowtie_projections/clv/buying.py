"""Buying without a contract: how often customers order, and whether they still do.

Nobody says that they leave, so it is told from silence: who ordered often and has been silent for
long has probably left, who ordered seldom may not have. Each customer is told by three figures,
all from their first purchase on: ``x``, the days with a further purchase; ``recency``, from the
first purchase to the last; ``age``, from the first purchase to the moment asked of.

- :class:`BetaGeometric`, BG/NBD: while active, a customer orders at random at a rate of their own,
  and may leave after each further purchase (P. S. Fader, B. G. S. Hardie, K. L. Lee, Marketing
  Science 24, 2005). Who has ordered once can't have left.
- its ``modified`` form, MBG/NBD, in which they may leave after the first purchase too
  (E. P. Batislam, M. Denizel, A. Filiztekin, IJRM 24, 2007).
- :class:`ParetoNBD`: they may leave at any moment (D. C. Schmittlein, D. G. Morrison, R. Colombo,
  Management Science 33, 1987; in logarithms after Fader and Hardie's notes 009 and 027).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import ClassVar, Protocol

import numpy as np

from bowtie_projections.clv.fitting import Fit, Floats, maximise_of_many
from bowtie_projections.clv.special import betaincinv, betaln, gammaln, hyp2f1

__all__ = ["MODELS", "BetaGeometric", "Buyers", "BuyingModel", "ParetoNBD"]

#: Nearer than this to where a formula has a hole, it is read as the mean of both sides.
_HOLE = 1e-5
#: Parameters beyond it are too large for 2F1.
_LARGE = 60.0
#: The points that a mean over the chance to leave is taken at.
_NODES = 80


@dataclass(frozen=True, slots=True)
class Buyers:
    """Customers by what they bought, those alike in one row.

    Args:
        x: the days with a further purchase.
        recency: from the first purchase to the last; 0 where ``x`` is 0.
        age: from the first purchase to now, in the same unit of time.
        customers: how many are alike.
    """

    x: Floats
    recency: Floats
    age: Floats
    customers: Floats

    @classmethod
    def of(cls, x: object, recency: object, age: object, customers: object = None) -> Buyers:
        """From anything that numpy can read; each row one customer, if not said else."""
        number, since, old = (np.asarray(one, np.float64) for one in (x, recency, age))
        many = np.ones(len(number)) if customers is None else np.asarray(customers, np.float64)
        return cls(number, since, old, many)

    def scaled(self, by: float) -> Buyers:
        """The same, with times in another unit."""
        return replace(self, recency=self.recency / by, age=self.age / by)

    def every(self, step: int) -> Buyers:
        """Every so many-th row."""
        columns = (self.x, self.recency, self.age, self.customers)
        return Buyers(*(one[::step] for one in columns))


class BuyingModel(Protocol):
    """What is asked of a model of buying; times are in the unit it was fitted in."""

    @property
    def name(self) -> str:
        """What the model is called."""

    @property
    def fit(self) -> Fit:
        """What was estimated."""

    def named(self) -> dict[str, float]:
        """The parameters by name."""

    def alive(self, buyers: Buyers) -> Floats:
        """The probability that each still buys."""

    def expected(self, buyers: Buyers, time: float) -> Floats:
        """How many further purchases to expect of each within so long from now."""

    def expected_of_new(self, time: float) -> float:
        """How many further purchases to expect within so long of the first one."""


def _fitted(log_likelihood: Callable[..., Floats], buyers: Buyers, rates: tuple[int, ...]) -> Fit:
    """The fit, searched in a unit in which customers are about 1 old.

    Args:
        log_likelihood: by the parameters and the buyers.
        buyers: whom it is fitted to.
        rates: the places of the parameters that are times.
    """
    scale = float(np.average(buyers.age, weights=buyers.customers))
    inside = buyers.scaled(scale)

    def rows(values: tuple[float, ...], step: int) -> Floats:
        return log_likelihood(values, inside if step == 1 else inside.every(step))

    found = maximise_of_many(rows, _STARTS, inside.customers)
    values = tuple(
        value * scale if place in rates else value for place, value in enumerate(found.values)
    )
    total = float(log_likelihood(values, buyers) @ buyers.customers)
    return replace(found, values=values, log_likelihood=total)


_STARTS = ((0.5, 0.5, 1.0, 2.0), (1.0, 1.0, 1.0, 1.0), (0.2, 0.1, 0.5, 0.5), (3.0, 0.5, 0.3, 5.0))


@dataclass(frozen=True, slots=True)
class BetaGeometric:
    """BG/NBD, or MBG/NBD where it is ``modified``.

    >>> buyers = Buyers.of([2], [30.43], [38.86])
    >>> model = BetaGeometric(Fit((0.2426, 4.4136, 0.7929, 2.4259), 0, True, 1, 1, 1))
    >>> round(float(model.alive(buyers)[0]), 4), round(float(model.expected(buyers, 39)[0]), 3)
    (0.7266, 1.226)
    """

    NAMES: ClassVar = ("r", "alpha", "a", "b")
    fit: Fit
    modified: bool = False

    @classmethod
    def fitted(cls, buyers: Buyers, *, modified: bool = False) -> BetaGeometric:
        """The model of the greatest likelihood."""

        def rows(values: tuple[float, float, float, float], to: Buyers) -> Floats:
            return _beta_geometric(values, to, modified=modified)

        return cls(_fitted(rows, buyers, (1,)), modified)

    @property
    def name(self) -> str:
        """What the model is called."""
        return "mbg/nbd" if self.modified else "bg/nbd"

    def named(self) -> dict[str, float]:
        """The parameters by name: of the rate of buying ``r``, ``alpha``; of leaving ``a``, ``b``.

        ``alpha`` is in the unit of time.
        """
        return dict(zip(self.NAMES, self.fit.values, strict=True))

    def alive(self, buyers: Buyers) -> Floats:
        """The probability that each still buys; 1 of who has ordered once, unless modified."""
        r, alpha, a, b = self.fit.values
        gone = _log_gone((r, alpha, a, b), buyers, modified=self.modified)
        stays = -(r + buyers.x) * np.log(alpha + buyers.age)
        return np.asarray(1 / (1 + np.exp(gone - stays)))

    def expected(self, buyers: Buyers, time: float) -> Floats:
        """How many further purchases to expect of each within so long from now."""
        r, alpha, a, b = self.fit.values
        one_more = b + 1 if self.modified else b
        while_active = _purchases((r + buyers.x, alpha + buyers.age, a, one_more + buyers.x), time)
        return while_active * self.alive(buyers)

    def expected_of_new(self, time: float) -> float:
        """How many further purchases to expect within so long of the first one."""
        r, alpha, a, b = self.fit.values
        stays, one_more = (b / (a + b), b + 1) if self.modified else (1.0, b)
        new = (np.array(r), np.array(alpha), a, np.array(one_more))
        return float(stays * _purchases(new, time))


def _log_gone(
    values: tuple[float, float, float, float], buyers: Buyers, *, modified: bool
) -> Floats:
    """The logarithm of the part of the likelihood in which a customer left after the last."""
    r, alpha, a, b = values
    x = buyers.x
    chances = b + x if modified else b + np.maximum(x, 1) - 1
    gone = np.log(a) - np.log(chances) - (r + x) * np.log(alpha + buyers.recency)
    return gone if modified else np.where(x > 0, gone, -np.inf)


def _beta_geometric(
    values: tuple[float, float, float, float], buyers: Buyers, *, modified: bool
) -> Floats:
    """The log-likelihood of each row (Fader, Hardie and Lee 2005, equation 6)."""
    r, alpha, a, b = values
    x = buyers.x
    counted = gammaln(r + x) - gammaln(r) + r * np.log(alpha)
    stayed = betaln(a, b + x + modified) - betaln(a, b)
    active = -(r + x) * np.log(alpha + buyers.age)
    gone = _log_gone(values, buyers, modified=modified)
    return np.asarray(counted + stayed + np.logaddexp(active, gone))


def _purchases(posterior: tuple[Floats, Floats, float, Floats], time: float) -> Floats:
    """How many purchases an active customer is expected to make.

    Their rate is gamma (shape, by time), their chance to leave beta. It is Fader, Hardie and
    Lee's equation 10 after Euler's transformation of 2F1, which holds for many purchases too.
    Where a parameter is large, 2F1 is lost to rounding, and the mean is taken by quadrature.
    """
    shape, by, a, b = posterior
    if max(a, float(np.max(b))) > _LARGE:
        return _by_quadrature(posterior, time)
    if abs(a - 1) < _HOLE:
        sides = (a - 2 * _HOLE, a + 2 * _HOLE)
        low, high = (_purchases((shape, by, side, b), time) for side in sides)
        return (low + high) / 2
    z = time / (by + time)
    series = hyp2f1(a + b - 1 - shape, a - 1, a + b - 1, z)
    return np.asarray((a + b - 1) / (a - 1) * (1 - (1 - z) ** (a - 1) * series))


def _by_quadrature(posterior: tuple[Floats, Floats, float, Floats], time: float) -> Floats:
    """The same: the mean over the chance to leave of what is expected given it."""
    shape, by, a, b = posterior
    nodes, weights = np.polynomial.legendre.leggauss(_NODES)
    total = np.zeros(np.broadcast(shape, b).shape)
    apart, place = np.unique(b, return_inverse=True)
    for node, weight in zip((nodes + 1) / 2, weights / 2, strict=True):
        leaves = np.maximum(betaincinv(a, apart, node), 1e-12)[place].reshape(b.shape)
        total = total - weight * np.expm1(shape * np.log(by / (by + leaves * time))) / leaves
    return total


@dataclass(frozen=True, slots=True)
class ParetoNBD:
    """Pareto/NBD.

    >>> model = ParetoNBD(Fit((0.5533, 10.5776, 0.6062, 11.6679), 0, True, 1, 1, 1))
    >>> round(float(model.alive(Buyers.of([0], [0], [38.86]))[0]), 3)
    0.295
    """

    NAMES: ClassVar = ("r", "alpha", "s", "beta")
    name: ClassVar = "pareto/nbd"
    fit: Fit

    @classmethod
    def fitted(cls, buyers: Buyers) -> ParetoNBD:
        """The model of the greatest likelihood."""
        return cls(_fitted(_pareto, buyers, (1, 3)))

    def named(self) -> dict[str, float]:
        """The parameters by name: of buying ``r``, ``alpha``; of leaving ``s``, ``beta``.

        ``alpha`` and ``beta`` are in the unit of time.
        """
        return dict(zip(self.NAMES, self.fit.values, strict=True))

    def alive(self, buyers: Buyers) -> Floats:
        """The probability that each still buys."""
        values = self.fit.values
        active, gone = _pareto_parts(values, buyers)
        return np.asarray(1 / (1 + np.exp(gone - active)))

    def expected(self, buyers: Buyers, time: float) -> Floats:
        """How many further purchases to expect of each within so long from now."""
        r, alpha, s, beta = self.fit.values
        old = beta + buyers.age
        rate = (r + buyers.x) / (alpha + buyers.age)
        return self.alive(buyers) * rate * old * _staying(s, old, time)

    def expected_of_new(self, time: float) -> float:
        """How many further purchases to expect within so long of the first one."""
        r, alpha, s, beta = self.fit.values
        return float(r / alpha * beta * _staying(s, np.array(beta), time))


def _staying(s: float, old: Floats, time: float) -> Floats:
    """How long a customer is expected to stay within the time, over how long they may leave."""
    log_part = np.log(old) - np.log(old + time)
    if abs(s - 1) < _HOLE:
        return np.asarray(-log_part)
    return np.asarray(-np.expm1((s - 1) * log_part) / (s - 1))


def _pareto_parts(values: tuple[float, ...], buyers: Buyers) -> tuple[Floats, Floats]:
    """The logarithms of both parts of the likelihood: still active, and gone since the last."""
    r, alpha, s, beta = values
    x, power = buyers.x, r + s + buyers.x
    most = max(alpha, beta)

    def logged(time: Floats) -> Floats:
        z = abs(alpha - beta) / (most + time)
        # Euler's transformation: what grows with x stands outside of 2F1, in logarithms
        if alpha >= beta:
            outside, inside = -s * np.log1p(-z), hyp2f1(1, r + x, power + 1, z)
        else:
            outside, inside = (1 - r - x) * np.log1p(-z), hyp2f1(1, s + 1, power + 1, z)
        return np.asarray(outside + np.log(inside) - power * np.log(most + time))

    early, late = logged(buyers.recency), logged(buyers.age)
    between = early + np.log(-np.expm1(np.minimum(late - early, -1e-300)))
    active = -(r + x) * np.log(alpha + buyers.age) - s * np.log(beta + buyers.age)
    return active, np.log(s) - np.log(power) + between


def _pareto(values: tuple[float, ...], buyers: Buyers) -> Floats:
    """The log-likelihood of each row (Fader and Hardie, note 009, equation 20)."""
    r, alpha, s, beta = values
    counted = gammaln(r + buyers.x) - gammaln(r) + r * np.log(alpha) + s * np.log(beta)
    return np.asarray(counted + np.logaddexp(*_pareto_parts(values, buyers)))


#: The models of buying by name, each from buyers.
MODELS: dict[str, Callable[[Buyers], BuyingModel]] = {
    "bg/nbd": BetaGeometric.fitted,
    "mbg/nbd": lambda buyers: BetaGeometric.fitted(buyers, modified=True),
    "pareto/nbd": ParetoNBD.fitted,
}
