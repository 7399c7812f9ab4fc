"""Everybody who committed, with the credit of each source for each of them under each model."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from functools import partial
from typing import Any

import sqlalchemy as sa
from sqlalchemy.sql.elements import ColumnElement

from bowtie.stages import Definition
from bowtie_projections import tables
from bowtie_projections.conditions import Facts
from bowtie_projections.expressions import span
from bowtie_projections.roster import Roster, listed
from bowtie_projections.views.attribution.paths import KEYS, Paths
from bowtie_projections.views.attribution.rules import READS, RULES, Touch
from bowtie_projections.views.attribution.view import Answer, asked_of
from bowtie_projections.views.cut import Cut, Reader
from bowtie_projections.views.labels import apart
from bowtie_projections.views.loop.sources import NO_SOURCE

__all__ = ["roster"]

#: Shares are told with so many decimals: their sums in SQL come in no order.
_SHARES = sa.Numeric(38, 9)
_MEASURES = ("wins", "mature", "value", "high")


def roster(reader: Reader, cut: Cut, definition: Definition, **asked: Any) -> Roster:
    """Who committed, and what part of each the sources are given.

    The credits of ``markov`` are of all paths together, so nobody has a part in them.

    Args:
        reader: the read tables.
        cut: where attribution was asked.
        definition: what entering a stage means.
        asked: the parameters of :func:`bowtie_projections.views.attribution.attribution`, all of
            them.
    """
    answer = asked_of(reader, cut, definition, asked)
    told = _nobody() if answer.cut.moment is None else _credits(answer)
    c = told.c
    sums = [c[name] for name in _MEASURES]
    tells: dict[str, Callable[[Any], Any]] = dict.fromkeys(_MEASURES, float)
    return Roster(
        answer.units,
        [_named, None],
        (),
        [listed(told, [c.source, c.model], {}, sums=sums)],
        stages={"commitment", definition.lead, "selection"},
        reads=_reads(answer),
        sums=tells | {"value": _money},
        broken_down=False,
    )


def _named(source: str | None) -> str:
    return NO_SOURCE if source is None else apart(source, (NO_SOURCE,))


def _money(by_365: Decimal) -> Decimal:
    return (by_365 / 365).quantize(Decimal("0.01"))


def _nobody() -> sa.Subquery:
    """No row, of the columns of :func:`_credits`."""
    names = [sa.cast(sa.null(), sa.String()).label(one) for one in ("customer", "source", "model")]
    parts = [sa.cast(sa.null(), _SHARES).label(name) for name in _MEASURES]
    return sa.select(*names, *parts).where(sa.false()).subquery("nobody")


def _credits(answer: Answer) -> sa.Subquery:
    """What each source is given of each commitment: nothing is left out."""
    paths = answer.paths()
    keys = {key for model in answer.wanted.models if model in RULES for key in READS[model]}
    kinds: set[Touch] = set()
    if keys:
        counted = answer.units.reader.fetch(paths.counted()).to_pylist()
        kinds = {
            Touch(*(row[name] for name in KEYS)) for row in counted if row["source"] is not None
        }
    parts = []
    for model in answer.wanted.models:
        parts.append(_alone(paths, model))
        if model in RULES and kinds:
            parts.append(_of_touches(_by_rule(paths, model, kinds), model))
        elif model == "time_decay":
            parts.append(_of_touches(paths.by_decay(), model))
    return sa.union_all(*parts).subquery("credits")


def _by_rule(paths: Paths, model: str, kinds: set[Touch]) -> sa.Select[Any]:
    shares = {kind: float(RULES[model](kind)) for kind in sorted(kinds)}
    return paths.by_rule({kind: share for kind, share in shares.items() if share > 0})


def _of_touches(touches: sa.Select[Any], model: str) -> sa.Select[Any]:
    """The shares of one model, of each source and commitment together."""
    t = touches.subquery(f"shares_{model}").c
    whole = {"wins": t.wins, "mature": t.mature, "value": t.worth, "high": t.high}
    return (
        sa.select(
            t.customer,
            t.source,
            sa.literal_column(f"'{model}'", sa.String()).label("model"),
            *(_part(sa.func.sum(t.share * _double(one)), name) for name, one in whole.items()),
        )
        .where(t.share > 0, t.source.is_not(None))
        .group_by(t.customer, t.source)
    )


def _alone(paths: Paths, model: str) -> sa.Select[Any]:
    """The commitments that no touch stands before."""
    w = paths.wins.c
    whole = {"wins": w.wins, "mature": w.mature, "value": w.worth, "high": w.high}
    return sa.select(
        w.customer,
        sa.cast(sa.null(), sa.String()).label("source"),
        sa.literal_column(f"'{model}'", sa.String()).label("model"),
        *(_part(_double(one), name) for name, one in whole.items()),
    ).where(paths.untouched())


def _double(amount: ColumnElement[Any]) -> ColumnElement[Any]:
    return sa.cast(amount, sa.Double())


def _part(amount: ColumnElement[Any], name: str) -> ColumnElement[Any]:
    """What is added to a measure; of nothing, none."""
    nothing = sa.cast(sa.literal_column("0"), _SHARES)
    return sa.cast(sa.func.nullif(sa.cast(amount, _SHARES), nothing), _SHARES).label(name)


def _reads(answer: Answer) -> dict[str, Callable[[Facts], sa.Select[Any]]]:
    """The touches in the window before a commitment, and what its value is made of."""
    if answer.cut.moment is None:
        return {}
    population = answer.paths().population
    who = population.kept()
    return {
        "touch": partial(_touches, who, answer.wanted.window),
        "value": partial(population.worth_facts, who),
    }


def _touches(who: sa.CTE, window: timedelta, facts: Facts) -> sa.Select[Any]:
    c = (table := tables.facts["touched"]).c
    inside = sa.and_(c.occurred_at <= who.c.t0, c.occurred_at >= who.c.t0 - span(window))
    joined = table.join(who, sa.and_(who.c.customer == c.customer, inside))
    return sa.select(c.customer, c.position).select_from(joined).where(facts.counted(table))
