"""How DuckDB is asked, and how rows go into it.

>>> import sqlalchemy as sa
>>> from bowtie_projections.tables import events
>>> print(render(sa.select(events.c.id).where(events.c.source == "O'Hara")))
SELECT events.id
FROM events
WHERE events.source = 'O''Hara'
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb
import sqlalchemy as sa
from duckdb_sqlalchemy import Dialect
from sqlalchemy.sql.elements import ClauseElement

from bowtie.errors import TablesDamaged, TablesError, TablesHeld, UsageError
from bowtie_projections.databases.asking import Day, Moment, Reader, rendered, rendered_once
from bowtie_projections.databases.contract import Writing
from bowtie_projections.standing import Standing
from bowtie_projections.tables import position_table

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = [
    "DuckReader", "DuckWriting", "explained", "explaining", "is_foreign_database", "read_standing",
    "render",
]  # fmt: skip

_HOLDER = re.compile(r"\(PID (\d+)\)")
_DAMAGED = re.compile(
    "not a valid DuckDB|Corrupt database|Could not read enough bytes|checksum|Serialization Error"
    "|replaying WAL"
)
#: How a reader's transaction begins: in memory, nothing else would keep a statement from writing.
_BEGIN = "BEGIN TRANSACTION READ ONLY"
_READING = {duckdb.StatementType.SELECT, duckdb.StatementType.EXPLAIN}
#: What fails so in a question of bowtie's own lacks a table or column that it made.
_OF_TABLES = (duckdb.CatalogException, duckdb.BinderException)
_OF_THE_MACHINE = (duckdb.IOException, duckdb.OutOfMemoryException, duckdb.InternalException)


class _Literals(Dialect):
    """DuckDB's dialect, for statements that hold their values."""

    supports_statement_cache = True
    colspecs = {**Dialect.colspecs, sa.DateTime: Moment, sa.Date: Day}  # noqa: RUF012 - as the base has it


_DIALECT = _Literals(paramstyle="named")


def render(statement: ClauseElement) -> str:
    """The SQL of a statement, values included, as DuckDB takes it."""
    return rendered(statement, _DIALECT)


class DuckReader(Reader):
    """The read tables in DuckDB, for one answer."""

    def __init__(self, connection: duckdb.DuckDBPyConnection, standing: Standing) -> None:
        super().__init__(standing)
        self._connection = connection

    @classmethod
    @contextmanager
    def opened(cls, connection: duckdb.DuckDBPyConnection, standing: Standing) -> Iterator[Reader]:
        """A reader in a transaction of its own."""
        connection.execute(_BEGIN)
        try:
            yield cls(connection, standing)
        finally:
            connection.execute("ROLLBACK")

    def keep(self, statement: sa.Select[Any], name: str) -> sa.FromClause | None:
        """The rows of a statement in a table of this transaction, which ends with the answer."""
        # one name for one statement: an answer may keep several
        own = f"{name}_{len(self.statements)}"
        sql = f"CREATE OR REPLACE TEMP TABLE {own} AS\n{self._sql(statement)}"
        self.statements.append(sql)
        with self._explained(own=False):
            self._connection.execute(sql)
        return sa.table(own, *(sa.column(c.name, c.type) for c in statement.selected_columns))

    def digest(self, table: sa.Table) -> tuple[int, str]:
        """The number of rows, and the sum over their hashes."""
        columns = ", ".join(f'"{column.name}"' for column in table.columns)
        try:
            found = self._connection.execute(
                f"SELECT count(*), coalesce(sum(hash({columns})::HUGEINT), 0)::VARCHAR"
                f' FROM "{table.name}"'
            ).fetchone()
        except duckdb.Error as error:
            raise TablesError(
                f"the table {table.name} can't be read: {error}; make them anew with"
                " replay --rebuild"
            ) from error
        assert found is not None  # noqa: S101 - for the type checker
        return found[0], found[1]

    def _sql(self, statement: ClauseElement) -> str:
        return render(statement)

    def _ask(self, sql: str, *, own: bool) -> pa.Table:
        # as a relation it is collected as a whole: DuckDB 1.5 waits for ever in what is executed,
        # and so streamed, where rows of lists are larger than its buffer for streaming
        with self._explained(own=own):
            return self._connection.sql(sql).to_arrow_table()

    @contextmanager
    def _explained(self, *, own: bool) -> Iterator[None]:
        try:
            yield
        except duckdb.Error as error:
            # what fails may have ended the transaction; the next question needs one
            self._connection.execute("ROLLBACK").execute(_BEGIN)
            if own and not isinstance(error, _OF_THE_MACHINE):
                raise UsageError(f"DuckDB can't answer this: {error}") from error
            hint = "; make them anew with replay --rebuild" if isinstance(error, _OF_TABLES) else ""
            raise TablesError(f"the read tables can't be asked: {error}{hint}") from error

    def _refuse_writing(self, sql: str) -> None:
        try:
            statements = self._connection.extract_statements(sql)
        except duckdb.Error as error:
            raise UsageError(f"DuckDB can't read this: {error}") from error
        if len(statements) != 1:
            raise UsageError("one statement at a time, please")
        if statements[0].type not in _READING:
            raise UsageError(
                "only statements that read (SELECT, FROM, WITH, DESCRIBE, EXPLAIN) are possible"
                " here: the read tables are made from the log alone"
            )


