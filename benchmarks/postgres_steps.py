"""Steps of the benchmarks on PostgreSQL, each against the same rows written without us.

The rows are those of the store that the step ``ingest`` made; ``postgres`` names a database.
"""

from __future__ import annotations

import os
import sqlite3
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from steps import Step

_BATCH = 20_000
#: The library sends a batch as one value, and psycopg's pipeline stalls for ever on one over some
#: hundred kilobytes.
_BATCH_OF_LIBRARY = 1_000
Rows = list[tuple[Any, ...]]


def _batches(step: Step) -> Iterator[tuple[int, Rows, Rows]]:
    """The head before, the events, and the ids of each batch."""
    source = sqlite3.connect(step.store)
    (head,) = source.execute("SELECT max(rowid) FROM stored_events").fetchone()
    places = source.execute("SELECT position, hash, content FROM bowtie_ids").fetchall()
    ids = {position: (hashed, position, content) for position, hashed, content in places}
    for after in range(0, min(head, int(step.given.get("most", head))), _BATCH):
        events = source.execute(
            "SELECT originator_id, originator_version, topic, state FROM stored_events"
            " WHERE rowid > ? AND rowid <= ? ORDER BY rowid",
            (after, after + _BATCH),
        ).fetchall()
        yield after, events, [ids[after + n] for n in range(1, len(events) + 1)]
    source.close()


@contextmanager
def _schema(step: Step) -> Iterator[str]:
    """A schema of its own, gone afterwards."""
    import psycopg

    name = f"b{uuid.uuid4().hex[:8]}"
    url = step.given["postgres"]
    try:
        yield name
    finally:
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute(f"DROP SCHEMA IF EXISTS {name} CASCADE".encode())


def _named(url: str, schema: str) -> str:
    return f"{url}{'&' if '?' in url else '?'}schema={schema}"


@contextmanager
def _engine(step: Step, schema: str) -> Iterator[Any]:
    from bowtie import Bowtie

    with tempfile.TemporaryDirectory() as folder:
        os.environ["XDG_CONFIG_HOME"] = folder  # its key need not outlive the step
        with Bowtie.open(_named(step.given["postgres"], schema)) as engine:
            yield engine


def postgres_events(step: Step) -> dict[str, Any]:
    """The events alone, which is all that the library writes."""
    seconds, count = 0.0, 0
    with _schema(step) as schema, _engine(step, schema) as engine:
        for _, events, _ids in _batches(step):
            started = time.perf_counter()
            with engine.store.writing() as tx:
                tx.insert_events(events)
            seconds += time.perf_counter() - started
            count += len(events)
    return {"events": count, "seconds": seconds}


def postgres_append(step: Step) -> dict[str, Any]:
    """Events, ids and a seal for each batch, as an ingest writes them."""
    from bowtie.seals import first_seal, next_seal
    from bowtie.stores.rows import CommitRow

    seconds, count = 0.0, 0
    with _schema(step) as schema, _engine(step, schema) as engine:
        for after, events, ids in _batches(step):
            started = time.perf_counter()
            with engine.store.writing() as tx:
                tx.insert_events(events)
                tx.insert_ids({hashed: (position, content) for hashed, position, content in ids})
                previous = tx.last_seal or first_seal(engine.store.store_id)
                positions = range(after + 1, tx.head + 1)
                seal = next_seal(previous, tx.head, tx.recorded_at, positions, events)
                tx.insert_commits([CommitRow(tx.head, tx.recorded_at, seal)])
            seconds += time.perf_counter() - started
            count += len(events)
    return {"events": count, "seconds": seconds}


def postgres_copy(step: Step) -> dict[str, Any]:
    """The same rows into the same two tables with their indexes, with COPY and nothing else."""
    import psycopg

    seconds, count = 0.0, 0
    with (
        _schema(step) as schema,
        _engine(step, schema),
        psycopg.connect(step.given["postgres"]) as connection,
    ):
        cursor = connection.cursor()
        for after, events, ids in _batches(step):
            numbered = [(*row, after + n) for n, row in enumerate(events, 1)]
            started = time.perf_counter()
            _copy(
                cursor,
                f"{schema}.stored_events",
                ("text", "int8", "text", "bytea", "int8"),
                numbered,
            )
            _copy(cursor, f"{schema}.bowtie_ids", ("bytea", "int8", "bytea"), ids)
            connection.commit()
            seconds += time.perf_counter() - started
            count += len(events)
    return {"events": count, "seconds": seconds}


def _copy(cursor: Any, table: str, types: tuple[str, ...], rows: Rows) -> None:
    with cursor.copy(f"COPY {table} FROM STDIN (FORMAT BINARY)".encode()) as copy:
        copy.set_types(types)
        for row in rows:
            copy.write_row(row)


def postgres_library(step: Step) -> dict[str, Any]:
    """The eventsourcing library's own recorder, in batches, without ids."""
    import psycopg
    from eventsourcing.persistence import StoredEvent
    from eventsourcing.postgres import PostgresApplicationRecorder, PostgresDatastore

    seconds, count = 0.0, 0
    with _schema(step) as schema, _library(step, schema, PostgresDatastore) as datastore:
        with psycopg.connect(step.given["postgres"], autocommit=True) as connection:
            connection.execute(f"CREATE SCHEMA {schema}".encode())
        recorder = PostgresApplicationRecorder(datastore)
        recorder.create_table()
        for _, rows, _ids in _batches(step):
            events = [StoredEvent(*row) for row in rows]
            started = time.perf_counter()
            for first in range(0, len(events), _BATCH_OF_LIBRARY):
                recorder.insert_events(events[first : first + _BATCH_OF_LIBRARY])
            seconds += time.perf_counter() - started
            count += len(rows)
    return {"events": count, "seconds": seconds}


@contextmanager
def _library(step: Step, schema: str, kind: Any) -> Iterator[Any]:
    from psycopg.conninfo import conninfo_to_dict

    given = conninfo_to_dict(step.given["postgres"])
    datastore = kind(
        given.get("dbname", "postgres"),
        given.get("host", ""),
        given.get("port", "5432"),
        given.get("user", ""),
        given.get("password", ""),
        schema=schema,
        originator_id_type="text",
    )
    try:
        yield datastore
    finally:
        datastore.close()


def postgres_ingest(step: Step) -> dict[str, Any]:
    """Take the log in, with every guarantee that is on by default; then replay it to DuckDB."""
    from bowtie_projections.databases import tables_at
    from bowtie_projections.replay import replay

    with _schema(step) as schema, _engine(step, schema) as engine:
        started = time.perf_counter()
        report = engine.ingest(step.log)
        seconds = time.perf_counter() - started
        tables = tables_at(str(step.folder / "from-postgres.duckdb"))
        replayed = replay(engine.store, tables, engine.definition).seconds
        return {"events": report.appended, "seconds": seconds, "replay_seconds": replayed}


POSTGRES_STEPS: dict[str, Callable[[Step], dict[str, Any]]] = {
    function.__name__: function
    for function in (
        postgres_events,
        postgres_append,
        postgres_copy,
        postgres_library,
        postgres_ingest,
    )
}
