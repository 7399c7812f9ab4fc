"""The read tables in a PostgreSQL database, for teams: many read, one writes, nobody waits.

Tables are built in a schema of their own (``bowtie_build_3``). The schema that people know
(``bowtie``) holds views only, one for each table, which are pointed at another build in one
transaction; columns are only appended, so that views and grants made by others survive. Readers ask
the tables of one build behind those views, in one snapshot: nothing that happens meanwhile reaches
them. A build that somebody still reads is removed by the next one.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
from psycopg import errors

from bowtie.errors import TablesError, TablesHeld
from bowtie.stores.postgres_url import patience
from bowtie_projections.databases.asking import Reader
from bowtie_projections.databases.contract import (
    WAIT,
    BeingBuilt,
    Overtaken,
    Tables,
    Writing,
    never,
)
from bowtie_projections.databases.places import DEFAULT_SCHEMA, PostgresPlace
from bowtie_projections.databases.postgres_builds import Builds
from bowtie_projections.databases.postgres_sql import (
    PostgresReader,
    PostgresWriting,
    explained,
    explaining,
    quoted,
)
from bowtie_projections.standing import Standing

__all__ = ["PostgresTables"]

#: How a session is set up. Times are as the tables have them. The statements of views are long:
#: compiling them takes longer than running them; and the planner takes each of their parts for a
#: few rows, which it then joins by going through the other side once for each.
_SESSION = (
    b"SET timezone = 'UTC'; SET datestyle = 'ISO'; SET jit = off; SET enable_nestloop = off;"
    b" SET work_mem = '64MB'"
)
#: And that of a build. How common a text is helps no view: a glance at each table will do. Its
#: pieces need not reach the disk one by one: the swap waits for all of them.
_BUILDING = (
    b"SET default_statistics_target = 10; SET synchronous_commit = off;"
    b" SET maintenance_work_mem = '256MB'"
)
_RETRY = 0.05
#: How often a reader begins anew because its build was removed before it could be kept.
_TRIES = 20
#: How long the swap waits for sessions that read the views before it lets others through, in
#: milliseconds: who comes after it waits as long.
_SWAP_WAIT = 500


class PostgresTables(Tables):
    """The read tables in a schema of a PostgreSQL database.

    Args:
        place: the database and the schema.
        wait: how long to wait for other processes, in seconds.
    """

    def __init__(self, place: PostgresPlace, wait: float = WAIT) -> None:
        super().__init__(wait)
        self.place = place._replace(schema=place.schema or DEFAULT_SCHEMA)
        self._builds = Builds(self.place.schema or DEFAULT_SCHEMA)

    @property
    def name(self) -> str:
        """What to call them in a message."""
        return self.place.shown

    def close(self) -> None:
        """Connections are held no longer than they are used."""

    def standing(self, wait: float | None = None) -> Standing | None:
        """Where the tables stand; None where there are none yet."""
        del wait  # nobody keeps readers out
        with self._connected() as connection, self._kept(connection) as build:
            if build is None:
                return None
            return PostgresWriting(connection, self.name).standing()

    @contextmanager
    def read(self, wait: float | None = None) -> Iterator[Reader]:
        """The tables, to be asked, as they are now; nobody waits for this reader."""
        del wait  # nor does it wait for anybody
        with self._connected() as connection, self._kept(connection) as build:
            standing = build and PostgresWriting(connection, self.name).standing()
            yield PostgresReader(connection, self.found(standing or None), self.name)

    @contextmanager
    def write(self, wait: float | None = None) -> Iterator[Writing]:
        """The tables, to be changed; readers see it when it is done."""
        with self._connected() as connection:
            writing = PostgresWriting(connection, self.name)
            with writing.transaction():
                self._lock_writing(connection, self.wait if wait is None else wait)
                build = self._builds.current(connection)
                if build is None:
                    raise TablesError(
                        f"{self.name} holds no read tables yet: make them with replay"
                    )
                if not self._builds.may_change(connection, build):
                    raise TablesError(
                        f"{self.name}: permission denied: only the role that made the tables brings"
                        " them up to date; ask them as they stand, with --no-refresh"
                    )
                _look_into(connection, build)
                yield writing

    @contextmanager
    def building(
        self, *, copy: bool = False, beaten: Callable[[Standing | None], bool] = never
    ) -> Iterator[Writing]:
        """New tables in a schema of their own; the views are pointed there when the block ends."""
        with self._connected() as connection:
            if not self._builds.lock_building(connection):
                raise BeingBuilt(
                    f"another process builds the tables of {self.name} now: try again when it is"
                    " done"
                )
            writing = PostgresWriting(connection, self.name)
            with explaining(self.name):
                self._refuse_foreign(connection)
                self._builds.remove_others(connection)
                self._builds.remove_left(connection)
                build = self._begin(connection, writing, copy=copy)
            try:
                yield writing
                self._put_in_place(connection, build, beaten)
            except BaseException:
                self._builds.remove(connection, build)
                raise
            self._builds.remove_others(connection)

    @contextmanager
    def scratch(self) -> Iterator[Tables]:
        """Tables in schemas that are dropped, by the next one if this process is killed."""
        schema = f"{self.place.schema}_check_{secrets.token_hex(2)}"
        made = PostgresTables(self.place._replace(schema=schema), self.wait)
        with self._connected() as holder:
            with explaining(self.name):
                self._builds.remove_left(holder)
                made._builds.hold(holder)
            try:
                yield made
            finally:
                with self._connected() as connection, explaining(self.name):
                    made._builds.remove_all(connection)

    def _begin(
        self, connection: psycopg.Connection[Any], writing: PostgresWriting, *, copy: bool
    ) -> str:
        with connection.transaction():
            used = self._builds.current(connection)
            build = self._builds.create(connection)
            _look_into(connection, build)
            writing.create()
        connection.execute(f"SET search_path = {quoted(build)}".encode())
        connection.execute(_BUILDING)
        if copy and used is not None:
            with writing.transaction():
                # nothing is added to those in use meanwhile: the copy stands at one position
                self._lock_writing(connection, self.wait)
                self._builds.copy(connection, used, build)
        return build

    def _put_in_place(
        self,
        connection: psycopg.Connection[Any],
        build: str,
        beaten: Callable[[Standing | None], bool],
    ) -> None:
        """Point the views at the build, while no other process writes the old one."""
        end = time.monotonic() + max(self.wait, WAIT)
        while True:
            try:
                with connection.transaction():
                    self._lock_writing(connection, self.wait)
                    used = self._builds.current(connection)
                    if used is not None and beaten(self._standing_of(connection, used, build)):
                        raise Overtaken(f"{self.name} was brought further meanwhile: try again")
                    connection.execute(b"SET LOCAL synchronous_commit = on")
                    connection.execute(f"SET LOCAL lock_timeout = {_SWAP_WAIT}".encode())
                    self._builds.point_views(connection, build)
                return
            except errors.LockNotAvailable as error:
                if time.monotonic() >= end:
                    raise TablesHeld(
                        f"{self.name}: another session has the views open in a transaction; waited"
                        f" {max(self.wait, WAIT):g} seconds (--wait): try again when it is done"
                    ) from error
            except psycopg.Error as error:
                raise explained(error, self.name) from error
            time.sleep(_RETRY * 10)

    def _standing_of(
        self, connection: psycopg.Connection[Any], used: str, build: str
    ) -> Standing | None:
        _look_into(connection, used)
        found = PostgresWriting(connection, self.name).standing()
        _look_into(connection, build)
        return found

    def _lock_writing(self, connection: psycopg.Connection[Any], wait: float) -> None:
        """Keep other writers out until the transaction ends."""
        end = time.monotonic() + wait
        while not self._builds.lock_writing(connection):
            if time.monotonic() >= end:
                raise TablesHeld(
                    f"{self.name} is held by another process; waited {wait:g} seconds (--wait): try"
                    " again when it is done"
                )
            time.sleep(_RETRY)

    @contextmanager
    def _kept(self, connection: psycopg.Connection[Any]) -> Iterator[str | None]:
        """A snapshot, and the build that it sees, which is not removed meanwhile."""
        with explaining(self.name):
            build = self._keep(connection)
        try:
            yield build
        finally:
            if not connection.broken:
                connection.execute(b"ROLLBACK")

    def _keep(self, connection: psycopg.Connection[Any]) -> str | None:
        for _ in range(_TRIES):
            connection.execute(b"BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY")
            build = self._builds.current(connection)
            if build is None:
                self._refuse_foreign(connection)
                return None
            if self._builds.keep_views(connection, build) or self._builds.keep(connection, build):
                _look_into(connection, build, self.place.schema)
                return build
            connection.execute(b"ROLLBACK")
            time.sleep(_RETRY)
        raise TablesHeld(f"{self.name}: the tables are being replaced: try again")

    def _refuse_foreign(self, connection: psycopg.Connection[Any]) -> None:
        if self._builds.is_foreign(connection):
            raise TablesError(
                f"{self.name} holds another program's tables: name another schema with --views"
            )

    @contextmanager
    def _connected(self) -> Iterator[psycopg.Connection[Any]]:
        try:
            connection = psycopg.connect(
                self.place.server,
                autocommit=True,
                application_name="bowtie",
                client_encoding="utf8",
                **patience(self.place.server),
            )
        except psycopg.ProgrammingError:
            raise TablesError(
                f"{self.name} is no URL of a PostgreSQL database: write"
                " postgresql://USER@HOST:PORT/DATABASE?schema=NAME"
            ) from None  # its text may hold the password
        except psycopg.Error as error:
            raise explained(error, self.name) from error
        with connection:
            with explaining(self.name):
                connection.execute(_SESSION)
            yield connection


def _look_into(connection: psycopg.Connection[Any], *schemas: str | None) -> None:
    """Where the names of tables are looked up, within this transaction."""
    path = ", ".join(quoted(schema) for schema in schemas if schema)
    connection.execute(f"SET LOCAL search_path = {path}".encode())
