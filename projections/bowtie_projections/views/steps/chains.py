"""The members of each step of an ordered funnel, step after step, in SQL.

What it computes: ``e1, ..., ek`` is a sequence to step k if its events are different ones of one
member (and one held value), fit the steps up to k that are required, stand in their order (by time;
of one time by the first step they fit, then by position), lie within the window from ``e1``, within
the gaps from one to the next, and nothing that is excluded lies between the steps it is excluded
from. Between means: later than the one and earlier than the other.

How: sequences that end at one event can be compared place by place, and of two of them the later
event in each place makes another one. So it is enough to know, of each event, the latest sequence
that ends there; and that goes through the latest event before it that ends a sequence to the step
before. A running maximum finds it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import sqlalchemy as sa
from sqlalchemy.sql.elements import ColumnElement

from bowtie_projections.views.steps.question import Row
from bowtie_projections.views.steps.rows import StepRows, whole
from bowtie_projections.views.steps.windows import BEFORE, Node, by_member, flag, marked, micros

__all__ = ["Chains"]


@dataclass(frozen=True)
class Chains:
    """The sequences of one question.

    Where every attempt counts, only the first step is read here; the rest is matched in
    :mod:`~bowtie_projections.views.steps.conversions`.

    Args:
        source: the events of the steps.
        now: the moment it is asked as of, in microseconds.
        start, end: the period of the first step in microseconds, ``end`` not in it.
    """

    source: StepRows
    now: int
    start: int | None
    end: int | None
    _levels: dict[tuple[int, ...], sa.CTE] = field(default_factory=dict, init=False)
    _own: dict[tuple[int, ...], sa.CTE] = field(default_factory=dict, init=False)

    @cached_property
    def entries(self) -> sa.CTE:
        """The events of the first step in the period: of each member all, or the first."""
        rows = self.source.of_step(1).subquery("starts")
        t = rows.c.t
        parts: list[ColumnElement[bool]] = []
        if self.start is not None:
            parts.append(t >= whole(self.start))
        if self.end is not None:
            parts.append(t < whole(self.end))
        query = sa.select(rows).where(*parts)
        asked = self.source.question
        if asked.reentry == "first" and asked.count != "conversions":
            own = query.subquery("own_starts")
            keys = [own.c[name] for name in self.source.keys]
            first = sa.func.min(own.c.t).over(partition_by=keys).label("first_t")
            told = sa.select(own, first).subquery("told_starts")
            columns = [column for column in told.c if column.name != "first_t"]
            query = sa.select(*columns).where(told.c.t == told.c.first_t)
        return query.cte("step_entries").prefix_with("MATERIALIZED")

    @cached_property
    def nodes(self) -> dict[tuple[int, ...], Node]:
        """The members of each row's step, and of what comes next where that is another sequence.

        The key is the step, or the optional step and the one that follows it.
        """
        found: dict[tuple[int, ...], Node] = {}
        for row in self.source.question.rows:
            path = self._path(row)
            found[row.step,] = self._node(path, row.after)
            if row.after is not None and self._optional(row.step):
                found[row.step, row.after] = self._node((*path, row.after), None)
        return found

    def _optional(self, step: int) -> bool:
        return self.source.question.steps[step - 1].optional

    def _path(self, row: Row) -> tuple[int, ...]:
        """The steps that lead to a row's step."""
        return (*(one for one in self.source.question.required if one < row.step), row.step)

    def level(self, path: tuple[int, ...]) -> sa.CTE:
        """The events of the last step of a path that end a sequence along it."""
        if path not in self._levels:
            made = self._first() if len(path) == 1 else self._following(path)
            name = "level_" + "_".join(map(str, path[-2:]))
            kept = "MATERIALIZED" if len(path) > 1 else "NOT MATERIALIZED"
            self._levels[path] = made.cte(name).prefix_with(kept)
        return self._levels[path]

    def _first(self) -> sa.Select[Any]:
        c = self.entries.c
        anchors = [c.t.label(name) for name in self._anchors((1,))]
        parts = [c[name] for name in self.source.parts]
        return sa.select(
            *parts,
            c.t,
            c.tie,
            c.position,
            c.t.label("start"),
            c.t.label("prev"),
            c["at"].label("at"),
            *anchors,
        )

    def _anchors(self, path: tuple[int, ...]) -> list[str]:
        """The columns that tell when the steps were passed from which something is excluded yet."""
        last = path[-1]
        open_ones = {
            one.after
            for one in self.source.question.exclusions
            if one.after <= last < one.before and one.after in path
        }
        return [f"anchor_{after}" for after in sorted(open_ones)]

    def _following(self, path: tuple[int, ...]) -> sa.Select[Any]:
        before, step = path[-2], path[-1]
        own, reached = self._candidates(path), self._passed_on(path)
        # a sequence of one event begins with it
        again = () if len(path) == 2 else ("start", *self._anchors(path[:-1]))
        carried = ["t", *again]
        marks = [column.name for column in own.c if column.name.startswith("mark_")]
        both = sa.union_all(
            self._as_candidate(own, carried, marks), self._as_reached(reached, carried, marks)
        ).subquery(f"both_{step}")
        frame = self._frame(both, before, step)
        told = sa.select(
            both,
            *(sa.func.max(both.c[f"was_{n}"]).over(**frame).label(f"last_{n}") for n in carried),
        ).subquery(f"last_{step}")
        c = told.c
        if not again:
            names = ("start", *self._anchors(path[:-1]))
            same = (c.last_t.label(f"last_{name}") for name in names)
            told = sa.select(told, *same).subquery(f"told_{step}")
            c = told.c
        anchors = [
            (c.t if name == f"anchor_{step}" else c[f"last_{name}"]).label(name)
            for name in self._anchors(path)
        ]
        return sa.select(
            *(c[name] for name in self.source.parts),
            c.t,
            c.tie,
            c.position,
            c.last_start.label("start"),
            c.last_t.label("prev"),
            *anchors,
        ).where(c.role == 0, c.last_start.is_not(None), *self._allowed(told, before, step, marks))

    def _passed_on(self, path: tuple[int, ...]) -> sa.FromClause:
        """What reached the step before, of members that have an event of this one at all."""
        reached, own = self.level(path[:-1]), self._events(path)
        return (
            sa.select(reached)
            .where(reached.c.customer.in_(sa.select(own.c.customer)))
            .subquery(f"passed_on_{path[-1]}")
        )

    def _events(self, path: tuple[int, ...]) -> sa.CTE:
        """The events of a step, of members that may have reached the one before."""
        if path not in self._own:
            reached, step = self.level(path[:-1]), path[-1]
            rows = self.source.of_step(step).subquery(f"of_{step}")
            query = sa.select(rows)
            # without a period nearly all who did a later step did the first
            if len(path) > 2 or self.start is not None or self.end is not None:
                query = query.where(rows.c.customer.in_(sa.select(reached.c.customer)))
            name = f"candidates_{path[-2]}_{step}"
            self._own[path] = query.cte(name).prefix_with("MATERIALIZED")
        return self._own[path]

    def _candidates(self, path: tuple[int, ...]) -> sa.FromClause:
        """The events that may lengthen a sequence, each with what was excluded last before it."""
        before, step = path[-2], path[-1]
        own: sa.FromClause = self._events(path)
        reached = own
        for number, marks in self._marks(before, step).items():
            every = marks.subquery("every_mark")
            concerned = every.c.customer.in_(sa.select(reached.c.customer))
            own = marked(own, sa.select(every).where(concerned), f"mark_{number}")
        return own

    def _marks(self, before: int, step: int) -> dict[str, sa.Select[Any]]:
        """What may not come between two steps, by the name of its column."""
        question = self.source.question
        found = {
            f"{number}_{one.after}": self.source.marks(one)
            for number, one in enumerate(question.exclusions)
            if one.after <= before and step <= one.before
        }
        if question.order == "strict":
            found["any"] = self.source.anything()
        return found

    def _as_candidate(
        self, own: sa.FromClause, carried: Sequence[str], marks: Sequence[str]
    ) -> sa.Select[Any]:
        c = own.c
        return sa.select(
            *(c[name] for name in self.source.parts),
            c.t,
            c.tie,
            c.position,
            whole(0).label("role"),
            *(c[name] for name in marks),
            *(_null(sa.BigInteger()).label(f"was_{name}") for name in carried),
        )

    def _as_reached(
        self, reached: sa.FromClause, carried: Sequence[str], marks: Sequence[str]
    ) -> sa.Select[Any]:
        c = reached.c
        return sa.select(
            *(c[name] for name in self.source.parts),
            c.t,
            c.tie,
            c.position,
            whole(1).label("role"),
            *(_null(sa.BigInteger()).label(name) for name in marks),
            *(c[name].label(f"was_{name}") for name in carried),
        )

    def _frame(self, rows: sa.FromClause, before: int, step: int) -> dict[str, Any]:
        """What comes before a row; and where a gap is asked for, at least so long before it."""
        c = rows.c
        partition = [c[name] for name in self.source.parts]
        least = self.source.question.gap(step).least
        if least is not None:
            return {"partition_by": partition, "order_by": c.t, "range_": (None, -micros(least))}
        order = [c.t, c.tie]
        told_apart = self.source.tie_is_fixed(before) and self.source.tie_is_fixed(step)
        if not told_apart:
            # an event is no event before itself: as one to come it stands first
            order += [c.position, c.role]
        return {"partition_by": partition, "order_by": order, "rows": BEFORE}

    def _allowed(
        self, told: sa.FromClause, before: int, step: int, marks: Sequence[str]
    ) -> list[ColumnElement[bool]]:
        c, question = told.c, self.source.question
        parts: list[ColumnElement[bool]] = []
        if question.within is not None:
            parts.append(c.t - c.last_start <= whole(micros(question.within)))
        most = question.gap(step).most
        if most is not None:
            parts.append(c.t - c.last_t <= whole(micros(most)))
        for name in marks:
            after = name.rpartition("_")[2]
            since = c.last_t if after in {"any", str(before)} else c[f"last_anchor_{after}"]
            parts.append(sa.or_(c[name].is_(None), since >= c[name]))
        return parts

    def _node(self, path: tuple[int, ...], after: int | None) -> Node:
        """The members of a step, and where they stand as to the next one."""
        rows = self.level(path)
        c = rows.c
        parts = [c[name] for name in self.source.parts]
        anchors = [sa.func.max(c[name]).label(f"last_{name}") for name in self._anchors(path)]
        name = "_".join(map(str, (*path[-2:], after or "end")))
        ends = (
            sa.select(
                *parts,
                sa.func.min(c.t).label("t"),
                sa.func.min(c.start).label("start"),
                sa.func.min(c.prev).label("prev"),
                sa.func.max(c.start).label("last_start"),
                sa.func.max(c.t).label("last_t"),
                *anchors,
                *([sa.func.min(c["at"]).label("first_at")] if len(path) == 1 else []),
            )
            .group_by(*parts)
            .cte(f"ends_{name}")
        )
        judged = self._judged(ends, path, after, name)
        return Node(by_member(judged, self.source).cte(f"node_{name}").prefix_with("MATERIALIZED"))

    def _judged(
        self, ends: sa.CTE, path: tuple[int, ...], after: int | None, name: str
    ) -> sa.Subquery:
        """Each with ``mature``, ``pending``, ``excluded`` and ``ripe``."""
        c, now, question = ends.c, whole(self.now), self.source.question
        ripe: ColumnElement[bool] = sa.true()
        if question.longest is not None:
            ripe = c.last_start + whole(micros(question.longest)) <= now
        flags: list[ColumnElement[Any]] = [flag(ripe).label("ripe")]
        joined: sa.FromClause = ends
        if after is None:
            flags += [whole(0).label(one) for one in ("pending", "excluded", "mature")]
        else:
            until, ended = self._until(ends, after), None
            marks = self._marks(path[-1], after)
            if marks:
                stops = self._stops(ends, path[-1], marks, name)
                same = [stops.c[one] == c[one] for one in self.source.keys]
                if "held" in c:
                    same.append(stops.c.held == c.held)
                joined, ended = ends.outerjoin(stops, sa.and_(*same)), stops.c.t
            stopped = sa.false() if ended is None else sa.func.coalesce(ended <= until, sa.false())
            running = until > now
            flags += [
                flag(sa.and_(running, sa.not_(stopped))).label("pending"),
                flag(stopped).label("excluded"),
                flag(sa.not_(running)).label("mature"),
            ]
        first = ["first_at"] if len(path) == 1 else []
        columns = [c[one] for one in (*self.source.parts, "t", "start", "prev", *first)]
        return sa.select(*columns, *flags).select_from(joined).subquery(f"judged_{name}")

    def _until(self, ends: sa.FromClause, after: int) -> ColumnElement[Any]:
        """Up to when the next step can be reached."""
        question, limits = self.source.question, []
        if question.within is not None:
            limits.append(ends.c.last_start + whole(micros(question.within)))
        most = question.gap(after).most
        if most is not None:
            limits.append(ends.c.last_t + whole(micros(most)))
        return limits[0] if len(limits) == 1 else sa.func.least(*limits, type_=sa.BigInteger())

    def _stops(
        self, ends: sa.CTE, step: int, marks: dict[str, sa.Select[Any]], name: str
    ) -> sa.Subquery:
        """When the latest sequence was first met by what may not come between."""
        found = []
        for mark, rows in marks.items():
            after = mark.rpartition("_")[2]
            since = ends.c.last_t if after in {"any", str(step)} else ends.c[f"last_anchor_{after}"]
            own = rows.subquery(f"stop_{mark}_{name}")
            later = sa.and_(own.c.customer == ends.c.customer, own.c.t > since)
            parts = [ends.c[one] for one in self.source.parts]
            found.append(
                sa.select(*parts, sa.func.min(own.c.t).label("t"))
                .select_from(ends.join(own, later))
                .group_by(*parts)
            )
        every = sa.union_all(*found).subquery(f"stops_{name}")
        parts = [every.c[one] for one in self.source.parts]
        return (
            sa.select(*parts, sa.func.min(every.c.t).label("t"))
            .group_by(*parts)
            .subquery(f"stopped_{name}")
        )


def _null(kind: Any) -> ColumnElement[Any]:
    return sa.cast(sa.null(), kind)
