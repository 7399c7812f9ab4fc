"""Who is behind a figure of recurring revenue, and the facts of their contracts."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import sqlalchemy as sa
from sqlalchemy.sql.elements import ColumnElement

from bowtie_projections import tables
from bowtie_projections.evidence import Evidence, Figure, Trace, has_values, not_explained
from bowtie_projections.localtime import local_day
from bowtie_projections.value import MONEY
from bowtie_projections.views.cohorts import days_of
from bowtie_projections.views.cut import counts
from bowtie_projections.views.revenue.levels import MOVES, Levels
from bowtie_projections.views.revenue.periods import EVERY, number_of
from bowtie_projections.views.revenue.table import AMOUNTS, COLUMNS, CUSTOMERS, in_months
from bowtie_projections.views.revenue.view import levels_of

__all__ = ["evidence"]

_MOVED = {"customers_new": "new", "customers_lost": "churned", "customers_back": "reactivated"}
_KNOWN = (
    *AMOUNTS, "in_grace", *CUSTOMERS, "grr", "nrr", "lost_share", "start_12m", "grr_12m", "nrr_12m",
)  # fmt: skip
#: The day on which a fact of a contract takes effect; of others that is not theirs to say.
_EFFECT = {"contract_signed": "starts_on", "contract_changed": "effective_on"}
_NOUGHT = sa.cast(sa.literal_column("0", sa.Integer()), MONEY)


def evidence(figure: Figure) -> Evidence:
    """Who paid or moved, and what was said of their contracts up to the end of the period.

    Behind a rate stand those who paid at first, whose money it is of.

    Args:
        figure: of the row of it; its column is an amount, a number of customers or a rate.

    Raises:
        UsageError: no members stand behind the column.
    """
    cell, column, asked = figure.cell, figure.column, figure.asked
    if column not in _KNOWN:
        raise not_explained(column, _KNOWN)
    levels = levels_of(figure.reader, figure.cut, figure.definition, asked)
    first, after = days_of(cell["period"])
    at = number_of(first, levels.every)
    rows = _rows(levels, column, at, daily=asked["movements"] == "daily")
    keys, joined = levels.cells(rows)
    told = sa.select(*(c for c in rows.c if c.name != "currency"), *keys).select_from(joined)
    inside = told.subquery("inside")
    members = levels.members
    own = has_values(inside, members.dimensions, members.kept, cell, COLUMNS)
    chosen = sa.select(inside).where(own, inside.c.currency == cell["currency"])
    each = _each(chosen.subquery("chosen")).cte("paying_members").prefix_with("MATERIALIZED")
    value, finish = (
        _figure(each.c, column),
        _finished(column, cell, asked["per"]),
    )
    traces = _traces(levels, each, after - timedelta(days=1))
    return Evidence(
        members.units, members.cut, figure.definition, each, traces, value, finish=finish
    )


def _rows(levels: Levels, column: str, at: int, *, daily: bool) -> sa.FromClause:
    """Rows of ``customer``, ``currency``, ``level``, ``later`` and ``number``."""
    what = _MOVED.get(column, column)
    if what in MOVES:
        moved = levels.moves(daily=daily)
        c = moved.c
        found = sa.select(c.customer, c.currency, c.amount.label("level"), _NOUGHT.label("later"))
        return found.where(c.what == what, c["at"] == at).subquery("moved_then")
    if column == "in_grace":
        return _at_border(levels.in_grace(), at + 1, "unrenewed_then")
    border = at
    if column.endswith("_12m"):
        border = at + 1 - EVERY[levels.every]
    elif column.endswith("end"):
        border = at + 1
    return _at_border(levels.by_period, border, "paid_then", until=at + 1)


def _at_border(
    rows: sa.FromClause, border: int, name: str, until: int | None = None
) -> sa.Subquery:
    """What is held at the border of a period, and ``later`` at another one."""
    c = rows.c
    later: ColumnElement[Any] = _NOUGHT
    joined = rows
    if until is not None:
        then = rows.alias("then")
        same = sa.and_(
            then.c.customer == c.customer, then.c.currency == c.currency, _holds(then.c, until)
        )
        joined, later = rows.outerjoin(then, same), sa.func.coalesce(then.c.level, _NOUGHT)
    found = sa.select(c.customer, c.currency, c.level, later.label("later"))
    return found.select_from(joined).where(_holds(c, border), c.level > _NOUGHT).subquery(name)


def _holds(columns: Any, border: int) -> ColumnElement[bool]:
    place = sa.literal_column(str(border), sa.Integer())
    return sa.and_(columns.low <= place, columns.high >= place)


def _each(rows: sa.Subquery) -> sa.Select[Any]:
    """One row of each customer: of several movements, or several contracts in their grace."""
    c = rows.c
    return sa.select(
        c.customer,
        sa.cast(sa.func.sum(c.level), MONEY).label("level"),
        sa.cast(sa.func.max(c.later), MONEY).label("later"),
        sa.func.count().label("number"),
    ).group_by(c.customer)


def _figure(c: Any, column: str) -> ColumnElement[Any]:
    if column in CUSTOMERS:
        return sa.cast(sa.func.coalesce(sa.func.sum(c.number), 0), sa.BigInteger())
    if column == "lost_share":
        lost = sa.func.sum(sa.case((c.later == _NOUGHT, 1.0), else_=0.0))
        return sa.cast(lost, sa.Double()) / sa.func.count()
    if column.startswith(("grr", "nrr")):
        kept = c.later if column.startswith("nrr") else sa.func.least(c.level, c.later)
        return sa.cast(sa.func.sum(kept), sa.Double()) / sa.cast(sa.func.sum(c.level), sa.Double())
    return sa.cast(sa.func.coalesce(sa.func.sum(c.level), _NOUGHT), MONEY)


def _finished(column: str, cell: Mapping[str, Any], per: str) -> Callable[[Any], Any] | None:
    """Amounts of a month, as the view rounded them: so that those of a row add up."""
    if per == "year" or column not in {*AMOUNTS, "in_grace", "start_12m"}:
        return None

    def monthly(annual: Decimal) -> Decimal:
        shown: Decimal = cell[column]
        alone = in_months(annual, [])[0]
        return shown if abs(alone - shown) <= Decimal("0.000001") else alone

    return monthly


def _traces(levels: Levels, members: sa.CTE, last: date) -> list[Trace]:
    """What was said of their contracts that takes effect by the last day of the period."""
    cut, tz = levels.members.cut, levels.members.question.tz
    found = []
    for name, table in tables.facts.items():
        if not name.startswith("contract_"):
            continue
        c = table.c
        rows = sa.select(c.customer, c.position).join(members, members.c.customer == c.customer)
        rows = rows.where(counts(table, cut))
        if name in _EFFECT:
            effect = sa.func.coalesce(c[_EFFECT[name]], local_day(c.occurred_at, tz))
            rows = rows.where(effect <= sa.literal(last, sa.Date()))
        said = name.removeprefix("contract_")
        found.append(Trace.facts(f"contract {said}", rows.subquery(f"{said}_of_members")))
    return found
