"""What the store keeps of an event: its state, and the hashes that identify it.

The data of each event type is checked and encoded by structs generated from the pydantic models.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from datetime import date, datetime
from functools import cache
from typing import Annotated, Any, Literal, get_args, get_origin, get_type_hints

import msgspec
from msgspec import Meta, Raw, Struct

from bowtie.currencies import ISO_4217
from bowtie.events import CATALOGUE, Event, personal_fields, stream_kinds
from bowtie.fields import DECIMAL_PATTERN, PERSONAL, Currency, Day, Flag, Money, Number, Text, Whole
from bowtie.times import SKEW

__all__ = ["MAPS", "Fact", "Stamp", "TypeCodec", "codec_for", "id_hash", "state_of"]

_ENCODE = msgspec.json.Encoder().encode
_ENCODE_SORTED = msgspec.json.Encoder(order="sorted").encode
_SKEW_MICROS = int(SKEW.total_seconds()) * 1_000_000
_AWARE = Annotated[datetime, Meta(tz=True)]
_TEXT = Annotated[str, Meta(min_length=1)]
_DECIMAL = Annotated[str, Meta(pattern=DECIMAL_PATTERN)]
#: The fields that are maps; a state holds them as JSON text.
MAPS = ("traits", "properties")


class _Head(Struct, gc=False, omit_defaults=True):
    """The envelope inside a state: the keys that come first."""

    _kind: str = "customer"
    _key: str = ""
    _at: int | None = None
    _known: int | None = None
    _day: bool = False
    _source: str = ""
    _id: str = ""
    _correlation: str | None = None
    _causation: str | None = None
    _oos: bool = False
    _v: int = 1
    _ext: str | None = None
    _sealed: str | None = None
    _alias: str | None = None


class Fact(Struct, gc=False, array_like=True):
    """An event that is right in itself, ready to be decided on and appended.

    ``personal`` holds the plain values of its personal fields, by field name or ``traits.NAME``;
    ``body`` is the rest of its data as JSON, ``whole`` all of it (what the content hash covers).
    What follows from the rest is written by a :class:`Stamp`: the stream's id, the hashes of its
    id and of its content, and its state where nothing of it is decided later.
    """

    type: str
    kind: str
    subject: str
    source: str
    id: str
    at: int
    body: bytes
    whole: bytes
    known: int | None = None
    day: bool = False
    correlation: str | None = None
    causation: str | None = None
    extensions: str | None = None
    personal: dict[str, Any] | None = None
    stored: int | None = None
    out_of_sequence: bool = False
    stream: str = ""
    id_hash: bytes = b""
    content_hash: bytes = b""
    state: bytes = b""


def id_hash(source: str, event_id: str) -> bytes:
    """16 bytes that stand for (source, id)."""
    return hashlib.blake2b(f"{source}\0{event_id}".encode(), digest_size=16).digest()


class Stamp:
    """Writes into facts what follows from them and from the store's key."""

    def __init__(self, content_key: bytes) -> None:
        self.content_key = content_key
        self._keyed = hashlib.blake2b(key=content_key, digest_size=16)

    def __call__(self, fact: Fact) -> None:
        """Stamp a fact; again after it has changed."""
        fact.stream = f"{fact.kind}/{fact.subject}"
        fact.id_hash = id_hash(fact.source, fact.id)
        fact.content_hash = self.content_hash(fact)
        fact.state = b"" if fact.personal else state_of(fact)

    def content_hash(self, fact: Fact) -> bytes:
        """16 bytes under the store's key that stand for what an event says."""
        hasher = self._keyed.copy()  # taking in the key anew would cost as much as the rest
        head = f"{fact.type}\0{fact.kind}\0{fact.subject}\0{fact.at}\0{fact.known}\0"
        hasher.update(head.encode() + fact.whole)
        return hasher.digest()


def state_of(fact: Fact, sealed: str | None = None, alias: str | None = None) -> bytes:
    """What the store keeps of a fact: one line of flat JSON, envelope first."""
    head = _ENCODE(
        _Head(
            fact.kind,
            fact.subject,
            fact.at,
            fact.known,
            fact.day,
            fact.source,
            fact.id,
            fact.correlation,
            fact.causation,
            fact.out_of_sequence,
            CATALOGUE[fact.type].data_version,
            fact.extensions,
            sealed,
            alias,
        )
    )
    if len(fact.body) == 2:  # an empty object
        return head + b"\n"
    return head[:-1] + b"," + fact.body[1:] + b"\n"


