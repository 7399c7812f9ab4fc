"""The stock as a table: a row for each place of each cell, and by what stages are judged."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from bowtie.stages import STAGES
from bowtie_projections.views.breakdown import Dimension
from bowtie_projections.views.cut import Cut
from bowtie_projections.views.funnel.members import QUANTILES
from bowtie_projections.views.shares import cell_order, typed_table
from bowtie_projections.views.stock.places import LOST, NO_STAGE, PLACES
from bowtie_projections.views.stock.standing import Standing
from bowtie_projections.views.stock.waiting import DAY, Waiting
from bowtie_projections.views.units import Units, plural

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["Row", "on", "rows_of", "sentence_of", "stock_table", "waiting_table", "why_not"]

Row = dict[str, Any]


def stock_table(
    rows: Sequence[Row], units: Units, by: Sequence[Dimension], *, in_periods: bool = False
) -> pa.Table:
    """The rows as Arrow; where they are of several periods, each with its own."""
    import pyarrow as pa

    counted = plural(units.name)
    kinds: dict[str, Any] = {one.column: pa.string() for one in by}
    kinds |= _period_kinds() if in_periods else {}
    kinds |= {"stage": pa.string(), "customers": pa.int64()}
    kinds |= dict.fromkeys(QUANTILES, pa.float64())
    kinds |= {"stuck_after_days": pa.float64(), "stuck": pa.int64()}
    names = [name for name in kinds if not name.startswith("key_")]
    titles = {one.column: one.title([*names, counted]) for one in by} | {"customers": counted}
    return typed_table(rows, kinds, titles)


def _period_kinds() -> dict[str, Any]:
    import pyarrow as pa

    return {"period": pa.string(), "as_of": pa.timestamp("us"), "complete": pa.bool_()}


def why_not(rows: Sequence[Row], waits: Mapping[str, Waiting]) -> dict[str, str]:
    """Of the stages in which somebody stands and nobody can be called stuck, the reasons."""
    return {
        stage: wait.why_not
        for stage, wait in waits.items()
        if wait.why_not and any(row["stage"] == stage and row["customers"] for row in rows)
    }


def rows_of(found: list[Row], everybody: Standing) -> list[Row]:
    """A row for each place of each cell, in order."""
    keys = [one.column for one in everybody.dimensions]
    cells: dict[tuple[Any, ...], dict[int, Row]] = {} if keys else {(): {}}
    for group in found:
        cells.setdefault(everybody.cell(group), {})[group["place"]] = group
    return [
        dict(zip(keys, cell, strict=True)) | _row(name, cells[cell].get(place), everybody)
        for cell in sorted(cells, key=cell_order)
        for place, name in enumerate(PLACES)
    ]


def _row(name: str, group: Row | None, everybody: Standing) -> Row:
    wait = everybody.waits.get(name)
    told = wait is not None and wait.why_not is None
    waited = (group["waited"] if group else None) or [None] * len(QUANTILES)
    days = [None if value is None else value / DAY for value in waited]
    return {
        "stage": name,
        "customers": group["customers"] if group else 0,
        **dict(zip(QUANTILES, days, strict=True)),
        "stuck_after_days": wait.after_days if wait is not None and told else None,
        "stuck": (group["stuck"] if group else 0) if told else None,
    }


def waiting_table(waits: Sequence[tuple[Row, Mapping[str, Waiting]]]) -> pa.Table:
    """By what the stages are judged.

    Args:
        waits: of each moment, its period (nothing, where there is one moment only).
    """
    import pyarrow as pa

    kinds = _period_kinds() if any(period for period, _ in waits) else {}
    kinds |= {"stage": pa.string(), "mature": pa.int64(), "moved": pa.int64()}
    kinds |= dict.fromkeys(("moved_days_p90", "fresh_rate", "later_rate"), pa.float64())
    kinds["reason"] = pa.string()
    rows = [
        period
        | {
            "stage": stage,
            "mature": wait.mature,
            "moved": wait.moved,
            "moved_days_p90": wait.after_days,
            "fresh_rate": wait.chance_fresh,
            "later_rate": wait.chance_after,
            "reason": wait.why_not,
        }
        for period, of_stages in waits
        for stage, wait in of_stages.items()
    ]
    return typed_table(rows, kinds, {})


def on(cut: Cut) -> str:
    """The day that is asked of, in a sentence."""
    return "" if cut.moment is None else f" on {cut.moment:%Y-%m-%d}"


def sentence_of(rows: Sequence[Row], cut: Cut, units: Units) -> str:
    """How many stand in a stage, and who does not."""

    def total(*places: str) -> int:
        return sum(row["customers"] for row in rows if row["stage"] in places)

    if cut.moment is None:
        return f"There is no {units.name} in the log."
    return (
        f"{total(*STAGES):,} of {total(*PLACES):,} {plural(units.name)} stand in a stage on"
        f" {cut.moment:%Y-%m-%d}; {total(LOST):,} are lost and {total(NO_STAGE):,} never entered"
        " a stage."
    )
