"""A store in one SQLite file, or in memory."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

from eventsourcing.persistence import ConnectionUnavailableError, PersistenceError

from bowtie.errors import (
    NotAStore,
    StoreBusy,
    StoreError,
    StoreMissing,
    StoreReadOnly,
    UsageError,
)
from bowtie.seals import chain
from bowtie.stores.connections import Connections, Synchronous
from bowtie.stores.joining import driver_connection
from bowtie.stores.sqlite_recorder import Recorder, SqliteQueries
from bowtie.stores.sqlstore import LOCK_TIMEOUT, SqlStore
from bowtie.stores.tables import SCHEMA_VERSION

__all__ = ["SqliteStore"]

#: "bowt": tells a bowtie store from other programs' databases.
_APPLICATION_ID = 0x626F7774
#: How long readers are waited for before it is said that they keep what was deleted, in seconds.
_SCRUB_TIMEOUT = 5.0


class SqliteStore(SqlStore):
    """A store in the SQLite file at ``path``, or in memory where ``path`` is None."""

    def __init__(
        self, path: Path | None, url: str, *, create: bool, synchronous: Synchronous = "full"
    ) -> None:
        super().__init__(url, path)
        if path is not None:
            try:
                _check_file(path, create=create)
            except sqlite3.Error as error:
                raise _explained(error, url) from error
        name = f"file:{uuid4().hex}?mode=memory&cache=shared" if path is None else str(path)
        self._datastore = Connections(name, int(LOCK_TIMEOUT), synchronous)
        self._recorder = Recorder(self._datastore)
        try:
            if not self.rows("SELECT 1 FROM sqlite_master LIMIT 1"):
                self._make()
            self._check_meta()
        except (PersistenceError, sqlite3.Error) as error:
            self.close()
            raise _explained(error, url) from error
        except BaseException:
            self.close()
            raise

    @property
    def version(self) -> int:
        """The version of its tables."""
        with self.reading() as queries:
            return _version(queries)

    @property
    def key_place(self) -> Path | None:
        """The master key lies beside the file."""
        return self.path

    def close(self) -> None:
        """Release the file; the store can't be used after."""
        self._datastore.close()

    def _make(self) -> None:
        meta = self._new_meta()
        with self._transaction(LOCK_TIMEOUT) as queries:
            if queries.rows("SELECT 1 FROM sqlite_master LIMIT 1"):
                return  # another process made it meanwhile
            for statement in self._recorder.create_table_statements:
                queries.run(statement)
            queries.run(f"PRAGMA application_id={_APPLICATION_ID}")
            queries.run(f"PRAGMA user_version={SCHEMA_VERSION}")
            queries.run_many("INSERT INTO bowtie_meta VALUES (?,?)", meta.items())

    def upgrade(self) -> bool:
        """Bring the tables to the version of this code; whether they were older."""
        if self.version == SCHEMA_VERSION:
            return False
        with self._transaction(LOCK_TIMEOUT) as queries:
            if _version(queries) == SCHEMA_VERSION:  # another process did it meanwhile
                return False
            before = _version(queries)
            for statement in self._recorder.upgrading(before):
                queries.run(statement)
            if before == 1:
                self._seal(queries)
            queries.run(f"PRAGMA user_version={SCHEMA_VERSION}")
        self._found = SCHEMA_VERSION
        return True

    def _seal(self, queries: SqliteQueries) -> None:
        """Seal what was there before there were seals."""
        commits = queries.rows(
            "SELECT last_position, recorded_at FROM bowtie_commits ORDER BY last_position"
        )
        events = queries.cursor.connection.execute(
            "SELECT rowid, originator_id, originator_version, topic, state"
            " FROM stored_events ORDER BY rowid"
        )
        seals = [(seal, last) for last, _, seal in chain(self.store_id, commits, events)]
        queries.run_many("UPDATE bowtie_commits SET seal = ? WHERE last_position = ?", seals)

    def scrub(self) -> bool:
        """See that nothing deleted stays in the files; False where a reader keeps it there."""
        if self.path is None:
            return True
        try:
            return self._recorder.empty_journal(_SCRUB_TIMEOUT)
        except (PersistenceError, sqlite3.Error) as error:
            raise _explained(error, self.url) from error

    # -- transactions -------------------------------------------------------------------------

    @contextmanager
    def reading(self) -> Iterator[SqliteQueries]:
        """A transaction that sees one state of the store."""
        try:
            with self._recorder.reading() as queries:
                yield queries
        except (PersistenceError, sqlite3.Error) as error:
            raise _explained(error, self.url) from error

    @contextmanager
    def _transaction(self, timeout: float) -> Iterator[SqliteQueries]:
        try:
            with self._recorder.writing(timeout) as queries:
                yield queries
        except (PersistenceError, sqlite3.Error) as error:
            raise _explained(error, self.url) from error

    @contextmanager
    def _joined(self, connection: Any, timeout: float) -> Iterator[SqliteQueries]:
        raw = driver_connection(connection)
        if not isinstance(raw, sqlite3.Connection):
            raise UsageError(
                f"{self.url} is a SQLite store: give a connection to its file, not one of"
                f" {type(raw).__module__.partition('.')[0]}"
            )
        self._check_same_file(raw)
        cursor = raw.cursor()
        queries = SqliteQueries(cursor)
        try:
            ((patience,),) = queries.rows("PRAGMA busy_timeout")
            queries.run(f"PRAGMA busy_timeout={round(timeout * 1000)}")
            try:
                _begin(raw, queries)
                yield from self._in_savepoint(queries)
            finally:
                queries.run(f"PRAGMA busy_timeout={patience}")
        except sqlite3.Error as error:
            raise _explained(error, self.url) from error
        finally:
            cursor.close()

    def _in_savepoint(self, queries: SqliteQueries) -> Iterator[SqliteQueries]:
        """What fails leaves what the caller wrote before as it was."""
        queries.run("SAVEPOINT bowtie_append")
        try:
            # a write, whatever it is, takes the writer's lock
            queries.run("UPDATE bowtie_meta SET value = value WHERE name = 'store_id'")
            yield queries
        except BaseException:
            queries.run("ROLLBACK TO bowtie_append")
            raise
        finally:
            queries.run("RELEASE bowtie_append")

    def _check_same_file(self, raw: sqlite3.Connection) -> None:
        if self.path is None:
            raise UsageError("a store in memory has no file that another connection could share")
        named = {row[1]: row[2] for row in raw.execute("PRAGMA database_list")}
        if not named["main"] or not self.path.samefile(named["main"]):
            raise UsageError(
                f"the connection's file is {named['main'] or 'in memory'}, not the store's"
                f" ({self.path}): to write together, keep your tables in the store's file"
            )


def _begin(raw: sqlite3.Connection, queries: SqliteQueries) -> None:
    """See that there is a transaction that the caller will end."""
    if raw.in_transaction:
        return
    if raw.isolation_level is None or getattr(raw, "autocommit", None) is True:
        raise UsageError(
            "the connection commits each statement by itself: begin a transaction first, which"
            " the events then belong to"
        )
    queries.run("BEGIN IMMEDIATE")


def _version(queries: SqliteQueries) -> int:
    return int(queries.rows("PRAGMA user_version")[0][0])


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
    return bool(tables) and found != _APPLICATION_ID


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
    if "disk I/O error" in text:
        return StoreError(
            f"{url}: the disk is full, or it fails; free some space and repeat (what was reported"
            " is kept)"
        )
    if getattr(error, "sqlite_errorname", "") == "SQLITE_BUSY_SNAPSHOT":
        return StoreBusy(
            f"{url}: another writer has written since your transaction began to read: roll it back"
            " and try again (begun with BEGIN IMMEDIATE it would have waited its turn)"
        )
    if "locked" in text or isinstance(error, ConnectionUnavailableError):
        return StoreBusy(f"{url}: another writer has held the store all the while; try again")
    return StoreError(f"{url}: {text}")
