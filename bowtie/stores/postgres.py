"""A store in a schema of a PostgreSQL database."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql
from psycopg.pq import TransactionStatus

from bowtie.errors import (
    NotAStore,
    SealedKeyMissing,
    StoreAway,
    StoreError,
    StoreMissing,
    UsageError,
)
from bowtie.sealing import MASTER_KEY_VARIABLE
from bowtie.stores.joining import driver_connection
from bowtie.stores.postgres_connections import Connection
from bowtie.stores.postgres_errors import explained
from bowtie.stores.postgres_recorder import Datastore, PostgresQueries, Recorder, Translator
from bowtie.stores.postgres_url import PostgresUrl
from bowtie.stores.queries import head_of
from bowtie.stores.sqlstore import LOCK_TIMEOUT, SqlStore
from bowtie.stores.tables import SCHEMA_VERSION
from bowtie.stores.writing import SECRETS

__all__ = ["PostgresStore"]

#: Seconds between two looks at the log of one who waits for changes: a notice may be lost.
_LOOK = 0.25
#: Seconds between two attempts to reach a server that is away.
_RETRY = 0.1
#: Seconds that a reader is waited for, where it keeps what was deleted.
_SCRUB_TIMEOUT = 2.0
#: Transactions of this database that may see what those before a certain one have deleted.
_OLDER = """
SELECT 1 FROM pg_stat_activity
WHERE pid <> pg_backend_pid() AND backend_type <> 'autovacuum worker'
    AND coalesce(datname = current_database(), true)
    AND greatest(age(backend_xmin), age(backend_xid)) > age(?::xid)
