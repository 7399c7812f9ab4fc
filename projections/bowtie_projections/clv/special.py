"""The special functions that the models are written in; loaded when the first one is called.

All but the models do without them, and loading takes longer than most answers.
"""

from __future__ import annotations

from typing import Any

import scipy

__all__ = ["betaincinv", "betaln", "gammaln", "hyp2f1"]


def betaincinv(a: Any, b: Any, y: Any) -> Any:
    """The inverse of the regularised incomplete beta function.

    >>> round(float(betaincinv(1, 1, 0.25)), 6)
    0.25
    """
    return scipy.special.betaincinv(a, b, y)


def betaln(a: Any, b: Any) -> Any:
    """The logarithm of the beta function."""
    return scipy.special.betaln(a, b)


def gammaln(x: Any) -> Any:
    """The logarithm of the absolute value of the gamma function."""
    return scipy.special.gammaln(x)


def hyp2f1(a: Any, b: Any, c: Any, z: Any) -> Any:
    """The hypergeometric function 2F1."""
    return scipy.special.hyp2f1(a, b, c, z)
