"""Checking a log against its own rules: what must hold whatever was recorded.

>>> from bowtie import Bowtie, Touched
>>> with Bowtie.open("memory://") as engine:
...     _ = engine.record("acme", Touched(channel="webinar", direction="inbound"))
...     list(verify_log(engine.store))
[]
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice

import msgspec
from pydantic import ValidationError

from bowtie.codec import Fact, Stamp, id_hash
from bowtie.decoding import Decoder, content_of_state, is_older, unwrap_key
from bowtie.envelope import Recorded
from bowtie.errors import BowtieError, EventRejected, SealedKeyMissing
from bowtie.events import CATALOGUE
from bowtie.reader import Reader, explain
from bowtie.stores.auditing import Audit
from bowtie.stores.contract import IdRow, Store, StoredState

__all__ = ["Problem", "verify_log"]

ContentOf = Callable[[Fact], bytes]

_CHUNK = 5_000
#: Later than any time in a store, so that none is refused as future.
_NO_FUTURE = 2**62


@dataclass(frozen=True, slots=True)
class Problem:
    """Something that is not as it must be.

    Args:
        check: what was checked, one word, stable: ``stream``, ``commit``, ``id``, ``payload``,
            ``content``, ``sequence``, ``key``, ``tables``.
        problem: what is wrong, for a person; never holds the value of a field.
        position: the event it concerns, if one does.
        note: worth knowing, and no fault of the store.
    """

    check: str
    problem: str
    position: int | None = None
    note: bool = False


def verify_log(
    store: Store, progress: Callable[[int, int], None] | None = None
) -> Iterator[Problem]:
    """What is wrong with a log; nothing, if all is well.

    Checked are: the versions of each stream (1, 2, 3, ... without a hole), the times of recording
    (each event has one, and they never fall), ids (each event's is taken by it, and no other),
    and each event (it can be read, its data is what the catalogue says, its content is what was
    recorded). Events out of sequence are told as notes.

    Args:
        progress: called with the events checked and those to check.
    """
    head = store.head()
    audit = Audit(store, head)
    for stream, count, first, last in audit.broken_streams():
        yield Problem("stream", f"{stream} has {count} events, of versions {first} to {last}")
    yield from _commits(audit)
    decode, reader, content_of = _tools(store)
    if content_of is None:
        yield Problem(
            "key", "the master key is not at hand: what events say was not compared", note=True
        )
    events, total = 0, store.count(head)
    states = store.states(0, head)
    while chunk := list(islice(states, _CHUNK)):
        yield from _events(chunk, audit, decode, reader, content_of)
        events += len(chunk)
        if progress is not None:
            progress(events, total)
    if events != (ids := audit.ids()):
        yield Problem("id", f"{events} events, but {ids} ids are taken")


def _tools(store: Store) -> tuple[Decoder, Reader, ContentOf | None]:
    """What opens events, reads them anew and hashes what they say (not without the master key)."""
    names = store.meta().get("personal_names")
    personal = None if names is None else str(names).split("\n")
    reader = Reader(now=_NO_FUTURE) if personal is None else Reader(personal, _NO_FUTURE)
    try:
        master, secrets = store.master_key, store.secrets
    except SealedKeyMissing:
        return Decoder(), reader, None
    keys = {name: unwrap_key(master, key, name) for name, key in store.keys().items()}
    decode = Decoder({name: key for name, key in keys.items() if key is not None})
    return decode, reader, Stamp(secrets.content).content_hash


def _commits(audit: Audit) -> Iterator[Problem]:
    """Each position is dated, and dates never fall."""
    before, covered = 0, 0
    for position, recorded_at, _ in audit.commits():
        if recorded_at < before:
            yield Problem("commit", "was recorded before the events before it", position)
        before, covered = recorded_at, position
    if covered < audit.upto:
        yield Problem("commit", f"events after {covered} have no time of recording", audit.upto)


def _events(
    chunk: list[StoredState],
    audit: Audit,
    decode: Decoder,
    reader: Reader,
    content_of: ContentOf | None,
) -> Iterator[Problem]:
    """Each event can be read and says what it said; its id is its own."""
    readable: list[tuple[bytes, StoredState, Recorded]] = []
    for stored in chunk:
        try:
            event = _decoded(stored, decode)
        except EventRejected as error:
            yield Problem("payload", error.problem, stored.position)
            continue
        readable.append((id_hash(event.source, event.id), stored, event))
        if event.out_of_sequence:
            yield Problem(
                "sequence", f"{event.type} of {event.subject!r} is out of sequence",
                event.position, note=True,
            )  # fmt: skip
    places = audit.places([hashed for hashed, _, _ in readable])
    for hashed, stored, event in readable:
        yield from _identity(event, places.get(hashed))
        row = places.get(hashed)
        if content_of is not None and row is not None and row.content is not None:
            yield from _content(stored, event, row.content, reader, content_of)


def _decoded(stored: StoredState, decode: Decoder) -> Recorded:
    """The event of a state.

    Raises:
        EventRejected: it can't be read, or its data is not what it must be.
    """
    model = CATALOGUE.get(stored.topic)
    if model is None:
        raise EventRejected("unknown_type", f"{stored.topic!r} is not in the catalogue")
    try:
        event = decode(stored)
    except ValidationError as error:
        raise EventRejected("invalid", f"{stored.topic}: {explain(error, model)}") from None
    except BowtieError as error:
        raise EventRejected("invalid", str(error)) from None
    except (msgspec.MsgspecError, ValueError, KeyError, TypeError) as error:
        raise EventRejected(
            "unreadable", f"{stored.topic}: can't be read ({type(error).__name__})"
        ) from None
    if event.stream != stored.stream:
        raise EventRejected("invalid", f"lies in {stored.stream!r}, but says {event.stream!r}")
    return event


def _identity(event: Recorded, row: IdRow | None) -> Iterator[Problem]:
    if row is None:
        yield Problem("id", f"id {event.id!r} of {event.source!r} is not taken", event.position)
    elif row.position != event.position:
        yield Problem(
            "id",
            f"id {event.id!r} of {event.source!r} is taken by the event at {row.position}",
            event.position,
        )


def _content(
    stored: StoredState, event: Recorded, content: bytes, reader: Reader, content_of: ContentOf
) -> Iterator[Problem]:
    """What it says is what was recorded."""
    try:
        fact = reader.line(msgspec.json.encode(event.to_cloudevent()))
    except EventRejected as error:
        yield Problem("payload", error.problem, event.position)
        return
    if is_older(stored):  # the hash is of what it said in its own version
        said = content_of_state(stored)
        if said is None:
            return  # what is sealed stood in an order that only that version knew
        fact.whole = said
    if content_of(fact) != content:
        yield Problem("content", "is not what was recorded: it was changed", event.position)
