"""The right half of an edition: what was committed, what was kept of it, and what grew.

Recurring revenue and its retention are those of :mod:`bowtie_projections.views.revenue`, what was
earned to date is that of :mod:`bowtie_projections.views.value`, days are those of
:mod:`bowtie_projections.views.velocity`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import sqlalchemy as sa

from bowtie.errors import Refused
from bowtie.stages import Definition
from bowtie_projections import tables
from bowtie_projections.expressions import span
from bowtie_projections.views.cut import Cut, Reader, counts, time_before
from bowtie_projections.views.funnel.members import Members
from bowtie_projections.views.funnel.question import ask
from bowtie_projections.views.funnel.view import asked_members
from bowtie_projections.views.metrics.editions import Later
from bowtie_projections.views.metrics.rows import Row, days_row, row_of
from bowtie_projections.views.revenue import revenue
from bowtie_projections.views.shares import shares, spread
from bowtie_projections.views.units import plural
from bowtie_projections.views.value import value
from bowtie_projections.views.velocity import velocity

__all__ = ["PERIOD", "SHARED", "Right"]

_KNOT = "commitment"
#: What all views of the right half are asked.
SHARED = ("unit", "look_back", "data_from", "data_through", "tz", "personal_names")
PERIOD = ("from_", "to", "include_truncated")
_MONTHS = {"month": 12, "quarter": 4, "year": 1}
_NO_LOSS = (
    "the definition sees no losses, so nobody can be seen to leave before first impact (lost_after"
    " declares silence a loss)"
)
_NO_YEAR = "nobody paid a year before the end of the last month that is over"


@dataclass(frozen=True)
class Right:
    """What one question is told right of the knot.

    Args:
        reader: the read tables.
        cut: the position and the moment it is asked as of.
        definition: what entering a stage means.
        asked: the parameters of the metrics, without the edition.
        stages: the rows of the funnel, by stage.
    """

    reader: Reader
    cut: Cut
    definition: Definition
    asked: Mapping[str, Any]
    stages: Mapping[str, Row]

    def rows(self, later: tuple[Later, ...]) -> Iterator[Row]:
        """The rows of an edition."""
        tellers: dict[str, Callable[[Later], Iterator[Row]]] = {
            "active": self._entered,
            "live": self._entered,
            "revenue_committed": self._committed_revenue,
            "revenue_after_onboarding": self._after_onboarding,
            "recurring_revenue": self._recurring,
            "lifetime_revenue": self._lifetime,
            "discount_rate": self._discount,
            "onboarding_retention": self._onboarding,
            "gross_retention": self._kept,
            "expansion_rate": self._kept,
            "net_retention": self._kept,
            "commitment_to_first_impact": self._first_impact,
        }
        for one in later:
            yield from tellers[one.metric](one)

    def notes(self) -> list[str]:
        """Of when the figures of recurring revenue are."""
        if isinstance(self._months, str):
            return []
        rows = [row for months in self._months.values() for row in months]
        last = max(row["period"] for row in rows)
        over = max((row["period"] for row in rows if row["complete"]), default=None)
        said = f"Recurring revenue is that of the end of {last}{'' if over == last else ', so far'}"
        if over is not None:
            said += f"; retention and expansion are of the year to the end of {over}"
        return [f"{said}: of all customers, whenever they committed."]

    def _own(self, *names: str) -> dict[str, Any]:
        return {name: self.asked[name] for name in names}

    def _entered(self, one: Later) -> Iterator[Row]:
        """Customers who went on: active once onboarding, live once in use."""
        stage = "onboarding" if one.metric == "active" else "utilization"
        counted = plural(str(self.asked["unit"]))
        yield row_of(one.number, one.metric, counted, value=self.stages[stage]["entered"])

    def _first_impact(self, one: Later) -> Iterator[Row]:
        """The days from the commitment to first impact, of velocity."""
        own = self._own(*SHARED, *PERIOD, "within") | {"cohort": "all"}
        rows = velocity(self.reader, self.cut, self.definition, **own).rows()
        found = [row for row in rows if row["step"] == one.metric]
        if not found:
            yield row_of(one.number, one.metric, one.unit, reason="nobody reached both")
        for row in found:
            yield days_row(one.number, one.metric, row)

    @cached_property
    def members(self) -> Members:
        """Who may have committed."""
        own = dict(self.asked)
        personal_names = own.pop("personal_names")
        question = ask({**own, "by": ()})
        return asked_members(self.reader, self.cut, self.definition, question, personal_names)

    @property
    def _sees_losses(self) -> bool:
        asked = self.members.question
        return self.definition.loss == "events" or asked.lost_after is not None

    @cached_property
    def _people(self) -> sa.CTE:
        """Who committed: ``early``, lost before first impact; of the ``mature``, ``in_time``."""
        members = self.members
        window = members.question.window(_KNOT)
        rows, journeys = members.entered(_KNOT), members.journeys
        same = sa.and_(journeys.c.customer == rows.c.customer, journeys.c.cycle == rows.c.cycle)
        lost, impact = rows.c.lost_at, journeys.c.utilization_at
        early = sa.and_(lost.is_not(None), sa.or_(impact.is_(None), impact > lost))
        return (
            sa.select(
                rows.c.customer,
                rows.c.at,
                early.label("early"),
                sa.and_(early, lost <= rows.c.at + span(window)).label("in_time"),
                (rows.c.at <= sa.literal(time_before(members.moment, window))).label("mature"),
            )
            .select_from(rows.join(journeys, same))
            .cte("committed")
            .prefix_with("MATERIALIZED")
        )

    def contracts(self) -> sa.Select[Any]:
        """The contracts that made the commitments: what each costs a year, and would have.

        ``after`` is that of whom was not lost before first impact.
        """
        people, signed = self._people, tables.facts["contract_signed"]
        p, c = people.c, signed.c
        times = sa.case(_MONTHS, value=c.per)
        annual = c.amount * times
        same = sa.and_(c.customer == p.customer, c.occurred_at == p.at)
        return (
            sa.select(
                *p,
                c.position,
                c.currency,
                annual.label("annual"),
                (c.list_amount * times).label("listed"),
                sa.case((p.early, 0), else_=annual).label("after"),
            )
            .select_from(people.join(signed, same))
            .where(counts(signed, self.members.cut), c.kind == "paid")
        )

    @cached_property
    def _committed(self) -> list[Row]:
        """By currency, what the contracts that made the commitments cost a year, and would have.

        And of those who were not lost before first impact, of the mature, and of the mature that
        were not lost in time.
        """
        c = self.contracts().subquery("contracts").c
        kept, whose = sa.and_(c.mature, sa.not_(c.in_time)), sa.func.count(c.customer.distinct())
        asked = (
            sa.select(
                c.currency,
                sa.func.sum(c.annual).label("annual"),
                whose.label("customers"),
                sa.func.sum(sa.case((c.listed.is_not(None), c.annual))).label("sold"),
                sa.func.sum(c.listed).label("listed"),
                whose.filter(c.listed.is_not(None)).label("with_list"),
                sa.func.sum(c.after).label("after"),
                sa.func.sum(sa.case((c.mature, c.annual))).label("mature"),
                sa.func.sum(sa.case((kept, c.annual), else_=0)).label("kept"),
                whose.filter(c.mature).label("judged"),
            )
            .group_by(c.currency)
            .order_by(c.currency)
        )
        return self.members.units.reader.fetch(asked).to_pylist()

    def _committed_revenue(self, one: Later) -> Iterator[Row]:
        yield from self._a_month(one, "annual")

    def _after_onboarding(self, one: Later) -> Iterator[Row]:
        if not self._sees_losses:
            yield row_of(one.number, one.metric, one.unit, reason=_NO_LOSS)
            return
        yield from self._a_month(one, "after")

    def _a_month(self, one: Later, name: str) -> Iterator[Row]:
        if not self._committed:
            yield row_of(one.number, one.metric, one.unit, reason="no contract made a commitment")
        for row in self._committed:
            said = {"value": float(row[name] / 12), "of": row["customers"]}
            yield row_of(one.number, one.metric, one.unit, currency=row["currency"], **said)

    def _discount(self, one: Later) -> Iterator[Row]:
        known = [row for row in self._committed if row["listed"]]
        if not known:
            reason = "no contract that made a commitment has a list price (list_amount)"
            yield row_of(one.number, one.metric, one.unit, reason=reason)
        for row in known:
            said = {"value": float(1 - row["sold"] / row["listed"]), "of": row["with_list"]}
            yield row_of(one.number, one.metric, one.unit, currency=row["currency"], **said)

    def _onboarding(self, one: Later) -> Iterator[Row]:
        """The share that was not lost before first impact, of the mature, or of their money."""
        reason = "" if self._sees_losses else _NO_LOSS
        known = [row for row in self._committed if row["mature"]]
        if not reason and one.of_money and not known:
            reason = "no contract that made a commitment is old enough"
        if reason:
            yield row_of(one.number, one.metric, one.unit, reason=reason)
        elif not one.of_money:
            yield self._onboarded(one)
        else:
            for row in known:
                said = {"value": float(row["kept"] / row["mature"]), "of": row["judged"]}
                yield row_of(one.number, one.metric, one.unit, currency=row["currency"], **said)

    def _onboarded(self, one: Later) -> Row:
        units, people = self.members.units, self._people
        p = people.c
        kept, number = sa.not_(p.in_time), sa.func.count()
        asked = sa.select(
            number.filter(p.mature).label("judged"),
            number.filter(p.mature, kept).label("kept"),
        )
        (told,) = units.reader.fetch(asked).to_pylist()
        if not told["judged"]:
            reason = "nobody who committed is old enough"
            return row_of(one.number, one.metric, one.unit, of=0, reason=reason)
        sums: list[Any] = [None]
        if units.clustered:
            sums = units.reader.fetch(spread(units, people, (), p.mature, kept)).to_pylist()
        ((share, low, high),) = shares([told["kept"]], [told["judged"]], sums)
        said = {"value": share, "low": low, "high": high, "of": told["judged"]}
        return row_of(one.number, one.metric, one.unit, **said)

    @cached_property
    def _months(self) -> dict[str, list[Row]] | str:
        """The recurring revenue of each month, by currency; or why there is none."""
        if self.asked["unit"] not in {"customer", "account"}:
            return "recurring revenue is of customers or accounts"
        own = self._own(*SHARED, "to") | {"per": "year"}
        found: dict[str, list[Row]] = {}
        for row in revenue(self.reader, self.cut, self.definition, **own).rows():
            found.setdefault(row["currency"], []).append(row)
        return found or "nobody paid for a contract"

    def _recurring(self, one: Later) -> Iterator[Row]:
        """What there is at the end of the last month."""
        if isinstance(self._months, str):
            yield row_of(one.number, one.metric, one.unit, reason=self._months)
            return
        parts = 12 if one.unit == "money a month" else 1
        for currency, rows in self._months.items():
            said = {"value": float(rows[-1]["end"] / parts), "of": rows[-1]["customers_end"]}
            yield row_of(one.number, one.metric, one.unit, currency=currency, **said)

    def _kept(self, one: Later) -> Iterator[Row]:
        """What is kept of the money of a year before, or has grown on what is kept of it."""
        if isinstance(self._months, str):
            yield row_of(one.number, one.metric, one.unit, reason=self._months)
            return
        for currency, rows in self._months.items():
            ends = {row["period"]: row["customers_end"] for row in rows}
            over = [row for row in rows if row["complete"]]
            last: Row = over[-1] if over else {"period": "", "grr_12m": None}
            share = _share(one.metric, last)
            if share is None:
                reason = _NO_YEAR if last["grr_12m"] is None else "nothing of it was kept"
                yield row_of(one.number, one.metric, one.unit, currency=currency, reason=reason)
                continue
            then = f"{int(last['period'][:4]) - 1}{last['period'][4:]}"
            yield row_of(
                one.number, one.metric, one.unit, currency=currency, value=share, of=ends[then]
            )

    def _lifetime(self, one: Later) -> Iterator[Row]:
        """What those who committed have brought to date."""
        if self.asked["unit"] == "cycle":
            reason = "value is of customers, accounts or opportunities"
            yield row_of(one.number, one.metric, one.unit, reason=reason)
            return
        own = self._own(*SHARED, *PERIOD)
        try:
            answer = value(self.reader, self.cut, self.definition, **own)
        except Refused as error:
            yield row_of(one.number, one.metric, one.unit, reason=str(error))
            return
        if not len(answer):
            yield row_of(one.number, one.metric, one.unit, reason="nobody committed")
        for row in answer.rows():
            said = {"value": float(row["realised"]), "of": row["customers"]}
            currency = answer.meta["currency"] or ""
            yield row_of(one.number, one.metric, one.unit, currency=currency, **said)


def _share(metric: str, row: Row) -> float | None:
    gross, net = row["grr_12m"], row.get("nrr_12m")
    if gross is None or net is None:
        return None
    if metric == "expansion_rate":
        return float(net / gross - 1) if gross else None
    return float(gross if metric == "gross_retention" else net)
