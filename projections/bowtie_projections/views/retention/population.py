"""Who was acquired, how old they are, and at which ages they were active: relations in SQL."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from functools import cached_property
from typing import Any

import sqlalchemy as sa
from sqlalchemy.sql.elements import ColumnElement

from bowtie_projections import tables
from bowtie_projections.contracts import Rates, rates
from bowtie_projections.localtime import day_of, local_day
from bowtie_projections.value import MONEY
from bowtie_projections.views.cut import counts
from bowtie_projections.views.funnel.members import COHORT, Members
from bowtie_projections.views.retention.activity import Active
from bowtie_projections.views.retention.ages import age_in_sql, every_age
from bowtie_projections.views.shares import covered_until, spread

__all__ = ["Acquired"]

_ZERO = sa.literal_column("0", sa.Integer())


@dataclass(frozen=True)
class Acquired:
    """The customers of one question.

    With contracts an age begins with the first day that a paid contract is in force, and is seen
    when its first day has come. With events it begins with the day of the commitment, and is seen
    when it is over.

    Args:
        members: who committed, and in which cell they are.
        active: what it is to be active.
        age: the length of an age.
        most: the last age that is told.
        currency: the money that is counted, or None for all that there is.
        only: the only currency, where there is but one.
    """

    members: Members
    active: Active
    age: str
    most: int
    currency: str | None = None
    only: str | None = None

    @property
    def _tz(self) -> str:
        return self.members.question.tz

    @property
    def _today(self) -> date:
        return day_of(self.members.moment, self._tz)

    @property
    def _seen_through(self) -> ColumnElement[Any]:
        """The day that has come, or of which the last age must be over."""
        members = self.members
        end = covered_until(members.cut, members.moment, members.question.data_through)
        if self.active.by_contract:
            end -= timedelta(microseconds=1)
        return sa.literal(day_of(end, self._tz), sa.Date())

    @cached_property
    def committed(self) -> sa.CTE:
        """Who committed in the period: ``customer``, ``at`` and their cell."""
        rows = self.members.entered("commitment")
        keys = [rows.c[name] for name in self.members.key_names]
        found = sa.select(rows.c.customer, rows.c.at, *keys)
        return found.cte("committed").prefix_with("MATERIALIZED")

    @cached_property
    def _paying(self) -> sa.CTE:
        """The spans of days over which the committed paid something."""
        read = Rates(self.members.cut, self._today, self._tz, currency=self.only)
        c = rates(read, self.committed).subquery("spans").c
        last = sa.func.coalesce(c.to_on, sa.literal(self._today, sa.Date()))
        paid = sa.and_(c.annual > 0, sa.or_(c.to_on.is_(None), c.to_on >= c.from_on))
        found = sa.select(
            c.customer, c.contract, c.from_on, last.label("to_on"), c.annual, c.currency
        )
        return found.where(paid).cte("paying").prefix_with("MATERIALIZED")

    @cached_property
    def people(self) -> sa.CTE:
        """Who is counted: ``customer``, ``number``, ``at``, cell, ``day`` zero, ``last_age`` seen.

        With contracts ``base``, what the first day's cost a year, and whether there were
        ``several``; -1 is the last age of whoever has seen none.
        """
        rows = self.committed
        keys = [rows.c[name] for name in self.members.key_names]
        joined: sa.FromClause = rows
        day: ColumnElement[Any] = local_day(rows.c.at, self._tz)
        money: list[ColumnElement[Any]] = []
        if self.active.by_contract:
            first = self._first_days().subquery("first_days")
            joined = rows.join(first, first.c.customer == rows.c.customer)
            day, money = first.c.day, [first.c.base, first.c.several]
        begun = sa.select(rows.c.customer, rows.c.at, *keys, day.label("day"), *money).select_from(
            joined
        )
        c = begun.subquery("begun").c
        seen = age_in_sql(c.day, self._seen_through, self.age)
        if not self.active.by_contract:
            seen -= sa.literal_column("1")
        last = sa.func.least(seen, sa.literal_column(str(self.most)))
        # to be told apart by a number is quicker than by a text
        number = sa.func.row_number().over().label("number")
        found = sa.select(*c, last.label("last_age"), number)
        if self.active.by_contract:
            found = found.where(c.day <= sa.literal(self._today, sa.Date()))
        return found.cte("people").prefix_with("MATERIALIZED")

    def _first_days(self) -> sa.Select[Any]:
        c = self._paying.c
        first = sa.select(
            c.customer,
            sa.func.min(c.from_on).label("day"),
            (sa.func.min(c.contract) != sa.func.max(c.contract)).label("several"),
        ).group_by(c.customer)
        days = first.subquery("days")
        own = self._paying.join(
            days, sa.and_(days.c.customer == c.customer, days.c.day == c.from_on)
        )
        return (
            sa.select(
                c.customer,
                days.c.day,
                days.c.several,
                sa.cast(sa.func.sum(self._money(c)), MONEY).label("base"),
            )
            .select_from(own)
            .group_by(c.customer, days.c.day, days.c.several)
        )

    def _money(self, spans: Any) -> ColumnElement[Any]:
        amount: ColumnElement[Any] = spans.annual
        if self.currency is not None:
            amount = sa.case((spans.currency == self.currency, amount), else_=_ZERO)
        return amount

    @cached_property
    def active_ages(self) -> sa.CTE:
        """Who was active at which age, once each: their ``number``, ``age``, and money."""
        found = self._in_force() if self.active.by_contract else self._happened()
        return found.cte("active").prefix_with("MATERIALIZED")

    def _happened(self) -> sa.Select[Any]:
        people, days = self.people, self.active.days(self.members.cut, self._tz).subquery("days")
        p, age = people.c, age_in_sql(people.c.day, days.c.day, self.age)
        rows = (
            sa.select(p.number, age.label("age"), p.last_age)
            .select_from(people.join(days, days.c.customer == p.customer))
            .where(days.c.day >= p.day)
            .subquery("happened")
        )
        c = rows.c
        return sa.select(c.number, c.age).where(c.age <= c.last_age).distinct()

    def _in_force(self) -> sa.Select[Any]:
        people, spans = self.people, self._paying
        p, s = people.c, spans.c
        before = age_in_sql(p.day, s.from_on - sa.literal_column("1"), self.age)
        first = sa.case(
            (s.from_on <= p.day, _ZERO), else_=before + sa.literal_column("1", sa.Integer())
        )
        last = sa.func.least(age_in_sql(p.day, s.to_on, self.age), p.last_age)
        rows = (
            sa.select(
                p.number,
                p.several,
                self._money(s).label("annual"),
                first.label("first_age"),
                last.label("to_age"),
            )
            .select_from(people.join(spans, s.customer == p.customer))
            .cte("in_force")
            .prefix_with("MATERIALIZED")
        )
        c, ages = rows.c, every_age(self.most)
        on = sa.and_(ages.c.age >= c.first_age, ages.c.age <= c.to_age)
        joined = sa.select(c.number, ages.c.age).select_from(rows.join(ages, on))
        # the spans of one contract follow each other: only several need be added up
        alone = joined.add_columns(sa.cast(c.annual, MONEY).label("annual"))
        total = sa.cast(sa.func.sum(c.annual), MONEY).label("annual")
        together = joined.add_columns(total).group_by(c.number, ages.c.age)
        both = sa.union_all(alone.where(sa.not_(c.several)), together.where(c.several))
        return sa.select(both.subquery("alone_or_together"))

    def counted(self) -> sa.Select[Any]:
        """By cell and age: how many were active; and how many there are by the last age seen.

        The second kind has ``what`` ``people``. Money is what a year costs: ``annual`` of the
        active, ``kept`` of them with no more than on their first day, ``base`` of the people.
        """
        people, active = self.people, self.active_ages
        p, a = people.c, active.c
        keys = [p[name] for name in self.members.key_names]
        nothing: ColumnElement[Any] = sa.cast(sa.null(), MONEY)
        annual = kept = base = nothing
        if self.active.by_contract:
            annual, base = sa.func.sum(a.annual), sa.func.sum(p.base)
            kept = sa.func.sum(sa.func.least(a.annual, p.base))
        was_active = (
            sa.select(
                sa.literal_column("'active'", sa.String()).label("what"),
                *keys,
                a.age.label("age"),
                sa.func.count().label("number"),
                sa.cast(annual, MONEY).label("annual"),
                sa.cast(kept, MONEY).label("kept"),
                nothing.label("base"),
            )
            .select_from(people.join(active, a.number == p.number))
            .group_by(*keys, a.age)
        )
        there_are = sa.select(
            sa.literal_column("'people'", sa.String()),
            *keys,
            p.last_age,
            sa.func.count(),
            nothing,
            nothing,
            sa.cast(base, MONEY),
        ).group_by(*keys, p.last_age)
        return sa.select(sa.union_all(was_active, there_are).subquery("counted"))

    def currencies(self) -> sa.Select[Any]:
        """The currencies of the paid contracts of those who committed."""
        c = tables.facts["contract_signed"].c
        theirs = c.customer.in_(sa.select(self.committed.c.customer))
        paid = sa.and_(c.kind == "paid", theirs)
        found = sa.select(c.currency).distinct().order_by(c.currency)
        return found.where(counts(tables.facts["contract_signed"], self.members.cut), paid)

    def number_committed(self) -> sa.Select[Any]:
        """How many committed, with a contract or without."""
        return sa.select(sa.func.count()).select_from(self.committed)

    def spread(self, keys: Sequence[str]) -> sa.Select[Any]:
        """How those whose age was seen, and the active of them, are spread over accounts."""
        people, active, ages = self.people, self.active_ages, every_age(self.most)
        p, a = people.c, active.c
        same = sa.and_(a.number == p.number, a.age == ages.c.age)
        seen = people.join(ages, ages.c.age <= p.last_age).outerjoin(active, same)
        own = [p[name] for name in keys]
        rows = (
            sa.select(p.customer, *own, ages.c.age, a.number.is_not(None).label("was_active"))
            .select_from(seen)
            .subquery("seen")
        )
        judged: Any = sa.true()
        return spread(self.members.units, rows, [*keys, "age"], judged, rows.c.was_active)

    @property
    def cells(self) -> list[str]:
        """The columns of a cell without the cohort."""
        return [name for name in self.members.key_names if name != COHORT]
