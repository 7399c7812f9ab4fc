"""The one way into a store: facts that are right in themselves become appended events."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence

from bowtie.codec import Fact, Stamp
from bowtie.deciding import Batch, Mode, Outcome
from bowtie.memory import StreamMemory
from bowtie.reader import Reader
from bowtie.stores.contract import Store, Writing

__all__ = ["Appender"]


class Appender:
    """Appends batches of facts to a store, each batch in one transaction."""

    def __init__(self, store: Store, reader: Reader) -> None:
        self._store, self._reader = store, reader
        self._secrets = store.secrets
        #: what a fact needs before it is appended; may be done ahead, in another thread
        self.stamp = Stamp(self._secrets.content)
        self._memory = StreamMemory(store.master_key)
        #: look ids up before inserting them; where none is expected, a clash shows at the insert
        self._look_first = store.head() > 0

    def append(
        self,
        facts: Sequence[Fact],
        mode: Mode,
        also: Callable[[Writing, Outcome], None] | None = None,
    ) -> Outcome:
        """Decide about the facts and append those that are taken, all in one transaction.

        Args:
            facts: in the order to append them.
            mode: how to take them.
            also: what else to write in the same transaction, knowing the outcome.

        Raises:
            EventRejected, RuleViolation: a command is refused; nothing was appended.
        """
        for fact in facts:
            if not fact.id_hash:
                self.stamp(fact)
        try:
            return self._attempt(facts, mode, also)
        except sqlite3.IntegrityError:
            if self._look_first:
                raise
            self._look_first = True
            return self._attempt(facts, mode, also)

    def _attempt(
        self,
        facts: Sequence[Fact],
        mode: Mode,
        also: Callable[[Writing, Outcome], None] | None,
    ) -> Outcome:
        try:
            with self._store.writing() as tx:
                self._memory.begin(tx, facts)
                batch = Batch(tx, self._memory, self._secrets, self._reader, self.stamp, mode=mode)
                batch.take_all(facts, look_first=self._look_first or mode.command)
                batch.finish()
                if also is not None:
                    also(tx, batch.outcome)
                head = tx.head
        except BaseException:
            self._memory.forget()
            raise
        self._memory.committed(head)
        outcome = batch.outcome
        self._look_first = bool(outcome.duplicates or outcome.corrected or outcome.rejected)
        return outcome
