"""What was known about each customer at a moment of their own.

A trait is *known by* a moment by its ``known_from``, where the sender said so; else from when this
store recorded it. But what was recorded long after it happened is taken as history loaded later:
then the time it happened counts, and answers say how much rests on that. A fact with the precision
of a day is known from the end of that day.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.sql.elements import ColumnElement

from bowtie_projections import tables
from bowtie_projections.expressions import known_since, packed_field, packed_min, span
from bowtie_projections.speaking import NO_BITS, bits_if, newest_of_each, speaking_events
from bowtie_projections.traits import TOUCH_TRAITS, TraitRule, rule_of
from bowtie_projections.views.cut import Cut, Reader, counts

__all__ = ["Observed", "called"]

_PREFIX = "trait."
#: Bits of a whole number that can be added up without running over.
_BITS = 62
#: From so many traits in an event on, events are compared instead of what they tell of each trait.
_MANY = 3
#: How many traits an event tells is counted in one of so many events.
_SAMPLED = 101


@dataclass(frozen=True, slots=True)
class Observed:
    """The traits on record at a cut, of whom what was known by when can be asked.

    Args:
        names: as they were observed; those that are refused are not among them.
        refused: what those are called.
        cut: the facts that count.
        gap: a fact recorded so much later than it happened is history loaded later.
        rules: what the traits file says.
        together: an event tells several traits as a rule. Says nothing of what is known, only how
            that is found quickest.
    """

    names: tuple[str, ...]
    refused: tuple[str, ...]
    cut: Cut
    gap: timedelta
    rules: Mapping[str, TraitRule]
    together: bool = False

    @classmethod
    def of(
        cls, reader: Reader, cut: Cut, gap: timedelta, rules: Mapping[str, TraitRule]
    ) -> Observed:
        """Those of a cut."""
        table = tables.facts["traits_observed"]
        c = table.c
        names = sa.select(c.name).where(counts(table, cut)).distinct().order_by(c.name)
        found = [str(name) for name in reader.fetch(names).column(0).to_pylist()]
        asked = tuple(name for name in found if _is_asked(called(name), rules))
        refused = {called(name) for name in found} - {called(name) for name in asked}
        sampled = reader.fetch(_sampled(cut)).to_pylist()[0]
        together = sampled["told"] >= _MANY * max(sampled["events"], 1)
        return cls(asked, tuple(sorted(refused)), cut, gap, rules, together)

    def known(
        self,
        population: sa.FromClause,
        keep: Sequence[str] = (),
        only: Collection[str] | None = None,
    ) -> sa.Select[Any]:
        """What each customer's traits were known to be at ``t0``.

        Args:
            population: a relation with ``customer`` (once each) and ``t0``.
            keep: further columns of the population that each row shall carry.
            only: these traits alone.

        Returns:
            A statement with a row for each customer and trait that was ever observed (those of
            :data:`~bowtie_projections.traits.TOUCH_TRAITS` are of the first touch that was known
            by t0): ``name``; ``value``, null where none was known by t0; ``known`` (1 where it
            was); ``ever`` (1 where there is one at the cut, known by t0 or not); ``assumed`` (1
            where it was known by t0 only because it is taken as history loaded later);
            ``undated`` (1 where the time of recording is not known); ``position``, of the fact
            that told the value; and the columns to keep.
        """
        parts = []
        raw = [name for name in self.names if only is None or called(name) in only]
        if raw:
            names = self._named(raw)
            speaking = self._speaking(population, names, keep)
            parts += [_told(told.subquery().c, keep) for told in speaking]
        touch = [
            name
            for name in TOUCH_TRAITS
            if _is_asked(name, self.rules) and (only is None or name in only)
        ]
        touched = _first_touches(population, self.cut, self.gap, keep).cte("first_touches")
        parts += [_touch_trait(touched, name, keep) for name in touch]
        if not parts:
            parts.append(_touch_trait(touched, TOUCH_TRAITS[0], keep).where(sa.false()))
        return sa.select(sa.union_all(*parts).subquery("known_traits"))

    def _speaking(
        self, population: sa.FromClause, names: sa.FromClause, keep: Sequence[str]
    ) -> list[sa.Select[Any]]:
        """The observations that speak: of the customers told nothing twice, and of the others."""
        twice = _told_twice(population, self.cut, names).cte("told_twice")
        again = sa.select(twice.prefix_with("MATERIALIZED").c.customer)
        customer = tables.facts["traits_observed"].c.customer
        kept = [population.c[column] for column in keep]
        once = self._dated(population, names, names.c.name, *kept).where(customer.not_in(again))
        newest = self._newest_of_events if self.together else self._newest_of_traits
        return [once, newest(population, names, keep, customer.in_(again))]

    def _newest_of_traits(
        self,
        population: sa.FromClause,
        names: sa.FromClause,
        keep: Sequence[str],
        several: ColumnElement[bool],
    ) -> sa.Select[Any]:
        """What speaks, by ordering what was told of each trait.

        What is ordered is kept narrow: numbers stand for the customer and the trait meanwhile.
        """
        numbers = sa.func.row_number().over().label("number")
        people = sa.select(*population.c, numbers).cte("numbered").prefix_with("MATERIALIZED")
        who = people.c
        dated = self._dated(people, names, who.number, names.c.place).where(several)
        newest = newest_of_each(dated.subquery("dated"), ("number", "place")).subquery("newest")
        named = newest.join(people, who.number == newest.c.number).join(
            names, names.c.place == newest.c.place
        )
        kept = [who[column] for column in keep]
        return sa.select(*newest.c, names.c.name, *kept).select_from(named)

    def _newest_of_events(
        self,
        population: sa.FromClause,
        names: sa.FromClause,
        keep: Sequence[str],
        several: ColumnElement[bool],
    ) -> sa.Select[Any]:
        """What speaks, by ordering events: as many fewer as each tells traits."""
        events = self._events(population, names).where(several).subquery("trait_events")
        speaking = speaking_events(events).subquery("speaking")
        e, position = speaking.c, tables.facts["traits_observed"].c.position
        return (
            self._dated(population, names, names.c.name, *(population.c[one] for one in keep))
            .join(speaking, sa.and_(e.position == position, e.block == names.c.block))
            .where(e.bits.bitwise_and(names.c.bit) != NO_BITS)
        )

    def _events(self, population: sa.FromClause, names: sa.FromClause) -> sa.Select[Any]:
        """The events that told traits, 62 names a row: which were ``told``, which without value."""
        table = tables.facts["traits_observed"]
        c = table.c
        known, _, _ = _knowledge(c, population.c.t0, self.gap)
        joined = table.join(names, names.c.raw == c.name)
        return (
            sa.select(
                c.customer,
                c.position,
                names.c.block,
                sa.func.min(c.occurred_at).label("occurred_at"),
                sa.func.max(_flag(known)).label("known"),
                sa.func.bit_or(names.c.bit).label("told"),
                sa.func.bit_or(bits_if(c.value.is_(None), names.c.bit)).label("empty"),
            )
            .select_from(joined.join(population, population.c.customer == c.customer))
            .where(counts(table, self.cut))
            .group_by(c.customer, c.position, names.c.block)
        )

    def _named(self, raw: Sequence[str]) -> sa.FromClause:
        """Each name as it was observed and as it is called, with a number and a bit among 62."""
        rows = [
            (
                name,
                called(name),
                rule_of(called(name), self.rules).timeless,
                place,
                place // _BITS,
                1 << place % _BITS,
            )
            for place, name in enumerate(raw)
        ]
        return sa.values(
            sa.column("raw", sa.String()),
            sa.column("name", sa.String()),
            sa.column("timeless", sa.Boolean()),
            sa.column("place", sa.Integer()),
            sa.column("block", sa.Integer()),
            sa.column("bit", sa.BigInteger()),
            name="trait_names",
            literal_binds=True,
        ).data(rows)

    def _dated(
        self, population: sa.FromClause, names: sa.FromClause, *of: ColumnElement[Any]
    ) -> sa.Select[Any]:
        """Each observation ``of`` whom and what, whether it was known by time zero, and how."""
        table = tables.facts["traits_observed"]
        c = table.c
        known, assumed, undated = _knowledge(c, population.c.t0, self.gap)
        joined = table.join(names, names.c.raw == c.name)
        return (
            sa.select(
                *of,
                c.occurred_at,
                c.position,
                c.value,
                known.label("known"),
                sa.or_(known, names.c.timeless).label("holds"),
                assumed.label("assumed"),
                undated.label("undated"),
            )
            .select_from(joined.join(population, population.c.customer == c.customer))
            .where(counts(table, self.cut))
        )


def called(name: str) -> str:
    """What a trait is called: one named like a trait of the first touch takes a prefix.

    So does one that has the prefix by itself: two traits are never called the same.

    >>> called("size"), called("channel"), called("trait.channel")
    ('size', 'trait.channel', 'trait.trait.channel')
    """
    plain = name
    while plain.startswith(_PREFIX):
        plain = plain.removeprefix(_PREFIX)
    return f"{_PREFIX}{name}" if plain in TOUCH_TRAITS else name


def _is_asked(name: str, rules: Mapping[str, TraitRule]) -> bool:
    """Whether a trait may be asked at all."""
    return rule_of(name, rules).refusal is None


def _told_twice(population: sa.FromClause, cut: Cut, names: sa.FromClause) -> sa.Select[Any]:
    """The customers of whom some trait was told more than once.

    Each trait of 62 has a bit: their sum is their union but where one comes twice. So the others,
    most of a log as a rule, need no sorting by trait and time, which takes ten times as long.
    """
    table = tables.facts["traits_observed"]
    c = table.c
    joined = table.join(names, names.c.raw == c.name)
    return (
        sa.select(c.customer)
        .select_from(joined.join(population, population.c.customer == c.customer))
        .where(counts(table, cut))
        .group_by(c.customer, names.c.block)
        .having(sa.func.sum(names.c.bit) != sa.func.bit_or(names.c.bit))
        .distinct()
    )


def _sampled(cut: Cut) -> sa.Select[int, int]:
    """How many traits some of the events ``told``, and how many ``events`` those were."""
    table = tables.facts["traits_observed"]
    c = table.c
    sampled = sa.func.mod(c.position, sa.literal_column(str(_SAMPLED))) == NO_BITS
    return sa.select(
        sa.func.count().label("told"), sa.func.count(c.position.distinct()).label("events")
    ).where(sampled, counts(table, cut))


def _told(c: Any, keep: Sequence[str]) -> sa.Select[Any]:
    """What an observation tells of its customer's time zero."""
    has_value = c.value.is_not(None)
    return sa.select(
        c.name,
        sa.case((c.holds, c.value)).label("value"),
        _flag(sa.and_(c.known, has_value)).label("known"),
        _flag(has_value).label("ever"),
        _flag(sa.and_(c.assumed, has_value)).label("assumed"),
        _flag(sa.and_(c.undated, has_value)).label("undated"),
        sa.case((sa.and_(c.holds, has_value), c.position)).label("position"),
        *(c[name] for name in keep),
    )


