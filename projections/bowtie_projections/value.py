"""What customers were worth over a span of their own, as one SQL statement.

Each customer of a population has a time zero; counted are the days (for contracts) and the facts
(for all else) from there on, for as long as the horizon says:

- *contracts* of kind ``paid`` accrue by day: what a year costs, times the days, over 365;
- *orders* count less returns, exchanges as they are signed;
- *invoices* count only for a customer without a paid contract that covers a day of the horizon or
  was signed within it, less what was credited or refunded (the larger: a refund settles a credit)
  and written off. Payments never count.

Sums stay exact: money is carried as 365 times its amount, so that no division happens in the
database. ``by_365`` in a name says so; divide once, at the edge. Where amounts are discounted (see
:mod:`bowtie_projections.discounting`), each counts by the days of the calendar from time zero to
it, and a customer's revenue and costs are rounded once each, to 6 decimals of 365 times the amount.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from decimal import ROUND_FLOOR, ROUND_HALF_EVEN, Decimal, localcontext
from typing import Any

import sqlalchemy as sa
from sqlalchemy.sql.elements import ColumnElement

from bowtie_projections import tables
from bowtie_projections.contracts import Rates, rates
from bowtie_projections.discounting import FINE, factors
from bowtie_projections.expressions import span
from bowtie_projections.localtime import local_day
from bowtie_projections.views.cut import Cut, counts

__all__ = ["MONEY", "Horizon", "contract_facts", "money", "money_by_365", "value_facts", "values"]

#: The type of money in the tables and of sums over it.
MONEY = sa.Numeric(38, 6)
_ZERO: ColumnElement[Any] = sa.literal_column("0", sa.Integer())
_CENT = Decimal("0.000001")
#: What is billed, and what is taken back of it.
_BILLING = ("invoiced", "credited", "refunded", "written_off")


@dataclass(frozen=True, slots=True)
class Horizon:
    """How long a customer's value is counted, and how the facts are read.

    Args:
        days: whole days from time zero.
        as_of: the day on which it is asked whether a contract has lapsed.
        tz: the zone in which a moment becomes a day.
        realised: contracts accrue up to that day only, not to the end of the horizon.
        costs: the activities whose costs count.
        discount: the rate by the year at which amounts are brought to time zero; None is not at
            all.
    """

    days: int
    as_of: date
    tz: str = "UTC"
    realised: bool = False
    costs: tuple[str, ...] = ("onboard", "serve")
    discount: Decimal | None = None

    def last_day(self, first: ColumnElement[Any]) -> ColumnElement[Any]:
        """The last day that counts, by the first."""
        last = first + sa.literal_column(str(self.days - 1))
        return sa.func.least(last, sa.literal(self.as_of, sa.Date())) if self.realised else last

    @property
    def factors(self) -> sa.CTE | None:
        """What an amount of each day counts for, where amounts are discounted."""
        return None if self.discount is None else factors(self.discount, self.days)


def money(by_365: Decimal | int, *, down: bool = False) -> Decimal:
    """An amount from 365 times itself, rounded once to the 6 decimals money has.

    >>> money(Decimal("36500")), money(100), money(100, down=True)
    (Decimal('100.000000'), Decimal('0.273973'), Decimal('0.273972'))
    """
    with localcontext(prec=60):
        rounding = ROUND_FLOOR if down else ROUND_HALF_EVEN
        return (Decimal(by_365) / 365).quantize(_CENT, rounding=rounding)


def money_by_365(amount: Decimal) -> ColumnElement[Any]:
    """An amount times 365, as a constant of SQL.

    >>> print(money_by_365(Decimal("2")))
    CAST('730' AS NUMERIC(38, 6))
    """
    with localcontext(prec=60):
        text = format(amount * 365, "f")
    return sa.cast(sa.literal_column(f"'{text}'"), MONEY)


def values(population: sa.FromClause, cut: Cut, horizon: Horizon) -> sa.Select[Any]:
    """What each customer of a population was worth, for those with any fact about it.

    Args:
        population: a relation with the columns ``customer`` (once each) and ``t0``.
        cut: the facts that count.
        horizon: the span from ``t0``.

    Returns:
        A statement with the columns ``customer``; ``revenue_by_365``; ``costs_by_365`` of the
        activities asked for, and ``costs``, how many of them are on record; the least and
        greatest ``currency_low`` and ``currency_high`` of the facts of revenue, and of the costs
        ``cost_currency_low`` and ``cost_currency_high``; ``from_orders`` and ``from_invoices``,
        how many facts of either kind.
    """
    accrued = _contracts(population, cut, horizon).cte("accrued")
    contracted = sa.union_all(
        sa.select(accrued.c.customer), _signers(population, cut, horizon)
    ).subquery("contracted")
    parts = [
        sa.select(*accrued.c),
        _orders(population, cut, horizon),
        _invoices(population, cut, horizon, contracted),
        _costs(population, cut, horizon),
    ]
    facts = sa.union_all(*parts).subquery("worth")
    c = facts.c
    revenue, cost = c.what != "cost", c.what == "cost"
    return sa.select(
        c.customer,
        _total(revenue, c.by_365).label("revenue_by_365"),
        _total(cost, c.by_365).label("costs_by_365"),
        _total(cost, c.facts, sa.BigInteger()).label("costs"),
        sa.func.min(sa.case((revenue, c.currency))).label("currency_low"),
        sa.func.max(sa.case((revenue, c.currency))).label("currency_high"),
        sa.func.min(sa.case((cost, c.currency))).label("cost_currency_low"),
        sa.func.max(sa.case((cost, c.currency))).label("cost_currency_high"),
        _total(c.what == "order", c.facts, sa.BigInteger()).label("from_orders"),
        _total(c.what == "invoice", c.facts, sa.BigInteger()).label("from_invoices"),
    ).group_by(c.customer)


def value_facts(population: sa.FromClause, cut: Cut, horizon: Horizon) -> dict[str, sa.Select[Any]]:
    """The facts that a customer's value is made of, by what they are: ``customer``, ``position``.

    Of a contract that covers a day of the horizon all that was said of it; of all else what
    happened within.
    """
    read = Rates(cut, horizon.as_of, horizon.tz, "facts_")
    spans = rates(read, population).cte("facts_rates").prefix_with("MATERIALIZED")
    first = local_day(population.c.t0, horizon.tz)
    last = horizon.last_day(first)
    to_on = sa.func.coalesce(spans.c.to_on, last)
    covered = (
        sa.select(spans.c.customer, spans.c.contract)
        .select_from(population.join(spans, spans.c.customer == population.c.customer))
        .where(spans.c.from_on <= last, to_on >= first, to_on >= spans.c.from_on)
        .distinct()
        .cte("facts_contracts")
    )
    signers = _signers(population, cut, horizon)
    contracted = sa.union(sa.select(covered.c.customer), signers).subquery()
    uncontracted = population.c.customer.not_in(sa.select(contracted.c.customer))
    invoices = [_positions(name, population, cut, horizon).where(uncontracted) for name in _BILLING]
    costs = tables.facts["cost_incurred"].c.activity.in_(horizon.costs)
    return {
        "contract": contract_facts(covered, cut),
        "order": _positions("order_placed", population, cut, horizon),
        "invoice": sa.select(sa.union_all(*invoices).subquery()),
        "cost": _positions("cost_incurred", population, cut, horizon).where(costs),
    }


def contract_facts(contracts: sa.FromClause, cut: Cut) -> sa.Select[Any]:
    """All that was said of some contracts: ``customer``, ``position``.

    Args:
        contracts: a relation with ``customer`` and ``contract``, each once.
        cut: the facts that count.
    """
    found = []
    for name in ("contract_signed", "contract_changed", "contract_renewed", "contract_ended"):
        table = tables.facts[name]
        c = table.c
        same = sa.and_(c.customer == contracts.c.customer, c.contract == contracts.c.contract)
        rows = sa.select(c.customer, c.position).select_from(contracts.join(table, same))
        found.append(rows.where(counts(table, cut)))
    return sa.select(sa.union_all(*found).subquery())


def _positions(name: str, population: sa.FromClause, cut: Cut, horizon: Horizon) -> sa.Select[Any]:
    table = tables.facts[name]
    inside = population.join(table, _inside(table, population, horizon))
    return (
        sa.select(table.c.customer, table.c.position).select_from(inside).where(counts(table, cut))
    )


def _total(
    which: ColumnElement[bool], amount: ColumnElement[Any], kind: Any = MONEY
) -> ColumnElement[Any]:
    return sa.cast(sa.func.sum(sa.case((which, amount), else_=_ZERO)), kind)


def _contracts(population: sa.FromClause, cut: Cut, horizon: Horizon) -> sa.Select[Any]:
    """Accrued: what a year costs, times the days that fall into the horizon."""
    spans = rates(Rates(cut, horizon.as_of, horizon.tz), population).cte("rates")
    first = local_day(population.c.t0, horizon.tz)
    since = sa.func.greatest(spans.c.from_on, first)
    until = sa.func.least(spans.c.to_on, horizon.last_day(first))
    joined: sa.FromClause = population.join(spans, spans.c.customer == population.c.customer)
    one: ColumnElement[Any] = sa.literal_column("1", sa.Integer())
    days: ColumnElement[Any] = sa.cast(until - since, sa.Integer()) + one
    if horizon.factors is not None:
        begun, over = horizon.factors.alias("begun"), horizon.factors.alias("over")
        joined = joined.join(begun, begun.c.day == sa.cast(since - first, sa.Integer()))
        joined = joined.join(over, over.c.day == sa.cast(until - first, sa.Integer()) + one)
        days = over.c.before - begun.c.before
    accrued = sa.func.sum(spans.c.annual * days)
    return (
        _worth(population, "contract", spans.c.currency, accrued, spans.c.annual, horizon=horizon)
        .select_from(joined)
        .where(until >= since)
        .group_by(population.c.customer, spans.c.currency)
    )


def _worth(
    population: sa.FromClause,
    what: str,
    currency: ColumnElement[Any],
    by_365: ColumnElement[Any],
    counted: ColumnElement[Any],
    *,
    horizon: Horizon,
) -> sa.Select[Any]:
    return sa.select(
        population.c.customer.label("customer"),
        sa.literal_column(f"'{what}'", sa.String()).label("what"),
        currency.label("currency"),
        # discounted, an amount has more decimals than money until all of a customer's are added
        sa.cast(by_365, MONEY if horizon.discount is None else FINE).label("by_365"),
        sa.func.count(counted).label("facts"),
    )


def _inside(table: sa.FromClause, population: sa.FromClause, horizon: Horizon) -> Any:
    """The fact is of that customer and happened within the horizon."""
    t0 = population.c.t0
    return sa.and_(
        table.c.customer == population.c.customer,
        table.c.occurred_at >= t0,
        table.c.occurred_at < t0 + span(timedelta(days=horizon.days)),
    )


def _dated(
    table: sa.FromClause, population: sa.FromClause, horizon: Horizon
) -> tuple[sa.FromClause, ColumnElement[Any] | None]:
    """The facts within the horizon, and what part of itself an amount of each counts for."""
    inside = population.join(table, _inside(table, population, horizon))
    known = horizon.factors
    if known is None:
        return inside, None
    days = local_day(table.c.occurred_at, horizon.tz) - local_day(population.c.t0, horizon.tz)
    return inside.join(known, known.c.day == sa.cast(days, sa.Integer())), known.c.factor


def _sum_by_365(
    amount: ColumnElement[Any], part: ColumnElement[Any] | None = None
) -> ColumnElement[Any]:
    counted = amount if part is None else amount * part
    return sa.func.sum(counted) * sa.literal_column("365", sa.Integer())


def _orders(population: sa.FromClause, cut: Cut, horizon: Horizon) -> sa.Select[Any]:
    table = tables.facts["order_placed"]
    signed = sa.case((table.c.kind == "return", -table.c.amount), else_=table.c.amount)
    inside, part = _dated(table, population, horizon)
    worth = _sum_by_365(signed, part)
    return (
        _worth(population, "order", table.c.currency, worth, table.c.amount, horizon=horizon)
        .select_from(inside)
        .where(counts(table, cut))
        .group_by(population.c.customer, table.c.currency)
    )


def _costs(population: sa.FromClause, cut: Cut, horizon: Horizon) -> sa.Select[Any]:
    table = tables.facts["cost_incurred"]
    inside, part = _dated(table, population, horizon)
    worth = _sum_by_365(table.c.amount, part)
    return (
        _worth(population, "cost", table.c.currency, worth, table.c.amount, horizon=horizon)
        .select_from(inside)
        .where(counts(table, cut), table.c.activity.in_(horizon.costs))
        .group_by(population.c.customer, table.c.currency)
    )


def _signers(population: sa.FromClause, cut: Cut, horizon: Horizon) -> sa.Select[Any]:
    """Who signed a paid contract within the horizon, whenever it starts."""
    signed = tables.facts["contract_signed"]
    return (
        sa.select(population.c.customer)
        .select_from(population.join(signed, _inside(signed, population, horizon)))
        .where(counts(signed, cut), signed.c.kind == "paid")
    )


def _invoices(
    population: sa.FromClause, cut: Cut, horizon: Horizon, contracted: sa.FromClause
) -> sa.Select[Any]:
    contract = population.c.customer.in_(sa.select(contracted.c.customer))
    # discounted amounts stand beside those that were billed; else they are the same
    later = "" if horizon.factors is None else "_now"
    lines = []
    for event in _BILLING:
        table = tables.facts[event]
        inside, part = _dated(table, population, horizon)
        amounts = (
            {"": table.c.amount}
            if part is None
            else {"": table.c.amount, later: table.c.amount * part}
        )
        query = sa.select(
            population.c.customer.label("customer"),
            table.c.invoice,
            table.c.currency,
            *(
                (amount if event == name else _ZERO).label(f"{name}{when}")
                for when, amount in amounts.items()
                for name in _BILLING
            ),
        ).select_from(inside)
        lines.append(query.where(counts(table, cut), ~contract))
    line = sa.union_all(*lines).subquery("lines")
    c = line.c
    invoiced, credited, refunded, off = (sa.func.sum(c[f"{name}{later}"]) for name in _BILLING)
    # a refund is how a credit is settled: of one invoice, the larger of the two was taken back
    back = sa.case((sa.func.sum(c.credited) >= sa.func.sum(c.refunded), credited), else_=refunded)
    bills = (
        sa.select(
            c.customer,
            c.currency,
            (invoiced - back - off).label("amount"),
        )
        .group_by(c.customer, c.invoice, c.currency)
        .subquery("bills")
    )
    b = bills.c
    return _worth(
        bills, "invoice", b.currency, _sum_by_365(b.amount), b.amount, horizon=horizon
    ).group_by(b.customer, b.currency)
