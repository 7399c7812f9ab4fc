"""Values as a person reads them in a table, and as a machine reads them elsewhere."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

__all__ = ["cell", "joined", "plain", "text", "visible"]

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
    r"^((.*_)?(value|revenue)(_.*)?|spend|spend_.*|cost|cost_.*|mrr|mrr_.*|.*_amount|expected"
    r"|realised|rewards|worth|predicted_.*|difference|difference_.*"
    r"|start|new|more|less|expansion|contraction|churned|reactivated|end|in_grace|start_12m)$"
)
#: Columns that hold days; a table shows them in tenths.
_DAYS = re.compile(r"(^|_)days(_|$)")
#: What would move the cursor or hide text, were it printed as it is; and what no document may hold.
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ufffe\uffff]")


def plain(value: Any) -> Any:
    """A value as JSON holds it: decimals as strings, times in ISO 8601, durations in days.

    A number that is none, or without bounds, is null.
    """
    match value:
        case Decimal():
            return format(value, "f")
        case date():
            return _iso(value)
        case timedelta():
            return value.total_seconds() / 86400
        case float():
            return value if math.isfinite(value) else None
        case bytes():
            return value.hex()
        case Mapping():
            return {str(name): plain(inner) for name, inner in value.items()}
        case list() | tuple() | set() | frozenset():
            return [plain(inner) for inner in value]
    return value


def _iso(day: date) -> str:
    """A day, or a moment in UTC."""
    if not isinstance(day, datetime):
        return day.isoformat()
    moment = day if day.tzinfo is None else day.astimezone(UTC).replace(tzinfo=None)
    return moment.isoformat() + "Z"


def text(value: Any) -> str:
    """A value in CSV: nothing for null, numbers in full."""
    match value:
        case bool():
            return "true" if value else "false"
        case Mapping() | list() | tuple():
            import json

            return json.dumps(plain(value), ensure_ascii=False)
    held = plain(value)
    return "" if held is None else str(held)


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
        return "<0.001" if 0 <= value < 0.001 else f"{value:.3f}"
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


def joined(
    columns: Sequence[str],
    rows: Sequence[Mapping[str, Any]],
    like: Mapping[str, str] | None = None,
) -> dict[str, tuple[list[str], bool]]:
    """The cells of each column to show, and whether they are numbers.

    Bounds stand in the column of their rate, and columns without any value are left out.

    Args:
        columns: their names, in order.
        rows: the values.
        like: of columns that are called otherwise, the column whose values they hold.
    """
    like = like or {}
    filled = {name for name in columns if any(row[name] is not None for row in rows)}
    bounds = {end for name in columns for end in _bounds_of(name)}
    shown = {}
    for name in columns:
        if name in bounds or (name not in filled and len(filled) > 0):
            continue
        low, high = _bounds_of(name)
        cells = [cell(like.get(name, name), row[name]) for row in rows]
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
