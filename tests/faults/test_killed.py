"""SIGKILL at any moment, of whatever writes, over both databases: nothing lost, nothing twice.

``make test-all`` kills each kind of work 50 times on each database.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest

from bowtie import Bowtie, Touched
from bowtie.parked import list_parked
from bowtie_projections import tables_of
from bowtie_projections.replay import replay
from tests.faults.killing import ROUNDS, Victim, problems_of
from tests.logs import contract, log, wire

_ENGINE = """
import sys
from bowtie import Bowtie, Touched, TraitsObserved
from bowtie_projections import tables_of
from bowtie_projections.replay import replay
engine = Bowtie.open(sys.argv[1], create=False)
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


def _lines() -> Iterator[bytes]:
    """Lines of a log for ever, each its own event; some sealed, some out of sequence, some wrong."""
    for n in count():
        subject = f"c{n % 97}"
        if n % 11 == 0:
            traits = {"traits": {"email": f"{n}@example.org", "plan": "pro"}}
            yield wire(f"e{n}", "traits_observed", subject, data=traits)
        elif n % 13 == 0:
            yield contract(f"e{n}", "contract_changed", "2026-02-01T00:00:00Z")
        elif n % 17 == 0:
            yield b'{"broken": %d' % n
        else:
            yield wire(f"e{n}", subject=subject)


def _fill(url: str, first: int, lines: int, folder: Path) -> None:
    """Ingest some of the lines."""
    source = _lines()
    taken = [line for _, line in zip(range(first + lines), source, strict=False)]
    file = folder / "more.jsonl"
    file.write_bytes(log(*taken[first:]))
    with Bowtie.open(url) as engine:
        engine.ingest(file)


_RECORD = (
    _ENGINE
    + """
print("ready", flush=True)
for number in range(10**9):
    name = f"{sys.argv[2]}-{number}"
    data = Touched(channel="web", direction="inbound")
    if number % 3 == 2:
        data = TraitsObserved(traits={"email": f"{name}@example.org"})
    engine.record(f"c{name}" if number % 2 else "acme", data, source="app", id=name)
    print(name, flush=True)
"""
)


def test_a_writer_killed_at_any_moment(url: str) -> None:
    """What it was told to be recorded is there, in order, and at most one event more."""
    victim = Victim(_RECORD, url.partition(":")[0])
    expected: list[str] = []
    for number in range(ROUNDS):
        expected += victim.kill(url, str(number), within=0.4)
        with Bowtie.open(url) as engine:
            found = [event.id for event in engine.events()]
            assert found[: len(expected)] == expected
            assert len(found) - len(expected) in (0, 1)
            expected = found
            engine.record("acme", Touched(channel="web", direction="inbound"), id=f"after-{number}")
            expected.append(f"after-{number}")
    assert victim.killed
    assert problems_of(url) == []


_INGEST = (
    _ENGINE
    + """
from bowtie import checking
from bowtie.logs import lines
lines.CHUNK_LINES, checking._MANY_LINES, checking._has_room = 150, 1, lambda: True
print("ready", flush=True)
engine.ingest(sys.argv[2])
"""
)


def test_an_ingest_killed_at_any_moment(url: str, tmp_path: Path) -> None:
    """The log, the parked lines with it, is a beginning of what was sent; a rerun goes on."""
    victim, source, sent = Victim(_INGEST, url.partition(":")[0]), _lines(), list[bytes]()
    file, known = tmp_path / "log.jsonl", 0
    within = 0.0
    for number in range(ROUNDS + 1):
        sent += [next(source) for _ in range(1_500)]
        file.write_bytes(log(*sent[max(known - 300, 0) :]))
        if number == 0:
            within = victim.run(url, str(file))
        else:
            victim.kill(url, str(file), within=within)
        known = _is_a_beginning(url, sent)
    assert victim.killed
    victim.run(url, str(file))
    assert _is_a_beginning(url, sent) == len(sent)
    assert problems_of(url) == []


def _is_a_beginning(url: str, sent: list[bytes]) -> int:
    """How many of the lines are in the store: these, and no other."""
    with Bowtie.open(url) as engine:
        events = {event.id for event in engine.events()}
        assert len(events) == engine.store.head()
        parked = {one.raw for one in list_parked(engine.store)}
    known = len(events) + len(parked)
    broken = {line for line in sent[:known] if line.startswith(b'{"broken"')}
    assert parked == broken
    assert events == {json.loads(line)["id"] for line in sent[:known] if line not in broken}
    return known


_CATCH_UP = (
    _ENGINE
    + """
print("ready", flush=True)
replay(engine.store, tables_of(None, engine), engine.definition, batch=200)
"""
)
_REBUILD = (
    _ENGINE
    + """
print("ready", flush=True)
while True:
    replay(engine.store, tables_of(None, engine), engine.definition, rebuild=True, batch=500)
"""
)
_FOLLOW = (
    _ENGINE
    + """
import threading
from bowtie_projections.following import follow
follow(engine, stop=threading.Event(), poll=0, on_round=lambda _: print("ready", flush=True))
"""
)


def _standing(url: str) -> int:
    """Where the tables stand: complete up to there."""
    with Bowtie.open(url) as engine, tables_of(None, engine).read() as reader:
        (found,) = reader.fetch("SELECT count(*) AS events FROM events").to_pylist()
        assert found["events"] == reader.position <= engine.store.head()
        return reader.position


@pytest.mark.parametrize("script", [_CATCH_UP, _REBUILD, _FOLLOW], ids=["replay", "swap", "follow"])
def test_what_fills_the_tables_killed_at_any_moment(url: str, tmp_path: Path, script: str) -> None:
    """They can be read after each kill, never go back, and in the end equal a rebuild."""
    victim = Victim(script, url.partition(":")[0])
    _fill(url, 0, 1_200, tmp_path)
    Victim(_CATCH_UP, "").run(url)
    stood = _standing(url)
    for number in range(ROUNDS):
        _fill(url, 1_200 + number * 600, 600, tmp_path)
        victim.kill(url, within=0.6)
        assert stood <= (stood := _standing(url))
        if number % 10 == 9:
            assert problems_of(url) == []
    assert victim.killed
    assert problems_of(url) == []
    with Bowtie.open(url) as engine:
        replay(engine.store, tables_of(None, engine), engine.definition)
        assert _standing(url) == engine.store.head()
        assert problems_of(url) == []
        replay(engine.store, tables_of(None, engine), engine.definition, rebuild=True)
    assert not list(tmp_path.glob("*.next*"))  # what a killed rebuild leaves goes with the next one
