"""The rows of the bottleneck: each lever of each cell, that which adds most first."""

from __future__ import annotations

import math
from collections.abc import Sequence
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import numpy as np

from bowtie.wording import counted
from bowtie_projections.views.bottleneck.cells import Cells, Wait
from bowtie_projections.views.bottleneck.levers import (
    CUSTOMERS,
    FEWEST,
    KNOT,
    MEMBERS,
    STEPS,
    Lifted,
    lift_all,
)
from bowtie_projections.views.bottleneck.question import Question
from bowtie_projections.views.shares import FEWEST as FEWEST_WAITS
from bowtie_projections.views.shares import typed_table

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["COLUMNS", "LEVERS", "bottleneck_table"]

LEVERS = ("conversion", "wait")
_TEXTS = ("stage", "lever")
_COUNTS = ("mature", "judged", "cohorts")
_RATES = ("conversion", "conversion_benchmark", "conversion_headroom")
_DAYS = ("days_p50", "days_benchmark")
_ADDED = ("added_next", "added_customers")
_MONEY = (
    "worth", "added_revenue", "added_revenue_low", "added_revenue_high",
    "added_revenue_half", "added_revenue_half_low", "added_revenue_half_high",
)  # fmt: skip
COLUMNS = ("rank", *_TEXTS, *_COUNTS, *_RATES, *_DAYS, *_ADDED, *_MONEY, "missing")
#: A longer window that fewer members are old enough for tells nothing.
_OLD_ENOUGH = MEMBERS
_CENT = Decimal("0.01")
_BOUNDS = (2.5, 97.5)

_Row = dict[str, Any]


def bottleneck_table(cells: Cells, question: Question) -> pa.Table:
    """The rows, ranked by the revenue they add; where none can be told, by relative headroom.

    Each conversion has the same part in the product of all, so that a tenth more of any adds as
    much; what tells them apart is how far each is from its benchmark.
    """
    import pyarrow as pa

    rows = [row for key in cells.keys for row in _of_cell(cells, question, key)]
    _rank(rows)
    dimensions = cells.members.dimensions
    text, share = pa.string(), pa.float64()
    kinds: dict[str, Any] = {one.column: text for one in dimensions}
    kinds |= {"rank": pa.int64()} | dict.fromkeys(_TEXTS, text)
    kinds |= dict.fromkeys(_COUNTS, pa.int64())
    kinds |= dict.fromkeys((*_RATES, *_DAYS, *_ADDED), share)
    kinds |= dict.fromkeys(_MONEY, pa.decimal128(38, 6)) | {"missing": text}
    return typed_table(rows, kinds, {one.column: one.title(COLUMNS) for one in dimensions})


def _of_cell(cells: Cells, question: Question, key: tuple[Any, ...]) -> list[_Row]:
    arrays = cells.arrays(key)
    found, drawn = lift_all(arrays)
    columns = [one.column for one in cells.members.dimensions]
    named = dict(zip(columns, cells.named(key), strict=True))
    rows = []
    for place, stage in enumerate(STEPS):
        wait = cells.wait(key, stage)
        for which, lever in enumerate(LEVERS):
            row = named | dict.fromkeys(COLUMNS) | {"stage": stage, "lever": lever}
            row["mature"] = int(arrays.n[place].sum())
            row["cohorts"] = cells.large(key, stage)
            old = int(arrays.old[place].sum())
            row["judged"] = row["mature"] if lever == "conversion" else old
            row |= _held(row, found, place, wait)
            row["missing"] = _missing(row, wait, old, question)
            if row["missing"] is None:
                row |= _gained(found, drawn, place, which)
                row["missing"] = _worthless(row, question, place)
            rows.append(row)
    return rows


