"""PostgreSQL restarted, crashed, its connections killed, while all that there is works with it."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from bowtie import Bowtie, Touched, TraitsObserved
from bowtie.errors import StoreAway
from bowtie.events import Event
from bowtie_projections import tables_of
from bowtie_projections.following import follow
from tests.faults.killing import ROUNDS, problems_of
from tests.logs import log, wire
from tests.postgres import PostgresServer, with_query

_PATIENCE = 120.0


class _Load:
    """Threads that work with one store until they are told to stop; what went wrong in them."""

    def __init__(self, url: str) -> None:
        self.url, self.stop, self.begun = url, threading.Event(), threading.Event()
        self.wrong: list[BaseException] = []
        self.away: list[str] = []
        self.taken: dict[str, list[str]] = {"app": [], "crm": []}
        self.heard: list[int] = []

    @contextmanager
    def at_work(self, *works: Callable[[Bowtie], None]) -> Iterator[None]:
        """Threads that work until the block ends."""
        threads = [threading.Thread(target=self._work, args=(work,)) for work in works]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            self.stop.set()
            for thread in threads:
                thread.join(_PATIENCE)

    def _work(self, work: Callable[[Bowtie], None]) -> None:
        try:
            with Bowtie.open(self.url) as engine:
                work(engine)
        except BaseException as error:  # noqa: BLE001 - all of them are looked at
            self.wrong.append(error)

    def until_taken(self, attempt: Callable[[], object]) -> None:
        """Try again what the server's absence broke off, as its error says."""
        end = time.monotonic() + _PATIENCE
        while True:
            try:
                attempt()
            except StoreAway as error:
                if time.monotonic() > end:
                    raise
                self.away.append(str(error))
                time.sleep(0.05)
            else:
                return

    def record(self, engine: Bowtie) -> None:
        number = 0
        while not self.stop.is_set():
            number += 1
            name = f"r{number}"
            event: Event = Touched(channel="web", direction="inbound")
            if number % 5 == 0:
                event = TraitsObserved(traits={"email": f"{name}@example.org"})
            self.until_taken(
                lambda: engine.record(f"c{number % 9}", event, source="app", id=name)  # noqa: B023
            )
            self.taken["app"].append(name)

    def ingest(self, engine: Bowtie, folder: Path) -> None:
        number, file = 0, folder / "log.jsonl"
        while not self.stop.is_set():
            number += 1
            names = [f"i{number}-{n}" for n in range(300)]
            file.write_bytes(log(*(wire(name, subject=f"c{name[-1]}") for name in names)))
            self.until_taken(lambda: engine.ingest(file))
            self.taken["crm"] += names

    def subscribe(self, engine: Bowtie) -> None:
        for event in engine.subscribe(stop=self.stop, patience=_PATIENCE):
            self.heard.append(event.position)

    def follow(self, engine: Bowtie) -> None:
        begun = self.begun  # a server that never was there is not waited for
        follow(engine, stop=self.stop, poll=0.1, on_round=lambda _: begun.set())


@pytest.mark.parametrize("how", ["connections", "restart", "crash"])
def test_a_server_that_goes_away_under_load(
    postgres_url: str,
    postgres_server: PostgresServer,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    how: str,
) -> None:
    """Writers get an error that says to try again, the others wait; nothing is lost or doubled."""
    if how != "connections" and postgres_server.data is None:
        pytest.skip("the server named in BOWTIE_TEST_POSTGRES can't be restarted by a test")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    # what was told to be recorded survives a crash where the server is set to see to that
    url = with_query(postgres_url, options="-c%20synchronous_commit%3Don")
    Bowtie.open(url).close()
    writers, readers = _Load(url), _Load(url)
    with readers.at_work(readers.subscribe, readers.follow):
        assert readers.begun.wait(_PATIENCE)
        with writers.at_work(writers.record, lambda engine: writers.ingest(engine, tmp_path)):
            _disturb(postgres_server, how, writers)
        assert writers.wrong == []
        head = _until_all_is_read(readers)
    assert readers.wrong == []
    with Bowtie.open(url) as engine:
        found = {
            source: [event.id for event in engine.events() if event.source == source]
            for source in writers.taken
        }
    assert found == writers.taken
    assert readers.heard == list(range(1, head + 1))
    assert problems_of(url) == []
    assert writers.away
    assert all("try again" in one or "can't be reached" in one for one in writers.away)


def _disturb(server: PostgresServer, how: str, writers: _Load) -> None:
    """So many times, and until a writer was in the middle of something, as it may not have been."""
    chance, rounds, end = random.Random(how), 0, time.monotonic() + _PATIENCE
    while rounds < ROUNDS or (not writers.away and time.monotonic() < end):
        rounds += 1
        time.sleep(chance.uniform(0.2, 1.0))
        if how == "connections":
            server.end_sessions()
        else:
            server.restart("fast" if how == "restart" else "immediate")


def _until_all_is_read(readers: _Load) -> int:
    """Until subscriber and follower are at the head of the log; where that is."""
    with Bowtie.open(readers.url) as engine:
        head, tables = engine.store.head(), tables_of(None, engine)
        end = time.monotonic() + _PATIENCE
        while True:
            assert readers.wrong == []
            standing = tables.standing()
            stands = 0 if standing is None else standing.position
            if len(readers.heard) >= head and stands == head:
                return head
            assert time.monotonic() < end, (len(readers.heard), stands, head)
            time.sleep(0.1)
