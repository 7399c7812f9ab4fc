"""The SQLite recorder: the eventsourcing library's, with bulk appends and bowtie's own tables.

One transaction under the writer's lock writes the events, their ids and the commit that dates
them. All reads and writes go through the ``sqlite3`` module: a second copy of SQLite in the same
process would break its locks.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from itertools import chain
from typing import Any, ClassVar

from eventsourcing.sqlite import SQLiteApplicationRecorder

from bowtie.stores.connections import Connections
from bowtie.stores.contract import Taken
from bowtie.stores.queries import Asking, Row
from bowtie.stores.sqlstore import LOCK_TIMEOUT
from bowtie.stores.tables import lacking, tables_for

__all__ = ["Recorder", "SqliteQueries"]

#: SQLite's limit is 32,766.
_PARAMETERS_PER_STATEMENT = 20_000
#: How long the write-ahead log grows before it is brought into the file, in pages. Ids are random,
#: so batches rewrite the same pages again and again: only every 200 MB. Commands write little, and
#: wait for the disk: that is quick only where the log is written over, not where it grows.
_PAGES_OF_BATCHES, _PAGES_OF_COMMANDS, _MANY_ROWS = 50_000, 1_000, 2_000
#: So many values are written out: a table function takes longer to begin than to give a few.
_FEW = 8
_TYPES = {
    "text": "TEXT",
    "int": "INTEGER",
    "bytes": "BLOB",
    "any": "BLOB",
    "counted": "INTEGER",
    "ordered": "WITHOUT ROWID",
}


class Recorder(SQLiteApplicationRecorder):
    """Streams of events in SQLite, appended in bulk."""

    datastore: Connections

    def __init__(self, datastore: Connections) -> None:
        super().__init__(datastore)
        self.create_table_statements += tables_for(**_TYPES)

    def upgrading(self, version: int) -> list[str]:
        """The statements that bring tables of an older version to this one."""
        return [*lacking(version, **_TYPES), *self.create_table_statements]

    @contextmanager
    def writing(self, timeout: float) -> Iterator[SqliteQueries]:
        """A transaction that holds the writer's lock; rolled back when the block raises.

        Args:
            timeout: how long to wait for the lock, in seconds.
        """
        with self.datastore.pool.writer(timeout) as cursor:
            begin_immediate(cursor, timeout)
            before = cursor.connection.total_changes
            try:
                yield SqliteQueries(cursor)
                many = cursor.connection.total_changes - before > _MANY_ROWS
                if many:
                    cursor.execute(f"PRAGMA wal_autocheckpoint={_PAGES_OF_BATCHES}")
            except BaseException:
                cursor.connection.rollback()
                raise
            cursor.execute("COMMIT")
            if many:
                cursor.execute(f"PRAGMA wal_autocheckpoint={_PAGES_OF_COMMANDS}")

    def empty_journal(self, timeout: float) -> bool:
        """Bring the write-ahead log into the file and cut it off; False where a reader needs it."""
        with self.datastore.pool.writer(timeout) as cursor:
            cursor.execute(f"PRAGMA busy_timeout={round(timeout * 1000)}")
            (busy, *_) = cursor.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        return not busy

    @contextmanager
    def reading(self) -> Iterator[SqliteQueries]:
        """A transaction that sees one state of the store."""
        with self.datastore.transaction(commit=False) as cursor, cursor as raw:
            yield SqliteQueries(raw)


@lru_cache(64)
def _insertion(table: str, width: int, rows: int) -> str:
    """The statement that inserts so many rows of so many columns."""
    row = f"({','.join('?' * width)})"
    return f"INSERT INTO {table} VALUES {','.join([row] * rows)}"


def begin_immediate(cursor: sqlite3.Cursor, timeout: float) -> None:
    """Take the writer's lock; each statement counts, where a command is seven of them."""
    if timeout == LOCK_TIMEOUT:
        cursor.execute("BEGIN IMMEDIATE")
        return
    cursor.execute(f"PRAGMA busy_timeout={round(timeout * 1000)}")
    try:
        cursor.execute("BEGIN IMMEDIATE")
    finally:
        cursor.execute(f"PRAGMA busy_timeout={round(LOCK_TIMEOUT * 1000)}")


