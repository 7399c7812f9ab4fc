"""Connections to one SQLite database, for the threads of a process."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

from eventsourcing.persistence import ConnectionPoolClosedError, ConnectionUnavailableError
from eventsourcing.sqlite import SQLiteConnection, SQLiteConnectionPool, SQLiteDatastore

__all__ = ["Connections", "Pool", "Synchronous"]

#: Whether each commit waits for the disk, or only what is brought from the log into the file.
Synchronous = Literal["full", "normal"]

_CACHE_KIB = 256 * 1024
#: The library's connections keep one statement prepared: a command, which uses seven, would spend
#: most of its time on preparing them.
_PREPARED_STATEMENTS = 200


class Pool(SQLiteConnectionPool):
    """The library's pool, with connections of our own, and a shorter way to the writer's.

    A command is short, and the library's way takes four locks to have one connection and to give it
    back; one is enough to have threads that write wait for each other.
    """

    synchronous: Synchronous = "full"

    @contextmanager
    def writer(self, timeout: float) -> Iterator[sqlite3.Cursor]:
        """To write; other writers, and whoever reads a store in memory, wait meanwhile.

        Args:
            timeout: how long to wait oneself, in seconds.
        """
        if self._closed:
            raise ConnectionPoolClosedError
        if not self._writer_lock.acquire(timeout=timeout):
            raise ConnectionUnavailableError("another thread is writing")
        try:
            if self._mutually_exclusive_read_write:
                self._wait_for_readers(timeout)
            connection = self._idle()
            self._in_use[id(connection)] = connection
            try:
                with connection.cursor() as cursor:
                    yield cursor
            finally:
                del self._in_use[id(connection)]
                connection.in_use.release()
                self._give_back(connection)
        finally:
            self._writer_lock.release()

    def _give_back(self, connection: SQLiteConnection) -> None:
        if self._closed or self._is_pool_full:
            connection.close()
        else:
            self._pool.append(connection)

    def _wait_for_readers(self, timeout: float) -> None:
        with self._no_readers:
            if not self._no_readers.wait_for(lambda: not self._num_readers, timeout):
                raise ConnectionUnavailableError("another thread is reading")

    def _idle(self) -> SQLiteConnection:
        try:
            connection = self._pool.popleft()
        except IndexError:
            return self._create_connection()
        connection.in_use.acquire()
        return connection

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
        self.pool: Pool = Pool(db_name=name, lock_timeout=timeout, pool_timeout=timeout)
        self.pool.synchronous = synchronous
