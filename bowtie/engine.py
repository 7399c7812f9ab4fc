"""The engine: open a store, record and ingest events, read a journey."""

from __future__ import annotations

import getpass
import logging
import os
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from threading import Lock
from typing import Any, BinaryIO, Self

from bowtie.appending import Also, Appender
from bowtie.codec import Fact
from bowtie.decoding import unwrap_key
from bowtie.documents import Documents
from bowtie.envelope import Recorded
from bowtie.erasing import Erasure, LinkedKeys
from bowtie.errors import AliasClaimed, DefinitionError, EventRejected, IdReused, UsageError
from bowtie.events import Event
from bowtie.expecting import ANY, Expected, check_expected
from bowtie.forgetting import forget_customer, keys_of_customer
from bowtie.ingest import Ingesting, IngestReport
from bowtie.logs import Mapping
from bowtie.logs.rows import Format
from bowtie.outcome import Mode, Outcome
from bowtie.parked import Dropped, Parked, drop_parked, list_dropped, list_parked, retry_parked
from bowtie.reader import Reader
from bowtie.reading import DEFAULT_DEFINITION
from bowtie.recording import as_recorded, command_facts, holds_sealed
from bowtie.restoring import restore_log
from bowtie.rotating import change_master_key
from bowtie.sources import open_lines
from bowtie.stores import StoredState, open_store
from bowtie.stores.contract import Writing

__all__ = ["Bowtie"]

_LOG = logging.getLogger(__name__)
_CONFLICTS = {"id_reused": IdReused, "alias_claimed": AliasClaimed}