class TypeCodec:
    """Checks and encodes the data of one event type."""

    def __init__(self, model: type[Event]) -> None:
        self.model = model
        self.name = model.type_name
        self.version = model.data_version
        self.personal = tuple(sorted(personal_fields(model)))
        self.required_personal = tuple(
            name for name in self.personal if model.model_fields[name].is_required()
        )
        self.struct = _struct_for(model)
        self.decode: Callable[[Raw | bytes], Any] = msgspec.json.Decoder(self.struct).decode
        self.default_kind = model.stream_kind
        self.kinds = stream_kinds(model)
        self.problem = None if model.problem is Event.problem else model.problem
        self.map = next((name for name in MAPS if name in model.model_fields), None)

    def check(self, data: Any) -> bool:
        """Whether what the struct can't say holds too."""
        if self.problem is not None and self.problem(data) is not None:
            return False
        return all(getattr(data, name) is not None for name in self.required_personal)

    def fill(self, fact: Fact, data: Any, personal_names: frozenset[str]) -> None:
        """Write ``body``, ``whole`` and ``personal`` of a fact from its checked data."""
        hidden: dict[str, Any] = {}
        public_map = None
        if self.map is not None:
            values = getattr(data, self.map)
            mine = personal_names.intersection(values)
            if mine:
                hidden = {f"{self.map}.{name}": values[name] for name in sorted(mine)}
                public_map = {name: values[name] for name in values if name not in mine}
            setattr(data, self.map, _ENCODE_SORTED(values).decode())
        fact.whole = fact.body = _ENCODE(data)
        for name in self.personal:
            value = getattr(data, name)
            if value is not None:
                hidden[name] = value
                setattr(data, name, None)
        if hidden:
            if public_map is not None and self.map is not None:
                setattr(data, self.map, _ENCODE_SORTED(public_map).decode())
            fact.body = _ENCODE(data)
            fact.personal = hidden | (fact.personal or {})


def _struct_for(model: type[Event]) -> type[Struct]:
    hints = get_type_hints(model, include_extras=True)
    personal = personal_fields(model)
    fields: list[Any] = []
    for name, field in model.model_fields.items():
        kind = _msgspec_type(hints[name], name)
        if name == "properties":
            fields.append((name, kind, msgspec.field(default_factory=dict)))
        elif field.is_required() and name not in personal:
            fields.append((name, kind))
        else:  # a required personal field can be taken out; its presence is checked apart
            fields.append((name, kind | None, None))
    return msgspec.defstruct(
        model.__name__,
        fields,
        forbid_unknown_fields=True,
        omit_defaults=True,
        kw_only=True,
        gc=False,
    )


def _msgspec_type(hint: Any, name: str) -> Any:
    """The msgspec type that accepts a part of what a model's field accepts, and no more."""
    if name in MAPS:
        scalars = dict[_TEXT, str | bool | int | float | None]
        return Annotated[scalars, Meta(min_length=1)] if name == "traits" else scalars
    for model_type, struct_type in _STRUCT_TYPES:
        if hint == model_type or hint == (model_type | None):
            return struct_type
    literals = [part for part in (hint, *get_args(hint)) if get_origin(part) is Literal]
    if literals:
        return literals[0]
    if PERSONAL in getattr(hint, "__metadata__", ()):
        return _TEXT
    raise TypeError(f"no struct type for {name}: {hint}")


_STRUCT_TYPES: tuple[tuple[Any, Any], ...] = (
    (Text, _TEXT),
    (Money, _DECIMAL),
    (Number, _DECIMAL),
    (Currency, Literal[tuple(sorted(ISO_4217))]),
    (Day, date),
    (Flag, bool),
    (Whole, Annotated[int, Meta(ge=0, le=2**53)]),
)


@cache
def codec_for(type_name: str) -> TypeCodec:
    """The codec of one event type, made when first needed."""
    return TypeCodec(CATALOGUE[type_name])
