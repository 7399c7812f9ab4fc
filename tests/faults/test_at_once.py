"""Two processes that send the same file at once; a notebook that reads while tables are rebuilt."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import duckdb
import psycopg
import pytest

from bowtie import Bowtie
from bowtie.demo import Demo
from bowtie_projections import tables_of
from bowtie_projections.databases.places import PostgresPlace
from bowtie_projections.replay import replay
from tests.faults.killing import ROUNDS, problems_of
from tests.postgres import PostgresServer

_INGEST = """
import json, sys
from bowtie import Bowtie
from bowtie.logs import lines
lines.CHUNK_LINES = 200
with Bowtie.open(sys.argv[1], create=False) as engine:
    print("ready", flush=True)
    sys.stdin.readline()
    print(json.dumps(engine.ingest(sys.argv[2]).as_dict()))
"""


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A new store in a database of each kind."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    found = f"sqlite:///{tmp_path / 'journeys.db'}"
    if request.param == "postgresql":
        found = request.getfixturevalue("postgres_url")
    Bowtie.open(found).close()
    return found


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A log with every kind of flaw in it."""
    path = tmp_path_factory.mktemp("log") / "log.jsonl"
    Demo(customers=60).write(path)
    return path


def test_two_processes_ingest_the_same_file_at_once(url: str, log: Path) -> None:
    """Each event is in the log once, and the reports together say so."""
    with Bowtie.open("memory://") as calm:
        alone = calm.ingest(log)
        expected = {(event.source, event.id) for event in calm.events()}
    command = [sys.executable, "-c", _INGEST, url, str(log)]
    both = [
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) for _ in range(2)
    ]
    for process in both:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
    for process in both:
        assert process.stdin is not None
        process.stdin.write(b"\n")
        process.stdin.flush()
    reports = [json.loads(process.communicate(timeout=120)[0]) for process in both]
    for report in reports:
        assert report["read"] == report["appended"] + report["duplicates"] + report["parked"]
        assert report["read"] == alone.read
    assert sum(report["appended"] for report in reports) == alone.appended
    with Bowtie.open(url) as engine:
        found = [(event.source, event.id) for event in engine.events()]
        assert len(found) == len(set(found)) == alone.appended
        assert set(found) == expected
        assert sum(engine.store.parked_counts().values()) <= alone.parked
    assert problems_of(url) == []


_NOTEBOOK = """
import sys, duckdb
with duckdb.connect(sys.argv[1], read_only=True) as connection:
    print(connection.execute("SELECT count(*) FROM events").fetchone()[0], flush=True)
    sys.stdin.readline()
    print(connection.execute("SELECT count(*), max(position) FROM events").fetchone()[0])
"""


def test_a_notebook_holds_the_file_open_while_it_is_rebuilt(tmp_path: Path, log: Path) -> None:
    """The rebuild doesn't wait for it; it sees the old tables until it opens them again."""
    store = tmp_path / "journeys.db"
    with Bowtie.open(str(store)) as engine:
        engine.ingest(log)
        tables = tables_of(None, engine)
        replay(engine.store, tables, engine.definition)
        position = engine.store.head()
        notebook = subprocess.Popen(
            [sys.executable, "-c", _NOTEBOOK, str(store.with_suffix(".duckdb"))],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        assert notebook.stdout is not None
        assert int(notebook.stdout.readline()) == position
        engine.record("acme", next(engine.events()).data)
        for _ in range(ROUNDS):
            report = replay(engine.store, tables, engine.definition, rebuild=True, wait=0.1)
            assert report.position == position + 1
        out, _ = notebook.communicate(b"\n", timeout=60)
        assert (notebook.returncode, int(out)) == (0, position)
        with duckdb.connect(str(store.with_suffix(".duckdb")), read_only=True) as again:
            assert again.execute("SELECT count(*) FROM events").fetchone() == (position + 1,)
    assert problems_of(str(store)) == []


def test_a_transaction_reads_the_tables_while_they_are_rebuilt(
    postgres_url: str,
    postgres_server: PostgresServer,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    log: Path,
) -> None:
    """One that reads a build sees it to its end, and keeps no rebuild from being put in place."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    with Bowtie.open(postgres_url) as engine, psycopg.connect(postgres_server.url) as notebook:
        engine.ingest(log)
        tables = tables_of(None, engine)
        replay(engine.store, tables, engine.definition)
        position = engine.store.head()
        with tables.read() as reader:
            question = "SELECT count(*) AS events FROM events"
            assert reader.fetch(question).to_pylist() == [{"events": position}]
            engine.record("acme", next(engine.events()).data)
            for _ in range(ROUNDS):
                report = replay(engine.store, tables, engine.definition, rebuild=True)
                assert report.position == position + 1
            assert reader.fetch(question).to_pylist() == [{"events": position}]
        views = PostgresPlace.of(tables.name).schema
        asked = f"SELECT count(*) FROM {views}.events".encode()
        assert notebook.execute(asked).fetchone() == (position + 1,)
        notebook.rollback()
    assert problems_of(postgres_url) == []
