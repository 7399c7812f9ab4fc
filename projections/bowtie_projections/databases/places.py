"""What the place of read tables is called: URLs, and what stands beside a store."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from bowtie.errors import UsageError
from bowtie.stores.postgres_url import is_postgres, take_apart, with_schema

if TYPE_CHECKING:
    from bowtie.stores.contract import Store

__all__ = ["DEFAULT_SCHEMA", "SCRATCH", "PostgresPlace", "beside"]

#: Where the read tables are, if no schema is named.
DEFAULT_SCHEMA = "bowtie"
#: How the schema of tables ends that a check makes, and drops again.
SCRATCH = "_check_[0-9a-f]{4}"
#: A name in PostgreSQL holds 63 bytes, and the schema of a build is called after this one.
_LONGEST = 63 - len("_check_build_1234567890")


class PostgresPlace(NamedTuple):
    """Where read tables are: a schema of a PostgreSQL database.

    Attributes:
        server: what the driver connects to; it may hold a password.
        schema: the schema; None where the URL names none.
    """

    server: str
    schema: str | None

    @classmethod
    def of(cls, url: str) -> PostgresPlace:
        """The place a URL names, by ``?schema=NAME``.

        >>> PostgresPlace.of("postgresql://me:secret@db/shop?schema=t1&sslmode=require")
        PostgresPlace(server='postgresql://me:secret@db/shop?sslmode=require', schema='t1')

        Raises:
            UsageError: it is no such URL, or the schema's name is too long.
        """
        found = take_apart(url)
        schema = found.schema
        if schema is not None and not 0 < len(schema.encode()) <= _LONGEST:
            raise UsageError(f"a schema's name has 1 to {_LONGEST} bytes: {schema!r} doesn't")
        return cls(found.conninfo, schema)

    @property
    def shown(self) -> str:
        """The place without its password.

        >>> PostgresPlace.of("postgresql://me:secret@db/shop?schema=t1").shown
        'postgresql://me@db/shop?schema=t1'
        """
        return with_schema(take_apart(self.server).shown, self.schema or DEFAULT_SCHEMA)


def beside(store: Store) -> str | Path:
    """Where the read tables of a store are unless they are named.

    In the file of that name with ``.duckdb``; of a PostgreSQL store in the same database, in the
    schema ``bowtie``, or ``t1_views`` for a store with ``?schema=t1``.
    """
    if is_postgres(store.address):
        place = PostgresPlace.of(store.address)
        schema = DEFAULT_SCHEMA if place.schema is None else f"{place.schema}_views"
        return with_schema(place.server, schema)
    return "memory://" if store.path is None else store.path.with_suffix(".duckdb")
