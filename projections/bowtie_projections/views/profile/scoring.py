"""Who fits a profile, in SQL: what its weights add up to by what was known of each at a moment."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.sql.elements import ColumnElement

from bowtie.profiles import MISSING, Exclusion, Profile, Wanted
from bowtie_projections.known import Observed, called
from bowtie_projections.traits import TOUCH_TRAITS
from bowtie_projections.views.profile.question import GAP, Asked

__all__ = ["SCORE", "scored"]

#: Weights and their sums.
SCORE = sa.Numeric(9, 3)
_ZERO, _ONE = (sa.literal_column(one, sa.Integer()) for one in ("0", "1"))


def scored(asked: Asked, population: sa.FromClause, name: str = "scored") -> sa.CTE:
    """A population with its ``score``, whether it ``fits`` (0, 1), and the level it is drawn by.

    Args:
        asked: the profile, and where it is asked of.
        population: a relation with ``customer`` (once each) and ``t0``: what was known by then
            counts.
        name: of the relation.

    Returns:
        The columns of the population, ``score``, ``fits`` and ``market``: the level of the trait
        that is drawn by, null where it is not known or prospects are drawn singly.
    """
    profile = asked.profile
    c = _told(asked, population).subquery(f"{name}_told").c
    weights = [one for one in profile.traits if one.level != MISSING]
    excluded = [one for one in profile.exclusions if one.level != MISSING]
    by: ColumnElement[Any] = sa.cast(sa.null(), sa.String())
    if profile.by is not None:
        by = sa.func.max(sa.case((c.name == profile.by, c.value)))
    unknown = _unknown(profile)
    known = (
        sa.select(
            c.customer,
            _sum([(_has(c, one), _weight(one)) for one in weights]).label("weights"),
            _sum([(_has(c, one), _ONE) for one in excluded]).label("barred"),
            by.label("market"),
            *(
                _sum([(c.name == trait, _ONE)]).label(f"knows_{n}")
                for n, trait in enumerate(unknown)
            ),
        )
        .where(c.value.is_not(None))
        .group_by(c.customer)
        .subquery(f"{name}_known")
    )
    k = known.c
    lacks = {
        trait: sa.func.coalesce(k[f"knows_{n}"], _ZERO) == _ZERO for n, trait in enumerate(unknown)
    }
    score: ColumnElement[Any] = sa.func.coalesce(k.weights, _ZERO)
    barred: ColumnElement[Any] = sa.func.coalesce(k.barred, _ZERO)
    for one in profile.traits:
        if one.level == MISSING:
            score = score + sa.case((lacks[one.trait], _weight(one)), else_=_ZERO)
    for other in profile.exclusions:
        if other.level == MISSING:
            barred = barred + sa.case((lacks[other.trait], _ONE), else_=_ZERO)
    least = sa.literal_column(format(profile.least, "f"), sa.Numeric(38, 6))
    fits = sa.and_(barred == _ZERO, score > least)
    return (
        sa.select(
            *population.c,
            sa.cast(score, SCORE).label("score"),
            sa.case((fits, _ONE), else_=_ZERO).label("fits"),
            k.market,
        )
        .select_from(population.outerjoin(known, k.customer == population.c.customer))
        .cte(name)
        .prefix_with("MATERIALIZED")
    )


def _told(asked: Asked, population: sa.FromClause) -> sa.Select[Any]:
    """What was known of each of the traits that the profile asks for."""
    profile = asked.profile
    wanted = {*profile.names, *([profile.by] if profile.by else [])}
    observed = Observed.of(asked.reader, asked.cut, GAP, {})
    if wanted.isdisjoint([*map(called, observed.names), *TOUCH_TRAITS]):
        nothing = sa.cast(sa.null(), sa.String())
        return sa.select(population.c.customer, nothing.label("name"), nothing.label("value"))
    return observed.known(population, ("customer",), wanted)


def _unknown(profile: Profile) -> list[str]:
    """The traits of which it matters that they are not known."""
    found = [one.trait for one in profile.traits if one.level == MISSING]
    found += [one.trait for one in profile.exclusions if one.level == MISSING]
    return list(dict.fromkeys(found))


def _has(c: Any, one: Wanted | Exclusion) -> ColumnElement[bool]:
    return sa.and_(c.name == one.trait, c.value == one.level)


def _weight(one: Wanted) -> ColumnElement[Any]:
    return sa.literal_column(format(one.weight, "f"), SCORE)


def _sum(cases: Sequence[tuple[ColumnElement[bool], ColumnElement[Any]]]) -> ColumnElement[Any]:
    found: ColumnElement[Any] = (
        sa.func.sum(sa.case(*cases, else_=_ZERO)) if cases else sa.func.min(_ZERO)
    )
    return found
