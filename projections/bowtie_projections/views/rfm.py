"""RFM: customers by how lately, how often and for how much they ordered, and how they move."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from sqlalchemy.sql.elements import ColumnElement

from bowtie.durations import format_duration
from bowtie.stages import Definition
from bowtie.times import iso
from bowtie_projections import tables
from bowtie_projections.localtime import check_zone, day_of
from bowtie_projections.membership import LOOK_BACK
from bowtie_projections.results import Result
from bowtie_projections.value import MONEY
from bowtie_projections.views.cohorts import first_moment, last_moment
from bowtie_projections.views.cut import Cut, Reader, counts
from bowtie_projections.views.given import currency_code
from bowtie_projections.views.journey_source import settled_through
from bowtie_projections.views.loop.words import refuse_currencies
from bowtie_projections.views.moves import earlier_cut, moves
from bowtie_projections.views.purchases import purchases
from bowtie_projections.views.shares import standing, typed_table
from bowtie_projections.views.units import UNITS, Units, check_look_back, check_unit

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["NEW", "SEGMENTS", "Ordered", "ordered", "rfm"]

#: By recency (4 or 5, 3, 1 or 2), then by frequency and money together (the same bands).
SEGMENTS = (
    "champions", "potential loyalists", "new customers",
    "loyal", "need attention", "about to sleep",
    "at risk", "hibernating", "lost",
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
    currency: str | None = None,
    data_from: Any = None,
    data_through: Any = None,
    tz: str = "UTC",
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
        currency: refuse all others.
        data_from: where the data begins: who ordered before has fewer orders here than in truth.
        data_through: up to when the data is complete; asked as of then.
        tz: the zone of days.

    Returns:
        A row for each segment, the empty ones too: how many there are and their share; means of
        ``recency_days`` (since the last order) and ``orders``; their ``value``, what they ordered
        less what they returned, and its share. Each customer with an order is in exactly one.

    Raises:
        UsageError: a value that can't be asked.
        Refused: amounts are in several currencies.
    """
    asked = {
        name: given for name, given in locals().items()
        if name not in {"reader", "cut", "definition"}
    }  # fmt: skip
    answer, earlier = ordered(reader, cut, asked)
    units, cut = answer.units, answer.cut
    parameters = asked | {
        "since": since if since is None or isinstance(since, str) else str(since),
        "look_back": format_duration(check_look_back(look_back)),
    }
    used = answer.currency(currency)
    rows = [] if cut.moment is None else answer.rows()
    notes = [] if earlier is None else [answer.noted(earlier)]
    if data_from is not None:
        notes.append(
            f"The data begins {data_from}: who ordered before it is scored too low in orders and"
            " value."
        )
    moved = {} if earlier is None or cut.moment is None else answer.movement(earlier)
    return Result(
        "rfm",
        _table(rows),
        sentence=answer.sentence(rows),
        notes=notes,
        sql=units.reader.statements,
        meta=standing(definition, parameters, cut, units) | {"currency": used},
        parts={} if since is None else {"movement": moves(moved, SEGMENTS, NEW)},
    )


def ordered(reader: Reader, cut: Cut, asked: Mapping[str, Any]) -> tuple[Ordered, Cut | None]:
    """Where the orders are read, and the earlier cut, by all parameters of :func:`rfm`."""
    tz, unit = check_zone(asked["tz"]), check_unit(asked["unit"], UNITS[:-1])
    span, then = check_look_back(asked["look_back"]), last_moment(asked["since"], tz)
    first_moment(asked["data_from"], tz)  # refuses what is none
    currency_code(asked["currency"])
    cut = settled_through(reader, cut, last_moment(asked["data_through"], tz))
    found = Ordered(Units.of(reader, cut, unit, span), cut, tz)
    return found, None if then is None else earlier_cut(found.units.reader, cut, then)


@dataclass(frozen=True, slots=True)
class Ordered:
    """Where the orders of one question are read."""

    units: Units
    cut: Cut
    tz: str

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

    def rows(self) -> list[dict[str, Any]]:
        """A row for each segment."""
        c = self.scored(self.cut, "now").c
        figures = {"recency": c.recency, "orders": c.orders, "value": c.value}
        counted = sa.select(
            c.segment,
            sa.func.count().label("customers"),
            *(sa.cast(sa.func.sum(one), MONEY).label(name) for name, one in figures.items()),
        ).group_by(c.segment)
        found = {row["segment"]: row for row in self.units.reader.fetch(counted).to_pylist()}
        number = sum(row["customers"] for row in found.values())
        value = sum(row["value"] for row in found.values())
        return [_row(name, found.get(place), number, value) for place, name in enumerate(SEGMENTS)]

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

    def noted(self, earlier: Cut) -> str:
        """What the movement is between."""
        assert earlier.as_of is not None  # noqa: S101 - for the type checker
        return (
            f"Movement is from {iso(earlier.as_of)[:10]} on: fifths are of each day's own"
            " customers, so one who does nothing moves as others do."
        )


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


def _row(name: str, found: Mapping[str, Any] | None, number: int, value: Any) -> dict[str, Any]:
    row: dict[str, Any] = dict.fromkeys(_KINDS) | {"segment": name, "customers": 0, "value": 0}
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


_KINDS = (
    "segment",
    "customers",
    "customers_share",
    "recency_days",
    "orders",
    "value",
    "value_share",
)


def _table(rows: Sequence[Mapping[str, Any]]) -> pa.Table:
    import pyarrow as pa

    kinds: dict[str, Any] = dict.fromkeys(_KINDS, pa.float64())
    kinds |= {"segment": pa.string(), "customers": pa.int64(), "value": pa.decimal128(38, 6)}
    return typed_table(rows, kinds, {})
