"""A process killed at any moment of a replay leaves tables that a rerun completes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from bowtie import Bowtie
from bowtie.demo import Demo
from bowtie_projections.databases.contract import Tables
from bowtie_projections.databases.duckdb import TablesFile
from bowtie_projections.replay import replay
from bowtie_projections.tables import metadata, position_table
from tests.faults.killing import ROUNDS, Victim

_REPLAY = """
import sys
from bowtie import Bowtie
from bowtie_projections.databases.contract import Tables
from bowtie_projections.databases.duckdb import TablesFile
from bowtie_projections.replay import replay
with Bowtie.open(sys.argv[1], create=False) as engine:
    tables = TablesFile.of(sys.argv[2])
    print("ready", flush=True)
    replay(engine.store, tables, engine.definition, rebuild=sys.argv[3] == "rebuild", batch=300)
"""


def rows_of(tables: Tables) -> dict[str, list[Any]]:
    """All rows of all tables but the time of building, as text."""
    with tables.read() as reader:
        found = {
            table.name: sorted(map(repr, reader.fetch(f"SELECT * FROM {table.name}").to_pylist()))
            for table in metadata.sorted_tables
            if table is not position_table
        }
        found["position"] = [str(reader.position)]
    return found


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A business of 150 customers, duplicates, corrections and malformed lines included."""
    path = tmp_path_factory.mktemp("log") / "log.jsonl"
    Demo(customers=150).write(path)
    return path


@pytest.mark.parametrize("how", ["catch_up", "rebuild"])
def test_a_rerun_completes_a_killed_replay(tmp_path: Path, log: Path, how: str) -> None:
    """The same rows as without the kills; and the tables can be read after each of them."""
    url, tables = f"sqlite:///{tmp_path / 'journeys.db'}", tmp_path / "journeys.duckdb"
    lines = log.read_bytes().splitlines(keepends=True)
    half = tmp_path / "half.jsonl"
    half.write_bytes(b"".join(lines[: len(lines) // 2]))
    victim = Victim(_REPLAY, how)
    with Bowtie.open(url) as engine:
        engine.ingest(half)
        replay(engine.store, TablesFile.of(tables), engine.definition)
        engine.ingest(log)
        for _ in range(ROUNDS):
            victim.kill(url, str(tables), how, within=0.8)
            assert rows_of(TablesFile.of(tables))["position"] != ["0"]
        replay(engine.store, TablesFile.of(tables), engine.definition)
        calm = TablesFile.of("memory://")
        replay(engine.store, calm, engine.definition)

        assert rows_of(calm) == rows_of(TablesFile.of(tables))
