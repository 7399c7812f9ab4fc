"""What each paid contract cost a year, and over which days, as one SQL statement.

A contract's facts are two kinds of line on one calendar: *terms* (signed, renewed), which begin on
a day and may say their last one, and *changes* of the amount. Put in order of the day they take
effect, each holds until the day before the next. A term's last day ends what lies in it; the last
term also ends by its ending, by its replacement, or by lapsing unrenewed.

Only a signing says its currency. One contract should have one; a logged fact may say another, so
each line has its own: that of the latest signing that had happened by then, else of the first.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Any

import sqlalchemy as sa
from sqlalchemy.sql.elements import ColumnElement

from bowtie.stages.paid import GRACE
from bowtie_projections import tables
from bowtie_projections.localtime import local_day
from bowtie_projections.views.cut import Cut, counts

__all__ = ["Rates", "rates"]

_ONE = sa.literal_column("1", sa.Integer())
_NOUGHT = sa.literal_column("0", sa.Integer())
_NO_DAY = sa.cast(sa.null(), sa.Date())
_NO_CURRENCY = sa.cast(sa.null(), sa.String())


@dataclass(frozen=True, slots=True)
class Rates:
    """How the facts of contracts are read.

    Args:
        cut: the facts that count.
        as_of: a last day more than the grace before this day has ended the contract.
        tz: the zone in which a moment becomes a day.
        prefix: begins the names in SQL, where a statement reads contracts more than once.
        currency: the only one that there is, where that is known: it need not be looked for.
    """

    cut: Cut
    as_of: date
    tz: str = "UTC"
    prefix: str = ""
    currency: str | None = None


def rates(read: Rates, customers: sa.FromClause) -> sa.Select[Any]:
    """The spans of days over which paid contracts of the customers cost the same.

    Args:
        read: how the facts are read.
        customers: a relation with a column ``customer``.

    Returns:
        A statement with the columns ``customer``, ``contract``, ``currency``, ``annual`` (what a
        year costs, exactly), ``from_on`` and ``to_on`` (inclusive; null where no end is known),
        and ``unrenewed_on``, the last day of a term that only a renewal would go beyond: past it
        the span stands for as long as the grace does; and ``because``: ``signed``, ``renewed``, or
        the kind of the change with which the span begins.
    """
    paid = _paid(read, customers).cte(f"{read.prefix}paid_contracts").prefix_with("MATERIALIZED")
    terms = _terms(read, paid).cte(f"{read.prefix}contract_terms")
    lines = sa.union_all(_term_lines(terms), _change_lines(read, paid)).subquery("lines")
    if read.currency is None:
        lines = _signings(lines).subquery("signings")
    numbered = _numbered(lines, read.currency).subquery("numbered")
    line = _closed(numbered).subquery("closed")
    ends, c = _ends(read, paid).cte(f"{read.prefix}contract_ends"), line.c
    return (
        sa.select(
            paid.c.customer,
            paid.c.contract,
            c.currency,
            c.annual,
            c.because,
            c.from_on,
            sa.func.least(c.next_on - _ONE, _cap(read, c, paid, ends), ends.c.last_on).label(
                "to_on"
            ),
            _unrenewed(c, paid, ends).label("unrenewed_on"),
        )
        .select_from(
            line.join(paid, paid.c.number == c.number).outerjoin(ends, ends.c.number == c.number)
        )
        # a change that takes effect before any term has nothing to change
        .where(c.term > 0, c.free == 0)
    )


def _same(one: sa.FromClause, other: sa.FromClause) -> ColumnElement[bool]:
    return sa.and_(one.c.customer == other.c.customer, one.c.contract == other.c.contract)


def _cap(
    read: Rates,
    line: Any,
    paid: sa.FromClause,
    ends: sa.FromClause,
) -> ColumnElement[Any]:
    """The last day of the line's term, where that ends it."""
    in_grace = line.term_ends_on >= sa.literal(read.as_of - GRACE, sa.Date())
    runs_on = sa.and_(
        line.term == line.last_term,
        sa.or_(paid.c.auto_renews == 1, ends.c.ended == 1, in_grace),
    )
    renews = sa.and_(line.term < line.last_term, paid.c.auto_renews == 1)
    return sa.case((sa.or_(runs_on, renews), _NO_DAY), else_=line.term_ends_on)


def _unrenewed(line: Any, paid: sa.FromClause, ends: sa.FromClause) -> ColumnElement[Any]:
    """The last day of the contract's last term, where nothing but the grace lets it run on."""
    alone = sa.and_(
        line.term == line.last_term,
        paid.c.auto_renews == _NOUGHT,
        sa.func.coalesce(ends.c.ended, _NOUGHT) == _NOUGHT,
    )
    return sa.case((alone, line.term_ends_on), else_=_NO_DAY)


def _annual(table: sa.FromClause) -> ColumnElement[Any]:
    months = {
        "month": sa.literal_column("12", sa.Integer()),
        "quarter": sa.literal_column("4", sa.Integer()),
        "year": _ONE,
    }
    return table.c.amount * sa.case(months, value=table.c.per)


def _of(customers: sa.FromClause, table: sa.FromClause, cut: Cut) -> ColumnElement[bool]:
    return sa.and_(counts(table, cut), table.c.customer.in_(sa.select(customers.c.customer)))


