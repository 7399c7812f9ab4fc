"""What the rules of sequence know of one stream, and a snapshot of it for long streams.

It can be folded on: signings and retractions only come to it, and what counts is worked out when it
is asked. So a snapshot never has to be undone, whatever is retracted later. It is read only by the
version of bowtie, and of the events it rests on, that wrote it; else the stream is read anew, with
its events lifted as ever.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from datetime import date, datetime
from typing import Any

import msgspec
from msgspec import Struct

from bowtie.decoding import Decoder
from bowtie.events import CATALOGUE, ContractSigned
from bowtie.rules import Signing
from bowtie.stores.contract import Writing
from bowtie.stores.rows import Snapshot, StoredState
from bowtie.times import from_micros, to_micros

__all__ = ["RULED_TOPICS", "RuledStream", "ruled_stream", "snapshot_schema"]

_LOG = logging.getLogger(__name__)
#: The types that must be read to apply the rules.
RULED_TOPICS = ("contract_signed", "retracted")
#: How many events there are to read, by the versions of the stream, before a snapshot is made.
SNAPSHOT_EVERY = 200
#: Raised where the form of a snapshot changes.
_FORM = 1


def snapshot_schema() -> str:
    """The form of a snapshot, and the versions of the events that it rests on.

    >>> snapshot_schema()
    '1 contract_signed/1 retracted/1'
    """
    versions = (f"{name}/{CATALOGUE[name].data_version}" for name in RULED_TOPICS)
    return " ".join((str(_FORM), *versions))


def ruled_stream(tx: Writing, stream: str, version: int) -> RuledStream:
    """What the rules know of a long stream: its snapshot, and the events since.

    A snapshot that is missing, stale or can't be read is of no use: all is read. Where much was
    read, a new one is made.
    """
    found, after = tx.snapshot(stream), 0
    ruled = None
    if found is not None and found.schema == snapshot_schema() and found.version <= version:
        ruled, after = RuledStream.of_snapshot(found.state), found.version
    if ruled is None:
        ruled, after = RuledStream(), 0
    ruled.follow(tx.streams([stream], RULED_TOPICS, after))
    if version - after >= SNAPSHOT_EVERY:
        tx.set_snapshot(stream, Snapshot(version, snapshot_schema(), ruled.snapshot()))
        _LOG.debug("a snapshot at version %d, after reading from %d", version, after)
    return ruled


class _Snapshot(Struct, array_like=True):
    """(contract, source, id, signed at, currency, starts on) rows, and (source, id) retracted."""

    signings: list[tuple[str, str, str, int, str, date]]
    retracted: list[tuple[str, str]]


class _Signed(Struct):
    """What the rules need of a signing as it is stored, where it needs no lift."""

    contract: str
    currency: str
    starts_on: date


class _Retracted(Struct):
    of_source: str
    of_id: str


class _Head(Struct):
    at: int = msgspec.field(name="_at")
    source: str = msgspec.field(name="_source")
    id: str = msgspec.field(name="_id")
    data_version: int = msgspec.field(name="_v", default=1)


_READ_HEAD = msgspec.json.Decoder(_Head).decode
_READ_SIGNED = msgspec.json.Decoder(_Signed).decode
_READ_RETRACTED = msgspec.json.Decoder(_Retracted).decode
_READ_SNAPSHOT = msgspec.json.Decoder(_Snapshot).decode


class RuledStream:
    """The signings of one stream, and the ids retracted in it."""

    __slots__ = ("_retracted", "_signings")

    def __init__(self) -> None:
        self._signings: dict[str, list[tuple[str, str, Signing]]] = {}
        self._retracted: set[tuple[str, str]] = set()

    def signing(self, contract: str | None) -> Signing | None:
        """The first signing of a contract that counts; of two at once, the one recorded first."""
        if contract is None:
            return None
        counting = [
            signing
            for source, event_id, signing in self._signings.get(contract, ())
            if (source, event_id) not in self._retracted
        ]
        return min(counting, key=lambda signing: signing.signed_at) if counting else None

    def sign(self, source: str, event_id: str, data: Any, when: datetime) -> None:
        """Know one more signing."""
        known = self._signings.setdefault(data.contract, [])
        known.append((source, event_id, Signing.of(data, when)))

    def retract(self, source: str, event_id: str) -> None:
        """An event counts no more, or never will."""
        self._retracted.add((source, event_id))

    def follow(self, stored: Iterable[StoredState]) -> None:
        """Go on with events of :data:`RULED_TOPICS`, in the order of their versions."""
        for one in stored:
            self._follow(one)

    def _follow(self, stored: StoredState) -> None:
        head = _READ_HEAD(stored.state)
        data: Any
        if head.data_version != CATALOGUE[stored.topic].data_version:
            data = Decoder()(stored).data
        elif stored.topic == ContractSigned.type_name:
            data = _READ_SIGNED(stored.state)
        else:
            data = _READ_RETRACTED(stored.state)
        if stored.topic == ContractSigned.type_name:
            self.sign(head.source, head.id, data, from_micros(head.at))
        else:
            self.retract(data.of_source, data.of_id)

    # -- snapshots ----------------------------------------------------------------------------

    def snapshot(self) -> bytes:
        """All of it, as it is kept in the store; equal for equal streams."""
        signings = [
            (contract, source, event_id, to_micros(one.signed_at), one.currency, one.starts_on)
            for contract, known in self._signings.items()
            for source, event_id, one in known
        ]
        return msgspec.json.encode(_Snapshot(signings, sorted(self._retracted)))

    @classmethod
    def of_snapshot(cls, state: bytes) -> RuledStream | None:
        """What a snapshot holds; None where it can't be read."""
        try:
            snapshot = _READ_SNAPSHOT(state)
        except (msgspec.MsgspecError, UnicodeDecodeError):
            return None
        ruled = cls()
        for contract, source, event_id, at, currency, starts_on in snapshot.signings:
            known = ruled._signings.setdefault(contract, [])
            known.append((source, event_id, Signing(from_micros(at), currency, starts_on)))
        ruled._retracted.update(snapshot.retracted)
        return ruled