class DuckWriting(Writing):
    """The read tables in DuckDB, open for changes."""

    #: less to merge and to compress again
    piece = 1_000_000

    def __init__(self, connection: duckdb.DuckDBPyConnection, name: str | Path) -> None:
        self._connection, self._name = connection, name

    def run(self, statement: ClauseElement) -> None:
        """Run a statement that changes rows."""
        self._connection.execute(render(statement))

    def run_again(self, statement: ClauseElement) -> None:
        """Run a statement that was run before, as often as not: its SQL is kept."""
        self._connection.execute(rendered_once(statement, _DIALECT))

    def rows(self, statement: sa.Select[Any]) -> list[tuple[Any, ...]]:
        """The rows of a question with a short answer."""
        return self._connection.execute(render(statement)).fetchall()

    def insert(self, table: sa.Table, rows: pa.Table) -> None:
        """Add rows to a table; DuckDB reads Arrow where it lies."""
        self._connection.register("incoming", rows)
        self._connection.execute(f'INSERT INTO "{table.name}" BY NAME SELECT * FROM incoming')
        self._connection.unregister("incoming")

    def _create_temporary(self, name: str, rows: sa.Select[Any]) -> None:
        self._connection.execute(f"CREATE TEMP TABLE {name} AS {render(rows)}")

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Rows not yet committed stay in memory, whatever the limit: hence pieces."""
        with explaining(self._name):
            self._connection.execute("BEGIN")
            try:
                yield
            except BaseException:
                # a failed COMMIT, or a full disk, has ended the transaction already
                if not isinstance(sys.exception(), duckdb.FatalException):
                    self._connection.execute("ROLLBACK")
                raise
            self._connection.execute("COMMIT")

    def filling(self) -> None:
        """Forty small tables gain nothing from threads, which the next batch can use meanwhile."""
        self._connection.execute("SET threads = 1")

    def filled(self) -> None:
        """Journeys are found with all threads."""
        self._connection.execute("RESET threads")


def read_standing(connection: duckdb.DuckDBPyConnection) -> Standing | None:
    """Where the tables stand; None where there are none yet."""
    if position_table.name not in _names(connection):
        return None
    return DuckWriting(connection, "").standing()


def is_foreign_database(connection: duckdb.DuckDBPyConnection) -> bool:
    """Whether there are tables, and none of them is ours."""
    names = _names(connection)
    return bool(names) and position_table.name not in names


def _names(connection: duckdb.DuckDBPyConnection) -> set[str]:
    found = connection.execute("SELECT table_name FROM duckdb_tables() WHERE NOT internal")
    return {name for (name,) in found.fetchall()}


@contextmanager
def explaining(path: Path | str) -> Iterator[None]:
    """Word what DuckDB would say badly."""
    try:
        yield
    except duckdb.Error as error:
        raise explained(error, path) from error


def _damaged(path: Path) -> TablesError:
    """The error for a file that can't be read: DuckDB's begin with its name, after a checksum."""
    try:
        with path.open("rb") as file:
            ours = file.read(12)[8:] == b"DUCK"
    except OSError:
        ours = True
    if not ours:
        return TablesError(
            f"{path} is no DuckDB file: remove it if it held read tables (replay makes them anew),"
            " else name another one with --views"
        )
    return TablesDamaged(
        f"{path} is damaged: make the read tables anew with replay --rebuild, which keeps what is"
        " there beside them"
    )


def explained(error: duckdb.Error, path: Path | str) -> TablesError:
    """The error to show for one of DuckDB's about a file.

    >>> str(explained(duckdb.IOException("No space left on device"), "shop.duckdb"))
    'shop.duckdb: the disk is full; free some space and repeat (the tables are as they were)'
    """
    text = str(error)
    if holder := _HOLDER.search(text):
        return TablesHeld(f"{path} is held by another process, {holder[1]}")
    if "different configuration" in text or "Unique file handle conflict" in text:
        return TablesHeld(f"{path} is held by this very process, {os.getpid()}")
    if _DAMAGED.search(text):
        return _damaged(Path(path))
    if "No space left" in text or "disk is full" in text.lower():
        return TablesError(
            f"{path}: the disk is full; free some space and repeat (the tables are as they were)"
        )
    if "No such file or directory" in text:
        return TablesError(f"{path}: the folder {Path(path).parent} is not there: make it first")
    if "Is a directory" in text:
        return TablesError(f"{path} is a folder: name a file in it with --views")
    if re.search("[Pp]ermission denied|Read-only file system|Operation not permitted", text):
        return TablesError(
            f"{path} can't be opened: check the permissions of the file and of its folder"
        )
    return TablesError(f"{path}: {text.splitlines()[0]}")
