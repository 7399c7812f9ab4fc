"""What all stores do alike, whatever database they lie in."""

from __future__ import annotations

import hashlib
import os
import time
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

from bowtie.errors import SealedKeyMissing, StoreError, StoreReadOnly
from bowtie.sealing import (
    MASTER_KEY_VARIABLE,
    StoreKeys,
    load_master_key,
    make_master_key,
    new_key,
    open_store_key,
    wrap_store_key,
)
from bowtie.stores.about import NOTHING, About
from bowtie.stores.contract import (
    CommitRow,
    DroppedLine,
    ParkedLine,
    Snapshot,
    StateBatch,
    StoredState,
)
from bowtie.stores.queries import Queries, head_of
from bowtie.stores.tables import SCHEMA_VERSION, too_new, too_old
from bowtie.stores.writing import STATE, SqlWriting

__all__ = ["LOCK_TIMEOUT", "SqlStore"]

#: Seconds that a writer waits for the others, unless it says.
LOCK_TIMEOUT = 30.0
#: The version that brought snapshots, who was forgotten, and what was dropped.
_SECOND = 2
#: How often a reader that waits for new events looks, in seconds.
_POLL = 0.02


class SqlStore(ABC):
    """A store in a database; see :class:`bowtie.stores.contract.Store`."""

    def __init__(self, url: str, path: Path | None) -> None:
        #: how it is named, without a password
        self.url = url
        #: its file, where it is one
        self.path = path
        #: random, from when it was made
        self.store_id = ""
        #: the version that its tables had when it was opened, or upgraded
        self._found = SCHEMA_VERSION
        self._secrets: StoreKeys | None = None
        self._master: bytes | None = None
        #: the store's own key, as the master key at hand wraps it
        self._wrapped: bytes | str | None = None

    @property
    def address(self) -> str:
        """The URL to connect by."""
        return self.url

    # -- what each database does in its own way -----------------------------------------------

    @property
    @abstractmethod
    def version(self) -> int:
        """The version of its tables."""

    @property
    @abstractmethod
    def key_place(self) -> Path | None:
        """The master key lies beside it, in a file of that name and ``.key``."""

    @abstractmethod
    def close(self) -> None:
        """Release it; it can't be used after."""

    @abstractmethod
    def upgrade(self) -> bool:
        """Bring the tables to the version of this code; whether they were older."""

    @abstractmethod
    def scrub(self) -> bool:
        """See that nothing deleted stays in the files; False where a reader keeps it there."""

    @abstractmethod
    def reading(self) -> AbstractContextManager[Queries]:
        """To ask; each query sees one state of the store."""

    @abstractmethod
    def _transaction(self, timeout: float) -> AbstractContextManager[Queries]:
        """A transaction of our own under the writer's lock."""

    @abstractmethod
    def _joined(self, connection: Any, timeout: float) -> AbstractContextManager[Queries]:
        """The caller's open transaction, with the writer's lock."""

    # -- beginnings ---------------------------------------------------------------------------

    def _new_meta(self) -> dict[str, bytes | str]:
        """What a new store knows of itself; makes its master key."""
        self.store_id = uuid4().hex
        place = self.key_place
        if place is not None and MASTER_KEY_VARIABLE not in os.environ:
            try:
                place.parent.mkdir(0o700, parents=True, exist_ok=True)
            except OSError as error:
                raise StoreReadOnly(
                    f"can't make {place.parent} for the store's master key ({error.strerror}):"
                    f" set {MASTER_KEY_VARIABLE}"
                ) from None
        self._master = make_master_key(place)
        self._wrapped = wrap_store_key(self._master, new_key())
        return {"store_id": self.store_id, "store_key": self._wrapped}

    def _check_meta(self) -> None:
        """See that it is a store that this code can read."""
        version = self._found = self.version
        if version > SCHEMA_VERSION:
            raise too_new(self.url, version)
        meta = self.meta()
        if not {"store_id", "store_key"} <= meta.keys():
            raise StoreError(
                f"{self.url}: what the store knows of itself is gone: it is damaged;"
                " restore it from a backup"
            )
        self.store_id = str(meta["store_id"])

    # -- keys ---------------------------------------------------------------------------------

    @property
    def master_key(self) -> bytes:
        """The key that wraps the others; from the environment or the key file."""
        return self.master_key_for(self.meta().get("store_key"))

    def master_key_for(self, wrapped: bytes | str | None) -> bytes:
        """The master key that wraps the store's own key so; read again where it was changed."""
        if self._master is None or wrapped != self._wrapped:
            self._master = load_master_key(
                self.key_place, lambda key: open_store_key(key, wrapped) is not None
            )
            self._wrapped = wrapped
        return self._master

    def use_master_key(self, master: bytes, wrapped: bytes) -> None:
        """Go on with another master key, which now wraps the store's own key so."""
        self._master, self._wrapped = master, wrapped

    @property
    def secrets(self) -> StoreKeys:
        """The keys derived from the store's own key.

        Raises:
            SealedKeyMissing: the master key is not at hand, or is another store's.
        """
        if self._secrets is None:
            wrapped = self.meta()["store_key"]
            if not isinstance(wrapped, bytes):
                raise StoreError(f"{self.url}: the store's key is damaged; restore from a backup")
            key = open_store_key(self.master_key_for(wrapped), wrapped)
            if key is None:
                raise SealedKeyMissing(
                    f"the master key at hand is not the one of {self.url}: restore its key file"
                )
            self._secrets = StoreKeys(key)
        return self._secrets

    def keys(self, streams: Iterable[str] | None = None) -> dict[str, bytes]:
        """The wrapped keys of the streams named, or of all."""
        sql = "SELECT stream, wrapped FROM bowtie_keys"
        with self.reading() as queries:
            if streams is None:
                rows = queries.rows(sql)
            else:
                named, names = queries.listed([one for one in streams if _is_text(one)])
                rows = queries.rows(f"{sql} WHERE stream {named}", names)
        return {row[0]: row[1] for row in rows}

    # -- reading ------------------------------------------------------------------------------

    def rows(self, sql: str, values: Sequence[object] = ()) -> list[tuple[Any, ...]]:
        """What one query gives."""
        with self.reading() as queries:
            return queries.rows(sql, values)

    def meta(self) -> Mapping[str, bytes | str]:
        """What the store knows of itself."""
        with self.reading() as queries:
            rows = queries.rows("SELECT name, value FROM bowtie_meta")
            return {row[0]: queries.meta_in(row[1]) for row in rows}

    def head(self) -> int:
        """The newest position; 0 when the store is empty."""
        with self.reading() as queries:
            return head_of(queries)

    def count(self, upto: int) -> int:
        """How many events there are through a position."""
        rows = self.rows("SELECT count(*) FROM stored_events WHERE rowid <= ?", (upto,))
        return int(rows[0][0])

    def state_at(self, position: int) -> StoredState:
        """The event at a position that is known to exist."""
        (row,) = self.rows(f"{STATE} WHERE e.rowid = ?", (position,))
        return StoredState(*row)

    def hash_at(self, position: int) -> str:
        """A hash of the event at a position, to recognise it by; "" where there is none."""
        rows = self.rows(
            "SELECT originator_id, originator_version, topic, state FROM stored_events"
            " WHERE rowid = ?",
            (position,),
        )
        if not rows:
            return ""
        stream, version, topic, state = rows[0]
        head = f"{stream}\0{version}\0{topic}\0".encode()
        return hashlib.blake2b(head + state, digest_size=16).hexdigest()

    def batches(self, after: int, upto: int, size: int) -> Iterator[StateBatch]:
        """The events of positions (after, upto] in runs of at most ``size``."""
        while after < upto:
            with self.reading() as queries:
                batch = _read_batch(queries, after, upto, size)
            if batch is None:
                return
            yield batch
            after = batch.positions[-1]

    def states(self, after: int = 0, upto: int | None = None) -> Iterator[StoredState]:
        """Each event of positions (after, upto], in order."""
        end = self.head() if upto is None else upto
        while after < end:
            rows = self.rows(
                f"{STATE} WHERE e.rowid > ? AND e.rowid <= ? ORDER BY e.rowid LIMIT 5000",
                (after, end),
            )
            for row in rows:
                yield StoredState(*row)
            if not rows:
                return
            after = rows[-1][0]

    def states_of(self, topics: Sequence[str], after: int = 0) -> Iterator[StoredState]:
        """Each event of some topics after a position, in order; looks at the whole log."""
        end = self.head()
        while after < end:
            with self.reading() as queries:
                among, values = queries.listed(topics)
                rows = queries.rows(
                    f"{STATE} WHERE e.rowid > ? AND e.topic {among} ORDER BY e.rowid LIMIT 5000",
                    (after, *values),
                )
            yield from (StoredState(*row) for row in rows)
            after = rows[-1][0] if rows else end

    def stream(self, stream: str, after: int = 0) -> list[StoredState]:
        """The events of a stream after a version of it, in the order of its versions."""
        if not _is_text(stream):
            return []
        rows = self.rows(
            f"{STATE} WHERE e.originator_id = ? AND e.originator_version > ?"
            " ORDER BY e.originator_version",
            (stream, after),
        )
        return [StoredState(*row) for row in rows]

    def snapshot(self, stream: str) -> Snapshot | None:
        """The stream's snapshot, if it has one."""
        if self._found < _SECOND:
            return None
        rows = self.rows(
            "SELECT version, schema, state FROM bowtie_snapshots WHERE stream = ?", (stream,)
        )
        return Snapshot(*rows[0]) if rows else None

    def last_commit(self) -> CommitRow | None:
        """The newest transaction's; None in an empty store."""
        rows = self.rows("SELECT * FROM bowtie_commits ORDER BY last_position DESC LIMIT 1")
        return CommitRow(*rows[0]) if rows else None

    def position_recorded_by(self, micros: int) -> int:
        """The last position recorded at or before a moment; 0 when none was."""
        rows = self.rows(
            "SELECT max(last_position) FROM bowtie_commits WHERE recorded_at <= ?", (micros,)
        )
        return rows[0][0] or 0

    def forgotten(self) -> dict[str, int]:
        """When each forgotten subject (its hash) was forgotten, in microseconds."""
        if self._found < _SECOND:
            return {}
        return {row[0]: row[1] for row in self.rows("SELECT * FROM bowtie_forgotten")}

    def parked(self) -> Iterator[ParkedLine]:
        """The parked lines, oldest first."""
        after = 0
        while rows := self.rows(
            "SELECT * FROM bowtie_parked WHERE parked_id > ? ORDER BY parked_id LIMIT 1000",
            (after,),
        ):
            for row in rows:
                yield ParkedLine(*row)
            after = rows[-1][0]

    def parked_line(self, parked_id: int) -> ParkedLine | None:
        """One parked line, if it is there."""
        rows = self.rows("SELECT * FROM bowtie_parked WHERE parked_id = ?", (parked_id,))
        return ParkedLine(*rows[0]) if rows else None

    def parked_counts(self) -> dict[str, int]:
        """How many lines are parked, by reason."""
        return self._counts_by_reason("bowtie_parked")

    def dropped(self) -> Iterator[DroppedLine]:
        """The lines that were dropped, oldest first."""
        if self._found < _SECOND:
            return
        for row in self.rows(
            "SELECT * FROM bowtie_dropped ORDER BY dropped_at, origin, line, digest"
        ):
            yield DroppedLine(*row)

    def dropped_counts(self) -> dict[str, int]:
        """How many lines were dropped, by the reason that they were parked for."""
        return {} if self._found < _SECOND else self._counts_by_reason("bowtie_dropped")

    def _counts_by_reason(self, table: str) -> dict[str, int]:
        rows = self.rows(f"SELECT reason, count(*) FROM {table} GROUP BY reason")
        return {row[0]: row[1] for row in sorted(rows)}

    def changed(self, after: int, timeout: float) -> bool:
        """Wait until there are events after a position; whether there are."""
        end = time.monotonic() + timeout
        while self.head() <= after:
            left = end - time.monotonic()
            if left <= 0:
                return False
            time.sleep(min(_POLL, left))
        return True

    # -- writing ------------------------------------------------------------------------------

    @contextmanager
    def writing(
        self, connection: Any = None, timeout: float | None = None, about: About = NOTHING
    ) -> Iterator[SqlWriting]:
        """A transaction under the writer's lock."""
        if self._found < SCHEMA_VERSION:
            self._found = self.version  # it may have been upgraded since
            if self._found < SCHEMA_VERSION:
                raise too_old(self.url)
        wait = LOCK_TIMEOUT if timeout is None else timeout
        begun = self._transaction(wait) if connection is None else self._joined(connection, wait)
        with begun as queries:
            writing = SqlWriting(queries, about)
            if writing.version > SCHEMA_VERSION:
                raise too_new(self.url, writing.version)
            yield writing


