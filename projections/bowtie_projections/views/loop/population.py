"""Whom the closed loop counts, when, and what they were worth: its relations in SQL."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.sql.elements import ColumnElement

from bowtie.stages import Definition
from bowtie_projections import tables
from bowtie_projections.conditions import Facts
from bowtie_projections.expressions import span
from bowtie_projections.localtime import local_month
from bowtie_projections.scope import of_everybody
from bowtie_projections.value import MONEY, Horizon, value_facts, values
from bowtie_projections.views.cut import Cut, Reader, counts
from bowtie_projections.views.journey_source import Needs, journeys_at
from bowtie_projections.views.loop.question import Question
from bowtie_projections.views.units import Units

__all__ = ["Arrived", "Population", "channel_of", "data_begin"]

_NOUGHT = sa.literal_column("0", sa.Integer())


def data_begin(
    reader: Reader, cut: Cut, definition: Definition, question: Question
) -> datetime | None:
    """The moment before which a customer's first fact says that they may be older than the data.

    None where nobody can be: the definition has no burn-in and nobody said where the data begins.
    """
    start = question.data_from
    if start is None and definition.burn_in:
        table = tables.events
        oldest = sa.select(sa.func.min(table.c.occurred_at)).where(
            counts(table, cut), table.c.kind == "customer"
        )
        start = of_everybody(reader).fetch(oldest).column(0)[0].as_py()
    return None if start is None else start + definition.burn_in


@dataclass(frozen=True, slots=True)
class Arrived:
    """How many have a time zero, and who of them is counted.

    Args:
        entered: everybody.
        truncated: of them, who may be older than the data.
        kept: who is counted once old enough.
        mature: of them, who is.
        first: the first time zero of those kept.
        rows: those kept, by ``channel`` and ``month``.
    """

    entered: int = 0
    truncated: int = 0
    kept: int = 0
    mature: int = 0
    first: datetime | None = None
    rows: tuple[Mapping[str, Any], ...] = ()

    @classmethod
    def of(cls, arrivals: Sequence[Mapping[str, Any]], question: Question) -> Arrived:
        """Added up, from the rows of :meth:`Population.arrivals`."""
        kept = [row for row in arrivals if question.include_truncated or not row["truncated"]]
        return cls(
            entered=_people(arrivals),
            truncated=_people([row for row in arrivals if row["truncated"]]),
            kept=_people(kept),
            mature=_people([row for row in kept if row["mature"]]),
            first=min((row["first"] for row in kept), default=None),
            rows=tuple(kept),
        )


def _people(rows: Sequence[Mapping[str, Any]]) -> int:
    return sum(row["customers"] for row in rows)


@dataclass(frozen=True, slots=True)
class Population:
    """The customers of one question, as relations to build its statements from.

    Args:
        journeys: one row for each customer and cycle.
        cut: the facts that count.
        question: what was asked.
        end: the moment up to which horizons can have passed: that of the cut.
        units: whose facts are counted, and of which account.
        begin: customers first seen before it may be older than the data.
    """

    journeys: sa.FromClause
    cut: Cut
    question: Question
    end: datetime
    begin: datetime | None
    units: Units

    @classmethod
    def of(cls, units: Units, cut: Cut, definition: Definition, question: Question) -> Population:
        """Those of a settled cut with any fact."""
        reader, end = units.reader, cut.moment
        assert end is not None  # noqa: S101 - for the type checker
        begin = data_begin(reader, cut, definition, question)
        needs = Needs(touch=True, activity=begin is not None)
        return cls(journeys_at(reader, cut, definition, needs), cut, question, end, begin, units)

    def entered(self, name: str = "entered") -> sa.CTE:
        """Everybody with a time zero, with their first touch, ``truncated`` and ``mature``.

        Args:
            name: of the relation; each of a statement has its own.
        """
        rows = self.journeys
        entry = rows.c[f"{self.question.stage}_at"]
        t0 = sa.func.min(entry)
        truncated: ColumnElement[bool] = sa.false()
        if self.begin is not None:
            truncated = sa.func.min(rows.c.first_seen_at) < sa.literal(self.begin)
        mature = t0 + span(self.question.horizon) <= sa.literal(self.end)
        # a customer's cycles all carry the same first touch
        touch = [
            sa.func.min(rows.c[name]).label(name)
            for name in ("first_touch_at", "first_touch_channel", "first_touch_campaign")
        ]
        return (
            sa.select(
                rows.c.customer,
                t0.label("t0"),
                *touch,
                sa.case((truncated, 1), else_=0).label("truncated"),
                sa.case((mature, 1), else_=0).label("mature"),
            )
            .where(entry.is_not(None), entry <= sa.literal(self.end))
            .group_by(rows.c.customer)
            .cte(name)
        )

    def arrivals(self, by: str = "channel") -> sa.Select[Any]:
        """Everybody with a time zero, counted by source, month, ``truncated`` and ``mature``.

        Args:
            by: what a source is: ``channel`` or ``campaign`` of the first touch; either way it
                stands in ``channel``.
        """
        entered = self.entered()
        c = entered.c
        keys = [
            channel_of(entered, by).label("channel"),
            local_month(c.t0, self.question.tz).label("month"),
            c.truncated,
            c.mature,
        ]
        counted = sa.func.count().label("customers")
        return sa.select(*keys, counted, sa.func.min(c.t0).label("first")).group_by(*keys)

    def oldest(self, nth: int) -> sa.Select[Any]:
        """The time zero of the n-th oldest customer."""
        c = self.entered().c
        return sa.select(c.t0).where(self._kept(c)).order_by(c.t0).limit(1).offset(nth - 1)

    def kept(self) -> sa.CTE:
        """Everybody with a time zero who is counted, the immature too."""
        entered = self.entered()
        return sa.select(*entered.c).where(self._kept(entered.c)).cte("kept")

    def _kept(self, c: Any) -> ColumnElement[bool]:
        return sa.true() if self.question.include_truncated else c.truncated == 0

    def _mature(self, entered: sa.CTE) -> sa.CTE:
        c = entered.c
        return sa.select(*c).where(self._kept(c), c.mature == 1).cte("mature")

    def worth_over(self) -> Horizon:
        """The span over which value counts."""
        asked = self.question
        day = asked.day_of(self.end)
        return Horizon(asked.days, day, asked.tz, costs=asked.costs, discount=asked.discount)

    def worth(self) -> sa.CTE:
        """The mature with their ``worth``, whether ``paying``, and whether ``costed``."""
        mature = self._mature(self.entered())
        value = values(mature, self.cut, self.worth_over()).cte("customer_values")
        v = value.c
        revenue: ColumnElement[Any] = sa.func.coalesce(v.revenue_by_365, sa.cast(_NOUGHT, MONEY))
        amount: ColumnElement[Any] = revenue
        if self.question.value == "contribution":
            amount = revenue - sa.func.coalesce(v.costs_by_365, sa.cast(_NOUGHT, MONEY))
        return (
            sa.select(
                *(c for c in mature.c if c.name != "mature"),
                amount.label("worth"),
                sa.case((revenue > _NOUGHT, 1), else_=0).label("paying"),
                sa.case((v.costs > _NOUGHT, 1), else_=0).label("costed"),
                *(c for c in v if "currency" in c.name or c.name.startswith("from_")),
            )
            .select_from(mature.outerjoin(value, v.customer == mature.c.customer))
            .cte("worth")
        )

    def made_of(self, people: sa.FromClause) -> dict[str, sa.Select[Any]]:
        """The facts that the value of some is made of, by what they are.

        Args:
            people: with ``customer`` and ``t0``.
        """
        found = value_facts(people, self.cut, self.worth_over())
        if self.question.value == "revenue":
            del found["cost"]
        return found

    def worth_facts(self, who: sa.CTE, facts: Facts) -> sa.Select[Any]:
        """The same of those whom a difference asks of: ``customer`` and ``position``."""
        some = sa.select(who.c.customer, who.c.t0)
        if facts.customers is not None:
            some = some.where(who.c.customer.in_(sa.select(facts.customers.c.customer)))
        found = self.made_of(some.cte("value_of"))
        return sa.select(sa.union_all(*found.values()).subquery("of_value"))

    def currencies(self) -> sa.Select[Any]:
        """All currencies in which the mature were worth something."""
        c = self.worth().c
        low, high = sa.select(c.currency_low), sa.select(c.currency_high)
        both = sa.union(low, high).subquery("currencies")
        return (
            sa.select(both.c.currency_low.label("currency"))
            .where(both.c.currency_low.is_not(None))
            .order_by(both.c.currency_low)
        )


def channel_of(rows: sa.FromClause, by: str = "channel") -> ColumnElement[Any]:
    """The first touch's channel (or campaign), if it came by time zero."""
    c = rows.c
    return sa.case((c.first_touch_at <= c.t0, c[f"first_touch_{by}"]))
