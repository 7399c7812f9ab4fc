"""Mapping files: how the rows of a foreign file become events.

The format is described in docs/mapping-files.md. A mapping is compiled once, to plain functions.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any, cast, get_args

import msgspec

from bowtie.errors import EventRejected, FileError
from bowtie.logs.mapping_columns import Columns
from bowtie.logs.mapping_document import Table, read_document
from bowtie.logs.mapping_events import EventPlan, compile_event, compile_who
from bowtie.logs.mapping_keys import TakeId, compile_id
from bowtie.logs.mapping_values import ValueCompiler
from bowtie.logs.reading import LogFile
from bowtie.logs.row_ids import RowIds
from bowtie.logs.rows import BadRow, Format, FormatOptions, Row
from bowtie.stages.fields import near

__all__ = ["Mapper", "Mapping", "Unmapped", "Wire"]

#: An event as a CloudEvents object.
Wire = dict[str, Any]

_KEYS = (
    "name",
    "version",
    "title",
    "source",
    "customer",
    "time",
    "recordedtime",
    "id",
    "format",
    "maps",
    "events",
)
_FORMAT_KEYS = ("type", "delimiter", "quote", "encoding", "missing", "decimal", "thousands")
_encode = msgspec.json.Encoder(order="sorted").encode


class _ParkedRow(msgspec.Struct):
    """A row that was parked: retried later, it must not take a number anew."""

    bowtie_row: dict[str, Any]
    row_id: str


_encode_parked = msgspec.json.Encoder(decimal_format="number").encode
_decode_parked = msgspec.json.Decoder(_ParkedRow, float_hook=Decimal).decode


@dataclass(frozen=True, slots=True)
class Unmapped:
    """An event that can't be made of a row, to be parked.

    Args:
        reason: as of :class:`~bowtie.errors.EventRejected`: ``unreadable``, ``invalid``,
            ``naive_time``.
        problem: what is wrong, for a person: event, field, column.
        row: the row; its text, where it can't be read as one.
        row_id: the id of the row, on which its events' ids stand; empty where it has none.
        subject: the customer's key; empty where it can't be said.
    """

    reason: str
    problem: str
    row: dict[str, Any] | bytes
    row_id: str = ""
    subject: str = ""

    @property
    def raw(self) -> bytes:
        """The row as one line, for :meth:`Mapping.retry`."""
        if isinstance(self.row, bytes):
            return self.row
        return _encode_parked(_ParkedRow(self.row, self.row_id))


class Mapping:
    """A mapping file, checked and compiled.

    >>> mapping = Mapping.load('''
    ... name = "visits"
    ... version = 1
    ... source = "shop"
    ... customer = "who"
    ... time = { column = "day", zone = "UTC" }
    ... id = "nr"
    ... [[events]]
    ... type = "touched"
    ... const = { direction = "inbound" }
    ... columns = { channel = "via" }
    ... ''')
    >>> mapping.begin().wire({"nr": "7", "who": "u1", "day": "2026-01-05", "via": "mail"})[0]["id"]
    '7:touched'

    Attributes:
        name: its name.
        version: its version; 1 unless said.
        source: the source of its events, whatever the file is called.
        options: how the file is written; for :func:`~bowtie.logs.open_log`.
        columns: each column that it reads, with the line that names it first.
    """

    def __init__(self, document: Table, path: str) -> None:
        document.only(_KEYS)
        self.path = path
        self.name, self.source = document.text("name"), document.text("source")
        self.version = _version(document)
        for key in ("name", "source"):
            if not document.text(key):
                raise document.error(f"`{key}` must not be empty", key)
        format_table = document.table("format")
        self.options = _options(format_table)
        columns = Columns(format_table.texts("missing") or ("",))
        values = ValueCompiler(columns, format_table, document.table("maps"))
        self._id = compile_id(document, columns)
        who = compile_who(document, columns)
        events = document.tables("events")
        if not events:
            raise document.error("a mapping needs at least one [[events]]")
        self.plans: list[EventPlan] = [compile_event(event, who, values) for event in events]
        _tell_apart(self.plans, events)
        self.columns = columns.read

    @classmethod
    def load(cls, source: str | os.PathLike[str]) -> Mapping:
        """Read a mapping from a path, or from its text (which has more than one line).

        Raises:
            FileError: the file can't be read.
            MappingError: it is wrong; names the line and says what to write.
        """
        if isinstance(source, str) and "\n" in source:
            return cls(read_document(source, "mapping"), "mapping")
        path = Path(source)
        try:
            text = path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            raise FileError(str(path), "is not UTF-8: a mapping is a TOML file in UTF-8") from None
        except OSError as error:
            raise FileError(
                str(path), f"the mapping can't be read: {error.strerror or error}"
            ) from None
        return cls(read_document(text, str(path)), str(path))

    def begin(self, log: LogFile | None = None) -> Mapper:
        """Start on one input, whose columns are checked before any row is read.

        Raises:
            FileError: a column that the mapping reads is not in the file.
        """
        if log is not None:
            self.check_columns(log)
        return Mapper(self, self._id)

    def retry(self, parked: bytes) -> list[Wire | Unmapped]:
        """What a parked row (:attr:`Unmapped.raw`) becomes now, under the ids it had.

        Raises:
            EventRejected: ``unreadable``: it is no parked row.
        """
        try:
            row = _decode_parked(parked)
        except msgspec.MsgspecError:
            raise EventRejected("unreadable", "it is no row that a mapping reads") from None
        take_id = (lambda _row, _ids: row.row_id) if row.row_id else self._id
        return Mapper(self, take_id).wire(row.bowtie_row)

    def check_columns(self, log: LogFile) -> None:
        """See that the file has the columns that the mapping reads; nested JSON may have any.

        Raises:
            FileError: names the column, the mapping's line, and the columns there are.
        """
        if not log.columns:
            return
        known, nested = set(log.columns), log.format == "parquet"
        for name, line in self.columns.items():
            if name in known or (nested and name.split(".")[0] in known):
                continue
            raise FileError(
                log.name,
                f"has no column {name!r}, which {self.path}:{line} reads{log.hint}:"
                f" {near(name, log.columns)}",
            )


class Mapper:
    """A mapping at work on one input: it knows the rows that came before.

    Attributes:
        rows: rows seen.
        unused: rows to which none of the mapping's events applies.
        unchanged: events left out because they say what the customer's last one said
            (``only_changes``), or say nothing.
    """

    def __init__(self, mapping: Mapping, take_id: TakeId) -> None:
        self._mapping, self._take_id = mapping, take_id
        self._ids = RowIds()
        self._last: list[dict[str | None, bytes]] = [{} for _ in mapping.plans]
        self.rows = self.unused = self.unchanged = 0

    def over(self, log: LogFile) -> Iterator[tuple[Row | BadRow, list[Wire | Unmapped]]]:
        """Each row and what it becomes; a row that can't be read becomes ``unreadable``.

        Raises:
            FileError: after all that is good, damage of the file.
        """
        wire = self.wire
        for row in log.rows():
            if isinstance(row, Row):
                yield row, wire(row.values)
            else:
                self.rows += 1
                yield row, [Unmapped("unreadable", row.problem, row.raw)]

    def wire(self, row: dict[str, Any]) -> list[Wire | Unmapped]:
        """What a row becomes: an event or an :class:`Unmapped` for each event that applies."""
        self.rows += 1
        made: list[Wire | Unmapped] = []
        used, row_id = False, ""
        for plan, last in zip(self._mapping.plans, self._last, strict=True):
            try:
                if plan.applies is not None and not plan.applies(row):
                    continue
                used = True
                row_id = row_id or self._take_id(row, self._ids)
                event = self._event(plan, row, row_id, last)
            except EventRejected as error:
                used = True
                row_id = row_id or _or_empty(self._take_id, row, self._ids)
                subject = _or_empty(plan.customer, row)
                problem = f"{plan.type.removeprefix('bowtie.')}.{error.problem}"
                made.append(Unmapped(error.reason, problem, row, row_id, subject))
                continue
            if event is None:
                self.unchanged += 1
            else:
                made.append(event)
        if not used:
            self.unused += 1
        return made

    def _event(
        self, plan: EventPlan, row: dict[str, Any], row_id: str, last: dict[str | None, bytes]
    ) -> Wire | None:
        """The event, or None where it says nothing, or nothing new."""
        data = plan.data(row)
        if data is None:
            return None
        subject = plan.customer(row)
        if not plan.only_changes:
            return plan.wire(row, row_id, self._mapping.source, subject, data)
        said = _encode(data)
        if last.get(subject) == said:
            return None
        event = plan.wire(row, row_id, self._mapping.source, subject, data)
        last[subject] = said
        return event


def _or_empty(take: Callable[..., str | None], *arguments: object) -> str:
    """What can be taken of a row that is refused for another reason."""
    try:
        return take(*arguments) or ""
    except EventRejected:
        return ""


def _version(document: Table) -> int:
    version: int = document.values.get("version", 1)
    if version.__class__ is not int or version < 1:
        raise document.error("`version` must be a whole number from 1", "version")
    return version


def _options(table: Table) -> FormatOptions:
    table.only(_FORMAT_KEYS)
    type_name = table.choice("type", get_args(Format), "") if "type" in table.values else None
    delimiter, quote = table.maybe_text("delimiter"), table.text("quote", '"')
    for key, mark in (("delimiter", delimiter), ("quote", quote)):
        if mark is not None and len(mark) != 1:
            raise table.error(f"`{key}` must be one character", key)
    encoding = table.maybe_text("encoding")
    if encoding is not None:
        try:
            "".encode(encoding)
        except LookupError:
            raise table.error(
                f"encoding {encoding!r} is not known: write such as latin-1, cp1252 or utf-16",
                "encoding",
            ) from None
    return FormatOptions(cast("Format | None", type_name), delimiter, quote, encoding)


def _tell_apart(plans: list[EventPlan], events: list[Table]) -> None:
    """Two events of one row must not get the same id."""
    seen: set[str] = set()
    for plan, event in zip(plans, events, strict=True):
        if plan.suffix in seen:
            raise event.error(
                f"a second event would have the same ids (ending in {plan.suffix!r}):"
                ' give this one a suffix of its own, such as suffix = "return"',
                "suffix" if "suffix" in event.values else "type",
            )
        seen.add(plan.suffix)
