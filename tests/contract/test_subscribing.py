"""Following the log, over every store."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from io import BytesIO
from itertools import islice

import pytest

from bowtie import Bowtie, Touched, TraitsObserved
from bowtie.errors import NotReached, StoreAway
from tests.logs import log, wire

TOUCH = Touched(channel="web", direction="inbound")
JAN = datetime(2026, 1, 5, tzinfo=UTC)


def test_what_is_there_comes_first_and_then_what_comes(engine: Bowtie) -> None:
    """In the order of positions."""
    engine.record("acme", TOUCH, TOUCH)
    events = engine.subscribe()
    assert [event.position for event in islice(events, 2)] == [1, 2]

    with ThreadPoolExecutor(1) as pool:
        following = pool.submit(next, events)
        engine.record("other", TOUCH)
        assert following.result(10).subject == "other"


def test_from_a_position_to_a_position(engine: Bowtie) -> None:
    """And the events are as they are read elsewhere, personal fields opened."""
    engine.record("acme", TOUCH, TraitsObserved(traits={"email": "a@example.org"}), TOUCH, TOUCH)

    found = list(engine.subscribe(after=1, until=3))

    assert found == list(engine.events())[1:3]
    assert found[0].data == TraitsObserved(traits={"email": "a@example.org"})
    assert list(engine.subscribe(after=3, until=3)) == []


def test_more_than_it_reads_at_once(engine: Bowtie) -> None:
    """Nothing is left out at the seams."""
    engine.ingest(BytesIO(log(*(wire(str(n)) for n in range(1201)))))

    assert [one.position for one in engine.subscribe(until=1201)] == list(range(1, 1202))


def test_it_is_stopped_from_another_thread(engine: Bowtie) -> None:
    """While it waits, and between two events."""
    stop = threading.Event()
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(list, engine.subscribe(stop=stop, poll=0.05))
        time.sleep(0.1)
        stop.set()
        assert waiting.result(5) == []

    engine.record("acme", TOUCH, TOUCH)
    stop.clear()
    seen = []
    for event in engine.subscribe(stop=stop):
        seen.append(event)
        stop.set()
    assert len(seen) == 1


def test_no_event_is_missed_with_eight_writers(engine: Bowtie) -> None:
    """Counted by two who follow all the while."""
    writers, each = 8, 25

    def write(writer: int) -> None:
        for number in range(each):
            engine.record(f"c{writer}", TOUCH, id=f"{writer}-{number}", occurred_at=JAN)

    with ThreadPoolExecutor(writers + 2) as pool:
        following = [
            pool.submit(list, engine.subscribe(until=writers * each, poll=0.1)) for _ in range(2)
        ]
        for done in [pool.submit(write, writer) for writer in range(writers)]:
            done.result(60)
        for one in following:
            seen = one.result(60)
            assert [event.position for event in seen] == list(range(1, writers * each + 1))
            assert len({event.id for event in seen}) == writers * each
            for writer in range(writers):  # and each writer's own come in its order
                mine = [event.id for event in seen if event.subject == f"c{writer}"]
                assert mine == [f"{writer}-{number}" for number in range(each)]


def test_a_server_that_is_away_is_waited_for(engine: Bowtie, monkeypatch) -> None:
    """As long as patience lasts; then the error is raised."""
    engine.record("acme", TOUCH)
    answers = iter([StoreAway("gone"), StoreAway("gone")])
    changed = engine.store.changed

    def failing(after: int, timeout: float) -> bool:
        for error in answers:
            raise error
        return changed(after, timeout)

    monkeypatch.setattr(engine.store, "changed", failing)
    assert len(list(engine.subscribe(until=1))) == 1

    answers = iter(lambda: StoreAway("gone"), None)
    with pytest.raises(StoreAway):
        list(engine.subscribe(until=1, patience=0.1))


class TestWaitUntil:
    """Reading one's own writes, or another's."""

    def test_what_is_there_is_not_waited_for(self, engine: Bowtie) -> None:
        """And what comes meanwhile is met."""
        (event,) = engine.record("acme", TOUCH)
        engine.wait_until(event.position, timeout=0)

        with ThreadPoolExecutor(1) as pool:
            waiting = pool.submit(engine.wait_until, 2, 10)
            engine.record("acme", TOUCH)
            assert waiting.result(10) is None

    def test_what_does_not_come_is_said(self, engine: Bowtie) -> None:
        """With where the log stands."""
        engine.record("acme", TOUCH)
        with pytest.raises(NotReached, match="stands at position 1, and did not reach 5"):
            engine.wait_until(5, timeout=0.05)
