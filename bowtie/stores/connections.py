"""Connections to one SQLite database, for the threads of a process."""

from __future__ import annotations

import sqlite3
from typing import Literal

from eventsourcing.sqlite import SQLiteConnection, SQLiteConnectionPool, SQLiteDatastore

__all__ = ["Connections", "Synchronous"]

#: Whether each commit waits for the disk, or only what is brought from the log into the file.
Synchronous = Literal["full", "normal"]

_CACHE_KIB = 256 * 1024
#: The library's connections keep one statement prepared: a command, which uses a dozen, would spend
#: most of its time on preparing them.
_PREPARED_STATEMENTS = 200


class _Pool(SQLiteConnectionPool):
    synchronous: Synchronous = "full"

    def _create_connection(self) -> SQLiteConnection:
        database = sqlite3.connect(
            self.db_name,
            uri=True,
            check_same_thread=False,
            isolation_level=None,
            cached_statements=_PREPARED_STATEMENTS,
            timeout=self.lock_timeout or 0,
        )
        try:
            if not self.is_sqlite_memory_mode:
                database.execute("PRAGMA journal_mode=WAL")
                database.execute(f"PRAGMA synchronous={self.synchronous}")
            database.execute(f"PRAGMA cache_size=-{_CACHE_KIB}")
            # what is deleted is overwritten, which not every build of SQLite does by itself
            database.execute("PRAGMA secure_delete=ON")
        except BaseException:
            database.close()
            raise
        database.row_factory = sqlite3.Row
        return SQLiteConnection(sqlite_conn=database, max_age=self.max_age)


class Connections(SQLiteDatastore):
    """A pool of connections; see the library's datastore.

    Args:
        name: the file, or SQLite's name of a database in memory.
        timeout: seconds to wait for a lock.
        synchronous: ``full`` waits for the disk at each commit; with ``normal`` the last
            transactions can be lost with the power, and the database stays whole.
    """

    def __init__(self, name: str, timeout: int, synchronous: Synchronous) -> None:
        super().__init__(name, originator_id_type="text")
        self.pool = _Pool(db_name=name, lock_timeout=timeout, pool_timeout=timeout)
        self.pool.synchronous = synchronous
