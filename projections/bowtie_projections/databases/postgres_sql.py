"""How PostgreSQL is asked, and how rows go into it.

>>> import sqlalchemy as sa
>>> from bowtie_projections.tables import events
>>> print(render(sa.select(events.c.id).where(events.c.source == "O'Hara")))
SELECT events.id
FROM events
WHERE events.source = 'O''Hara'
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import psycopg
import sqlalchemy as sa
from psycopg import errors
from sqlalchemy.dialects.postgresql.base import PGDialect
from sqlalchemy.sql.elements import ClauseElement

from bowtie.errors import TablesAway, TablesError, TablesHeld, UsageError
from bowtie_projections.databases.asking import Day, Moment, Reader, rendered, rendered_once
from bowtie_projections.databases.contract import Writing
from bowtie_projections.databases.postgres_arrow import arrow_of, csv_of, is_cut_short
from bowtie_projections.standing import Standing
from bowtie_projections.tables import events, metadata

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["PostgresReader", "PostgresWriting", "explained", "explaining", "quoted", "render"]

#: How many rows are handed over at a time.
_ROWS = 100_000
#: So many customers are looked up one by one.
_FEW = 2_000
_READING = ("select", "with", "values", "table", "explain", "show")
_FIRST_WORD = re.compile(r"(?:\s|\(|--[^\n]*(?:\n|$)|/\*.*?\*/)*([A-Za-z]*)", re.DOTALL)
#: What fails so is a mistake in the statement.
_OF_THE_STATEMENT = (
    psycopg.ProgrammingError, psycopg.DataError, psycopg.NotSupportedError,
    errors.ReadOnlySqlTransaction,
)  # fmt: skip
#: What fails so in a question of bowtie's own lacks a table or column that it made.
_OF_TABLES = (errors.UndefinedTable, errors.UndefinedColumn)


class _Literals(PGDialect):
    """PostgreSQL's dialect, for statements that hold their values."""

    supports_statement_cache = True
    # a backslash in a text is a backslash
    _backslash_escapes = False
    colspecs = {**PGDialect.colspecs, sa.DateTime: Moment, sa.Date: Day}  # noqa: RUF012 - as the base has it


_DIALECT: sa.Dialect = _Literals(paramstyle="named")  # type: ignore[no-untyped-call]


def render(statement: ClauseElement) -> str:
    """The SQL of a statement, values included, as PostgreSQL takes it."""
    return rendered(statement, _DIALECT)


def quoted(name: str) -> str:
    """A name as SQL takes it, whatever it is.

    >>> print(quoted('my "own" name'))
    "my ""own"" name"
    """
    return '"' + name.replace('"', '""') + '"'


class PostgresReader(Reader):
    """The read tables in PostgreSQL, for one answer: within a transaction that can't write."""

    def __init__(self, connection: psycopg.Connection[Any], standing: Standing, name: str) -> None:
        super().__init__(standing)
        self._connection, self._name = connection, name

    def digest(self, table: sa.Table) -> tuple[int, str]:
        """The number of rows, and the sum over their hashes."""
        columns = ", ".join(quoted(column.name) for column in table.columns)
        sql = (
            f"SELECT count(*), coalesce(sum(hashtextextended(ROW({columns})::text, 0)), 0)::text"
            f" FROM {quoted(table.name)}"
        )
        with explaining(self._name):
            found = self._connection.execute(sql.encode()).fetchone()
        assert found is not None  # noqa: S101 - for the type checker
        return found[0], found[1]

    def _sql(self, statement: ClauseElement) -> str:
        return render(statement)

    def _ask(self, sql: str, *, own: bool) -> pa.Table:
        if own:
            return self._ask_own(sql)
        try:
            return self._fetch(sql)
        except psycopg.Error as error:
            hint = "; make them anew with replay --rebuild" if isinstance(error, _OF_TABLES) else ""
            raise TablesError(
                f"the read tables can't be asked: {explained(error, self._name)}{hint}"
            ) from error

    def _ask_own(self, sql: str) -> pa.Table:
        try:
            # what fails must not end the transaction: the next question needs it
            with self._connection.transaction():
                return self._fetch(sql)
        except _OF_THE_STATEMENT as error:
            raise UsageError(f"PostgreSQL can't answer this: {_first_line(error)}") from error
        except psycopg.Error as error:
            raise explained(error, self._name) from error

    def _fetch(self, sql: str) -> pa.Table:
        # a binary answer is asked for by a protocol that takes one statement only
        with self._connection.cursor(binary=True) as cursor:
            cursor.execute(sql.encode())
            return arrow_of(cursor)

    def _refuse_writing(self, sql: str) -> None:
        found = _FIRST_WORD.match(sql)
        if found is None or found[1].lower() not in _READING:
            raise UsageError(
                "only statements that read (SELECT, WITH, VALUES, TABLE, EXPLAIN) are possible"
                " here: the read tables are made from the log alone"
            )


