"""What came last before each event of a step: the sequences that it may lengthen, in SQL."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.sql.elements import ColumnElement

from bowtie_projections.views.steps.rows import StepRows, whole
from bowtie_projections.views.steps.windows import BEFORE, micros

__all__ = ["FEW", "Latest"]

#: Of whom no more events end a sequence, each later event is held against all of them: that is
#: quicker than to sort both. Beyond, pairs would grow with the square.
FEW = 16


@dataclass(frozen=True, slots=True)
class Latest:
    """The events of a step, each with the greatest of what ended before it.

    Args:
        source: the events of the steps.
        before, step: from which step to which.
        carried: the columns of what ended there; the greatest ``NAME`` is ``last_NAME``.
        marks: the columns of the events that go with them.
    """

    source: StepRows
    before: int
    step: int
    carried: Sequence[str]
    marks: Sequence[str]

    def of(self, own: sa.FromClause, reached: sa.FromClause, busy: sa.FromClause) -> sa.Subquery:
        """The events that come after any.

        Args:
            own: the events of the step.
            reached: what ended at the step before.
            busy: the customers of whom more than :data:`FEW` did.
        """
        return sa.union_all(
            self._in_pairs(own, reached, busy), self._in_order(own, reached, busy)
        ).subquery(f"last_{self.step}")

    @property
    def _names(self) -> tuple[str, ...]:
        return (*self.source.parts, "t", "tie", "position", *self.marks)

    def _in_pairs(
        self, own: sa.FromClause, reached: sa.FromClause, busy: sa.FromClause
    ) -> sa.Select[Any]:
        """Each event with all that came before it: of those who are not busy."""
        idle = (
            sa.select(own)
            .select_from(own.outerjoin(busy, busy.c.customer == own.c.customer))
            .where(busy.c.customer.is_(None))
            .subquery(f"idle_{self.step}")
        )
        keys = [idle.c[name] for name in self._names]
        same = [reached.c[name] == idle.c[name] for name in self.source.parts]
        return (
            sa.select(*keys, *(sa.func.max(reached.c[n]).label(f"last_{n}") for n in self.carried))
            .select_from(idle.join(reached, sa.and_(*same, self._came_before(reached, idle))))
            .group_by(*keys)
        )

    def _came_before(self, reached: sa.FromClause, own: sa.FromClause) -> ColumnElement[bool]:
        """Whether what ended may have an event after it; :meth:`_frame` says the same."""
        r, c = reached.c, own.c
        if self._least is not None:
            return r.t <= c.t - whole(self._least)
        if self._told_apart:
            return r.t <= c.t
        first = sa.or_(r.tie < c.tie, sa.and_(r.tie == c.tie, r.position < c.position))
        return sa.or_(r.t < c.t, sa.and_(r.t == c.t, first))

    def _in_order(
        self, own: sa.FromClause, reached: sa.FromClause, busy: sa.FromClause
    ) -> sa.Select[Any]:
        """A running maximum over both in their order: of the busy."""

        def of_busy(rows: sa.FromClause, name: str) -> sa.Subquery:
            concerned = rows.c.customer.in_(sa.select(busy.c.customer))
            return sa.select(rows).where(concerned).subquery(f"{name}_{self.step}")

        both = sa.union_all(
            self._as_event(of_busy(own, "own")), self._as_ended(of_busy(reached, "passed_on"))
        ).subquery(f"both_{self.step}")
        frame = self._frame(both)
        last = [
            sa.func.max(both.c[f"was_{name}"]).over(**frame).label(f"last_{name}")
            for name in self.carried
        ]
        told = sa.select(both, *last).subquery(f"running_{self.step}")
        c = told.c
        columns = [c[name] for name in (*self._names, *(f"last_{one}" for one in self.carried))]
        return sa.select(*columns).where(c.role == 0, c.last_t.is_not(None))

    def _as_event(self, own: sa.FromClause) -> sa.Select[Any]:
        c = own.c
        return sa.select(
            *(c[name] for name in self._names),
            whole(0).label("role"),
            *(_null().label(f"was_{name}") for name in self.carried),
        )

    def _as_ended(self, reached: sa.FromClause) -> sa.Select[Any]:
        c = reached.c
        return sa.select(
            *((_null().label(name) if name in self.marks else c[name]) for name in self._names),
            whole(1).label("role"),
            *(c[name].label(f"was_{name}") for name in self.carried),
        )

    def _frame(self, rows: sa.FromClause) -> dict[str, Any]:
        """What comes before a row; and where a gap is asked for, at least so long before it."""
        c = rows.c
        partition = [c[name] for name in self.source.parts]
        if self._least is not None:
            return {"partition_by": partition, "order_by": c.t, "range_": (None, -self._least)}
        order = [c.t, c.tie]
        if not self._told_apart:
            # an event is no event before itself: as one to come it stands first
            order += [c.position, c.role]
        return {"partition_by": partition, "order_by": order, "rows": BEFORE}

    @property
    def _least(self) -> int | None:
        least = self.source.question.gap(self.step).least
        return None if least is None else micros(least)

    @property
    def _told_apart(self) -> bool:
        """Whether of one time an event of the one step always stands before one of the other."""
        return self.source.tie_is_fixed(self.before) and self.source.tie_is_fixed(self.step)


def _null() -> ColumnElement[Any]:
    return sa.cast(sa.null(), sa.BigInteger())