def _is_text(text: str) -> bool:
    """Whether it could be stored: without NUL, and without halves of characters."""
    return "\0" not in text and not any("\ud800" <= one <= "\udfff" for one in text)


def _read_batch(queries: Queries, after: int, upto: int, size: int) -> StateBatch | None:
    """States concatenated in SQL: one value instead of one row an event."""
    rows = "SELECT rowid AS position, topic, state FROM stored_events"
    within = "WHERE rowid > ? AND rowid <= ? ORDER BY rowid LIMIT ?"
    bounds = (after, upto, size)
    ((count, first, last, topics, states),) = queries.rows(
        f"SELECT count(*), min(position), max(position), {queries.CONCATENATED}"
        f" FROM ({rows} {within}) AS batch",
        bounds,
    )
    if not count:
        return None
    positions: Sequence[int] = range(first, last + 1)
    if len(positions) != count:
        found = queries.rows(f"SELECT rowid FROM stored_events {within}", bounds)
        positions = [row[0] for row in found]
    commits = queries.rows(
        "SELECT last_position, recorded_at FROM bowtie_commits WHERE last_position >= ?"
        " AND last_position <= coalesce("
        "  (SELECT min(last_position) FROM bowtie_commits WHERE last_position >= ?), ?)"
        " ORDER BY last_position",
        (first, last, last),
    )
    return StateBatch(positions, topics + b"\n", states, [(row[0], row[1]) for row in commits])
