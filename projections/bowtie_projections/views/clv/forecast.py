"""What a forecast is, whatever it is made from."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from decimal import Decimal
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from bowtie_projections.clv.fitting import Fit, Floats
from bowtie_projections.views.cut import Cut, Reader

__all__ = ["Fitted", "Forecast", "Judged", "Standing", "cents", "holdout_of", "present_parts"]

#: What is to come is discounted in slices of so many days, each by its middle.
_SLICE = 30


class Fitted(Protocol):
    """A model that was fitted."""

    @property
    def name(self) -> str:
        """What the model is called."""

    @property
    def fit(self) -> Fit:
        """What was estimated."""

    def named(self) -> dict[str, float]:
        """The parameters by name."""


@dataclass(frozen=True, slots=True)
class Standing:
    """Where a forecast is made.

    Args:
        reader: the read tables, under the keys of the units.
        cut: the facts that count.
        today: the day of the moment asked of.
        contracted: how many have, or had, a paid contract.
    """

    reader: Reader
    cut: Cut
    today: date
    contracted: int


@dataclass(frozen=True, slots=True)
class Judged:
    """What the model said of days that it was not shown, against what came.

    Args:
        days: how many were held out.
        rows: by how often customers had bought, or renewed, before.
        why_not: why it could not be judged.
    """

    days: int
    rows: Sequence[dict[str, Any]]
    why_not: str = ""


@dataclass(frozen=True, slots=True)
class Forecast:
    """What is expected of each customer, in the order of their keys.

    Args:
        of: ``orders`` or ``contracts``.
        customers: their keys, as Arrow.
        first: the day of the first purchase, or on which the first contract began.
        purchases: days with a purchase, or terms of contract begun, so far.
        recency: days from the first purchase to the last; none of contracts.
        age: days from the first to the moment asked of.
        alive: the probability that each still buys; whether the contract runs.
        expected: purchases, or renewals, within the horizon.
        value: what is expected to come within the horizon.
        models: those it was made with.
        judged: how good they were over days held out.
        notes: what to know before believing it.
        unit_of_time: of the models' parameters.
        new: purchases and value to expect of a new customer, beside their first.
    """

    of: str
    customers: Any
    first: NDArray[np.datetime64]
    purchases: NDArray[np.int64]
    recency: NDArray[np.int64] | None
    age: NDArray[np.int64]
    alive: Floats
    expected: Floats
    value: Floats
    models: Sequence[Fitted]
    judged: Judged
    notes: list[str] = field(default_factory=list)
    unit_of_time: str = ""
    new: tuple[float, float] = (0.0, 0.0)

    @classmethod
    def of_nobody(cls) -> Forecast:
        """That of a log without facts."""
        import pyarrow as pa

        none, whole = np.zeros(0), np.zeros(0, np.int64)
        return cls(
            of="contracts", customers=pa.chunked_array([], pa.string()),
            first=np.zeros(0, "datetime64[D]"), purchases=whole, recency=whole, age=whole,
            alive=none, expected=none, value=none, models=(), judged=Judged(0, []),
        )  # fmt: skip


def cents(value: Floats) -> NDArray[np.int64]:
    """Each amount in whole cents, so that sums of parts are sums of the whole.

    >>> cents(np.array([1.005, 2.5, 0.014])).tolist()
    [100, 250, 1]
    """
    return np.rint(value * 100).astype(np.int64)


def holdout_of(first: date | None, today: date, horizon: timedelta) -> timedelta:
    """The days held out if nobody says: a third of the history, at most the horizon.

    >>> holdout_of(date(2024, 1, 1), date(2024, 3, 31), timedelta(days=365))
    datetime.timedelta(days=30)
    """
    if first is None:
        return timedelta(days=1)
    return min(horizon, timedelta(days=max(1, (today - first).days // 3)))


def present_parts(days: int, discount: Decimal | None) -> Iterator[tuple[int, float]]:
    """Days from now on, each the end of a slice, and what an amount of that slice counts for.

    >>> list(present_parts(40, None))
    [(40, 1.0)]
    >>> [(until, round(part, 4)) for until, part in present_parts(40, Decimal("0.1"))]
    [(30, 0.9961), (40, 0.9909)]
    """
    if discount is None:
        yield days, 1.0
        return
    for since in range(0, days, _SLICE):
        until = min(since + _SLICE, days)
        yield until, float(1 + discount) ** (-(since + until) / 2 / 365)
