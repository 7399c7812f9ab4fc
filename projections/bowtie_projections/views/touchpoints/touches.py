"""Touches and scores in SQL: at which touchpoint, and where their customer stood then."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa
from sqlalchemy.sql.elements import ColumnElement

from bowtie_projections import tables
from bowtie_projections.conditions import Facts
from bowtie_projections.cycles import first_touch
from bowtie_projections.views.breakdown import Dimension
from bowtie_projections.views.cut import Cut, counts
from bowtie_projections.views.funnel.members import WORDS, folded
from bowtie_projections.views.funnel.question import Question
from bowtie_projections.views.labels import apart
from bowtie_projections.views.placing import Passes, place_at

__all__ = ["VALUE", "Touches"]

#: The column of the touchpoint (or channel, ...) in SQL.
VALUE = "key_value"


@dataclass(frozen=True, slots=True)
class Touches:
    """The touches of a period.

    Args:
        journeys: all cycles at the cut.
        cut: the facts that count; settled.
        question: what was asked; the period is that of the touches.
        of: the field of touches that they are counted by.
        dimensions: the breakdowns.
        by_stage: whether the places of their customers stand apart.
        kept: of ``of`` and the breakdowns, where there are too many values, those that stay apart.
    """

    journeys: sa.FromClause
    cut: Cut
    question: Question
    of: str
    dimensions: Sequence[Dimension]
    by_stage: bool = True
    kept: Mapping[str, Sequence[str]] = field(default_factory=dict)

    @property
    def keys(self) -> list[str]:
        """The columns that name a row, as SQL names them."""
        return [*(one.column for one in self.dimensions), VALUE, "place"]

    @property
    def scored(self) -> bool:
        """Whether scores can be told by what is asked: they name a touchpoint, and no channel."""
        return self.of == "touchpoint"

    def counted(self) -> sa.Select[Any]:
        """By row: ``touches``, how many are ``inbound``, and of how many ``customers``."""
        rows = self.touched()
        c = rows.c
        keys = [c[name] for name in self.keys]
        return sa.select(
            *keys,
            sa.func.count().label("touches"),
            sa.func.count().filter(c.direction == "inbound").label("inbound"),
            sa.func.count(c.customer.distinct()).label("customers"),
        ).group_by(*keys)

    def costs(self) -> sa.Select[Any]:
        """By row, direction and currency: what was said of costs."""
        rows = self.touched()
        c = rows.c
        keys = [*(c[name] for name in self.keys), c.direction, c.currency]
        return (
            sa.select(*keys, sa.func.count().label("touches"), sa.func.sum(c.cost).label("cost"))
            .where(c.cost.is_not(None))
            .group_by(*keys)
        )

    def scores(self) -> sa.Select[Any]:
        """By row and instrument: how many answered, and what. An NPS has a scale of 0 to 10."""
        rows = self._placed(tables.facts["score_given"], ("instrument", "score"), "scores")
        c = rows.c
        keys = [*(c[name] for name in self.keys), c.instrument]
        valid = sa.or_(c.instrument != "nps", c.score.between(0, 10))
        number, is_nps = sa.func.count(), c.instrument == "nps"
        return sa.select(
            *keys,
            number.filter(valid).label("answers"),
            number.filter(sa.not_(valid)).label("out_of_scale"),
            sa.func.count(c.customer.distinct()).filter(valid).label("customers"),
            sa.func.sum(c.score).filter(valid).label("total"),
            number.filter(is_nps, c.score >= 9, valid).label("promoters"),
            number.filter(is_nps, c.score <= 6, valid).label("detractors"),
        ).group_by(*keys)

    def totals(self) -> sa.Select[Any]:
        """How many touches there are, and of how many customers."""
        rows = self._facts(tables.facts["touched"], ("direction", "cost")).subquery("touches")
        c, number = rows.c, sa.func.count()
        columns: list[ColumnElement[Any]] = [
            number.label("touches"),
            number.filter(c.direction == "inbound").label("inbound"),
            sa.func.count(c.customer.distinct()).label("customers"),
            sa.func.count(c.cost).label("costed"),
        ]
        return sa.select(*columns)

    def ranked(self) -> sa.Select[Any]:
        """The values of ``of``, those of the most touches (and scores) first."""
        found = [self._facts(tables.facts["touched"], ())]
        if self.scored:
            found.append(self._facts(tables.facts["score_given"], ()))
        return self._most_frequent(sa.union_all(*found).subquery("touches").c.value)

    def ranked_values(self, dimension: Dimension) -> sa.Select[Any]:
        """The values of a breakdown, those of the most touches first."""
        return self._most_frequent(self.touched().c[dimension.column])

    def _most_frequent(self, value: ColumnElement[Any]) -> sa.Select[Any]:
        """One more than may stand apart, to see whether there are others."""
        return (
            sa.select(value.label("value"))
            .where(value.is_not(None))
            .group_by(value)
            .order_by(sa.func.count().desc(), value)
            .limit(self.question.top + 1)
        )

    def named(self, column: str, value: str | None) -> str | None:
        """A value as an answer names it: SQL does so only where it puts others together."""
        return value if value is None or column in self.kept else apart(value, WORDS)

    def touched(self) -> sa.Subquery:
        """The touches, each with its values, its place, direction, cost and position."""
        fields = ("direction", "cost", "currency", "position")
        return self._placed(tables.facts["touched"], fields, "placed_touches")

    def _facts(self, table: sa.Table, fields: Sequence[str]) -> sa.Select[Any]:
        """The facts of the period."""
        c = table.c
        parts = [counts(table, self.cut)]
        if self.question.start is not None:
            parts.append(c.occurred_at >= sa.literal(self.question.start))
        if self.question.end is not None:
            parts.append(c.occurred_at < sa.literal(self.question.end))
        return sa.select(
            c.customer,
            c.occurred_at.label("at"),
            c[self.of].label("value"),
            *(c[name] for name in fields),
        ).where(*parts)

    def _placed(self, table: sa.Table, fields: Sequence[str], name: str) -> sa.Subquery:
        """The facts, each with its values and where its customer stood."""
        facts = self._facts(table, fields).subquery("facts")
        f = facts.c
        joined: sa.FromClause = facts
        place: ColumnElement[Any] = sa.cast(sa.null(), sa.Integer())
        if self.by_stage:
            passes = Passes(self.journeys)
            joined = joined.outerjoin(passes.rows, passes.around(f.customer, f["at"]))
            place = place_at(passes, f["at"])
        keys = []
        touch = first_touch(Facts(self.cut)).subquery("touch")
        if any(one.kind == "touch" for one in self.dimensions):
            joined = joined.outerjoin(touch, touch.c.customer == f.customer)
        for one in self.dimensions:
            source = one.source(self.cut)
            if source is None:
                value: ColumnElement[Any] = one.touch(touch, f["at"])
            else:
                joined = joined.outerjoin(source, one.place(facts, source, f["at"]))
                value = source.c.value
            keys.append(self._folded(one.column, value).label(one.column))
        return (
            sa.select(
                f.customer,
                *keys,
                self._folded(VALUE, f.value).label(VALUE),
                place.label("place"),
                *(f[field] for field in fields),
            )
            .select_from(joined)
            .subquery(name)
        )

    def _folded(self, column: str, value: ColumnElement[Any]) -> ColumnElement[Any]:
        kept = self.kept.get(column)
        return value if kept is None else folded(value, kept)
