"""RFM: customers by how lately, how often and for how much they ordered, and how they move."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from sqlalchemy.sql.elements import ColumnElement

from bowtie.events import PERSONAL_NAMES
from bowtie.stages import Definition
from bowtie.times import iso
from bowtie_projections import tables
from bowtie_projections.localtime import day_of
from bowtie_projections.membership import LOOK_BACK
from bowtie_projections.results import Result
from bowtie_projections.value import MONEY
from bowtie_projections.views.cohorts import last_moment
from bowtie_projections.views.cut import Cut, Reader, counts
from bowtie_projections.views.firsts import broken_down, cells_asked, cells_of, refuse_contracts
from bowtie_projections.views.funnel.members import Members
from bowtie_projections.views.given import currency_code
from bowtie_projections.views.journey_source import settled_through
from bowtie_projections.views.labels import others_noted
from bowtie_projections.views.loop.words import refuse_currencies
from bowtie_projections.views.moves import earlier_cut, moves
from bowtie_projections.views.purchases import purchases
from bowtie_projections.views.shares import cell_order, standing, typed_table
from bowtie_projections.views.units import UNITS, Units, check_unit

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["COLUMNS", "NEW", "SEGMENTS", "Ordered", "ordered", "rfm"]

#: By recency (4 or 5, 3, 1 or 2), then by frequency and money together (the same bands).
SEGMENTS = (
    "champions", "potential loyalists", "new customers",
    "loyal", "need attention", "about to sleep",
    "at risk", "hibernating", "lost",
)  # fmt: skip
COLUMNS = (
    "segment", "customers", "customers_share", "recency_days", "orders", "value", "value_share",
)  # fmt: skip
#: Who had not ordered at the earlier day.
NEW = "(no order yet)"


def rfm(
    reader: Reader,
    cut: Cut,
    definition: Definition,
    *,
    since: Any = None,
    unit: str = "customer",
    look_back: str | timedelta = LOOK_BACK,
    by: str | Sequence[str] = (),
    top: int = 10,
    currency: str | None = None,
    data_from: Any = None,
    data_through: Any = None,
    tz: str = "UTC",
    personal_names: Collection[str] = PERSONAL_NAMES,
) -> Result:
    """Customers with an order, by nine segments of recency, frequency and money.

    Each of the three is scored 1 to 5 by fifths of all of them, 5 the best; those of one value have
    one score, that of the worst place among them. Segments part the scores of recency, and the mean
    of the other two (rounded up), each into 4 to 5, 3 (or 2 to 3), and the rest.

    Args:
        reader: the read tables.
        cut: the position and the moment it is asked as of.
        definition: stands in the answer; orders are told without one.
        since: an earlier day: the part ``movement`` says who went from which segment to which.
        unit: ``customer``, ``account`` or ``opportunity``.
        look_back: touches of a member count for the account from so long before the membership.
        by: breakdowns, as known at the first order. Scores are of a customer's place among all.
        top: how many values of a breakdown stand apart; the rest are ``other``.
        currency: refuse all others.
        data_from: where the data begins: who ordered before has fewer orders here than in truth.
        data_through: up to when the data is complete; asked as of then.
        tz: the zone of days.
        personal_names: traits that are sealed.

    Returns:
        A row for each segment of each cell, the empty ones too: how many there are and their share
        of the cell; means of ``recency_days`` (since the last order) and ``orders``; their
        ``value``, what they ordered less what they returned, and its share of the cell's. Each
        customer with an order is in exactly one.

    Raises:
        UsageError: a value that can't be asked.
        UnknownName: a breakdown that is not there.
        Refused: a breakdown that is sealed; amounts are in several currencies.
    """
    asked = {
        name: given for name, given in locals().items()
        if name not in {"reader", "cut", "definition"}
    }  # fmt: skip
    answer, earlier = ordered(reader, cut, definition, asked)
    units, cut = answer.units, answer.cut
    del asked["personal_names"]
    parameters = asked | {
        "since": since if since is None or isinstance(since, str) else str(since),
        **{name: answer.members.question.written[name] for name in ("by", "look_back")},
    }
    used = answer.currency(currency)
    rows = [] if cut.moment is None else answer.rows()
    notes = answer.notes(earlier)
    if data_from is not None:
        notes.append(
            f"The data begins {data_from}: who ordered before it is scored too low in orders and"
            " value."
        )
    moved = {} if earlier is None or cut.moment is None else answer.movement(earlier)
    return Result(
        "rfm",
        answer.table(rows),
        sentence=answer.sentence(rows),
        notes=notes,
        sql=units.reader.statements,
        meta=standing(definition, parameters, cut, units) | {"currency": used},
        parts={} if since is None else {"movement": moves(moved, SEGMENTS, NEW)},
    )


def ordered(
    reader: Reader, cut: Cut, definition: Definition, asked: Mapping[str, Any]
) -> tuple[Ordered, Cut | None]:
    """Where the orders are read, and the earlier cut, by all parameters of :func:`rfm`."""
    check_unit(asked["unit"], UNITS[:-1])
    question = cells_asked(asked)
    refuse_contracts(question.by)
    then = last_moment(asked["since"], question.tz)
    currency_code(asked["currency"])
    cut = settled_through(reader, cut, question.data_through)
    units = Units.of(reader, cut, question.unit, question.look_back)
    members = broken_down(units, cut, definition, question, asked["personal_names"])
    found = Ordered(members, cut)
    return found, None if then is None else earlier_cut(found.units.reader, cut, then)


@dataclass(frozen=True, slots=True)
class Ordered:
    """Where the orders of one question are read.

    Args:
        members: everybody with an order, and their cells.
        cut: the facts that count.
    """

    members: Members
    cut: Cut

    @property
    def units(self) -> Units:
        """Whose orders they are."""
        return self.members.units

    @property
    def tz(self) -> str:
        """The zone of days."""
        return self.members.question.tz

    def currency(self, wanted: str | None) -> str | None:
        """The one of all orders.

        Raises:
            Refused: there are several, or another one than was asked for.
        """
        table = tables.facts["order_placed"]
        names = sa.select(table.c.currency).where(counts(table, self.cut)).distinct()
        found = self.units.reader.fetch(names.order_by(table.c.currency)).column(0).to_pylist()
        if len(found) > 1 or (wanted is not None and found not in ([], [wanted])):
            refuse_currencies([str(one) for one in found], wanted)
        return found[0] if found else None

    def scored(self, cut: Cut, name: str) -> sa.CTE:
        """Each customer with an order by then: the three figures, and the ``segment``, from 0."""
        assert cut.moment is not None  # noqa: S101 - for the type checker
        c = purchases(cut, self.tz).subquery(f"{name}_purchases").c
        bought = (
            sa.select(c.customer, sa.func.max(c.day).label("day"), sa.func.count().label("orders"))
            .group_by(c.customer)
            .subquery(f"{name}_bought")
        )
        table = tables.facts["order_placed"]
        o = table.c
        net = sa.func.sum(sa.case((o.kind == "return", -o.amount), else_=o.amount))
        spent = (
            sa.select(o.customer, sa.cast(net, MONEY).label("value"))
            .where(counts(table, cut))
            .group_by(o.customer)
            .subquery(f"{name}_spent")
        )
        today = sa.literal(day_of(cut.moment, self.tz), sa.Date())
        recency = sa.cast(today - bought.c.day, sa.Integer())
        rows = (
            sa.select(
                bought.c.customer,
                recency.label("recency"),
                bought.c.orders,
                spent.c.value,
                _fifth(bought.c.day).label("r"),
                _fifth(bought.c.orders).label("f"),
                _fifth(spent.c.value).label("m"),
            )
            .select_from(bought.join(spent, spent.c.customer == bought.c.customer))
            .subquery(f"{name}_scores")
        )
        s = rows.c
        together = _third(s.f + s.m, (7, 3))
        return sa.select(*s, (_third(s.r, (4, 3)) * 3 + together).label("segment")).cte(name)

    def placed(self, cut: Cut) -> sa.FromClause:
        """Each customer with an order by then, scored, with the keys of their cell."""
        now = self.scored(cut, "now")
        if not self.members.dimensions:
            return now
        cells = cells_of(self.members)
        keys = [cells.c[name] for name in self.members.key_names]
        joined = now.join(cells, cells.c.customer == now.c.customer)
        return sa.select(*now.c, *keys).select_from(joined).cte("placed")

    def rows(self) -> list[dict[str, Any]]:
        """A row for each segment of each cell; of nobody, all segments are empty."""
        names = self.members.key_names
        c = self.placed(self.cut).c
        figures = {"recency": c.recency, "orders": c.orders, "value": c.value}
        keys = [c[name] for name in names]
        counted = sa.select(
            *keys,
            c.segment,
            sa.func.count().label("customers"),
            *(sa.cast(sa.func.sum(one), MONEY).label(name) for name, one in figures.items()),
        ).group_by(*keys, c.segment)
        cells: dict[tuple[Any, ...], dict[int, Mapping[str, Any]]] = {} if names else {(): {}}
        for row in self.units.reader.fetch(counted).to_pylist():
            cells.setdefault(tuple(row[name] for name in names), {})[row["segment"]] = row
        named = {key: self._named(key) for key in cells}
        return [
            row
            for key in sorted(cells, key=lambda one: cell_order(tuple(named[one].values())))
            for row in _rows(cells[key], named[key])
        ]

    def _named(self, key: Sequence[str | None]) -> dict[str, str | None]:
        """The values of a cell as an answer names them."""
        members = self.members
        pairs = zip(members.dimensions, key, strict=True)
        return {one.column: members.named(one, value) for one, value in pairs}

    def table(self, rows: Sequence[Mapping[str, Any]]) -> pa.Table:
        """The rows as Arrow."""
        import pyarrow as pa

        dimensions = self.members.dimensions
        kinds: dict[str, Any] = {one.column: pa.string() for one in dimensions}
        kinds |= dict.fromkeys(COLUMNS, pa.float64())
        kinds |= {"segment": pa.string(), "customers": pa.int64(), "value": pa.decimal128(38, 6)}
        return typed_table(rows, kinds, {one.column: one.title(COLUMNS) for one in dimensions})

    def movement(self, earlier: Cut) -> dict[tuple[int | None, int | None], int]:
        """How many went from each segment to each."""
        then, now = self.scored(earlier, "then"), self.scored(self.cut, "now")
        pair = [then.c.segment.label("before"), now.c.segment.label("after")]
        same = then.c.customer == now.c.customer
        counted = (
            sa.select(*pair, sa.func.count().label("customers"))
            .select_from(then.join(now, same, full=True))
            .group_by(*pair)
        )
        found = self.units.reader.fetch(counted).to_pylist()
        return {(row["before"], row["after"]): row["customers"] for row in found}

    def sentence(self, rows: Sequence[Mapping[str, Any]]) -> str:
        """Who is counted."""
        number = sum(row["customers"] for row in rows)
        if self.cut.moment is None or not number:
            return f"No {self.units.name} has placed an order, so nobody is in a segment."
        return (
            f"{self.units.count(number)} with an order by {self.cut.moment:%Y-%m-%d}, each in one"
            " of nine segments by fifths of recency, frequency and money; who never ordered is in"
            " none."
        )

    def notes(self, earlier: Cut | None) -> list[str]:
        """What the movement is between, and which values are put together."""
        notes = []
        if earlier is not None:
            assert earlier.as_of is not None  # noqa: S101 - for the type checker
            notes.append(
                f"Movement is from {iso(earlier.as_of)[:10]} on: fifths are of each day's own"
                " customers, so one who does nothing moves as others do."
            )
        if self.members.dimensions:
            notes.append(
                "Fifths are of all customers together, and shares of the customers and value of"
                " each row's own values."
            )
        return notes + others_noted(self.members.kept)


def _fifth(value: ColumnElement[Any]) -> ColumnElement[Any]:
    """1 to 5 by fifths, from the least up; those of one value are in one."""
    worse = sa.func.rank().over(order_by=value) - sa.literal_column("1", sa.BigInteger())
    five = sa.literal_column("5", sa.BigInteger())
    fifth = sa.case(*((worse * five < n * sa.func.count().over(), n) for n in range(1, 5)), else_=5)
    return sa.cast(fifth, sa.Integer())


def _third(score: ColumnElement[Any], borders: tuple[int, int]) -> ColumnElement[Any]:
    """0 from the first border on, 1 from the second, else 2."""
    high, low = borders
    return sa.cast(sa.case((score >= high, 0), (score >= low, 1), else_=2), sa.Integer())


def _rows(
    found: Mapping[int, Mapping[str, Any]], cell: Mapping[str, str | None]
) -> list[dict[str, Any]]:
    """The segments of a cell."""
    number = sum(row["customers"] for row in found.values())
    value = sum(row["value"] for row in found.values())
    return [
        {**cell, **_row(name, found.get(place), number, value)}
        for place, name in enumerate(SEGMENTS)
    ]


def _row(name: str, found: Mapping[str, Any] | None, number: int, value: Any) -> dict[str, Any]:
    row: dict[str, Any] = dict.fromkeys(COLUMNS) | {"segment": name, "customers": 0, "value": 0}
    if number:
        row["customers_share"] = 0.0
    if value > 0:
        row["value_share"] = 0.0
    if found is None:
        return row
    customers = found["customers"]
    row |= {"customers": customers, "customers_share": customers / number, "value": found["value"]}
    row["recency_days"] = float(found["recency"] / customers)
    row["orders"] = float(found["orders"] / customers)
    if value > 0:
        row["value_share"] = float(found["value"] / value)
    return row
