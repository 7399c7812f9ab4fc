"""Everybody whom the metrics count, as the views that they are taken from count them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from functools import partial
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from bowtie.stages import Condition, Definition
from bowtie_projections.conditions import Facts, single_rows
from bowtie_projections.roster import Roster
from bowtie_projections.value import MONEY
from bowtie_projections.views.cut import Cut, Reader
from bowtie_projections.views.metrics.behind import COMMITTED, Behind, behind
from bowtie_projections.views.metrics.pairs import rules_of
from bowtie_projections.views.metrics.right import Right
from bowtie_projections.views.metrics.view import metrics

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["roster"]

#: What names a row of the answer.
_NAMED = ("number", "metric", "unit", "currency")
_VALUE, _OF = 1, 2

#: Facts of some customers, with their positions.
_Reading = Callable[[Facts], sa.Select[Any]]


def roster(reader: Reader, cut: Cut, definition: Definition, **asked: Any) -> Roster:
    """Whom each metric counts: of a volume each adds one, of money their own, of a share one.

    Shares and days have no members of their own; whom a share is of has.

    Args:
        reader: the read tables.
        cut: where the metrics were asked.
        definition: what entering a stage means.
        asked: the parameters of :func:`bowtie_projections.views.metrics.metrics`, all of them.
    """
    rows = metrics(reader, cut, definition, **asked).rows()
    asked.pop("edition")
    telling = _Telling(reader, cut, definition, asked)
    found = [telling.members(row) for row in rows]
    right = Right(reader, cut, definition, asked, {})
    return _Told(
        right.members.units,
        [None] * len(_NAMED),
        (),
        [],
        apart=telling.apart,
        reads=telling.reads | _milestones(definition),
        sums={"value": float, "of": int},
        named=_NAMED,
        found=found,
    )


@dataclass(frozen=True, slots=True)
class _Told(Roster):
    """A roster that was put together from those of other views.

    Args:
        found: its rows, a table for each metric.
    """

    found: Sequence[pa.Table] = ()

    def fetch(self) -> pa.Table:
        """The rows, as Arrow."""
        import pyarrow as pa

        return pa.concat_tables(self.found, promote_options="permissive")


@dataclass(slots=True)
class _Telling:
    """The members of one question's metrics, each view asked once.

    Args:
        reader, cut, definition, asked: the question, without the edition.
        apart: what members of one key are told apart by.
        reads: what bears on the figures beside the entries of stages.
    """

    reader: Reader
    cut: Cut
    definition: Definition
    asked: Mapping[str, Any]
    apart: str | None = None
    reads: dict[str, _Reading] = field(default_factory=dict)
    _answers: dict[Any, tuple[list[dict[str, Any]], Roster, pa.Table]] = field(default_factory=dict)

    def members(self, row: Mapping[str, Any]) -> pa.Table:
        """Those of one metric, with what each adds; nobody, where it has none."""
        named = [row[name] for name in _NAMED]
        if row["value"] is None:
            return _table(named)
        parts = 12 if row["unit"] == "money a month" else 1
        if row["metric"] in COMMITTED:
            own = self._committed(COMMITTED[row["metric"]], row["currency"])
            annual: list[Any] = own.column("annual").to_pylist()
            amounts: list[Any] = [one / parts for one in annual]
            return _table(named, own.column("customer"), value=amounts, of=[True] * len(amounts))
        taken = behind(self.definition, self.asked, row["currency"]).get(row["metric"])
        return _table(named) if taken is None else self._taken(taken, named, parts)

    def _taken(self, taken: Behind, named: list[Any], parts: int) -> pa.Table:
        """Who is behind a figure of another view."""
        rows, found, table = self._asked(taken)
        self.reads |= found.reads
        self.apart = self.apart or found.apart
        row, (value, of) = taken.row(rows), taken.columns
        own = _in_cell(table, found, tuple(row[name] for name in [*row][: len(found.keys)]))
        codes: list[Any] = own.column("code").to_pylist()
        by = [found.counted_by(code) for code in codes]
        amounts: list[Any] = [Decimal(1) if value in one else None for one in by]
        if value in found.sums:
            told, place = found.sums[value], [*found.sums].index(value)
            added: list[Any] = own.column(f"sum_{place}").to_pylist()
            amounts = [None if one is None else Decimal(told(one)) / parts for one in added]
        return _table(
            named, own.column("customer"), own.column("apart"), amounts, [of in one for one in by]
        )

    def _asked(self, taken: Behind) -> tuple[list[dict[str, Any]], Roster, pa.Table]:
        """The answer, and everybody whom it counts."""
        given = taken.asked()
        key = (taken.source.view.__name__, taken.definition.sha256, repr(sorted(given.items())))
        if key not in self._answers:
            rows = taken.rows(self.reader, self.cut)
            found = taken.source.roster(self.reader, self.cut, taken.definition, **given)
            self._answers[key] = (rows, found, found.fetch())
        return self._answers[key]

    def _committed(self, name: str, currency: str) -> pa.Table:
        """The contracts that made the commitments, by whose they are."""
        right = Right(self.reader, self.cut, self.definition, self.asked, {})
        c = right.contracts().subquery("contracts").c
        told = sa.select(c.customer, sa.cast(sa.func.sum(c[name]), MONEY).label("annual"))
        told = told.where(c.currency == currency).group_by(c.customer)
        return right.members.units.reader.fetch(told)


def _in_cell(table: pa.Table, found: Roster, cell: tuple[Any, ...]) -> pa.Table:
    """The rows of one cell, as the answer names it."""
    import pyarrow.compute as pc

    names = [f"key_{place}" for place in range(len(found.keys))]
    each = table.select(names).group_by(names).aggregate([]).to_pylist()
    raw = next((one for one in each if found.cell(one) == cell), None)
    if raw is None:
        return table.slice(0, 0)
    for name, value in raw.items():
        column = table.column(name)
        table = table.filter(pc.is_null(column) if value is None else pc.equal(column, value))
    return table


def _table(
    named: list[Any],
    customers: Any = (),
    apart: Any = None,
    value: Sequence[Decimal | None] = (),
    of: Sequence[bool] = (),
) -> pa.Table:
    """The rows of one metric: of who adds to it alone."""
    import pyarrow as pa

    number = len(customers)
    codes = [
        (0 if one is None else _VALUE) + (_OF if other else 0)
        for one, other in zip(value, of, strict=True)
    ]
    told = [None if one is None else round(one, 6) for one in value]
    table = pa.table({
        **{f"key_{at}": pa.array([one] * number, pa.string()) for at, one in enumerate(named)},
        "customer": pa.array([], pa.string()) if not number else customers,
        "apart": pa.nulls(number, pa.int64()) if apart is None else apart,
        "code": pa.array(codes, pa.int32()),
        "sum_0": pa.array(told, pa.decimal128(38, 6)),
        "sum_1": pa.array([1 if one else None for one in of], pa.int64()),
    })  # fmt: skip
    return table.filter(pa.array([code > 0 for code in codes], pa.bool_()))


def _milestones(definition: Definition) -> dict[str, _Reading]:
    """What reaches each milestone, which may be apart from what enters its stage."""
    found: dict[str, _Reading] = {}
    for one in definition.milestones:
        if rules := rules_of(definition, one):
            found[one.name] = partial(_reaching, rules)
    return found


def _reaching(rules: tuple[Condition, ...], facts: Facts) -> sa.Select[Any]:
    each = [single_rows(rule, facts) for rule in rules]
    found = [sa.select(rows.c.customer, rows.c.position) for rows in each]
    return sa.select(sa.union_all(*found).subquery("reaching"))
