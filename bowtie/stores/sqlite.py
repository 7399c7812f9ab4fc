"""A store in one SQLite file, or in memory."""

from __future__ import annotations

import hashlib
import json
import os
import sqlite3
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

from cryptography.exceptions import InvalidTag
from eventsourcing.persistence import ConnectionUnavailableError, PersistenceError

from bowtie.errors import (
    NotAStore,
    SealedKeyMissing,
    StoreBusy,
    StoreError,
    StoreMissing,
    StoreNewer,
    StoreOlder,
    StoreReadOnly,
)
from bowtie.sealing import StoreKeys, load_master_key, make_master_key, new_key, unwrap, wrap
from bowtie.seals import chain
from bowtie.stores.connections import Connections, Synchronous
from bowtie.stores.contract import (
    CommitRow,
    DroppedLine,
    ParkedLine,
    Snapshot,
    StateBatch,
    StoredState,
)
from bowtie.stores.recorder import APPLICATION_ID, SCHEMA_VERSION, Recorder
from bowtie.stores.sqlite_writing import STATE, SqliteWriting, head_of

__all__ = ["SqliteStore"]

_LOCK_TIMEOUT = 30
#: How long readers are waited for before it is said that they keep what was deleted.
_SCRUB_TIMEOUT = 5.0
_STORE_KEY = "store key"
#: How often a reader that waits for new events looks, in seconds.
_POLL = 0.02


