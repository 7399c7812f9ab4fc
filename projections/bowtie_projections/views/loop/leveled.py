"""Whom the levels of traits count: each of a population with what told their level."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.sql.elements import ColumnElement

from bowtie_projections.known import Observed
from bowtie_projections.views.labels import OTHER, unapart
from bowtie_projections.views.loop.bins import Bins, find_bins, leveled
from bowtie_projections.views.loop.counts import MISSING
from bowtie_projections.views.loop.population import Population
from bowtie_projections.views.loop.tally import MOST_LEVELS, judged

__all__ = ["Leveled", "Levels"]


@dataclass(frozen=True, slots=True)
class Leveled:
    """A population with what was known of their traits.

    Args:
        rows: the columns of the population; of each trait, by its place, ``position_0`` of the fact
            that told its value, ``known_0``, ``ever_0``, ``assumed_0`` and ``undated_0`` (0, 1),
            ``value_0``.
        told: whom the traits tell of: all, or the later cohorts.
    """

    rows: sa.CTE
    told: ColumnElement[bool]


@dataclass(frozen=True, slots=True)
class Levels:
    """How values of traits are levels in one question.

    Args:
        population: whom the loop counts.
        observed: the traits on record.
        bins: how the numeric ones are cut.
    """

    population: Population
    observed: Observed
    bins: Mapping[str, Bins]

    @classmethod
    def of(cls, population: Population, rules: Mapping[str, Any]) -> Levels:
        """Those of a population, by a traits file."""
        reader, question = population.units.reader, population.question
        observed = Observed.of(reader, population.cut, question.gap, rules)
        return cls(population, observed, find_bins(reader, judged(population), observed))

    def mature(self, traits: Sequence[str]) -> Leveled:
        """The mature, with what was known of some traits by their time zero."""
        who = judged(self.population)
        found = self.known(who, traits)
        split = any(name in self.bins and self.bins[name].split for name in traits)
        return Leveled(found, found.c.later == 1 if split else sa.true())

    def known(self, who: sa.CTE, traits: Sequence[str]) -> sa.CTE:
        """Some with ``customer`` and ``t0``, and what was known of them then."""
        among = sa.select(who.c.customer, who.c.t0, who.c.customer.label("member"))
        asked = self.observed.known(among.subquery("among"), ("member",), only=set(traits))
        known = asked.subquery("known")
        told = [one for one in known.c if one.name != "value"]
        value = leveled(known.c.name, known.c.value, self.bins).label("value")
        own = sa.select(value, *told).cte("traits_at_t0").prefix_with("MATERIALIZED")
        columns: list[ColumnElement[Any]] = [*who.c]
        joined: sa.FromClause = who
        for place, trait in enumerate(traits):
            one = own.alias(f"trait_{place}")
            same = sa.and_(one.c.member == who.c.customer, one.c.name == trait)
            joined = joined.outerjoin(one, same)
            columns += [
                one.c[name].label(f"{name}_{place}")
                for name in ("value", "position", "known", "ever", "assumed", "undated")
            ]
        return sa.select(*columns).select_from(joined).cte("leveled").prefix_with("MATERIALIZED")

    def has(
        self, rows: sa.FromClause, trait: str, level: str, place: int = 0
    ) -> ColumnElement[bool]:
        """Whether a row of :meth:`known` has a level of a trait, as the answer names it.

        Args:
            rows: of :meth:`known`.
            trait: its name.
            level: its level.
            place: the trait's, among those asked for.
        """
        value = rows.c[f"value_{place}"]
        if level == MISSING:
            return value.is_(None)
        if level == OTHER:
            return sa.and_(value.is_not(None), value.not_in(self._frequent(trait)))
        return sa.and_(value.is_not(None), value == unapart(level, (OTHER, MISSING)))

    def _frequent(self, trait: str) -> list[str]:
        """The values that are levels of their own, of a trait that has more."""
        value = self.mature([trait]).rows.c.value_0
        counted = sa.select(value).where(value.is_not(None)).group_by(value)
        first = counted.order_by(sa.func.count().desc(), value).limit(MOST_LEVELS)
        found = self.population.units.reader.fetch(first).column(0).to_pylist()
        return [str(one) for one in found]
