"""Steps of the benchmarks on read tables in PostgreSQL, beside the same tables in DuckDB.

The log is that of the store that the step ``ingest`` made; ``postgres`` names a database.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from steps import Step

__all__ = ["postgres_asked", "postgres_catch_up", "postgres_replay"]

#: What is asked of both, with its parameters.
_ASKED: dict[str, dict[str, Any]] = {
    "funnel": {"by": ["channel"], "cohort": "month"},
    "stock": {"by": ["channel"]},
    "loop": {},
}


@contextmanager
def _place(step: Step) -> Iterator[str]:
    """A schema of its own, gone afterwards with all that is named after it."""
    import psycopg

    url, name = step.given["postgres"], f"b{uuid.uuid4().hex[:8]}"
    try:
        yield f"{url}{'&' if '?' in url else '?'}schema={name}"
    finally:
        with psycopg.connect(url, autocommit=True) as connection:
            found = connection.execute(
                "SELECT nspname FROM pg_namespace WHERE nspname LIKE %s ORDER BY nspname",
                [f"{name}%"],
            ).fetchall()
            for (schema,) in found:
                connection.execute(f"DROP SCHEMA {schema} CASCADE".encode())


def postgres_replay(step: Step) -> dict[str, Any]:
    """All read tables and the journey rows, from zero: build, indexes, swap."""
    from bowtie import Bowtie
    from bowtie_projections.databases import tables_at
    from bowtie_projections.replay import replay

    with Bowtie.open(f"sqlite:///{step.store}", create=False) as engine, _place(step) as url:
        report = replay(engine.store, tables_at(url), engine.definition)
    return {"events": report.events, "seconds": report.seconds}


def postgres_catch_up(step: Step) -> dict[str, Any]:
    """One event more: what a view pays that finds the log a little further."""
    from bowtie import Bowtie, Touched
    from bowtie_projections.databases import tables_at
    from bowtie_projections.replay import replay

    seconds = []
    with Bowtie.open(f"sqlite:///{step.store}", create=False) as engine, _place(step) as url:
        tables = tables_at(url)
        replay(engine.store, tables, engine.definition)
        for _ in range(step.runs):
            engine.record("somebody", Touched(channel="web", direction="inbound"))
            seconds.append(replay(engine.store, tables, engine.definition).seconds)
    return {"events": step.runs, "seconds": min(seconds)}


def postgres_asked(step: Step) -> dict[str, Any]:
    """The views over both databases, the best of some runs each."""
    from bowtie import Bowtie
    from bowtie_projections import Views

    result: dict[str, Any] = {}
    with Bowtie.open(f"sqlite:///{step.store}", create=False) as engine, _place(step) as url:
        for database, place in (("duckdb", step.tables), ("postgres", url)):
            views = Views.open(engine, place)
            for name, parameters in _ASKED.items():
                seconds = []
                for _ in range(step.runs):
                    started = time.perf_counter()
                    getattr(views, name)(**parameters)
                    seconds.append(time.perf_counter() - started)
                result[f"{name} in {database}"] = min(seconds)
    return result
