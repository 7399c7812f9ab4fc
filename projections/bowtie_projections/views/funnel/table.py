"""From the counts that SQL gives to the rows of the funnel: sums, rates, intervals, order."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from bowtie.stages import STAGES
from bowtie_projections.shrinking import Chance
from bowtie_projections.statistics import design_effect, wilson
from bowtie_projections.views.cohorts import cohort_label
from bowtie_projections.views.funnel.members import COHORT, OTHER, QUANTILES, Members, State
from bowtie_projections.views.funnel.shrinking import SHRUNK, add_shrunk, chances

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["ADDS", "COLUMNS", "DAY_MICROS", "Totals", "funnel_table", "members_table"]

#: Under so many durations their quantiles are chance.
FEWEST = 20
DAY_MICROS = 86_400_000_000
_COUNTS = ("reached_next", "out_of_order", "lost", "expired", "reached_late", "pending", "mature")
_RATES = ("conversion", "conversion_low", "conversion_high", "conversion_so_far")
#: The columns after the breakdowns and the cohort.
COLUMNS = ("stage", "entered", *_COUNTS, *_RATES, "imputed", *QUANTILES)
#: What a member in a state adds to.
ADDS: dict[State, tuple[str, ...]] = {
    State.REACHED: ("reached_next",),
    State.REACHED_UNTIMED: ("reached_next",),
    State.OUT_OF_ORDER: ("reached_next", "out_of_order"),
    State.LOST: ("lost",),
    State.PENDING: ("pending",),
    State.EXPIRED: ("expired",),
    State.REACHED_LATE: ("expired", "reached_late"),
}

_Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Totals:
    """Of the whole population: customers counted, older than the data, lost by inference."""

    customers: int
    older: int
    inferred: int
    #: by stage, how far chance alone would spread the rates of the breakdown
    chances: Mapping[str, Chance] = field(default_factory=dict)


def funnel_table(
    counted: pa.Table, spread: pa.Table | None, members: Members, *, sees_losses: bool
) -> tuple[pa.Table, Totals]:
    """The rows of the funnel in order, each stage in each cell, and the totals.

    Args:
        counted: from :meth:`Members.counted`.
        spread: from :meth:`Members.spread`, where units repeat within an account.
        members: of the question.
        sees_losses: whether a loss can be seen at all.
    """
    found = counted.to_pylist()
    total = next(group for group in found if group["stage"] == "")
    rows = _rows([group for group in found if group["stage"] != ""], members)
    effects = {} if spread is None else _spread(spread.to_pylist(), members)
    for row in rows:
        row["effect"] = effects.get((*(row[key] for key in members.key_names), row["stage"]))
    for row in rows:
        if not sees_losses:
            row["lost"] = None
        if row["pending"]:
            row["conversion_so_far"] = row["reached_next"] / row["entered"]
        if members.question.cohort is not None:
            row[COHORT] = cohort_label(row[COHORT], members.question.cohort)
    _add_conversions(rows)
    if members.question.shrink:
        add_shrunk(rows, members)
    spread_by_chance = chances(rows, members)
    totals = Totals(total["members"], total["older"], total["inferred"], spread_by_chance)
    return _table(rows, members), totals


def members_table(found: pa.Table, members: Members) -> pa.Table:
    """Who is behind a cell: values and cohorts by name, and days instead of microseconds."""
    import pyarrow as pa

    micros = found.column("micros").to_pylist()
    days = [None if value is None else value / DAY_MICROS for value in micros]
    rows = found.drop_columns(["micros"]).append_column("days", pa.array(days, pa.float64()))
    for one in members.dimensions:
        values = [members.named(one, value) for value in rows.column(one.column).to_pylist()]
        rows = _replaced(rows, one.column, values)
    cohort = members.question.cohort
    if cohort is not None:
        starts: list[Any] = rows.column(COHORT).to_pylist()
        rows = _replaced(rows, COHORT, [cohort_label(start, cohort) for start in starts])
    others = [name for name in rows.column_names if name not in members.key_names]
    titles = dict(zip(members.key_names, members.titles(others), strict=True))
    return members.units.by_name(
        rows.rename_columns([titles.get(name, name) for name in rows.column_names])
    )


def _replaced(rows: pa.Table, name: str, values: list[str | None]) -> pa.Table:
    import pyarrow as pa

    return rows.set_column(rows.column_names.index(name), name, pa.array(values, pa.string()))


def _rows(groups: list[_Row], members: Members) -> list[_Row]:
    """A row for every stage of each cell that has any member, in order."""
    keys = members.key_names
    cells: dict[tuple[Any, ...], dict[str, _Row]] = {}
    if not keys:
        cells[()] = {}
    for group in groups:
        for one in members.dimensions:
            group[one.column] = members.named(one, group[one.column])
        cell = tuple(group[key] for key in keys)
        row = cells.setdefault(cell, {}).setdefault(group["stage"], _nobody(group["stage"]))
        _add(row, group)
    rows = []
    for cell in sorted(cells, key=_sorting):
        named = dict(zip(keys, cell, strict=True))
        rows += [named | (cells[cell].get(stage) or _nobody(stage)) for stage in STAGES]
    return rows


def _spread(found: list[_Row], members: Members) -> dict[tuple[Any, ...], _Row]:
    """The sums over accounts of each cell and stage, under the names of an answer."""
    spread = {}
    for group in found:
        for one in members.dimensions:
            group[one.column] = members.named(one, group[one.column])
        spread[*(group[key] for key in members.key_names), group["stage"]] = group
    return spread


def _effective(row: _Row) -> float:
    """By how much the mature of a row count for fewer, because some are of one account."""
    sums = row["effect"]
    if sums is None:
        return 1.0
    return design_effect(
        row["mature_reached"],
        row["mature"],
        sums["accounts"],
        (sums["reached_squares"], sums["products"], sums["squares"]),
    )


def _nobody(stage: str) -> _Row:
    """The row of a stage before anybody is counted; the last stage has no next one."""
    row: _Row = dict.fromkeys((*_COUNTS, "mature_reached"), None if stage == STAGES[-1] else 0)
    return row | dict.fromkeys((*_RATES, *QUANTILES)) | {"stage": stage, "entered": 0, "imputed": 0}


def _add(row: _Row, group: _Row) -> None:
    number = group["members"]
    row["entered"] += number
    row["imputed"] += number if group["imputed"] else 0
    if group["state"] is None:
        return
    state = State(group["state"])
    for name in ADDS[state]:
        row[name] += number
    if group["mature"]:
        row["mature"] += number
        row["mature_reached"] += number if "reached_next" in ADDS[state] else 0
        if state is State.REACHED and number >= FEWEST:
            days = (micros / DAY_MICROS for micros in group["waited"])
            row.update(zip(QUANTILES, days, strict=True))


def _sorting(cell: tuple[Any, ...]) -> tuple[tuple[int, Any], ...]:
    """By value; then all others together, then those without one."""
    return tuple(
        (2, "") if value is None else (1, "") if value == OTHER else (0, value) for value in cell
    )


def _add_conversions(rows: list[_Row]) -> None:
    """The share of the mature that reached the next stage, with its interval."""
    judged = [row for row in rows if row["mature"]]
    effects = [_effective(row) for row in judged]
    low, high = wilson(
        [row["mature_reached"] / effect for row, effect in zip(judged, effects, strict=True)],
        [row["mature"] / effect for row, effect in zip(judged, effects, strict=True)],
    )
    bounds = zip(judged, effects, low.tolist(), high.tolist(), strict=True)
    for row, effect, bottom, top in bounds:
        row["design"] = effect
        row["conversion"] = row["mature_reached"] / row["mature"]
        row["conversion_low"], row["conversion_high"] = bottom, top


def _table(rows: list[_Row], members: Members) -> pa.Table:
    import pyarrow as pa

    keys = members.key_names
    kinds: dict[str, pa.DataType] = dict.fromkeys((*keys, "stage"), pa.string())
    kinds |= dict.fromkeys((*_RATES, *QUANTILES, SHRUNK), pa.float64())
    columns = (*COLUMNS, SHRUNK) if members.question.shrink else COLUMNS
    names = (*keys, *columns)
    schema = pa.schema([pa.field(name, kinds.get(name, pa.int64())) for name in names])
    found = [{name: row.get(name) for name in names} for row in rows]
    table = pa.Table.from_pylist(found, schema)
    return table.rename_columns([*members.titles(columns), *columns])
