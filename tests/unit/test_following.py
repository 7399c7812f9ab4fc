"""Following a log: what each round brings, what it waits out, and how it ends."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from bowtie import Bowtie, Touched
from bowtie.errors import EventSkipped, StoreAway, StoreBusy, TablesError, TablesForeign
from bowtie_projections import Views, follow, following, tables_of
from bowtie_projections.replay import ReplayReport, replay
from tests.unit.test_skipping import broken_store

TOUCH = Touched(channel="web", direction="inbound")


class Follower:
    """A follower in a thread of its own, with a connection of its own."""

    def __init__(self, url: str, **options: object) -> None:
        self.url, self.options = url, options
        self.stop = threading.Event()
        self.rounds: list[ReplayReport] = []
        self.troubles: list[str] = []
        self.ended: Any = None

    def run(self) -> None:
        try:
            with Bowtie.open(self.url) as engine:
                self.ended = follow(
                    engine,
                    stop=self.stop,
                    on_round=self.rounds.append,
                    on_trouble=self.troubles.append,
                    **self.options,  # type: ignore[arg-type]
                )
        except Exception as error:  # noqa: BLE001 - told to the test
            self.ended = error


@contextmanager
def follower(url: str, **options: object) -> Iterator[Follower]:
    one = Follower(url, **options)
    thread = threading.Thread(target=one.run)
    thread.start()
    try:
        yield one
    finally:
        one.stop.set()
        thread.join(30)
        assert not thread.is_alive()


def until(holds: Callable[[], object], seconds: float = 20) -> None:
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, "it never came about"
        time.sleep(0.02)


@pytest.fixture
def url(tmp_path) -> str:
    return f"sqlite:///{tmp_path / 'b.db'}"


def test_what_is_recorded_comes_into_the_tables_by_itself(url):
    with Bowtie.open(url) as engine, follower(url) as one:
        until(lambda: one.rounds)
        (event,) = engine.record("acme", TOUCH)
        views = Views.open(engine, refresh=False)
        views.wait_until(event.position)
        assert views.stock().rows()[0]["customers"] == 1
    assert (one.ended.events, one.ended.position, one.ended.rounds) == (1, 1, 1)
    assert [report.events for report in one.rounds] == [0, 1]


def test_many_small_commits_are_few_rounds(url):
    with Bowtie.open(url) as engine, follower(url, poll=0.5) as one:
        until(lambda: one.rounds)
        for _ in range(100):
            engine.record("acme", TOUCH)
        until(lambda: sum(report.events for report in one.rounds) == 100)
    assert one.ended.rounds < 20


def test_readers_get_in_while_events_keep_coming(url):
    with Bowtie.open(url) as engine, follower(url, poll=0) as one:
        until(lambda: one.rounds)
        done = threading.Event()

        def write() -> None:
            with Bowtie.open(url) as own:
                while not done.is_set():
                    own.record("acme", TOUCH)

        writer = threading.Thread(target=write)
        writer.start()
        try:
            seen = [0]
            while len(set(seen)) < 5:
                time.sleep(0.05)
                views = Views.open(engine, refresh=False, wait=5)
                seen.append(views.sql("SELECT count(*) AS n FROM touched").rows()[0]["n"])
        finally:
            done.set()
            writer.join()
    assert seen == sorted(seen)


def test_tables_that_a_reader_holds_are_waited_for(url, monkeypatch):
    monkeypatch.setattr(following, "_WAIT", 0.1)
    with Bowtie.open(url) as engine:
        engine.record("acme", TOUCH)
        Views.open(engine)
        tables = tables_of(None, engine)
        with tables.read(), follower(url) as one:
            engine.record("acme", TOUCH)
            until(lambda: one.troubles)
            time.sleep(0.5)
            assert len(one.troubles) == 1
            assert "held by" in one.troubles[0]
        with follower(url) as one:
            until(lambda: one.rounds)
        standing = tables.standing()
        assert standing is not None
        assert standing.position == 2


class Shaky:
    """A store that can't be read now and then."""

    def __init__(self, store, error=StoreAway) -> None:
        self._store, self._error, self.away = store, error, False

    def __getattr__(self, name):
        if self.away and name in ("head", "changed", "batches", "hash_at"):
            raise self._error("db:5432 can't be read now")
        return getattr(self._store, name)


@pytest.mark.parametrize("error", [StoreAway, StoreBusy])
def test_a_store_that_can_not_be_read_is_waited_for_and_told_once(url, error):
    with Bowtie.open(url) as engine:
        engine.store = shaky = Shaky(engine.store, error)
        one = Follower(url)
        thread = threading.Thread(
            target=lambda: follow(
                engine, stop=one.stop, on_round=one.rounds.append, on_trouble=one.troubles.append
            )
        )
        with Bowtie.open(url) as other:
            thread.start()
            until(lambda: one.rounds)
            shaky.away = True
            until(lambda: one.troubles)
            other.record("acme", TOUCH)
            time.sleep(1)
            assert one.troubles == ["db:5432 can't be read now; trying again"]
            shaky.away = False
            until(lambda: len(one.rounds) == 2)
            until(lambda: len(one.troubles) == 2)
            assert one.troubles[1].startswith("going on from position")
        one.stop.set()
        thread.join(30)


def test_a_server_that_never_was_there_is_an_error(url):
    with Bowtie.open(url) as engine:
        engine.store = shaky = Shaky(engine.store)
        shaky.away = True
        with pytest.raises(StoreAway):
            follow(engine, f"{url}.duckdb", stop=threading.Event())


def test_it_ends_at_what_waiting_will_not_mend(tmp_path, url):
    with Bowtie.open(f"sqlite:///{tmp_path / 'other.db'}") as other:
        Views.open(other, tmp_path / "t.duckdb")
    with Bowtie.open(url) as engine, pytest.raises(TablesForeign):
        follow(engine, tmp_path / "t.duckdb", stop=threading.Event())
    broken = broken_store(tmp_path / "broken")
    with Bowtie.open(broken) as engine, pytest.raises(EventSkipped):
        follow(engine, stop=threading.Event(), strict=True)
    with follower(broken) as one:
        until(lambda: one.rounds)
    assert one.ended.skipped == 1


def test_tables_of_a_newer_version_are_not_followed(tmp_path, url):
    import duckdb

    with Bowtie.open(url) as engine:
        engine.record("acme", TOUCH)
        Views.open(engine)
        with duckdb.connect(str(tmp_path / "b.duckdb")) as connection:
            connection.execute("UPDATE bowtie_tables SET schema_minor = schema_minor + 1")
        with pytest.raises(TablesError, match="newer version"):
            follow(engine, stop=threading.Event())


def test_a_long_round_ends_between_two_batches(url, monkeypatch):
    stop = threading.Event()
    with Bowtie.open(url) as engine:
        Views.open(engine)
        for _ in range(10):
            engine.record("acme", TOUCH)

        whole = replay

        def by_two(*args, **options):
            progress = options.pop("progress")

            def counted(done: int, todo: int) -> None:
                if done >= 4:
                    stop.set()
                progress(done, todo)

            return whole(*args, **options, progress=counted, batch=2)

        monkeypatch.setattr(following, replay.__name__, by_two)
        report = follow(engine, stop=stop)
        assert (report.rounds, report.position) == (0, 4)
        standing = tables_of(None, engine).standing()
        assert standing is not None
        assert standing.position == 4
