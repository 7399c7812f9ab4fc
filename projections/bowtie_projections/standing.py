"""Where the read tables stand: which store they are of, up to which position, by which rules."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Self

from bowtie.errors import TablesError
from bowtie_projections.tables import SCHEMA_MINOR, SCHEMA_VERSION

if TYPE_CHECKING:
    from bowtie.stages import Definition

__all__ = ["Standing", "refuse_newer"]


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
