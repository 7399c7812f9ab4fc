"""Who is in a segment at a cut, as one SQL statement.

Each test that is not made of others finds customers by itself; the segment is who of all customers
is found as it says. All is read over the facts of a unit (see :mod:`bowtie_projections.shadowing`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import cached_property
from typing import Any

import sqlalchemy as sa
from sqlalchemy.sql.elements import ColumnElement

from bowtie.durations import LONGEST
from bowtie.errors import Refused
from bowtie.segments.segment import (
    All,
    Came,
    Did,
    Either,
    Has,
    Neither,
    Stands,
    Test,
    Worth,
    leaves,
)
from bowtie.stages import STAGES, Comparison, Definition
from bowtie_projections import tables
from bowtie_projections.conditions import Facts, compares, condition_rows
from bowtie_projections.cycles import activity, first_touch
from bowtie_projections.expressions import happened, packed_field, packed_max, span
from bowtie_projections.shadowing import Layer, found_once, standing_alone
from bowtie_projections.value import Horizon, money_by_365, values
from bowtie_projections.views.cut import Cut, Reader, counts, time_before
from bowtie_projections.views.journey_source import Needs, journeys_at

__all__ = ["Judging", "everybody"]

_MICROSECOND = timedelta(microseconds=1)
#: What a customer's revenue is read from.
_MONEY = ("contract_signed", "order_placed", "invoiced")


def everybody(cut: Cut) -> sa.Select[Any]:
    """Each customer of whom anything is known at a cut."""
    return sa.select(activity(Facts(cut)).subquery("active").c.customer)


@dataclass(frozen=True)
class Judging:
    """Judges the customers of a unit at a cut.

    Args:
        reader: the read tables, under the keys of the unit.
        layers: what makes these keys of the tables' own.
        cut: the facts that count; settled.
        definition: what entering a stage means.
        entries: ``customer`` and ``entered_at``: each is judged as of that moment, and the reader
            and the layers give their facts up to it; None where all are judged as of the cut.
    """

    reader: Reader
    layers: Sequence[Layer]
    cut: Cut
    definition: Definition
    entries: sa.FromClause | None = None

    def members(self, test: Test) -> sa.Select[Any]:
        """Who meets a test: a statement with the column ``customer``, once each.

        Raises:
            Refused: amounts of several currencies would have to be compared; or the test is one
                that can't be judged as of entries.
        """
        if self.entries is not None:
            _check_at_entries(test)
        self._check_currencies(test)
        known = everybody(self.cut).subquery("everybody")
        return sa.select(known.c.customer).where(self._holds(test, known.c.customer))

    def relation(self, test: Test, name: str) -> sa.FromClause:
        """The same as a relation that any statement can join, whatever its tables are.

        Judged now where the database can keep it, else in each statement anew.
        """
        return found_once(self.reader, self.members(test), self.layers, name)

    def _holds(self, test: Test, key: ColumnElement[Any]) -> ColumnElement[bool]:
        match test:
            case All(parts):
                return sa.and_(*(self._holds(part, key) for part in parts))
            case Either(parts):
                return sa.or_(*(self._holds(part, key) for part in parts))
            case Neither(parts):
                return sa.and_(*(sa.not_(self._holds(part, key)) for part in parts))
            case Has(where):
                return sa.and_(*(key.in_(self._having(one)) for one in where))
            case Came(where):
                return key.in_(self._came(where))
            case Stands():
                return key.in_(self._standing(test))
            case Did():
                return key.in_(self._did(test))
            case Worth():
                return key.in_(self._worth(test))

    def _moment(self, customer: ColumnElement[Any]) -> ColumnElement[Any]:
        """As of when a customer is judged."""
        if self.entries is None:
            return sa.literal(self.cut.moment, sa.DateTime())
        e = self.entries.alias("entry").c
        return sa.select(e.entered_at).where(e.customer == customer).scalar_subquery()

    def _since(
        self, last: timedelta | None, at: ColumnElement[Any], customer: ColumnElement[Any]
    ) -> ColumnElement[bool]:
        """Whether a moment lies within so long before that as of which a customer is judged."""
        if last is None or self.cut.moment is None:
            return sa.true()
        if self.entries is not None:
            return at > self._moment(customer) - span(last)
        return at > sa.literal(time_before(self.cut.moment, last), sa.DateTime())

    def _having(self, comparison: Comparison) -> sa.Select[Any]:
        """Who has such a trait, by what is known of it at the moment.

        A fact is known from when its sender knew it, else from when it happened; of what is known,
        what happened last holds.
        """
        table = tables.facts["traits_observed"]
        c = table.c
        told = [counts(table, self.cut), c.name == comparison.key]
        if self.cut.moment is not None:
            known = sa.func.coalesce(c.known_from, happened(c))
            told.append(known <= self._moment(c.customer))
        newest = packed_max(c.occurred_at, c.position, c.value).label("newest")
        said = sa.select(c.customer, newest).where(*told).group_by(c.customer).subquery("said")
        value = packed_field(said.c.newest, 2, sa.String())
        held = sa.select(said.c.customer, value.label("value")).subquery("held")
        return sa.select(held.c.customer).where(compares(comparison, held.c.value))

    def _came(self, where: Sequence[Comparison]) -> sa.Select[Any]:
        touch = first_touch(Facts(self.cut)).subquery("first_touches")
        same = (compares(one, touch.c[f"first_touch_{one.field}"]) for one in where)
        return sa.select(touch.c.customer).where(*same)

    @cached_property
    def _journeys(self) -> sa.FromClause:
        return journeys_at(self.reader, self.cut, self.definition, Needs())

    def _standing(self, test: Stands) -> sa.Select[Any]:
        c = self._journeys.c
        if test.how == "entered":
            entries = (c[f"{stage}_at"] for stage in test.stages)
            asked = (
                sa.and_(at.is_not(None), self._since(test.last, at, c.customer)) for at in entries
            )
            return sa.select(c.customer).where(sa.or_(*asked))
        furthest = sa.case(
            *(
                (c[f"{stage}_at"].is_not(None), sa.literal(place))
                for place, stage in reversed([*enumerate(STAGES)])
            )
        )
        places = [STAGES.index(stage) for stage in test.stages]
        return sa.select(c.customer).where(c.lost_at.is_(None), furthest.in_(places))

    def _did(self, test: Did) -> sa.Select[Any]:
        condition = test.condition
        rows: sa.FromClause = condition_rows(condition, Facts(self.cut))
        keys = ["customer"]
        if condition.refers_to:
            rows, keys = self._in_cycles(test, rows), ["customer", "cycle"]
        if condition.each is not None:
            keys.append("each")
        asked = [self._since(test.last, rows.c["at"], rows.c.customer)]
        asked += [rows.c.each.is_not(None)] if condition.each is not None else []
        if condition.nth == 1:
            return sa.select(rows.c.customer).where(*asked)
        own = [rows.c[key] for key in keys]
        if test.span is not None:
            order = (rows.c["at"], rows.c.position)
            before = sa.func.lag(rows.c["at"], condition.nth - 1)
            first = before.over(partition_by=own, order_by=order).label("first")
            runs = sa.select(rows.c.customer, rows.c["at"], first).where(*asked).subquery("runs")
            return sa.select(runs.c.customer).where(runs.c["at"] - span(test.span) <= runs.c.first)
        number = sa.func.count()
        if condition.counted_by != "event":
            period = sa.func.date_trunc(condition.counted_by, rows.c["at"])
            number = sa.func.count(period.distinct())
        return (
            sa.select(rows.c.customer).where(*asked).group_by(*own).having(number >= condition.nth)
        )

    def _in_cycles(self, test: Did, rows: sa.FromClause) -> sa.FromClause:
        """The rows after (and within a time of) other stages' entries in their own cycle."""
        condition, j = test.condition, self._journeys.c
        asked = [
            j.customer == rows.c.customer,
            sa.or_(j.lost_at.is_(None), rows.c["at"] <= j.lost_at),
        ]
        if condition.after is not None:
            asked.append(rows.c["at"] >= j[f"{condition.after}_at"])
        if condition.within is not None:
            entry = j[f"{condition.within.of}_at"]
            asked += [rows.c["at"] >= entry, rows.c["at"] <= entry + span(condition.within.time)]
        joined = rows.join(self._journeys, sa.and_(*asked))
        return sa.select(*rows.c, j.cycle).select_from(joined).subquery("in_cycles")

    def _worth(self, test: Worth) -> sa.Select[Any]:
        known = everybody(self.cut).subquery("everybody")
        moment = self.cut.moment
        if moment is None:
            return sa.select(known.c.customer)
        days = max(1, (test.last or LONGEST) // timedelta(days=1))
        # the moment itself is the last that counts
        since = time_before(moment, timedelta(days=days)) + _MICROSECOND
        t0 = sa.literal(since, sa.DateTime()).label("t0")
        population = sa.select(known.c.customer, t0).subquery("population")
        found = values(population, self.cut, Horizon(days, moment.date())).subquery("worth")
        worth = sa.func.coalesce(found.c.revenue_by_365, sa.literal_column("0", sa.Integer()))
        asked = (_OPERATORS[op](worth, money_by_365(amount)) for op, amount in test.where)
        c = population.c
        judged = (
            sa.select(c.customer)
            .select_from(population.outerjoin(found, found.c.customer == c.customer))
            .where(*asked)
        )
        # its statement names parts of its own; two of them in one statement must not meet
        name = f"of_worth_{len(self._worths)}"
        part = standing_alone(judged, self.layers, f"{name}_rows").part(name)
        alone = self._worths.setdefault(test, part)
        return sa.select(alone.c.customer)

    @cached_property
    def _worths(self) -> dict[Worth, sa.CTE]:
        return {}

    def _check_currencies(self, test: Test) -> None:
        asked = [one for one in leaves(test) if isinstance(one, Worth)]
        if not asked:
            return
        lists = []
        for name in _MONEY:
            table = tables.facts[name]
            paid = table.c.kind == "paid" if name == "contract_signed" else sa.true()
            lists.append(sa.select(table.c.currency).where(counts(table, self.cut), paid))
        c = sa.union(*lists).subquery("currencies").c
        found = self.reader.fetch(sa.select(c.currency).order_by(c.currency))
        known = [str(name) for name in found.column(0).to_pylist() if name is not None]
        for one in asked:
            if len(known) > 1 or (one.currency is not None and known not in ([], [one.currency])):
                raise Refused(
                    f"revenue is in {' and '.join(known)}, and a segment compares it with one"
                    f" amount{f' in {one.currency}' if one.currency else ''}: amounts of several"
                    " currencies can't be added without dated rates. Tell customers apart by a"
                    ' fact instead, such as event = "contract_signed" with where = { currency ='
                    ' "EUR", amount = { ge = "100" } }'
                )


def _check_at_entries(test: Test) -> None:
    """Refuse what isn't known of one moment for each customer.

    Cycles, stages and revenue are of all customers as of one moment: that a contract ran out, and
    so where a cycle ends, is told by the days that have passed since.
    """
    for one in leaves(test):
        if isinstance(one, Stands | Worth) or (isinstance(one, Did) and one.condition.refers_to):
            raise Refused(
                f"{one} can't be judged as of each one's entry: stages and revenue are told of all"
                " customers as of one moment. Ask by traits, the first touch and events; or, of a"
                " view that takes it, with segment_as_of=DATE"
            )


_OPERATORS: dict[str, Any] = {
    "gt": ColumnElement.__gt__,
    "ge": ColumnElement.__ge__,
    "lt": ColumnElement.__lt__,
    "le": ColumnElement.__le__,
}
