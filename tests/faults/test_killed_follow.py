"""A follower killed at any moment, and writers that never rest: no event is missed, none is twice."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from bowtie import Bowtie
from bowtie_projections import tables_of
from bowtie_projections.replay import replay
from tests.faults.killing import ROUNDS
from tests.faults.test_killed_replay import rows_of

#: As often as the other kinds of work are killed.
KILLS = ROUNDS
WRITERS, EVENTS = 8, 40

_WRITER = """
import sys, random
from bowtie import Bowtie, Noted, Retracted, Touched
url, name, count = sys.argv[1], sys.argv[2], int(sys.argv[3])
chance = random.Random(name)
with Bowtie.open(url, create=False) as engine:
    for number in range(count):
        key = f"c{chance.randrange(20)}"
        event = Touched(channel=name, direction="inbound")
        if number % 3 == 1:
            event = Noted(name="lead_created", properties={"by": name})
        engine.record(key, event, source=name, id=str(number))
        if number % 7 == 6:
            engine.record(key, Retracted(of_source=name, of_id=str(number)), source=name)
"""


def _start(*words: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, *words], stdout=subprocess.PIPE)


def _follow(url: str) -> subprocess.Popen[bytes]:
    return _start("-m", "bowtie_cli", "--store", url, "replay", "--follow", "--poll", "0", "--json")


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """An empty store, its tables in the database that goes with it."""
    found = f"sqlite:///{tmp_path / 'journeys.db'}"
    if request.param == "postgresql":
        found = request.getfixturevalue("postgres_url")
    Bowtie.open(found).close()
    return found


def _end(process: subprocess.Popen[bytes], how: signal.Signals) -> None:
    process.send_signal(how)
    process.communicate(timeout=60)


def _equal_a_rebuild(url: str) -> int:
    """How many events the tables hold, all of them as a rebuild makes them."""
    with Bowtie.open(url) as engine:
        tables = tables_of(None, engine)
        found = rows_of(tables)
        replay(engine.store, tables, engine.definition, rebuild=True)
        assert found == rows_of(tables)
    return len(found["events"])


def test_eight_writers_and_no_event_is_missed(url: str) -> None:
    """The follower alone brings the tables to the end; then they equal a rebuild."""
    follower = _follow(url)
    writers = [_start("-c", _WRITER, url, f"w{number}", str(EVENTS)) for number in range(WRITERS)]
    for writer in writers:
        writer.communicate(timeout=300)
        assert writer.returncode == 0
    with Bowtie.open(url) as engine:
        head = engine.store.head()
        standing = tables_of(None, engine).standing
        end = time.monotonic() + 60
        while (found := standing()) is None or found.position < head:
            assert time.monotonic() < end
            time.sleep(0.1)
    _end(follower, signal.SIGTERM)
    assert follower.returncode == 0
    assert _equal_a_rebuild(url) == head == WRITERS * (EVENTS + EVENTS // 7)


def test_a_follower_killed_at_any_moment_is_followed_by_the_next(url: str, tmp_path: Path) -> None:
    """Whatever it was doing, and while two writers go on."""
    chance = random.Random(7)
    writers = [_start("-c", _WRITER, url, name, str(KILLS * 60)) for name in ("a", "b")]
    for _ in range(KILLS):
        follower = _follow(url)
        assert follower.stdout is not None
        follower.stdout.readline()  # at the earliest, the first round is done
        time.sleep(chance.uniform(0, 0.6))
        _end(follower, signal.SIGKILL)
    for writer in writers:
        writer.kill()
        writer.communicate()
    last = _follow(url)
    assert last.stdout is not None
    last.stdout.readline()
    _end(last, signal.SIGINT)
    assert _equal_a_rebuild(url) > 0
    left = {path.name for path in tmp_path.iterdir() if path.suffix in (".next", ".wal")}
    assert not left
