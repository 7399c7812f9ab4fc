"""One batch of facts while it is decided about, inside one transaction."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import msgspec

from bowtie.claims import IDENTITY, Claims
from bowtie.codec import Fact, Stamp, codec_for, id_hash, state_of
from bowtie.corrections import corrected, newest_version, retraction_of
from bowtie.decoding import (
    Decoder,
    data_of,
    data_of_state,
    is_older,
    open_value,
    seal_fact,
)
from bowtie.erasing import erase, forgotten_streams
from bowtie.errors import EventRejected
from bowtie.events import CATALOGUE
from bowtie.expecting import ANY, conflict
from bowtie.lifting import older_names
from bowtie.memory import StreamMemory
from bowtie.outcome import Mode, Outcome, Rejection
from bowtie.reader import Reader
from bowtie.rules import SEQUENCED
from bowtie.sealing import SEALED_PREFIX, StoreKeys
from bowtie.seals import first_seal, next_seal
from bowtie.stores.contract import Writing
from bowtie.stores.rows import CommitRow, IdRow
from bowtie.times import to_micros

__all__ = ["FORGOTTEN", "Batch"]

#: The types whose name and version stand for one text for ever.
_PUBLISHING = frozenset({"document_published", "profile_published"})
#: The types that what is in the store can refuse.
_REFUSABLE = IDENTITY | _PUBLISHING | {"retracted"}
#: Why an event of a forgotten customer is refused.
FORGOTTEN = "subject: this customer was forgotten: nothing more of theirs is recorded"
_SPECIAL = SEQUENCED | _REFUSABLE | {"forgotten"}


class Batch:
    """Decides about facts one by one, then writes what was taken."""

    def __init__(
        self,
        tx: Writing,
        memory: StreamMemory,
        secrets: StoreKeys,
        reader: Reader,
        stamp: Stamp,
        *,
        mode: Mode,
    ) -> None:
        self.outcome = Outcome()
        self._tx, self._memory, self._secrets, self._reader = tx, memory, secrets, reader
        self._stamp, self._mode, self._expected = stamp, mode, mode.expected
        self._claims = Claims(tx, secrets)
        self._gone: set[str] = set()
        self._forgetting: list[str] = []
        self._start = self._position = tx.head
        self._events: list[tuple[str, int, str, bytes]] = []
        self._written: list[tuple[str, int, str, bytes]] = []
        self._new: dict[bytes, tuple[int, bytes]] = {}
        self._taken: dict[bytes, IdRow] = {}
        self._commits: list[CommitRow] = []
        self._recorded_at = tx.last_recorded_at if mode.restore else tx.recorded_at

    def take_all(self, facts: Sequence[Fact], look_up: Sequence[bytes]) -> None:
        """Decide about each stamped fact, in order.

        Args:
            facts: of one batch.
            look_up: the ids of theirs that may be taken; the others are taken for new.

        Raises:
            EventRejected, RuleViolation, StreamConflict: a command is refused.
        """
        if look_up:
            self._taken = self._tx.ids(look_up)
        if not self._mode.restore:  # what an export holds was decided about when it was recorded
            self._gone = forgotten_streams(self._tx, self._secrets, facts)
        for index, fact in enumerate(facts):
            try:
                self._take(fact)
            except EventRejected as error:
                if self._mode.command:
                    raise
                self.outcome.rejected.append(Rejection(index, error.bare()))

    def _take(self, fact: Fact) -> None:
        if fact.stream in self._gone:
            self._take_of_forgotten(fact)
            return
        if fact.out_of_sequence and not self._mode.restore:
            fact.out_of_sequence = False  # decided here, whatever another store said
            self._stamp(fact)
        if fact.personal is not None:
            self._open_sealed(fact)
        row = self._new.get(fact.id_hash) or self._taken.get(fact.id_hash)
        if row is None and fact.type in _REFUSABLE:  # refused, it would never meet its own id
            row = self._look_up(fact.id_hash)
        if row is not None:
            self._take_again(fact, IdRow(*row))
            return
        if self._expected is not ANY:
            self._expect(fact.stream)
        if fact.type in _SPECIAL:
            self._check_special(fact)
        self._append(fact)

    def _expect(self, stream: str) -> None:
        """See that the stream is as expected, before anything is appended to it.

        What was recorded already is taken as done before this is asked: a command sent again, under
        the same id and with the same content, succeeded the first time.
        """
        found = conflict(stream, self._expected, self._memory.version(self._tx, stream))
        if found is not None:
            raise found
        self._expected = ANY  # the next one follows upon this one

    def _take_of_forgotten(self, fact: Fact) -> None:
        """Recognise what was recorded before its customer was forgotten, and refuse all else.

        What the event says can't be compared any more: its id alone tells.
        """
        row = self._look_up(fact.id_hash)
        if row is None or self._where(row.position)[0] != fact.stream:
            raise EventRejected(
                "customer_forgotten",
                FORGOTTEN,
            )
        self._count_duplicate(row)

    def _count_duplicate(self, row: IdRow) -> None:
        self.outcome.duplicates += 1
        self.outcome.positions.append(row.position)
        if self._mode.command:
            self.outcome.versions.append(0)

    def _take_again(self, fact: Fact, row: IdRow) -> None:
        """Decide about a fact whose id is taken."""
        number, name, newest = newest_version(
            fact.source, fact.id, row, self._look_up, self._state_at
        )
        if self._mode.undated:
            self._date_as(fact, newest)
        if newest.content == fact.content_hash or self._says_the_same(fact, newest):
            self._count_duplicate(newest)
        elif self._mode.correct:
            self._correct(fact, number + 1, name, newest)
        else:
            raise EventRejected(
                "id_reused",
                f"id {fact.id!r} of source {fact.source!r} is taken by an event of other content;"
                " ingest with --correct if this one is right, else give it an id of its own",
            )

    def _date_as(self, fact: Fact, row: IdRow) -> None:
        """Give a fact the time of the event that its id is taken by."""
        fact.at = to_micros(Decoder({})(self._tx.state_at(row.position)).occurred_at)
        self._stamp(fact)

    def _says_the_same(self, fact: Fact, row: IdRow) -> bool:
        """Whether an event of an older version says, once lifted, what the fact says."""
        if codec_for(fact.type).version == 1 or row.content is None or row.position > self._start:
            return False
        stored = self._tx.state_at(row.position)
        if stored.topic != fact.type or not is_older(stored):
            return False
        key = self._memory.known_key(stored.stream)
        decode = Decoder({} if key is None else {stored.stream: key})
        lifted = self._reader.wire(decode(stored).to_cloudevent())
        self._stamp(lifted)
        return lifted.content_hash == fact.content_hash

    def _look_up(self, hashed: bytes) -> IdRow | None:
        new = self._new.get(hashed)
        return IdRow(*new) if new else self._tx.ids([hashed]).get(hashed)

    def _correct(self, fact: Fact, number: int, old_id: str, old: IdRow) -> None:
        kind, _, subject = self._where(old.position)[0].partition("/")
        if kind == "customer" and self._tx.forgotten([self._secrets.alias_hash(subject)]):
            raise EventRejected(
                "id_reused",
                f"id {fact.id!r} of source {fact.source!r} is taken by an event of a customer who"
                " was forgotten, which can't be corrected any more: give this one an id of its own",
            )
        right = corrected(fact, number)
        retraction = retraction_of(old_id, right, (kind, subject))
        self._stamp(right)
        self._stamp(retraction)
        if self._look_up(retraction.id_hash) is not None:
            raise EventRejected(
                "id_reused",
                f"id {retraction.id!r} of source {fact.source!r}, which the correction of"
                f" {fact.id!r} needs for its retraction, is taken by another event: give the right"
                " event an id of its own, and retract the old one",
            )
        if right.type in IDENTITY:  # both or none: what can refuse the right one comes first
            self._claims.check(right, released_by=retraction.stream)
        self._check_special(retraction)
        self._append(retraction)
        self.outcome.positions.pop()
        self._check_special(right)
        self._append(right)
        self.outcome.corrected += 1

    def _append(self, fact: Fact) -> None:
        if self._mode.restore:
            self._date(fact)
        state = fact.state
        if fact.personal is not None or fact.out_of_sequence:
            state = self._decided_state(fact)
        self._position += 1
        version = self._memory.next_version(self._tx, fact.stream)
        self._events.append((fact.stream, version, fact.type, state))
        self._new[fact.id_hash] = (self._position, fact.content_hash)
        self.outcome.positions.append(self._position)
        if self._mode.command:
            self.outcome.versions.append(version)

    def _decided_state(self, fact: Fact) -> bytes:
        """The state of a fact with personal fields, or that breaks a rule."""
        if fact.personal is None:
            return state_of(fact)
        sealed = seal_fact(self._memory.key(fact.stream), fact)
        alias = None
        if fact.type in IDENTITY:
            alias = self._secrets.alias_hash(str(fact.personal["alias"]))
        return state_of(fact, sealed, alias)

    def _date(self, fact: Fact) -> None:
        """Keep the time at which the restored event was recorded; it never falls."""
        stored = self._tx.recorded_at if fact.stored is None else fact.stored
        stored = max(stored, self._recorded_at)
        if stored != self._recorded_at and self._position > self._start:
            self._commits.append(CommitRow(self._position, self._recorded_at))
        self._recorded_at = stored

    def finish(self) -> None:
        """Write what was taken."""
        self.flush()
        self._tx.insert_ids(self._new)
        self.outcome.ids = self._new.keys()
        self.outcome.appended = self._position - self._start
        self.outcome.recorded_at = self._recorded_at
        self._tx.insert_keys(self._memory.new_keys())
        if self._forgetting:
            self.outcome.erased = erase(self._tx, self._secrets, self._forgetting)
            self._memory.forget()
        if self._position > self._start:
            self._commits.append(CommitRow(self._position, self._recorded_at))
            self._tx.insert_commits(list(self._sealed()))

    def _sealed(self) -> Iterator[CommitRow]:
        """The commits of this transaction, each with the seal over its events."""
        seal = self._tx.last_seal or first_seal(str(self._tx.meta("store_id")))
        before = self._start
        for last, recorded_at, _ in self._commits:
            events = self._written[before - self._start : last - self._start]
            seal = next_seal(seal, last, recorded_at, range(before + 1, last + 1), events)
            yield CommitRow(last, recorded_at, seal)
            before = last

    def flush(self) -> None:
        """Write the events taken so far, so that this transaction can read them."""
        self._tx.insert_events(self._events)
        self._written += self._events
        self._events = []

    # -- events that rules look at ------------------------------------------------------------

    def _check_special(self, fact: Fact) -> None:
        if fact.type in SEQUENCED:
            self._check_sequence(fact)
        elif fact.type in IDENTITY:
            self._check_claim(fact)
        elif fact.type == "retracted":
            self._check_retraction(fact)
        elif fact.type in _PUBLISHING:
            self._check_document(fact)
        elif fact.type == "forgotten":
            self._forgetting.append(fact.stream)
            if not self._mode.restore:
                self._gone.add(fact.stream)

    def _check_sequence(self, fact: Fact) -> None:
        violation = self._memory.follow(fact)
        if violation is None or self._mode.restore:
            return
        if self._mode.command:
            raise violation
        fact.out_of_sequence = True
        self.outcome.out_of_sequence.append(violation)

    def _check_claim(self, fact: Fact) -> None:
        self._claims.check(fact)
        if any(topic == "retracted" for _, _, topic, _ in self._events):
            self.flush()  # one of them may be about this event
        self._claims.take(fact)

    def _check_retraction(self, fact: Fact) -> None:
        target = msgspec.json.decode(fact.whole)
        source, event_id = target["of_source"], target["of_id"]
        row = self._look_up(id_hash(source, event_id))
        if row is None:
            self._memory.retract(fact.stream, (source, event_id))
            return
        stream, topic = self._where(row.position)
        if topic == "retracted":
            raise EventRejected(
                "invalid", "of_id: names a retraction; record the right event again instead"
            )
        if stream != fact.stream:
            raise EventRejected(
                "wrong_subject",
                "subject: the event to retract is another customer's; write that subject",
            )
        if topic in IDENTITY:  # it may refuse
            self.flush()
            self._claims.retract(row.position, (source, event_id), decided=self._mode.restore)
        self._memory.retract(stream, (source, event_id))

    def _where(self, position: int) -> tuple[str, str]:
        """Stream and topic of an event, whether it is written yet or not."""
        waiting = position - (self._position - len(self._events)) - 1
        if waiting >= 0:
            stream, _, topic, _ = self._events[waiting]
            return stream, topic
        stored = self._tx.state_at(position)
        return stored.stream, stored.topic

    def _state_at(self, position: int) -> bytes:
        """The state of an event, whether it is written yet or not."""
        waiting = position - (self._position - len(self._events)) - 1
        return self._events[waiting][3] if waiting >= 0 else self._tx.state_at(position).state

    def _check_document(self, fact: Fact) -> None:
        """The same name and version with another body is refused."""
        self.flush()
        data = data_of(fact)
        for stored in self._tx.streams([fact.stream], sorted(_PUBLISHING)):
            old = data_of_state(stored)
            same = (old["name"], old["version"]) == (data["name"], data["version"])
            if same and old["sha256"] != data["sha256"]:
                raise EventRejected(
                    "invalid",
                    f"{data['name']}/{data['version']} is published with another body;"
                    " give this one a new version",
                )

    def _open_sealed(self, fact: Fact) -> None:
        """Open what this store sealed itself, so that an export sent back is recognised."""
        personal = fact.personal or {}
        tokens = [
            name
            for name, value in personal.items()
            if isinstance(value, str) and value.startswith(SEALED_PREFIX)
        ]
        if not tokens:
            return
        key = self._memory.known_key(fact.stream)
        model = CATALOGUE[fact.type]
        opened = {
            name: open_value(key, personal[name], fact.stream, name, older_names(model, name))
            for name in tokens
        }
        data = data_of(fact)
        for name, value in opened.items():
            field_name, _, inner = name.partition(".")
            if inner:
                data[field_name][inner] = value
            elif name != "actor":
                data[name] = value
        fact.personal = (
            {"actor": opened.get("actor", personal["actor"])} if "actor" in personal else None
        )
        self._reader.fill(fact, model.model_validate(data))
        self._stamp(fact)
