"""Who is behind a figure of a step funnel, and by which events they came to be there."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa
from sqlalchemy.sql.elements import ColumnElement

from bowtie.errors import UsageError
from bowtie_projections.evidence import Evidence, Figure, Trace, has_values, not_explained
from bowtie_projections.views.cohorts import period
from bowtie_projections.views.funnel.members import COHORT
from bowtie_projections.views.steps.any_order import AnyOrder
from bowtie_projections.views.steps.members import StepMembers
from bowtie_projections.views.steps.question import Row
from bowtie_projections.views.steps.table import COLUMNS
from bowtie_projections.views.steps.view import members_of

__all__ = ["evidence"]

_EXPLAINED = (
    "entered", "reached_next", "excluded", "expired", "pending", "mature", "conversion",
    "conversion_so_far",
)  # fmt: skip


def evidence(figure: Figure) -> Evidence:
    """Who is counted in a cell, by the events of the sequence that got them there.

    Args:
        figure: of the row of the funnel; its column is a count, ``conversion`` (its members
            are the mature) or ``conversion_so_far`` (all who reached the step).

    Raises:
        UsageError: no members stand behind the column, or attempts were counted, not members.
    """
    column, asked = figure.column, figure.asked
    if column not in _EXPLAINED:
        raise not_explained(column, _EXPLAINED)
    if asked["customers"] is not None:
        raise UsageError("customers= lists who is behind a cell already; ask without it")
    if asked["count"] == "conversions":
        raise UsageError(
            "count=conversions counts attempts, several of one member; explain the members:"
            " count=customers"
        )
    members = members_of(
        figure.reader,
        figure.cut,
        figure.definition,
        asked,
        personal_names=asked["personal_names"],
    )
    (row,) = (one for one in members.rows if one.step == figure.cell["step"])
    judged = members.judged(row)
    own = sa.select(judged).where(_in_cell(members, judged, figure.cell), _counts(judged, column))
    rows = own.cte("own").prefix_with("MATERIALIZED")
    traces = list(_traces(members, rows, row).values())
    return Evidence(
        members.cells.units,
        members.cells.cut,
        figure.definition,
        rows,
        traces,
        _value(rows, column),
    )


def _in_cell(
    members: StepMembers, rows: sa.FromClause, cell: Mapping[str, Any]
) -> ColumnElement[bool]:
    cells = members.cells
    cohort = cells.question.cohort is not None
    taken = {*COLUMNS, *({"cohort"} if cohort else ())}
    own = has_values(rows, cells.dimensions, cells.kept, cell, taken)
    if not cohort:
        return own
    return sa.and_(own, rows.c[COHORT] == sa.literal(period(cell["cohort"])[0].date()))


def _counts(rows: sa.FromClause, column: str) -> ColumnElement[bool]:
    """Whom a column counts."""
    c = rows.c
    found: dict[str, ColumnElement[bool]] = {
        "reached_next": c.reached,
        "excluded": c.excluded,
        "pending": c.pending,
        "expired": sa.not_(sa.or_(c.reached, c.pending, c.excluded)),
        "mature": c.mature,
        "conversion": c.mature,
    }
    return found.get(column, sa.true())


def _value(rows: sa.FromClause, column: str) -> ColumnElement[Any] | None:
    if column not in {"conversion", "conversion_so_far"}:
        return None
    return sa.func.avg(sa.case((rows.c.reached, 1.0), else_=0.0))


def _traces(members: StepMembers, rows: sa.FromClause, row: Row) -> dict[str, Trace]:
    """The first step, the step and the next one, each with its events at that moment.

    The entry of a stage is told by no event of its own.
    """
    question, last = members.chains.source.question, len(members.rows)
    if isinstance(members.chains, AnyOrder):
        steps = range(1, last + 1)
        moments = {"start": "first of them", "t": f"{row.step} done", "next_t": "one more"}
        return {
            f"{name} {step}": _trace(members, rows, step, name, role)
            for name, role in moments.items()
            for step in steps
        }
    asked = [(1, "start"), (row.step, "t"), (row.after, "next_t")]
    return {
        name: _trace(members, rows, step, name, f"step {step}: {question.label(step)}")
        for step, name in asked
        if step is not None and not (name == "t" and step == 1)
    }


def _trace(members: StepMembers, rows: sa.FromClause, step: int, name: str, role: str) -> Trace:
    events = members.chains.source.of_step(step).subquery(f"at_{name}_{step}")
    keys = [events.c[key] for key in members.chains.source.keys]
    same = [events.c[key] == rows.c[key] for key in members.chains.source.keys]
    found = (
        sa.select(*keys, events.c.position)
        .select_from(events.join(rows, sa.and_(*same, events.c.t == rows.c[name])))
        .where(events.c.position > 0)
    )
    return Trace.facts(role, found.subquery(f"facts_{name}_{step}"))
