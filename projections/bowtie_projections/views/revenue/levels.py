"""What each customer's contracts come to from day to day, and what moved it: relations in SQL.

A day on which the sum of a customer's contracts becomes another is a step. Between steps nothing
moves, so periods are never filled in: what is held over several is told by its first and last.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from functools import cached_property
from typing import Any

import sqlalchemy as sa
from sqlalchemy.sql.elements import ColumnElement

from bowtie_projections import tables
from bowtie_projections.contracts import Rates, rates
from bowtie_projections.localtime import day_of
from bowtie_projections.value import MONEY
from bowtie_projections.views.cut import counts
from bowtie_projections.views.funnel.members import Members
from bowtie_projections.views.revenue.periods import EVERY, number_in_sql, number_of
from bowtie_projections.views.shares import covered_until

__all__ = ["ANNOUNCED", "BRIEF", "ENDED", "LESS", "MORE", "MOVES", "Levels"]

#: What a movement can be.
MOVES = ("new", "expansion", "contraction", "churned", "reactivated")
#: Came and went within one period.
BRIEF = "brief"
#: How many contracts begin, change or end later.
ANNOUNCED = "announced"
#: What moved a contract: more or less, and why; the last has no event of its own where it lapsed.
MORE, LESS, ENDED = "more", "less", "ended"
_ONE = sa.literal_column("1", sa.Integer())
_NOUGHT = sa.literal_column("0", sa.Integer())


@dataclass(frozen=True)
class Levels:
    """The recurring revenue of one question.

    Args:
        members: who signed, and in which cell they are.
        every: the length of a period.
        currency: the money that is counted, or None for all that there is.
        only: the only currency, where there is but one.
        with_changes: whether it is told, too, what moved contracts.
    """

    members: Members
    every: str
    currency: str | None = None
    only: str | None = None
    with_changes: bool = False

    @property
    def today(self) -> date:
        """The last day that has come."""
        members = self.members
        end = covered_until(members.cut, members.moment, members.question.data_through)
        return day_of(end - timedelta(microseconds=1), members.question.tz)

    @property
    def current(self) -> int:
        """The period of that day."""
        return number_of(self.today, self.every)

    def shown(self, begin: int) -> range:
        """The periods that are asked for, from one on."""
        question = self.members.question
        first, last, instant = begin, self.current, timedelta(microseconds=1)
        if question.start is not None:
            first = max(first, number_of(day_of(question.start, question.tz), self.every))
        if question.end is not None:
            last = min(last, number_of(day_of(question.end - instant, question.tz), self.every))
        return range(first, last + 1)

    @property
    def keys(self) -> list[str]:
        """The columns of a row's cell, and its currency."""
        return [*self.members.key_names, "currency"]

    @cached_property
    def _spans(self) -> sa.CTE:
        """The spans of days over which contracts cost the same, announced ones too."""
        members = self.members
        read = Rates(members.cut, self.today, members.question.tz, currency=self.only)
        signed = tables.facts["contract_signed"]
        spans = rates(read, signed).subquery("spans")
        c = spans.c
        asked = [c.annual > _NOUGHT, sa.or_(c.to_on.is_(None), c.to_on >= c.from_on)]
        if self.currency is not None and self.currency != self.only:
            asked.append(c.currency == self.currency)
        # a text that nobody asks for costs a tenth of all
        told = [one for one in c if self.with_changes or one.name != "because"]
        return sa.select(*told).where(*asked).cte("paying").prefix_with("MATERIALIZED")

    @property
    def _today(self) -> ColumnElement[Any]:
        return sa.literal(self.today, sa.Date())

    @cached_property
    def steps(self) -> sa.CTE:
        """The days on which a customer's sum became another: ``level``, by ``delta``.

        ``at`` is the period of the day, ``first_at`` that of their first, ``next_at`` that of the
        next step, if there is one.
        """
        c = self._spans.c
        begins = sa.select(
            c.customer, c.currency, c.from_on.label("day"), c.annual.label("delta")
        ).where(c.from_on <= self._today)
        ends = sa.select(c.customer, c.currency, c.to_on + _ONE, -c.annual).where(
            c.to_on < self._today
        )
        both = sa.union_all(begins, ends).subquery("both").c
        delta = sa.cast(sa.func.sum(both.delta), MONEY)
        days = (
            sa.select(both.customer, both.currency, both.day, delta.label("delta"))
            .group_by(both.customer, both.currency, both.day)
            .having(delta != _NOUGHT)
            .subquery("days")
        )
        d = days.c
        at = number_in_sql(d.day, self.every)
        own: dict[str, Any] = {"partition_by": (d.customer, d.currency), "order_by": d.day}
        level = sa.func.sum(d.delta).over(**own, rows=(None, 0))
        return (
            sa.select(
                d.customer,
                d.currency,
                d.day,
                d.delta,
                at.label("at"),
                sa.cast(level, MONEY).label("level"),
                sa.func.lead(at).over(**own).label("next_at"),
                sa.func.first_value(d.day).over(**own, rows=(None, 0)).label("first_on"),
                sa.func.first_value(at).over(**own, rows=(None, 0)).label("first_at"),
            )
            .cte("steps")
            .prefix_with("MATERIALIZED")
        )

    @cached_property
    def by_period(self) -> sa.CTE:
        """A customer's sum at the end of each period that changed it, and ``before`` it.

        It is what they pay at the border of a period from ``low`` to ``high``: the border before
        the first day of that period.
        """
        c = self.steps.c
        last = sa.select(self.steps).where(sa.or_(c.next_at.is_(None), c.next_at != c["at"]))
        s = last.subquery("last_steps").c
        own: dict[str, Any] = {"partition_by": (s.customer, s.currency), "order_by": s["at"]}
        before = sa.func.lag(s.level).over(**own)
        after = sa.literal_column(str(self.current + 1), sa.Integer())
        return (
            sa.select(
                s.customer,
                s.currency,
                s["at"],
                s.level,
                sa.func.coalesce(before, sa.cast(_NOUGHT, MONEY)).label("before"),
                (s["at"] == s.first_at).label("first"),
                (s["at"] + _ONE).label("low"),
                sa.func.coalesce(s.next_at, after).label("high"),
            )
            .cte("by_period")
            .prefix_with("MATERIALIZED")
        )

    def moves(self, *, daily: bool = False) -> sa.Subquery:
        """The movements: ``what``, the period ``at``, and by how much, ``amount``.

        Args:
            daily: each day's of a customer apart; else the difference over the whole period.
        """
        if daily:
            c = self.steps.c
            before, first = c.level - c.delta, c.day == c.first_on
        else:
            c = self.by_period.c
            before, first = c.before, c.first
        what = sa.case(
            (sa.and_(before == _NOUGHT, c.level == _NOUGHT), BRIEF),
            (sa.and_(before == _NOUGHT, first), "new"),
            (before == _NOUGHT, "reactivated"),
            (c.level == _NOUGHT, "churned"),
            (c.level > before, "expansion"),
            (c.level < before, "contraction"),
        )
        told = sa.select(
            c.customer,
            c.currency,
            c["at"],
            what.label("what"),
            sa.cast(c.level - before, MONEY).label("amount"),
        )
        rows = told.subquery("daily_moves" if daily else "moves")
        return sa.select(rows).where(rows.c.what.is_not(None)).subquery("moved")

    def held_for_a_year(self) -> sa.Subquery:
        """What who paid at one border pays a year later: ``level``, and ``kept`` of it.

        At all borders from ``low`` to ``high``: a pair of sums that stood a year apart.
        """
        then, now = self.by_period.alias("a_year_ago"), self.by_period.alias("now")
        t, n = then.c, now.c
        year = sa.literal_column(str(EVERY[self.every]), sa.Integer())
        on = sa.and_(
            t.customer == n.customer,
            t.currency == n.currency,
            n.low <= t.high + year,
            n.high >= t.low + year,
        )
        both = then.join(now, on)
        return (
            sa.select(
                n.customer,
                n.currency,
                n.level,
                sa.func.least(t.level, n.level).label("kept"),
                sa.func.greatest(t.low + year, n.low).label("low"),
                sa.func.least(t.high + year, n.high).label("high"),
            )
            .select_from(both)
            .where(t.level > _NOUGHT, n.level > _NOUGHT)
            .subquery("a_year_apart")
        )

    def changes(self) -> sa.Subquery:
        """What moved contracts, each day of each contract: ``what``, ``at`` and ``amount``.

        ``what`` is ``more`` or ``less``, and why: as the contract said it, or ``ended``.
        """
        c = self._spans.c
        nothing = sa.cast(sa.null(), sa.String())
        whose = (c.customer, c.contract, c.currency)
        begins = sa.select(
            *whose, c.from_on.label("day"), c.annual.label("delta"), c.because
        ).where(c.from_on <= self._today)
        ends = sa.select(*whose, c.to_on + _ONE, -c.annual, nothing).where(c.to_on < self._today)
        both = sa.union_all(begins, ends).subquery("begun_and_ended").c
        delta = sa.cast(sa.func.sum(both.delta), MONEY)
        days = (
            sa.select(
                both.customer,
                both.currency,
                number_in_sql(both.day, self.every).label("at"),
                delta.label("amount"),
                sa.func.coalesce(sa.func.max(both.because), ENDED).label("because"),
            )
            .group_by(both.customer, both.contract, both.currency, both.day)
            .having(delta != _NOUGHT)
            .subquery("contract_days")
        )
        d = days.c
        what = sa.case((d.amount > _NOUGHT, f"{MORE} "), else_=f"{LESS} ") + d.because
        told = sa.select(d.customer, d.currency, d["at"], what.label("what"), d.amount)
        return told.subquery("contract_moves")

    def in_grace(self) -> sa.Subquery:
        """What is past its last day and counts within the grace, at the borders it is counted."""
        c = self._spans.c
        since = sa.func.greatest(c.from_on, c.unrenewed_on + _ONE)
        low = number_in_sql(since, self.every) + _ONE
        after = sa.literal_column(str(self.current + 1), sa.Integer())
        ended = number_in_sql(c.to_on + _ONE, self.every)
        return (
            sa.select(
                c.customer,
                c.currency,
                c.annual.label("level"),
                low.label("low"),
                sa.case((c.to_on < self._today, ended), else_=after).label("high"),
            )
            .where(
                c.unrenewed_on < self._today,
                c.from_on <= self._today,
                sa.or_(c.to_on.is_(None), c.to_on >= since),
            )
            .subquery("unrenewed")
        )

    def _announced(self) -> sa.Select[Any]:
        """How many contracts begin, change or end later, as was said already: of no cell."""
        c = self._spans.c
        later = sa.or_(c.from_on > self._today, c.to_on >= self._today)
        contracts = sa.select(c.customer, c.contract).where(later).distinct().subquery("later")
        columns: list[ColumnElement[Any]] = [
            *(sa.cast(sa.null(), sa.String()).label(name) for name in self.keys),
            sa.literal_column(f"'{ANNOUNCED}'", sa.String()),
            _NOUGHT,
            sa.cast(_NOUGHT, MONEY),
            sa.func.count(),
        ]
        return sa.select(*columns).select_from(contracts)

    def cells(self, rows: sa.FromClause) -> tuple[list[ColumnElement[Any]], sa.FromClause]:
        """The columns of a cell and the currency, and the rows joined with what they need."""
        names = self.members.key_names
        if not names:
            return [rows.c.currency], rows
        people = self._people
        joined = rows.join(people, people.c.customer == rows.c.customer)
        return [*(people.c[name] for name in names), rows.c.currency], joined

    @cached_property
    def _people(self) -> sa.CTE:
        keys, joined = self.members.keys_at(self.members.time("commitment"))
        found = sa.select(self.members.journeys.c.customer, *keys).select_from(joined)
        return found.cte("people").prefix_with("MATERIALIZED")

    def counted(self, *, daily: bool = False) -> sa.Select[Any]:
        """All that is told, by cell and currency: ``what``, ``at``, ``amount`` and ``number``.

        Movements are of the period ``at``. Of what is held (``kept`` and ``still`` of a year ago,
        ``grace``) there is one row at the first border, and one that takes it away at the border
        after the last. A row ``announced`` is of no cell: how many contracts will move.

        Args:
            daily: the movements of each day too, whose ``what`` begins with ``daily``.
        """
        branches = [self._moved(self.moves(), "")]
        if daily:
            branches.append(self._moved(self.moves(daily=True), "daily "))
        if self.with_changes:
            branches.append(self._moved(self.changes(), ""))
        year = self.held_for_a_year()
        branches += self._held(year, "kept", year.c.kept)
        branches += self._held(year, "still", year.c.level)
        grace = self.in_grace()
        branches += self._held(grace, "grace", grace.c.level)
        branches.append(self._announced())
        return sa.select(sa.union_all(*branches).subquery("counted"))

    def _moved(self, rows: sa.Subquery, prefix: str) -> sa.Select[Any]:
        keys, joined = self.cells(rows)
        c = rows.c
        what = sa.literal_column(f"'{prefix}'", sa.String()) + c.what if prefix else c.what
        told = {"what": what, "at": c["at"], "amount": c.amount, "number": _ONE}
        return _sums(joined, keys, told).group_by(*keys, c.what, c["at"])

    def _held(
        self, rows: sa.Subquery, what: str, amount: ColumnElement[Any]
    ) -> Sequence[sa.Select[Any]]:
        keys, joined = self.cells(rows)
        name: ColumnElement[Any] = sa.literal_column(f"'{what}'", sa.String())
        ends = ((rows.c.low, _ONE), (rows.c.high + _ONE, -_ONE))
        return [
            _sums(
                joined, keys, {"what": name, "at": border, "amount": amount * sign, "number": sign}
            ).group_by(*keys, border)
            for border, sign in ends
        ]

    def currencies(self) -> sa.Select[Any]:
        """The currencies of paid contracts."""
        signed = tables.facts["contract_signed"]
        found = sa.select(signed.c.currency).distinct().order_by(signed.c.currency)
        return found.where(counts(signed, self.members.cut), signed.c.kind == "paid")


def _sums(
    rows: sa.FromClause, keys: Sequence[ColumnElement[Any]], told: Mapping[str, ColumnElement[Any]]
) -> sa.Select[Any]:
    return sa.select(
        *keys,
        told["what"].label("what"),
        told["at"].label("at"),
        sa.cast(sa.func.sum(told["amount"]), MONEY).label("amount"),
        sa.cast(sa.func.sum(told["number"]), sa.BigInteger()).label("number"),
    ).select_from(rows)
