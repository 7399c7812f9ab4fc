"""A process killed at any moment of an ingest leaves a store that a rerun completes."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from bowtie import Bowtie
from bowtie.errors import StoreMissing
from tests.logs import contract, log, wire

_INGEST = """
import sys
from bowtie import Bowtie
import bowtie.logs.lines, bowtie.sources
bowtie.logs.lines.CHUNK_LINES = 50
with Bowtie.open(sys.argv[1]) as engine:
    print("ready", flush=True)
    engine.{verb}(sys.argv[2])
"""


def _lines(count: int) -> list[bytes]:
    lines = []
    for n in range(count):
        subject = f"c{n % 97}"
        if n % 11 == 0:
            data = {"traits": {"email": f"{n}@example.org", "plan": "pro"}}
            lines.append(wire(f"e{n}", "traits_observed", subject, data=data))
        elif n % 13 == 0:
            lines.append(contract(f"e{n}", "contract_changed", "2026-02-01T00:00:00Z"))
        elif n % 17 == 0:
            lines.append(b'{"broken": %d' % n)
        else:
            lines.append(wire(f"e{n}", subject=subject))
    return lines


def _what_it_says(engine: Bowtie) -> list[str]:
    """The log, without the times of its recording."""
    events = []
    for event in engine.export(reveal=True):
        event.pop("storedtime", None)
        events.append(json.dumps(event, sort_keys=True))
    return events[1:]


def _kill_while(code: str, url: str, file: Path, delay: float) -> bool:
    process = subprocess.Popen(
        [sys.executable, "-c", code, url, str(file)], stdout=subprocess.PIPE, env=os.environ
    )
    assert process.stdout is not None
    process.stdout.readline()
    time.sleep(delay)
    process.send_signal(signal.SIGKILL)
    process.stdout.close()
    return process.wait() == -signal.SIGKILL


@pytest.mark.parametrize("seed", range(4))
def test_a_rerun_completes_a_killed_ingest(tmp_path: Path, seed: int) -> None:
    """The same log as without the kills, and the same parked lines."""
    file = tmp_path / "log.jsonl"
    file.write_bytes(log(*_lines(6_000)))
    with Bowtie.open("memory://") as calm:
        calm.ingest(file)
        expected, parked = _what_it_says(calm), calm.store.parked_counts()
    url = f"sqlite:///{tmp_path / 'journeys.db'}"
    rng = random.Random(seed)

    killed = [
        _kill_while(_INGEST.format(verb="ingest"), url, file, rng.uniform(0.0, latest))
        for latest in (0.03, 0.1, 0.3, 0.6)  # some early enough for a fast machine
    ]
    with Bowtie.open(url) as engine:
        engine.ingest(file)
        assert expected == _what_it_says(engine)
        assert parked == engine.store.parked_counts()
    assert any(killed)


def test_a_killed_restore_goes_on_where_it_stopped(tmp_path: Path) -> None:
    """With the same times of recording as in the export."""
    export = tmp_path / "export.jsonl"
    with Bowtie.open("memory://") as source:
        source.ingest(_as_file(tmp_path, _lines(6_000)))
        whole = [json.dumps(line) for line in source.export()]
    export.write_text("\n".join(whole) + "\n")
    url = f"sqlite:///{tmp_path / 'restored.db'}"

    for delay in (0.05, 0.2, 0.4):
        _kill_while(_INGEST.format(verb="restore"), url, export, delay)
    with Bowtie.open(url) as engine:
        if engine.store.meta().get("restoring") or engine.store.head() == 0:
            engine.restore(export)
        assert whole[1:] == [json.dumps(line) for line in engine.export()][1:]


def _as_file(folder: Path, lines: list[bytes]) -> Path:
    path = folder / "plain.jsonl"
    path.write_bytes(log(*lines))
    return path


def test_a_store_killed_while_it_is_made_can_be_made_again(tmp_path: Path) -> None:
    """An empty file and a key file are no harm."""
    path = tmp_path / "journeys.db"
    path.touch()
    with Bowtie.open(f"sqlite:///{path}") as engine:
        assert engine.store.head() == 0
    with pytest.raises(StoreMissing):
        Bowtie.open(f"sqlite:///{tmp_path / 'other.db'}", create=False)
