"""The flow beside that of an earlier period: how many more entered and were lost.

Each period is compared with the one before, or with that of a year earlier, both asked at the same
position and as of the same moment. A number of entries is one draw of what might have been: the
interval of a difference takes entries for independent of each other (Poisson). There is none where
the data does not cover one of the two periods as a whole.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, date, datetime
from typing import Any

import numpy as np

from bowtie.errors import Refused
from bowtie.stages import STAGES, Definition
from bowtie.stages.paid import GRACE
from bowtie_projections.results import Result
from bowtie_projections.statistics import Interval, difference, poisson
from bowtie_projections.views.answers import listed, with_columns
from bowtie_projections.views.cohorts import days_of, period
from bowtie_projections.views.cut import Cut, Reader
from bowtie_projections.views.earlier import check_compare, earlier_cohort
from bowtie_projections.views.flow import flow
from bowtie_projections.views.funnel.members import WORDS
from bowtie_projections.views.labels import OTHER, unapart
from bowtie_projections.views.shares import cell_order

__all__ = ["compared_flow"]

_Row = dict[str, Any]
_COUNTS = ("entered", "lost", "entered_next")
#: What a difference is given of.
_JUDGED = ("entered", "lost")
_ENDS = ("", "_low", "_high")


@functools.wraps(flow)
def compared_flow(
    reader: Reader,
    cut: Cut,
    definition: Definition,
    *,
    compare: str | None = None,
    **asked: Any,
) -> Result:
    """The flow, with ``compare`` among its parameters.

    Raises:
        Refused: no period that is covered as a whole has an earlier one that is.
    """
    length = asked.get("period", "month")
    if compare is None:
        return flow(reader, cut, definition, **asked)
    check_compare(compare)
    result = flow(reader, cut, definition, **asked)
    by = listed(asked.get("by", ()))
    before = {
        label: earlier_cohort(compare, label, length)
        for label in dict.fromkeys(row["period"] for row in result)
    }
    wanted = sorted((label for label in before.values() if label), key=_start)
    other = None
    if wanted:
        span = {"from_": wanted[0], "to": wanted[-1], "kept": _kept(result, by)}
        other = flow(reader, cut, definition, **asked | span)
    rows = list(_beside(result, other, before, len(by)))
    _settle(rows, result.meta["as_of"], str(asked.get("tz", "UTC")))
    _check_any(rows)
    return _answer(result, other, rows, compare)


def _start(label: str) -> date:
    return days_of(label)[0]


def _kept(result: Result, by: Sequence[str]) -> dict[str, list[str]]:
    """The values that stand apart here do so on the other side, else ``other`` would be others."""
    kept = {}
    for title, name in zip(result.columns, by, strict=False):
        values = {row[title] for row in result} - {None, OTHER}
        kept[name] = sorted(unapart(value, WORDS) for value in values)
    return kept


def _beside(
    result: Result, other: Result | None, before: Mapping[str, str | None], by: int
) -> Iterator[_Row]:
    """The rows of either side's cells, in order, each with the figures of the other side."""
    keys = result.columns[:by]
    here, there = (_by_cell(one, keys) for one in (result, other))
    covered, covered_before = (
        {row["period"]: row["complete"] for row in one or ()} for one in (result, other)
    )
    # where the definition sees no loss, there is none to count
    nobody: _Row = {"entered": 0, "entered_next": 0, "lost": 0 if _sees_losses(result) else None}
    for cell in sorted({*here, *there}, key=cell_order):
        own, its = here.get(cell, {}), there.get(cell, {})
        for label, earlier in before.items():
            for stage in STAGES:
                nothing = nobody | ({"entered_next": None} if stage == STAGES[-1] else {})
                empty = {"flow_ratio": None, "complete": covered[label], **nothing}
                row = dict(zip(keys, cell, strict=True)) | {"period": label, "stage": stage}
                row |= own.get((label, stage), empty)
                is_there = earlier in covered_before
                found = its.get((earlier, stage), nothing) if is_there else dict.fromkeys(nothing)
                row["before"] = earlier
                row |= {f"{name}_before": found[name] for name in _COUNTS}
                row["not_compared"] = _reason(row, covered_before)
                yield row


