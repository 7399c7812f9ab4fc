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
from bowtie_projections.traits import TOUCH_TRAITS, TraitRule, rule_of
from bowtie_projections.views.cut import Cut, Reader, counts

__all__ = ["Observed", "called"]

#: Bits of a whole number that can be added up without running over.
_BITS = 62


@dataclass(frozen=True, slots=True)
class Observed:
    """The traits on record at a cut, of whom what was known by when can be asked.

    Args:
        names: as they were observed; those that are refused are not among them.
        refused: what those are called.
        cut: the facts that count.
        gap: a fact recorded so much later than it happened is history loaded later.
        rules: what the traits file says.
    """

    names: tuple[str, ...]
    refused: tuple[str, ...]
    cut: Cut
    gap: timedelta
    rules: Mapping[str, TraitRule]

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
        return cls(asked, tuple(sorted(refused)), cut, gap, rules)

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
            twice = _told_twice(population, self.cut, names).cte("told_twice")
            again = sa.select(twice.prefix_with("MATERIALIZED").c.customer)
            dated = self._dated(population, names, keep)
            customer = tables.facts["traits_observed"].c.customer
            parts.append(_told(dated.where(customer.not_in(again)).subquery("told_once").c, keep))
            parts.append(_of_several(dated.where(customer.in_(again)).subquery("dated").c, keep))
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

    def _named(self, raw: Sequence[str]) -> sa.FromClause:
        """Each name as it was observed and as it is called, and a bit of its own among 62."""
        names = sorted({called(name) for name in raw})
        places = {name: divmod(place, _BITS) for place, name in enumerate(names)}
        rows = [
            (
                name,
                called(name),
                rule_of(called(name), self.rules).timeless,
                places[called(name)][0],
                1 << places[called(name)][1],
            )
            for name in raw
        ]
        return sa.values(
            sa.column("raw", sa.String()),
            sa.column("name", sa.String()),
            sa.column("timeless", sa.Boolean()),
            sa.column("block", sa.Integer()),
            sa.column("bit", sa.BigInteger()),
            name="trait_names",
            literal_binds=True,
        ).data(rows)

    def _dated(
        self, population: sa.FromClause, names: sa.FromClause, keep: Sequence[str]
    ) -> sa.Select[Any]:
        """Each observation, with whether it was known by time zero, and by what."""
        table = tables.facts["traits_observed"]
        c = table.c
        known, assumed, undated = _knowledge(c, population.c.t0, self.gap)
        joined = table.join(names, names.c.raw == c.name)
        return (
            sa.select(
                c.customer,
                names.c.name,
                c.occurred_at,
                c.position,
                c.value,
                known.label("known"),
                sa.or_(known, names.c.timeless).label("holds"),
                assumed.label("assumed"),
                undated.label("undated"),
                *(population.c[column] for column in keep),
            )
            .select_from(joined.join(population, population.c.customer == c.customer))
            .where(counts(table, self.cut))
        )


def called(name: str) -> str:
    """What a trait is called: one named like a trait of the first touch takes a prefix."""
    return f"trait.{name}" if name in TOUCH_TRAITS else name


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


def _of_several(d: Any, keep: Sequence[str]) -> sa.Select[Any]:
    """Of each customer and trait the observation that speaks."""
    c = sa.select(*d, *_ranks(d)).subquery("observed").c
    return _told(c, keep).where(c.place == _chosen(c))


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


def _ranks(d: Any) -> list[ColumnElement[Any]]:
    """Places in the order: what was known, the newest first, then what was learnt later."""
    order: dict[str, Any] = {
        "partition_by": (d.customer, d.name),
        "order_by": (d.known.desc(), d.occurred_at.desc(), d.position.desc()),
    }
    everything = {**order, "rows": (None, None)}
    return [
        sa.func.row_number().over(**order).label("place"),
        sa.func.first_value(d.value).over(**order).label("newest_known"),
        sa.func.sum(_flag(d.known)).over(**everything).label("known_rows"),
        sa.func.count().over(**everything).label("all_rows"),
    ]


def _chosen(c: Any) -> ColumnElement[Any]:
    """The place that speaks: the newest known; where that says nothing, the newest learnt later."""
    said = sa.or_(c.newest_known.is_not(None), c.known_rows == c.all_rows)
    one = sa.literal_column("1", sa.Integer())
    return sa.case((said, one), else_=c.known_rows + one)


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
