"""Connections to one PostgreSQL database: made when one is needed, kept for the next need.

There is no thread behind them, unlike behind the library's pool. A connection that the server has
closed meanwhile is noticed before it is used, without asking the server.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock

import psycopg
from psycopg.pq import TransactionStatus
from psycopg.rows import DictRow, dict_row

from bowtie.stores.postgres_errors import not_connected
from bowtie.stores.postgres_url import PostgresUrl, patience

__all__ = ["Connection", "PostgresConnections"]

#: Rows as the library's recorders want them; our own cursors ask for tuples.
Connection = psycopg.Connection[DictRow]

_MOST_IDLE = 8


class PostgresConnections:
    """Connections for the threads of a process; each does its own commits.

    Args:
        url: the database.
    """

    def __init__(self, url: PostgresUrl) -> None:
        self._url = url
        self._idle: list[Connection] = []
        self._lock = Lock()
        self._process = os.getpid()
        self._closed = False

    @contextmanager
    def one(self) -> Iterator[Connection]:
        """A connection that nobody else uses meanwhile.

        Raises:
            StoreAway, StoreMissing, StoreError: there is no connection to be had.
        """
        connection = self._take()
        try:
            yield connection
        finally:
            self._put_back(connection)

    def close(self) -> None:
        """Close those that are idle, and each other one when it is given back."""
        with self._lock:
            self._closed = True
            idle, self._idle = self._idle, []
        for connection in idle:
            connection.close()

    def _take(self) -> Connection:
        while True:
            with self._lock:
                if self._process != os.getpid():  # they are the parent's
                    self._process, self._idle = os.getpid(), []
                connection = self._idle.pop() if self._idle else None
            if connection is None:
                return self._connect()
            if _alive(connection):
                return connection
            connection.close()

    def _put_back(self, connection: Connection) -> None:
        idle = connection.info.transaction_status == TransactionStatus.IDLE
        with self._lock:
            if idle and not self._closed and len(self._idle) < _MOST_IDLE:
                self._idle.append(connection)
                return
        connection.close()

    def _connect(self) -> Connection:
        try:
            return psycopg.connect(
                self._url.conninfo,
                autocommit=True,
                row_factory=dict_row,
                client_encoding="utf8",
                fallback_application_name="bowtie",
                **patience(self._url.conninfo),
            )
        except psycopg.Error as error:
            raise not_connected(error, self._url.shown) from None


def _alive(connection: Connection) -> bool:
    """Whether the server has not closed it, as far as what has arrived from there tells."""
    if connection.closed:
        return False
    try:
        connection.pgconn.consume_input()  # a farewell may have come,
        connection.pgconn.consume_input()  # and after it the end
    except psycopg.Error:
        return False
    return not connection.broken
