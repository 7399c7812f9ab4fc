"""The rows of the metrics."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["Row", "days_row", "row_of", "table_of"]

Row = dict[str, Any]
_COLUMNS = ("number", "metric", "unit", "value", "low", "high", "of", "currency", "reason")


def row_of(number: str, metric: str, unit: str, **more: Any) -> Row:
    """A metric: its alias, its name, its unit, and what else is told of it."""
    row = dict.fromkeys(_COLUMNS) | {"number": number or None, "metric": metric, "unit": unit}
    row |= {name: value for name, value in more.items() if value != ""}
    return row


def days_row(number: str, metric: str, row: Row) -> Row:
    """The median of the days of those who went on in time."""
    reason = "" if row["days_p50"] is not None else "fewer than 20 of the mature went on in time"
    return row_of(number, metric, "days", value=row["days_p50"], reason=reason)


def table_of(rows: list[Row]) -> pa.Table:
    """The rows, as Arrow."""
    import pyarrow as pa

    kinds = {"of": pa.int64(), **dict.fromkeys(("value", "low", "high"), pa.float64())}
    schema = pa.schema([pa.field(name, kinds.get(name, pa.string())) for name in _COLUMNS])
    return pa.Table.from_pylist(rows, schema=schema)
