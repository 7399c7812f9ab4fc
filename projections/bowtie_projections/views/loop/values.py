"""What the customers of a finding were worth beside the others: means, medians, and one whale.

A finding says how many pass a threshold; this says by how much, which a few customers can decide.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal, localcontext
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bowtie_projections import statistics
from bowtie_projections.views.loop.sources import money_of
from bowtie_projections.views.loop.traced import Traced

__all__ = ["COLUMNS", "value_rows"]

COLUMNS = (
    "trait", "level", "verdict", "customers", "value_mean", "value_mean_others", "difference",
    "difference_low", "difference_high", "difference_without_one", "value_median",
)  # fmt: skip
_YEAR = 365


@dataclass(frozen=True, slots=True)
class _Sums:
    """Some customers: how many, what they were worth (times 365), and the one worth most."""

    customers: int
    worth: Decimal
    largest: Decimal | None

    @classmethod
    def of(cls, rows: Sequence[Mapping[str, Any]]) -> _Sums:
        """Those of several levels."""
        with localcontext(prec=60):
            worth = sum((row["worth"] for row in rows), Decimal(0))
        largest = max((row["largest"] for row in rows), default=None)
        return cls(sum(row["customers"] for row in rows), worth, largest)

    @property
    def mean(self) -> Fraction | None:
        """What one was worth, in money."""
        return Fraction(self.worth) / (self.customers * _YEAR) if self.customers else None

    def without_largest(self) -> _Sums:
        """Those without the one worth most."""
        if self.largest is None:
            return self
        with localcontext(prec=60):
            return _Sums(self.customers - 1, self.worth - self.largest, None)


def value_rows(findings: Sequence[Mapping[str, Any]], traced: Traced) -> list[dict[str, Any]]:
    """A row for each finding, in their order."""
    traits = {trait.name: (place, trait) for place, trait in enumerate(traced.traits)}
    worths: dict[int, list[dict[str, Any]]] = defaultdict(list)
    for row in traced.worths():
        worths[row["place"]].append(row)
    blocks = traced.blocks()
    rows = []
    for finding in findings:
        place, trait = traits[finding["trait"]]
        low, high = _interval(blocks[place], trait.levels.index(finding["level"]))
        rows.append(
            {name: finding[name] for name in ("trait", "level", "verdict")}
            | _compared(worths[place], finding["level"])
            | {"difference_low": low, "difference_high": high}
        )
    return rows


def _compared(levels: Sequence[Mapping[str, Any]], level: str) -> dict[str, Any]:
    (own_row,) = (row for row in levels if row["level"] == level)
    own, others = _Sums.of([own_row]), _Sums.of([row for row in levels if row is not own_row])
    difference = _difference(own, others)
    # the one customer who carries most of it: the best of the better side
    better = difference is not None and difference > 0
    without = (own.without_largest(), others) if better else (own, others.without_largest())
    return {
        "customers": own.customers,
        "value_mean": _told(own.mean),
        "value_mean_others": _told(others.mean),
        "difference": _told(difference),
        "difference_without_one": _told(_difference(*without)),
        "value_median": money_of(Fraction(own_row["middles"]) / (2 * _YEAR)),
    }


def _difference(one: _Sums, other: _Sums) -> Fraction | None:
    if one.mean is None or other.mean is None:
        return None
    return one.mean - other.mean


def _interval(sums: NDArray[np.float64], place: int) -> tuple[Decimal | None, Decimal | None]:
    """The bootstrap interval of the difference of means."""
    there = sums[1].sum(axis=0) > 0
    worth, customers = sums[0][:, there] / _YEAR, sums[1][:, there]
    others = np.arange(len(worth)) != place
    low, high = statistics.bootstrap_difference(
        worth[place], customers[place], worth[others].sum(axis=0), customers[others].sum(axis=0)
    )
    return _rounded(low), _rounded(high)


def _rounded(bound: float) -> Decimal | None:
    return None if np.isnan(bound) else money_of(Fraction(bound))


def _told(amount: Fraction | None) -> Decimal | None:
    return None if amount is None else money_of(amount)
