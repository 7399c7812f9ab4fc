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
from bowtie.decoding import Decoder, content_of_state, is_older, unwrap_key
from bowtie.derived import LinkWords, unfinished_forgettings, wrong_snapshots
from bowtie.envelope import Recorded
from bowtie.errors import BowtieError, EventRejected, SealedKeyMissing, UsageError
from bowtie.events import CATALOGUE
from bowtie.reader import Reader, explain
from bowtie.sealing import SEALED_PREFIX
from bowtie.seals import first_seal, next_seal
from bowtie.stores.auditing import Audit
from bowtie.stores.contract import CommitRow, IdRow, Store, StoredState
from bowtie.times import from_micros, iso

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


@dataclass(frozen=True, slots=True)
class Problem:
    """Something that is not as it must be.

    Args:
        check: what was checked, one word, stable: ``stream``, ``commit``, ``id``, ``payload``,
            ``content``, ``seal``, ``claim``, ``snapshot``, ``forgotten``, ``sequence``, ``key``,
            ``tables``.
        problem: what is wrong, for a person; never holds the value of a field.
        position: the event it concerns, if one does.
        note: worth knowing, and no fault of the store.
    """

    check: str
    problem: str
    position: int | None = None
    note: bool = False


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
    yield from _commits(audit)
    if kept is not None:
        yield from _kept(audit, kept)
    decode, reader, content_of = _tools(store)
    if content_of is None:
        yield Problem(
            "key", "the master key is not at hand: what events say was not compared", note=True
        )
    events, total = 0, store.count(head)
    states = store.states(0, head)
    sealed, words = _SealedCommits(store.store_id, audit), LinkWords()
    while chunk := list(islice(states, _CHUNK)):
        for stored in chunk:
            yield from sealed.take(stored)
        _gather(words, chunk)
        yield from _events(chunk, audit, decode, reader, content_of)
        events += len(chunk)
        if progress is not None:
            progress(events, total)
    yield from sealed.finish()
    if events != (ids := audit.ids()):
        yield Problem("id", f"{events} events, but {ids} ids are taken")
    yield from _derived(store, audit, words)


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


def _commits(audit: Audit) -> Iterator[Problem]:
    """Each position is dated, and dates never fall."""
    before, covered = 0, 0
    for position, recorded_at, _ in audit.commits():
        if recorded_at < before:
            yield Problem("commit", "was recorded before the events before it", position)
        before, covered = recorded_at, position
    if covered < audit.upto:
        yield Problem("commit", f"events after {covered} have no time of recording", audit.upto)


class _SealedCommits:
    """Compares the seals of transactions with their rows, read again as they lie.

    After a seal that is not right, the chain goes on from the one that is stored: so each
    transaction that was changed is named, and no other.
    """

    def __init__(self, store_id: str, audit: Audit) -> None:
        self._commits = audit.commits()
        self._upto = audit.upto
        self._seal = first_seal(store_id)
        self._rows: list[StoredState] = []
        self._commit = next(self._commits, None)

    def take(self, stored: StoredState) -> Iterator[Problem]:
        """Go on with the next event."""
        while self._commit is not None and stored.position > self._commit.last_position:
            yield from self._close(self._commit)
        self._rows.append(stored)

    def finish(self) -> Iterator[Problem]:
        """Compare what is left."""
        while self._commit is not None and self._commit.last_position <= self._upto:
            yield from self._close(self._commit)

    def _close(self, commit: CommitRow) -> Iterator[Problem]:
        last, recorded_at, stored = commit
        positions = [row.position for row in self._rows]
        rows = [row[1:5] for row in self._rows]
        try:
            right = next_seal(self._seal, last, recorded_at, positions, rows)
        except (TypeError, ValueError, OverflowError):  # SQLite keeps text where a number was
            right = b""
        first = positions[0] if positions else last
        when = iso(from_micros(recorded_at))
        if stored is None:
            yield Problem(
                "seal", f"positions {first:,} to {last:,} are not sealed: run bowtie init",
                last, note=True,
            )  # fmt: skip
        elif stored != right:
            yield Problem(
                "seal",
                f"the transaction recorded at {when}, positions {first:,} to {last:,}, is not as it"
                " was sealed: an event, its time of recording or the seal was changed, added or"
                " removed; restore the store from a backup",
                last,
            )
        self._seal, self._rows = stored or right, []
        self._commit = next(self._commits, None)


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
        fact = _fact_of(stored, event, reader)
    except EventRejected as error:
        yield Problem("payload", error.problem, event.position)
        return
    if fact is not None and content_of(fact) != content:
        yield Problem("content", "is not what was recorded: it was changed", event.position)


def _fact_of(stored: StoredState, event: Recorded, reader: Reader) -> Fact | None:
    """The fact that an event was made of; None where that can't be told any more.

    Raises:
        EventRejected: it would not be taken now.
    """
    fact = reader.line(msgspec.json.encode(event.to_cloudevent()))
    if is_older(stored):  # the hash is of what it said in its own version
        said = content_of_state(stored)
        if said is None:
            return None  # what is sealed stood in an order that only that version knew
        fact.whole = said
    return fact


def id_rows_of(store: Store) -> Callable[[StoredState], tuple[bytes, IdRow] | None]:
    """What tells the id of a stored event, and the row that its id must have.

    Of an event that can't be read it tells nothing; of one whose content can't be hashed here (its
    customer was forgotten, or the master key is not at hand) the row holds no content.
    """
    decode, reader, content_of = _tools(store)

    def row(stored: StoredState) -> tuple[bytes, IdRow] | None:
        try:
            event = _decoded(stored, decode)
            fact = _fact_of(stored, event, reader)
        except EventRejected:
            return None
        content = None
        if content_of is not None and fact is not None and SEALED_PREFIX not in repr(event):
            content = content_of(fact)
        return id_hash(event.source, event.id), IdRow(stored.position, content)

    return row
