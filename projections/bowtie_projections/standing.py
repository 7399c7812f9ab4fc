"""Where the read tables stand: which store they are of, up to which position, by which rules."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Self

from bowtie.errors import TablesError
from bowtie_projections.tables import SCHEMA_MINOR, SCHEMA_VERSION, position_table

if TYPE_CHECKING:
    import duckdb

    from bowtie.stages import Definition

__all__ = ["Standing", "is_foreign_database", "read_standing", "write_standing"]

_COLUMNS = ", ".join(f'"{column.name}"' for column in position_table.columns)


@dataclass(frozen=True, slots=True)
class Standing:
    """The one row of ``bowtie_tables``."""

    store_id: str
    position: int
    position_hash: str
    schema_version: int
    schema_minor: int
    definition: str
    definition_hash: str
    built_at: datetime

    @classmethod
    def new(cls, store_id: str, definition: Definition) -> Self:
        """Where tables stand that hold nothing yet."""
        return cls(
            store_id=store_id,
            position=0,
            position_hash="",
            schema_version=SCHEMA_VERSION,
            schema_minor=SCHEMA_MINOR,
            definition=definition.label,
            definition_hash=definition.sha256,
            built_at=datetime.now(UTC).replace(tzinfo=None),
        )

    @property
    def schema(self) -> tuple[int, int]:
        """Major and minor version of the tables' shape."""
        return self.schema_version, self.schema_minor

    def at(self, position: int, position_hash: str) -> Self:
        """The same tables at another position."""
        return replace(self, position=position, position_hash=position_hash)


def read_standing(connection: duckdb.DuckDBPyConnection) -> Standing | None:
    """Where the tables stand; None where there are none yet."""
    found = connection.execute(
        "SELECT count(*) FROM duckdb_tables() WHERE NOT internal AND table_name = ?",
        [position_table.name],
    ).fetchone()
    if found == (0,):
        return None
    row = connection.execute(f"SELECT {_COLUMNS} FROM {position_table.name}").fetchone()
    return None if row is None else Standing(*row)


def is_foreign_database(connection: duckdb.DuckDBPyConnection) -> bool:
    """Whether there are tables, and none of them is ours."""
    names = {
        name
        for (name,) in connection.execute(
            "SELECT table_name FROM duckdb_tables() WHERE NOT internal"
        ).fetchall()
    }
    return bool(names) and position_table.name not in names


def write_standing(connection: duckdb.DuckDBPyConnection, standing: Standing) -> None:
    """Say where the tables stand now; in the transaction that brought them there."""
    connection.execute(f"DELETE FROM {position_table.name}")
    values = [getattr(standing, column.name) for column in position_table.columns]
    connection.execute(
        f"INSERT INTO {position_table.name} ({_COLUMNS}) VALUES ({', '.join('?' * len(values))})",
        values,
    )


def refuse_newer(standing: Standing, name: str) -> None:
    """Refuse tables whose shape this version can't know.

    Raises:
        TablesError: they are of a newer major version.
    """
    if standing.schema_version > SCHEMA_VERSION:
        raise TablesError(
            f"{name} was written by a newer version of bowtie (tables {standing.schema_version},"
            f" this one knows {SCHEMA_VERSION}): upgrade bowtie-journeys, or name another file"
            " with --views"
        )
