"""The members of a step funnel with what they are broken down by, and their counts, in SQL."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import sqlalchemy as sa
from sqlalchemy.sql.elements import ColumnElement

from bowtie_projections.conditions import Facts
from bowtie_projections.cycles import first_touch
from bowtie_projections.expressions import quantiles
from bowtie_projections.views.breakdown import Dimension
from bowtie_projections.views.funnel.members import Members
from bowtie_projections.views.shares import spread
from bowtie_projections.views.steps.any_order import AnyOrder
from bowtie_projections.views.steps.chains import Chains
from bowtie_projections.views.steps.question import Row
from bowtie_projections.views.steps.rows import whole

__all__ = ["DAYS", "FIRST_DAYS", "StepMembers", "base_of", "entries_of"]

DAYS = {"days_p50": 0.5, "days_p75": 0.75, "days_p90": 0.9}
FIRST_DAYS = {"days_from_first_p50": 0.5, "days_from_first_p75": 0.75, "days_from_first_p90": 0.9}
_COUNTED = (
    "entered", "reached_next", "excluded", "pending", "mature", "mature_reached", "ripe",
)  # fmt: skip
_TIMES = ("waited", "since_first")
#: So many steps are put side by side, a row for a member: joins of more are slow to set up.
_STEPS = 8
_STATES = ("pending", "excluded", "mature", "ripe")


def base_of(chains: Chains | AnyOrder, found: Sequence[Dimension]) -> sa.FromClause:
    """Where each member stands at the first step, and what the breakdowns need of touches."""
    return _with_touch(chains.nodes[1,].rows, chains, found)


def entries_of(chains: Chains | AnyOrder, found: Sequence[Dimension]) -> sa.FromClause:
    """Each event that may begin a sequence, with what the breakdowns need of touches."""
    return _with_touch(chains.entries, chains, found)


def _with_touch(
    rows: sa.FromClause, chains: Chains | AnyOrder, found: Sequence[Dimension]
) -> sa.FromClause:
    if not any(one.kind == "touch" for one in found):
        return rows
    touch = first_touch(Facts(chains.source.cut)).subquery("touch")
    more = [column for column in touch.c if column.name != "customer"]
    joined = rows.outerjoin(touch, touch.c.customer == rows.c.customer)
    return sa.select(rows, *more).select_from(joined).subquery("with_touch")


@dataclass(frozen=True)
class StepMembers:
    """The members of one question.

    Args:
        chains: the sequences of their events.
        cells: the breakdowns, over the members as :func:`base_of` gives them.
    """

    chains: Chains | AnyOrder
    cells: Members

    @property
    def rows(self) -> Sequence[Row]:
        """The rows of the answer."""
        return self.chains.source.question.rows

    def ranked(self, dimension: Dimension) -> sa.Select[Any]:
        """The values of a breakdown, those of the most members first."""
        keys, joined = self.cells.keys_at(self.cells.journeys.c.first_at)
        (value,) = (key for key in keys if key.name == dimension.column)
        rows = sa.select(value.label("value")).select_from(joined).subquery("values")
        return (
            sa.select(rows.c.value)
            .where(rows.c.value.is_not(None))
            .group_by(rows.c.value)
            .order_by(sa.func.count().desc(), rows.c.value)
            .limit(self.cells.question.top)
        )

    @cached_property
    def _base(self) -> sa.CTE:
        """The members: their cell, and where they stand at the first step."""
        base = self.cells.journeys
        keys, joined = self.cells.keys_at(base.c.first_at)
        own = [base.c[name] for name in self.chains.source.keys]
        at_first = [base.c[name] for name in ("first_at", "t", "start", *_STATES)]
        return sa.select(*own, *keys, *at_first).select_from(joined).cte("step_members")

    def _wide(self, rows: Sequence[Row], name: str) -> sa.Subquery:
        """One row for a member: its cell, and for some rows of the answer where it stands.

        ``t_K`` and ``start_K`` are null of a step K that it did not reach; ``next_t_K`` and
        ``next_prev_K`` where it did not go on from there.
        """
        base, found = self._base, self.chains.nodes
        joined: sa.FromClause = base
        columns: list[ColumnElement[Any]] = [base.c[key] for key in self.chains.source.keys]
        columns += [base.c[key] for key in (*self.cells.key_names, "first_at")]
        columns.append(base.c.ripe.label("ripe_of_all"))
        nodes: dict[tuple[int, ...], sa.FromClause] = {(1,): base}

        def at(path: tuple[int, ...]) -> Any:
            nonlocal joined
            if path not in nodes:
                nodes[path] = node = found[path].rows
                same = [node.c[key] == base.c[key] for key in self.chains.source.keys]
                joined = joined.outerjoin(node, sa.and_(*same))
            return nodes[path].c

        for row in rows:
            own = at((row.step,))
            columns += [own[one].label(f"{one}_{row.step}") for one in ("t", "start", *_STATES)]
            if row.after is not None:
                way = (row.step, row.after)
                after = at(way if way in found else (row.after,))
                columns += [after[one].label(f"next_{one}_{row.step}") for one in ("t", "prev")]
        return sa.select(*columns).select_from(joined).subquery(name)

    def judged(self, row: Row) -> sa.Subquery:
        """The members of a step: their cell, and where they stand as to the next one."""
        wide = self._wide([row], f"members_of_{row.step}")
        c = wide.c
        names = [*self.chains.source.keys, *self.cells.key_names, "first_at"]
        return (
            sa.select(*(c[name] for name in names), *_standing(wide, row))
            .where(c[f"t_{row.step}"].is_not(None))
            .subquery(f"judged_{row.step}")
        )

    def counted(self) -> sa.Select[Any]:
        """By cell: how many are in each state at each step, and the quantiles of their times.

        A row for so many steps as are put side by side: they begin with ``first``, and the columns
        of the k-th of them are called ``entered_K`` and so on.
        """
        rows = list(self.rows)
        parts = [self._counts(rows[at : at + _STEPS]) for at in range(0, len(rows), _STEPS)]
        if len(parts) == 1:
            return parts[0]
        return sa.select(sa.union_all(*parts).subquery("counted"))

    def _counts(self, rows: Sequence[Row]) -> sa.Select[Any]:
        wide = self._wide(rows, f"from_step_{rows[0].step}")
        keys = [wide.c[name] for name in self.cells.key_names]
        counts: list[ColumnElement[Any]] = [whole(rows[0].step).label("first")]
        for place in range(min(_STEPS, len(self.rows))):
            named = _counted(wide, rows[place]) if place < len(rows) else _nothing()
            counts += [value.label(f"{name}_{place}") for name, value in named.items()]
        return sa.select(*keys, *counts).group_by(*keys)

    def groups(self, found: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
        """What :meth:`counted` found, a row for each cell and step that anybody reached."""
        groups = []
        for cell in found:
            keys = {name: cell[name] for name in self.cells.key_names}
            for place, row in enumerate(self.rows[cell["first"] - 1 :][:_STEPS]):
                counts = {name: cell[f"{name}_{place}"] for name in (*_COUNTED, *_TIMES)}
                if counts["entered"]:
                    groups.append({**keys, "step": row.step, **counts})
        return groups

    def spread(self) -> sa.Select[Any]:
        """How members are spread over accounts: of each step's next one, and of the first step."""
        branches = []
        for row in self.rows:
            rows = self.judged(row)
            branches.append(self._spread(rows, row, rows.c.mature, rows.c.reached, "next"))
            first = self._from_first(row)
            branches.append(self._spread(first, row, first.c.ripe, first.c.got_there, "first"))
        return sa.select(sa.union_all(*branches).subquery("spread"))

    def _from_first(self, row: Row) -> sa.Subquery:
        """All members, and whether they got to a step."""
        c = self._wide([row], f"got_to_{row.step}").c
        names = [*self.chains.source.keys, *self.cells.key_names]
        return sa.select(
            *(c[name] for name in names),
            (c.ripe_of_all == 1).label("ripe"),
            c[f"t_{row.step}"].is_not(None).label("got_there"),
        ).subquery(f"from_first_{row.step}")

    def _spread(
        self,
        rows: sa.Subquery,
        row: Row,
        judged: ColumnElement[bool],
        hit: ColumnElement[bool],
        of: str,
    ) -> sa.Select[Any]:
        sums = spread(self.cells.units, rows, self.cells.key_names, judged, hit).subquery(
            f"sums_{of}_{row.step}"
        )
        what = sa.literal_column(f"'{of}'", sa.String()).label("share")
        return sa.select(*sums.c, whole(row.step).label("step"), what)

    def behind(self, step: int, state: str) -> sa.Select[Any]:
        """Who is behind a cell."""
        (row,) = (one for one in self.rows if one.step == step)
        rows = self.judged(row)
        c = rows.c
        tests: Mapping[str, ColumnElement[bool]] = {
            "reached": c.reached,
            "pending": c.pending,
            "excluded": c.excluded,
            "expired": sa.not_(sa.or_(c.reached, c.pending, c.excluded)),
        }
        keys = [c[name] for name in self.chains.source.keys]
        cell = [c[name] for name in self.cells.key_names]
        return (
            sa.select(*keys, *cell, c.first_at, c.start, c.t, c.next_t, c.waited)
            .where(tests[state])
            .order_by(*keys)
        )

    def total(self) -> sa.Select[Any]:
        """How many members there are."""
        return sa.select(sa.func.count()).select_from(self._base)


