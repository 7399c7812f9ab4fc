"""After forgetting, no file holds the text, nor the key that opened it; and no figure has moved."""

from __future__ import annotations

import json
import random
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from bowtie import Bowtie
from bowtie.stores.postgres_url import PostgresUrl
from bowtie_projections import Views
from tests.logs import log, wire
from tests.postgres import PostgresServer

_MARK = "Qz7-personal-Qz7"


def _lines() -> list[bytes]:
    """Forty customers with personal fields, each a lead, half of them signed; some lines refused."""
    lines = []
    for number in range(40):
        key, day = f"c{number:02d}", f"2026-01-{number % 28 + 1:02d}T10:00:00Z"

        def add(name: str, type_name: str, data: dict[str, Any], **more: Any) -> None:
            lines.append(wire(f"{key}-{name}", type_name, key, day, data, **more))  # noqa: B023

        add("t", "touched", {"channel": "web" if number % 3 else "fair", "direction": "inbound"})
        add("l", "noted", {"name": "lead_created"}, authid=f"{_MARK} actor {key}")
        add(
            "p",
            "traits_observed",
            {"traits": {"email": f"{_MARK} {key}", "plan": f"p{number % 2}"}},
        )
        add("i", "identity_linked", {"alias": f"{_MARK}-alias-{key}"})
        add("x", "tuched", {"channel": f"{_MARK} {key}"})
        if number % 2:
            money = {"amount": "100.00", "per": "month", "currency": "EUR", "starts_on": day[:10]}
            add("c", "contract_signed", {"contract": key, "kind": "paid", **money})
    return lines


def _files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


def _figures(engine: Bowtie) -> list[Any]:
    with Views.open(engine) as views:
        asked = [
            views.funnel(by=["channel"]),
            views.stock(),
            views.stock(definition="shop/1"),
            views.sql("SELECT * EXCLUDE (events) FROM (SELECT type, count(*) AS events FROM events"
                      " WHERE type <> 'forgotten' GROUP BY type ORDER BY type)"),
            views.sql("SELECT * FROM journeys ORDER BY customer, cycle"),
        ]  # fmt: skip
        return [(answer.rows(), answer.meta.get("as_of")) for answer in asked]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A store whose pages of keys were split and merged, by a build that wipes nothing."""
    file = tmp_path / "in" / "log.jsonl"
    file.parent.mkdir()
    file.write_bytes(log(*_lines()))
    with Bowtie.open(f"sqlite:///{tmp_path / 'journeys.db'}") as engine:
        engine.ingest(file)
    with closing(sqlite3.connect(tmp_path / "journeys.db", isolation_level=None)) as database:
        database.execute("PRAGMA secure_delete=OFF")
        for table in ("bowtie_keys", "bowtie_parked"):
            rows = database.execute(f"SELECT * FROM {table}").fetchall()
            database.execute(f"DELETE FROM {table}")
            random.Random(7).shuffle(rows)
            marks = ",".join("?" * len(rows[0]))
            for row in rows:
                database.execute(f"INSERT INTO {table} VALUES ({marks})", row)
    return tmp_path


def test_no_file_holds_what_opened_the_text(folder: Path) -> None:
    with Bowtie.open(str(folder / "journeys.db")) as engine:
        figures = _figures(engine)
        gone = [f"c{number:02d}" for number in range(0, 40, 5)]
        secrets = {key: engine.store.keys([f"customer/{key}"])[f"customer/{key}"] for key in gone}
        subjects = {engine.store.secrets.alias_hash(key) for key in gone}
        lines = [one.sealed for one in engine.store.parked() if one.subject in subjects]
        stay = engine.store.keys(["customer/c01"])["customer/c01"]
        assert len(lines) == len(gone)

        for key in gone:
            done = engine.forget(key)
            assert (done.scrubbed, done.erased.keys, done.erased.parked) == (True, 1, 1)
        assert _figures(engine) == figures
        exported = [json.dumps(line) for line in engine.export(reveal=True)]
        files = _files(folder)

    everything = b"".join(files.values())
    assert stay in everything, "the search finds what is there"
    assert [key for key, wrapped in secrets.items() if wrapped in everything] == []
    assert [line for line in lines if line in everything] == []
    assert _MARK.encode() not in everything
    assert files.get("journeys.db-wal", b"") == b""
    for key in gone:
        assert not [line for line in exported if f"{_MARK} {key}" in line]
    assert any(_MARK in line for line in exported)


def test_a_reader_that_keeps_the_journal_is_said(folder: Path) -> None:
    """A reader's transaction needs the old pages: they stay until it ends, and that is told."""
    path = folder / "journeys.db"
    with Bowtie.open(str(path)) as engine:
        wrapped = engine.store.keys(["customer/c03"])["customer/c03"]
        with closing(sqlite3.connect(path, isolation_level=None)) as reader:
            reader.execute("BEGIN")
            reader.execute("SELECT count(*) FROM stored_events").fetchone()
            assert engine.forget("c03").scrubbed is False
        assert engine.forget("c03").scrubbed is True
        assert wrapped not in b"".join(_files(folder).values())


def test_postgresql_writes_its_tables_to_new_files(
    postgres_server: PostgresServer, postgres_url: str, tmp_path: Path
) -> None:
    """All files of the server but its own journal, which only the server's keeper can wipe."""
    file = tmp_path / "log.jsonl"
    file.write_bytes(log(*_lines()))
    with Bowtie.open(postgres_url) as engine:
        engine.ingest(file)
        gone = [f"c{number:02d}" for number in range(0, 40, 5)]
        secrets = {key: engine.store.keys([f"customer/{key}"])[f"customer/{key}"] for key in gone}
        stay = engine.store.keys(["customer/c01"])["customer/c01"]
        files = _server_files(postgres_server.url)
        assert all(wrapped in files for wrapped in secrets.values()), "the search finds them"
        for key in gone:
            assert engine.forget(key).erased.keys == 1
        files = _server_files(postgres_server.url)
    assert stay in files
    assert [key for key, wrapped in secrets.items() if wrapped in files] == []
    assert _MARK.encode() not in files


@pytest.mark.parametrize("looks", ["SELECT 1", "SELECT count(*) FROM {keys}"])
def test_a_dump_taken_meanwhile_holds_all_keys(
    postgres_server: PostgresServer, postgres_url: str, tmp_path: Path, looks: str
) -> None:
    """It sees the tables as they were when it began; what it keeps there is said."""
    import psycopg

    file = tmp_path / "log.jsonl"
    file.write_bytes(log(*_lines()))
    with Bowtie.open(postgres_url) as engine:
        engine.ingest(file)
        before, wrapped = len(engine.store.keys()), engine.store.keys(["customer/c03"])
        keys = f"{PostgresUrl.parse(postgres_url).schema}.bowtie_keys"
        with psycopg.connect(postgres_server.url) as dump:
            dump.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
            dump.execute(looks.format(keys=keys).encode())
            assert engine.forget("c03").scrubbed is False
            found = dump.execute(f"SELECT count(*) FROM {keys}".encode()).fetchone()
            assert found == (before,)
        assert engine.forget("c03").scrubbed is True
    assert wrapped["customer/c03"] not in _server_files(postgres_server.url)


def _server_files(url: str) -> bytes:
    """What the server's tables hold on the disk, once it has written all of it there."""
    import psycopg

    with psycopg.connect(url, autocommit=True) as connection:
        found = connection.execute("SHOW data_directory").fetchone()
        assert found is not None
        connection.execute("CHECKPOINT")
    folder = Path(found[0]) / "base"
    return b"".join(path.read_bytes() for path in folder.rglob("*") if path.is_file())