def _by_cell(
    result: Result | None, keys: Sequence[str]
) -> dict[tuple[str | None, ...], dict[tuple[str | None, str], _Row]]:
    found: dict[tuple[str | None, ...], dict[tuple[str | None, str], _Row]] = {}
    for row in result or ():
        cell = tuple(row[key] for key in keys)
        found.setdefault(cell, {})[row["period"], row["stage"]] = row
    return found


def _sees_losses(result: Result) -> bool:
    return any(row["lost"] is not None for row in result)


def _reason(row: Mapping[str, Any], covered_before: Mapping[str, bool]) -> str | None:
    """Why there is no difference; none where there is one."""
    label, before = row["period"], row["before"]
    if not row["complete"]:
        return f"{label} is not covered as a whole"
    if before is None:
        return "there is no such period a year earlier"
    if before not in covered_before:
        return f"the data begins after {before}"
    return None if covered_before[before] else f"{before} is not covered as a whole"


def _settle(rows: Sequence[_Row], as_of: datetime | None, tz: str) -> None:
    """The differences; of losses only where no more of them will be told.

    That a contract was not renewed is known when its grace is over.
    """
    settled = {
        label: as_of is not None and period(label, tz)[1].replace(tzinfo=UTC) + GRACE <= as_of
        for label in {row["period"] for row in rows}
    }
    for name in _JUDGED:
        judged = [
            row
            for row in rows
            if row["not_compared"] is None
            and row[name] is not None
            and (name == "entered" or settled[row["period"]])
        ]
        for row in rows:
            row.update(dict.fromkeys(f"{name}_difference{end}" for end in _ENDS))
        gap = difference(
            *(_counted([row[f"{name}{side}"] for row in judged]) for side in ("", "_before"))
        )
        for row, *bounds in zip(judged, gap.estimate, gap.low, gap.high, strict=True):
            row |= {
                f"{name}_difference{end}": float(bound)
                for end, bound in zip(_ENDS, bounds, strict=True)
            }


def _counted(numbers: Sequence[int]) -> Interval:
    counts = np.asarray(numbers, dtype=np.float64)
    return Interval(counts, *poisson(counts))


def _check_any(rows: Sequence[_Row]) -> None:
    if rows and all(row["not_compared"] is not None for row in rows):
        raise Refused(
            f"nothing can be compared: {rows[0]['not_compared']}, and so it is of each period."
            " Ask of earlier periods, or of more of them, with from_= and to=; where the data is"
            " complete up to the end of one, say so with data_through="
        )


def _answer(result: Result, other: Result | None, rows: Sequence[_Row], compare: str) -> Result:
    import pyarrow as pa

    added: list[pa.Field[Any]] = [pa.field("before", pa.string())]
    added += [pa.field(f"{name}_before", pa.int64()) for name in _COUNTS]
    added += [pa.field(f"{one}_difference{end}", pa.float64()) for one in _JUDGED for end in _ENDS]
    added.append(pa.field("not_compared", pa.string()))
    schema = pa.schema([*result.to_arrow().schema, *added])
    notes = [f"Before: {note}" for note in other.notes if note not in result.notes] if other else []
    answer = with_columns(result, pa.Table.from_pylist(list(rows), schema), *notes, *_said(rows))
    if other is not None:
        answer.sentence += f" Compared with: {other.sentence}"
        answer.sql = list(other.sql)
    answer.meta["parameters"] = {**result.meta["parameters"], "compare": compare}
    return answer


def _said(rows: Sequence[_Row]) -> Iterator[str]:
    yield (
        "A difference is this period's number less the earlier one's, with an interval that takes"
        " entries for independent of each other (Poisson); months are of different lengths. It says"
        " that they differ, not why."
    )
    without = sum(row["not_compared"] is not None for row in rows)
    if without:
        yield f"{without:,} of {len(rows):,} rows have no difference (not_compared says why)."
    if any(
        row["lost_difference"] is None and row["lost"] is not None and row["not_compared"] is None
        for row in rows
    ):
        yield (
            f"Losses of a period may still be told for {GRACE.days} days after it, while contracts"
            " that ran out are in their grace: until then they have no difference."
        )
