"""A damaged store, key or tables file: one line that says so, never a traceback."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import duckdb
import pytest

from bowtie import Bowtie
from bowtie.errors import BowtieError, SealedKeyMissing, StoreError, TablesError, UsageError
from bowtie.parked import list_parked
from bowtie_projections import Views
from tests.logs import log, wire


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """A store with a sealed trait and a parked line."""
    file = tmp_path / "log.jsonl"
    traits = {"traits": {"email": "ada@example.org", "plan": "pro"}}
    file.write_bytes(log(wire("1"), wire("2", "traits_observed", data=traits), b"{"))
    path = tmp_path / "journeys.db"
    with Bowtie.open(str(path)) as engine:
        assert engine.ingest(file).parked == 1
    return path


def _damage(path: Path, sql: str) -> None:
    with closing(sqlite3.connect(path)) as database:
        database.executescript(sql)


def _journey(engine: Bowtie) -> object:
    return engine.journey("acme")


def _export(engine: Bowtie) -> object:
    return list(engine.export())


def _ingest(engine: Bowtie) -> object:
    return engine.record("acme", next(engine.events()).data, actor="ada")


def _parked(engine: Bowtie) -> object:
    return list(list_parked(engine.store))


@pytest.mark.parametrize(
    ("sql", "work"),
    [
        ("DELETE FROM bowtie_meta", _journey),
        ("DELETE FROM bowtie_meta WHERE name = 'store_key'", _journey),
        ("UPDATE bowtie_meta SET value = x'00' WHERE name = 'store_key'", _ingest),
        ("UPDATE bowtie_keys SET wrapped = x'00'", _ingest),
        ("UPDATE bowtie_keys SET wrapped = zeroblob(60)", _ingest),
        ("UPDATE bowtie_parked SET sealed = x'00'", _parked),
        ("UPDATE bowtie_parked SET sealed = zeroblob(60)", _parked),
        ("UPDATE bowtie_commits SET recorded_at = 4611686018427387904", _journey),
        ("DROP TABLE bowtie_commits", _journey),
        ("DROP TABLE stored_events", _journey),
        ("DROP TABLE bowtie_ids", _ingest),
        ("UPDATE stored_events SET state = x'00'", _journey),
        ("UPDATE stored_events SET state = x'00'", _export),
        ("UPDATE stored_events SET state = CAST('{}' AS BLOB)", _journey),
        ("UPDATE stored_events SET state = CAST('[]' AS BLOB)", _journey),
        ("UPDATE stored_events SET topic = 'nonsense'", _export),
    ],
)
def test_a_damaged_store_is_said(store: Path, sql: str, work: Callable[[Bowtie], object]) -> None:
    _damage(store, sql)
    with pytest.raises(StoreError) as caught, Bowtie.open(str(store)) as engine:
        work(engine)
    assert (
        str(store) in str(caught.value)
        or "position" in str(caught.value)
        or "key" in str(caught.value)
    )


@pytest.mark.parametrize("key", [b"\xff\xfe", b"", "é".encode(), b"AAAA"])
def test_a_damaged_key_file_is_said(store: Path, key: bytes) -> None:
    store.with_name("journeys.db.key").write_bytes(key)
    with Bowtie.open(str(store)) as engine, pytest.raises(SealedKeyMissing, match="32 bytes"):
        engine.journey("acme")


def test_a_damaged_key_of_the_environment_is_said(store: Path, monkeypatch) -> None:
    monkeypatch.setenv("BOWTIE_MASTER_KEY", "ключ" * 10)
    with Bowtie.open(str(store)) as engine, pytest.raises(SealedKeyMissing, match="32 bytes"):
        engine.journey("acme")


@pytest.mark.parametrize("cut", [0, 100, 5_000, 20_000])
def test_damaged_tables_say_that_they_can_be_made_anew(store: Path, cut: int) -> None:
    tables = store.with_suffix(".duckdb")
    with Bowtie.open(str(store)) as engine:
        Views.open(engine).close()
        tables.write_bytes(tables.read_bytes()[:cut])
        with pytest.raises(TablesError, match=r"replay makes them anew|replay --rebuild"):
            Views.open(engine)
        tables.unlink()
        with Views.open(engine) as views:
            assert views.funnel().rows()


def test_tables_with_wrong_bytes(store: Path) -> None:
    tables = store.with_suffix(".duckdb")
    with Bowtie.open(str(store)) as engine:
        Views.open(engine).close()
        whole = bytearray(tables.read_bytes())
        whole[12_288:] = b"\x55" * (len(whole) - 12_288)
        tables.write_bytes(whole)
        with pytest.raises(TablesError, match=r"replay makes them anew|replay --rebuild"):
            Views.open(engine)


def test_texts_that_are_no_text(store: Path) -> None:
    """Bytes of the command line that are no UTF-8 come as lone surrogates."""
    with Bowtie.open(str(store)) as engine:
        event = next(engine.events()).data
        names: list[dict[str, Any]] = [{"id": "\udcff"}, {"source": "\udcff"}, {"actor": "\udcff"}]
        for more in names:
            with pytest.raises(BowtieError):
                engine.record("acme", event, **more)
        with pytest.raises(BowtieError):
            engine.record("\udcff", event)
        with pytest.raises(UsageError, match="no customer"):
            engine.journey("\udcff")
        assert list(engine.events("\udcff")) == []


def test_times_beyond_the_years_there_are(store: Path) -> None:
    with Bowtie.open(str(store)) as engine, Views.open(engine, "memory://") as views:
        for moment in ("9999-12-31T23:59:59-14:00", "0001-01-01T00:00:00+14:00"):
            with pytest.raises(UsageError, match="years"):
                views.funnel(as_of=moment)
            with pytest.raises(UsageError, match="years"):
                engine.journey("acme", as_of=moment)


def test_columns_of_one_name_are_all_kept(store: Path) -> None:
    with Bowtie.open(str(store)) as engine, Views.open(engine, "memory://") as views:
        (row,) = views.sql("SELECT 1 AS a, 2 AS a, 3 AS b, 4 AS a, 5 AS a_1").rows()
        assert sorted(row.values()) == [1, 2, 3, 4, 5]
        assert len(duckdb.sql("SELECT 1 AS a, 2 AS a").columns) == 2
