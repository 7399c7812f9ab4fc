"""What every store does, whatever database it lies in."""

from __future__ import annotations

from io import BytesIO

import pytest

from bowtie import Bowtie
from bowtie.stores.about import About, StreamHead
from bowtie.stores.contract import Taken
from bowtie.stores.rows import CommitRow, StoredState
from tests.logs import log, wire


def _append(engine: Bowtie, *rows: tuple[str, int, str, bytes]) -> None:
    with engine.store.writing() as tx:
        tx.insert_events(rows)
        tx.insert_commits([CommitRow(tx.head, tx.recorded_at, None)])


def test_a_new_store_is_empty(engine: Bowtie) -> None:
    """Nothing is in it, and asking is no error."""
    store = engine.store

    assert store.head() == 0
    assert list(store.states()) == []
    assert list(store.batches(0, 0, 10)) == []
    assert store.hash_at(0) == ""
    assert len(store.store_id) == 32


def test_positions_follow_each_other_without_gaps(engine: Bowtie) -> None:
    """The total order is the order of the appends."""
    _append(engine, ("customer/a", 1, "touched", b"{}\n"), ("customer/b", 1, "noted", b"{}\n"))
    _append(engine, ("customer/a", 2, "touched", b"{1}\n"))

    assert [state.position for state in engine.store.states()] == [1, 2, 3]
    assert [state.position for state in engine.store.stream("customer/a")] == [1, 3]


def test_a_version_can_be_taken_once(engine: Bowtie) -> None:
    """Two writers can't both write the same version of a stream; nothing of the second stays."""
    _append(engine, ("customer/a", 1, "touched", b"{}\n"))

    with pytest.raises(Taken):
        _append(engine, ("customer/b", 1, "touched", b"{}\n"), ("customer/a", 1, "x", b"{}\n"))

    assert engine.store.head() == 1


def test_an_id_can_be_taken_once(engine: Bowtie) -> None:
    """The whole transaction is rolled back where an id is taken."""
    with engine.store.writing() as tx:
        tx.insert_ids({b"1" * 16: (1, b"c" * 16)})

    with pytest.raises(Taken), engine.store.writing() as tx:
        tx.insert_events([("customer/a", 1, "touched", b"{}\n")])
        tx.insert_ids({b"1" * 16: (2, b"d" * 16)})

    assert engine.store.head() == 0


def test_clashes_leave_the_connection_as_it_was(engine: Bowtie) -> None:
    """However often a transaction fails at an id, the next one is written."""
    with engine.store.writing() as tx:
        tx.insert_ids({b"1" * 16: (1, b"c" * 16)})
    for number in range(1, 11):
        _append(engine, ("customer/a", number, "touched", b"{}\n"))
        with pytest.raises(Taken), engine.store.writing() as tx:
            tx.insert_ids({b"1" * 16: (2, b"d" * 16)})
            tx.insert_commits([CommitRow(99, tx.recorded_at, None)])

    assert engine.store.head() == 10


def test_a_transaction_knows_what_it_is_about(engine: Bowtie) -> None:
    """The heads of its streams come with the first answer; none is missing, and none is another's."""
    _append(engine, ("customer/a", 1, "touched", b"{}\n"), ("customer/a", 2, "noted", b"{}\n"))
    with engine.store.writing() as tx:
        tx.insert_keys([("customer/b", b"wrapped")])
    expected = {
        "customer/a": StreamHead(2, None),
        "customer/b": StreamHead(0, b"wrapped"),
        "customer/c": StreamHead(0, None),
    }

    store_key = engine.store.meta()["store_key"]

    for streams in ([], ["customer/b"], list(expected)):
        with engine.store.writing(about=About(streams, [])) as tx:
            assert tx.stream_heads == {stream: expected[stream] for stream in streams}
            assert tx.head == 2
            assert tx.store_key == store_key


def test_batches_hold_what_states_hold(engine: Bowtie) -> None:
    """Reading by columns and reading one by one agree, in any batch size."""
    rows = [(f"customer/{n % 3}", n // 3 + 1, "noted", b'{"n":%d}\n' % n) for n in range(10)]
    for row in rows:
        _append(engine, row)
    expected = list(engine.store.states())

    for size in (1, 3, 100):
        read: list[tuple[int, str, bytes, int | None]] = []
        for batch in engine.store.batches(0, engine.store.head(), size):
            topics = batch.topics.decode().splitlines()
            states = batch.states.splitlines(keepends=True)
            for position, topic, state in zip(batch.positions, topics, states, strict=True):
                at = next(at for last, at in batch.recorded if last >= position)
                read.append((position, topic, state, at))
        assert [(s.position, s.topic, s.state, s.recorded_at) for s in expected] == read


def test_the_time_of_recording_never_falls(engine: Bowtie, monkeypatch: pytest.MonkeyPatch) -> None:
    """A clock that is set back does not put a later event before an earlier one."""
    clock = iter([2_000, 1_000])
    monkeypatch.setattr("bowtie.stores.writing.now_micros", lambda: next(clock))
    _append(engine, ("customer/a", 1, "touched", b"{}\n"))
    _append(engine, ("customer/a", 2, "touched", b"{}\n"))

    assert [state.recorded_at for state in engine.store.states()] == [2_000, 2_000]
    assert engine.store.position_recorded_by(1_999) == 0
    assert engine.store.position_recorded_by(2_000) == 2


def test_streams_are_told_apart_by_kind_and_key(engine: Bowtie) -> None:
    """A customer named as a spend channel is another stream."""
    _append(engine, ("customer/ads", 1, "touched", b"{}\n"), ("spend/ads", 1, "spend", b"{}\n"))

    assert engine.store.stream("spend/ads") == [
        StoredState(2, "spend/ads", 1, "spend", b"{}\n", engine.store.state_at(2).recorded_at)
    ]


def test_many_rows_go_in_at_once(engine: Bowtie) -> None:
    """More rows than one statement can carry."""
    lines = [wire(f"e{n}", subject=f"c{n % 700}") for n in range(12_345)]

    report = engine.ingest(BytesIO(log(*lines)))

    assert report.appended == 12_345
    assert engine.store.count(engine.store.head()) == 12_345


def test_a_parked_line_is_kept_once(engine: Bowtie) -> None:
    """The same bad line sent again is still one parked line."""
    bad = log(b"{", wire("1"))

    first = engine.ingest(BytesIO(bad))
    second = engine.ingest(BytesIO(bad))

    assert (first.parked, second.parked) == (1, 1)
    assert engine.store.parked_counts() == {"unreadable": 1}