def _held(row: _Row, found: Lifted, place: int, wait: Wait) -> _Row:
    """What the lever is at now, what it is held against, and what one more is worth."""
    held: _Row = {"worth": _money(found.worth[0][place, 0])}
    if row["lever"] == "conversion":
        conversion, goal = (_number(one[place, 0]) for one in (found.conversion, found.goal))
        return held | {"conversion": conversion, "conversion_benchmark": goal}
    return held | {"days_p50": wait.now, "days_benchmark": wait.goal}


def _missing(row: _Row, wait: Wait, old: int, question: Question) -> str | None:
    """Why nothing can be said of what a lever would add, if so."""
    if not row["mature"]:
        return "nobody is old enough"
    of_file = question.benchmarks is not None
    if row["lever"] == "conversion":
        if of_file and row["conversion_benchmark"] is None:
            return "the file has no benchmark of it"
        if not of_file and row["cohorts"] < FEWEST:
            return f"{counted(row['cohorts'], 'cohort')} of {MEMBERS} or more members"
        return None
    if wait.now is None:
        return f"fewer than {FEWEST_WAITS} waits"
    if wait.goal is None:
        return (
            "the file has no benchmark of it" if of_file else f"fewer than {FEWEST} large cohorts"
        )
    if old < _OLD_ENOUGH and wait.now > wait.goal:
        longer = question.funnel.window(row["stage"]) * (wait.now / wait.goal)
        days = math.ceil(longer.total_seconds() / 86400)
        return f"{old:,} are older than the {days:,} days in which those are found who are late now"
    return None


def _gained(found: Lifted, drawn: Lifted | None, place: int, which: int) -> _Row:
    """What the lever adds."""
    row: _Row = {
        "conversion_headroom": _headroom(found, place, which),
        "added_next": _number(found.members[which][place, 0]),
        "added_customers": _number(found.customers[which][place, 0]),
    }
    for half, name in enumerate(("added_revenue", "added_revenue_half")):
        row[name] = _money(found.added[which][half][place, 0])
        if drawn is not None and row[name] is not None:
            low, high = _interval(drawn.added[which][half][place])
            row[f"{name}_low"], row[f"{name}_high"] = _money(low), _money(high)
    return row


def _headroom(found: Lifted, place: int, which: int) -> float | None:
    """How far a conversion is below its benchmark (under 0: above it), or what faster would add."""
    if which == 0:
        return _number(found.goal[place, 0] - found.conversion[place, 0])
    return _number(found.gain[1][place, 0])


def _worthless(row: _Row, question: Question, place: int) -> str | None:
    """Why what is added has no price, if so."""
    if row["worth"] is not None:
        return None
    if place < KNOT:
        return f"fewer than {CUSTOMERS} customers whose {question.days} days are over"
    return (
        f"fewer than {CUSTOMERS} customers, whose {question.days} days are over, on one side: who"
        " went on, or who did not"
    )


def _rank(rows: list[_Row]) -> None:
    """In order of what they add; what adds nothing, or can't be told, comes last, by its place."""
    priced = any(row["added_revenue"] is not None for row in rows)

    def size(row: _Row) -> float:
        if priced:
            return float(row["added_revenue"] or 0)
        headroom, now = row["conversion_headroom"] or 0.0, row["conversion"] or 0.0
        return headroom / now if now else 0.0

    rows.sort(key=size, reverse=True)
    adding = [row for row in rows if size(row) > 0]
    for number, row in enumerate(adding, 1):
        row["rank"] = number
    rows[len(adding) :] = sorted(
        rows[len(adding) :], key=lambda row: (row["added_next"] is None, STEPS.index(row["stage"]))
    )


def _interval(draws: Any) -> Sequence[float]:
    known = draws[np.isfinite(draws)]
    return [float(bound) for bound in np.percentile(known, _BOUNDS)] if known.size else [np.nan] * 2


def _number(value: Any) -> float | None:
    return float(value) if math.isfinite(value) else None


def _money(value: Any) -> Decimal | None:
    """An estimate in money, to the cent: more digits would say more than is known."""
    return Decimal(str(float(value))).quantize(_CENT) if math.isfinite(value) else None
