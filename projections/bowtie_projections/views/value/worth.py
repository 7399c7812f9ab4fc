"""What the customers of each cell were worth: relations and statements."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from decimal import Decimal
from functools import cached_property
from typing import Any

import sqlalchemy as sa
from sqlalchemy.sql.elements import ColumnElement

from bowtie.errors import Refused
from bowtie.stages import STAGES
from bowtie_projections.expressions import micros_between
from bowtie_projections.value import MONEY, Horizon, money_by_365, values
from bowtie_projections.views.cohorts import ALL, cohort_label
from bowtie_projections.views.funnel.members import COHORT, Members
from bowtie_projections.views.journey_source import Needs
from bowtie_projections.views.loop.money import check_currencies, threshold_of
from bowtie_projections.views.loop.population import Population
from bowtie_projections.views.loop.tally import fitted
from bowtie_projections.views.shares import cell_order
from bowtie_projections.views.value.tiers import Tier, tiers_of

__all__ = ["QUANTILES", "TOPS", "Bounds", "Worths", "arrived"]

#: Quantiles of value, in tenths.
QUANTILES = {"median": 5, "p90": 9}
#: Of the top so many parts of a hundred the share of value is told.
TOPS = {"top10": 10, "top20": 20}
#: Longer than anybody has been a customer, short enough for the calendar.
_LIFE = timedelta(days=36_500)
_NOUGHT = sa.literal_column("0", sa.Integer())
_COUNTS = ("paying", "costed", "high")


def arrived(population: Population, needs: Needs) -> sa.CTE:
    """Who has a time zero, in the shape of journeys: one row each, that stage's entry alone.

    Args:
        population: of the question; it knows already what is needed.
        needs: what a breakdown reads of them.
    """
    del needs
    c, stage = population.journeys.c, population.question.stage
    entry, nothing = c[f"{stage}_at"], sa.cast(sa.null(), sa.DateTime())
    # the cycles of a customer all carry the same first touch and first fact
    same = [one for one in c if one.name.startswith("first_") or one.name == "last_activity_at"]
    return (
        sa.select(
            c.customer,
            sa.literal_column("1", sa.BigInteger()).label("cycle"),
            *(
                (sa.func.min(entry) if one == stage else nothing).label(f"{one}_at")
                for one in STAGES
            ),
            nothing.label("lost_at"),
            sa.false().label("lost_inferred"),
            *(sa.func.min(one).label(one.name) for one in same),
        )
        .where(entry.is_not(None), entry <= sa.literal(population.end))
        .group_by(c.customer)
        .cte("arrived")
        .prefix_with("MATERIALIZED")
    )


@dataclass(frozen=True, slots=True)
class Bounds:
    """What parts customers by their value.

    Args:
        fit: what was fitted to the older half.
        threshold: the value from which on it is high; None where nobody's is.
        unfitted: why there is none.
        tiers: of the question.
    """

    fit: Mapping[str, Any]
    threshold: Decimal | None
    unfitted: str
    tiers: Sequence[Tier]


@dataclass(frozen=True)
class Worths:
    """The customers of a question's cells, and what they were worth.

    Args:
        population: those of the loop, whose worth is found alike.
        members: the same, with their cells.
    """

    population: Population
    members: Members

    def bounds(self) -> Bounds:
        """What parts them: asked once.

        Raises:
            Refused: they are worth something in several currencies.
        """
        population, reader = self.population, self.members.units.reader
        fit = reader.fetch(fitted(population)).to_pylist()[0]
        check_currencies(reader, population, fit)
        threshold, unfitted = None, ""
        try:
            threshold = threshold_of(population.question, fit)
        except Refused as error:
            unfitted = str(error)
        return Bounds(fit, threshold, unfitted, tiers_of(population.question, threshold))

    def order(self, row: Mapping[str, Any]) -> tuple[Any, ...]:
        """The place of a cell's row among those of the answer."""
        members = self.members
        cell = [members.named(one, row[one.column]) for one in members.dimensions]
        return (cell_order(cell), *([row[COHORT]] if members.question.cohort else []))

    def named(self, row: Mapping[str, Any]) -> dict[str, Any]:
        """The cell of a row, as an answer names it."""
        members, cohort = self.members, self.members.question.cohort
        return {
            **{one.column: members.named(one, row[one.column]) for one in members.dimensions},
            COHORT: ALL if cohort is None else cohort_label(row[COHORT], cohort),
        }

    @cached_property
    def people(self) -> sa.CTE:
        """Everybody counted, the immature too: ``customer``, ``t0`` and the keys of their cell."""
        members = self.members
        t0 = members.time(self.population.question.stage)
        keys, joined = members.keys_at(t0)
        return (
            sa.select(members.journeys.c.customer, t0.label("t0"), *keys)
            .select_from(joined)
            .where(*members.journeys_asked(), *members.surely_new())
            .cte("people")
            .prefix_with("MATERIALIZED")
        )

    def life(self) -> Horizon:
        """The span over which all that came to date counts."""
        # what came is told as it came: a discount is of value over a horizon
        return replace(self.population.worth_over(), days=_LIFE.days, realised=True, discount=None)

    def to_date(self) -> sa.CTE:
        """Everybody counted, with their ``age`` and what they have ``realised`` (times 365)."""
        population, people = self.population, self.people
        found = values(people, population.cut, self.life()).cte("found_to_date")
        f = found.c
        amount: ColumnElement[Any] = sa.func.coalesce(f.revenue_by_365, sa.cast(_NOUGHT, MONEY))
        if population.question.value == "contribution":
            amount = amount - sa.func.coalesce(f.costs_by_365, sa.cast(_NOUGHT, MONEY))
        age = micros_between(people.c.t0, sa.literal(population.end, sa.DateTime()))
        return (
            sa.select(
                *people.c,
                age.label("age"),
                amount.label("realised"),
                *(one for one in f if "currency" in one.name),
            )
            .select_from(people.outerjoin(found, f.customer == people.c.customer))
            .cte("to_date")
        )

    def realised(self) -> sa.Select[Any]:
        """By cell: how many there are, how old, and what all of them have brought to date."""
        c = self.to_date().c
        keys = [c[name] for name in self.members.key_names]
        return sa.select(
            *keys,
            sa.func.count().label("customers"),
            sa.cast(sa.func.sum(c.age), sa.Double()).label("age"),
            sa.cast(sa.func.sum(c.realised), MONEY).label("realised"),
            *(
                (sa.func.max if one.name.endswith("high") else sa.func.min)(one).label(one.name)
                for one in c
                if "currency" in one.name
            ),
        ).group_by(*keys)

    def mature(self, threshold: Decimal | None, tiers: Sequence[Tier]) -> sa.CTE:
        """The mature, each with its cell, ``worth``, ``high``, ``tier`` and place in the cell."""
        people, worth = self.people, self.population.worth()
        keys = [people.c[name] for name in self.members.key_names]
        amount: ColumnElement[Any] = worth.c.worth
        gained = sa.case((amount > _NOUGHT, amount), else_=_NOUGHT)
        high: ColumnElement[Any] = sa.cast(sa.null(), sa.Integer())
        if threshold is not None:
            reached = sa.and_(amount >= money_by_365(threshold), amount > _NOUGHT)
            high = sa.case((reached, 1), else_=0)
        apart: dict[str, Any] = {"partition_by": keys} if keys else {}
        rows = (
            sa.select(
                *people.c,
                amount.label("worth"),
                worth.c.paying,
                worth.c.costed,
                high.label("high"),
                sa.func.row_number().over(**apart, order_by=amount).label("place"),
                sa.func.count().over(**apart).label("n"),
                sa.func.sum(gained).over().label("total"),
                # those of one value are on one side of each border
                (
                    sa.func.sum(gained).over(order_by=amount.desc())
                    - sa.func.sum(gained).over(partition_by=amount)
                ).label("before"),
            )
            .select_from(people.join(worth, worth.c.customer == people.c.customer))
            .subquery("ranked")
        )
        c = rows.c
        named = [(tier.reached(c), place) for place, tier in enumerate(tiers)]
        tier = sa.case(*named) if named else sa.cast(sa.null(), sa.Integer())
        return sa.select(*c, tier.label("tier")).cte("judged_worth").prefix_with("MATERIALIZED")

    def spread(self, threshold: Decimal | None, tiers: Sequence[Tier]) -> sa.Select[Any]:
        """By cell, what the mature were worth; and by cell and tier, where ``tier`` is not null."""
        rows = self.mature(threshold, tiers)
        c = rows.c
        keys = [c[name] for name in self.members.key_names]
        counts = [_whole(sa.func.sum(c[name])).label(name) for name in _COUNTS]
        sums = {name: _money(sa.func.sum(one)) for name, one in _tops(c).items()}
        sums |= {name: _money(sa.func.max(one)) for name, one in _neighbours(c).items()}
        size = [sa.func.count().label("customers"), _money(sa.func.sum(c.worth)).label("worth")]
        nothing = [_whole(sa.null()).label(name) for name in _COUNTS]
        cells = sa.select(
            *keys, sa.cast(sa.null(), sa.Integer()).label("tier"), *size, *counts,
            *(one.label(name) for name, one in sums.items()),
        )  # fmt: skip
        by_tier = sa.select(
            *keys, c.tier, *size, *nothing, *(_money(sa.null()).label(name) for name in sums)
        ).where(c.tier.is_not(None))
        both = sa.union_all(
            cells.group_by(*keys) if keys else cells, by_tier.group_by(*keys, c.tier)
        )
        return sa.select(both.subquery("spread"))


def _tops(c: Any) -> dict[str, ColumnElement[Any]]:
    """The worth of those in the top: the share times the number, rounded up to whole ones."""
    hundred = sa.literal_column("100", sa.BigInteger())
    return {
        name: sa.case(((c.n - c.place) * hundred < sa.literal_column(str(top)) * c.n, c.worth))
        for name, top in TOPS.items()
    }


def _neighbours(c: Any) -> dict[str, ColumnElement[Any]]:
    """The two values that a quantile lies between, by their places, in whole numbers."""
    found: dict[str, ColumnElement[Any]] = {}
    ten, one = sa.literal_column("10", sa.BigInteger()), sa.literal_column("1", sa.BigInteger())
    for name, tenths in QUANTILES.items():
        where = (c.n - one) * sa.literal_column(str(tenths), sa.BigInteger())
        for side, place in (("low", c.place), ("high", c.place - one)):
            at = sa.and_((place - one) * ten <= where, where < place * ten)
            found[f"{name}_{side}"] = sa.case((at, c.worth))
    return found


def _money(amount: Any) -> ColumnElement[Any]:
    return sa.cast(amount, MONEY)


def _whole(count: Any) -> ColumnElement[Any]:
    return sa.cast(count, sa.BigInteger())
