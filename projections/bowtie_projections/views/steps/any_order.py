"""The members of a funnel in any order: who did one of the steps, two of them, three, in SQL.

What it computes: ``k`` of the steps were done if there are ``k`` different events of one member
(and one held value) that fit ``k`` different steps, within the window from the first of them, and
nothing excluded lies between the first and the last.

How: from each event that may be the first, the first event of each step at or after it; sorted,
the k-th of these is when k were done.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import sqlalchemy as sa
from sqlalchemy.sql.elements import ColumnElement

from bowtie_projections.views.steps.language import Test
from bowtie_projections.views.steps.rows import StepRows, whole
from bowtie_projections.views.steps.windows import Node, by_member, flag, marked, micros

__all__ = ["AnyOrder"]

#: Later than all times, in microseconds.
_NEVER = 1 << 62
#: A row and all after it.
_FROM_HERE = (0, None)


@dataclass(frozen=True)
class AnyOrder:
    """The sequences of one question, in whatever order.

    Args:
        source: the events of the steps.
        now: the moment it is asked as of, in microseconds.
        start, end: the period of the first event in microseconds, ``end`` not in it.
    """

    source: StepRows
    now: int
    start: int | None
    end: int | None

    @cached_property
    def kinds(self) -> list[tuple[int, int]]:
        """The different steps, each by the first number it has, and how often it is asked for."""
        found: dict[frozenset[Test], list[int]] = {}
        for number, step in enumerate(self.source.question.steps, 1):
            found.setdefault(step.same, []).append(number)
        return [(numbers[0], len(numbers)) for numbers in found.values()]

    def overlapping(self) -> list[tuple[int, int, sa.Select[Any]]]:
        """Pairs of different steps, and what finds an event that fits both."""
        firsts = [first for first, _ in self.kinds]
        pairs = [(one, other) for place, one in enumerate(firsts) for other in firsts[place + 1 :]]
        found = [(one, other, self.source.fits_both(one, other)) for one, other in pairs]
        return [(one, other, query) for one, other, query in found if query is not None]

    @cached_property
    def entries(self) -> sa.CTE:
        """The events that may be the first: of each member all in the period, or the first."""
        rows = self._sorted
        c = rows.c
        parts: list[ColumnElement[bool]] = []
        if self.start is not None:
            parts.append(c.t >= whole(self.start))
        if self.end is not None:
            parts.append(c.t < whole(self.end))
        own = sa.select(rows).where(*parts).subquery("own_starts")
        if self.source.question.reentry == "first":
            keys = [own.c[name] for name in self.source.keys]
            first = sa.func.min(own.c.t).over(partition_by=keys).label("first_t")
            told = sa.select(own, first).subquery("told_starts")
            columns = [column for column in told.c if column.name != "first_t"]
            query = sa.select(*columns).where(told.c.t == told.c.first_t)
            return query.cte("step_entries").prefix_with("MATERIALIZED")
        return sa.select(own).cte("step_entries").prefix_with("MATERIALIZED")

    @cached_property
    def _events(self) -> sa.Subquery:
        found = []
        for first, _ in self.kinds:
            rows = self.source.of_step(first).subquery(f"of_{first}")
            found.append(sa.select(rows, whole(first).label("kind")))
        return sa.union_all(*found).subquery("every_event")

    @cached_property
    def _sorted(self) -> sa.FromClause:
        """The events, each with when 1, 2, ... steps were done from there on: ``done_1``, ..."""
        rows = self._events
        c = rows.c
        parts = [c[name] for name in self.source.parts]
        own = [
            sa.func.lead(c.t, more).over(
                partition_by=[*parts, c.kind], order_by=(c.t, c.position)
            ).label(f"next_{more}")
            for more in range(1, max(times for _, times in self.kinds))
        ]  # fmt: skip
        told = sa.select(rows, c.t.label("next_0"), *own).subquery("told_events")
        c = told.c
        frame: dict[str, Any] = {
            "partition_by": [c[name] for name in self.source.parts],
            "order_by": (c.t, c.tie, c.position),
            "rows": _FROM_HERE,
        }
        wanted = [(kind, more) for kind, times in self.kinds for more in range(times)]
        firsts = [
            sa.func.coalesce(
                sa.func.min(sa.case((c.kind == whole(kind), c[f"next_{more}"]))).over(**frame),
                whole(_NEVER),
            ).label(f"done_{number}")
            for number, (kind, more) in enumerate(wanted, 1)
        ]
        kept = [c[name] for name in (*self.source.parts, "at", "t", "tie", "position")]
        found = _in_order(sa.select(*kept, *firsts).subquery("firsts"), len(wanted))
        for number, exclusion in enumerate(self.source.question.exclusions):
            marks = self.source.marks(exclusion)
            found = marked(found, marks, f"mark_{number}", after=True)
        return found

    @cached_property
    def nodes(self) -> dict[tuple[int, ...], Node]:
        """The members that did so many of the steps, by how many."""
        numbers = range(1, len(self.source.question.steps) + 1)
        return {(number,): self._node(number) for number in numbers}

    def _node(self, number: int) -> Node:
        rows, question = self.entries, self.source.question
        c, now = rows.c, whole(self.now)
        assert question.within is not None  # noqa: S101 - for the type checker
        until = c.t + whole(micros(question.within))
        stops = [c[f"mark_{place}"] for place in range(len(question.exclusions))]
        stop: ColumnElement[Any] = whole(_NEVER)
        if stops:
            each = (sa.func.coalesce(one, whole(_NEVER)) for one in stops)
            stop = sa.func.least(*each, type_=sa.BigInteger())
        done = c[f"done_{number}"]
        parts = [c[name] for name in self.source.parts]
        ends = (
            sa.select(
                *parts,
                sa.func.min(done).label("t"),
                sa.func.min(c.t).label("start"),
                sa.func.min(c[f"done_{max(number - 1, 1)}"]).label("prev"),
                sa.func.max(until).label("until"),
                sa.func.max(stop).label("stop"),
                *([sa.func.min(c["at"]).label("first_at")] if number == 1 else []),
            )
            .where(done <= until, done <= stop)
            .group_by(*parts)
            .subquery(f"ends_{number}")
        )
        c = ends.c
        running, stopped = c.until > now, c.stop <= c.until
        last = number == len(question.steps)
        flags = [
            flag(sa.false() if last else sa.and_(running, sa.not_(stopped))).label("pending"),
            flag(sa.false() if last else stopped).label("excluded"),
            flag(sa.false() if last else sa.not_(running)).label("mature"),
            flag(sa.not_(running)).label("ripe"),
        ]
        first = ["first_at"] if number == 1 else []
        columns = [c[name] for name in (*self.source.parts, "t", "start", "prev", *first)]
        judged = sa.select(*columns, *flags).subquery(f"judged_{number}")
        made = by_member(judged, self.source)
        return Node(made.cte(f"node_{number}").prefix_with("MATERIALIZED"))


def _in_order(rows: sa.Subquery, number: int) -> sa.FromClause:
    """The rows with ``done_1`` to ``done_N`` ascending: neighbours are swapped N times."""
    found = rows
    for turn in range(number):
        c = found.c
        columns: dict[str, ColumnElement[Any]] = {column.name: column for column in c}
        for left in range(1 + turn % 2, number, 2):
            one, other = c[f"done_{left}"], c[f"done_{left + 1}"]
            columns[f"done_{left}"] = sa.func.least(one, other, type_=sa.BigInteger())
            columns[f"done_{left + 1}"] = sa.func.greatest(one, other, type_=sa.BigInteger())
        found = sa.select(*(value.label(name) for name, value in columns.items())).subquery(
            f"sorted_{turn}"
        )
    return found
