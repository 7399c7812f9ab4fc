"""A log as columns: the wire's attributes, each a column, its data as one JSON text.

Attributes that have no column of their own travel together in ``extensions``, as JSON.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from typing import Any

import msgspec

from bowtie.errors import FileError
from bowtie.logs.lines import CHUNK_LINES, Chunk
from bowtie.logs.row_ids import RowIds
from bowtie.logs.rows import BadRow, Row
from bowtie.times import iso

__all__ = ["COLUMNS", "REQUIRED", "check_columns", "row_of_wire", "wire_chunks"]

#: The columns of a log, in their order.
COLUMNS = (
    "specversion",
    "id",
    "source",
    "type",
    "subject",
    "time",
    "recordedtime",
    "storedtime",
    "streamkind",
    "timeprecision",
    "correlationid",
    "causationid",
    "authid",
    "outofsequence",
    "dataversion",
    "sequence",
    "extensions",
    "data",
)
#: The columns without which a file is no log.
REQUIRED = frozenset({"source", "type", "subject", "time"})
_EXTENSION = re.compile(r"^[a-z0-9]{1,20}$")
_HEADER = "bowtie_export"
_encode = msgspec.json.encode


def check_columns(columns: list[str], name: str, hint: str = "") -> None:
    """Refuse a file that is no event log.

    Raises:
        FileError: names the columns that are missing, or are no attribute of an event.
    """
    if not columns:
        return
    missing = [column for column in COLUMNS if column in REQUIRED and column not in columns]
    if missing:
        raise FileError(
            name,
            f"has no column {', '.join(missing)}{hint}: an event log has source, type, subject,"
            " time, id and data; other files need a mapping (--map)",
            1,
        )
    strange = [name for name in columns if name not in COLUMNS and not _EXTENSION.match(name)]
    if strange:
        raise FileError(
            name,
            f"column {strange[0]!r} is no attribute of an event (lower-case letters and digits):"
            " other files need a mapping (--map)",
            1,
        )


def wire_chunks(rows: Iterable[Row | BadRow]) -> Iterator[Chunk]:
    """Rows as JSON lines. A row that can't be one is handed on as it stands, to be parked.

    Whatever stops the reading is raised after the rows before it.
    """
    gathered = _Gathered()
    ids = RowIds()
    try:
        for row in rows:
            gathered.add(row, ids)
            if len(gathered.lines) >= CHUNK_LINES:
                yield gathered.chunk()
                gathered = _Gathered()
    except FileError:
        if gathered.lines:
            yield gathered.chunk()
        raise
    if gathered.lines:
        yield gathered.chunk()


class _Gathered:
    """The rows of a chunk in the making."""

    def __init__(self) -> None:
        self.lines: list[bytes] = []
        self._numbers: list[int] = []
        self._problems: dict[int, str] = {}

    def add(self, row: Row | BadRow, ids: RowIds) -> None:
        """Take one more row."""
        if isinstance(row, BadRow):
            self._problems[len(self.lines)] = row.problem
            self.lines.append(row.raw)
        else:
            self.lines.append(_line(row.values, ids))
        self._numbers.append(row.line)

    def chunk(self) -> Chunk:
        """The rows taken, as lines."""
        return Chunk(self._numbers[0], self.lines, self._numbers, self._problems or None)


def _line(row: dict[str, Any], ids: RowIds) -> bytes:
    try:
        if row.get("type") == _HEADER:
            return _json(row.get("data") or "{}")
        wire: dict[str, Any] = {"specversion": "1.0"}
        for name, value in row.items():
            if value is None or value == "" or name in ("data", "extensions"):
                continue
            wire[name] = _attribute(value)
        if "id" not in wire:
            wire["id"] = ids.take(row)
        if extensions := row.get("extensions"):
            wire |= msgspec.json.decode(_json(extensions), type=dict[str, Any])
        wire["data"] = msgspec.json.decode(_json(row.get("data") or "{}"), type=msgspec.Raw)
        return _encode(wire)
    except (msgspec.DecodeError, RecursionError):  # the data is no JSON: neither is the row, then
        return ",".join("" if v is None else str(v) for v in row.values()).encode()


def _json(value: Any) -> bytes:
    return value.encode() if isinstance(value, str) else _encode(value)


def _attribute(value: Any) -> str | bool:
    """A cell as the wire writes it; a time without a zone stays without one."""
    if isinstance(value, datetime):
        return value.isoformat() if value.tzinfo is None else iso(value)
    return value if isinstance(value, str | bool) else str(value)


def row_of_wire(wire: Mapping[str, Any]) -> dict[str, str | None]:
    """The columns of one event; the header line of an export keeps its content in ``data``."""
    if _HEADER in wire:
        header = {"type": _HEADER, "data": _encode(wire).decode()}
        return {column: header.get(column) for column in COLUMNS}
    row: dict[str, str | None] = {}
    for column in COLUMNS:
        value = wire.get(column)
        row[column] = None if value is None else _cell(value)
    others = {name: value for name, value in wire.items() if name not in COLUMNS}
    row["extensions"] = _encode(others).decode() if others else None
    row["data"] = _encode(wire.get("data") or {}).decode()
    return row


def _cell(value: Any) -> str:
    return value if isinstance(value, str) else _encode(value).decode()
