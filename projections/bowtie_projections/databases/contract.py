"""What the read tables are to all who fill and ask them, whatever database holds them.

Replay, views, export and verify speak to these classes alone. Statements are SQLAlchemy Core; what
databases write differently is in :mod:`bowtie_projections.expressions`. Each database says in a
module of its own how tables are opened, how rows go in, and how new tables take the place of old.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import cache
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from sqlalchemy.schema import CreateTable, DropTable
from sqlalchemy.sql.elements import ClauseElement

from bowtie.errors import TablesError, TablesHeld
from bowtie_projections.standing import Standing, refuse_newer
from bowtie_projections.tables import metadata, position_table

if TYPE_CHECKING:
    import pyarrow as pa

    from bowtie_projections.databases.asking import Reader

__all__ = ["WAIT", "BeingBuilt", "Overtaken", "Tables", "Writing", "never"]

#: How long a process waits for another to let go of the tables, in seconds.
WAIT = 30.0


@cache
def _creating(table: sa.Table) -> CreateTable:
    """What makes a table: one statement, so that its SQL can be kept."""
    return CreateTable(table)


class BeingBuilt(TablesHeld):
    """Another process builds these tables now."""


class Overtaken(TablesHeld):
    """Another process has changed the tables meanwhile: begin again from where they are now."""


def never(standing: Standing | None) -> bool:
    """Whatever tables are in use, the new ones take their place."""
    del standing
    return False


class Tables(ABC):
    """The read tables at a place.

    Args:
        wait: how long to wait for other processes, in seconds.
    """

    def __init__(self, wait: float = WAIT) -> None:
        self.wait = wait

    @property
    @abstractmethod
    def name(self) -> str:
        """What to call them in a message; holds no password."""

    @abstractmethod
    def close(self) -> None:
        """Let go of what is held between two uses."""

    def keep_open(self) -> None:
        """Stay open for reading from the next use until they are changed or closed.

        For who asks at once what was brought up to date: opening a file takes as long as a question
        of a small one. Nobody can change the tables meanwhile.
        """
        return  # a server has nothing to open

    @abstractmethod
    def standing(self, wait: float | None = None) -> Standing | None:
        """Where the tables stand; None where there are none yet.

        Raises:
            TablesHeld: another process kept them to itself for the whole wait.
            TablesDamaged: they can't be read any more.
            TablesError: what is there is none of ours.
        """

    def set_aside(self) -> None:
        """Put tables that can't be read out of the way, so that others can be built.

        Raises:
            TablesError: they don't lie in a file of their own.
        """
        raise TablesError(f"{self.name} can't be put aside: restore the database from a backup")

    @abstractmethod
    def read(self, wait: float | None = None) -> AbstractContextManager[Reader]:
        """The tables, to be asked: one state of them, whatever others do meanwhile.

        Raises:
            TablesHeld: another process kept them to itself for the whole wait.
            TablesError: there are none, or they can't be read.
        """

    @abstractmethod
    def write(self, wait: float | None = None) -> AbstractContextManager[Writing]:
        """The tables, to be changed by one process at a time.

        All that is done is one transaction: it counts when the block ends, and only then.

        Raises:
            TablesHeld: other processes held the tables for the whole wait.
            TablesError: they can't be written.
        """

    @abstractmethod
    def building(
        self, *, copy: bool = False, beaten: Callable[[Standing | None], bool] = never
    ) -> AbstractContextManager[Writing]:
        """New tables, put in place of those in use when the block ends, and only then.

        Until then those in use can be read, whatever happens to this process.

        Args:
            copy: begin with a copy of the tables in use instead of none.
            beaten: asked of the tables in use, while nobody else can change them: whether they
                are better than the new ones.

        Raises:
            BeingBuilt: another process builds the same tables.
            Overtaken: the tables in use are better; they stay.
        """

    @abstractmethod
    def scratch(self) -> AbstractContextManager[Tables]:
        """Other tables in the same kind of database, thrown away when the block ends."""

    def found(self, standing: Standing | None) -> Standing:
        """Where the tables stand, if they can be asked.

        Raises:
            TablesError: there are none yet, or a newer version wrote them.
        """
        if standing is None:
            raise TablesError(f"{self.name} holds no read tables yet: make them with replay")
        refuse_newer(standing, self.name)
        return standing


class Writing(ABC):
    """Read tables that may be changed now, by this process alone.

    Attributes:
        piece: how many events a build is filled with at a time. While a piece goes in, the next
            batch is read.
    """

    piece = 100_000

    def create(self) -> None:
        """Make all read tables, empty."""
        for table in metadata.sorted_tables:
            self.run_again(_creating(table))

    @abstractmethod
    def run(self, statement: ClauseElement) -> None:
        """Run a statement that changes rows."""

    @abstractmethod
    def run_again(self, statement: ClauseElement) -> None:
        """Run a statement that was run before, as often as not: its SQL is kept."""

    @abstractmethod
    def rows(self, statement: sa.Select[Any]) -> list[tuple[Any, ...]]:
        """The rows of a question with a short answer."""

    @abstractmethod
    def insert(self, table: sa.Table, rows: pa.Table) -> None:
        """Add rows to a table, many at once."""

    @abstractmethod
    def transaction(self) -> AbstractContextManager[None]:
        """A piece of a build: it counts when the block ends."""

    @abstractmethod
    def filled(self) -> None:
        """All rows of a build are in: what follows looks at them together."""

    @abstractmethod
    def _create_temporary(self, name: str, rows: sa.Select[Any]) -> None: ...

    @contextmanager
    def temporary(self, name: str, rows: sa.Select[Any]) -> Iterator[None]:
        """Some rows in a table of that name, which is there within the block alone."""
        self._create_temporary(name, rows)
        yield
        self.run(DropTable(sa.Table(name, sa.MetaData())))

    def standing(self) -> Standing | None:
        """Where the tables stand; None where nobody has said so yet."""
        found = self.rows(sa.select(position_table))
        return Standing(*found[0]) if found else None

    def stand(self, standing: Standing) -> None:
        """Say where the tables stand now; in the transaction that brought them there."""
        self.run(sa.delete(position_table))
        values = {column.name: getattr(standing, column.name) for column in position_table.columns}
        self.run(sa.insert(position_table).values(values))
