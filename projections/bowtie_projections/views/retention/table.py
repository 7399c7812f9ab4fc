"""From the counts that SQL gives to the rows of retention: the triangle, and its curve."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal, localcontext
from typing import TYPE_CHECKING, Any

from bowtie_projections.views.cohorts import cohort_label
from bowtie_projections.views.funnel.members import COHORT
from bowtie_projections.views.retention.population import Acquired
from bowtie_projections.views.shares import cell_order, shares, typed_table

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["WIDE", "Triangle"]

#: What a wide triangle can show.
WIDE = ("retention", "active", "grr", "nrr")
_RATES = ("retention", "retention_low", "retention_high")
_MONEY = ("mrr_start", "mrr", "mrr_kept")
_REVENUE = ("grr", "nrr")
_CENT = Decimal("0.000001")

_Cell = tuple[Any, ...]


@dataclass(slots=True)
class _Sums:
    """Of one cell and age: who was seen, who was active, and what a year costs."""

    seen: int = 0
    active: int = 0
    base: Decimal = Decimal(0)
    annual: Decimal = Decimal(0)
    kept: Decimal = Decimal(0)

    def add(self, other: _Sums) -> None:
        """Another cohort's, of the same age."""
        self.seen, self.active = self.seen + other.seen, self.active + other.active
        with localcontext(prec=60):
            self.base += other.base
            self.annual += other.annual
            self.kept += other.kept


@dataclass(slots=True)
class _Cohort:
    """One cohort: how many there are, and the sums of each age."""

    customers: int = 0
    ages: dict[int, _Sums] = field(default_factory=lambda: defaultdict(_Sums))

    def add_people(self, number: int, last_age: int, base: Decimal | None) -> None:
        """So many who were seen up to an age."""
        self.customers += number
        for age in range(last_age + 1):
            self.ages[age].add(_Sums(seen=number, base=base or Decimal(0)))


