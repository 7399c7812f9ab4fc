"""Who reached the next stage, how fast, and worth what: by cell, stage and cohort, in SQL."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.sql.elements import ColumnElement

from bowtie.stages import STAGES
from bowtie_projections.expressions import micros_between, quantiles
from bowtie_projections.value import MONEY, Horizon, values
from bowtie_projections.views.bottleneck.question import Question
from bowtie_projections.views.cut import time_before
from bowtie_projections.views.funnel.members import COHORT, Members, State

__all__ = ["QUARTILES", "REACHED", "Counting"]

QUARTILES = (0.25, 0.5, 0.75)
REACHED = [int(state) for state in (State.REACHED, State.REACHED_UNTIMED, State.OUT_OF_ORDER)]
_STEPS = STAGES[:-1]
_RIGHT = STAGES[STAGES.index("commitment") : -1]
_NOUGHT = sa.literal_column("0", sa.Integer())


@dataclass(frozen=True, slots=True)
class Counting:
    """The statements of one question.

    Args:
        members: of its stages.
        question: what was asked.
    """

    members: Members
    question: Question

    def counted(self) -> sa.Select[Any]:
        """Of each stage how many entered, are mature and reached the next; quartiles of the wait.

        Of each cohort, and of all together, where ``together`` is 1 and the cohort null.
        """
        return _together(self._counts(stage) for stage in _STEPS)

    def _counts(self, stage: str) -> sa.Select[Any]:
        rows = self.members.judged(stage)
        c = rows.c
        cell = [c[one.column] for one in self.members.dimensions]
        in_time = sa.and_(c.mature, c.state == int(State.REACHED))
        sets = [sa.tuple_(*cell, c[COHORT]), sa.tuple_(*cell) if cell else sa.text("()")]
        return sa.select(
            *cell,
            c[COHORT],
            _stage(stage),
            sa.func.grouping(c[COHORT]).label("together"),
            sa.func.count().label("entered"),
            sa.func.count().filter(c.mature).label("mature"),
            sa.func.count().filter(c.mature, c.state.in_(REACHED)).label("reached"),
            sa.func.count().filter(in_time).label("timed"),
            quantiles(sa.case((in_time, c.micros)), QUARTILES).label("waited"),
        ).group_by(sa.func.grouping_sets(*sets))

    def sooner(self, windows: Mapping[tuple[Any, ...], timedelta]) -> sa.Select[Any]:
        """Who would reach the next stage within its window, were all of them faster.

        Args:
            windows: the longer window that means the same, by cell and stage.

        Returns:
            By cohort: how many are old enough for the longer window, and of them who reached within
            the window there is and within the longer one.
        """
        stages = [stage for stage in _STEPS if any(key[-1] == stage for key in windows)]
        return _together(self._sooner(stage, windows) for stage in stages)

    def _sooner(self, stage: str, windows: Mapping[tuple[Any, ...], timedelta]) -> sa.Select[Any]:
        rows = self.members.judged(stage)
        c = rows.c
        keys = self._keys(rows)
        cells = {key[:-1]: window for key, window in windows.items() if key[-1] == stage}
        longest, old = (
            self._by_cell(rows, {cell: told(window) for cell, window in cells.items()})
            for told in (_micros, self._latest)
        )
        mature = c.at <= old
        waited = micros_between(c.at, c.next_at)
        window = _micros(self.question.funnel.window(stage))
        return (
            sa.select(
                *keys,
                _stage(stage),
                sa.func.count().label("mature"),
                sa.func.count().filter(waited <= window).label("reached"),
                sa.func.count().filter(waited <= longest).label("sooner"),
            )
            .where(mature)
            .group_by(*keys)
        )

    def _latest(self, window: timedelta) -> ColumnElement[Any]:
        return sa.literal(time_before(self.members.moment, window))

    def _by_cell(
        self, rows: sa.FromClause, told: Mapping[tuple[Any, ...], ColumnElement[Any]]
    ) -> ColumnElement[Any]:
        """A constant of each cell; null, so that nobody counts, in cells that have none."""
        if () in told:
            return told[()]
        columns = [rows.c[one.column] for one in self.members.dimensions]
        cases = [
            (
                sa.and_(
                    *(
                        column.is_(None) if value is None else column == value
                        for column, value in zip(columns, cell, strict=True)
                    )
                ),
                constant,
            )
            for cell, constant in told.items()
        ]
        return sa.case(*cases)

    def worth(self) -> sa.Select[Any]:
        """What the customers in each stage right of the knot were worth, by whether they went on.

        Of those whose horizon is over: how many, what they were worth over it (365 times, exactly),
        and the least and greatest currency.
        """
        customers = self._committed()
        value = self._values(customers)
        return _together(self._worth(stage, customers, value) for stage in _RIGHT)

    def currencies(self) -> sa.Select[Any]:
        """All currencies in which they were worth something."""
        value = self._values(self._committed())
        both = sa.union(sa.select(value.c.currency_low), sa.select(value.c.currency_high))
        found = both.subquery("currencies")
        named = found.c.currency_low
        return sa.select(named).where(named.is_not(None)).order_by(named)

    def _committed(self) -> sa.CTE:
        """Whose horizon from their first commitment is over."""
        c = self.members.journeys.c
        horizon = timedelta(days=self.question.days)
        old = c.commitment_at <= sa.literal(time_before(self.members.moment, horizon))
        return (
            sa.select(c.customer, c.commitment_at.label("t0"))
            .where(c.cycle == 1, old)
            .cte("committed")
            .prefix_with("MATERIALIZED")
        )

    def _values(self, customers: sa.CTE) -> sa.CTE:
        horizon = Horizon(
            self.question.days,
            self.question.day_of(self.members.moment),
            self.question.funnel.tz,
        )
        found = values(customers, self.members.cut, horizon)
        return found.cte("customer_values").prefix_with("MATERIALIZED")

    def _worth(self, stage: str, customers: sa.CTE, value: sa.CTE) -> sa.Select[Any]:
        rows = self.members.judged(stage)
        keys = self._keys(rows)
        reached = sa.case((rows.c.state.in_(REACHED), 1), else_=0).label("went_on")
        revenue = sa.func.coalesce(value.c.revenue_by_365, sa.cast(_NOUGHT, MONEY))
        return (
            sa.select(
                *keys,
                _stage(stage),
                reached,
                sa.func.count().label("members"),
                sa.cast(sa.func.sum(revenue), MONEY).label("by_365"),
                sa.func.min(value.c.currency_low).label("low"),
                sa.func.max(value.c.currency_high).label("high"),
            )
            .select_from(
                rows.join(customers, customers.c.customer == rows.c.customer).outerjoin(
                    value, value.c.customer == rows.c.customer
                )
            )
            .where(rows.c.mature)
            .group_by(*keys, reached)
        )

    def _keys(self, rows: sa.FromClause) -> list[ColumnElement[Any]]:
        return [rows.c[name] for name in self.members.key_names]


def _together(parts: Any) -> sa.Select[Any]:
    return sa.select(sa.union_all(*parts).subquery("counted"))


def _stage(stage: str) -> ColumnElement[Any]:
    return sa.literal_column(f"'{stage}'", sa.String()).label("stage")


def _micros(window: timedelta) -> ColumnElement[Any]:
    return sa.literal_column(str(window // timedelta(microseconds=1)), sa.BigInteger())