"""
#: Tells our advisory locks from those of others ("bowt").
_LOCKS = 0x626F7774


class PostgresStore(SqlStore):
    """A store in the schema that the URL names.

    Writers wait for each other at an EXCLUSIVE lock on ``bowtie_meta``: a table that hardly
    changes, so that neither a writer waits for a vacuum nor a vacuum is broken off for a writer, as
    it would be with a lock on the events. Positions are counted up under it, without gaps, so they
    become visible in their order.
    """

    def __init__(self, url: str, *, create: bool) -> None:
        self.location = PostgresUrl.parse(url)
        super().__init__(self.location.shown, None)
        self._datastore = Datastore(self.location)
        self._recorder = Recorder(self._datastore)
        self._translate = Translator(self.location.schema)
        try:
            self._make_or_check(create=create)
        except BaseException:
            self.close()
            raise

    @property
    def address(self) -> str:
        """The URL to connect by; asked for each time, so that nothing shows its password."""
        return self.location.address

    @property
    def version(self) -> int:
        """The version of its tables."""
        try:
            return int(self.meta().get("version", ""))
        except ValueError:
            return SCHEMA_VERSION  # what else is gone says that it is damaged

    @property
    def key_place(self) -> Path | None:
        """In the user's configuration: a database has no folder for it."""
        folder = os.environ.get("XDG_CONFIG_HOME")
        try:
            base = Path(folder) if folder else Path.home() / ".config"
        except RuntimeError:  # no home
            if MASTER_KEY_VARIABLE in os.environ:
                return None
            raise SealedKeyMissing(
                f"there is no home folder to keep the master key in: set {MASTER_KEY_VARIABLE}"
            ) from None
        return base / "bowtie" / self.store_id

    @property
    def _channel(self) -> str:
        return f"bowtie_{self.store_id}"

    def close(self) -> None:
        """Close the connections; the store can't be used after."""
        self._datastore.connections.close()

    # -- beginnings ---------------------------------------------------------------------------

    def _make_or_check(self, *, create: bool) -> None:
        if not self._is_there():
            if not create:
                raise StoreMissing(
                    f"there is no store at {self.url}: make one with bowtie init, or ingest a log"
                )
            self._make()
        self._check_meta()

    def _is_there(self) -> bool:
        """Whether the schema holds a store.

        Raises:
            NotAStore: it holds another program's events.
        """
        with self.reading() as queries:
            return _holds_store(queries, self.location)

    def _make(self) -> None:
        with self._session() as connection:
            queries = PostgresQueries(connection, self._translate)
            # before the transaction: what another process has made meanwhile is seen only by one
            # that begins later
            name = (_LOCKS, self.location.schema)
            queries.rows("SELECT pg_advisory_lock(?, hashtext(?))", name)
            try:
                if not _holds_store(queries, self.location):
                    with connection.transaction():
                        self._make_tables(queries)
            finally:
                with suppress(psycopg.Error):
                    queries.rows("SELECT pg_advisory_unlock(?, hashtext(?))", name)

    def _make_tables(self, queries: PostgresQueries) -> None:
        ((encoding,),) = queries.rows("SELECT current_setting('server_encoding')")
        if encoding != "UTF8":
            raise StoreError(f"{self.url}: the database is in {encoding}: use one in UTF8")
        schema = self.location.schema
        if not queries.rows("SELECT 1 FROM pg_namespace WHERE nspname = ?", (schema,)):
            queries.connection.execute(sql.SQL("CREATE SCHEMA {}").format(sql.Identifier(schema)))
        for statement in self._recorder.statements:
            queries.connection.execute(statement)
        meta = {**self._new_meta(), "version": str(SCHEMA_VERSION)}
        queries.run_many(
            "INSERT INTO bowtie_meta VALUES (?, ?)",
            [(name, queries.meta_out(value)) for name, value in meta.items()],
        )

    def upgrade(self) -> bool:
        """Bring the tables to the version of this code; whether they were older.

        No store of the first version was ever in PostgreSQL.
        """
        if self.version == SCHEMA_VERSION:
            return False
        with self._transaction(LOCK_TIMEOUT) as queries:
            ((version,),) = queries.first(f"SELECT {queries.VERSION}")
            if int(version) == SCHEMA_VERSION:  # another process did it meanwhile
                return False
            for statement in self._recorder.upgrading(int(version)):
                queries.connection.execute(statement)
            queries.run(
                "UPDATE bowtie_meta SET value = ? WHERE name = 'version'", (str(SCHEMA_VERSION),)
            )
        self._found = SCHEMA_VERSION
        return True

    def scrub(self) -> bool:
        """Write the tables with secrets to new files; False where a reader keeps the old rows.

        What the server's own journals keep, they keep.
        """
        with self._session() as connection:
            unseen = self._unseen(PostgresQueries(connection, self._translate))
            for table in ("bowtie_ids", "bowtie_claims"):
                connection.execute(self._translate(f"VACUUM {table}"))
            connection.execute(f"SET lock_timeout = {round(_SCRUB_TIMEOUT * 1000)}".encode())
            try:
                for table in SECRETS:
                    connection.execute(self._translate(f"VACUUM FULL {table}"))
            except psycopg.errors.LockNotAvailable:
                return False
            finally:
                with suppress(psycopg.Error):
                    connection.execute("RESET lock_timeout")
        return unseen

    def _unseen(self, queries: PostgresQueries) -> bool:
        """Wait until nobody sees what is deleted by now: no vacuum removes it before."""
        ((now,),) = queries.rows("SELECT pg_snapshot_xmax(pg_current_snapshot())::xid::text")
        end = time.monotonic() + _SCRUB_TIMEOUT
        while queries.rows(_OLDER, (now,)):
            if time.monotonic() >= end:
                return False
            time.sleep(_RETRY)
        return True

    # -- transactions -------------------------------------------------------------------------

    @contextmanager
    def _session(self) -> Iterator[Connection]:
        try:
            with self._datastore.connections.one() as connection:
                yield connection
        except psycopg.Error as error:
            raise explained(error, self.url) from error

    @contextmanager
    def reading(self) -> Iterator[PostgresQueries]:
        """To ask; each query sees one state of the store."""
        with self._session() as connection:
            yield PostgresQueries(connection, self._translate)

    @contextmanager
    def _transaction(self, timeout: float) -> Iterator[PostgresQueries]:
        with self._session() as connection:
            opening = (b"BEGIN ISOLATION LEVEL READ COMMITTED", *self._lock(timeout))
            queries = PostgresQueries(connection, self._translate, opening)
            try:
                yield queries
                queries.commit(self._channel)
            except BaseException:
                with suppress(psycopg.Error):  # a broken connection has rolled back by itself
                    connection.execute("ROLLBACK")
                raise

    def _lock(self, timeout: float) -> tuple[bytes, bytes]:
        # 0 would wait for ever
        patience = f"SET LOCAL lock_timeout = {max(1, round(timeout * 1000))}"
        return patience.encode(), self._translate("LOCK TABLE bowtie_meta IN EXCLUSIVE MODE")

    @contextmanager
    def _joined(self, connection: Any, timeout: float) -> Iterator[PostgresQueries]:
        raw = driver_connection(connection)
        if not isinstance(raw, psycopg.Connection):
            raise UsageError(
                f"{self.url} is a PostgreSQL store: give a connection of psycopg 3 (SQLAlchemy's"
                f" postgresql+psycopg://), not one of {type(raw).__module__.partition('.')[0]}"
            )
        _check_transaction(raw)
        queries = PostgresQueries(raw, self._translate)
        try:
            self._check_same_database(queries)
            raw.execute("SAVEPOINT bowtie_append")
            try:
                ((patience,),) = queries.rows("SELECT current_setting('lock_timeout')")
                for statement in self._lock(timeout):
                    raw.execute(statement)
                queries.rows("SELECT set_config('lock_timeout', ?, true)", (patience,))
                yield queries
                queries.notify(self._channel)
            except BaseException:
                with suppress(psycopg.Error):
                    raw.execute("ROLLBACK TO bowtie_append")
                raise
            finally:
                with suppress(psycopg.Error):
                    raw.execute("RELEASE bowtie_append")
        except psycopg.Error as error:
            raise explained(error, self.url) from error

    def _check_same_database(self, queries: PostgresQueries) -> None:
        """See that it is our database, without an error that would end the caller's transaction."""
        ours = self.rows("SELECT current_database()")[0][0]
        ((name, isolation, there),) = queries.rows(
            "SELECT current_database(), current_setting('transaction_isolation'), to_regclass(?)",
            (f'"{self.location.schema}".bowtie_meta',),
        )
        same = name == ours and there is not None
        if not same or not queries.rows(
            "SELECT 1 FROM bowtie_meta WHERE name = 'store_id' AND value = ?", (self.store_id,)
        ):
            raise UsageError(
                f"the connection's database ({name}) is not the store's ({self.url}): to write"
                " together, keep your tables in the store's database"
            )
        if isolation != "read committed":
            raise UsageError(
                f"the connection's transaction is {isolation}, and would not see what others have"
                " appended: begin it as READ COMMITTED"
            )

    # -- waiting ------------------------------------------------------------------------------

    def changed(self, after: int, timeout: float) -> bool:
        """Wait until there are events after a position; whether there are."""
        end = time.monotonic() + timeout
        while True:
            try:
                return self._listen(after, end)
            except StoreAway:
                left = end - time.monotonic()
                if left <= 0:
                    raise
                time.sleep(min(_RETRY, left))

    def _listen(self, after: int, end: float) -> bool:
        with self._session() as connection:
            queries = PostgresQueries(connection, self._translate)
            if head_of(queries) > after:
                return True
            channel = sql.Identifier(self._channel)
            connection.execute(sql.SQL("LISTEN {}").format(channel))
            try:
                while head_of(queries) <= after:
                    left = end - time.monotonic()
                    if left <= 0:
                        return False
                    for _ in connection.notifies(timeout=min(_LOOK, left), stop_after=1):
                        pass
                return True
            finally:
                with suppress(psycopg.Error):
                    connection.execute(sql.SQL("UNLISTEN {}").format(channel))


def _holds_store(queries: PostgresQueries, url: PostgresUrl) -> bool:
    names = [f'"{url.schema}".{table}' for table in ("bowtie_meta", "stored_events")]
    ((ours, events),) = queries.rows("SELECT to_regclass(?), to_regclass(?)", names)
    if ours is None and events is not None:
        raise NotAStore(
            f"{url.shown}: the schema {url.schema} holds another program's events: name another"
            " schema, as ?schema=NAME"
        )
    return ours is not None


def _check_transaction(raw: psycopg.Connection[Any]) -> None:
    """See that there is a transaction that the caller will end."""
    status = raw.info.transaction_status
    if status == TransactionStatus.INERROR:
        raise UsageError("the connection's transaction has failed: roll it back first")
    if raw.autocommit and status == TransactionStatus.IDLE:
        raise UsageError(
            "the connection commits each statement by itself: begin a transaction first, which"
            " the events then belong to"
        )
