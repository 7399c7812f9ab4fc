"""What each source of customers cost, beside the customers and the value it brought.

Spend counts by the day it was for: a record over a span of days is spread evenly over them. Spend
and customers of a source cover the same acquisition months, those in which it has spend on record;
what is set against high-value customers ends where customers are too young to be judged.
"""

from __future__ import annotations

import calendar
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from decimal import ROUND_HALF_EVEN, Decimal, localcontext
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from bowtie.wording import are, counted
from bowtie_projections import tables
from bowtie_projections.localtime import local_day, local_month
from bowtie_projections.scope import is_narrowed
from bowtie_projections.value import MONEY
from bowtie_projections.views.cut import Cut, Reader, counts
from bowtie_projections.views.labels import apart
from bowtie_projections.views.loop.question import Question

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = [
    "COLUMNS",
    "NO_SOURCE",
    "Ledger",
    "Span",
    "Unnamed",
    "money_of",
    "read_spend",
    "source_of",
    "source_rows",
    "unusable",
]

#: The source of customers without a touch by time zero.
NO_SOURCE = "(none)"
COLUMNS = (
    "source", "spend", "customers", "mature", "high", "value", "cost_per_customer",
    "cost_per_high", "spend_mature", "months", "reason",
)  # fmt: skip
_CENT = Decimal("0.000001")


@dataclass(frozen=True, slots=True)
class Span:
    """The days that count.

    Args:
        first: the first day of the first month in which anybody counted was acquired.
        last: the last day of the data.
        mature: the last day whose customers are old enough to be judged.
    """

    first: date
    last: date
    mature: date

    @classmethod
    def of(cls, question: Question, first: datetime, end: datetime) -> Span:
        """The span from the first time zero to the end of the data."""
        return cls(
            question.day_of(first).replace(day=1),
            question.day_of(end),
            question.day_of(end - question.horizon),
        )


@dataclass(slots=True)
class Ledger:
    """The spend of one source: by month, all of it and that of its mature days.

    Args:
        of_everybody: part of it was spent on all customers, and only some are counted.
    """

    of_everybody: bool = False
    currencies: set[str] = field(default_factory=set)
    months: dict[int, Fraction] = field(default_factory=dict)
    mature: dict[int, Fraction] = field(default_factory=dict)

    def add(self, month: int, amount: Fraction, *, mature: bool) -> None:
        """Book an amount; a month with an amount of 0 is on record too."""
        self.months[month] = self.months.get(month, Fraction(0)) + amount
        if mature:
            self.mature[month] = self.mature.get(month, Fraction(0)) + amount


@dataclass(frozen=True, slots=True)
class Unnamed:
    """What acquiring and selling cost that names no channel: in no source's ledger.

    Args:
        span: the days that count.
        sums: what it comes to, by currency.
    """

    span: Span
    sums: dict[str, Decimal] = field(default_factory=dict)

    def add(self, currency: str, amount: Decimal) -> None:
        """Book an amount."""
        with localcontext(prec=60):
            self.sums[currency] = self.sums.get(currency, Decimal(0)) + amount


def read_spend(
    reader: Reader, cut: Cut, question: Question, span: Span, by: str = "channel"
) -> tuple[dict[str, Ledger], Unnamed]:
    """The spend of each source (recorded for it, on its touches, and on customers by it).

    And beside it what names no source.

    Args:
        reader: the read tables.
        cut: the facts that count.
        question: what was asked.
        span: the days that count.
        by: what a source is: ``channel`` or ``campaign``.
    """
    ledgers: dict[str, Ledger] = defaultdict(Ledger)
    unnamed = Unnamed(span)
    recorded = reader.fetch(_recorded(cut, by)).to_pylist()
    for row in recorded:
        parts = _spread(row["from_on"], row["to_on"], span)
        booked = [(month, Fraction(row["amount"]) * share, old) for month, share, old in parts]
        if row["source"] is None:
            unnamed.add(row["currency"], money_of(sum((b[1] for b in booked), Fraction(0))))
            continue
        ledger = ledgers[row["source"]]
        ledger.of_everybody = is_narrowed(reader)
        ledger.currencies.add(row["currency"])
        for month, part, mature in booked:
            ledger.add(month, part, mature=mature)
    touches = _touches(cut, question, span, by)
    if any(row["includes"] for row in recorded):
        touches = _touches_not_included(cut, question, span, by)
    for statement in (touches, _incurred(cut, question, span, by)):
        for row in reader.fetch(statement).to_pylist():
            if row["source"] is None:
                unnamed.add(row["currency"], row["amount"])
                continue
            ledger = ledgers[row["source"]]
            ledger.currencies.add(row["currency"])
            ledger.add(row["month"], Fraction(row["amount"]), mature=row["mature"] == 1)
    return {source: ledger for source, ledger in ledgers.items() if ledger.months}, unnamed


