"""One engine used by many threads, and one store by many processes."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path

import pytest

from bowtie import Bowtie, ContractChanged, ContractSigned, Touched, TraitsObserved
from bowtie.errors import StoreBusy
from tests.logs import log, wire

JAN = datetime(2026, 1, 5, tzinfo=UTC)
TOUCH = Touched(channel="web", direction="inbound")
SIGNED = ContractSigned(
    contract="c1", kind="paid", amount="9", per="month", currency="EUR", starts_on="2026-01-07"
)
CHANGED = ContractChanged(contract="c1", kind="price", amount="5", per="month")


def test_eight_threads_record_ingest_and_read(engine: Bowtie) -> None:
    """Nothing is lost, nothing comes twice, versions have no holes, and each reads what it wrote."""

    def work(thread: int) -> None:
        own, shared = f"own-{thread}", "shared"
        for number in range(6):
            event_id = f"{thread}-{number}"
            engine.record(own, TraitsObserved(traits={"email": f"{event_id}@example.org"}))
            engine.record(shared, SIGNED if number == 0 else CHANGED, source=f"t{thread}")
            report = engine.ingest(
                BytesIO(log(wire(event_id, subject=shared), wire("same", subject=shared)))
            )
            assert report.appended + report.duplicates == 2
            journey = engine.journey(own)
            assert journey.version == number + 1
            assert journey.traits["email"] == f"{event_id}@example.org"

    with ThreadPoolExecutor(8) as pool:
        for done in [pool.submit(work, thread) for thread in range(8)]:
            done.result(120)

    events = list(engine.events())
    assert len(events) == 8 * 6 * 3 + 1
    assert [event.position for event in events] == list(range(1, len(events) + 1))
    versions = Counter(event.subject for event in events)
    for subject, count in versions.items():
        seen = [event.version for event in engine.events(subject)]
        assert seen == list(range(1, count + 1))
    assert len({(event.source, event.id) for event in events}) == len(events)
    assert not [event for event in events if event.out_of_sequence]


def test_opening_starts_no_thread(store_url: str) -> None:
    """Neither does a first command."""
    before = set(threading.enumerate())
    with Bowtie.open(store_url) as engine:
        engine.record("acme", TOUCH)
        engine.journey("acme")
        assert set(threading.enumerate()) == before


def test_a_writer_waits_for_another_as_long_as_it_says(engine: Bowtie) -> None:
    """Then it is told that the store is busy, and nothing is recorded."""
    engine.record("acme", TOUCH)
    engine.record("acme", TOUCH)  # now it has read all that a command reads before it writes
    held, release = threading.Event(), threading.Event()

    def hold() -> None:
        with engine.store.writing():
            held.set()
            release.wait(30)

    with ThreadPoolExecutor(1) as pool:
        holding = pool.submit(hold)
        held.wait(30)
        try:
            with pytest.raises(StoreBusy) as caught:
                engine.record("acme", TOUCH, timeout=0.1)
        finally:
            release.set()
        holding.result(30)

    assert caught.value.exit_code == 4
    assert len(engine.record("acme", TOUCH)) == 1
    assert engine.store.head() == 3


WORKER = """
import json, sys
from bowtie import Bowtie, ContractChanged, Touched, TraitsObserved, retrying
url, name = sys.argv[1:]
touch = Touched(channel="web", direction="inbound")
changed = ContractChanged(contract="c1", kind="price", amount="5", per="month")
def count(engine):
    journey = engine.journey("counted")
    more = TraitsObserved(traits={"count": journey.traits["count"] + 1})
    engine.record("counted", more, expected=journey.version)
with Bowtie.open(url, create=False) as engine:
    print("ready", flush=True)
    sys.stdin.readline()
    for number in range(15):
        engine.record("shared", touch, id=f"{name}-{number}")
        engine.record("signed", changed)
        retrying(lambda: count(engine), attempts=500)
"""


@pytest.mark.parametrize("kind", ["sqlite", "postgres"])
def test_several_processes_write_one_store(
    kind: str, tmp_path: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each sees what the others did: versions, rules, and what they expect."""
    monkeypatch.setenv("BOWTIE_MASTER_KEY", "A" * 43 + "=")
    url = f"sqlite:///{tmp_path / 'a.db'}"
    if kind == "postgres":
        url = request.getfixturevalue("postgres_url")
    with Bowtie.open(url) as engine:
        engine.record("signed", SIGNED, occurred_at=JAN)
        engine.record("counted", TraitsObserved(traits={"count": 0}))
        workers = [
            subprocess.Popen(
                [sys.executable, "-c", WORKER, url, f"w{n}"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
            for n in range(4)
        ]
        for worker in workers:
            assert worker.stdout is not None
            assert worker.stdout.readline() == "ready\n"
        for worker in workers:
            assert worker.stdin is not None
            worker.stdin.write("go\n")
            worker.stdin.flush()
        for worker in workers:
            worker.communicate(timeout=120)
            assert worker.returncode == 0
        events = list(engine.events())

        assert len(events) == 2 + 4 * 15 * 3
        assert engine.journey("counted").traits["count"] == 60
        shared = [event for event in events if event.subject == "shared"]
        assert [event.version for event in shared] == list(range(1, 61))
        assert len({event.id for event in shared}) == 60
        engine.record("signed", CHANGED, expected=61)  # and this one's memory is of the past