class SqliteStore:
    """A store in the SQLite file at ``path``, or in memory where ``path`` is None."""

    def __init__(
        self, path: Path | None, url: str, *, create: bool, synchronous: Synchronous = "full"
    ) -> None:
        self.url, self.path = url, path
        if path is not None:
            try:
                _check_file(path, create=create)
            except sqlite3.Error as error:
                raise _explained(error, url) from error
        name = f"file:{uuid4().hex}?mode=memory&cache=shared" if path is None else str(path)
        self._datastore = Connections(name, _LOCK_TIMEOUT, synchronous)
        self._recorder = Recorder(self._datastore)
        self._secrets: StoreKeys | None = None
        self._master: bytes | None = None
        try:
            self._make_or_check()
        except (PersistenceError, sqlite3.Error) as error:
            self.close()
            raise _explained(error, url) from error
        except BaseException:
            self.close()
            raise

    @property
    def version(self) -> int:
        """The version of its tables."""
        with self.reading() as cursor:
            return _version(cursor)

    def close(self) -> None:
        """Release the file; the store can't be used after."""
        self._datastore.close()

    def _make_or_check(self) -> None:
        with self._recorder.reading() as cursor:
            (version,) = cursor.execute("PRAGMA user_version").fetchone()
            (tables,) = cursor.execute("SELECT count(*) FROM sqlite_master").fetchone()
        if tables == 0:
            self._make()
        elif version > SCHEMA_VERSION:
            raise StoreNewer(
                f"{self.url} was written by a newer version of bowtie (store version {version},"
                f" this one knows {SCHEMA_VERSION}): upgrade bowtie-journeys"
            )
        meta = self.meta()
        if not {"store_id", "store_key"} <= meta.keys():
            raise StoreError(
                f"{self.url}: what the store knows of itself is gone: it is damaged;"
                " restore it from a backup"
            )
        self.store_id = str(meta["store_id"])

    def _make(self) -> None:
        self._master = make_master_key(self.path)
        with self._recorder.writing(_LOCK_TIMEOUT) as cursor:
            (tables,) = cursor.execute("SELECT count(*) FROM sqlite_master").fetchone()
            if tables:  # another process made it meanwhile
                return
            for statement in self._recorder.create_table_statements:
                cursor.execute(statement)
            cursor.execute(f"PRAGMA application_id={APPLICATION_ID}")
            cursor.execute(f"PRAGMA user_version={SCHEMA_VERSION}")
            meta = {"store_id": uuid4().hex, "store_key": wrap(self._master, new_key(), _STORE_KEY)}
            cursor.executemany("INSERT INTO bowtie_meta VALUES (?,?)", list(meta.items()))

    def upgrade(self) -> bool:
        """Bring the tables to the version of this code; whether they were older."""
        if self.version == SCHEMA_VERSION:
            return False
        with self._transaction(_LOCK_TIMEOUT) as cursor:
            if _version(cursor) == SCHEMA_VERSION:  # another process did it meanwhile
                return False
            cursor.execute("ALTER TABLE bowtie_commits ADD COLUMN seal BLOB")
            for statement in self._recorder.create_table_statements:
                cursor.execute(statement)
            commits = cursor.execute(
                "SELECT last_position, recorded_at FROM bowtie_commits ORDER BY last_position"
            ).fetchall()
            events = self._recorder.events(cursor)
            seals = [(seal, last) for last, _, seal in chain(self.store_id, commits, events)]
            cursor.executemany("UPDATE bowtie_commits SET seal = ? WHERE last_position = ?", seals)
            cursor.execute(f"PRAGMA user_version={SCHEMA_VERSION}")
        return True

    # -- keys ---------------------------------------------------------------------------------

    @property
    def master_key(self) -> bytes:
        """The key that wraps the others; from the environment or the key file."""
        if self._master is None:
            self._master = load_master_key(self.path)
        return self._master

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
            try:
                self._secrets = StoreKeys(unwrap(self.master_key, wrapped, _STORE_KEY))
            except InvalidTag:
                raise SealedKeyMissing(
                    f"the master key at hand is not the one of {self.url}: restore its key file"
                ) from None
        return self._secrets

    def keys(self, streams: Iterable[str] | None = None) -> dict[str, bytes]:
        """The wrapped keys of the streams named, or of all."""
        with self.reading() as cursor:
            if streams is None:
                rows = cursor.execute("SELECT stream, wrapped FROM bowtie_keys")
            else:
                rows = cursor.execute(
                    "SELECT stream, wrapped FROM bowtie_keys"
                    " WHERE stream IN (SELECT value FROM json_each(?))",
                    (json.dumps(list(streams)),),
                )
            return {row[0]: row[1] for row in rows}

    # -- reading ------------------------------------------------------------------------------

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Cursor]:
        """A transaction that sees one state of the store."""
        try:
            with self._recorder.reading() as cursor:
                yield cursor
        except (PersistenceError, sqlite3.Error) as error:
            raise _explained(error, self.url) from error

    def meta(self) -> Mapping[str, bytes | str]:
        """What the store knows of itself."""
        with self.reading() as cursor:
            return {row[0]: row[1] for row in cursor.execute("SELECT name, value FROM bowtie_meta")}

    def head(self) -> int:
        """The newest position; 0 when the store is empty."""
        with self.reading() as cursor:
            return head_of(cursor)

    def count(self, upto: int) -> int:
        """How many events there are through a position."""
        with self.reading() as cursor:
            row = cursor.execute("SELECT count(*) FROM stored_events WHERE rowid <= ?", (upto,))
            return int(row.fetchone()[0])

    def state_at(self, position: int) -> StoredState:
        """The event at a position that is known to exist."""
        with self.reading() as cursor:
            row = cursor.execute(f"{STATE} WHERE e.rowid = ?", (position,)).fetchone()
        return StoredState(*row)

    def hash_at(self, position: int) -> str:
        """A hash of the event at a position, to recognise it by; "" where there is none."""
        with self.reading() as cursor:
            row = cursor.execute(
                "SELECT originator_id, originator_version, topic, state FROM stored_events"
                " WHERE rowid = ?",
                (position,),
            ).fetchone()
        if row is None:
            return ""
        head = f"{row[0]}\0{row[1]}\0{row[2]}\0".encode()
        return hashlib.blake2b(head + row[3], digest_size=16).hexdigest()

    def batches(self, after: int, upto: int, size: int) -> Iterator[StateBatch]:
        """The events of positions (after, upto] in runs of at most ``size``."""
        while after < upto:
            with self.reading() as cursor:
                batch = _read_batch(cursor, after, upto, size)
            if batch is None:
                return
            yield batch
            after = batch.positions[-1]

    def states(self, after: int = 0, upto: int | None = None) -> Iterator[StoredState]:
        """Each event of positions (after, upto], in order."""
        end = self.head() if upto is None else upto
        while after < end:
            with self.reading() as cursor:
                rows = cursor.execute(
                    f"{STATE} WHERE e.rowid > ? AND e.rowid <= ? ORDER BY e.rowid LIMIT 5000",
                    (after, end),
                ).fetchall()
            for row in rows:
                yield StoredState(*row)
            if not rows:
                return
            after = rows[-1][0]

    def states_of(self, topics: Sequence[str], after: int = 0) -> Iterator[StoredState]:
        """Each event of some topics after a position, in order; looks at the whole log."""
        listed = ",".join("?" * len(topics))
        end = self.head()
        while after < end:
            with self.reading() as cursor:
                rows = cursor.execute(
                    f"{STATE} WHERE e.rowid > ? AND e.topic IN ({listed})"
                    " ORDER BY e.rowid LIMIT 5000",
                    (after, *topics),
                ).fetchall()
            yield from (StoredState(*row) for row in rows)
            after = rows[-1][0] if rows else end

    def stream(self, stream: str, after: int = 0) -> list[StoredState]:
        """The events of a stream after a version of it, in the order of its versions."""
        if any("\ud800" <= character <= "\udfff" for character in stream):
            return []  # half of a character: no text that could be stored
        with self.reading() as cursor:
            rows = cursor.execute(
                f"{STATE} WHERE e.originator_id = ? AND e.originator_version > ?"
                " ORDER BY e.originator_version",
                (stream, after),
            )
            return [StoredState(*row) for row in rows]

    def snapshot(self, stream: str) -> Snapshot | None:
        """The stream's snapshot, if it has one."""
        if self.version < SCHEMA_VERSION:
            return None
        with self.reading() as cursor:
            row = cursor.execute(
                "SELECT version, schema, state FROM bowtie_snapshots WHERE stream = ?", (stream,)
            ).fetchone()
        return Snapshot(*row) if row else None

    def last_commit(self) -> CommitRow | None:
        """The newest transaction's; None in an empty store."""
        with self.reading() as cursor:
            row = cursor.execute(
                "SELECT * FROM bowtie_commits ORDER BY last_position DESC LIMIT 1"
            ).fetchone()
        return CommitRow(*row) if row else None

    def forgotten(self) -> dict[str, int]:
        """When each forgotten subject (its hash) was forgotten, in microseconds."""
        if self.version < SCHEMA_VERSION:
            return {}
        with self.reading() as cursor:
            return {row[0]: row[1] for row in cursor.execute("SELECT * FROM bowtie_forgotten")}

    def position_recorded_by(self, micros: int) -> int:
        """The last position recorded at or before a moment; 0 when none was."""
        with self.reading() as cursor:
            row = cursor.execute(
                "SELECT max(last_position) FROM bowtie_commits WHERE recorded_at <= ?", (micros,)
            ).fetchone()
        return row[0] or 0

    def parked(self) -> Iterator[ParkedLine]:
        """The parked lines, oldest first."""
        after = 0
        while True:
            with self.reading() as cursor:
                rows = cursor.execute(
                    "SELECT * FROM bowtie_parked WHERE parked_id > ? ORDER BY parked_id LIMIT 1000",
                    (after,),
                ).fetchall()
            if not rows:
                return
            for row in rows:
                yield ParkedLine(*row)
            after = rows[-1][0]

    def parked_line(self, parked_id: int) -> ParkedLine | None:
        """One parked line, if it is there."""
        with self.reading() as cursor:
            row = cursor.execute(
                "SELECT * FROM bowtie_parked WHERE parked_id = ?", (parked_id,)
            ).fetchone()
        return None if row is None else ParkedLine(*row)

    def parked_counts(self) -> dict[str, int]:
        """How many lines are parked, by reason."""
        return self._counts_by_reason("bowtie_parked")

    def dropped(self) -> Iterator[DroppedLine]:
        """The lines that were dropped, oldest first."""
        if self.version < SCHEMA_VERSION:
            return
        with self.reading() as cursor:
            rows = cursor.execute(
                "SELECT * FROM bowtie_dropped ORDER BY dropped_at, origin, line, digest"
            ).fetchall()
        yield from (DroppedLine(*row) for row in rows)

    def dropped_counts(self) -> dict[str, int]:
        """How many lines were dropped, by the reason that they were parked for."""
        return {} if self.version < SCHEMA_VERSION else self._counts_by_reason("bowtie_dropped")

    def _counts_by_reason(self, table: str) -> dict[str, int]:
        with self.reading() as cursor:
            rows = cursor.execute(
                f"SELECT reason, count(*) FROM {table} GROUP BY reason ORDER BY reason"
            )
            return {row[0]: row[1] for row in rows}

    def scrub(self) -> bool:
        """See that nothing deleted stays in the files; False where a reader keeps it there."""
        if self.path is None:
            return True
        try:
            return self._recorder.empty_journal(_SCRUB_TIMEOUT)
        except (PersistenceError, sqlite3.Error) as error:
            raise _explained(error, self.url) from error

    # -- writing ------------------------------------------------------------------------------

    @contextmanager
    def writing(
        self, connection: Any = None, timeout: float | None = None
    ) -> Iterator[SqliteWriting]:
        """A transaction under the writer's lock."""
        if connection is not None:
            raise NotImplementedError
        with self._transaction(_LOCK_TIMEOUT if timeout is None else timeout) as cursor:
            if _version(cursor) < SCHEMA_VERSION:
                raise StoreOlder(
                    f"{self.url} was written by an older version of bowtie: run bowtie init to"
                    " upgrade it (older versions can't write it then)"
                )
            yield SqliteWriting(cursor)

    @contextmanager
    def _transaction(self, timeout: float) -> Iterator[sqlite3.Cursor]:
        try:
            with self._recorder.writing(timeout) as cursor:
                yield cursor
        except (PersistenceError, sqlite3.Error) as error:
            raise _explained(error, self.url) from error

    def changed(self, after: int, timeout: float) -> bool:
        """Wait until there are events after a position; whether there are."""
        end = time.monotonic() + timeout
        while self.head() <= after:
            left = end - time.monotonic()
            if left <= 0:
                return False
            time.sleep(min(_POLL, left))
        return True


