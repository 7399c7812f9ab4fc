"""Asking the read tables: a statement in, Arrow out; and how values are written into SQL."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from datetime import UTC, date, datetime
from functools import lru_cache
from itertools import count
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from sqlalchemy.sql.elements import ClauseElement

from bowtie.errors import UsageError

if TYPE_CHECKING:
    import pyarrow as pa

    from bowtie_projections.standing import Standing

__all__ = ["Day", "Moment", "Reader", "rendered", "rendered_once", "told_apart"]


class Moment(sa.DateTime):
    """A time as a literal that says its type: text alone compares only by a silent cast."""

    def literal_processor(self, dialect: sa.Dialect) -> Any:
        """Write it in UTC."""
        del dialect

        def process(value: datetime) -> str:
            plain = value.astimezone(UTC).replace(tzinfo=None) if value.tzinfo else value
            return f"TIMESTAMP '{plain.isoformat(' ')}'"

        return process


class Day(sa.Date):
    """A day as a literal that says its type."""

    def literal_processor(self, dialect: sa.Dialect) -> Any:
        """Write it as ISO 8601."""
        del dialect

        def process(value: date) -> str:
            return f"DATE '{value.isoformat()}'"

        return process


def rendered(statement: ClauseElement, dialect: sa.Dialect) -> str:
    """The SQL of a statement, values included, as a person can paste it.

    Raises:
        UsageError: a value holds a NUL character, which no SQL text can.
    """
    compiled = statement.compile(dialect=dialect, compile_kwargs={"literal_binds": True})
    sql = str(compiled)
    if "\0" in sql:
        raise UsageError("a text asked for holds a NUL character: leave it out")
    return sql.strip()


#: The same of a statement that is asked again and again; so many are kept.
rendered_once = lru_cache(maxsize=256)(rendered)


class Reader(ABC):
    """The read tables as they stand, for one answer.

    Attributes:
        position: where they stand.
        definition: name/version of the definition that ``journeys`` follows.
        definition_hash: the hash of its text.
        has_links: whether they tell of links; tables of an older shape don't.
        statements: the SQL that ran, in order.
    """

    def __init__(self, standing: Standing) -> None:
        self.standing = standing
        self.position = standing.position
        self.definition = standing.definition
        self.definition_hash = standing.definition_hash
        self.has_links = standing.schema >= (1, 1)
        self.statements: list[str] = []

    def fetch(self, statement: sa.Select[Any] | ClauseElement | str) -> pa.Table:
        """The rows of a statement; its SQL is kept in ``statements``.

        Args:
            statement: SQLAlchemy Core, or SQL of a user's own, which may only read.

        Raises:
            UsageError: the SQL is wrong, or would do more than read these tables.
            TablesError: the tables can't be read.
        """
        own = isinstance(statement, str)
        sql = statement if isinstance(statement, str) else self._sql(statement)
        if own:
            self._refuse_writing(sql)
        self.statements.append(sql)
        table = self._ask(sql, own=own)
        return table.rename_columns(told_apart(table.column_names))

    def keep(self, statement: sa.Select[Any], name: str) -> sa.FromClause | None:
        """The rows of a statement, kept for the further questions of this answer.

        Returns:
            What they can be asked by; None where the database keeps nothing for who only reads.
        """
        del statement, name
        return None

    @abstractmethod
    def digest(self, table: sa.Table) -> tuple[int, str]:
        """The number of a table's rows, and what stands for them in any order.

        It compares tables of one kind of database.
        """

    @abstractmethod
    def _sql(self, statement: ClauseElement) -> str:
        """The statement as this database reads it."""

    @abstractmethod
    def _refuse_writing(self, sql: str) -> None:
        """Refuse all but one statement that reads; the connection allows no more either."""

    @abstractmethod
    def _ask(self, sql: str, *, own: bool) -> pa.Table:
        """The rows of a statement, whose mistakes are the asker's if it is their own."""


def told_apart(names: Sequence[str]) -> list[str]:
    """Names of columns, numbered where one comes again: rows are kept by name.

    >>> told_apart(["a", "a", "b", "a"])
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
