"""Lines of a log, checked: each becomes a fact, or is rejected with its reason.

Two lanes give the same result. The fast one checks a line with structs that are generated from the
pydantic models; whatever it doesn't take, for any cause, goes to the slow one, where pydantic
decides and words the error. So the fast lane can only be stricter, never laxer.
"""

from __future__ import annotations

import difflib
import unicodedata
from collections.abc import Collection
from datetime import UTC, datetime
from functools import cache
from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, Meta, Raw, Struct, UnsetType
from pydantic import ValidationError

from bowtie.codec import MAPS, Fact, TypeCodec, codec_for
from bowtie.envelope import Envelope, data_to_wire, parse_line, read_envelope
from bowtie.errors import EventRejected
from bowtie.events import CATALOGUE, PERSONAL_NAMES, Event
from bowtie.lifting import Unliftable, lift, newest_name
from bowtie.times import SKEW, iso, now_micros, to_micros

__all__ = ["Reader", "explain"]

#: What was learnt on a day is known from its end, which may lie ahead.
_DAY_MICROS = 86_400_000_000
_SKEW_MICROS = int(SKEW.total_seconds()) * 1_000_000
#: An offset can push a time out of the years that there are.
_EARLIEST = to_micros(datetime.min.replace(tzinfo=UTC))
_LATEST = to_micros(datetime.max.replace(tzinfo=UTC))
_AWARE = Annotated[datetime, Meta(tz=True)]
_TEXT = Annotated[str, Meta(min_length=1)]


class _Line(Struct, gc=False, forbid_unknown_fields=True):
    """A line without surprises; anything else is the slow lane's."""

    specversion: Literal["1.0"]
    id: _TEXT
    source: _TEXT
    type: str
    subject: _TEXT
    time: _AWARE
    data: Raw
    recordedtime: _AWARE | UnsetType = UNSET
    streamkind: str | UnsetType = UNSET
    correlationid: _TEXT | UnsetType = UNSET
    causationid: _TEXT | UnsetType = UNSET
    timeprecision: Literal["day"] | UnsetType = UNSET
    storedtime: _AWARE | UnsetType = UNSET
    outofsequence: bool | UnsetType = UNSET
    sequence: str | UnsetType = UNSET
    dataversion: int = 1


@cache
def _wire_types() -> dict[str, TypeCodec]:
    return {f"bowtie.{name}": codec_for(name) for name in CATALOGUE}


class Reader:
    """Turns wire lines and catalogue events into facts.

    Args:
        personal_names: traits and properties of these names are sealed.
        now: the clock stands still here, in microseconds, instead of being this machine's; what
            lies more than the skew beyond it is refused.
    """

    def __init__(
        self, personal_names: Collection[str] = PERSONAL_NAMES, now: int | None = None
    ) -> None:
        self.personal_names = frozenset(personal_names)
        self.now = now
        self.look_at_the_clock()
        self._types = _wire_types()

    def look_at_the_clock(self) -> None:
        """Measure the future from now on; a log may take hours to arrive."""
        self.latest = (now_micros() if self.now is None else self.now) + _SKEW_MICROS

    def line(self, raw: bytes) -> Fact:
        """The fact a line states.

        Raises:
            EventRejected: the line is wrong in itself; its ``reason`` says in which way.
        """
        if b"\\u0000" in raw:
            return self._slow(raw)
        try:
            line = _DECODE_LINE(raw)
            codec = self._types[line.type]
            data = codec.decode(line.data)
        except (msgspec.MsgspecError, UnicodeDecodeError, KeyError, RecursionError):
            return self._slow(raw)
        kind = codec.default_kind if line.streamkind is UNSET else line.streamkind
        at = to_micros(line.time)
        known = None if line.recordedtime is UNSET else to_micros(line.recordedtime)
        stored = None if line.storedtime is UNSET else to_micros(line.storedtime)
        latest = self.latest
        if (
            kind not in codec.kinds
            or line.dataversion != codec.version
            or not codec.check(data)
            or not _EARLIEST <= at <= latest
            or (known is not None and not _EARLIEST <= known <= latest + _DAY_MICROS)
            or (stored is not None and not _EARLIEST <= stored <= _LATEST)
        ):
            return self._slow(raw)
        subject = line.subject
        if not subject.isascii():
            subject = unicodedata.normalize("NFC", subject)
        fact = Fact(codec.name, kind, subject, line.source, line.id, at, b"", b"", known)
        if line.correlationid is not UNSET:
            fact.correlation = line.correlationid
        if line.causationid is not UNSET:
            fact.causation = line.causationid
        if line.timeprecision is not UNSET:
            fact.day = True
        fact.stored = stored
        if line.outofsequence is True:
            fact.out_of_sequence = True
        codec.fill(fact, data, self.personal_names)
        return fact

    def _slow(self, raw: bytes) -> Fact:
        return self.wire(parse_line(raw))

    def wire(self, wire: dict[str, Any]) -> Fact:
        """The fact a CloudEvents object states; raises as :meth:`line` does."""
        codec = self._codec_of(wire)
        version = _version_of(wire, codec)
        fact = self._head(read_envelope(wire), codec)
        data = {} if wire.get("data") is None else wire["data"]
        self.fill(fact, _validate(codec, version, data, self.personal_names))
        return fact

    def event(self, envelope: Envelope, event: Event) -> Fact:
        """The fact of an event at hand."""
        fact = self._head(envelope, codec_for(event.type_name))
        self.fill(fact, event)
        return fact

    def _head(self, envelope: Envelope, codec: TypeCodec) -> Fact:
        at = self._checked_time(envelope.time, "time")
        known = None
        if envelope.recordedtime is not None:
            known = self._checked_time(envelope.recordedtime, "recordedtime", _DAY_MICROS)
        kind = envelope.streamkind or codec.default_kind
        if kind not in codec.kinds:
            raise EventRejected(
                "invalid",
                f"{codec.name} belongs to a stream of kind {' or '.join(sorted(codec.kinds))},"
                f" not {kind}",
            )
        if not envelope.subject:
            raise EventRejected("no_customer", "subject: it names no customer")
        return Fact(
            codec.name,
            kind,
            unicodedata.normalize("NFC", envelope.subject),
            envelope.source,
            envelope.id,
            at,
            b"",
            b"",
            known=known,
            day=envelope.timeprecision == "day",
            correlation=envelope.correlationid,
            causation=envelope.causationid,
            extensions=envelope.extensions_text(),
            personal={"actor": envelope.authid} if envelope.authid else None,
            stored=to_micros(envelope.storedtime) if envelope.storedtime else None,
            out_of_sequence=envelope.outofsequence,
        )

    def fill(self, fact: Fact, data: Event) -> None:
        """Write the data of a fact that was made without it."""
        codec = codec_for(data.type_name)
        struct = msgspec.convert(data_to_wire(data), codec.struct)
        codec.fill(fact, struct, self.personal_names)

    def _codec_of(self, wire: dict[str, Any]) -> TypeCodec:
        name = wire.get("type")
        if not isinstance(name, str) or not name:
            raise EventRejected("invalid", 'type: missing; write such as "bowtie.touched"')
        if name not in self._types:
            near = difflib.get_close_matches(name, self._types, 1)
            hint = f"; did you mean {near[0]}?" if near else ": see the event catalogue"
            raise EventRejected(
                "unknown_type", f"type: {name[:60]!r} is not in the catalogue{hint}"
            )
        return self._types[name]

    def _checked_time(self, when: datetime, name: str, ahead: int = 0) -> int:
        micros = to_micros(when)
        if micros > self.latest + ahead:
            raise EventRejected(
                "future_time", f"{name}: {iso(when)} lies in the future; check that clock"
            )
        return micros


