"""Paths in SQL: the nodes of each cycle in order, and how many walked alike."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa
from sqlalchemy.sql.elements import ColumnElement

from bowtie.stages import STAGES
from bowtie_projections import tables
from bowtie_projections.conditions import Facts
from bowtie_projections.cycles import first_touch
from bowtie_projections.expressions import micros_between, quantiles
from bowtie_projections.views.breakdown import Dimension
from bowtie_projections.views.cut import Cut, counts
from bowtie_projections.views.funnel.members import folded
from bowtie_projections.views.funnel.question import Question
from bowtie_projections.views.paths.names import Names

__all__ = ["Walks"]

#: At one moment a touch comes before the stage that it enters.
_AFTER_TOUCHES = 1 << 60


@dataclass(frozen=True, slots=True)
class Walks:
    """The paths of one question.

    Args:
        journeys: all cycles at the cut.
        cut: the facts that count; settled.
        question: what was asked; the period is that of the end, where one is named, else of the
            beginning of a path.
        of: the field of touches that names nodes, if touches are nodes.
        stages: whether the stages are nodes.
        starts, ends: the stages from and up to which a path is looked at.
        steps: how many nodes of a path are told.
        collapse: whether a node that follows itself counts once.
        names: the numbers of the nodes.
        dimensions: the breakdowns, as known when a path begins; where its end is named, then.
        kept: for each breakdown that has too many values, those that stay apart.
        tells: whether the facts of nodes are told too.
    """

    journeys: sa.FromClause
    cut: Cut
    question: Question
    of: str | None
    stages: bool
    starts: str | None
    ends: str | None
    steps: int
    collapse: bool
    names: Names
    dimensions: Sequence[Dimension] = ()
    kept: Mapping[str, Sequence[str]] = field(default_factory=dict)
    tells: bool = False

    @property
    def keys(self) -> list[str]:
        """The columns that name a cell, as SQL names them."""
        return [one.column for one in self.dimensions]

    @property
    def backward(self) -> bool:
        """Whether nodes are counted from the end, because only that is named."""
        return self.ends is not None and self.starts is None

    def found(self) -> sa.Select[Any]:
        """All that is counted, in one pass: rows of three kinds.

        ``path``: a path (a number, as :class:`Names` has it), whether there is ``more`` of it and
        whether it was ``lost``: how many walked it, how many of them committed, and the median of
        the microseconds from its first to its last node told. ``step``: from a node at a place to
        the next. ``move``: from a node to the next, at any place. All by cell.
        """
        walked = self.in_cells().cte("walked").prefix_with("MATERIALIZED")
        return sa.select(
            sa.union_all(self._paths(walked), self._steps(walked), self._moves(walked)).subquery(
                "found"
            )
        )

    def ranked_cells(self, dimension: Dimension) -> sa.Select[Any]:
        """The values of a breakdown, those of the most paths first."""
        cells = self._cells(self._walked().cte("walked").prefix_with("MATERIALIZED"))
        value = cells.c[dimension.column]
        return (
            sa.select(value.label("value"))
            .where(value.is_not(None))
            .group_by(value)
            .order_by(sa.func.count().desc(), value)
            .limit(self.question.top)
        )

    def ranked(self) -> sa.Select[Any]:
        """The values of touches, the most frequent first."""
        table = tables.facts["touched"]
        value = table.c[str(self.of)]
        return (
            sa.select(value.label("value"))
            .where(counts(table, self.cut), value.is_not(None))
            .group_by(value)
            .order_by(sa.func.count().desc(), value)
            .limit(self.question.top)
        )

    def _passes(self) -> sa.Subquery:
        """The cycles that are looked at."""
        c = self.journeys.c
        parts: list[ColumnElement[bool]] = []
        if not self.question.cycles:
            parts.append(c.cycle == 1)
        since, until = (
            None if stage is None else c[f"{stage}_at"] for stage in (self.starts, self.ends)
        )
        parts += [one.is_not(None) for one in (since, until) if one is not None]
        if since is not None and until is not None:
            parts.append(since <= until)
        bound = until if until is not None else since
        if bound is not None:
            parts += self._in_period(bound)
        return sa.select(self.journeys).where(sa.true(), *parts).subquery("passes")

    def _in_period(self, at: ColumnElement[Any]) -> list[ColumnElement[bool]]:
        start, end = self.question.start, self.question.end
        parts = []
        if start is not None:
            parts.append(at >= sa.literal(start))
        if end is not None:
            parts.append(at < sa.literal(end))
        return parts

    def _nodes(self) -> sa.Subquery:
        """Every node of every cycle, and whether that was lost and ever committed."""
        passes = self._passes()
        found = [self._stage_nodes(passes, stage) for stage in self._stages_told()]
        if self.of is not None:
            found.append(self._touch_nodes(passes, self.of))
        return sa.union_all(*found).subquery("nodes")

    def _stages_told(self) -> Sequence[str]:
        if self.stages:
            return STAGES
        return [stage for stage in (self.starts, self.ends) if stage is not None]

    def _stage_nodes(self, passes: sa.Subquery, stage: str) -> sa.Select[Any]:
        c, place = passes.c, STAGES.index(stage)
        at = c[f"{stage}_at"]
        parts: list[ColumnElement[bool]] = [at.is_not(None)]
        # of two stages entered at one moment, the later one comes later
        if self.starts is not None:
            first, is_later = c[f"{self.starts}_at"], place >= STAGES.index(self.starts)
            parts.append(at >= first if is_later else at > first)
        if self.ends is not None:
            last, is_earlier = c[f"{self.ends}_at"], place <= STAGES.index(self.ends)
            parts.append(at <= last if is_earlier else at < last)
        return sa.select(
            c.customer,
            c.cycle,
            at.label("at"),
            sa.literal_column(str(_AFTER_TOUCHES + place), sa.BigInteger()).label("tie"),
            sa.literal_column(str(self.names.stage_code(stage)), sa.BigInteger()).label("code"),
            c.lost_at.is_not(None).label("lost"),
            c.commitment_at.is_not(None).label("committed"),
        ).where(*parts)

    def _touch_nodes(self, passes: sa.Subquery, field: str) -> sa.Select[Any]:
        """The touches of a cycle: from its opening (the first has those before too) to its loss."""
        table, c = tables.facts["touched"], passes.c
        t, codes = table.c, self.names.codes()
        inside = sa.and_(
            sa.or_(c.cycle == 1, t.occurred_at >= c.opened_at),
            sa.or_(c.lost_at.is_(None), t.occurred_at <= c.lost_at),
        )
        # who is in no stage has touches too
        alone = c.customer.is_(None)
        bounded = self.starts is not None or self.ends is not None
        parts = [counts(table, self.cut), inside if bounded else sa.or_(alone, inside)]
        if self.starts is not None:
            parts.append(t.occurred_at > c[f"{self.starts}_at"])
        if self.ends is not None:
            parts.append(t.occurred_at <= c[f"{self.ends}_at"])
        same = c.customer == t.customer
        joined = table.join(passes, same, isouter=not bounded)
        return (
            sa.select(
                t.customer,
                sa.func.coalesce(c.cycle, 1).label("cycle"),
                t.occurred_at.label("at"),
                t.position.label("tie"),
                self.names.code_of(t[field], codes).label("code"),
                c.lost_at.is_not(None).label("lost"),
                c.commitment_at.is_not(None).label("committed"),
            )
            .select_from(joined.outerjoin(codes, codes.c.name == t[field]))
            .where(*parts)
        )

    def in_cells(self) -> sa.Select[Any]:
        """The nodes of all paths, each with the values of its path's cell."""
        if not self.dimensions:
            return self._walked()
        walked = self._walked().cte("whole").prefix_with("MATERIALIZED")
        cells = self._cells(walked)
        same = sa.and_(cells.c.customer == walked.c.customer, cells.c.cycle == walked.c.cycle)
        values = [cells.c[name] for name in self.keys]
        return sa.select(*walked.c, *values).select_from(walked.join(cells, same))

    def _cells(self, walked: sa.CTE) -> sa.Subquery:
        """Each path with the values that it is broken down by."""
        paths = (
            sa.select(walked.c.customer, walked.c.cycle, walked.c.moment)
            .where(walked.c.place == 1)
            .subquery("first_nodes")
        )
        c = paths.c
        found: sa.FromClause = paths
        if any(one.kind == "touch" for one in self.dimensions):
            touch = first_touch(Facts(self.cut)).subquery("touch")
            found = found.outerjoin(touch, touch.c.customer == c.customer)
        journeys: sa.FromClause = paths
        if any(one.kind == "contract" for one in self.dimensions):
            j = self.journeys
            same = sa.and_(j.c.customer == c.customer, j.c.cycle == c.cycle)
            found, journeys = found.join(j, same), j
        values = []
        for one in self.dimensions:
            source = one.source(self.cut)
            if source is None:
                value: ColumnElement[Any] = one.touch(touch, c.moment)
            else:
                whose = journeys if one.kind == "contract" else paths
                found = found.outerjoin(source, one.place(whose, source, c.moment))
                value = source.c.value
            kept = self.kept.get(one.name)
            values.append((value if kept is None else folded(value, kept)).label(one.column))
        return sa.select(c.customer, c.cycle, *values).select_from(found).subquery("cells")

    def _walked(self) -> sa.Select[Any]:
        """The nodes with their place in the path, and what follows them."""
        nodes: sa.FromClause = self._nodes()
        if self.collapse:
            nodes = self._collapsed(nodes)
        c = nodes.c
        who = self._who(c)
        order = (c["at"], c.tie)
        onward: dict[str, Any] = {"partition_by": who, "order_by": order}
        back = {"partition_by": who, "order_by": tuple(one.desc() for one in order)}
        place = sa.func.row_number().over(**(back if self.backward else onward))
        # of which moment a path is: its end where that is named, else its beginning
        bound = sa.func.min if self.ends is None else sa.func.max
        walked = sa.select(
            c.customer,
            c.cycle,
            c["at"],
            c.code,
            c.lost,
            c.committed,
            place.label("place"),
            sa.func.lead(c.code).over(**onward).label("next_code"),
            sa.func.lead(c["at"]).over(**onward).label("next_at"),
            *self._ties(c, onward),
            bound(c["at"]).over(partition_by=who).label("moment"),
        ).subquery("numbered")
        bounded = self.starts is not None or self.ends is not None
        parts = [] if bounded else self._in_period(walked.c.moment)
        return sa.select(*walked.c).where(sa.true(), *parts)

    def _ties(self, c: Any, onward: dict[str, Any]) -> list[ColumnElement[Any]]:
        """What a node is by: the position of its touch; asked for only where it is told."""
        if not self.tells:
            return []
        return [c.tie, sa.func.lead(c.tie).over(**onward).label("next_tie")]

    def _who(self, c: Any) -> list[ColumnElement[Any]]:
        return [c.customer, c.cycle] if self.question.cycles else [c.customer]

    def _collapsed(self, nodes: sa.FromClause) -> sa.FromClause:
        c = nodes.c
        before = sa.func.lag(c.code).over(partition_by=self._who(c), order_by=(c["at"], c.tie))
        rows = sa.select(nodes, before.label("before")).subquery("repeated")
        kept = [column for column in rows.c if column.name != "before"]
        return sa.select(*kept).where(rows.c.before.is_distinct_from(rows.c.code)).subquery("apart")

    def each(self, walked: sa.CTE) -> sa.Subquery:
        """Every path: whose, which, what stands after it, and whether it ever committed."""
        c = walked.c
        told = c.place <= self.steps
        digits = sa.func.sum(c.code * self.names.power(c.place, self.steps))
        each = (
            sa.select(
                c.customer,
                sa.func.min(c.cycle).label("cycle"),
                sa.cast(digits, sa.BigInteger()).label("path"),
                (sa.func.max(c.place) > self.steps).label("more"),
                c.lost,
                c.committed,
                *(c[name] for name in self.keys),
                micros_between(
                    sa.func.min(c["at"]).filter(told), sa.func.max(c["at"]).filter(told)
                ).label("micros"),
            )
            .where(c.place <= self.steps + 1)
            .group_by(*self._who(c), c.lost, c.committed, *(c[name] for name in self.keys))
            .subquery("each")
        )
        e = each.c
        # what comes after the last node told, where something does, isn't told apart
        lost = sa.and_(e.lost, sa.not_(e.more)) if self.ends is None else sa.false()
        own = (one for one in e if one.name != "lost")
        return sa.select(*own, lost.label("lost")).subquery("paths")

    def _paths(self, walked: sa.CTE) -> sa.Select[Any]:
        p = self.each(walked).c
        keys = [p[name] for name in self.keys]
        return _row(
            "path",
            keys,
            p.micros,
            path=p.path,
            more=p.more,
            lost=p.lost,
            part=sa.func.count().filter(p.committed),
        ).group_by(p.path, p.more, p.lost, *keys)

    def _steps(self, walked: sa.CTE) -> sa.Select[Any]:
        c = walked.c
        told = c.place <= self.steps if self.backward else c.place < self.steps
        waited = micros_between(c["at"], c.next_at)
        keys = [c[name] for name in self.keys]
        row = _row("step", keys, waited, path=c.place, source=c.code, target=c.next_code)
        told = sa.and_(told, c.next_code.is_not(None))
        return row.where(told).group_by(c.place, c.code, c.next_code, *keys)

    def _moves(self, walked: sa.CTE) -> sa.Select[Any]:
        c = walked.c
        waited, whose = micros_between(c["at"], c.next_at), sa.func.count(c.customer.distinct())
        keys = [c[name] for name in self.keys]
        row = _row("move", keys, waited, source=c.code, target=c.next_code, part=whose)
        return row.where(c.next_code.is_not(None)).group_by(c.code, c.next_code, *keys)


#: What rows of some kind have, beside their number and their time.
_OWN: dict[str, Any] = {
    "path": sa.BigInteger(),
    "more": sa.Boolean(),
    "lost": sa.Boolean(),
    "source": sa.BigInteger(),
    "target": sa.BigInteger(),
    "part": sa.BigInteger(),
}


def _row(
    kind: str,
    keys: Sequence[ColumnElement[Any]],
    micros: ColumnElement[Any],
    **own: ColumnElement[Any],
) -> sa.Select[Any]:
    """A row of the answer; what its kind doesn't have is null."""
    columns = [
        sa.cast(own.get(name, sa.null()), kind_of).label(name) for name, kind_of in _OWN.items()
    ]
    return sa.select(
        sa.literal_column(f"'{kind}'", sa.String()).label("kind"),
        *keys,
        *columns,
        sa.func.count().label("number"),
        quantiles(micros, [0.5]).label("micros"),
    )
