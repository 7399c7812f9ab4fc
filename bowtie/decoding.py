"""From the store back to recorded events."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec
from cryptography.exceptions import InvalidTag

from bowtie.codec import MAPS, Fact, codec_for
from bowtie.envelope import Recorded
from bowtie.errors import StoreError, StoreNewer
from bowtie.events import CATALOGUE, Event
from bowtie.lifting import lift, newest_name, older_names
from bowtie.sealing import is_sealed, open_sealed, seal, unwrap, wrap
from bowtie.stores.rows import StoredState
from bowtie.times import from_micros

__all__ = [
    "Decoder",
    "content_of_state",
    "data_of",
    "data_of_state",
    "is_older",
    "key_context",
    "open_value",
    "seal_fact",
    "unwrap_key",
    "wrap_key",
]


class _Version(msgspec.Struct):
    _v: int = 1


_VERSION = msgspec.json.Decoder(_Version)
#: As ``json.dumps`` writes it, which makes an encoder at each call.
_TEXT_OF = json.JSONEncoder(ensure_ascii=False).encode
_SORTED = msgspec.json.Encoder(order="sorted").encode


def key_context(stream: str) -> str:
    """What a stream's wrapped key is bound to."""
    return f"key of {stream}"


def wrap_key(master: bytes, key: bytes, stream: str) -> bytes:
    """A stream's key, wrapped by the master key."""
    return wrap(master, key, key_context(stream))


def unwrap_key(master: bytes, wrapped: bytes, stream: str) -> bytes | None:
    """A stream's key; None where the master key is another one."""
    try:
        return unwrap(master, wrapped, key_context(stream))
    except InvalidTag:
        return None


def _context(stream: str, field: str) -> str:
    return f"{stream}\0{field}"


def seal_fact(key: bytes, fact: Fact) -> str:
    """The personal fields of a fact, each sealed, as one JSON text."""
    sealed = {}
    for name, value in (fact.personal or {}).items():
        if is_sealed(value):
            sealed[name] = value  # sealed elsewhere: kept unopened
        else:
            sealed[name] = seal(key, _TEXT_OF(value), _context(fact.stream, name))
    return _SORTED(sealed).decode()


def open_value(
    key: bytes | None, token: str, stream: str, field: str, older: Iterable[str] = ()
) -> Any:
    """The plain value of a sealed one, or the token itself where it can't be opened here.

    Args:
        older: what the field was called before, when the value may have been sealed.
    """
    if key is None:
        return token
    for name in (field, *older):
        plain = open_sealed(key, token, _context(stream, name))
        if plain is not None:
            return json.loads(plain)
    return token


def data_of_state(stored: StoredState) -> dict[str, Any]:
    """The data of a stored event in the newest form, maps as maps, without what is sealed.

    Raises:
        Unliftable: it is of an unknown version, or none of the one it says.
    """
    state: dict[str, Any] = msgspec.json.decode(stored.state)
    return _lifted(CATALOGUE[stored.topic], state)


def is_older(stored: StoredState) -> bool:
    """Whether a stored event is of an older version than the newest of its type."""
    newest = CATALOGUE[stored.topic].data_version
    # most types have one version, and nothing to look for
    return newest > 1 and _VERSION.decode(stored.state)._v < newest  # noqa: SLF001 - so a state has it


def content_of_state(stored: StoredState) -> bytes | None:
    """What an event said in its own version, as it was hashed; None where part of it is sealed."""
    state: dict[str, Any] = msgspec.json.decode(stored.state)
    if set(json.loads(state.get("_sealed", "{}"))) - {"actor"}:
        return None
    return msgspec.json.encode({k: v for k, v in state.items() if not k.startswith("_")})


def _lifted(model: type[Event], state: dict[str, Any]) -> dict[str, Any]:
    data = {name: value for name, value in state.items() if not name.startswith("_")}
    for name in MAPS:
        if name in data:
            data[name] = json.loads(data[name])
    return lift(model, state.get("_v", 1), data)


class Decoder:
    """Turns stored states into :class:`~bowtie.envelope.Recorded` events.

    Args:
        keys: the customers' own keys, unwrapped, by stream; what they don't open stays sealed.
    """

    def __init__(self, keys: Mapping[str, bytes] | None = None) -> None:
        self._keys = keys or {}

    def __call__(self, stored: StoredState) -> Recorded:
        """The recorded event.

        Raises:
            StoreNewer: a newer version of bowtie wrote it.
            StoreError: what is stored is damaged.
        """
        try:
            return self._recorded(stored)
        except (ValueError, KeyError, TypeError, AttributeError, OverflowError) as error:
            raise StoreError(
                f"the event at position {stored.position} can't be read: the store is damaged;"
                " see bowtie verify, and restore it from a backup"
            ) from error

    def _recorded(self, stored: StoredState) -> Recorded:
        head: dict[str, Any] = msgspec.json.decode(stored.state)
        model = CATALOGUE[stored.topic]
        version = head.get("_v", 1)
        if version > model.data_version:
            raise StoreNewer(
                f"{stored.topic} at position {stored.position} has data version {version};"
                f" this version of bowtie knows {model.data_version}: upgrade it"
            )
        data = _lifted(model, head)
        kind = head.get("_kind", "customer")
        actor = self._put_back(data, head.get("_sealed"), stored.stream, model, version)
        known = head.get("_known")
        return Recorded(
            data=model.model_validate(data),
            kind=kind,
            subject=head["_key"],
            version=stored.version,
            position=stored.position,
            source=head["_source"],
            id=head["_id"],
            occurred_at=from_micros(head["_at"]),
            recorded_at=None if stored.recorded_at is None else from_micros(stored.recorded_at),
            known_from=None if known is None else from_micros(known),
            time_precision="day" if head.get("_day") else "exact",
            correlation_id=head.get("_correlation"),
            causation_id=head.get("_causation"),
            actor=actor,
            out_of_sequence=head.get("_oos", False),
            extensions=json.loads(head["_ext"]) if "_ext" in head else {},
        )

    def _put_back(
        self,
        data: dict[str, Any],
        sealed: str | None,
        stream: str,
        model: type[Event],
        version: int,
    ) -> str | None:
        """Write the personal fields into the data; returns the actor."""
        actor = None
        for field, token in (json.loads(sealed) if sealed else {}).items():
            old, _, inner = field.partition(".")
            name = newest_name(model, version, old)
            older = () if inner else older_names(model, old)
            value = open_value(self._keys.get(stream), token, stream, field, older)
            if field == "actor":
                actor = str(value)
            elif name is None:
                continue  # the newest version has no such field
            elif inner:
                data.setdefault(name, {})[inner] = value
            else:
                data[name] = value
        return actor


def data_of(fact: Fact) -> dict[str, Any]:
    """The whole data of a fact, maps as maps, as the wire has it."""
    data: dict[str, Any] = msgspec.json.decode(fact.whole)
    name = codec_for(fact.type).map
    if name is not None and name in data:
        data[name] = json.loads(data[name])
    return data