class Triangle:
    """The figures of one question.

    Args:
        acquired: what was asked, of whom.
        counted: the rows of :meth:`Acquired.counted`.
        money: whether money is told: there is some, and of one currency.
        sums: where units repeat within an account, the rows of :meth:`Acquired.spread` by cell,
            cohort and age, and those by cell and age.
    """

    def __init__(
        self,
        acquired: Acquired,
        counted: Iterable[Mapping[str, Any]],
        *,
        money: bool,
        sums: tuple[Sequence[Mapping[str, Any]], Sequence[Mapping[str, Any]]] = ((), ()),
    ) -> None:
        self._acquired, self._money = acquired, money
        self._sums = sums
        self._cohorts: dict[_Cell, _Cohort] = defaultdict(_Cohort)
        for group in counted:
            cohort = self._cohorts[self._cell(group)]
            if group["what"] == "people":
                cohort.add_people(group["number"], group["age"], group["base"])
            else:
                zero = Decimal(0)
                annual, kept = group["annual"] or zero, group["kept"] or zero
                cohort.ages[group["age"]].add(
                    _Sums(active=group["number"], annual=annual, kept=kept)
                )

    @property
    def customers(self) -> int:
        """How many are counted."""
        return sum(cohort.customers for cohort in self._cohorts.values())

    @property
    def last_age(self) -> int:
        """The greatest age of which anybody is seen; -1 where there is none."""
        return max((age for one in self._cohorts.values() for age in one.ages), default=-1)

    def _cell(self, group: Mapping[str, Any]) -> _Cell:
        """The values of a cell as an answer names them, then the first day of the cohort."""
        members = self._acquired.members
        named = (members.named(one, group[one.column]) for one in members.dimensions)
        return (*named, group[COHORT])

    def _in_order(self) -> list[_Cell]:
        return sorted(self._cohorts, key=lambda cell: (cell_order(cell[:-1]), cell[-1]))

    def _named(self, cell: _Cell) -> dict[str, Any]:
        names, cohort = self._acquired.cells, self._acquired.members.question.cohort
        assert cohort is not None  # noqa: S101 - for the type checker
        return dict(zip(names, cell[:-1], strict=True)) | {COHORT: cohort_label(cell[-1], cohort)}

    def rows(self) -> list[dict[str, Any]]:
        """A row for each cohort of each cell and each age that any of them was seen at.

        Rates are there where all of them were.
        """
        rows = []
        for cell in self._in_order():
            cohort = self._cohorts[cell]
            for age in sorted(cohort.ages) or [0]:
                sums = cohort.ages.get(age, _Sums())
                row = self._named(cell) | {"age": age, "customers": cohort.customers}
                whole = sums.seen == cohort.customers
                row |= {"observed": sums.seen} | self._figures(sums, whole=whole)
                rows.append(row | {"cell": (*cell, age)})
        self._add_shares(rows, "observed", self._sums[0])
        for row in rows:
            if row["observed"] < row["customers"]:
                row.update(dict.fromkeys(_RATES))
        return rows

    def curve(self) -> list[dict[str, Any]]:
        """A row for each age of each cell: all cohorts, of whom has been seen at that age."""
        pooled: dict[_Cell, _Sums] = defaultdict(_Sums)
        for cell, cohort in self._cohorts.items():
            for age, sums in cohort.ages.items():
                pooled[*cell[:-1], age].add(sums)
        rows = [
            dict(zip(self._acquired.cells, cell, strict=False))
            | {"age": cell[-1], "at_risk": pooled[cell].seen, "cell": cell}
            | self._figures(pooled[cell], whole=True)
            for cell in sorted(pooled, key=lambda cell: (cell_order(cell[:-1]), cell[-1]))
        ]
        self._add_shares(rows, "at_risk", self._sums[1])
        return rows

    def _figures(self, sums: _Sums, *, whole: bool) -> dict[str, Any]:
        """Who was active and their money; rates of money only of a whole cohort."""
        found: dict[str, Any] = {"active": sums.active if sums.seen else None}
        found |= dict.fromkeys((*_MONEY, *_REVENUE))
        if not self._money or not sums.seen:
            return found
        found |= zip(_MONEY, map(_monthly, (sums.base, sums.annual, sums.kept)), strict=True)
        if whole and sums.base > 0:
            found["grr"] = float(sums.kept / sums.base)
            found["nrr"] = float(sums.annual / sums.base)
        return found

    def _add_shares(
        self, rows: Sequence[dict[str, Any]], judged: str, sums: Sequence[Mapping[str, Any]]
    ) -> None:
        by_cell = {self._key(group, judged): group for group in sums}
        found = shares(
            [row["active"] or 0 for row in rows],
            [row[judged] for row in rows],
            [by_cell.get(row["cell"]) for row in rows],
        )
        for row, share in zip(rows, found, strict=True):
            row.update(zip(_RATES, share, strict=True))

    def _key(self, group: Mapping[str, Any], judged: str) -> _Cell:
        members = self._acquired.members
        if judged == "observed":
            return (*self._cell(group), group["age"])
        named = (members.named(one, group[one.column]) for one in members.dimensions)
        return (*named, group["age"])

    def table(self, wide: str | None) -> pa.Table:
        """The rows as Arrow: long, or a row for each cohort and a column for each age."""
        import pyarrow as pa

        rows = self.rows()
        kinds = self._cell_kinds() | {COHORT: pa.string()}
        if wide is None:
            kinds |= dict.fromkeys(("age", "customers", "observed", "active"), pa.int64())
            return self._typed(rows, kinds | self._kinds())
        ages = [f"{self._acquired.age}_{age}" for age in range(self.last_age + 1)]
        kinds |= {"customers": pa.int64()}
        kinds |= dict.fromkeys(ages, pa.int64() if wide == "active" else pa.float64())
        lines: dict[_Cell, dict[str, Any]] = {}
        for row in rows:
            line = lines.setdefault(row["cell"][:-1], dict.fromkeys(kinds))
            line |= {name: row[name] for name in kinds if name in row}
            if row["observed"] == row["customers"] and ages:
                line[ages[row["age"]]] = row[wide]
        return self._typed(list(lines.values()), kinds)

    def curve_table(self) -> pa.Table:
        """The curve, as Arrow."""
        import pyarrow as pa

        kinds = self._cell_kinds()
        kinds |= dict.fromkeys(("age", "at_risk", "active"), pa.int64())
        return self._typed(self.curve(), kinds | self._kinds())

    def _cell_kinds(self) -> dict[str, Any]:
        import pyarrow as pa

        return dict.fromkeys(self._acquired.cells, pa.string())

    def _kinds(self) -> dict[str, Any]:
        import pyarrow as pa

        kinds: dict[str, Any] = dict.fromkeys(_RATES, pa.float64())
        if self._acquired.active.by_contract:
            kinds |= dict.fromkeys(_MONEY, pa.decimal128(38, 6))
            kinds |= dict.fromkeys(_REVENUE, pa.float64())
        return kinds

    def _typed(self, rows: Sequence[Mapping[str, Any]], kinds: Mapping[str, Any]) -> pa.Table:
        asked = self._acquired.members.dimensions
        titles = {one.column: one.title({*kinds, "cohort"}) for one in asked}
        return typed_table(rows, kinds, titles | {COHORT: "cohort"})


def _monthly(annual: Decimal) -> Decimal:
    with localcontext(prec=60):
        return (annual / 12).quantize(_CENT)