def _knowledge(
    c: Any, t0: ColumnElement[Any], gap: timedelta
) -> tuple[ColumnElement[bool], ColumnElement[bool], ColumnElement[bool]]:
    """Whether a fact was known by t0; if only by the assumption of the gap; if it is undated."""
    loaded_later = c.recorded_at - c.occurred_at > span(gap)
    known = known_since(c, gap) <= t0
    assumed = sa.and_(known, c.known_from.is_(None), loaded_later, c.recorded_at > t0)
    undated = sa.and_(c.recorded_at.is_(None), c.known_from.is_(None))
    return known, sa.func.coalesce(assumed, sa.false()), undated


def _first_touches(
    population: sa.FromClause, cut: Cut, gap: timedelta, keep: Sequence[str]
) -> sa.Select[Any]:
    """Each customer's first touch: of those known by time zero, if any was, and of all.

    What is learnt later about an earlier touch doesn't take the place of the one known then: that
    too would tell the future.
    """
    table = tables.facts["touched"]
    c = table.c
    known, assumed, undated = _knowledge(c, population.c.t0, gap)
    fields = [c[name] for name in TOUCH_TRAITS]
    first_known = packed_min(
        sa.case((known, 0), else_=1),
        c.occurred_at,
        c.position,
        _flag(assumed),
        _flag(undated),
        *fields,
    )
    kept = [population.c[name] for name in keep]
    return (
        sa.select(
            *kept,
            first_known.label("first_known"),
            packed_min(c.occurred_at, c.position, *fields).label("first"),
        )
        .select_from(table.join(population, population.c.customer == c.customer))
        .where(counts(table, cut))
        .group_by(population.c.customer, *kept)
    )


