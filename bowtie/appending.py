"""The one way into a store: facts that are right in themselves become appended events."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from threading import Lock
from typing import Any

from bowtie import telemetry
from bowtie.codec import Fact, Stamp
from bowtie.deciding import Batch
from bowtie.errors import StoreBusy
from bowtie.memory import StreamMemory
from bowtie.outcome import Mode, Outcome
from bowtie.reader import Reader
from bowtie.seen import Seen
from bowtie.stores.contract import Store, Taken, Writing

__all__ = ["Also", "Appender"]

_LOG = logging.getLogger(__name__)
#: What else to write in the same transaction, knowing the outcome.
Also = Callable[[Writing, Outcome], None]
#: Seconds that a writer waits for the others, unless it says.
WAIT = 30.0


class Appender:
    """Appends batches of facts to a store, each batch in one transaction.

    Threads may share it: they append one after the other.
    """

    def __init__(self, store: Store, reader: Reader) -> None:
        self._store, self._reader = store, reader
        self._secrets = store.secrets
        #: what a fact needs before it is appended; may be done ahead, in another thread
        self.stamp = Stamp(self._secrets.content)
        self._memory = StreamMemory(store.master_key_for)
        #: look ids up before inserting them; where none is expected, a clash shows at the insert
        self._look_first = store.head() > 0
        #: all ids of the store, as long as it was empty at first and nobody else has appended
        self._seen = None if self._look_first else Seen()
        self._lock = Lock()

    def append(
        self,
        facts: Sequence[Fact],
        mode: Mode,
        also: Also | None = None,
        *,
        connection: Any = None,
        timeout: float | None = None,
    ) -> Outcome:
        """Decide about the facts and append those that are taken, all in one transaction.

        Args:
            facts: in the order to append them.
            mode: how to take them.
            also: what else to write in the same transaction, knowing the outcome.
            connection: the caller's own, to write within its open transaction.
            timeout: seconds to wait for other writers (30).

        Raises:
            EventRejected, RuleViolation, StreamConflict: a command is refused; nothing was
                appended.
            StoreBusy: others wrote all that time.
        """
        for fact in facts:
            if not fact.id_hash:
                self.stamp(fact)
        measured = telemetry.instruments
        if measured is None:
            return self._write(facts, mode, also, connection, timeout)
        return measured.append(
            lambda: self._write(facts, mode, also, connection, timeout), command=mode.command
        )

    def _write(
        self,
        facts: Sequence[Fact],
        mode: Mode,
        also: Also | None,
        connection: Any,
        timeout: float | None,
    ) -> Outcome:
        if connection is not None:
            # It may yet be rolled back, so nothing of it is remembered; and its caller may hold the
            # writer's lock already, so it must not queue behind threads that wait for that.
            memory = StreamMemory(self._store.master_key_for)
            look_up = [] if mode.new_ids else _ids_of(facts)
            with self._store.writing(connection, timeout, memory.about(facts, look_up)) as tx:
                outcome = self._decide(tx, memory, facts, mode, also, look_up=look_up)
            outcome.scrubbed = outcome.erased is None  # only what is committed can be wiped
            return outcome
        wait = WAIT if timeout is None else timeout
        if not self._lock.acquire(timeout=wait):
            raise StoreBusy(
                f"{self._store.url}: other threads have been writing for {wait:g} seconds; try"
                " again"
            )
        try:
            return self._append(facts, mode, also, timeout)
        finally:
            self._lock.release()

    def _append(
        self, facts: Sequence[Fact], mode: Mode, also: Also | None, timeout: float | None
    ) -> Outcome:
        look_up = self._perhaps_taken(facts, mode)
        try:
            outcome = self._attempt(facts, mode, also, timeout, look_up)
        except Taken:
            if len(look_up) == len(facts):
                raise
            self._seen = None
            outcome = self._attempt(facts, mode, also, timeout, _ids_of(facts))
        self._look_first = bool(outcome.duplicates or outcome.corrected or outcome.rejected)
        if self._seen is not None:
            self._seen.add(outcome.ids)
        return outcome

    def _perhaps_taken(self, facts: Sequence[Fact], mode: Mode) -> list[bytes]:
        """The ids to look up before deciding."""
        if mode.command:  # one by one, it would cost more to remember an id than to look it up
            self._seen = None
            return [] if mode.new_ids else _ids_of(facts)
        if self._seen is not None:
            return self._seen.perhaps(_ids_of(facts))
        return _ids_of(facts) if self._look_first else []

    def _attempt(
        self,
        facts: Sequence[Fact],
        mode: Mode,
        also: Also | None,
        timeout: float | None,
        look_up: list[bytes],
    ) -> Outcome:
        about = self._memory.about(facts, look_up)
        try:
            with self._store.writing(timeout=timeout, about=about) as tx:
                outcome = self._decide(tx, self._memory, facts, mode, also, look_up=look_up)
                head = tx.head
        except BaseException:
            self._memory.forget()
            raise
        self._memory.committed(head)
        _LOG.debug("appended %d events, through position %d", outcome.appended, head)
        if outcome.erased is not None:
            outcome.scrubbed = self._store.scrub()
        return outcome

    def _decide(
        self,
        tx: Writing,
        memory: StreamMemory,
        facts: Sequence[Fact],
        mode: Mode,
        also: Also | None,
        *,
        look_up: list[bytes],
    ) -> Outcome:
        memory.begin(tx, facts)
        batch = Batch(tx, memory, self._secrets, self._reader, self.stamp, mode=mode)
        batch.take_all(facts, look_up)
        batch.finish()
        if also is not None:
            also(tx, batch.outcome)
        return batch.outcome


def _ids_of(facts: Sequence[Fact]) -> list[bytes]:
    return [fact.id_hash for fact in facts]