class Bowtie(Documents):
    """A store of journeys, opened.

    >>> from bowtie import Bowtie, Touched
    >>> with Bowtie.open("memory://") as engine:
    ...     recorded = engine.record("acme", Touched(channel="webinar", direction="inbound"))
    ...     engine.journey("acme").stage
    'awareness'
    """

    def __init__(self, url: str, *, create: bool) -> None:
        self.store = open_store(url, create=create)
        self._lock = Lock()
        self._appender: Appender | None = None
        self._settled: Reader | None = None

    def __repr__(self) -> str:
        return f"<Bowtie {self.store.url}>"

    @classmethod
    def open(cls, url: str, *, create: bool = True) -> Self:
        """The store at a URL: ``sqlite:///FILE``, a file's path, or ``memory://``.

        Args:
            create: make the store where there is none (with the default stage definition).

        Raises:
            StoreMissing: there is none, and ``create`` is false.
            StoreError: it can't be used; says why and what to do.
        """
        return cls(url, create=create)

    def close(self) -> None:
        """Release the store."""
        self.store.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # -- setting up ---------------------------------------------------------------------------

    def init(self, definition: str | os.PathLike[str] | None = None) -> None:
        """Set the store's default stage definition: a name or a TOML file's path.

        A store that an older version of bowtie wrote is upgraded first.

        Raises:
            DefinitionError: the definition is wrong, naming the line; or this store, which has
                events, went by another text of that name and version.
        """
        chosen = self.load_definition(definition or DEFAULT_DEFINITION)
        self._refuse_other_text(chosen)
        used = f"definition {chosen.label}"
        self.store.upgrade()
        with self.store.writing() as tx:
            if tx.head and tx.meta(used) not in (None, chosen.sha256):
                raise DefinitionError(
                    chosen.label,
                    "this store has gone by another text of that name and version:"
                    " give the new one a higher version",
                )
            tx.set_meta(used, chosen.sha256)
            tx.set_meta("definition", chosen.text)

    def init_personal_names(self, names: tuple[str, ...]) -> None:
        """Choose which traits and properties are sealed; only before the first event.

        Raises:
            UsageError: there are events already, which keep the fields they have in plain.
        """
        with self.store.writing() as tx:
            if tx.head:
                raise UsageError("personal names can be chosen only while the store is empty")
            tx.set_meta("personal_names", "\n".join(names))
        with self._lock:
            self._appender = None

    # -- writing ------------------------------------------------------------------------------

    def record(
        self,
        customer: str,
        *events: Event,
        occurred_at: datetime | None = None,
        source: str | None = None,
        id: str | None = None,
        known_from: datetime | None = None,
        day_only: bool = False,
        actor: str | None = None,
        correlation_id: str | None = None,
        causation_id: str | None = None,
        kind: str | None = None,
        expected: Expected = ANY,
        connection: Any = None,
        timeout: float | None = None,
    ) -> list[Recorded]:
        """Append events to one stream, all or nothing, and return them as recorded.

        Args:
            customer: the stream's key, a pseudonym; for events of another kind of stream, its key.
            events: facts of the catalogue.
            occurred_at: when they happened (now unless said).
            source: the system that says so (``bowtie`` unless said).
            id: for one event only; recording the same id and content again changes nothing, and
                without ``occurred_at`` it keeps the time of the first.
            known_from: when the source knew.
            day_only: ``occurred_at`` is precise to the day.
            actor: who did it; sealed.
            correlation_id, causation_id: what the events belong to, what caused them.
            kind: the kind of stream, where the event may live in several.
            expected: the version that the stream must be at (``journey.version``), or ``ANY``,
                ``NO_STREAM``, ``STREAM_EXISTS``. An event that is recorded already, under the same
                id and with the same content, is returned without looking at this.
            connection: an SQLAlchemy or DB-API connection on the same database or file, in whose
                open transaction to append: what it commits or rolls back, it does with its own rows
                and these events together. It holds the writer's lock until then.
            timeout: seconds to wait for other writers (30).

        Raises:
            StreamConflict: the stream is not as expected.
            StoreBusy: others wrote all that time.
            RuleViolation: a rule of sequence would be broken.
            EventRejected: an event is wrong in itself.
            IdReused, AliasClaimed: what it names is taken.
        """
        facts = command_facts(
            self._reader(),
            customer,
            events,
            occurred_at=occurred_at,
            source=source,
            id=id,
            known_from=known_from,
            day_only=day_only,
            actor=actor,
            correlation_id=correlation_id,
            causation_id=causation_id,
            kind=kind,
        )
        if expected is not ANY:
            check_expected(expected, facts)
        found: list[StoredState] = []
        keys: dict[str, bytes] = {}

        def read_back(tx: Writing, outcome: Outcome) -> None:
            """What is not as it was given is read within the transaction: it may be open yet."""
            if not all(outcome.versions) or any(map(holds_sealed, facts)):
                found.extend(map(tx.state_at, outcome.positions))
                keys.update(tx.keys(sorted({stored.stream for stored in found})))

        mode = Mode(command=True, expected=expected, new_ids=not id, undated=occurred_at is None)
        outcome = self._command(facts, mode, read_back, connection, timeout)
        if not found:
            return as_recorded(facts, events, outcome)
        return list(map(self._opening(keys), found))

    def _command(
        self, facts: list[Fact], mode: Mode, also: Also, connection: Any, timeout: float | None
    ) -> Outcome:
        try:
            return self._append().append(facts, mode, also, connection=connection, timeout=timeout)
        except EventRejected as error:
            conflict = _CONFLICTS.get(error.reason)
            if conflict is None:
                raise
            raise conflict(error.problem) from None

    def ingest(
        self,
        log: str | os.PathLike[str] | BinaryIO,
        *,
        mapping: Mapping | str | os.PathLike[str] | None = None,
        format: Format | None = None,
        correct: bool = False,
        progress: Callable[[IngestReport], None] | None = None,
    ) -> IngestReport:
        """Append an event log: JSON lines, CSV or Parquet, plain, .gz or .zst; ``-`` is stdin.

        What is in the log already is counted and skipped; what is wrong in itself is parked with
        its reason; what breaks a rule of sequence is recorded and marked.

        Args:
            log: a path, ``-``, or a binary stream.
            mapping: turns the rows of a foreign file into events; a mapping file's path will do.
            format: where neither the name nor the first bytes tell it.
            correct: an id that is taken by other content corrects that event, instead of being
                parked as ``id_reused``.
            progress: called after each batch with the report so far.

        Raises:
            FileError: the file can't be read (to its end: what was good is kept, see ``report``).
            MappingError: the mapping doesn't fit the file.
        """
        if mapping is not None and not isinstance(mapping, Mapping):
            mapping = Mapping.load(mapping)
        with open_lines(log, mapping, format) as lines:
            ingesting = self._ingesting(lines.name, Mode(correct=correct))
            report = ingesting.run(lines.chunks(), progress)
        report.unused_rows, report.unchanged_events = lines.unused, lines.unchanged
        report.position = self.store.head()
        _LOG.info(
            "ingest: %d read, %d appended, %d duplicates, %d corrected, %d parked",
            *(report.read, report.appended, report.duplicates, report.corrected, report.parked),
        )
        return report

    def restore(
        self,
        log: str | os.PathLike[str] | BinaryIO,
        *,
        progress: Callable[[IngestReport], None] | None = None,
    ) -> IngestReport:
        """Put an export back into an empty store, times of recording and all.

        A restore that was killed goes on where it stopped when it is called again with the same
        export. Events are validated, but not decided about: they were, when they were recorded.

        Raises:
            UsageError: the store isn't empty, or the file is no export.
            FileError: the file is damaged, or holds fewer events than it says.
        """
        with open_lines(log, None, None) as lines:
            ingesting = self._ingesting(lines.name, Mode(restore=True))
            report = restore_log(self.store, ingesting, lines, progress)
        report.position = self.store.head()
        return report

    def retry_parked(
        self, *, mapping: Mapping | None = None, correct: bool = False
    ) -> IngestReport:
        """Try the parked lines again; those that are taken now are recorded now, and unparked.

        Args:
            mapping: for rows of a foreign file that it could not turn into events before.
            correct: as for :meth:`ingest`.
        """
        report = retry_parked(
            self.store, self._append(), self._reader(), Mode(correct=correct), mapping
        )
        report.position = self.store.head()
        return report

    def parked(self) -> Iterator[Parked]:
        """The lines that were refused, oldest first, opened; what they say may be personal."""
        return list_parked(self.store)

    def drop_parked(
        self, *parked_ids: int, why: str, by: str | None = None, reason: str | None = None
    ) -> int:
        """Drop parked lines for ever, and keep why; how many there were.

        They are not parked again when they come again.

        Args:
            parked_ids: which.
            why: what is kept of them, sealed, beside where they stood.
            by: who says so; the user of this process unless said.
            reason: all that were refused for this reason too.

        Raises:
            UnknownName: there is no such line.
        """
        return drop_parked(self.store, parked_ids, why, by or _user(), reason)

    def dropped(self) -> Iterator[Dropped]:
        """The parked lines that were dropped: when, by whom and why."""
        return list_dropped(self.store)

    # -- forgetting ---------------------------------------------------------------------------

    def linked_keys(self, customer: str, *, leave: Iterable[str] = ()) -> LinkedKeys:
        """The keys that a customer has or ever had, as :meth:`forget` would take them.

        Args:
            customer: any of the keys.
            leave: keys that were linked by mistake: neither they nor what only they lead to.

        Raises:
            UnknownName: nothing in the store is about that customer.
        """
        return keys_of_customer(self.store, self._key_of, customer, leave)

    def forget(
        self, customer: str, *, leave: Iterable[str] = (), agreed: LinkedKeys | None = None
    ) -> Erasure:
        """Destroy a customer's personal data for ever, under every key ever linked with it.

        The events stay, and so does every figure: what is destroyed is the key that opens their
        sealed fields, and whatever else could still be matched with the person.

        Args:
            customer: any of the keys.
            leave: keys that were linked by mistake.
            agreed: what :meth:`linked_keys` said, if someone agreed to that and no more.

        Raises:
            UnknownName: nothing in the store is about that customer.
            Conflict: the keys are not those that were agreed to.
        """
        return forget_customer(
            self.store,
            self._append(),
            self._reader(),
            lambda: self.linked_keys(customer, leave=leave),
            agreed,
        )

    def change_master_key(self) -> int:
        """Wrap all keys by a new master key, after which the old one opens nothing.

        A new key is put into the key file; where the environment holds the master key, the new one
        is taken from ``BOWTIE_NEW_MASTER_KEY``. A kill in between leaves one of the two working.

        Returns:
            How many customers' keys there are.

        Raises:
            SealedKeyMissing: the present key does not open all of them; nothing was changed.
        """
        return change_master_key(self.store)

    # -- inside -------------------------------------------------------------------------------

    def _reader(self) -> Reader:
        """What checks events; kept once there are some, which settle the personal names."""
        if self._settled is None:
            reader = Reader(self.personal_names)
            if not self.store.head():
                return reader
            self._settled = reader
        return self._settled

    def _append(self) -> Appender:
        with self._lock:
            if self._appender is None:
                self._appender = Appender(self.store, self._reader())
            return self._appender

    def _key_of(self, stream: str) -> bytes | None:
        wrapped = self.store.keys([stream]).get(stream)
        return None if wrapped is None else unwrap_key(self.store.master_key, wrapped, stream)

    def _ingesting(self, origin: str, mode: Mode) -> Ingesting:
        return Ingesting(self._append(), self._reader(), self.store.secrets, origin, mode)


def _user() -> str:
    """The user of this process; one without a name has a number in a container."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        raise UsageError("say who drops them, by=NAME (--by NAME): this user has no name") from None
