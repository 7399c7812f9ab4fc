"""Arrow into PostgreSQL and out of it."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.csv

if TYPE_CHECKING:
    import psycopg

__all__ = ["arrow_of", "csv_of", "is_cut_short"]

#: How many rows are handed over at a time.
_ROWS = 100_000
_MICROS = pa.timestamp("us")
#: Types of PostgreSQL, by their numbers, as DuckDB would give them.
_KINDS: dict[int, pa.DataType] = {
    16: pa.bool_(),
    20: pa.int64(),
    21: pa.int16(),
    23: pa.int32(),
    25: pa.string(),
    700: pa.float32(),
    701: pa.float64(),
    1016: pa.list_(pa.int64()),
    1022: pa.list_(pa.float64()),
    1043: pa.string(),
    1082: pa.date32(),
    1114: _MICROS,
    1184: pa.timestamp("us", tz="UTC"),
}
_NUMERIC = 1700
_MONEY_SCALE = 6


def csv_of(rows: pa.RecordBatch) -> bytes:
    """The rows as COPY reads them: texts quoted, nothing for null."""
    sink = pa.BufferOutputStream()
    pa.csv.write_csv(rows, sink, pa.csv.WriteOptions(include_header=False))
    return sink.getvalue().to_pybytes()


def is_cut_short(lines: bytes) -> bool:
    r"""Whether COPY might take some line for the end: before PostgreSQL 18, \. is, even in quotes.

    >>> is_cut_short(b'1,"a\n\\.\nb"\n'), is_cut_short(b'1,"a\\.b"\n')
    (True, False)
    """
    return b"\n\\." in lines or b"\r\\." in lines


def arrow_of(cursor: psycopg.Cursor[Any]) -> pa.Table:
    """What a cursor gives, as a table: some rows at a time, so that they don't all lie twice."""
    described = cursor.description or []
    kinds = [_kind(column) for column in described]
    pieces: list[list[Any]] = [[] for _ in described]
    while found := cursor.fetchmany(_ROWS):
        for piece, values, kind in zip(pieces, zip(*found, strict=True), kinds, strict=True):
            piece.append(_array(values, kind))
    columns = [_column(piece, kind) for piece, kind in zip(pieces, kinds, strict=True)]
    return pa.table(columns, names=[column.name for column in described])


def _kind(column: psycopg.Column) -> pa.DataType | None:
    """The type of a column; None where only its values can tell."""
    if column.type_code == _NUMERIC and column.precision is not None:
        return pa.decimal128(min(column.precision, 38), column.scale or 0)
    return _KINDS.get(column.type_code)


def _array(values: Sequence[Any], kind: pa.DataType | None) -> Any:
    if kind is not None:
        return pa.array(values, kind)
    said = [value for value in values if value is not None]
    if all(isinstance(value, Decimal) for value in said):
        return _decimals(values, said)
    return pa.array([None if value is None else str(value) for value in values], pa.string())


def _decimals(values: Sequence[Any], said: Sequence[Decimal]) -> Any:
    """Numbers whose type doesn't say how exact they are: a sum of whole ones, of money, a mean."""
    if not all(value.is_finite() for value in said):
        return pa.array([None if value is None else float(value) for value in values], pa.float64())
    exponents = [-int(value.as_tuple().exponent) for value in said]
    if max(exponents, default=0) > _MONEY_SCALE:
        return pa.array([None if value is None else float(value) for value in values], pa.float64())
    scale = _MONEY_SCALE if any(exponents) else 0
    return pa.array(values, pa.decimal128(38, scale))


def _column(pieces: Sequence[Any], kind: pa.DataType | None) -> Any:
    if not pieces:
        return pa.array([], kind or pa.string())
    kinds = {piece.type for piece in pieces}
    if len(kinds) > 1:
        widest = max(kinds, key=lambda one: (pa.types.is_floating(one), str(one)))
        pieces = [piece.cast(widest) for piece in pieces]
    return pa.chunked_array(pieces)
