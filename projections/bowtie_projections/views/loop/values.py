"""What the customers of a finding were worth beside the others: means, medians, and one whale.

A finding says how many pass a threshold; this says by how much, which a few customers can decide.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal, localcontext
from fractions import Fraction
from typing import Any

import numpy as np

from bowtie_projections import statistics
from bowtie_projections.value import money
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
    places = {trait.name: place for place, trait in enumerate(traced.traits)}
    of_trait: dict[int, list[dict[str, Any]]] = {}
    for row in traced.blocks():
        of_trait.setdefault(row["place"], []).append(row)
    medians = traced.medians()
    rows = []
    for finding in findings:
        place, level = places[finding["trait"]], finding["level"]
        blocks = of_trait[place]
        median = medians.get((place, level))
        rows.append(
            {name: finding[name] for name in ("trait", "level", "verdict")}
            | _compared(blocks, level)
            | {"value_median": None if median is None else money(median)}
        )
    return rows


def _compared(blocks: Sequence[Mapping[str, Any]], level: str) -> dict[str, Any]:
    own = _Sums.of([row for row in blocks if row["level"] == level])
    others = _Sums.of([row for row in blocks if row["level"] != level])
    difference = _difference(own, others)
    # the one customer who carries most of it: the best of the better side
    better = difference is not None and difference > 0
    without = (own.without_largest(), others) if better else (own, others.without_largest())
    low, high = _interval(blocks, level)
    return {
        "customers": own.customers,
        "value_mean": _told(own.mean),
        "value_mean_others": _told(others.mean),
        "difference": _told(difference),
        "difference_low": low,
        "difference_high": high,
        "difference_without_one": _told(_difference(*without)),
    }


def _difference(one: _Sums, other: _Sums) -> Fraction | None:
    if one.mean is None or other.mean is None:
        return None
    return one.mean - other.mean


def _interval(
    blocks: Sequence[Mapping[str, Any]], level: str
) -> tuple[Decimal | None, Decimal | None]:
    """The bootstrap interval of the difference of means."""
    names = {row["block"] for row in blocks}
    place = {name: at for at, name in enumerate(sorted(names))}
    sums = np.zeros((2, 2, len(place)))
    for row in blocks:
        side = 0 if row["level"] == level else 1
        sums[side, 0, place[row["block"]]] += float(row["worth"]) / _YEAR
        sums[side, 1, place[row["block"]]] += row["customers"]
    low, high = statistics.bootstrap_difference(sums[0, 0], sums[0, 1], sums[1, 0], sums[1, 1])
    return _rounded(low), _rounded(high)


def _rounded(bound: float) -> Decimal | None:
    return None if np.isnan(bound) else money_of(Fraction(bound))


def _told(amount: Fraction | None) -> Decimal | None:
    return None if amount is None else money_of(amount)
