"""What was known about each customer at a moment of their own, and what may be asked of it.

A trait is *known by* a moment by its ``known_from``, where the sender said so; else from when this
store recorded it. But what was recorded long after it happened is taken as history loaded later:
then the time it happened counts, and answers say how much rests on that. A fact with the precision
of a day is known from the end of that day.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.sql.elements import ColumnElement

from bowtie.errors import FileError, UsageError
from bowtie_projections import tables
from bowtie_projections.expressions import happened, packed_field, packed_min, span
from bowtie_projections.views.cut import Cut, counts

__all__ = ["KINDS", "REFUSED", "TOUCH_TRAITS", "TraitRule", "known_traits", "read_traits"]

#: What a trait can be, and why three kinds are not asked.
KINDS = ("fit", "behaviour", "consequence", "protected", "identifier")
REFUSED = {
    "consequence": "it follows from the sale, so it can't tell beforehand who will be valuable",
    "protected": "customers must not be chosen by it",
    "identifier": "it names a customer and can't recur in another",
}
#: Traits that come from the first touch.
TOUCH_TRAITS = ("channel", "campaign")


@dataclass(frozen=True, slots=True)
class TraitRule:
    """What a traits file says of one trait.

    Args:
        kind: one of :data:`KINDS`, or None where nobody declared it.
        timeless: it can't have changed (a country of birth): where nothing was known by time
            zero, what was learnt later holds.
        reason: why, in the file's own words.
    """

    kind: str | None = None
    timeless: bool = False
    reason: str | None = None

    @property
    def refusal(self) -> str | None:
        """Why the trait is not asked; None if it may be."""
        said = REFUSED.get(self.kind or "")
        return said and f"declared {self.kind}: {self.reason or said}"


def read_traits(source: str | Path | Mapping[str, Any] | None) -> dict[str, TraitRule]:
    """The rules of a traits file: a path, its text, or what it would hold.

    >>> read_traits('''
    ... [industry]
    ... kind = "fit"
    ... timeless = true
    ... ''')
    {'industry': TraitRule(kind='fit', timeless=True, reason=None)}

    Raises:
        FileError: the file can't be read.
        UsageError: it is no TOML, or says something no trait can be.
    """
    name = "traits"
    if isinstance(source, (str, Path)):
        name, text = _text(source)
        try:
            source = tomllib.loads(text)
        except tomllib.TOMLDecodeError as error:
            raise UsageError(f"{name}: no TOML: {error}") from None
    return {trait: _rule(name, trait, said) for trait, said in (source or {}).items()}


def _text(source: str | Path) -> tuple[str, str]:
    if isinstance(source, str) and ("\n" in source or "=" in source):
        return "traits", source
    path = Path(source)
    try:
        return str(source), path.read_text("utf-8")
    except OSError as error:
        raise FileError(str(source), f"can't be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise FileError(str(source), "is not UTF-8 text") from None


def _rule(name: str, trait: str, said: object) -> TraitRule:
    where = f"{name}: [{trait}]"
    if not isinstance(said, Mapping):
        raise UsageError(f'{where}: write a table, such as [{trait}] and below it kind = "fit"')
    unknown = sorted(set(said) - {"kind", "timeless", "reason"})
    if unknown:
        raise UsageError(f"{where}: has no key {unknown[0]!r}; it has kind, timeless and reason")
    kind, timeless, reason = said.get("kind"), said.get("timeless", False), said.get("reason")
    if kind not in {None, *KINDS}:
        raise UsageError(f"{where}: kind is {kind!r}; write one of {', '.join(KINDS)}")
    if not isinstance(timeless, bool):
        raise UsageError(f"{where}: timeless is true or false")
    if reason is not None and not isinstance(reason, str):
        raise UsageError(f"{where}: reason is a text")
    return TraitRule(kind, timeless, reason)


def known_traits(
    population: sa.FromClause,
    cut: Cut,
    gap: timedelta,
    rules: Mapping[str, TraitRule],
    keep: Sequence[str] = (),
) -> sa.Select[Any]:
    """What each customer's traits were known to be at ``t0``.

    Args:
        population: a relation with ``customer`` and ``t0``.
        cut: the facts that count.
        gap: a fact recorded so much later than it happened is history loaded later.
        rules: what the traits file says; refused traits are left out.
        keep: further columns of the population that each row shall carry.

    Returns:
        A statement with a row for each customer and trait that was ever observed (those of
        :data:`TOUCH_TRAITS` are of the first touch that was known by t0): ``name``;
        ``value``, null where none was known by t0; ``known`` (1 where it was); ``ever`` (1 where
        there is one at the cut, known by t0 or not); ``assumed`` (1 where it was known by t0 only
        because it is taken as history loaded later); ``undated`` (1 where the time of recording is
        not known); ``position``, of the fact that told the value; and the columns to keep.
    """
    observed = _observed(population, cut, gap, rules, keep)
    touched = _first_touches(population, cut, gap, keep).cte("first_touches")
    touches = [
        _touch_trait(touched, name, keep)
        for name in TOUCH_TRAITS
        if rules.get(name, TraitRule()).refusal is None
    ]
    return sa.select(sa.union_all(observed, *touches).subquery("known_traits"))


def _observed(
    population: sa.FromClause,
    cut: Cut,
    gap: timedelta,
    rules: Mapping[str, TraitRule],
    keep: Sequence[str],
) -> sa.Select[Any]:
    dated = _dated(population, cut, gap, rules, keep).subquery("dated")
    ranked = sa.select(*dated.c, *_ranks(dated.c)).subquery("observed")
    c = ranked.c
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
    ).where(c.place == _chosen(c))


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


def _dated(
    population: sa.FromClause,
    cut: Cut,
    gap: timedelta,
    rules: Mapping[str, TraitRule],
    keep: Sequence[str],
) -> sa.Select[Any]:
    """Each observation, with whether it was known by the customer's time zero, and by what."""
    table = tables.facts["traits_observed"]
    c, t0 = table.c, population.c.t0
    known, assumed, undated = _knowledge(c, t0, gap)
    timeless = [name for name, rule in rules.items() if rule.timeless]
    refused = [name for name, rule in rules.items() if rule.refusal is not None]
    # a trait that is called like one of the first touch keeps its name, with a prefix
    name = sa.case((c.name.in_(TOUCH_TRAITS), "trait." + c.name), else_=c.name)
    query = (
        sa.select(
            c.customer,
            name.label("name"),
            c.occurred_at,
            c.position,
            c.value,
            known.label("known"),
            (sa.or_(known, name.in_(timeless)) if timeless else known).label("holds"),
            assumed.label("assumed"),
            undated.label("undated"),
            *(population.c[column] for column in keep),
        )
        .select_from(table.join(population, population.c.customer == c.customer))
        .where(counts(table, cut))
    )
    return query.where(name.not_in(refused)) if refused else query


def _knowledge(
    c: Any, t0: ColumnElement[Any], gap: timedelta
) -> tuple[ColumnElement[bool], ColumnElement[bool], ColumnElement[bool]]:
    """Whether a fact was known by t0; if only by the assumption of the gap; if it is undated."""
    loaded_later = c.recorded_at - c.occurred_at > span(gap)
    recorded = sa.case(
        (sa.or_(c.recorded_at.is_(None), loaded_later), happened(c)),
        else_=sa.func.greatest(c.recorded_at, happened(c)),
    )
    known = sa.func.greatest(c.occurred_at, sa.func.coalesce(c.known_from, recorded)) <= t0
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
        sa.literal_column(f"'{name}'", sa.String()),
        value,
        _flag(known),
        sa.literal_column("1"),
        sa.case((known, packed_field(c.first_known, 3, whole)), else_=0),
        sa.case((known, packed_field(c.first_known, 4, whole)), else_=0),
        sa.case((known, packed_field(c.first_known, 2, sa.BigInteger()))),
        *(c[column] for column in keep),
    ).where(sa.or_(known, first_of_all.is_not(None)))


def _flag(condition: ColumnElement[bool]) -> ColumnElement[Any]:
    return sa.case((condition, 1), else_=0)
