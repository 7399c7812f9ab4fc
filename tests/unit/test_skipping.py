"""Events that can't be processed: told, counted, or refused; taken in once they can be."""

from __future__ import annotations

import pytest

from bowtie import Bowtie, Touched
from bowtie.errors import EventSkipped, NotReached
from bowtie.stages import load_definition
from bowtie_projections import Views
from bowtie_projections.databases import tables_at
from bowtie_projections.replay import refresh, replay
from tests.strategies import MemoryLog
from tests.unit.test_replay import rows

B2B = load_definition("b2b")
MOVED = b'{"_key":"acme","_at":1767607200000000,"_source":"crm","_id":"x"}\n'


def log(*bad: int, count: int = 20) -> MemoryLog:
    """A log whose events at some positions are of a type that nobody knows."""
    made: list = rows(count)
    for position in bad:
        made[position - 1] = ("moved", MOVED)
    return MemoryLog(made)


@pytest.fixture
def tables(tmp_path):
    return tables_at(tmp_path / "t.duckdb", wait=0)


def ask(tables, sql):
    with tables.read() as reader:
        return [tuple(row.values()) for row in reader.fetch(sql).to_pylist()]


def test_what_is_skipped_is_the_same_in_catching_up_and_from_zero(tables):
    replay(log(4, count=10), tables, B2B)
    report = replay(log(4, 15), tables, B2B, batch=3)
    caught_up = ask(tables, "FROM skipped ORDER BY position")
    assert (report.skipped, [row[0] for row in caught_up]) == (1, [4, 15])
    assert replay(log(4, 15), tables, B2B, rebuild=True).skipped == 2
    assert ask(tables, "FROM skipped ORDER BY position") == caught_up


def test_strict_stops_before_the_batch_and_names_the_event(tables):
    replay(log(count=10), tables, B2B)
    with pytest.raises(EventSkipped, match=r"position 15 \(moved\).*catalogue") as caught:
        replay(log(15), tables, B2B, batch=3, strict=True)
    assert (caught.value.position, caught.value.type) == (15, "moved")
    assert ask(tables, "SELECT max(position), count(*) FROM events") == [(13, 13)]
    assert tables.standing().position == 13
    assert replay(log(15), tables, B2B).skipped == 1


def test_a_strict_rebuild_leaves_the_tables_as_they_are(tables):
    replay(log(count=10), tables, B2B)
    with pytest.raises(EventSkipped):
        replay(log(15), tables, B2B, rebuild=True, strict=True)
    assert tables.standing().position == 10


def test_strict_refuses_what_was_skipped_before(tables):
    replay(log(4), tables, B2B)
    for again in (replay, refresh):
        with pytest.raises(EventSkipped, match="position 4"):
            again(log(4), tables, B2B, strict=True)


def test_strict_refuses_tables_that_are_held(tables, monkeypatch):
    monkeypatch.setattr("bowtie_projections.replay._REFRESH_WAIT", 0)
    replay(log(4, count=10), tables, B2B)
    with tables.read(), pytest.raises(EventSkipped, match="position 4"):
        refresh(log(4), tables, B2B, strict=True)


def test_a_rebuild_takes_in_what_can_be_processed_now(tables):
    replay(log(4), tables, B2B)
    assert replay(log(), tables, B2B, rebuild=True, strict=True).skipped == 0
    assert ask(tables, "SELECT count(*) FROM events") == [(20,)]


def broken_store(folder) -> str:
    """A store with an event that a newer bowtie wrote."""
    import sqlite3

    folder.mkdir(exist_ok=True)
    url = f"sqlite:///{folder / 'b.db'}"
    with Bowtie.open(url) as engine:
        for _ in range(2):
            engine.record("acme", Touched(channel="web", direction="inbound"))
    with sqlite3.connect(folder / "b.db") as connection:
        connection.execute("UPDATE stored_events SET topic = 'moved' WHERE originator_version = 1")
    return url


def test_each_result_says_what_was_skipped_and_strict_views_do_not_open(tmp_path):
    with Bowtie.open(broken_store(tmp_path)) as engine:
        views = Views.open(engine)
        for result in (views.funnel(), views.status(), views.sql("SELECT 1"), views.stock()):
            assert "1 event of the log could not be processed" in " ".join(result.notes)
        assert views.status().meta["skipped"] == 1
        for refreshed in (True, False):
            with pytest.raises(EventSkipped, match="position 1 "):
                Views.open(engine, strict=True, refresh=refreshed)


def test_one_waits_until_the_tables_cover_what_one_wrote(tmp_path):
    touch = Touched(channel="web", direction="inbound")
    with Bowtie.open(f"sqlite:///{tmp_path / 'b.db'}") as engine:
        views = Views.open(engine)
        (event,) = engine.record("acme", touch)
        views.wait_until(event.position)
        assert views.position == event.position
        with pytest.raises(NotReached, match="the log ends at 1"):
            views.wait_until(2, timeout=0.1)
        idle = Views.open(engine, refresh=False)
        (event,) = engine.record("acme", touch)
        with pytest.raises(NotReached, match=r"stands at 1; is replay --follow running\?"):
            idle.wait_until(event.position, timeout=0.1)
        views.refresh()
        idle.wait_until(event.position, timeout=0.1)
        assert idle.position == 2


def test_lag_is_told_in_positions_and_in_time(tmp_path):
    touch = Touched(channel="web", direction="inbound")
    with Bowtie.open(f"sqlite:///{tmp_path / 'b.db'}") as engine:
        Views.open(engine)
        assert not Views.open(engine).lag()
        engine.record("acme", touch, touch)
        idle = Views.open(engine, refresh=False)
        status = idle.status()
        assert (status.meta["head"], status.meta["lag"]) == (2, 2)
        assert 0 <= status.meta["lag_seconds"] < 60
        assert "2 positions behind the log, for " in status.notes[-1]
