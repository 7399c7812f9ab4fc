"""Rows as a table in a terminal, or as aligned text where none is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from bowtie_projections.cells import joined, visible

if TYPE_CHECKING:
    from rich.table import Table

__all__ = ["table_text"]

_WIDEST = 100_000
_LONG_WORD = 40
#: More rows than these are not wrapped, which takes a millisecond each.
_MANY = 1_000


def table_text(
    columns: Sequence[str], rows: Sequence[Mapping[str, Any]], *, terminal: bool = False
) -> str:
    """Rows as an aligned table.

    Bounds stand in the column of their rate, and columns without any value are left out.

    Args:
        terminal: fit it to the terminal, with its colours; else it is as wide as it must be.
    """
    if not rows:
        return "(no rows)"
    shown = joined(columns, rows)
    if terminal and len(rows) <= _MANY:
        return _rendered(_rich_table(shown))
    return _aligned(shown)


def _rich_table(shown: Mapping[str, tuple[list[str], bool]]) -> Table:
    from rich.cells import cell_len
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, header_style="bold")
    for name, (cells, number) in shown.items():
        title = visible(name.replace("_", " "))
        # on a narrow terminal sentences are wrapped; what is one word or a number stays whole
        wraps = not number and any(" " in one for one in cells)
        words = " ".join((title, *cells)).split(" ") if wraps else (title, *cells)
        table.add_column(
            Text(title),
            justify="right" if number else "left",
            overflow="fold",
            no_wrap=not wraps,
            min_width=min(max(map(cell_len, words)), _LONG_WORD if wraps else _WIDEST),
        )
    for row in zip(*(cells for cells, _ in shown.values()), strict=True):
        table.add_row(*(Text(one) for one in row))
    return table


def _rendered(table: Table) -> str:
    """The table as the terminal shows it."""
    from rich.console import Console

    console = Console()
    needed = sum((column.min_width or 0) + 2 for column in table.columns)
    console.width = max(console.width, needed)
    with console.capture() as capture:
        console.print(table)
    return "\n".join(line.rstrip() for line in capture.get().rstrip("\n").split("\n"))


def _aligned(shown: Mapping[str, tuple[list[str], bool]]) -> str:
    """The table without colour or limit, quickly: for pipes, files and many rows."""
    from rich.cells import cell_len

    columns = []
    for name, (cells, number) in shown.items():
        lines = [visible(name.replace("_", " ")), *cells]
        sizes = [len(one) if one.isascii() else cell_len(one) for one in lines]
        width = max(sizes)
        pads = [" " * (width - size) for size in sizes]
        pairs = zip(lines, pads, strict=True)
        columns.append([pad + one if number else one + pad for one, pad in pairs])
    return "\n".join("  ".join(row).rstrip() for row in zip(*columns, strict=True))
