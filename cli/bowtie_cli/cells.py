"""Values as a person reads them in a table, and as a machine reads them elsewhere."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.table import Table

__all__ = ["cell", "plain", "table_text", "text", "visible"]

#: Columns that hold a share of one; a table shows them in per cent.
_RATE = re.compile(
    r"^(conversion|conversion_.*|(.*_rate|.*_share)(_before|_difference|_plan|_gap|_shrunk)?"
    r"|share_of_.*|share|coverage|estimate|retention|[gn]rr(_12m)?|(day|week|month)_\d+)$"
)
_BOUNDS = ("low", "high")
#: Those of an estimate are not called after its column.
_BOUNDS_OF = {"conversion_estimate": ("estimate_low", "estimate_high"), "estimate": _BOUNDS}
#: Columns that hold money; a table shows them in hundredths.
_MONEY = re.compile(
    r"^(value|spend|spend_.*|cost|cost_per_.*|mrr|mrr_.*|.*_amount|expected"
    r"|start|new|more|less|expansion|contraction|churned|reactivated|end|in_grace|start_12m)$"
)
#: Columns that hold days; a table shows them in tenths.
_DAYS = re.compile(r"(^|_)days(_|$)")
#: What would move the cursor or hide text, were it printed as it is.
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
_WIDEST = 100_000
_LONG_WORD = 40
#: More rows than these are not wrapped, which takes a millisecond each.
_MANY = 1_000


def plain(value: Any) -> Any:
    """A value as JSON holds it: decimals as strings, times in ISO 8601, durations in days."""
    match value:
        case Decimal():
            return format(value, "f")
        case datetime():
            moment = value if value.tzinfo is None else value.astimezone(UTC).replace(tzinfo=None)
            return moment.isoformat() + "Z"
        case date():
            return value.isoformat()
        case timedelta():
            return value.total_seconds() / 86400
        case bytes():
            return value.hex()
        case Mapping():
            return {str(name): plain(inner) for name, inner in value.items()}
        case list() | tuple():
            return [plain(inner) for inner in value]
    return value


def text(value: Any) -> str:
    """A value in CSV: nothing for null, numbers in full."""
    match value:
        case None:
            return ""
        case bool():
            return "true" if value else "false"
        case Mapping() | list() | tuple():
            import json

            return json.dumps(plain(value), ensure_ascii=False)
    return str(plain(value))


def cell(name: str, value: Any) -> str:
    """A value in a table for a person; ``name`` is its column.

    >>> cell("conversion", 0.4567), cell("entered", 1234), cell("days_p50", None)
    ('45.7%', '1,234', '\u2013')
    """
    match value:
        case None:
            return "\u2013"  # a dash, so that nothing is seen to be nothing
        case bool():
            return "yes" if value else "no"
        case int():
            return f"{value:,}"
        case float():
            return _number(name, value)
        case Decimal():
            return _amount(name, value)
        case datetime():
            return _moment(value)
    return visible(text(value))


def visible(words: str, *, keep: str = "") -> str:
    r"""Words as they can be shown: what would steer a terminal is spelled out.

    Args:
        keep: control characters to leave as they are, such as line ends.

    >>> visible("red: \x1b[31m")
    'red: \\x1b[31m'
    """
    return _CONTROL.sub(lambda found: found[0] if found[0] in keep else repr(found[0])[1:-1], words)


def _number(name: str, value: float) -> str:
    if _RATE.match(name):
        return f"{value:.1%}"
    if name in {"p", "q"} or name.startswith("p_"):
        return f"{value:.3f}" if value >= 0.001 else "<0.001"
    return f"{value:,.1f}" if _DAYS.search(name) else f"{value:,.2f}"


def _amount(name: str, value: Decimal) -> str:
    """Two decimals; of small amounts more, where it may be no money, or all else is nought."""
    short = abs(value) >= 100 or (_MONEY.match(name) and abs(value) >= Decimal("0.01"))
    digits = f"{value:,.2f}" if short else f"{value:,.6f}".rstrip("0")
    whole, _, rest = digits.partition(".")
    return f"{whole}.{rest:0<2}" if rest or value.as_tuple().exponent else whole


def _moment(value: datetime) -> str:
    """ISO 8601 in UTC, without the fraction of a second."""
    moment = value if value.tzinfo is None else value.astimezone(UTC)
    return moment.replace(tzinfo=None, microsecond=0).isoformat() + "Z"


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
    shown = _joined(columns, rows)
    if terminal and len(rows) <= _MANY:
        return _rendered(_rich_table(shown))
    return _aligned(shown)


def _joined(
    columns: Sequence[str], rows: Sequence[Mapping[str, Any]]
) -> dict[str, tuple[list[str], bool]]:
    """The cells of each column to show, and whether they are numbers."""
    filled = {name for name in columns if any(row[name] is not None for row in rows)}
    bounds = {end for name in columns for end in _bounds_of(name)}
    shown = {}
    for name in columns:
        if name in bounds or (name not in filled and len(filled) > 0):
            continue
        low, high = _bounds_of(name)
        cells = [cell(name, row[name]) for row in rows]
        if {low, high} <= filled:
            pairs = zip(cells, rows, strict=True)
            cells = [_with_bounds(name, one, row[low], row[high]) for one, row in pairs]
        number = all(isinstance(row[name], int | float | Decimal | None) for row in rows)
        shown[name] = (cells, number and name in filled)
    return shown


def _bounds_of(name: str) -> tuple[str, str]:
    low, high = _BOUNDS
    return _BOUNDS_OF.get(name, (f"{name}_{low}", f"{name}_{high}"))


def _with_bounds(name: str, shown: str, low: Any, high: Any) -> str:
    if low is None or high is None:
        return shown
    ends = f"{cell(name, low)}..{cell(name, high)}".replace("%", "")
    return f"{shown} ({ends})"


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