class PostgresWriting(Writing):
    """The read tables in PostgreSQL, open for changes: those first on the search path."""

    def __init__(self, connection: psycopg.Connection[Any], name: str) -> None:
        self._connection, self._name = connection, name
        self._filled: set[str] = set()

    def run(self, statement: ClauseElement) -> None:
        """Run a statement that changes rows."""
        with explaining(self._name):
            self._connection.execute(render(statement).encode())

    def run_again(self, statement: ClauseElement) -> None:
        """Run a statement that was run before, as often as not: its SQL is kept."""
        with explaining(self._name):
            self._connection.execute(rendered_once(statement, _DIALECT).encode())

    def rows(self, statement: sa.Select[Any]) -> list[tuple[Any, ...]]:
        """The rows of a question with a short answer."""
        with explaining(self._name):
            return self._connection.execute(render(statement).encode()).fetchall()

    def insert(self, table: sa.Table, rows: pa.Table) -> None:
        """Add rows to a table by COPY."""
        names = ", ".join(quoted(name) for name in rows.column_names)
        copy = f"COPY {quoted(table.name)} ({names}) FROM STDIN"
        with explaining(self._name), self._connection.cursor() as cursor:
            for batch in rows.to_batches(max_chunksize=_ROWS):
                lines = csv_of(batch)
                if is_cut_short(lines):
                    _copy_rows(cursor, copy, batch)
                    continue
                with cursor.copy(f"{copy} (FORMAT csv)".encode()) as incoming:
                    incoming.write(lines)
        self._filled.add(table.name)

    def _create_temporary(self, name: str, rows: sa.Select[Any]) -> None:
        with explaining(self._name):
            made = self._connection.execute(f"CREATE TEMP TABLE {name} AS {render(rows)}".encode())
            self._connection.execute(f"ANALYZE {name}".encode())
            # what few rows need is looked up for each of them, whatever the length of the log
            switch = "on" if made.rowcount <= _FEW else "off"
            self._connection.execute(f"SET LOCAL enable_nestloop = {switch}".encode())

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """What is done within counts when the block ends."""
        with explaining(self._name), self._connection.transaction():
            yield

    def filled(self) -> None:
        """Tell the planner what is there, and let it find the rows of a customer."""
        with explaining(self._name):
            for table in metadata.sorted_tables:
                for index in _indexes(table):
                    self._connection.execute(index.encode())
            for name in sorted(self._filled):
                self._connection.execute(f"ANALYZE {quoted(name)}".encode())
        self._filled.clear()


def _indexes(table: sa.Table) -> list[str]:
    """The indexes of a table: a catch-up looks for the rows of some customers, and for new events.

    They cost a fifth of the time of a build; without them each catch-up reads all tables.
    """
    keys = [(name, "btree") for name in ("customer", "subject") if name in table.columns]
    if table is events:
        keys.append(("position", "brin"))
    return [
        f"CREATE INDEX IF NOT EXISTS {quoted(f'{table.name}_{name}')}"
        f" ON {quoted(table.name)} USING {kind} ({quoted(name)})"
        for name, kind in keys
    ]


def _copy_rows(cursor: psycopg.Cursor[Any], copy: str, batch: pa.RecordBatch) -> None:
    """Row by row, ten times slower, what COPY can't take as CSV."""
    with cursor.copy(copy.encode()) as incoming:
        for row in batch.to_pylist():
            incoming.write_row(list(row.values()))


@contextmanager
def explaining(name: str) -> Iterator[None]:
    """Word what PostgreSQL would say badly."""
    try:
        yield
    except psycopg.Error as error:
        raise explained(error, name) from error


def explained(error: psycopg.Error, name: str) -> TablesError:
    """The error to show for one of PostgreSQL's; it holds no password, and no row.

    >>> str(explained(errors.DiskFull("could not extend file"), "postgresql://db/shop"))
    'postgresql://db/shop: the disk of the server is full; free some space and repeat ...'
    """
    match error:
        case errors.LockNotAvailable():
            return TablesHeld(f"{name} is held by another session")
        case errors.InsufficientPrivilege():
            return TablesError(
                f"{name}: {_first_line(error)}: grant its role that (docs: Read tables in"
                " PostgreSQL), or name another place with --views"
            )
        case errors.DiskFull():
            return TablesError(
                f"{name}: the disk of the server is full; free some space and repeat (the tables"
                " are as they were)"
            )
        case errors.InvalidCatalogName() | errors.InvalidAuthorizationSpecification():
            return TablesError(f"{name} can't be opened: {_first_line(error)}")
        case psycopg.OperationalError() if (error.sqlstate or "08").startswith(_AWAY):
            return TablesAway(
                f"{name} can't be reached: {_first_line(error)}: is the server running?"
            )
    return TablesError(f"{name}: {_first_line(error)}")


#: Classes of errors that end a connection: 08 connection, 57P shut down by the operator.
_AWAY = ("08", "57P")


def _first_line(error: psycopg.Error) -> str:
    """What happened; the details below it may hold values of rows."""
    lines = (error.diag.message_primary or str(error)).strip().splitlines()
    return lines[0] if lines else type(error).__name__
