"""Every customer in the log, where they stand and since when, in SQL."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import sqlalchemy as sa
from sqlalchemy.sql.elements import ColumnElement

from bowtie.stages import STAGES, Definition
from bowtie_projections import tables
from bowtie_projections.conditions import Facts
from bowtie_projections.cycles import activity, first_touch
from bowtie_projections.expressions import micros_between, quantiles
from bowtie_projections.views.breakdown import Dimension, distinct_values
from bowtie_projections.views.cut import Cut, counts
from bowtie_projections.views.funnel.members import QUANTILES, WORDS, folded
from bowtie_projections.views.funnel.question import Question
from bowtie_projections.views.funnel.view import seen_since
from bowtie_projections.views.journey_source import Needs, journeys_at
from bowtie_projections.views.labels import apart
from bowtie_projections.views.opportunities import open_ones
from bowtie_projections.views.stock.places import LOST, NO_STAGE, PLACES, furthest, since
from bowtie_projections.views.stock.waiting import Waiting, waiting
from bowtie_projections.views.units import Units

__all__ = ["SEVERAL", "Standing", "everybody_of"]

#: Stands for the currency of amounts that can't be added.
SEVERAL = "several"


@dataclass(frozen=True, slots=True)
class Standing:
    """Every customer in the log, and where they stand.

    Args:
        journeys: all cycles at the cut.
        cut: the facts that count; settled.
        question: what was asked.
        dimensions: the breakdowns.
        waits: of each stage but the last, how long is too long.
        kept: for each breakdown that has too many values, those that stay apart.
        among: only these customers, a relation with a column ``customer``; else all in the log.
    """

    journeys: sa.FromClause
    cut: Cut
    question: Question
    dimensions: Sequence[Dimension]
    waits: Mapping[str, Waiting] = field(default_factory=dict)
    kept: Mapping[str, Sequence[str]] = field(default_factory=dict)
    among: sa.FromClause | None = None

    def counted(self) -> sa.Select[Any]:
        """Customers by cell and place, for how long they stand there, and how many are stuck."""
        rows = self.placed().subquery("placed")
        keys = [rows.c[one.column] for one in self.dimensions]
        return sa.select(
            *keys,
            rows.c.place,
            sa.func.count().label("customers"),
            quantiles(rows.c.micros, tuple(QUANTILES.values())).label("waited"),
            sa.func.count().filter(self.is_stuck(rows)).label("stuck"),
        ).group_by(*keys, rows.c.place)

    def listed(self, stage: str, *, stuck: bool) -> sa.Select[Any]:
        """Who stands in a stage, those who came first before others; or the stuck of them."""
        rows = self.placed().subquery("placed")
        c, is_stuck = rows.c, self.is_stuck(rows)
        keys = [c[one.column] for one in self.dimensions]
        contact, worth = _last_contacts(self.cut), _open_amounts(self.cut)
        joined = rows.outerjoin(contact, contact.c.customer == c.customer)
        joined = joined.outerjoin(worth, worth.c.customer == c.customer)
        found = (
            sa.select(
                c.customer,
                c.cycle,
                *keys,
                c.since.label("entered_at"),
                c.micros,
                is_stuck.label("stuck"),
                contact.c.last_contact_at,
                worth.c.amount,
                worth.c.currency,
            )
            .select_from(joined)
            .where(c.place == PLACES.index(stage))
        )
        if stuck:
            found = found.where(is_stuck)
        return found.order_by(c.since, c.customer, c.cycle)

    def ranked(self, dimension: Dimension) -> sa.Select[Any]:
        """The values of a breakdown, those of the most customers first."""
        rows = self.placed().subquery("placed")
        value = rows.c[dimension.column]
        return (
            sa.select(value.label("value"))
            .where(value.is_not(None))
            .group_by(value)
            .order_by(sa.func.count().desc(), value)
            .limit(self.question.top)
        )

    def cell(self, group: Mapping[str, Any]) -> tuple[str | None, ...]:
        """The values of a row, as an answer names them."""
        return tuple(self.named(one, group[one.column]) for one in self.dimensions)

    def named(self, dimension: Dimension, value: str | None) -> str | None:
        """A value as an answer names it."""
        # where others are put together, SQL has named the values already
        return value if value is None or dimension.name in self.kept else apart(value, WORDS)

    def is_stuck(self, rows: sa.FromClause) -> ColumnElement[bool]:
        """Whether who stands there has waited too long; null where nobody can tell."""
        c = rows.c
        unknown = sa.cast(sa.null(), sa.Boolean())
        told = [
            (c.place == PLACES.index(stage), wait.stuck(c.micros))
            for stage, wait in self.waits.items()
            if wait.why_not is None
        ]
        return sa.case(*told, else_=unknown) if told else unknown

    def placed(self) -> sa.Select[Any]:
        """Each customer with the values of the breakdowns, their place, and since when."""
        stands = self._standing().subquery("standing")
        everybody = self._everybody(stands)
        joined: sa.FromClause = stands
        if everybody is not stands:
            joined = everybody.outerjoin(stands, stands.c.customer == everybody.c.customer)
        keys = []
        # typed, though the log be empty
        moment = sa.cast(sa.literal(self.cut.moment, sa.DateTime()), sa.DateTime())
        touch = first_touch(Facts(self.cut)).subquery("touch")
        if any(one.kind == "touch" for one in self.dimensions):
            joined = joined.outerjoin(touch, touch.c.customer == everybody.c.customer)
        for one in self.dimensions:
            source = one.source(self.cut)
            if source is None:
                value: ColumnElement[Any] = one.touch(touch, moment)
            else:
                journeys = stands if one.kind == "contract" else everybody
                joined = joined.outerjoin(source, one.place(journeys, source, moment))
                value = source.c.value
            keys.append(self._folded(one, value).label(one.column))
        place = sa.func.coalesce(stands.c.place, PLACES.index(NO_STAGE))
        in_stage = stands.c.place < len(STAGES)
        entered = sa.case((in_stage, stands.c.since))
        return sa.select(
            everybody.c.customer,
            stands.c.cycle,
            *keys,
            place.label("place"),
            entered.label("since"),
            micros_between(entered, moment).label("micros"),
        ).select_from(joined)

    def _everybody(self, stands: sa.FromClause) -> sa.FromClause:
        if self.question.unit == "cycle":
            return stands
        if self.among is not None:
            return self.among
        return activity(Facts(self.cut)).subquery("everybody")

    def _standing(self) -> sa.Select[Any]:
        """The furthest stage of each one's open cycle, as its number; else that of lost.

        Of the cycles of a customer at most one is open, the last.
        """
        c, lost = self.journeys.c, PLACES.index(LOST)
        is_open = c.lost_at.is_(None)
        place, entered = furthest(self.journeys), since(self.journeys)
        if self.question.unit == "cycle":
            stands = sa.case((is_open, place), else_=lost)
            return sa.select(
                c.customer,
                c.cycle,
                stands.label("place"),
                entered.label("since"),
                c.commitment_at,
            )
        latest = sa.func.max
        return sa.select(
            c.customer,
            latest(c.cycle).label("cycle"),
            sa.func.coalesce(latest(place).filter(is_open), lost).label("place"),
            latest(entered).filter(is_open).label("since"),
            latest(c.commitment_at).label("commitment_at"),
        ).group_by(c.customer)

    def _folded(self, dimension: Dimension, value: ColumnElement[Any]) -> ColumnElement[Any]:
        kept = self.kept.get(dimension.name)
        return value if kept is None else folded(value, kept)


def _last_contacts(cut: Cut) -> sa.Subquery:
    """When each customer was last touched, or touched us."""
    table = tables.facts["touched"]
    last = sa.func.max(table.c.occurred_at).label("last_contact_at")
    found = sa.select(table.c.customer, last).where(counts(table, cut))
    return found.group_by(table.c.customer).subquery("contacts")


def _open_amounts(cut: Cut) -> sa.Subquery:
    """What the open opportunities of each are worth together, where it is of one currency."""
    rows = open_ones(cut).subquery("open_ones")
    c = rows.c
    alike = sa.func.min(c.currency) == sa.func.max(c.currency)
    return (
        sa.select(
            c.customer,
            sa.case((alike, sa.func.sum(c.amount))).label("amount"),
            sa.case((alike, sa.func.min(c.currency)), else_=SEVERAL).label("currency"),
        )
        .where(c.amount.is_not(None))
        .group_by(c.customer)
        .subquery("open_amounts")
    )


def everybody_of(
    units: Units,
    cut: Cut,
    definition: Definition,
    question: Question,
    found: Sequence[Dimension],
    *,
    apart: Mapping[str, Sequence[str]] | None = None,
) -> Standing:
    """Where everybody stands, for the counts and for who asks whom they count.

    Args:
        units: what is counted, with the reader of their facts.
        cut: settled.
        definition: what entering a stage means.
        question: what was asked.
        found: the breakdowns.
        apart: of a breakdown, the values that stand apart instead of the top ones.
    """
    reader = units.reader
    since = seen_since(reader, cut, definition, question)
    needs = Needs(activity=since is not None or question.lost_after is not None)
    journeys = journeys_at(reader, cut, definition, needs, question.lost_after)
    waits: Mapping[str, Waiting] = {}
    if cut.moment is not None:
        waits = waiting(reader, journeys, cut.moment, question, since)
    everybody = Standing(journeys, cut, question, found, waits)
    kept = dict(apart or {})
    for one in found:
        if one.name not in kept and distinct_values(reader, cut, one) > question.top:
            ranked = reader.fetch(everybody.ranked(one)).column(0)
            kept[one.name] = [str(value) for value in ranked.to_pylist()]
    return replace(everybody, kept=kept)
