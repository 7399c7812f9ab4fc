"""From the counts of a step funnel to its rows: rates, intervals, days, order."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from bowtie_projections.views.cohorts import cohort_label
from bowtie_projections.views.funnel.members import COHORT, Members
from bowtie_projections.views.shares import FEWEST, cell_order, shares, typed_table
from bowtie_projections.views.steps.members import DAYS, FIRST_DAYS
from bowtie_projections.views.steps.question import Question

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["COLUMNS", "DAY_MICROS", "behind_table", "step_rows", "step_table"]

DAY_MICROS = 86_400_000_000
_COUNTS = ("entered", "reached_next", "excluded", "expired", "pending", "mature")
_NEXT = ("conversion", "conversion_low", "conversion_high")
_FIRST = ("share_of_first", "share_of_first_low", "share_of_first_high")
#: The columns after the breakdowns and the cohort.
COLUMNS = (
    "step", "event", *_COUNTS, *_NEXT, "conversion_so_far", "first_mature", *_FIRST, *DAYS,
    *FIRST_DAYS,
)  # fmt: skip

_Group = Mapping[str, Any]


def step_rows(
    counted: Sequence[_Group], sums: Sequence[_Group], question: Question, cells: Members
) -> list[dict[str, Any]]:
    """The rows of the answer in order: each step in each cell.

    Args:
        counted: for each cell and step that anybody reached, as ``StepMembers.counted`` has it.
        sums: how they are spread over accounts, where units repeat within one.
        question: what was asked.
        cells: the breakdowns.
    """
    keys = cells.key_names
    by_cell: dict[tuple[Any, ...], dict[int, _Group]] = {} if keys else {(): {}}
    for group in counted:
        by_cell.setdefault(tuple(group[key] for key in keys), {})[group["step"]] = group
    spread = {
        (*(group[key] for key in keys), group["step"], group["share"]): group for group in sums
    }
    ordered = sorted(by_cell, key=lambda cell: _order(cell, cells))
    places = [(cell, row) for cell in ordered for row in question.rows]
    groups = [by_cell[cell].get(row.step, _nobody(row.step)) for cell, row in places]
    firsts = [by_cell[cell].get(1, _nobody(1))["ripe"] for cell, _ in places]
    next_ones = shares(
        [group["mature_reached"] for group in groups],
        [group["mature"] for group in groups],
        [spread.get((*cell, row.step, "next")) for cell, row in places],
    )
    of_first = shares(
        [group["ripe"] for group in groups],
        firsts,
        [spread.get((*cell, row.step, "first")) for cell, row in places],
    )
    return [
        _cell(cell, cells)
        | _row(group, question, first, last=row.after is None)
        | dict(zip(_NEXT, (None,) * 3 if row.after is None else to_next, strict=True))
        | dict(zip(_FIRST, (None,) * 3 if row.step == 1 else from_first, strict=True))
        for (cell, row), group, first, to_next, from_first in zip(
            places, groups, firsts, next_ones, of_first, strict=True
        )
    ]


def _nobody(step: int) -> _Group:
    """The counts of a step that nobody of a cell reached."""
    names = (*_COUNTS, "mature_reached", "ripe")
    return dict.fromkeys(names, 0) | {"step": step, "waited": None, "since_first": None}


def _row(group: _Group, question: Question, first: int, *, last: bool) -> dict[str, Any]:
    counts = {name: None if last else group[name] for name in _COUNTS if name != "expired"}
    if not last:
        told = group["reached_next"] + group["excluded"] + group["pending"]
        counts["expired"] = group["entered"] - told
    entered, pending = group["entered"], group["pending"]
    so_far = None if last or not pending else group["reached_next"] / entered
    to_next = group["waited"] if group["mature_reached"] >= FEWEST else None
    from_first = group["since_first"] if group["ripe"] >= FEWEST and group["step"] > 1 else None
    return {
        **dict.fromkeys(_COUNTS),
        **counts,
        "entered": entered,
        "step": group["step"],
        "event": question.label(group["step"]) + _mark(question, group["step"]),
        "conversion_so_far": so_far,
        "first_mature": first,
        **_days(DAYS, to_next),
        **_days(FIRST_DAYS, from_first),
    }


def _mark(question: Question, step: int) -> str:
    return " (optional)" if question.steps[step - 1].optional else ""


def _days(names: Mapping[str, float], found: Sequence[float] | None) -> dict[str, float | None]:
    if found is None:
        return dict.fromkeys(names)
    return {name: value / DAY_MICROS for name, value in zip(names, found, strict=True)}


def _cell(cell: Sequence[Any], cells: Members) -> dict[str, Any]:
    named: dict[str, Any] = {
        one.column: cells.named(one, value)
        for one, value in zip(cells.dimensions, cell, strict=False)
    }
    cohort = cells.question.cohort
    return named if cohort is None else named | {COHORT: cohort_label(cell[-1], cohort)}


def _order(cell: Sequence[Any], cells: Members) -> tuple[Any, ...]:
    number = len(cells.dimensions)
    values = [cells.named(one, value) for one, value in zip(cells.dimensions, cell, strict=False)]
    return (cell_order(values), *cell[number:])


def step_table(rows: Sequence[Mapping[str, Any]], cells: Members) -> pa.Table:
    """The rows, as Arrow."""
    import pyarrow as pa

    kinds: dict[str, Any] = dict.fromkeys((*cells.key_names, "event"), pa.string())
    floats = (*_NEXT, "conversion_so_far", *_FIRST, *DAYS, *FIRST_DAYS)
    named = {name: pa.float64() if name in floats else pa.int64() for name in COLUMNS}
    kinds = {**dict.fromkeys(cells.key_names, pa.string()), **named, "event": pa.string()}
    titles = dict(zip(cells.key_names, cells.titles(COLUMNS), strict=True))
    return typed_table(rows, kinds, titles)


def behind_table(found: pa.Table, cells: Members) -> pa.Table:
    """Who is behind a cell: values and cohorts by name, moments and days for microseconds."""
    import pyarrow as pa

    rows = found
    for name, title in (("start", "entered_at"), ("t", "reached_at"), ("next_t", "next_at")):
        moments = rows.column(name).cast(pa.timestamp("us"))
        rows = rows.set_column(rows.column_names.index(name), title, moments)
    waited = [
        None if one is None else one / DAY_MICROS for one in rows.column("waited").to_pylist()
    ]
    rows = rows.drop_columns(["waited"]).append_column("days", pa.array(waited, pa.float64()))
    for one in cells.dimensions:
        values = [cells.named(one, value) for value in rows.column(one.column).to_pylist()]
        rows = _replaced(rows, one.column, values)
    if cells.question.cohort is not None:
        starts: list[Any] = rows.column(COHORT).to_pylist()
        names: list[str | None] = [cohort_label(one, cells.question.cohort) for one in starts]
        rows = _replaced(rows, COHORT, names)
    others = [name for name in rows.column_names if name not in cells.key_names]
    titles = dict(zip(cells.key_names, cells.titles(others), strict=True))
    named = [titles.get(name, name) for name in rows.column_names]
    return cells.units.by_name(rows.rename_columns(named))


def _replaced(rows: pa.Table, name: str, values: list[str | None]) -> pa.Table:
    import pyarrow as pa

    return rows.set_column(rows.column_names.index(name), name, pa.array(values, pa.string()))
