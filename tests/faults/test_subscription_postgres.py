"""A subscription outlives its connections, and the server."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from threading import Event

import pytest

from bowtie import Bowtie, Touched
from bowtie.errors import StoreAway
from tests.postgres import PostgresServer

JAN = datetime(2026, 1, 5, tzinfo=UTC)
TOUCH = Touched(channel="web", direction="inbound")


def insist(engine: Bowtie, event_id: str) -> None:
    """Record under an id until it is recorded, as an application would."""
    for _ in range(200):
        try:
            engine.record("acme", TOUCH, id=event_id, occurred_at=JAN)
            return
        except StoreAway:
            time.sleep(0.05)
    raise AssertionError("the server never came back")


@pytest.fixture
def durable_server(postgres_server: PostgresServer) -> Iterator[PostgresServer]:
    """The tests' server doesn't wait for its journal, and would lose commits in a crash."""
    for setting in ("on", "off"):
        postgres_server.execute(
            f"ALTER SYSTEM SET synchronous_commit = {setting}", "SELECT pg_reload_conf()"
        )
        if setting == "on":
            yield postgres_server


@pytest.mark.parametrize("fault", ["killed connections", "fast", "immediate"])
def test_no_event_is_missed(fault: str, durable_server: PostgresServer, postgres_url: str) -> None:
    """Whatever breaks while events are recorded and followed."""
    if fault != "killed connections" and durable_server.data is None:
        pytest.skip("the server isn't ours to restart")
    with Bowtie.open(postgres_url) as writer, Bowtie.open(postgres_url) as reader:
        insist(writer, "0")
        with ThreadPoolExecutor(1) as pool:
            stop = Event()
            following = pool.submit(list, reader.subscribe(until=60, stop=stop, poll=0.2))
            try:
                for number in range(1, 60):
                    if number % 20 == 0 and fault == "killed connections":
                        durable_server.end_sessions()
                    elif number == 30 and fault != "killed connections":
                        durable_server.restart(fault)
                    insist(writer, str(number))
                seen = following.result(60)
            finally:
                stop.set()

    assert [event.position for event in seen] == list(range(1, 61))
    assert [event.id for event in seen] == [str(number) for number in range(60)]
