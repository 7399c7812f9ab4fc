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
_STATES = ("pending", "excluded", "mature", "ripe")


def base_of(chains: Chains | AnyOrder, found: Sequence[Dimension]) -> sa.FromClause:
    """Each member with its first entry, ``first_at``, and what the breakdowns need of touches."""
    entries = chains.entries
    keys = [entries.c[name] for name in chains.source.keys]
    rows = (
        sa.select(*keys, sa.func.min(entries.c["at"]).label("first_at"))
        .group_by(*keys)
        .subquery("first_entries")
    )
    return _with_touch(rows, chains, found)


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
    def wide(self) -> sa.CTE:
        """One row for a member: its cell, and for each row of the answer where it stands.

        ``t_K``, ``start_K`` and ``prev_K`` are null of a step K that it did not reach; ``next_t_K``
        and ``next_prev_K`` where it did not go on from there.
        """
        base = self.cells.journeys
        keys, joined = self.cells.keys_at(base.c.first_at)
        columns: list[ColumnElement[Any]] = [base.c[name] for name in self.chains.source.keys]
        columns += [*keys, base.c.first_at]
        nodes = {path: node.rows for path, node in self.chains.nodes().items()}
        for rows in nodes.values():
            same = [rows.c[name] == base.c[name] for name in self.chains.source.keys]
            joined = joined.outerjoin(rows, sa.and_(*same))
        for row in self.rows:
            own = nodes[row.step,].c
            columns += [own[name].label(f"{name}_{row.step}") for name in ("t", "start", *_STATES)]
            if row.after is not None:
                way = (row.step, row.after)
                after = nodes[way if way in nodes else (row.after,)].c
                columns += [after[name].label(f"next_{name}_{row.step}") for name in ("t", "prev")]
        return (
            sa.select(*columns).select_from(joined).cte("step_members").prefix_with("MATERIALIZED")
        )

    def judged(self, row: Row) -> sa.Subquery:
        """The members of a step: their cell, and where they stand as to the next one."""
        c, step = self.wide.c, row.step
        last = row.after is None
        reached = sa.false() if last else c[f"next_t_{step}"].is_not(None)
        pending = sa.and_(sa.not_(reached), c[f"pending_{step}"] == 1)
        excluded = sa.and_(sa.not_(reached), c[f"pending_{step}"] == 0, c[f"excluded_{step}"] == 1)
        waited = sa.null() if last else c[f"next_t_{step}"] - c[f"next_prev_{step}"]
        names = [*self.chains.source.keys, *self.cells.key_names, "first_at"]
        return (
            sa.select(
                *(c[name] for name in names),
                c[f"t_{step}"].label("t"),
                c[f"start_{step}"].label("start"),
                (sa.cast(sa.null(), sa.BigInteger()) if last else c[f"next_t_{step}"]).label(
                    "next_t"
                ),
                reached.label("reached"),
                pending.label("pending"),
                excluded.label("excluded"),
                sa.and_(c[f"mature_{step}"] == 1).label("mature"),
                (c.ripe_1 == 1).label("ripe"),
                sa.cast(waited, sa.BigInteger()).label("waited"),
                (c[f"t_{step}"] - c[f"start_{step}"]).label("since_first"),
            )
            .where(c[f"t_{step}"].is_not(None))
            .subquery(f"judged_{step}")
        )

    def counted(self) -> sa.Select[Any]:
        """By cell and step: how many are in each state, and the quantiles of their times."""
        return sa.select(sa.union_all(*map(self._counts, self.rows)).subquery("counted"))

    def _counts(self, row: Row) -> sa.Select[Any]:
        rows = self.judged(row)
        c = rows.c
        keys = [c[name] for name in self.cells.key_names]
        number = sa.func.count()
        in_time = sa.case((sa.and_(c.mature, c.reached), c.waited))
        from_first = sa.case((c.ripe, c.since_first))
        return sa.select(
            *keys,
            whole(row.step).label("step"),
            number.label("entered"),
            number.filter(c.reached).label("reached_next"),
            number.filter(c.excluded).label("excluded"),
            number.filter(c.pending).label("pending"),
            number.filter(c.mature).label("mature"),
            number.filter(c.mature, c.reached).label("mature_reached"),
            number.filter(c.ripe).label("ripe"),
            quantiles(in_time, tuple(DAYS.values())).label("waited"),
            quantiles(from_first, tuple(DAYS.values())).label("since_first"),
        ).group_by(*keys)

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
        c = self.wide.c
        names = [*self.chains.source.keys, *self.cells.key_names]
        return sa.select(
            *(c[name] for name in names),
            (c.ripe_1 == 1).label("ripe"),
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
        return sa.select(sa.func.count()).select_from(self.wide)
