"""The SQLite recorder: the eventsourcing library's, with bulk appends and bowtie's own tables.

One transaction under the writer's lock writes the events, their ids and the commit that dates
them. All reads and writes go through the ``sqlite3`` module: a second copy of SQLite in the same
process would break its locks.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import chain
from typing import Any

from eventsourcing.sqlite import SQLiteApplicationRecorder, SQLiteConnection, SQLiteDatastore

__all__ = ["APPLICATION_ID", "SCHEMA_VERSION", "Recorder", "insert_many"]

#: The version of the tables below; written to ``user_version``.
SCHEMA_VERSION = 2
#: "bowt": tells a bowtie store from other programs' databases.
APPLICATION_ID = 0x626F7774

#: SQLite's limit is 32,766.
_PARAMETERS_PER_STATEMENT = 20_000
#: How long the write-ahead log grows before it is brought into the file, in pages. Ids are random,
#: so batches rewrite the same pages again and again: only every 200 MB. Commands write little, and
#: wait for the disk: that is quick only where the log is written over, not where it grows.
_PAGES_OF_BATCHES, _PAGES_OF_COMMANDS, _MANY_ROWS = 50_000, 1_000, 2_000

_TABLES = """
CREATE TABLE IF NOT EXISTS bowtie_meta (name TEXT PRIMARY KEY, value BLOB) WITHOUT ROWID;

-- (source, id) as 16 bytes, where that event is, and what it says as 16 bytes
CREATE TABLE IF NOT EXISTS bowtie_ids (
    hash BLOB PRIMARY KEY, position INTEGER NOT NULL, content BLOB
) WITHOUT ROWID;

-- recorded_at of all events after the commit before, up to last_position, and their seal
CREATE TABLE IF NOT EXISTS bowtie_commits (
    last_position INTEGER PRIMARY KEY, recorded_at INTEGER NOT NULL, seal BLOB
);

CREATE TABLE IF NOT EXISTS bowtie_keys (stream TEXT PRIMARY KEY, wrapped BLOB NOT NULL)
WITHOUT ROWID;

CREATE TABLE IF NOT EXISTS bowtie_claims (alias TEXT PRIMARY KEY, stream TEXT NOT NULL)
WITHOUT ROWID;

CREATE TABLE IF NOT EXISTS bowtie_parked (
    parked_id INTEGER PRIMARY KEY, digest BLOB NOT NULL UNIQUE, reason TEXT NOT NULL,
    problem TEXT NOT NULL, origin TEXT NOT NULL, line INTEGER NOT NULL,
    parked_at INTEGER NOT NULL, subject TEXT, sealed BLOB NOT NULL
);

-- parked lines that someone dropped; note: who and why, under the store's key
CREATE TABLE IF NOT EXISTS bowtie_dropped (
    digest BLOB PRIMARY KEY, reason TEXT NOT NULL, origin TEXT NOT NULL, line INTEGER NOT NULL,
    dropped_at INTEGER NOT NULL, note BLOB NOT NULL
) WITHOUT ROWID;

CREATE TABLE IF NOT EXISTS bowtie_snapshots (
    stream TEXT PRIMARY KEY, version INTEGER NOT NULL, schema TEXT NOT NULL, state BLOB NOT NULL
) WITHOUT ROWID;

CREATE TABLE IF NOT EXISTS bowtie_forgotten (
    subject TEXT PRIMARY KEY, forgotten_at INTEGER NOT NULL
) WITHOUT ROWID;
"""


class Recorder(SQLiteApplicationRecorder):
    """Streams of events in SQLite, appended in bulk."""

    def __init__(self, datastore: SQLiteDatastore) -> None:
        super().__init__(datastore)
        self.create_table_statements += _TABLES.strip().split("\n\n")

    @contextmanager
    def writing(self, timeout: float) -> Iterator[sqlite3.Cursor]:
        """A transaction that holds the writer's lock; rolled back when the block raises.

        Args:
            timeout: how long to wait for the lock, in seconds.
        """
        with self._writer(timeout) as connection, connection.cursor() as cursor:
            cursor.execute(f"PRAGMA busy_timeout={round(timeout * 1000)}")
            # what is deleted is overwritten, which not every build of SQLite does by itself
            cursor.execute("PRAGMA secure_delete=ON")
            cursor.execute("BEGIN IMMEDIATE")
            before = cursor.connection.total_changes
            try:
                yield cursor
                many = cursor.connection.total_changes - before > _MANY_ROWS
                pages = _PAGES_OF_BATCHES if many else _PAGES_OF_COMMANDS
                cursor.execute(f"PRAGMA wal_autocheckpoint={pages}")
            except BaseException:
                connection.rollback()
                raise
            connection.commit()

    @contextmanager
    def _writer(self, timeout: float) -> Iterator[SQLiteConnection]:
        """The pool's connection for writing: threads of one process wait for each other here."""
        pool = self.datastore.pool
        connection = pool.get_connection(timeout, is_writer=True)
        try:
            yield connection
        finally:
            pool.put_connection(connection)

    def empty_journal(self, timeout: float) -> bool:
        """Bring the write-ahead log into the file and cut it off; False where a reader needs it."""
        with self._writer(timeout) as connection, connection.cursor() as cursor:
            cursor.execute(f"PRAGMA busy_timeout={round(timeout * 1000)}")
            (busy, *_) = cursor.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        return not busy

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Cursor]:
        """A transaction that sees one state of the store."""
        with self.datastore.transaction(commit=False) as cursor, cursor as raw:
            yield raw

    @staticmethod
    def events(cursor: sqlite3.Cursor) -> Iterator[tuple[int, str, int, str, bytes]]:
        """(position, stream, version, topic, state) of each event, in the order of positions."""
        yield from cursor.connection.execute(
            "SELECT rowid, originator_id, originator_version, topic, state FROM stored_events"
            " ORDER BY rowid"
        )


def insert_many(cursor: sqlite3.Cursor, table: str, rows: Sequence[tuple[Any, ...]]) -> None:
    """Insert rows, thousands a statement.

    One step for many rows leaves the interpreter lock free while SQLite works, so that the next
    batch is validated meanwhile.
    """
    if not rows:
        return
    width = len(rows[0])
    row = f"({','.join('?' * width)})"
    step = _PARAMETERS_PER_STATEMENT // width
    for start in range(0, len(rows), step):
        part = rows[start : start + step]
        values = ",".join([row] * len(part))
        cursor.execute(f"INSERT INTO {table} VALUES {values}", list(chain.from_iterable(part)))
