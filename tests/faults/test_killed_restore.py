"""A restore killed at any moment goes on where it stopped; a store may be killed while it is made."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bowtie import Bowtie
from bowtie.errors import StoreMissing
from tests.faults.killing import ROUNDS, Victim, problems_of
from tests.logs import log, wire

_RESTORE = """
import sys
from bowtie import Bowtie
from bowtie.logs import lines
lines.CHUNK_LINES = 50
print("ready", flush=True)
with Bowtie.open(sys.argv[1]) as engine:
    if engine.store.meta().get("restoring") or engine.store.head() == 0:
        engine.restore(sys.argv[2])
"""


@pytest.mark.parametrize("database", ["sqlite", "postgresql"])
def test_a_killed_restore_goes_on_where_it_stopped(
    database: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    request: pytest.FixtureRequest,
) -> None:
    """With the same times of recording as in the export."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    export, plain = tmp_path / "export.jsonl", tmp_path / "plain.jsonl"
    traits = {"traits": {"email": "ada@example.org", "plan": "pro"}}
    plain.write_bytes(
        log(
            *(wire(f"e{n}", subject=f"c{n % 97}") for n in range(4_000)),
            *(wire(f"t{n}", "traits_observed", f"c{n}", data=traits) for n in range(97)),
        )
    )
    with Bowtie.open("memory://") as source:
        source.ingest(plain)
        whole = [json.dumps(line) for line in source.export()]
    export.write_text("\n".join(whole) + "\n")
    url = f"sqlite:///{tmp_path / 'journeys.db'}"
    if database == "postgresql":
        url = request.getfixturevalue("postgres_url")
    victim = Victim(_RESTORE, database)
    for _ in range(ROUNDS):
        victim.kill(url, str(export), within=0.8)
    victim.run(url, str(export))
    with Bowtie.open(url) as engine:
        assert whole[1:] == [json.dumps(line) for line in engine.export()][1:]
    assert problems_of(url) == []


def test_a_store_killed_while_it_is_made_can_be_made_again(tmp_path: Path) -> None:
    """An empty file and a key file are no harm."""
    path = tmp_path / "journeys.db"
    path.touch()
    with Bowtie.open(f"sqlite:///{path}") as engine:
        assert engine.store.head() == 0
    with pytest.raises(StoreMissing):
        Bowtie.open(f"sqlite:///{tmp_path / 'other.db'}", create=False)
