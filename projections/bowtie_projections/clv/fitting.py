"""Maximum likelihood for positive parameters, from several starts."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["Fit", "Floats", "maximise"]

Floats = NDArray[np.float64]

#: Parameters are sought up to this logarithm, of either sign.
_BORDER = 10.0
#: One that ends beyond this has no estimate: the data say only that it is very small or large.
_SURE = 8.0
#: Starts that come within so much of the best log-likelihood have found the same maximum.
_SAME = 0.01
#: The gradient of the mean log-likelihood by the logarithm of a parameter, at a maximum.
_FLAT = 1e-4
#: How near a start is followed to the top, and the best of them to the end.
_ROUGH: dict[str, Any] = {"jac": "2-point", "options": {"maxiter": 200, "ftol": 1e-10}}
_FINE: dict[str, Any] = {"jac": "3-point", "options": {"maxiter": 500, "ftol": 1e-14, "gtol": 1e-7}}


@dataclass(frozen=True, slots=True)
class Fit:
    """What was estimated, and how sure the search is of it.

    Args:
        values: the parameters, in the order of the model's names.
        log_likelihood: of all customers together, in the unit of time they were told in.
        converged: the best start ended at a maximum, with no parameter without bound.
        agreed: how many starts came to that maximum.
        starts: of so many.
        customers: how many it was fitted to.
    """

    values: tuple[float, ...]
    log_likelihood: float
    converged: bool
    agreed: int
    starts: int
    customers: float


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
        with np.errstate(all="ignore"):
            rows = log_likelihood(*np.exp(logarithms))
            total = float(rows @ weights) / number
        return -total if np.isfinite(total) else 1e10

    def search(first: Floats, exact: Mapping[str, Any]) -> tuple[float, Floats, bool]:
        bounds = [(-_BORDER, _BORDER)] * len(first)
        found = minimize(loss, first, method="L-BFGS-B", bounds=bounds, **exact)
        inside = bool(np.max(np.abs(found.x)) < _SURE)
        flat = bool(np.max(np.abs(found.jac)) < _FLAT)
        return float(found.fun), found.x, inside and flat and found.fun < 1e9

    begun = [np.clip(np.log(np.asarray(one, float)), -_BORDER, _BORDER) for one in starts]
    found = sorted((search(start, _ROUGH) for start in begun), key=lambda one: one[0])
    best = search(found[0][1], _FINE)
    agreed = sum((one[0] - best[0]) * number < _SAME for one in found)
    values = tuple(float(one) for one in np.exp(best[1]))
    return Fit(values, -best[0] * number, best[2], agreed, len(found), number)
