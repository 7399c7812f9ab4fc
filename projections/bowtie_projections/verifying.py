"""Checking the read tables: each must equal what a replay of the same log makes.

The log is replayed up to where the tables stand, into others that are thrown away, and each table
is compared by its number of rows and by a sum over hashes of its rows, which no order changes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from bowtie.errors import SealedKeyMissing, TablesError
from bowtie.sealing import StoreKeys
from bowtie.stages import Definition
from bowtie.stores.rows import StateBatch
from bowtie.verifying import Problem
from bowtie_projections.databases.asking import Reader
from bowtie_projections.databases.contract import Tables
from bowtie_projections.replay import replay
from bowtie_projections.source import Source
from bowtie_projections.standing import Standing
from bowtie_projections.tables import SCHEMA_MINOR, SCHEMA_VERSION, metadata, position_table

__all__ = ["verify_tables"]


def verify_tables(
    source: Source,
    tables: Tables,
    definition: Definition,
    progress: Callable[[int, int], None] | None = None,
) -> Iterator[Problem]:
    """What is wrong with the read tables of a log; nothing, if they equal a replay.

    Args:
        source: the log.
        tables: its tables.
        definition: the store's default, which the journeys follow.
        progress: called with the events replayed and those to replay.

    Raises:
        TablesHeld: another process held the tables for the whole wait.
    """
    try:
        if tables.standing() is None:
            yield Problem("tables", f"there are none at {tables.name} yet", note=True)
            return
        with tables.read() as reader:
            standing, found = reader.standing, _contents(reader)
    except TablesError as error:
        if error.exit_code != TablesError.exit_code:  # held, which says nothing about them
            raise
        yield Problem("tables", str(error))
        return
    foreign = _not_of(source, standing)
    if foreign is not None:
        yield foreign
        return
    rules = (standing.schema, standing.definition_hash)
    if rules != ((SCHEMA_VERSION, SCHEMA_MINOR), definition.sha256):
        yield Problem(
            "tables",
            f"{tables.name} follows another version or definition ({standing.definition}): the next"
            " replay makes it anew; it was not compared",
            note=True,
        )
        return
    try:
        right = _replayed(source, tables, standing.position, definition, progress)
    except SealedKeyMissing as error:
        yield Problem("tables", f"were not compared with a replay: {error}", note=True)
        return
    yield from _differences(found, right)
    if skipped := found["skipped"].rows:
        yield Problem("tables", f"{skipped} events were skipped: see SQL on skipped", note=True)


def _not_of(source: Source, standing: Standing) -> Problem | None:
    """Why the tables are not of this log."""
    if standing.store_id != source.store_id:
        return Problem("tables", "belong to another store: make them anew with replay --rebuild")
    if standing.position > source.head():
        return Problem("tables", f"stand at {standing.position}, behind the end of the log")
    if standing.position_hash != source.hash_at(standing.position):
        return Problem("tables", "are of another history of this store", standing.position)
    return None


@dataclass(frozen=True, slots=True)
class _Content:
    """What stands for the rows of a table."""

    rows: int
    digest: str


def _contents(reader: Reader) -> dict[str, _Content]:
    """What stands for the rows of each table."""
    return {
        table.name: _Content(*reader.digest(table))
        for table in metadata.sorted_tables
        if table is not position_table
    }


class _UpTo:
    """A log as it was at a position."""

    def __init__(self, source: Source, position: int) -> None:
        self._source, self._position = source, position
        self.store_id = source.store_id

    @property
    def secrets(self) -> StoreKeys:
        """As of the log itself."""
        return self._source.secrets

    def head(self) -> int:
        """Where the tables stand."""
        return self._position

    def hash_at(self, position: int) -> str:
        """As of the log itself."""
        return self._source.hash_at(position)

    def batches(self, after: int, upto: int, size: int) -> Iterator[StateBatch]:
        """As of the log itself."""
        return self._source.batches(after, upto, size)


def _replayed(
    source: Source,
    tables: Tables,
    position: int,
    definition: Definition,
    progress: Callable[[int, int], None] | None,
) -> dict[str, _Content]:
    """What the tables should hold."""
    with tables.scratch() as fresh:
        replay(_UpTo(source, position), fresh, definition, progress=progress)
        with fresh.read() as reader:
            return _contents(reader)


def _differences(found: dict[str, _Content], right: dict[str, _Content]) -> Iterator[Problem]:
    for name, content in right.items():
        if found[name].rows != content.rows:
            yield Problem(
                "tables", f"{name} has {found[name].rows} rows; a replay makes {content.rows}"
            )
        elif found[name] != content:
            yield Problem("tables", f"{name}: some of its {content.rows} rows differ from a replay")
