"""A recorded event: who, when, where from, around the data; and its form on the wire."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from bowtie.errors import EventRejected
from bowtie.events import Event
from bowtie.times import iso, parse_time

__all__ = ["Envelope", "Recorded", "checked_text", "data_to_wire", "parse_line", "read_envelope"]


@dataclass(frozen=True, slots=True)
class Recorded:
    """One event as the store holds it.

    ``occurred_at`` is when it happened in the world, ``recorded_at`` when this store took it (None
    only when read straight from a log file), ``known_from`` when the sender knew it, if it said so.
    """

    data: Event
    kind: str
    subject: str
    version: int
    position: int
    source: str
    id: str
    occurred_at: datetime
    recorded_at: datetime | None
    known_from: datetime | None = None
    time_precision: str = "exact"
    correlation_id: str | None = None
    causation_id: str | None = None
    actor: str | None = None
    out_of_sequence: bool = False
    extensions: Mapping[str, Any] = field(default_factory=dict)

    @property
    def type(self) -> str:
        """The event's name in the catalogue, such as ``touched``."""
        return self.data.type_name

    @property
    def stream(self) -> str:
        """The stream's id: kind and key."""
        return f"{self.kind}/{self.subject}"

    def to_cloudevent(self) -> dict[str, Any]:
        """The event on the wire: a CloudEvents 1.0 object, its keys always in the same order."""
        wire: dict[str, Any] = {
            "specversion": "1.0",
            "id": self.id,
            "source": self.source,
            "type": f"bowtie.{self.type}",
            "subject": self.subject,
            "time": iso(self.occurred_at),
        }
        optional = {
            "recordedtime": iso(self.known_from) if self.known_from else None,
            "storedtime": iso(self.recorded_at) if self.recorded_at else None,
            "streamkind": None if self.kind == "customer" else self.kind,
            "timeprecision": None if self.time_precision == "exact" else self.time_precision,
            "correlationid": self.correlation_id,
            "causationid": self.causation_id,
            "authid": self.actor,
            "outofsequence": self.out_of_sequence or None,
            "dataversion": self.data.data_version if self.data.data_version > 1 else None,
            "sequence": str(self.position),
        }
        wire |= {name: value for name, value in optional.items() if value is not None}
        wire |= self.extensions
        wire["data"] = data_to_wire(self.data)
        return wire


def data_to_wire(data: Event) -> dict[str, Any]:
    """The data of an event as JSON values: amounts as strings, days as text, nulls left out."""
    wire = data.model_dump(mode="json", exclude_none=True)
    for name in ("traits", "properties"):  # a null inside a map says something: it unsets
        if name in wire:
            wire[name] = dict(getattr(data, name))
    return wire


def parse_line(raw: bytes) -> dict[str, Any]:
    """The JSON object on a line.

    Raises:
        EventRejected: ``unreadable``, with what is wrong and where.
    """
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError as error:
        raise EventRejected(
            "unreadable", f"not UTF-8 (byte {error.start + 1}): write the file as UTF-8"
        ) from None
    try:
        wire = json.loads(text, parse_constant=_no_constant)
        json.dumps(wire, ensure_ascii=False, allow_nan=False).encode()
    except json.JSONDecodeError as error:
        raise EventRejected("unreadable", f"not JSON: {error.msg} (column {error.colno})") from None
    except (ValueError, RecursionError) as error:
        raise EventRejected("unreadable", f"not JSON that can be kept: {error}") from None
    if not isinstance(wire, dict):
        raise EventRejected("unreadable", "not a JSON object: write one event a line")
    return wire


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is no JSON value")


@dataclass(slots=True)
class Envelope:
    """The attributes of a wire object, checked; what it doesn't know is in ``extensions``."""

    id: str
    source: str
    time: datetime
    subject: str = ""
    recordedtime: datetime | None = None
    storedtime: datetime | None = None
    streamkind: str | None = None
    timeprecision: str = "exact"
    correlationid: str | None = None
    causationid: str | None = None
    authid: str | None = None
    outofsequence: bool = False
    extensions: dict[str, Any] = field(default_factory=dict)

    def extensions_text(self) -> str | None:
        """The unknown extensions as one JSON text, or None."""
        if not self.extensions:
            return None
        return json.dumps(self.extensions, sort_keys=True, ensure_ascii=False)


#: What the wire carries beside an event's own attributes and bowtie's extensions.
_READ_ELSEWHERE = frozenset({"specversion", "type", "data", "dataversion", "sequence"})
_TEXTS = ("id", "source", "subject", "streamkind", "correlationid", "causationid", "authid")
_TIMES = ("time", "recordedtime", "storedtime")
#: Half of a character, as Python has it for bytes that are no UTF-8.
_UNPAIRED = re.compile("[\ud800-\udfff]")


def read_envelope(wire: Mapping[str, Any]) -> Envelope:
    """The envelope of a wire object.

    Raises:
        EventRejected: an attribute is missing or wrong.
    """
    if wire.get("specversion") != "1.0":
        raise EventRejected("invalid", 'specversion: must be "1.0"')
    if "data_base64" in wire:
        raise EventRejected("invalid", "data_base64: write the data as JSON in data")
    values: dict[str, Any] = {}
    for name in _TEXTS:
        values[name] = checked_text(wire.get(name), name)
    for name in ("id", "source", "time"):
        if not wire.get(name):
            raise EventRejected("invalid", f"{name}: missing")
    for name in _TIMES:
        text = checked_text(wire.get(name), name)
        values[name] = parse_time(text, name) if text else None
    values["timeprecision"] = checked_text(wire.get("timeprecision"), "timeprecision") or "exact"
    if values["timeprecision"] not in ("exact", "day"):
        raise EventRejected("invalid", 'timeprecision: write "day", or leave it out')
    values["outofsequence"] = wire.get("outofsequence") in (True, "true")
    values["subject"] = values["subject"] or ""
    known = _READ_ELSEWHERE.union(values)
    extensions = {name: value for name, value in wire.items() if name not in known}
    for name, value in extensions.items():
        if not isinstance(value, str | int | float | bool | None):
            raise EventRejected("invalid", f"{name[:40]}: an extension must be a single value")
    return Envelope(**values, extensions=extensions)


def checked_text(value: object, name: str) -> str | None:
    """An attribute's text, if it has one.

    Raises:
        EventRejected: it is no text, or one that can't be kept.
    """
    if value is None:
        return None
    if not isinstance(value, str) or "\0" in value or not _is_whole(value):
        raise EventRejected("invalid", f"{name}: must be text")
    return value or None


def _is_whole(text: str) -> bool:
    return text.isascii() or not _UNPAIRED.search(text)