def _touch_trait(touched: sa.CTE, name: str, keep: Sequence[str]) -> sa.Select[Any]:
    """One field of the first touches, as a trait."""
    c, field = touched.c, TOUCH_TRAITS.index(name)
    whole = sa.Integer()
    was_known = packed_field(c.first_known, 0, whole) == sa.literal_column("0", whole)
    known_value = packed_field(c.first_known, 5 + field, sa.String())
    value = sa.case((was_known, known_value))
    first_of_all = packed_field(c.first, 2 + field, sa.String())
    known = value.is_not(None)
    return sa.select(
        sa.literal_column(f"'{name}'", sa.String()).label("name"),
        value.label("value"),
        _flag(known).label("known"),
        sa.literal_column("1", sa.Integer()).label("ever"),
        sa.case((known, packed_field(c.first_known, 3, whole)), else_=0).label("assumed"),
        sa.case((known, packed_field(c.first_known, 4, whole)), else_=0).label("undated"),
        sa.case((known, packed_field(c.first_known, 2, sa.BigInteger()))).label("position"),
        *(c[column] for column in keep),
    ).where(sa.or_(known, first_of_all.is_not(None)))


def _flag(condition: ColumnElement[bool]) -> ColumnElement[Any]:
    return sa.case((condition, 1), else_=0)
