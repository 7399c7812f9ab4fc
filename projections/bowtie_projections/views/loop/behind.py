"""What evidence of the loop's figures has in common: whom it asks of, and what is told of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.sql.elements import ColumnElement

from bowtie_projections import tables
from bowtie_projections.evidence import Evidence, Figure, Trace, not_explained
from bowtie_projections.traits import TraitRule, read_traits
from bowtie_projections.views.cut import counts
from bowtie_projections.views.journey_source import settled_through
from bowtie_projections.views.loop.leveled import Levels
from bowtie_projections.views.loop.population import Population
from bowtie_projections.views.loop.question import Question, ask
from bowtie_projections.views.loop.tables import renamed
from bowtie_projections.views.units import Units

__all__ = ["Behind"]


@dataclass(frozen=True, slots=True)
class Behind:
    """A figure of the loop, and whom the loop asks of.

    Args:
        figure: what is explained.
        question: what was asked.
        population: whom it counts.
        rules: of the traits file.
    """

    figure: Figure
    question: Question
    population: Population
    rules: Mapping[str, TraitRule]

    @classmethod
    def of(cls, figure: Figure) -> Behind:
        """Those behind a figure; there is a row, so there are facts."""
        asked = dict(figure.asked)
        rules = read_traits(asked.pop("traits"))
        question = ask(figure.definition, asked)
        cut = settled_through(figure.reader, figure.cut, question.data_through)
        units = Units.of(figure.reader, cut, question.unit, question.look_back)
        population = Population.of(units, cut, figure.definition, question)
        return cls(figure, question, population, rules)

    def column(self, explained: Sequence[str], why: str = "") -> str:
        """The figure's column, as it is called where those of high value are looked for.

        Args:
            explained: the columns that have members.
            why: the others have none.

        Raises:
            UsageError: no members stand behind it.
        """
        names = {renamed(name, self.question.target): name for name in explained}
        if self.figure.column not in names:
            raise not_explained(self.figure.column, tuple(names), why)
        return names[self.figure.column]

    def levels(self) -> Levels:
        """How values of traits are levels here."""
        return Levels.of(self.population, self.rules)

    def time_zero(self, members: sa.FromClause) -> Trace:
        """What entered the stage of time zero."""
        stage = self.question.stage
        return Trace.entry(stage, members.c.t0, f"time zero: entered {stage}")

    def first_touch(self, members: sa.CTE) -> Trace:
        """The touch that names the source, where it came by time zero."""
        table = tables.facts["touched"]
        m, c = members.c, table.c
        first = sa.and_(
            c.customer == m.customer, c.occurred_at == m.first_touch_at, c.occurred_at <= m.t0
        )
        place = sa.func.row_number().over(partition_by=c.customer, order_by=c.position)
        rows = (
            sa.select(c.customer, c.position, place.label("place"))
            .select_from(members.join(table, first))
            .where(counts(table, self.population.cut))
            .subquery("first_touches_of")
        )
        return Trace.facts("first touch", sa.select(rows).where(rows.c.place == 1).subquery())

    def worth(self, members: sa.CTE) -> list[Trace]:
        """What the value of each is made of."""
        found = self.population.made_of(members)
        return [Trace.facts(f"value: {what}", rows.subquery()) for what, rows in found.items()]

    def evidence(
        self,
        members: sa.CTE,
        traces: Sequence[Trace],
        value: ColumnElement[Any] | None = None,
        finish: Callable[[Any], Any] | None = None,
        *,
        mean: bool = False,
    ) -> Evidence:
        """The members of the figure, and what is told of them."""
        population, figure = self.population, self.figure
        return Evidence(
            population.units, population.cut, figure.definition, members, traces, value,
            finish=finish, mean=mean,
        )  # fmt: skip
