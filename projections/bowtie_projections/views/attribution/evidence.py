"""Whose commitments a source is given credit for, by which touches, and what they are worth."""

from __future__ import annotations

from decimal import Decimal
from functools import partial
from typing import Any

import sqlalchemy as sa
from sqlalchemy.sql.elements import ColumnElement

from bowtie.errors import UsageError
from bowtie_projections.evidence import Evidence, Figure, Trace, not_explained
from bowtie_projections.value import money
from bowtie_projections.views.attribution.paths import KEYS, Paths
from bowtie_projections.views.attribution.rules import RULES, Touch
from bowtie_projections.views.attribution.view import asked_of
from bowtie_projections.views.cut import Reader
from bowtie_projections.views.labels import unapart
from bowtie_projections.views.loop.sources import NO_SOURCE

__all__ = ["evidence"]

#: The columns of credits, and what is credited.
_MEASURES = {"wins": "wins", "mature": "mature", "value": "worth", "high": "high"}
#: By so much an amount may differ from its share, so that all together are the whole to the cent.
_ROUNDED = Decimal("0.02")


def evidence(figure: Figure) -> Evidence:
    """Who committed after a touch of the source, the touches that have credit, and the commitment.

    Behind ``value`` and ``high`` is what the value of each is made of too. The figure is the sum
    of their shares.

    Args:
        figure: of the row of a source under a model; its column is ``wins``, ``mature``,
            ``value`` or ``high``.

    Raises:
        UsageError: no members stand behind the column, or behind the credits of such a model.
    """
    cell, column = figure.cell, figure.column
    if column not in _MEASURES:
        raise not_explained(column, _MEASURES)
    answer = asked_of(figure.reader, figure.cut, figure.definition, figure.asked)
    paths, by = answer.paths(), answer.wanted.by
    measure, named = _MEASURES[column], str(cell[by])
    if named == NO_SOURCE:
        w = paths.wins.c
        touches = None
        told = sa.select(w.customer, w.t0, w[measure].label("credit")).where(paths.untouched())
        if measure != "wins":
            told = told.where(w["high" if measure == "high" else "mature"] == 1)
    else:
        source = unapart(named, (NO_SOURCE,))
        shared = _shared(paths, answer.units.reader, str(cell["model"]), source)
        s = shared.c
        own = sa.and_(s.source == source, s.share > 0)
        if measure != "wins":
            own = sa.and_(own, s["high" if measure == "high" else "mature"] == 1)
        touches = (
            sa.select(shared).where(own).cte("touches_with_credit").prefix_with("MATERIALIZED")
        )
        t = touches.c
        part = sa.func.sum(t.share * sa.cast(t[measure], sa.Double()))
        told = sa.select(t.customer, t.t0, part.label("credit")).group_by(t.customer, t.t0)
    members = told.cte("told").prefix_with("MATERIALIZED")
    traces = [Trace.entry("commitment", members.c.t0)]
    if touches is not None:
        of_touches = sa.select(touches.c.customer, touches.c.position).subquery("touches_credited")
        traces.append(Trace.facts(f"touch: {by} {named}", of_touches))
    if column in {"value", "high"}:
        found = paths.population.made_of(members)
        traces += [Trace.facts(f"value: {what}", rows.subquery()) for what, rows in found.items()]
    nothing = sa.literal_column("0", sa.Integer())
    total: ColumnElement[Any] = sa.cast(
        sa.func.coalesce(sa.func.sum(members.c.credit), nothing), sa.Double()
    )
    finish = partial(_to_the_cent, cell["value"]) if column == "value" else None
    return Evidence(
        answer.units, answer.cut, figure.definition, members, traces, total, finish=finish
    )


def _shared(paths: Paths, reader: Reader, model: str, source: str) -> sa.Subquery:
    """The touches with their shares; under a rule, those of the source alone."""
    if model == "time_decay":
        return paths.by_decay().subquery("shared")
    if model not in RULES:
        raise UsageError(
            f"{model} gives no commitment its credit: it is of all paths together, won and not;"
            " explain another model, or the moves of bowtie paths"
        )
    counted = reader.fetch(paths.counted()).to_pylist()
    kinds = {Touch(*(row[name] for name in KEYS)) for row in counted if row["source"] == source}
    shares = {kind: float(RULES[model](kind)) for kind in sorted(kinds)}
    return paths.by_rule(shares).subquery("shared")


def _to_the_cent(given: Decimal, by_365: float) -> Decimal:
    """The amount given, where it is the members' but for the rounding to whole cents."""
    own = money(Decimal(repr(by_365)))
    near = max(_ROUNDED, abs(given) * Decimal("1e-9"))
    return given if abs(given - own) <= near else own