class SqliteQueries:
    """SQL in one SQLite transaction; see :class:`bowtie.stores.queries.Queries`."""

    VERSION: ClassVar[str] = "(SELECT user_version FROM pragma_user_version)"
    CONCATENATED: ClassVar[str] = (
        "CAST(group_concat(topic, char(10)) AS BLOB), CAST(group_concat(state, '') AS BLOB)"
    )

    def __init__(self, cursor: sqlite3.Cursor) -> None:
        self.cursor = cursor
        cursor.row_factory = None

    def first(
        self,
        sql: str,
        values: Sequence[object] = (),
        ahead: Sequence[Asking] = (),  # noqa: ARG002  # no answer has far to come
    ) -> list[Row]:
        """What the first query of a transaction gives."""
        return self.cursor.execute(sql, values).fetchall()

    def rows(self, sql: str, values: Sequence[object] = ()) -> list[Row]:
        """What a query gives."""
        return self.cursor.execute(sql, values).fetchall()

    def run(self, sql: str, values: Sequence[object] = ()) -> int:
        """Run a statement; how many rows it changed."""
        return self.cursor.execute(sql, values).rowcount

    def run_many(self, sql: str, rows: Iterable[Sequence[object]]) -> None:
        """Run a statement for each row."""
        self.cursor.executemany(sql, rows)

    def listed(self, values: Sequence[Any]) -> tuple[str, Sequence[Any]]:
        """What goes after a column to ask for those of some texts, or of some bytes."""
        if values and (len(values) <= _FEW or isinstance(values[0], bytes)):
            return f"IN ({','.join('?' * len(values))})", values
        table, given = self.each(values)
        return f"IN (SELECT value FROM {table})", given

    def each(self, texts: Sequence[str]) -> tuple[str, Sequence[Any]]:
        """What goes after FROM for a table of texts in a column ``value``."""
        if len(texts) == 1:
            return "(SELECT ? AS value) AS given", texts
        return "json_each(?)", (json.dumps(list(texts), ensure_ascii=False),)

    def insert_events(
        self,
        head: int,  # noqa: ARG002  # SQLite counts rowids up from the head by itself
        rows: Sequence[tuple[str, int, str, bytes]],
    ) -> None:
        """Append rows after a position."""
        self.insert("stored_events", rows)

    def insert(self, table: str, rows: Sequence[Row]) -> None:
        """Insert rows, thousands a statement.

        One step for many rows leaves the interpreter lock free while SQLite works, so that the
        next batch is validated meanwhile.
        """
        if not rows:
            return
        width = len(rows[0])
        step = _PARAMETERS_PER_STATEMENT // width
        try:
            for start in range(0, len(rows), step):
                part = rows[start : start + step]
                self.cursor.execute(
                    _insertion(table, width, len(part)), list(chain.from_iterable(part))
                )
        except sqlite3.IntegrityError as error:
            raise Taken(str(error)) from error

    def rewrite(self, table: str) -> None:
        """Write a table anew, so that its file holds no copy of what was deleted from it."""
        ((made_by,),) = self.rows("SELECT sql FROM sqlite_master WHERE name = ?", (table,))
        self.run(made_by.replace(table, f"{table}_anew", 1))
        self.run(f"INSERT INTO {table}_anew SELECT * FROM {table}")
        self.run(f"DROP TABLE {table}")
        self.run(f"ALTER TABLE {table}_anew RENAME TO {table}")

    def meta_out(self, value: bytes | str) -> bytes | str:
        """A value as SQLite keeps it: texts as texts, bytes as bytes."""
        return value

    def meta_in(self, value: bytes | str) -> bytes | str:
        """A value as it was given."""
        return value
