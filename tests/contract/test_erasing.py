"""What a store offers to those who erase, and to those who drop a parked line."""

from __future__ import annotations

from io import BytesIO

from bowtie import Bowtie
from bowtie.stores.rows import Snapshot
from tests.logs import log, wire


def _ingest(engine: Bowtie, *lines: bytes) -> None:
    engine.ingest(BytesIO(log(*lines)))


def test_keys_claims_and_snapshots_go_by_name(engine: Bowtie) -> None:
    with engine.store.writing() as tx:
        tx.insert_keys([("customer/a", b"1"), ("customer/b", b"2"), ("customer/c", b"3")])
        for alias, stream in (("x", "customer/a"), ("y", "customer/b"), ("z", "customer/c")):
            tx.set_claim(alias, stream)
        for stream in ("customer/a", "customer/b"):
            tx.set_snapshot(stream, Snapshot(1, "s", b"{}"))

    with engine.store.writing() as tx:
        assert tx.delete_keys(["customer/a", "customer/none"]) == 1
        assert tx.delete_claims(["y"], ["customer/a"]) == 2
        tx.drop_snapshots(["customer/a"])
        tx.rewrite_secrets()
        assert [tx.claim(alias) for alias in "xyz"] == [None, None, "customer/c"]
    assert engine.store.keys() == {"customer/b": b"2", "customer/c": b"3"}
    assert engine.store.snapshot("customer/a") is None
    assert engine.store.snapshot("customer/b") is not None
    assert engine.store.scrub()


def test_the_forgotten_are_known_by_their_hashes(engine: Bowtie) -> None:
    with engine.store.writing() as tx:
        assert not tx.any_forgotten()
        tx.insert_forgotten(["a", "b"])
        tx.insert_forgotten(["b"])
        assert tx.any_forgotten()
        assert tx.forgotten(["b", "c"]) == {"b"}
    assert set(engine.store.forgotten()) == {"a", "b"}


def test_a_dropped_line_leaves_its_reason_and_stays_away(engine: Bowtie) -> None:
    bad = wire("1", "tuched")
    _ingest(engine, bad, wire("2", "tuched"), wire("3", time="2026-01-01T00:00:00"))
    with engine.store.writing() as tx:
        assert tx.drop_parked([1, 3, 99], b"note") == 2

    assert [line.parked_id for line in engine.store.parked()] == [2]
    assert engine.store.parked_line(1) is None
    assert engine.store.parked_line(2) is not None
    assert engine.store.dropped_counts() == {"naive_time": 1, "unknown_type": 1}
    assert {(line.line, line.note) for line in engine.store.dropped()} == {
        (1, b"note"),
        (3, b"note"),
    }
    _ingest(engine, bad)
    assert engine.store.parked_counts() == {"unknown_type": 1}


def test_events_of_some_topics(engine: Bowtie) -> None:
    _ingest(
        engine,
        wire("1"),
        wire("2", "identity_linked", data={"alias": "b"}),
        wire("3"),
        wire("4", "identity_linked", "z", data={"alias": "y"}),
    )
    found = list(engine.store.states_of(["identity_linked", "noted"]))
    assert [(one.position, one.stream) for one in found] == [
        (2, "customer/acme"),
        (4, "customer/z"),
    ]
    assert [one.position for one in engine.store.states_of(["identity_linked"], 2)] == [4]
