"""The closed loop's counts as arrays: by level, stratum, part and high.

A stratum is an acquisition quarter and a motion; part 0 is the training part, 1 the later cohorts.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from bowtie_projections.views.loop.bins import Bins

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["MISSING", "Totals", "TraitCounts", "of_later", "read_levels", "read_totals"]

#: The level of customers of whom nothing was known.
MISSING = "(missing)"

Counts = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Totals:
    """All mature customers.

    Args:
        strata: what each stratum is: its quarter (4 times the year and more) and motion.
        counts: customers, by stratum, part and high.
        costed: how many have a cost on record.
    """

    strata: dict[tuple[int, str], int]
    counts: Counts
    costed: int

    @property
    def customers(self) -> int:
        """How many there are."""
        return int(self.counts.sum())

    def told(self, trait: TraitCounts) -> Totals:
        """Those of whom a trait tells: all, or the later cohorts."""
        return replace(self, counts=of_later(self.counts)) if trait.split else self

    @property
    def high(self) -> int:
        """How many are of high value."""
        return int(self.counts[..., 1].sum())


@dataclass(frozen=True, slots=True)
class TraitCounts:
    """The mature customers by the levels of one trait, known at time zero.

    Args:
        name: the trait.
        levels: its levels, the most frequent first, then ``other``, then the missing.
        counts: customers, by level, stratum, part and high.
        costed: how many have a cost on record, by level.
        distinct: how many levels there are in truth.
        known: how many customers had a value by time zero.
        ever: how many have one by now.
        assumed: how many values are known by time zero only as history loaded later.
        undated: how many customers' values have no time of recording.
        split: its levels were sought in the training part, so only the later cohorts tell of them.
    """

    name: str
    levels: list[str]
    counts: Counts
    costed: Counts
    distinct: int
    known: int
    ever: int
    assumed: int
    undated: int
    split: bool = False

    @property
    def sizes(self) -> Counts:
        """Customers by level."""
        return np.asarray(self.counts.sum(axis=(1, 2, 3)))

    @property
    def told(self) -> Counts:
        """The counts that tell of the trait: without those that its levels were made from."""
        return of_later(self.counts) if self.split else self.counts


def of_later(counts: Counts) -> Counts:
    """The counts with nobody in the training part."""
    return np.asarray(counts * np.array([[0], [1]]))


def read_totals(table: pa.Table) -> Totals:
    """The totals, from the rows of :func:`.tally` without a name."""
    quarters = _ints(table, "month") // 3
    keys = list(zip(quarters.tolist(), _texts(table, "motion"), strict=True))
    strata = {key: place for place, key in enumerate(sorted(set(keys)))}
    counts = np.zeros((len(strata), 2, 2), np.int64)
    stratum = np.array([strata[key] for key in keys], np.int64)
    index = (stratum, _ints(table, "later"), _ints(table, "high"))
    np.add.at(counts, index, _ints(table, "customers"))
    return Totals(strata, counts, int(_ints(table, "costed").sum()))


def read_levels(table: pa.Table, totals: Totals, bins: Mapping[str, Bins]) -> list[TraitCounts]:
    """Each trait's counts, from the rows of :func:`.tally` with a name; by name."""
    names, levels = _texts(table, "name"), table.column("level").to_pylist()
    quarters = _ints(table, "month") // 3
    keys = zip(quarters.tolist(), _texts(table, "motion"), strict=True)
    stratum = np.array([totals.strata[key] for key in keys], np.int64)
    columns = {
        name: _ints(table, name)
        for name in (
            "later", "high", "customers", "costed", "known", "ever", "assumed", "undated", "levels",
        )
    }  # fmt: skip
    columns["stratum"] = stratum
    of_trait: dict[str, list[int]] = {}
    for row, name in enumerate(names):
        of_trait.setdefault(name, []).append(row)
    found = [
        _trait(name, [levels[row] for row in rows], _rows(columns, rows), totals)
        for name, rows in sorted(of_trait.items())
    ]
    return [replace(one, split=one.name in bins and bins[one.name].split) for one in found]


def _rows(columns: dict[str, Counts], rows: Sequence[int]) -> dict[str, Counts]:
    return {name: column[rows] for name, column in columns.items()}


def _trait(
    name: str, levels: list[str | None], columns: dict[str, Counts], totals: Totals
) -> TraitCounts:
    sizes: dict[str, int] = {}
    for level, customers in zip(levels, columns["customers"].tolist(), strict=True):
        if level is not None:
            sizes[level] = sizes.get(level, 0) + customers
    order = sorted(sizes, key=lambda level: (-sizes[level], level))
    place = {level: row for row, level in enumerate(order)}
    said = np.array([level is not None for level in levels], bool)
    rows = np.array([place[level] for level in levels if level is not None], np.int64)
    counts = np.zeros((len(order) + 1, *totals.counts.shape), np.int64)
    index = (rows, *(columns[key][said] for key in ("stratum", "later", "high")))
    np.add.at(counts, index, columns["customers"][said])
    costed = np.zeros(len(order) + 1, np.int64)
    np.add.at(costed, rows, columns["costed"][said])
    # the missing are whoever the levels leave over, with or without a row of their own
    counts[-1], costed[-1] = totals.counts - counts.sum(axis=0), totals.costed - costed.sum()
    kept = slice(None) if counts[-1].any() else slice(-1)
    return TraitCounts(
        name=name,
        levels=[*order, MISSING][kept],
        counts=counts[kept],
        costed=costed[kept],
        distinct=int(columns["levels"].max(initial=0)),
        known=int(columns["known"].sum()),
        ever=int(columns["ever"].sum()),
        assumed=int(columns["assumed"].sum()),
        undated=int(columns["undated"].sum()),
    )


def _ints(table: pa.Table, name: str) -> Counts:
    column = table.column(name).to_numpy()
    return np.nan_to_num(np.asarray(column, np.float64)).astype(np.int64)


def _texts(table: pa.Table, name: str) -> list[str]:
    return [str(text) for text in table.column(name).to_pylist()]