def _version(cursor: sqlite3.Cursor) -> int:
    return int(cursor.execute("PRAGMA user_version").fetchone()[0])


def _read_batch(cursor: sqlite3.Cursor, after: int, upto: int, size: int) -> StateBatch | None:
    """States concatenated in SQL: one value instead of one row an event."""
    rows = "SELECT rowid AS position, topic, state FROM stored_events"
    within = "WHERE rowid > ? AND rowid <= ? ORDER BY rowid LIMIT ?"
    bounds = (after, upto, size)
    count, first, last, topics, states = cursor.execute(
        "SELECT count(*), min(position), max(position),"
        " CAST(group_concat(topic, char(10)) AS BLOB), CAST(group_concat(state, '') AS BLOB)"
        f" FROM ({rows} {within})",
        bounds,
    ).fetchone()
    if not count:
        return None
    positions: Sequence[int] = range(first, last + 1)
    if len(positions) != count:
        found = cursor.execute(f"SELECT rowid FROM stored_events {within}", bounds)
        positions = [row[0] for row in found]
    commits = cursor.execute(
        "SELECT last_position, recorded_at FROM bowtie_commits WHERE last_position >= ?"
        " AND last_position <= coalesce("
        "  (SELECT min(last_position) FROM bowtie_commits WHERE last_position >= ?), ?)"
        " ORDER BY last_position",
        (first, last, last),
    )
    return StateBatch(positions, topics + b"\n", states, [(row[0], row[1]) for row in commits])


