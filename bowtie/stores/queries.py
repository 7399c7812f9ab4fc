"""SQL as the stores write it, once for every database.

It is SQLite's: ``?`` for a value, and ``rowid`` for the position of an event. Each database's own
class runs it, and knows the few things that are said in another way there.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, ClassVar, Protocol

__all__ = ["Asking", "Queries", "Row", "head_of"]

Row = tuple[Any, ...]
#: A query and its values.
Asking = tuple[str, Sequence[Any]]


class Queries(Protocol):
    """What can be asked and written in one transaction of a database."""

    #: the version of the store's tables
    VERSION: ClassVar[str]
    #: all topics, newline between them, and all states of some events, in order, as bytes
    CONCATENATED: ClassVar[str]

    def first(
        self, sql: str, values: Sequence[object] = (), ahead: Sequence[Asking] = ()
    ) -> list[Row]:
        """What the first query of a transaction gives, which may begin with it.

        Args:
            sql, values: the query.
            ahead: what :meth:`rows` is about to ask, where answers have far to come.
        """

    def rows(self, sql: str, values: Sequence[object] = ()) -> list[Row]:
        """What a query gives."""

    def run(self, sql: str, values: Sequence[object] = ()) -> int:
        """Run a statement; how many rows it changed."""

    def run_many(self, sql: str, rows: Iterable[Sequence[object]]) -> None:
        """Run a statement for each row."""

    def listed(self, values: Sequence[Any]) -> tuple[str, Sequence[Any]]:
        """What goes after a column to ask for those of some texts, or of some bytes; its values."""

    def each(self, texts: Sequence[str]) -> tuple[str, Sequence[Any]]:
        """What goes after FROM for a table of texts in a column ``value``; its values."""

    def insert_events(self, head: int, rows: Sequence[tuple[str, int, str, bytes]]) -> None:
        """Append rows after a position.

        Raises:
            Taken: a version is there already; here, or at the latest when the transaction ends.
        """

    def insert(self, table: str, rows: Sequence[Row]) -> None:
        """Insert rows of all the table's columns.

        Raises:
            Taken: a key is there already; here, or at the latest when the transaction ends.
        """

    def rewrite(self, table: str) -> None:
        """Write a table anew, so that its file holds no copy of what was deleted from it."""

    def meta_out(self, value: bytes | str) -> bytes | str:
        """A value as the database keeps it."""

    def meta_in(self, value: bytes | str) -> bytes | str:
        """A value as it was given."""


def head_of(queries: Queries) -> int:
    """The newest position; 0 when the store is empty."""
    return queries.rows("SELECT max(rowid) FROM stored_events")[0][0] or 0
