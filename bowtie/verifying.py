"""Checking a log against its own rules: what must hold whatever was recorded.

>>> from bowtie import Bowtie, Touched
>>> with Bowtie.open("memory://") as engine:
...     _ = engine.record("acme", Touched(channel="webinar", direction="inbound"))
...     list(verify_log(engine.store))
[]
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice

import msgspec
from pydantic import ValidationError

from bowtie.codec import Fact, Stamp, id_hash
from bowtie.commits import SealedCommits, wrong_dates
from bowtie.decoding import Decoder, content_of_state, is_older, unwrap_key
from bowtie.derived import LinkWords, unfinished_forgettings, wrong_snapshots
from bowtie.envelope import Recorded
from bowtie.errors import BowtieError, EventRejected, SealedKeyMissing, UsageError
from bowtie.events import CATALOGUE
from bowtie.problems import Problem
from bowtie.reader import Reader, explain
from bowtie.sealing import SEALED_PREFIX
from bowtie.stores.auditing import Audit
from bowtie.stores.contract import Store
from bowtie.stores.rows import IdRow, StoredState

__all__ = ["KeptSeal", "Problem", "head_seal", "id_rows_of", "verify_log"]

ContentOf = Callable[[Fact], bytes]

_CHUNK = 5_000
#: Later than any time in a store, so that none is refused as future.
_NO_FUTURE = 2**62
_SEAL = re.compile(r"(?:(\d{1,18}):)?([0-9a-fA-F]{64})")


@dataclass(frozen=True, slots=True)
class KeptSeal:
    """A seal as ``verify --head`` prints it: its position, where it is said, and its bytes."""

    position: int | None
    seal: bytes

    @classmethod
    def of(cls, text: str) -> KeptSeal:
        """The seal that a text names.

        >>> KeptSeal.of("7:" + "ab" * 32).position
        7

        Raises:
            UsageError: it names none.
        """
        found = _SEAL.fullmatch(text.strip())
        if found is None:
            raise UsageError("that is no seal: write it as verify --head printed it, POSITION:HEX")
        return cls(int(found[1]) if found[1] else None, bytes.fromhex(found[2]))

    def __str__(self) -> str:
        return f"{self.position}:{self.seal.hex()}"


def head_seal(store: Store) -> KeptSeal:
    """The seal of the newest transaction, to be kept elsewhere.

    Raises:
        UsageError: there is none.
    """
    commit = store.last_commit()
    if commit is None:
        raise UsageError("there is no event yet, and so no seal")
    if commit.seal is None:
        raise UsageError("this store has no seals yet: run bowtie init to upgrade it")
    return KeptSeal(commit.last_position, commit.seal)


def verify_log(
    store: Store,
    progress: Callable[[int, int], None] | None = None,
    *,
    kept: KeptSeal | None = None,
) -> Iterator[Problem]:
    """What is wrong with a log; nothing, if all is well.

    Checked are: the versions of each stream (1, 2, 3, ... without a hole), the times of recording
    (each event has one, and they never fall), ids (each event's is taken by it, and no other),
    and each event (it can be read, its data is what the catalogue says, its content is what was
    recorded), and the chain of seals over all of them; then what follows from the log: claims,
    snapshots, and that the forgotten are forgotten. Events out of sequence are told as notes.

    Args:
        progress: called with the events checked and those to check.
        kept: a seal that was kept elsewhere, to be found in the chain.
    """
    newest, head = store.last_commit(), store.head()
    audit = Audit(store, head)
    if newest is not None and newest.last_position > head:
        yield Problem(
            "seal",
            f"transactions were sealed up to position {newest.last_position:,}, but the log ends"
            f" at {head:,}: events were removed; restore the store from a backup",
            newest.last_position,
        )
    for stream, count, first, last in audit.broken_streams():
        yield Problem("stream", f"{stream} has {count} events, of versions {first} to {last}")
    yield from wrong_dates(audit)
    if kept is not None:
        yield from _kept(audit, kept)
    tools = _tools(store)
    if tools.content_of is None:
        yield Problem(
            "key", "the master key is not at hand: what events say was not compared", note=True
        )
    events, total = 0, store.count(head)
    states = store.states(0, head)
    sealed, words = SealedCommits(store.store_id, audit), LinkWords()
    while chunk := list(islice(states, _CHUNK)):
        for stored in chunk:
            yield from sealed.take(stored)
        _gather(words, chunk)
        yield from _events(chunk, audit, tools)
        events += len(chunk)
        if progress is not None:
            progress(events, total)
    yield from sealed.finish()
    if events != (ids := audit.ids()):
        yield Problem("id", f"{events} events, but {ids} ids are taken")
    yield from _derived(store, audit, words)


@dataclass(frozen=True, slots=True)
class _Tools:
    """What opens events, reads them anew, and hashes what they say.

    Attributes:
        content_of: not without the master key.
        forgotten: whether an event's customer was; of theirs no hash is kept.
    """

    decode: Decoder
    reader: Reader
    content_of: ContentOf | None = None
    forgotten: Callable[[Recorded], bool] = lambda event: False

    def content(self, stored: StoredState, event: Recorded) -> bytes | None:
        """The hash of what an event said when it was recorded; None where it can't be told.

        Raises:
            EventRejected: it would not be taken now.
        """
        fact = self.reader.line(msgspec.json.encode(event.to_cloudevent()))
        if is_older(stored):  # the hash is of what it said in its own version
            said = content_of_state(stored)
            if said is None:
                return None  # what is sealed stood in an order that only that version knew
            fact.whole = said
        return None if self.content_of is None else self.content_of(fact)


def _tools(store: Store) -> _Tools:
    names = store.meta().get("personal_names")
    personal = None if names is None else str(names).split("\n")
    reader = Reader(now=_NO_FUTURE) if personal is None else Reader(personal, _NO_FUTURE)
    try:
        master, secrets = store.master_key, store.secrets
    except SealedKeyMissing:
        return _Tools(Decoder(), reader)
    keys = {name: unwrap_key(master, key, name) for name, key in store.keys().items()}
    decode = Decoder({name: key for name, key in keys.items() if key is not None})
    gone = store.forgotten()
    return _Tools(
        decode,
        reader,
        Stamp(secrets.content).content_hash,
        lambda event: event.kind == "customer" and secrets.alias_hash(event.subject) in gone,
    )


def _kept(audit: Audit, kept: KeptSeal) -> Iterator[Problem]:
    """A seal that was kept elsewhere is in the chain, at its position."""
    for last, _, seal in audit.commits():
        if seal == kept.seal and kept.position in (None, last):
            return
    where = "" if kept.position is None else f" of position {kept.position:,}"
    yield Problem(
        "seal",
        f"the seal that was kept{where} is not in the chain: the log up to there was changed or cut"
        " off, or it is another store's",
        kept.position,
    )


def _gather(words: LinkWords, chunk: list[StoredState]) -> None:
    """Gather what claims follow from; an event that can't be read is told elsewhere."""
    for stored in chunk:
        try:
            words.take(stored)
        except (msgspec.MsgspecError, ValueError, KeyError, TypeError):
            continue


def _derived(store: Store, audit: Audit, words: LinkWords) -> Iterator[Problem]:
    """What lies beside the log is what follows from it."""
    try:
        secrets = store.secrets
    except SealedKeyMissing:
        return
    forgotten = store.forgotten()
    for alias, stream in words.wrong_claims(audit.claims(), forgotten, secrets).items():
        owner = "nobody" if stream is None else repr(stream.partition("/")[2])
        yield Problem("claim", f"the alias of hash {alias[:8]} must belong to {owner}")
    for stream in wrong_snapshots(store, audit):
        yield Problem("snapshot", f"the snapshot of {stream} is not what its events come to")
    for stream in unfinished_forgettings(store, words.forgotten, forgotten, secrets):
        yield Problem(
            "forgotten", f"{stream} was to be forgotten, but what opens its fields is still there"
        )


def _events(chunk: list[StoredState], audit: Audit, tools: _Tools) -> Iterator[Problem]:
    """Each event can be read and says what it said; its id is its own."""
    readable: list[tuple[bytes, StoredState, Recorded]] = []
    for stored in chunk:
        try:
            event = _decoded(stored, tools.decode)
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
        if tools.content_of is not None and row is not None:
            yield from _content(stored, event, row.content, tools)


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
    stored: StoredState, event: Recorded, kept: bytes | None, tools: _Tools
) -> Iterator[Problem]:
    """What it says is what was recorded."""
    if kept is None and not _hashable(event, tools):
        return
    try:
        content = tools.content(stored, event)
    except EventRejected as error:
        yield Problem("payload", error.problem, event.position)
        return
    if content is not None and kept is None:
        yield Problem("content", "the hash of what it said is gone", event.position)
    elif content is not None and content != kept:
        yield Problem("content", "is not what was recorded: it was changed", event.position)


def _hashable(event: Recorded, tools: _Tools) -> bool:
    """Whether the hash of what an event says is kept, and can be made here."""
    return SEALED_PREFIX not in repr(event) and not tools.forgotten(event)


def id_rows_of(store: Store) -> Callable[[StoredState], tuple[bytes, IdRow] | None]:
    """What tells the id of a stored event, and the row that its id must have.

    Of an event that can't be read it tells nothing; of one whose content can't be hashed here (its
    customer was forgotten, or the master key is not at hand) the row holds no content.
    """
    tools = _tools(store)

    def row(stored: StoredState) -> tuple[bytes, IdRow] | None:
        try:
            event = _decoded(stored, tools.decode)
            content = tools.content(stored, event) if _hashable(event, tools) else None
        except EventRejected:
            return None
        return id_hash(event.source, event.id), IdRow(stored.position, content)

    return row
