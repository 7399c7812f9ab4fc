"""The events that a step funnel looks at: of each step, and what may not come between, in SQL.

All relations have ``customer`` (and ``cycle``, where passes are told apart) and ``t``, the moment
in microseconds. Those of steps also have ``at``, the same as a timestamp, and what orders events of
one moment: ``tie``, the first step that an event fits, and ``position``.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.sql.elements import ColumnElement

from bowtie.events import CATALOGUE
from bowtie.stages import Comparison
from bowtie_projections import tables
from bowtie_projections.conditions import compares, holds
from bowtie_projections.cycles import BOOKKEEPING
from bowtie_projections.expressions import BEGINNING, END, map_text, micros_between
from bowtie_projections.views.cut import Cut, counts
from bowtie_projections.views.steps.language import Exclusion, Test
from bowtie_projections.views.steps.question import Question

__all__ = ["KNOWLEDGE", "StepRows", "whole"]

#: What is known of a customer and was done by nobody: it comes between no two steps.
KNOWLEDGE = (
    *BOOKKEEPING,
    "traits_observed",
    "identity_linked",
    "identity_unlinked",
    "membership_started",
    "membership_ended",
)
_EPOCH: ColumnElement[Any] = sa.literal_column("TIMESTAMP '1970-01-01 00:00:00'", sa.DateTime())


def whole(number: int) -> ColumnElement[Any]:
    """A number written into the statement."""
    return sa.literal_column(str(number), sa.BigInteger())


class _Source:
    """The rows of one event type, and how its comparisons are written."""

    def __init__(self, event: str, cut: Cut, asked: Iterable[Comparison]) -> None:
        table = tables.facts[event]
        self.event = event
        self.rows: sa.FromClause = table
        self._flags: dict[Comparison, str] = {}
        self.counted: ColumnElement[bool] = counts(table, cut)
        if event == "traits_observed":
            self._fold(table, sorted(set(asked), key=repr))

    def _fold(self, table: sa.Table, asked: Sequence[Comparison]) -> None:
        """One row for an observation, whose table has one for each of its traits."""
        self._flags = {one: f"holds_{number}" for number, one in enumerate(asked)}
        own = [
            sa.func.max(
                sa.case(
                    (sa.and_(table.c.name == one.key, compares(one, table.c.value)), 1), else_=0
                )
            ).label(name)
            for one, name in self._flags.items()
        ]
        self.rows = (
            sa.select(table.c.customer, table.c.position, table.c.occurred_at, *own)
            .where(self.counted)
            .group_by(table.c.customer, table.c.position, table.c.occurred_at)
            .subquery("observed")
        )
        self.counted = sa.true()

    def fits(self, tests: Iterable[Test]) -> ColumnElement[bool]:
        """Whether a row is any of the tests."""
        return sa.or_(*(self._holds(test.where) for test in tests))

    def _holds(self, where: Sequence[Comparison]) -> ColumnElement[bool]:
        if not self._flags:
            return holds(where, self.rows)
        return sa.and_(sa.true(), *(self.rows.c[self._flags[one]] == 1 for one in where))


@dataclass(frozen=True)
class StepRows:
    """The rows of the steps of one question.

    Args:
        question: what was asked.
        cut: the facts that count; settled.
        journeys: at the cut, where a stage is a step or passes are told apart.
    """

    question: Question
    cut: Cut
    journeys: sa.FromClause | None = None

    @property
    def keys(self) -> list[str]:
        """What tells members apart."""
        return ["customer", "cycle"] if self.question.count == "cycles" else ["customer"]

    @property
    def parts(self) -> list[str]:
        """What tells sequences apart: those of a member, of one value where one is held."""
        return self.keys if self.question.hold is None else [*self.keys, "held"]

    def of_step(self, number: int) -> sa.Select[Any]:
        """The events of a step."""
        tests = self.question.steps[number - 1].tests
        found = [self._scan(event, own, number) for event, own in _by_event(tests).items()]
        stages = dict.fromkeys(test.stage for test in tests if test.stage is not None)
        found += [self._entries(stage, number) for stage in stages]
        return self._in_cycles(sa.union_all(*found).subquery(f"events_{number}"))

    def marks(self, exclusion: Exclusion) -> sa.Select[Any]:
        """When what is excluded happened: ``customer`` and ``t``.

        An event that is itself a step between those that the exclusion names is none.
        """
        found = []
        between = range(exclusion.after + 1, exclusion.before)
        for event, tests in _by_event(exclusion.tests).items():
            source = self._source(event)
            own = [one for step in between for one in self._tests(step, event)]
            parts = [source.counted, source.fits(tests)]
            if own:
                parts.append(sa.not_(sa.func.coalesce(source.fits(own), sa.false())))
            c = source.rows.c
            found.append(sa.select(c.customer, _micros(c.occurred_at).label("t")).where(*parts))
        for test in exclusion.tests:
            if test.stage is not None:
                rows = self._stage_times(test.stage)
                found.append(sa.select(rows.c.customer, _micros(rows.c.at).label("t")))
        return sa.select(sa.union_all(*found).subquery("marks"))

    def anything(self) -> sa.Select[Any]:
        """When anything happened: ``customer`` and ``t``."""
        c = tables.events.c
        return sa.select(c.subject.label("customer"), _micros(c.occurred_at).label("t")).where(
            counts(tables.events, self.cut), c.kind == "customer", c.type.not_in(KNOWLEDGE)
        )

    def fits_both(self, one: int, other: int) -> sa.Select[Any] | None:
        """An event that fits two steps, if there can be any."""
        found = []
        mine, theirs = (self.question.steps[number - 1] for number in (one, other))
        for event in sorted(mine.sources & theirs.sources):
            if event.startswith("stage:"):
                return sa.select(whole(1))
            source = self._source(event)
            tests = (self._tests(number, event) for number in (one, other))
            both = sa.and_(source.counted, *(source.fits(own) for own in tests))
            found.append(sa.select(whole(1).label("one")).select_from(source.rows).where(both))
        return sa.select(sa.union_all(*found).subquery("both")).limit(1) if found else None

    def _tests(self, step: int, event: str) -> list[Test]:
        return [test for test in self.question.steps[step - 1].tests if test.event == event]

    def _source(self, event: str) -> _Source:
        tests = [test for step in self.question.steps for test in step.tests]
        tests += [test for one in self.question.exclusions for test in one.tests]
        asked = [one for test in tests if test.event == event for one in test.where]
        return _Source(event, self.cut, asked)

    def _scan(self, event: str, tests: Sequence[Test], number: int) -> sa.Select[Any]:
        source = self._source(event)
        c = source.rows.c
        columns = [
            c.customer,
            c.occurred_at.label("at"),
            _micros(c.occurred_at).label("t"),
            self._tie(source, number).label("tie"),
            c.position,
        ]
        parts = [source.counted, source.fits(tests)]
        if self.question.hold is not None:
            held = self._held(source, self.question.hold)
            columns.append(held.label("held"))
            parts.append(held.is_not(None))
        return sa.select(*columns).where(*parts)

    def _tie(self, source: _Source, number: int) -> ColumnElement[Any]:
        """The first step that an event of this one fits."""
        earlier = [
            (source.fits(tests), whole(step))
            for step in range(1, number)
            if (tests := self._tests(step, source.event))
        ]
        return sa.case(*earlier, else_=whole(number)) if earlier else whole(number)

    def tie_is_fixed(self, number: int) -> bool:
        """Whether no event of a step can fit an earlier one."""
        own = self.question.steps[number - 1].sources
        return not any(own & step.sources for step in self.question.steps[: number - 1])

    def _held(self, source: _Source, name: str) -> ColumnElement[Any]:
        fields = CATALOGUE[source.event].model_fields
        if name in fields and name not in ("traits", "properties"):
            return sa.cast(source.rows.c[name], tables.TEXT)
        return map_text(source.rows.c.properties, name.removeprefix("properties."))

    def _stage_times(self, stage: str) -> sa.Subquery:
        assert self.journeys is not None  # noqa: S101 - for the type checker
        c = self.journeys.c
        at = c[f"{stage}_at"]
        return sa.select(c.customer, at.label("at")).where(at.is_not(None)).subquery(f"in_{stage}")

    def _entries(self, stage: str, number: int) -> sa.Select[Any]:
        """The first entry of a stage in each pass, as an event of its own."""
        c = self._stage_times(stage).c
        first = next(
            place
            for place, step in enumerate(self.question.steps, 1)
            if f"stage:{stage}" in step.sources
        )
        return sa.select(
            c.customer,
            c["at"].label("at"),
            _micros(c["at"]).label("t"),
            whole(min(first, number)).label("tie"),
            whole(0).label("position"),
        )

    def _in_cycles(self, rows: sa.Subquery) -> sa.Select[Any]:
        """The rows with the pass they fall in, where passes are told apart.

        What came before the first pass counts for it; what came after a loss for the next pass, if
        there is one.
        """
        if self.question.count != "cycles":
            return sa.select(rows)
        assert self.journeys is not None  # noqa: S101 - for the type checker
        c = self.journeys.c
        before = sa.func.lag(c.lost_at).over(partition_by=c.customer, order_by=c.cycle)
        spans = sa.select(
            c.customer,
            c.cycle,
            sa.func.coalesce(before, BEGINNING).label("since"),
            sa.func.coalesce(c.lost_at, END).label("until"),
        ).subquery("passes")
        within = sa.and_(
            spans.c.customer == rows.c.customer,
            rows.c["at"] > spans.c.since,
            rows.c["at"] <= spans.c.until,
        )
        return sa.select(*rows.c, spans.c.cycle).select_from(rows.join(spans, within))


def _by_event(tests: Iterable[Test]) -> dict[str, list[Test]]:
    found: dict[str, list[Test]] = {}
    for test in tests:
        if test.event is not None:
            found.setdefault(test.event, []).append(test)
    return found


def _micros(moment: ColumnElement[Any]) -> ColumnElement[int]:
    return micros_between(_EPOCH, moment)
