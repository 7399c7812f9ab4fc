"""The members of each stage: who entered it, what came next, and where they stand.

From journeys to one relation a stage, and from these to the counts of the funnel. What each word
means is on the page of the funnel; here it is SQL.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import IntEnum
from typing import Any

import sqlalchemy as sa
from sqlalchemy.sql.elements import ColumnElement

from bowtie.stages import STAGES
from bowtie_projections.expressions import micros_between, null, quantiles
from bowtie_projections.views.breakdown import Dimension
from bowtie_projections.views.cohorts import cohort_start
from bowtie_projections.views.cut import Cut, time_before
from bowtie_projections.views.funnel.question import Question
from bowtie_projections.views.labels import OTHER, apart
from bowtie_projections.views.units import Units

__all__ = ["COHORT", "OTHER", "QUANTILES", "WORDS", "Members", "State", "folded"]

#: What stands for values in an answer, so that a real value called so must be told apart.
WORDS = (OTHER, "(none)")
#: The column of the cohort in SQL.
COHORT = "key_cohort"
QUANTILES = {"days_p50": 0.5, "days_p75": 0.75, "days_p90": 0.9}
_MICROSECOND = timedelta(microseconds=1)
#: Before all facts; in UTC without a zone, as the tables write times.
_BEGINNING = datetime.min  # noqa: DTZ901 - see above


class State(IntEnum):
    """Where a member of a stage stands; each is in one."""

    REACHED = 0
    #: reached, and the time it took is not known: one of the two entries is imputed
    REACHED_UNTIMED = 1
    #: the next stage was entered before this one
    OUT_OF_ORDER = 2
    LOST = 3
    PENDING = 4
    EXPIRED = 5
    REACHED_LATE = 6


#: The states behind each word of ``customers``.
BEHIND = {
    "reached": (State.REACHED, State.REACHED_UNTIMED, State.OUT_OF_ORDER),
    "lost": (State.LOST,),
    "pending": (State.PENDING,),
    "expired": (State.EXPIRED, State.REACHED_LATE),
}


@dataclass(frozen=True, slots=True)
class Members:
    """The members of the stages of one question.

    Args:
        journeys: the journeys at the cut.
        cut: the facts that count; settled.
        question: what was asked.
        dimensions: the breakdowns.
        units: what a member is, and of which account.
        seen_since: customers first seen before may be older than the data.
        kept: for each breakdown that has too many values, those that stay apart.
        sources: what is joined for a breakdown's values, where they are not in the journeys.
        older_too: count those older than the data; only for what knows from which age on they are
            watched.
    """

    journeys: sa.FromClause
    cut: Cut
    question: Question
    dimensions: Sequence[Dimension]
    units: Units
    seen_since: datetime | None = None
    kept: Mapping[str, Sequence[str]] = field(default_factory=dict)
    sources: Mapping[str, sa.CTE] = field(default_factory=dict)
    older_too: bool = False

    @property
    def moment(self) -> datetime:
        """The moment the question is asked as of; before all others where there is no fact."""
        return self.cut.moment or _BEGINNING

    @property
    def key_names(self) -> list[str]:
        """The columns that name a cell, as SQL names them."""
        names = [dimension.column for dimension in self.dimensions]
        return [*names, COHORT] if self.question.cohort is not None else names

    def titles(self, others: Collection[str]) -> list[str]:
        """The columns that name a cell, as an answer names them beside its other columns."""
        cohort = ["cohort"] if self.question.cohort is not None else []
        taken = {*others, *cohort}
        return [*(dimension.title(taken) for dimension in self.dimensions), *cohort]

    def counted(self) -> sa.Select[Any]:
        """How many members are in each state, by cell and stage; and a row of totals."""
        branches = [self._counts(stage) for stage in STAGES]
        return sa.select(sa.union_all(*branches, self._totals_row()).subquery("counted"))

    def spread(self) -> sa.Select[Any]:
        """How the mature and those of them that reached are spread over accounts.

        By cell and stage: ``accounts``, how many there are; of their numbers of mature members and
        of reached the sums of ``squares``, of ``products`` and of ``reached_squares``.
        """
        return sa.select(
            sa.union_all(*(self._spread(stage) for stage in STAGES[:-1])).subquery("spread")
        )

    def _spread(self, stage: str) -> sa.Select[Any]:
        rows = self.judged(stage)
        joined, account = self.units.account_of(rows)
        keys = [rows.c[name] for name in self.key_names]
        reached = sa.case((rows.c.state.in_([int(one) for one in BEHIND["reached"]]), 1), else_=0)
        each = (
            sa.select(
                *keys,
                account.label("account"),
                sa.func.count().label("mature"),
                sa.func.sum(reached).label("reached"),
            )
            .select_from(joined)
            .where(rows.c.mature)
            .group_by(*keys, account)
            .subquery(f"accounts_{stage}")
        )
        c = each.c
        keys = [c[name] for name in self.key_names]
        sums = {
            "squares": c.mature * c.mature,
            "products": c.mature * c.reached,
            "reached_squares": c.reached * c.reached,
        }
        return sa.select(
            *keys,
            sa.literal_column(f"'{stage}'", sa.String()).label("stage"),
            sa.func.count().label("accounts"),
            *(sa.cast(sa.func.sum(one), sa.Double()).label(name) for name, one in sums.items()),
        ).group_by(*keys)

    def behind(self, stage: str, state: str) -> sa.Select[Any]:
        """Who is behind a cell."""
        rows = self.judged(stage)
        c = rows.c
        keys = [c[name] for name in self.key_names]
        return (
            sa.select(
                c.customer, c.cycle, *keys, c.at.label("entered_at"), c.next_at, c.lost_at, c.micros
            )
            .where(c.state.in_([int(one) for one in BEHIND[state]]))
            .order_by(c.customer, c.cycle)
        )

    def ranked(self, dimension: Dimension) -> sa.Select[Any]:
        """The values of a breakdown, those of the most customers first."""
        entered = [
            sa.select(rows.c.customer, rows.c[dimension.column].label("value"))
            for rows in (self.entered(stage) for stage in STAGES)
        ]
        every = sa.union_all(*entered).subquery("every")
        customers = sa.func.count(every.c.customer.distinct())
        return (
            sa.select(every.c.value)
            .where(every.c.value.is_not(None))
            .group_by(every.c.value)
            .order_by(customers.desc(), every.c.value)
            .limit(self.question.top)
        )

    @property
    def _leaves_out(self) -> bool:
        return self.seen_since is not None and not self.question.include_truncated

    def journeys_asked(self) -> list[ColumnElement[bool]]:
        """Which journeys take part, whatever their age."""
        parts: list[ColumnElement[bool]] = []
        if not self.question.cycles:
            parts.append(self.journeys.c.cycle == 1)
        if self.question.cohort_stage is not None:
            parts.append(self.in_period(self.time(self.question.cohort_stage)))
        return parts

    def with_older(self) -> Members:
        """These, and those older than the data where their age is asked for."""
        asked = self.question.estimating
        return replace(self, older_too=asked is not None and asked.entry_age)

    def surely_new(self) -> list[ColumnElement[bool]]:
        """Who may be older than the data is left out, unless asked for."""
        if not self._leaves_out:
            return []
        first_seen, since = self.journeys.c.first_seen_at, self.question.data_from
        new = first_seen >= sa.literal(self.seen_since)
        if self.older_too and since is not None:
            return [sa.or_(new, first_seen < sa.literal(since))]
        return [new]

    def time(self, stage: str) -> ColumnElement[Any]:
        """When a stage was entered; a skipped one, where imputed, when the next one was."""
        c = self.journeys.c
        later = STAGES[STAGES.index(stage) :]
        if not self.question.imputes or len(later) == 1:
            return c[f"{stage}_at"]
        return sa.func.coalesce(*(c[f"{one}_at"] for one in later))

    def in_period(self, moment: ColumnElement[Any]) -> ColumnElement[bool]:
        """A moment is known, and of the period asked for."""
        parts: list[ColumnElement[bool]] = [moment.is_not(None)]
        if self.question.start is not None:
            parts.append(moment >= sa.literal(self.question.start))
        if self.question.end is not None:
            parts.append(moment < sa.literal(self.question.end))
        return sa.and_(*parts)

    def entered(self, stage: str) -> sa.Subquery:
        """Who entered a stage: with the next one, and by what they are broken down."""
        c, question = self.journeys.c, self.question
        at = self.time(stage)
        following = STAGES[STAGES.index(stage) + 1 :][:1]
        times = [self.time(one) for one in following] or [null(sa.DateTime())]
        skipped = [c[f"{one}_at"].is_(None) for one in (stage, *following)]
        imputed, untimed = (skipped[0], sa.or_(*skipped)) if question.imputes else (sa.false(),) * 2
        keys, joined = self.keys_at(at)
        parts = self.journeys_asked()
        parts.append(self.in_period(at) if question.cohort_stage is None else at.is_not(None))
        parts += self.surely_new()
        return (
            sa.select(
                c.customer,
                c.cycle,
                at.label("at"),
                times[0].label("next_at"),
                c.lost_at,
                imputed.label("imputed"),
                untimed.label("untimed"),
                *keys,
            )
            .select_from(joined)
            .where(*parts)
            .subquery(f"in_{stage}")
        )

    def keys_at(self, at: ColumnElement[Any]) -> tuple[list[ColumnElement[Any]], sa.FromClause]:
        """The columns of a cell, as known at the entry, and the journeys with what they need."""
        question, joined = self.question, self.journeys
        moment = at if question.cohort_stage is None else self.time(question.cohort_stage)
        keys: list[ColumnElement[Any]] = []
        for dimension in self.dimensions:
            source = self.sources.get(dimension.name)
            if source is None:
                value = dimension.touch(self.journeys, moment)
            else:
                on = dimension.place(self.journeys, source, moment)
                joined, value = joined.outerjoin(source, on), source.c.value
            keys.append(self._folded(dimension, value).label(dimension.column))
        if question.cohort is not None:
            start = cohort_start(moment, question.cohort, question.tz)
            keys.append(start.label(COHORT))
        return keys, joined

    def _folded(self, dimension: Dimension, value: ColumnElement[Any]) -> ColumnElement[Any]:
        """The value, or ``other``; where there are others, with the values named already."""
        kept = self.kept.get(dimension.name)
        return value if kept is None else folded(value, kept)

    def named(self, dimension: Dimension, value: str | None) -> str | None:
        """A value as an answer names it: SQL does so only where it puts others together."""
        return value if value is None or dimension.name in self.kept else apart(value, WORDS)

    def judged(self, stage: str) -> sa.Subquery:
        """The members of a stage, each with its :class:`State`.

        Nothing of a cycle happens after its loss, so what came within the time came before it.
        """
        rows = self.entered(stage)
        c = rows.c
        window = self.question.window(stage)
        longest = sa.literal_column(str(window // _MICROSECOND), sa.BigInteger())
        waited = micros_between(c.at, c.next_at)
        # one comparison with a constant, instead of a sum for each row
        old = c.at <= sa.literal(time_before(self.moment, window))
        state = sa.case(
            (waited < 0, _code(State.OUT_OF_ORDER)),
            (sa.and_(waited <= longest, c.untimed), _code(State.REACHED_UNTIMED)),
            (waited <= longest, _code(State.REACHED)),
            (micros_between(c.at, c.lost_at) <= longest, _code(State.LOST)),
            (sa.not_(old), _code(State.PENDING)),
            (c.next_at.is_not(None), _code(State.REACHED_LATE)),
            else_=_code(State.EXPIRED),
        )
        timed = sa.case((sa.and_(waited >= 0, sa.not_(c.untimed)), waited))
        columns = [state.label("state"), old.label("mature"), timed.label("micros")]
        return sa.select(rows, *columns).subquery(f"judged_{stage}")

    def _counts(self, stage: str) -> sa.Select[Any]:
        """How many members are in each state, and how long those waited that reached in time."""
        last = stage == STAGES[-1]
        rows = self.entered(stage) if last else self.judged(stage)
        keys = [rows.c[name] for name in self.key_names]
        groups = [*keys, rows.c.imputed]
        state, mature = null(sa.Integer()), null(sa.Boolean())
        waited = null(sa.ARRAY(sa.Double()))
        if not last:
            state, mature = rows.c.state, rows.c.mature
            groups += [state, mature]
            in_time = sa.and_(state == _code(State.REACHED), mature)
            waited = quantiles(sa.case((in_time, rows.c.micros)), tuple(QUANTILES.values()))
        nothing = [null(sa.BigInteger()).label(name) for name in ("older", "inferred")]
        return sa.select(
            *keys,
            sa.literal_column(f"'{stage}'", sa.String()).label("stage"),
            state.label("state"),
            mature.label("mature"),
            rows.c.imputed,
            sa.func.count().label("members"),
            waited.label("waited"),
            *nothing,
        ).group_by(*groups)

    @property
    def folded_notes(self) -> list[str]:
        """What is said of each breakdown of which not all values stand apart."""
        return [
            f"{name}: the {len(kept)} values of the most customers stand apart, the rest are other."
            for name, kept in self.kept.items()
        ]

    def totals(self) -> sa.Select[Any]:
        """How many customers are counted, may be older than the data, are lost by inference."""
        c, question = self.journeys.c, self.question
        parts = self.journeys_asked()
        if question.cohort_stage is None and (question.start or question.end):
            parts.append(sa.or_(*(self.in_period(self.time(stage)) for stage in STAGES)))
        older: ColumnElement[bool] = sa.false()
        if self.seen_since is not None:
            older = c.first_seen_at < sa.literal(self.seen_since)
        counted = sa.not_(older) if self._leaves_out else sa.true()
        # where each pass is a unit, passes are counted; else whose they are
        repeats = question.cycles and question.unit != "cycle"
        number: Any = sa.func.count(c.customer.distinct() if repeats else c.customer)
        return sa.select(
            number.filter(counted).label("members"),
            number.filter(older).label("older"),
            number.filter(sa.and_(counted, c.lost_inferred)).label("inferred"),
        ).where(*parts)

    def _totals_row(self) -> sa.Select[Any]:
        """The totals, as a row of counts."""
        c = self.totals().subquery("totals").c
        keys = [null(sa.Date() if name == COHORT else sa.String()) for name in self.key_names]
        return sa.select(
            *keys,
            sa.literal_column("''", sa.String()),
            null(sa.Integer()),
            null(sa.Boolean()),
            null(sa.Boolean()),
            c.members,
            null(sa.ARRAY(sa.Double())),
            c.older,
            c.inferred,
        )


def folded(value: ColumnElement[Any], kept: Sequence[str]) -> ColumnElement[Any]:
    """The values that stand apart, named as in the answer, and all others as ``other``."""
    named = [(value == real, apart(real, WORDS)) for real in kept if apart(real, WORDS) != real]
    return sa.case(
        (value.is_(None), sa.null()), *named, (value.in_(list(kept)), value), else_=OTHER
    )


def _code(state: State) -> ColumnElement[Any]:
    return sa.literal_column(str(int(state)), sa.Integer())