def _spread(from_on: date, to_on: date, span: Span) -> Iterator[tuple[int, Fraction, bool]]:
    """(month, share of the record, whether mature) for each month, split at the mature day."""
    days = (to_on - from_on).days + 1
    day, end = max(from_on, span.first), min(to_on, span.last)
    while day <= end:
        stop = min(end, day.replace(day=calendar.monthrange(day.year, day.month)[1]))
        if day <= span.mature < stop:
            stop = span.mature
        part = Fraction((stop - day).days + 1, days)
        yield day.year * 12 + day.month - 1, part, stop <= span.mature
        day = stop + timedelta(days=1)


def _recorded(cut: Cut, by: str) -> sa.Select[Any]:
    c = tables.facts["spend_recorded"].c
    keys = (c[by].label("source"), c.currency, c.from_on, c.to_on)
    return (
        sa.select(
            *keys,
            sa.cast(sa.func.sum(c.amount), MONEY).label("amount"),
            sa.func.max(sa.case((c.includes_touch_cost, 1), else_=0)).label("includes"),
        )
        .where(counts(tables.facts["spend_recorded"], cut), c.activity == "acquire")
        .group_by(*keys)
        .order_by(*keys)
    )


def _touches(cut: Cut, question: Question, span: Span, by: str) -> sa.Select[Any]:
    """What touches cost."""
    table = tables.facts["touched"]
    day = local_day(table.c.occurred_at, question.tz).label("day")
    costly = (
        sa.select(table.c[by].label("source"), table.c.currency, day, table.c.cost.label("amount"))
        .where(counts(table, cut), table.c.cost.is_not(None))
        .subquery("costly")
    )
    return _monthly(costly.c, span)


def _touches_not_included(cut: Cut, question: Question, span: Span, by: str) -> sa.Select[Any]:
    """What touches cost, but for those whose cost is in the channel's recorded spend already."""
    table, spend = tables.facts["touched"], tables.facts["spend_recorded"]
    day = local_day(table.c.occurred_at, question.tz)
    # a day's touches together first: far fewer rows to look up
    daily = (
        sa.select(
            table.c.channel,
            table.c.campaign,
            table.c[by].label("source"),
            table.c.currency,
            day.label("day"),
            sa.func.sum(table.c.cost).label("amount"),
        )
        .where(counts(table, cut), table.c.cost.is_not(None))
        .group_by(table.c.channel, table.c.campaign, table.c.currency, day)
        .subquery("daily")
    )
    included = sa.exists().where(
        counts(spend, cut),
        spend.c.activity == "acquire",
        spend.c.includes_touch_cost,
        spend.c.channel == daily.c.channel,
        sa.or_(spend.c.campaign.is_(None), spend.c.campaign == daily.c.campaign),
        daily.c.day.between(spend.c.from_on, spend.c.to_on),
    )
    return _monthly(daily.c, span).where(~included)


def _incurred(cut: Cut, question: Question, span: Span, by: str) -> sa.Select[Any]:
    table = tables.facts["cost_incurred"]
    day = local_day(table.c.occurred_at, question.tz)
    paid = (
        sa.select(
            table.c[by].label("source"),
            table.c.currency,
            day.label("day"),
            table.c.amount.label("amount"),
        )
        .where(counts(table, cut), table.c.activity.in_(("acquire", "sell")))
        .subquery("paid")
    )
    return _monthly(paid.c, span)


def _monthly(c: Any, span: Span) -> sa.Select[Any]:
    month = local_month(sa.cast(c.day, sa.DateTime()), "UTC")
    mature = sa.case((c.day <= sa.literal(span.mature), 1), else_=0)
    return (
        sa.select(
            c.source,
            c.currency,
            month.label("month"),
            mature.label("mature"),
            sa.cast(sa.func.sum(c.amount), MONEY).label("amount"),
        )
        .where(c.day.between(sa.literal(span.first), sa.literal(span.last)))
        .group_by(c.source, c.currency, month, mature)
        .order_by(c.source, c.currency, month, mature)
    )


@dataclass(slots=True)
class _Brought:
    """What a source brought in one month."""

    customers: int = 0
    mature: int = 0
    high: int = 0
    worth: Decimal = Decimal(0)


