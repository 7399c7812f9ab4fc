"""Where the read tables are kept: in DuckDB or in PostgreSQL, behind one contract."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from bowtie.errors import UsageError
from bowtie.extras import need
from bowtie.stores.postgres_url import is_postgres
from bowtie_projections.databases.contract import WAIT
from bowtie_projections.databases.places import SCRATCH, PostgresPlace

if TYPE_CHECKING:
    from bowtie_projections.databases.contract import Tables

__all__ = ["tables_at"]


def tables_at(url: str | Path, wait: float = WAIT) -> Tables:
    """The read tables at a place.

    Args:
        url: a path, ``duckdb:///PATH``, ``memory://``, or ``postgresql://HOST/DATABASE?schema=NAME``.
        wait: how long to wait for other processes, in seconds.

    >>> tables_at("memory://").name
    'memory://'
    """
    if isinstance(url, str) and is_postgres(url):
        return _in_postgres(url, wait)
    from bowtie_projections.databases.duckdb import TablesFile

    return TablesFile.of(url, wait)


def _in_postgres(url: str, wait: float) -> Tables:
    place = PostgresPlace.of(url)
    if place.schema is not None and re.search(f"{SCRATCH}$", place.schema):
        raise UsageError(f"{place.shown}: verify drops schemas of such names: name another one")
    need("psycopg", "postgres")
    from bowtie_projections.databases.postgres import PostgresTables

    return PostgresTables(place, wait)