def _standing(wide: sa.FromClause, row: Row) -> list[sa.Label[Any]]:
    """Where members stand as to the step after one that they reached."""
    c, step = wide.c, row.step
    last = row.after is None
    nothing = sa.cast(sa.null(), sa.BigInteger())
    reached = sa.false() if last else c[f"next_t_{step}"].is_not(None)
    pending = sa.and_(sa.not_(reached), c[f"pending_{step}"] == 1)
    excluded = sa.and_(sa.not_(reached), c[f"pending_{step}"] == 0, c[f"excluded_{step}"] == 1)
    waited = nothing if last else c[f"next_t_{step}"] - c[f"next_prev_{step}"]
    return [
        c[f"t_{step}"].label("t"),
        c[f"start_{step}"].label("start"),
        (nothing if last else c[f"next_t_{step}"]).label("next_t"),
        reached.label("reached"),
        pending.label("pending"),
        excluded.label("excluded"),
        (c[f"mature_{step}"] == 1).label("mature"),
        (c.ripe_of_all == 1).label("ripe"),
        waited.label("waited"),
        (c[f"t_{step}"] - c[f"start_{step}"]).label("since_first"),
    ]


def _counted(wide: sa.FromClause, row: Row) -> dict[str, ColumnElement[Any]]:
    """How many members of a step are in each state, and the quantiles of their times."""
    own = {one.name: one.element for one in _standing(wide, row)}
    there, number = wide.c[f"t_{row.step}"].is_not(None), sa.func.count()
    reached, mature, ripe = (own[name] for name in ("reached", "mature", "ripe"))
    nothing = sa.cast(sa.null(), sa.BigInteger())
    waited = sa.case((sa.and_(there, mature, reached), own["waited"]))
    since = nothing if row.before is None else sa.case((sa.and_(there, ripe), own["since_first"]))
    return {
        "entered": sa.func.count(wide.c[f"t_{row.step}"]),
        "reached_next": number.filter(there, reached),
        "excluded": number.filter(there, own["excluded"]),
        "pending": number.filter(there, own["pending"]),
        "mature": number.filter(there, mature),
        "mature_reached": number.filter(there, mature, reached),
        "ripe": number.filter(there, ripe),
        "waited": _quantiles(waited),
        "since_first": _quantiles(since),
    }


def _nothing() -> dict[str, ColumnElement[Any]]:
    """The same of no step, to fill a row."""
    times = _quantiles(sa.cast(sa.null(), sa.BigInteger()))
    return {**dict.fromkeys(_COUNTED, whole(0)), **dict.fromkeys(_TIMES, times)}


def _quantiles(value: ColumnElement[Any]) -> ColumnElement[Any]:
    return quantiles(value, tuple(DAYS.values()))
