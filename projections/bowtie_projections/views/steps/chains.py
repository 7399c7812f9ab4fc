"""The members of each step of an ordered funnel, step after step, in SQL.

What it computes: ``e1, ..., ek`` is a sequence to step k if its events are different ones of one
member (and one held value), fit the steps up to k that are required, stand in their order (by time;
of one time by the first step they fit, then by position), lie within the window from ``e1``, within
the gaps from one to the next, and nothing that is excluded lies between the steps it is excluded
from. Between means: later than the one and earlier than the other.

How: sequences that end at one event can be compared place by place, and of two of them the later
event in each place makes another one. So it is enough to know, of each event, the latest sequence
that ends there; and that goes through the latest event before it that ends a sequence to the step
before.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import sqlalchemy as sa
from sqlalchemy.sql.elements import ColumnElement

from bowtie_projections.views.steps.latest import FEW, Latest
from bowtie_projections.views.steps.question import Row
from bowtie_projections.views.steps.rows import StepRows, whole
from bowtie_projections.views.steps.windows import Node, by_member, flag, marked, micros

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
    _ended: dict[tuple[int, ...], sa.CTE] = field(default_factory=dict, init=False)
    _many: dict[tuple[int, ...], sa.CTE] = field(default_factory=dict, init=False)

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
        own = self._candidates(path)
        # a sequence of one event begins with it
        again = () if len(path) == 2 else ("start", *self._anchors(path[:-1]))
        carried = ["t", *again]
        marks = [column.name for column in own.c if column.name.startswith("mark_")]
        latest = Latest(self.source, before, step, carried, marks)
        told: sa.FromClause = latest.of(own, self.level(path[:-1]), self._busy(path[:-1]))
        if not again:
            names = ("start", *self._anchors(path[:-1]))
            same = (told.c.last_t.label(f"last_{name}") for name in names)
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
        ).where(*self._allowed(told, before, step, marks))

    def _busy(self, path: tuple[int, ...]) -> sa.CTE:
        """The customers who have so many sequences along a path that pairs would be many."""
        if path not in self._many:
            ends = self._ends(path)
            found = sa.select(ends.c.customer).where(ends.c.events > whole(FEW)).distinct()
            name = "busy_" + "_".join(map(str, path[-2:]))
            self._many[path] = found.cte(name).prefix_with("MATERIALIZED")
        return self._many[path]

    def _candidates(self, path: tuple[int, ...]) -> sa.CTE:
        """The events that may lengthen a sequence, each with what was excluded last before it."""
        before, step = path[-2], path[-1]
        rows = self.source.of_step(step).subquery(f"of_{step}")
        excluded = self._marks(before, step)
        name = f"candidates_{before}_{step}"
        if not excluded:
            # what is joined is read where it lies
            return sa.select(rows).cte(name).prefix_with("NOT MATERIALIZED")
        reached = self.level(path[:-1])
        concerned = rows.c.customer.in_(sa.select(reached.c.customer))
        events = sa.select(rows).where(concerned).cte(f"events_of_{before}_{step}")
        events = events.prefix_with("MATERIALIZED")
        own: sa.FromClause = events
        for number, marks in excluded.items():
            every = marks.subquery("every_mark")
            of_those = every.c.customer.in_(sa.select(events.c.customer))
            own = marked(own, sa.select(every).where(of_those), f"mark_{number}")
        return sa.select(own).cte(name).prefix_with("MATERIALIZED")

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

    def _ends(self, path: tuple[int, ...]) -> sa.CTE:
        """The members of a step: their first and latest sequences to it, and how many there are."""
        if path not in self._ended:
            rows = self.level(path)
            c = rows.c
            parts = [c[name] for name in self.source.parts]
            anchors = [sa.func.max(c[name]).label(f"last_{name}") for name in self._anchors(path)]
            query = sa.select(
                *parts,
                sa.func.min(c.t).label("t"),
                sa.func.min(c.start).label("start"),
                sa.func.min(c.prev).label("prev"),
                sa.func.max(c.start).label("last_start"),
                sa.func.max(c.t).label("last_t"),
                sa.func.count().label("events"),
                *anchors,
                *([sa.func.min(c["at"]).label("first_at")] if len(path) == 1 else []),
            ).group_by(*parts)
            name = "ends_" + "_".join(map(str, path[-2:]))
            self._ended[path] = query.cte(name).prefix_with("MATERIALIZED")
        return self._ended[path]

    def _node(self, path: tuple[int, ...], after: int | None) -> Node:
        """The members of a step, and where they stand as to the next one."""
        name = "_".join(map(str, (*path[-2:], after or "end")))
        judged = self._judged(self._ends(path), path, after, name)
        rows = by_member(judged, self.source).cte(f"node_{name}")
        # without either it only names what is there
        plain = self.source.question.hold is None and (
            after is None or not self._marks(path[-1], after)
        )
        return Node(rows.prefix_with("NOT MATERIALIZED" if plain else "MATERIALIZED"))

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