def _paid(read: Rates, customers: sa.FromClause) -> sa.Select[Any]:
    """The contracts that were ever signed as paid."""
    signed = tables.facts["contract_signed"]
    return (
        sa.select(
            signed.c.customer,
            signed.c.contract,
            sa.func.max(sa.case((signed.c.auto_renews, 1), else_=0)).label("auto_renews"),
            # what follows tells contracts apart by one number: two texts take thrice as long
            sa.func.row_number().over().label("number"),
        )
        .where(_of(customers, signed, read.cut), signed.c.kind == "paid")
        .group_by(signed.c.customer, signed.c.contract)
    )


def _terms(read: Rates, paid: sa.FromClause) -> sa.Select[Any]:
    """Signed and renewed: each with the day it begins; by default a renewal the day after."""
    signed, renewed = tables.facts["contract_signed"], tables.facts["contract_renewed"]
    free = sa.case((signed.c.kind == "paid", 0), else_=1)
    said = [
        sa.select(
            paid.c.number,
            *_head(table),
            table.c.starts_on,
            table.c.ends_on,
            _annual(table).label("annual"),
            kind.label("free"),
            currency.label("currency"),
            sa.literal_column(f"'{because}'", sa.String()).label("because"),
        )
        .select_from(table.join(paid, _same(paid, table)))
        .where(counts(table, read.cut))
        for table, kind, currency, because in (
            (signed, free, signed.c.currency, "signed"),
            (renewed, _NOUGHT, _NO_CURRENCY, "renewed"),
        )
    ]
    c = sa.union_all(*said).subquery("said").c
    before = sa.func.lag(c.ends_on).over(
        partition_by=c.number, order_by=(c.occurred_at, c.position)
    )
    begins = sa.func.coalesce(c.starts_on, before + _ONE, local_day(c.occurred_at, read.tz))
    return sa.select(
        c.number,
        c.occurred_at,
        c.position,
        begins.label("from_on"),
        c.ends_on,
        c.annual,
        c.free,
        c.currency,
        c.because,
    )


def _head(table: sa.FromClause) -> list[ColumnElement[Any]]:
    return [table.c.occurred_at, table.c.position]


def _term_lines(terms: sa.FromClause) -> sa.Select[Any]:
    return sa.select(*terms.c, _ONE.label("is_term"))


def _change_lines(read: Rates, paid: sa.FromClause) -> sa.Select[Any]:
    changed = tables.facts["contract_changed"]
    takes_effect = sa.func.coalesce(
        changed.c.effective_on, local_day(changed.c.occurred_at, read.tz)
    )
    return (
        sa.select(
            paid.c.number,
            *_head(changed),
            takes_effect.label("from_on"),
            _NO_DAY.label("ends_on"),
            _annual(changed).label("annual"),
            _NOUGHT.label("free"),
            _NO_CURRENCY.label("currency"),
            changed.c.kind.label("because"),
            _NOUGHT.label("is_term"),
        )
        .select_from(changed.join(paid, _same(paid, changed)))
        .where(counts(changed, read.cut))
    )


def _signings(lines: sa.Subquery) -> sa.Select[Any]:
    """Each line with the number of the signing whose currency it has."""
    c = lines.c
    so_far = sa.func.count(c.currency).over(
        partition_by=c.number,
        order_by=(c.occurred_at, c.position),
        rows=(None, 0),
    )
    return sa.select(*c, sa.func.greatest(so_far, _ONE).label("signing"))


def _numbered(lines: sa.Subquery, only: str | None) -> sa.Select[Any]:
    """Each line with its currency, the number of its term and the day of the next line."""
    c = lines.c
    order: dict[str, Any] = {
        "partition_by": c.number,
        "order_by": (c.from_on, c.occurred_at, c.position),
    }
    currency: ColumnElement[Any] = sa.literal(only, sa.String())
    if only is None:
        currency = sa.func.max(c.currency).over(partition_by=(c.number, c.signing))
    return sa.select(
        *(column for column in c if column.name not in {"currency", "signing"}),
        currency.label("currency"),
        sa.func.lead(c.from_on).over(**order).label("next_on"),
        sa.func.sum(c.is_term).over(**order, rows=(None, 0)).label("term"),
    )


def _closed(lines: sa.Subquery) -> sa.Select[Any]:
    """Each line with the last day of its term, and the number of the contract's last term."""
    c = lines.c
    term, contract = (c.number, c.term), c.number
    return sa.select(
        *(column for column in c if column.name not in {"ends_on", "free"}),
        sa.func.max(c.ends_on).over(partition_by=term).label("term_ends_on"),
        sa.func.max(c.free).over(partition_by=term).label("free"),
        sa.func.max(c.term).over(partition_by=contract).label("last_term"),
    )


def _ends(read: Rates, paid: sa.FromClause) -> sa.Select[Any]:
    """The last day of contracts that were ended, or replaced by another."""
    ended, signed = tables.facts["contract_ended"], tables.facts["contract_signed"]
    last = sa.func.coalesce(ended.c.effective_on, local_day(ended.c.occurred_at, read.tz))
    said = [
        sa.select(paid.c.number, last.label("on_day"), _ONE.label("ended"))
        .select_from(ended.join(paid, _same(paid, ended)))
        .where(counts(ended, read.cut)),
        sa.select(
            paid.c.number,
            signed.c.starts_on - _ONE,
            _NOUGHT,
        )
        .select_from(
            signed.join(
                paid,
                sa.and_(paid.c.customer == signed.c.customer, paid.c.contract == signed.c.replaces),
            )
        )
        .where(counts(signed, read.cut)),
    ]
    c = sa.union_all(*said).subquery("said_ends").c
    return sa.select(
        c.number,
        sa.func.min(c.on_day).label("last_on"),
        sa.func.max(c.ended).label("ended"),
    ).group_by(c.number)
