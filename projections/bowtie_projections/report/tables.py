"""Which part of an answer is shown, and how its figures read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import takewhile
from typing import Any

from bowtie_projections.cells import joined, visible
from bowtie_projections.results import Result

__all__ = ["Column", "Shown", "Table", "table"]

Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Shown:
    """A table of an answer, as the page shows it.

    Args:
        caption: what its figures are.
        columns: those shown; all of them, if none is named.
        part: of which further table, if not of the answer itself.
        most: so many of its first rows, or of its last if it is less than nothing.
        only: a column, and the value of the rows that are shown.
        every: a column, and the values of the rows that are shown.
        pivot: the columns that name a row, that name a column, and that hold the figure.
        beside: of a pivot, further columns of its rows.
        names_customers: it is shown only where customers' keys may be.
    """

    caption: str
    columns: tuple[str, ...] = ()
    part: str | None = None
    most: int | None = None
    only: tuple[str, Any] | None = None
    every: tuple[str, tuple[Any, ...]] | None = None
    pivot: tuple[str, str, str] | None = None
    beside: tuple[str, ...] = ()
    names_customers: bool = False


@dataclass(frozen=True, slots=True)
class Column:
    """One column: what it is called, and whether it holds numbers."""

    label: str
    number: bool


@dataclass(frozen=True, slots=True)
class Table:
    """Rows of text, and how many more there are.

    Args:
        caption: what the figures are.
        columns: in order.
        heads: how many of the first columns name the row.
        rows: the cells.
        left_out: how many rows of the answer are not shown.
        tells: whether there is anything in it beside the names of its rows.
    """

    caption: str
    columns: list[Column]
    heads: int
    rows: list[list[str]]
    left_out: int
    tells: bool


def table(result: Result, shown: Shown, keys: Sequence[str] = ()) -> Table:
    """The part of an answer that is shown.

    Args:
        result: the answer.
        shown: which part of it.
        keys: the columns of its breakdowns, which come first.
    """
    part = result if shown.part is None else result.part(shown.part)
    rows: list[Row] = _of_interest(part.rows(), shown)
    # of orders, say, no recurring revenue is told
    there = [name for name in shown.columns if name in part.columns]
    names = [*keys, *there] if shown.columns else part.columns
    if shown.pivot is not None:
        names, rows = _pivoted(rows, shown.pivot, shown.beside)
    everything = len(rows)
    if shown.most is not None:
        rows = rows[: shown.most] if shown.most > 0 else rows[shown.most :]
    values = {} if shown.pivot is None else dict.fromkeys(names[1:], shown.pivot[2])
    columns = joined(names, rows, values)
    heads = len(list(takewhile(lambda one: not one[1], columns.values())))
    cells = [cells for cells, _ in columns.values()]
    return Table(
        shown.caption,
        [Column(visible(name.replace("_", " ")), number) for name, (_, number) in columns.items()],
        max(heads, 1) if rows else 0,
        [list(row) for row in zip(*cells, strict=True)],
        everything - len(rows),
        bool(rows) and (len(columns) > heads or len(columns) == len(names)),
    )


def _of_interest(rows: Sequence[Row], shown: Shown) -> list[Row]:
    found = list(rows)
    if shown.only is not None:
        name, value = shown.only
        found = [row for row in found if row[name] == value]
    if shown.every is not None:
        name, values = shown.every
        found = [row for row in found if row[name] in values]
    return found


def _pivoted(
    rows: Sequence[Row], pivot: tuple[str, str, str], beside: Sequence[str]
) -> tuple[list[str], list[Row]]:
    """A row for each value of one column, and in it a column for each value of another."""
    down, across, figure = pivot
    names = list(dict.fromkeys(str(row[across]) for row in rows))
    wide: dict[Any, dict[str, Any]] = {}
    for row in rows:
        one = wide.setdefault(row[down], {down: row[down]} | dict.fromkeys(names))
        one[str(row[across])] = row[figure]
        one |= {name: row[name] for name in beside}
    return [down, *names, *beside], list(wide.values())
