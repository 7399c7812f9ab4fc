"""Who walked a path, and what put each of its nodes there."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import sqlalchemy as sa
from sqlalchemy.sql.elements import ColumnElement

from bowtie.stages import STAGES, Definition
from bowtie_projections.evidence import Evidence, Figure, Trace, has_values, not_explained
from bowtie_projections.views.paths.names import LOST, OPEN
from bowtie_projections.views.paths.told import Told, in_cells
from bowtie_projections.views.paths.view import taken_by, walks_of
from bowtie_projections.views.paths.walks import Walks
from bowtie_projections.views.units import Units, plural

__all__ = ["evidence", "moves", "sequences"]


def evidence(figure: Figure) -> Evidence:
    """Who went from one node to another at a step, and the events of both.

    Args:
        figure: of the row of the steps; its column is the customers, or whatever is
            counted.

    Raises:
        UsageError: no members stand behind the column.
    """
    cell = figure.cell
    telling = _Telling.of(figure)
    telling.check(figure.column, (telling.counted,))
    step = cell["step"]
    found = telling.told.passing(step, cell["source"], cell["target"])
    first = 1 - step if telling.walks.backward else step
    places = (first, first - 1 if telling.walks.backward else first + 1)
    members = telling.walking(path.key for path in found)
    return telling.evidence(members, telling.nodes(places), is_lost=cell["target"] == LOST)


def sequences(figure: Figure) -> Evidence:
    """Who walked a whole path, and the events of its nodes.

    Args:
        figure: of the row of the part ``sequences``; its column is the customers (or
            whatever is counted), or of them the ``committed`` or ``open``.

    Raises:
        UsageError: no members stand behind the column.
    """
    column = figure.column
    telling = _Telling.of(figure)
    telling.check(column, (telling.counted, "committed", "open"))
    found = telling.told.called(figure.cell["sequence"], telling.walks.question.top)
    if column == "open":
        found = [path for path in found if path.nodes[-1] == OPEN]
    members = telling.walking((path.key for path in found), committed=column == "committed")
    nodes = telling.nodes(range(1, telling.walks.steps + 1))
    lost = any(path.nodes[-1] == LOST for path in found)
    return telling.evidence(members, nodes, is_lost=lost)


def moves(figure: Figure) -> Evidence:
    """Who went from one node to another at any step, and the events of both.

    Args:
        figure: of the row of the part ``moves``; its column is the customers (or whatever
            is counted), or their ``moves``.

    Raises:
        UsageError: no members stand behind the column.
    """
    cell, column = figure.cell, figure.column
    telling = _Telling.of(figure)
    telling.check(column, (telling.counted, "moves"))
    codes = telling.codes()
    w = telling.walked.c
    made = (
        sa.select(telling.walked)
        .where(
            telling.inside(telling.walked),
            w.code.in_(codes[cell["source"]]),
            w.next_code.in_(codes[cell["target"]]),
        )
        .cte("made")
    )
    m = made.c
    # customers are counted once, however many passes of theirs made the move
    who = [m.customer, m.cycle] if telling.by_cycle and column == "moves" else [m.customer]
    members = sa.select(*who, sa.func.count().label("moves")).group_by(*who).cte("movers")
    ends = (("at", "tie", "code"), ("next_at", "next_tie", "next_code"))
    names = ("at", "tie", "code")
    nodes = sa.union_all(
        *(
            sa.select(
                m.customer,
                m.cycle,
                *(m[own].label(name) for own, name in zip(end, names, strict=True)),
            )
            for end in ends
        )
    ).subquery("nodes")
    return telling.evidence(members, nodes, total="moves" if column == "moves" else "")


class _Telling:
    """The paths of one cell, and whom they are of."""

    def __init__(
        self, units: Units, walks: Walks, definition: Definition, cell: Mapping[str, Any]
    ) -> None:
        self.units, self.definition, self.cell = units, definition, cell
        cells = in_cells(units.reader.fetch(walks.found()).to_pylist(), walks)
        taken = taken_by(units)
        named = tuple(cell[one.title(taken)] for one in walks.dimensions)
        self.told: Told = cells[named]
        self.walks = replace(walks, tells=True)
        self.walked = self.walks.in_cells().cte("walked").prefix_with("MATERIALIZED")

    @classmethod
    def of(cls, figure: Figure) -> _Telling:
        """Those that a figure is of."""
        units, walks = walks_of(figure.reader, figure.cut, figure.definition, figure.asked)
        return cls(units, walks, figure.definition, figure.cell)

    @property
    def counted(self) -> str:
        """The column of those who are counted."""
        return plural(self.units.name)

    @property
    def by_cycle(self) -> bool:
        """Whether each pass is a path."""
        return self.walks.question.cycles

    def check(self, column: str, known: Sequence[str]) -> None:
        """Refuse a column without members."""
        if column not in known:
            raise not_explained(column, known)

    def inside(self, rows: sa.FromClause) -> ColumnElement[bool]:
        """The rows of the cell."""
        taken = taken_by(self.units)
        return has_values(rows, self.walks.dimensions, self.walks.kept, self.cell, taken)

    def codes(self) -> dict[str, list[int]]:
        """The numbers of each node, by what an answer calls it."""
        names = self.walks.names
        found: dict[str, list[int]] = {}
        for code in range(1, names.base):
            found.setdefault(names.name(code), []).append(code)
        return found

    def walking(self, keys: Iterable[tuple[int, bool, bool]], *, committed: bool = False) -> sa.CTE:
        """Who walked some paths; only who ever committed, if that is asked for."""
        paths = self.walks.each(self.walked)
        p = paths.c
        columns = (
            sa.column("path", sa.BigInteger()),
            sa.column("more", sa.Boolean()),
            sa.column("lost", sa.Boolean()),
        )
        # where there is none, a row that is met by none
        data = list(keys) or [(-1, False, False)]
        rows = sa.values(*columns, name="chosen", literal_binds=True).data(data)
        chosen = sa.select(rows).subquery("chosen_paths").c
        same = sa.and_(p.path == chosen.path, p.more == chosen.more, p.lost == chosen.lost)
        who = [p.customer, *([p.cycle] if self.by_cycle else [])]
        found = sa.select(*who, p.lost).select_from(paths.join(chosen.path.table, same))
        return found.where(self.inside(paths), p.committed if committed else sa.true()).cte(
            "walking"
        )

    def nodes(self, places: Iterable[int]) -> sa.FromClause:
        """The nodes at some places of all paths."""
        w = self.walked.c
        found = sa.select(w.customer, w.cycle, w["at"], w.tie, w.code)
        return found.where(w.place.in_(list(places))).subquery("nodes")

    def evidence(
        self,
        members: sa.CTE,
        nodes: sa.FromClause,
        *,
        is_lost: bool = False,
        total: str = "",
    ) -> Evidence:
        """The members, and what put the nodes there: entries of stages, touches, and a loss.

        Args:
            members: whom.
            nodes: those that are told.
            is_lost: whether the loss is told.
            total: the column of the members whose sum the figure is; how many they are, if none.
        """
        at = self._entries(nodes)
        lost = self._losses()
        m, told = members.c, [stage for stage in STAGES if f"{stage}_at" in at.c]
        joined = members.outerjoin(at, self._same(at, members))
        columns: list[ColumnElement[Any]] = [at.c[f"{stage}_at"] for stage in told]
        if is_lost:
            joined = joined.outerjoin(lost, self._same(lost, members))
            own = (one for one in lost.c if one.name not in {"customer", "cycle"})
            columns += [sa.case((m.lost, one)).label(f"{one.name}_at") for one in own]
        rows = sa.select(*m, *columns).select_from(joined).cte("told")
        traces = [Trace.entry(stage, rows.c[f"{stage}_at"]) for stage in told]
        if self.walks.of is not None:
            n = nodes.c
            cycle = [n.cycle] if "cycle" in members.c else []
            touched = sa.select(n.customer, *cycle, n.tie.label("position"))
            touches = touched.where(n.code > len(STAGES)).subquery("touches_told")
            traces.append(Trace.facts(f"touch: {self.walks.of}", touches))
        if is_lost:
            traces.append(Trace.loss(rows.c.lost_at))
            if "silent_at" in rows.c:
                traces.append(Trace.heard(rows.c.silent_at, "last heard of, lost by silence"))
        value: ColumnElement[Any] | None = None
        if total:
            value = sa.cast(sa.func.coalesce(sa.func.sum(rows.c[total]), 0), sa.BigInteger())
        return Evidence(self.units, self.walks.cut, self.definition, rows, traces, value)

    def _same(self, rows: sa.FromClause, members: sa.FromClause) -> ColumnElement[bool]:
        same = rows.c.customer == members.c.customer
        return sa.and_(same, rows.c.cycle == members.c.cycle) if "cycle" in members.c else same

    def _entries(self, nodes: sa.FromClause) -> sa.Subquery:
        """When the stages among the nodes were entered."""
        n = nodes.c
        stages = STAGES if self.walks.stages else [
            stage for stage in (self.walks.starts, self.walks.ends) if stage is not None
        ]  # fmt: skip
        code: Callable[[str], int] = self.walks.names.stage_code
        entered = [
            sa.func.max(sa.case((n.code == code(stage), n["at"]))).label(f"{stage}_at")
            for stage in STAGES
            if stage in stages
        ]
        return sa.select(n.customer, n.cycle, *entered).group_by(n.customer, n.cycle).subquery()

    def _losses(self) -> sa.Subquery:
        """How each pass was lost: by an event, or by silence."""
        j = self.walks.journeys.c
        told = [sa.case((sa.not_(j.lost_inferred), j.lost_at)).label("lost")]
        if "last_activity_at" in j:
            told.append(sa.case((j.lost_inferred, j.last_activity_at)).label("silent"))
        own = sa.true() if self.by_cycle else j.cycle == 1
        return sa.select(j.customer, j.cycle, *told).where(own).subquery("losses_told")
