"""Many writers at once lose nothing, on every database that several can write to."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections import Counter
from pathlib import Path

import pytest

from bowtie import Bowtie, Touched
from bowtie.errors import BowtieError
from bowtie.verifying import verify_log
from tests.conftest import ROOT
from tests.logs import log, wire

WRITERS, EACH = 8, 20
TOUCH = Touched(channel="web", direction="inbound")

#: Records to streams that all writers share, then takes in a file that all of them take in.
PROGRAM = """
import sys
from bowtie import Bowtie, Touched
url, name, each, file = sys.argv[1:]
with Bowtie.open(url) as engine:
    for n in range(int(each)):
        touch = Touched(channel="web", direction="inbound")
        engine.record(f"c{n % 3}", touch, source=name, id=str(n))
    engine.ingest(file)
"""


@pytest.fixture(params=["sqlite", "postgres"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "postgres":
        found: str = request.getfixturevalue("postgres_url")
        return found
    return f"sqlite:///{tmp_path / 'journeys.db'}"


def _check(engine: Bowtie, expected: int) -> None:
    """Each event once, positions without gaps, streams without holes."""
    states = list(engine.store.states())
    assert [one.position for one in states] == list(range(1, expected + 1))
    assert len({(one.source, one.id) for one in engine.events()}) == expected
    for stream, count in Counter(one.stream for one in states).items():
        versions = [one.version for one in engine.store.stream(stream)]
        assert versions == list(range(1, count + 1))
    times = [one.recorded_at or 0 for one in states]
    assert times == sorted(times)
    assert list(verify_log(engine.store)) == []


def test_threads_that_share_an_engine(url: str) -> None:
    with Bowtie.open(url) as engine:
        failed: list[BowtieError] = []

        def write(name: str) -> None:
            try:
                for n in range(EACH):
                    engine.record(f"c{n % 3}", TOUCH, source=name, id=str(n))
            except BowtieError as error:
                failed.append(error)

        threads = [threading.Thread(target=write, args=(f"w{n}",)) for n in range(WRITERS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

        assert failed == []
        _check(engine, WRITERS * EACH)


def test_processes(url: str, tmp_path: Path) -> None:
    """What each records, and one file that all of them take in: each event once."""
    file = tmp_path / "log.jsonl"
    file.write_bytes(log(*(wire(f"e{n}", subject=f"c{n % 7}") for n in range(300))))
    with Bowtie.open(url) as engine:
        started = [
            subprocess.Popen(
                [sys.executable, "-c", PROGRAM, url, f"w{n}", str(EACH), str(file)],
                cwd=ROOT,
                stderr=subprocess.PIPE,
                text=True,
            )
            for n in range(WRITERS)
        ]
        told = [process.communicate(timeout=300)[1] for process in started]

        assert [process.returncode for process in started] == [0] * WRITERS, told
        _check(engine, WRITERS * EACH + 300)
