"""The read tables, open for one answer: SQL in, Arrow out.

>>> import sqlalchemy as sa
>>> from bowtie_projections.tables import events
>>> print(render(sa.select(events.c.id).where(events.c.source == "O'Hara")))
SELECT events.id
FROM events
WHERE events.source = 'O''Hara'
"""

from __future__ import annotations

from datetime import UTC, date, datetime
from itertools import count
from typing import TYPE_CHECKING, Any

import duckdb
import sqlalchemy as sa
from duckdb_sqlalchemy import Dialect
from sqlalchemy.sql.elements import ClauseElement

from bowtie.errors import TablesError, UsageError

if TYPE_CHECKING:
    import pyarrow as pa

    from bowtie_projections.standing import Standing

__all__ = ["BEGIN", "Reader", "render"]


class _Moment(sa.DateTime):
    """A time as a literal that says its type: text alone compares only by a silent cast."""

    def literal_processor(self, dialect: sa.Dialect) -> Any:
        del dialect

        def process(value: datetime) -> str:
            plain = value.astimezone(UTC).replace(tzinfo=None) if value.tzinfo else value
            return f"TIMESTAMP '{plain.isoformat(' ')}'"

        return process


class _Day(sa.Date):
    """A day as a literal that says its type."""

    def literal_processor(self, dialect: sa.Dialect) -> Any:
        del dialect

        def process(value: date) -> str:
            return f"DATE '{value.isoformat()}'"

        return process


class _Literals(Dialect):
    """DuckDB's dialect, for statements that hold their values."""

    supports_statement_cache = True
    colspecs = {**Dialect.colspecs, sa.DateTime: _Moment, sa.Date: _Day}  # noqa: RUF012 - as the base has it


_DIALECT = _Literals(paramstyle="named")


def render(statement: ClauseElement) -> str:
    """The SQL of a statement, values included, as DuckDB takes it and a person can paste it.

    Raises:
        UsageError: a value holds a NUL character, which no SQL text can.
    """
    compiled = statement.compile(dialect=_DIALECT, compile_kwargs={"literal_binds": True})
    sql = str(compiled)
    if "\0" in sql:
        raise UsageError("a text asked for holds a NUL character: leave it out")
    return sql.strip()


class Reader:
    """The read tables as they stand, for one answer.

    Attributes:
        position: where they stand.
        definition: name/version of the definition that ``journeys`` follows.
        definition_hash: the hash of its text.
        statements: the SQL that ran, in order.
    """

    def __init__(self, connection: duckdb.DuckDBPyConnection, standing: Standing) -> None:
        self._connection = connection
        self.standing = standing
        self.position = standing.position
        self.definition = standing.definition
        self.definition_hash = standing.definition_hash
        self.statements: list[str] = []

    def fetch(self, statement: sa.Select[Any] | ClauseElement | str) -> pa.Table:
        """The rows of a statement; its SQL is kept in ``statements``.

        Args:
            statement: SQLAlchemy Core, or SQL of a user's own, which may only read.

        Raises:
            UsageError: the SQL is wrong, or would do more than read these tables.
            TablesError: the tables can't be read.
        """
        if isinstance(statement, str):
            self._refuse_writing(statement)
            sql = statement
        else:
            sql = render(statement)
        self.statements.append(sql)
        try:
            table = self._connection.execute(sql).to_arrow_table()
        except duckdb.Error as error:
            # what fails may have ended the transaction; the next question needs one
            self._connection.execute("ROLLBACK").execute(BEGIN)
            if isinstance(statement, str) and not isinstance(error, _OF_THE_MACHINE):
                raise UsageError(f"DuckDB can't answer this: {error}") from error
            hint = "; make them anew with replay --rebuild" if isinstance(error, _OF_TABLES) else ""
            raise TablesError(f"the read tables can't be asked: {error}{hint}") from error
        return table.rename_columns(_told_apart(table.column_names))

    def _refuse_writing(self, sql: str) -> None:
        """Refuse all but one statement that reads; the connection allows no more either."""
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


def _told_apart(names: list[str]) -> list[str]:
    """Names of columns, numbered where one comes again: rows are kept by name.

    >>> _told_apart(["a", "a", "b", "a"])
    ['a', 'a_1', 'b', 'a_2']
    """
    taken = set(names)
    told: list[str] = []
    for name in names:
        fresh = name
        if name in told:
            fresh = next(one for n in count(1) if (one := f"{name}_{n}") not in taken)
            taken.add(fresh)
        told.append(fresh)
    return told


#: How a reader's transaction begins: in memory, nothing else would keep a statement from writing.
BEGIN = "BEGIN TRANSACTION READ ONLY"
_READING = {duckdb.StatementType.SELECT, duckdb.StatementType.EXPLAIN}
#: What fails so in a question of bowtie's own lacks a table or column that it made.
_OF_TABLES = (duckdb.CatalogException, duckdb.BinderException)
_OF_THE_MACHINE = (duckdb.IOException, duckdb.OutOfMemoryException, duckdb.InternalException)