def source_rows(
    arrivals: Iterable[Mapping[str, Any]],
    totals: pa.Table,
    ledgers: dict[str, Ledger],
    currency: str | None,
) -> list[dict[str, Any]]:
    """A row for each source, the cheapest per high-value customer first.

    Args:
        arrivals: customers counted, the immature too, by ``channel`` and ``month``.
        totals: the rows of :func:`.tally` without a name.
        ledgers: the spend of each channel.
        currency: that of the value; None where nobody was worth anything.
    """
    brought = _brought(arrivals, totals)
    ledgers = {source_of(channel): ledger for channel, ledger in ledgers.items()}
    rows = [
        _source_row(source, brought.get(source, {}), ledgers.get(source), currency)
        for source in sorted(brought.keys() | ledgers.keys())
    ]
    return sorted(rows, key=lambda row: (row["cost_per_high"] is None, row["cost_per_high"] or 0))


def _brought(
    arrivals: Iterable[Mapping[str, Any]], totals: pa.Table
) -> dict[str, dict[int, _Brought]]:
    brought: dict[str, dict[int, _Brought]] = defaultdict(lambda: defaultdict(_Brought))
    for row in arrivals:
        brought[source_of(row["channel"])][row["month"]].customers += row["customers"]
    with localcontext(prec=60):
        for row in totals.to_pylist():
            month = brought[source_of(row["level"])][row["month"]]
            month.mature += row["customers"]
            month.high += row["customers"] * row["high"]
            month.worth += row["worth"]
    return brought


def source_of(channel: str | None) -> str:
    """The name of a source; a channel that is called like none of them is told apart."""
    return apart(channel, (NO_SOURCE,)) if channel else NO_SOURCE


def _source_row(
    source: str, brought: dict[int, _Brought], ledger: Ledger | None, currency: str | None
) -> dict[str, Any]:
    reason = unusable(source, ledger, currency)
    months = set(brought)
    if ledger is not None and reason is None:
        months = set(ledger.months)
    inside = [brought[month] for month in months if month in brought]
    customers, high = sum(one.customers for one in inside), sum(one.high for one in inside)
    with localcontext(prec=60):
        worth = sum((one.worth for one in inside), Decimal(0))
    row: dict[str, Any] = dict.fromkeys(COLUMNS)
    row |= {
        "source": source,
        "customers": customers,
        "mature": sum(one.mature for one in inside),
        "high": high,
        "value": money_of(Fraction(worth) / 365),
        "months": len(months),
        "reason": reason,
    }
    if ledger is None or reason is not None:
        return row
    spend, mature = sum(ledger.months.values()), sum(ledger.mature.values())
    return row | {
        "spend": money_of(Fraction(spend)),
        "spend_mature": money_of(Fraction(mature)),
        "cost_per_customer": money_of(Fraction(spend) / customers) if customers else None,
        "cost_per_high": money_of(Fraction(mature) / high) if high else None,
        "reason": _partial(brought, months, customers, high),
    }


def unusable(source: str, ledger: Ledger | None, currency: str | None) -> str | None:
    """Why a source's spend can't be set against its customers at all."""
    if source == NO_SOURCE:
        return "these customers had no touch by time zero, so there is no source to have spent on"
    if ledger is None:
        return "no spend on record for this source"
    if ledger.of_everybody:
        return "spend is on record for all customers of this source, not for the segment's alone"
    if len(ledger.currencies) > 1:
        return f"spend is in {' and '.join(sorted(ledger.currencies))}: needs dated rates"
    (spent,) = ledger.currencies
    if currency is not None and spent != currency:
        return f"spend is in {spent}, value in {currency}: needs dated rates"
    return None


def _partial(
    brought: dict[int, _Brought], months: set[int], customers: int, high: int
) -> str | None:
    """What a reader of the costs must know."""
    left_out = sum(one.customers for month, one in brought.items() if month not in months)
    if left_out:
        count = len([month for month in brought if month not in months])
        return (
            f"{counted(left_out, 'customer was', 'customers were')} acquired in"
            f" {counted(count, 'month')} without spend on record, and"
            f" {are(left_out)} not in this row"
        )
    if not customers:
        return "spend is on record, but no customer counted came from it in those months"
    if not high:
        return "none of its mature customers is of high value, so there is no cost for each"
    return None


def money_of(amount: Fraction) -> Decimal:
    """An amount, rounded once, at the edge."""
    with localcontext(prec=60):
        exact = Decimal(amount.numerator) / Decimal(amount.denominator)
        return exact.quantize(_CENT, rounding=ROUND_HALF_EVEN)
