"""Numeric traits cut into levels: at stated values, at quantiles, or at the best split.

A split is sought in the training part, the older half, and its level is tested in the later cohorts
alone: whoever looks for the best cut finds a difference, whether there is one or not.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import sqlalchemy as sa
from numpy.typing import NDArray
from sqlalchemy.sql.elements import ColumnElement

from bowtie_projections.expressions import number_in
from bowtie_projections.known import Observed, called
from bowtie_projections.stratified import variances
from bowtie_projections.traits import rule_of
from bowtie_projections.views.cut import Reader

__all__ = ["NO_NUMBER", "Bins", "best_split", "find_bins", "leveled"]

#: The level of values of a numeric trait that are no number.
NO_NUMBER = "(no number)"
#: Of so many quantiles of the training part each is tried as a split.
_TRIED = 31
#: Both sides of a split have at least so many customers of the training part.
_FEWEST = 30


@dataclass(frozen=True, slots=True)
class Bins:
    """How a numeric trait is cut.

    Args:
        cuts: the values to cut at, rising; a value of a cut belongs above it.
        split: the cut was sought in the training part.
    """

    cuts: tuple[float, ...]
    split: bool = False

    @property
    def labels(self) -> list[str]:
        """The names of the levels, from below.

        >>> Bins((10.0, 50.5)).labels
        ['under 10', '10 to under 50.5', '50.5 or more']
        """
        told = [format(cut, ".15g") for cut in self.cuts]
        if not told:
            return ["any number"]
        middle = [f"{low} to under {high}" for low, high in pairwise(told)]
        return [f"under {told[0]}", *middle, f"{told[-1]} or more"]

    def level(self, value: ColumnElement[Any]) -> ColumnElement[Any]:
        """The level of a value, in SQL: null where there is none."""
        number = number_in(value)
        under = [
            (number < _double(cut), label)
            for cut, label in zip(self.cuts, self.labels, strict=False)
        ]
        return sa.case(
            (value.is_(None), sa.null()), (number.is_(None), NO_NUMBER), *under,
            else_=self.labels[-1],
        )  # fmt: skip


def leveled(
    name: ColumnElement[Any], value: ColumnElement[Any], bins: Mapping[str, Bins]
) -> ColumnElement[Any]:
    """The value of a trait, of a numeric one its level."""
    if not bins:
        return value
    cut = [(name == trait, found.level(value)) for trait, found in sorted(bins.items())]
    return sa.case(*cut, else_=value)


def find_bins(reader: Reader, judged: sa.CTE, observed: Observed) -> dict[str, Bins]:
    """How each numeric trait on record is cut.

    Args:
        reader: the read tables, under the keys of the units.
        judged: the mature, with ``month``, ``motion``, ``later`` and ``high``.
        observed: the traits on record.
    """
    found = {}
    for name in sorted({called(name) for name in observed.names}):
        rule = rule_of(name, observed.rules)
        if isinstance(rule.bins, tuple):
            found[name] = Bins(rule.bins)
        elif rule.bins is not None:
            numbers = _numbers(judged, observed, name)
            shares = [place / rule.bins for place in range(1, rule.bins)]
            found[name] = Bins(_quantiles(reader, numbers, shares))
        elif rule.split:
            found[name] = _split(reader, _numbers(judged, observed, name, training=True))
    return found


def _numbers(
    judged: sa.CTE, observed: Observed, name: str, *, training: bool = False
) -> sa.Subquery:
    """What a trait was known to be, as a number, of the mature or those of the training part."""
    keep = ("month", "motion", "later", "high")
    c = observed.known(judged, keep, only={name}).subquery("of_trait").c
    number = number_in(c.value)
    numbers = sa.select(number.label("number"), c.month, c.motion, c.high)
    numbers = numbers.where(number.is_not(None))
    return (numbers.where(c.later == 0) if training else numbers).subquery("numbers")


def _quantiles(reader: Reader, numbers: sa.Subquery, shares: Sequence[float]) -> tuple[float, ...]:
    """Values of the trait that cut it so; fewer where customers share a value."""
    c = numbers.c.number
    cuts = [
        sa.func.percentile_disc(sa.literal_column(repr(share))).within_group(c).label(f"at_{place}")
        for place, share in enumerate(shares)
    ]
    row = reader.fetch(sa.select(sa.func.min(c).label("least"), *cuts)).to_pylist()[0]
    least = row.pop("least")
    # below the least value there is nobody
    return tuple(sorted({cut for cut in row.values() if cut is not None and cut > least}))


def _split(reader: Reader, numbers: sa.Subquery) -> Bins:
    tried = _quantiles(reader, numbers, [place / (_TRIED + 1) for place in range(1, _TRIED + 1)])
    if not tried:
        return Bins((), split=True)
    n = numbers.c
    under = [(n.number < _double(cut), place) for place, cut in enumerate(tried)]
    quarter = (n.month - sa.func.mod(n.month, sa.literal_column("3"))).label("quarter")
    place = sa.case(*under, else_=len(tried)).label("place")
    rows = reader.fetch(
        sa.select(place, quarter, n.motion, n.high, sa.func.count().label("customers")).group_by(
            place, quarter, n.motion, n.high
        )
    ).to_pylist()
    strata = {key: at for at, key in enumerate({(row["quarter"], row["motion"]) for row in rows})}
    counts = np.zeros((len(tried) + 1, len(strata), 2), np.int64)
    for row in rows:
        counts[row["place"], strata[row["quarter"], row["motion"]], row["high"]] += row["customers"]
    best = best_split(counts)
    return Bins(() if best is None else (tried[best],), split=True)


def best_split(counts: NDArray[np.int64]) -> int | None:
    """After which of the bins the two sides differ most; None where one is always too small.

    The cut with the greatest stratified chi-square (Mantel-Haenszel).

    Args:
        counts: customers of the training part, by bin (from below), stratum and high.

    >>> best_split(np.array([[[40, 10]], [[40, 10]], [[10, 40]]]))
    1
    """
    high, n = counts[..., 1].cumsum(axis=0), counts.sum(axis=2).cumsum(axis=0)
    high_all, n_all = high[-1], n[-1]
    expected = n[:-1] * high_all / np.maximum(n_all, 1)
    score = (high[:-1] - expected).sum(axis=1)
    information = variances(n[:-1], high_all, n_all).sum(axis=1)
    sizes = n[:-1].sum(axis=1)
    able = (np.minimum(sizes, n_all.sum() - sizes) >= _FEWEST) & (information > 0)
    if not able.any():
        return None
    found = np.where(able, score**2 / np.where(able, information, 1.0), -1.0)
    return int(found.argmax())


def _double(number: float) -> ColumnElement[Any]:
    return sa.literal_column(f"CAST({number!r} AS DOUBLE PRECISION)", sa.Double())