def _check_file(path: Path, *, create: bool) -> None:
    """Word what SQLite would say badly."""
    if path.is_dir():
        raise NotAStore(f"{path} is a folder: name a file in it")
    if path.exists():
        try:
            with path.open("rb") as file:
                begin = file.read(16)
        except OSError as error:
            raise StoreError(f"{path} can't be read: {error.strerror}; ask its owner") from None
        if begin not in (b"", b"SQLite format 3\0"):
            raise NotAStore(f"{path} is not a bowtie store: name another file with --store")
        if _is_foreign(path):
            raise NotAStore(f"{path} is another program's database: name another file with --store")
        return
    if not create:
        raise StoreMissing(
            f"there is no store at {path}: make one with bowtie init, or ingest a log"
        )
    if not path.parent.is_dir():
        raise StoreMissing(f"{path}: the folder {path.parent} is not there: make it first")
    if not os.access(path.parent, os.W_OK):
        raise StoreReadOnly(f"{path}: the folder {path.parent} can't be written")


def _is_foreign(path: Path) -> bool:
    """Whether the database is another program's; asked without changing it."""
    database = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)
    try:
        (found,) = database.execute("PRAGMA application_id").fetchone()
        (tables,) = database.execute("SELECT count(*) FROM sqlite_master").fetchone()
    finally:
        database.close()
    return bool(tables) and found != APPLICATION_ID


def _explained(error: Exception, url: str) -> StoreError:
    text = str(error)
    if "readonly" in text or "unable to open" in text:
        return StoreReadOnly(
            f"{url} can't be written: check the permissions of the file and of its folder"
        )
    if "no such table" in text or "no such column" in text:
        return StoreError(f"{url} is damaged ({text}): restore it from a backup")
    if "not a database" in text or "malformed" in text:
        return NotAStore(f"{url} is no SQLite database, or a damaged one: {text}")
    if "full" in text:
        return StoreError(
            f"{url}: the disk is full; free some space and repeat (what was reported is kept)"
        )
    if "locked" in text or isinstance(error, ConnectionUnavailableError):
        return StoreBusy(f"{url}: another writer has held the store all the while; try again")
    return StoreError(f"{url}: {text}")
