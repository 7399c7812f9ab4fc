"""Maximum likelihood for positive parameters, from several starts."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["Fit", "Floats", "maximise", "maximise_of_many"]

Floats = NDArray[np.float64]

#: Parameters are sought up to this logarithm, of either sign.
_BORDER = 8.0
#: One that ends beyond this has run to the border.
_SURE = 7.0
#: Starts that come within so much of the best log-likelihood have found the same maximum.
_SAME = 0.01
#: The gradient of the mean log-likelihood by the logarithm of a parameter, at a maximum.
_FLAT = 1e-3
#: How near a start is followed to the top, and the best of them to the end.
_ROUGH: dict[str, Any] = {"jac": "2-point", "options": {"maxiter": 200, "gtol": 1e-5}}
_FINE: dict[str, Any] = {"jac": "3-point", "options": {"maxiter": 500, "gtol": 1e-7}}
#: So many rows tell which start of a search leads to the top.
_ENOUGH = 4000


@dataclass(frozen=True, slots=True)
class Fit:
    """What was estimated, and how sure the search is of it.

    Args:
        values: the parameters, in the order of the model's names.
        log_likelihood: of all customers together, in the unit of time they were told in.
        converged: the best start ended where nothing near is more likely.
        agreed: how many starts came to that maximum.
        starts: of so many.
        customers: how many it was fitted to.
        at_border: a parameter ran to the border of what is searched: the data say only that it is
            very small or very large, and with it not how customers differ.
    """

    values: tuple[float, ...]
    log_likelihood: float
    converged: bool
    agreed: int
    starts: int
    customers: float
    at_border: bool = False


def maximise(
    log_likelihood: Callable[..., Floats], starts: Sequence[Sequence[float]], weights: Floats
) -> Fit:
    """The parameters at which the log-likelihood is greatest.

    Args:
        log_likelihood: of each row, by the parameters.
        starts: where the search begins, each all parameters, over 0.
        weights: how many customers each row stands for.

    >>> waited = np.array([1.0, 2.0, 6.0])  # exponential: the rate is one over the mean
    >>> found = maximise(lambda rate: np.log(rate) - rate * waited, [[1.0], [5.0]], np.ones(3))
    >>> round(found.values[0], 5), found.converged, found.agreed
    (0.33333, True, 2)
    """
    from scipy.optimize import minimize

    number = float(weights.sum())

    def loss(logarithms: Floats) -> float:
        inside = np.clip(logarithms, -_BORDER, _BORDER)
        with np.errstate(all="ignore"):
            # a sum, not a product of BLAS: its threads wait for each other longer than this takes
            total = float(np.sum(log_likelihood(*np.exp(inside)) * weights)) / number
        # beyond the border nothing is gained
        beyond = float(np.sum((logarithms - inside) ** 2))
        return beyond - total if np.isfinite(total) else 1e10

    def search(first: Floats, how: Mapping[str, Any]) -> tuple[float, Floats, bool]:
        # not L-BFGS-B: of so few parameters, its calls of BLAS cost more than the likelihood
        found = minimize(loss, first, method="BFGS", **how)
        flat = bool(np.max(np.abs(found.jac)) < _FLAT and found.fun < 1e9)
        return float(found.fun), np.clip(found.x, -_BORDER, _BORDER), flat

    begun = [np.clip(np.log(np.asarray(one, float)), -_BORDER, _BORDER) for one in starts]
    if len(begun) == 1:
        best = search(begun[0], _FINE)
        found = [best]
    else:
        found = sorted((search(start, _ROUGH) for start in begun), key=lambda one: one[0])
        best = search(found[0][1], _FINE)
    agreed = sum((one[0] - best[0]) * number < _SAME for one in found)
    values = tuple(float(one) for one in np.exp(best[1]))
    border = bool(np.max(np.abs(best[1])) > _SURE)
    return Fit(values, -best[0] * number, best[2], agreed, len(found), number, border)


def maximise_of_many(
    log_likelihood: Callable[[tuple[float, ...], int], Floats],
    starts: Sequence[Sequence[float]],
    weights: Floats,
) -> Fit:
    """The same, where there may be many rows: an even part of them tells which start is followed.

    Args:
        log_likelihood: of every so many-th row, by the parameters.
        starts: where the search begins.
        weights: how many customers each row stands for.
    """
    step = len(weights) // _ENOUGH + 1
    tried = maximise(lambda *values: log_likelihood(values, step), starts, weights[::step])
    if step == 1:
        return tried
    found = maximise(lambda *values: log_likelihood(values, 1), [tried.values], weights)
    return replace(found, agreed=tried.agreed, starts=tried.starts)