def _version_of(wire: dict[str, Any], codec: TypeCodec) -> int:
    """Which version of its type a line says it is written in; the first unless it says."""
    said = str(1 if wire.get("dataversion") is None else wire["dataversion"])
    if not (said.isascii() and said.isdecimal() and 0 < int(said[:20]) <= codec.version):
        raise EventRejected(
            "invalid",
            f"dataversion: {said[:20]!r} of {codec.name} is none that this version of bowtie knows"
            f" (1 to {codec.version}); upgrade it if it is newer",
        )
    return int(said)


def _validate(
    codec: TypeCodec, version: int, data: Any, personal_names: Collection[str] = ()
) -> Event:
    if not isinstance(data, dict):
        raise EventRejected("invalid", "data: must be a JSON object")
    older = f" (lifted from data version {version})" if version < codec.version else ""
    try:
        if older:
            data = _lifted(codec, version, data, personal_names)
        return codec.model.model_validate(data)
    except Unliftable as error:
        raise EventRejected("invalid", f"{error}{older}") from None
    except ValidationError as error:
        raise EventRejected("invalid", explain(error, codec.model) + older) from None


def _lifted(
    codec: TypeCodec, version: int, data: dict[str, Any], personal_names: Collection[str]
) -> dict[str, Any]:
    """Older data in the newest form; personal fields go by the lift, as they do in the store."""
    public: dict[str, Any] = {}
    hidden: dict[tuple[str, str | None], Any] = {}
    for name, value in data.items():
        newest = newest_name(codec.model, version, name)
        if newest in codec.personal:
            hidden[newest, None] = value
        elif name in MAPS and isinstance(value, dict):
            public[name] = {key: value[key] for key in value if key not in personal_names}
            hidden |= {(name, key): value[key] for key in value if key in personal_names}
        else:
            public[name] = value
    lifted = lift(codec.model, version, public)
    for (name, key), value in hidden.items():
        if key is None:
            lifted[name] = value
        else:
            lifted.setdefault(name, {})[key] = value
    return lifted


def explain(error: ValidationError, model: type[Event]) -> str:
    """What is wrong with the data, field by field, without the values (they may be personal)."""
    problems = []
    for item in error.errors(include_url=False, include_input=False):
        where = ".".join(str(part) for part in item["loc"][:2])
        if item["type"] == "missing":
            problems.append(f"{where}: missing")
        elif item["type"] == "extra_forbidden":
            near = difflib.get_close_matches(where, model.model_fields, 1)
            hint = f"; did you mean {near[0]}?" if near else ""
            problems.append(f"{where}: {model.type_name} has no such field{hint}")
        else:
            message = item["msg"]
            problems.append(f"{where}: {message}" if where else message)
    return "; ".join(dict.fromkeys(problems))


_DECODE_LINE = msgspec.json.Decoder(_Line).decode
