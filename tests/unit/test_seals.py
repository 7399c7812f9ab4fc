"""The chain of seals: whatever is changed, moved, added or taken away shows."""

from __future__ import annotations

from typing import Any

from hypothesis import assume, given
from hypothesis import strategies as st

from bowtie.seals import SEAL_BYTES, chain, first_seal, next_seal

Event = tuple[int, str, int, str, bytes]
Log = tuple[list[tuple[int, int]], list[Event]]

_TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=4)


@st.composite
def _logs(draw: Any) -> Log:
    """Transactions of one to four events, with gaps between positions here and there."""
    position, moment = 0, draw(st.integers(0, 9))
    commits, events = [], []
    for _ in range(draw(st.integers(1, 4))):
        for _ in range(draw(st.integers(1, 4))):
            position += draw(st.integers(1, 2))
            stream, topic = draw(_TEXTS), draw(_TEXTS)
            state = draw(st.binary(max_size=4))
            events.append((position, stream, draw(st.integers(1, 3)), topic, state))
        moment += draw(st.integers(0, 3))
        commits.append((position, moment))
    return commits, events


def _seals(log: Log, store_id: str = "s") -> list[bytes]:
    return [seal for _, _, seal in chain(store_id, *log)]


@given(_logs(), _logs())
def test_two_logs_have_one_seal_only_if_they_are_one(left: Log, right: Log) -> None:
    assert (_seals(left) == _seals(right)) == (left == right)


@given(_logs(), st.data())
def test_a_change_shows_from_its_transaction_on(log: Log, data: Any) -> None:
    commits, events = log
    place = data.draw(st.integers(0, len(events) - 1))
    position, stream, version, topic, state = events[place]
    changed = data.draw(
        st.sampled_from(
            [
                (position, stream + "x", version, topic, state),
                (position, stream, version + 1, topic, state),
                (position, stream, version, topic + "x", state),
                (position, stream, version, topic, state + b"x"),
            ]
        )
    )
    other = _seals((commits, [*events[:place], changed, *events[place + 1 :]]))
    number = next(i for i, (last, _) in enumerate(commits) if last >= position)
    assert other[:number] == _seals(log)[:number]
    assert not set(other[number:]) & set(_seals(log)[number:])


@given(_logs(), st.data())
def test_an_event_taken_away_or_put_in_shows(log: Log, data: Any) -> None:
    commits, events = log
    place = data.draw(st.integers(0, len(events) - 1))
    less = [*events[:place], *events[place + 1 :]]
    assert _seals((commits, less))[-1] != _seals(log)[-1]
    assert _seals((commits, [*events[: place + 1], *events[place:]]))[-1] != _seals(log)[-1]


@given(_logs(), st.data())
def test_two_events_that_change_places_show(log: Log, data: Any) -> None:
    commits, events = log
    assume(len(events) > 1)
    place = data.draw(st.integers(0, len(events) - 2))
    one, two = events[place], events[place + 1]
    assume(one[1:] != two[1:])
    swapped = [*events[:place], (one[0], *two[1:]), (two[0], *one[1:]), *events[place + 2 :]]
    assert _seals((commits, swapped))[-1] != _seals(log)[-1]


@given(_logs(), st.data())
def test_another_cut_into_transactions_shows(log: Log, data: Any) -> None:
    """Also where the events and the last row stay the same."""
    commits, events = log
    ends = {last for last, _ in commits}
    inner = [event[0] for event in events if event[0] not in ends]
    if inner:
        more = sorted([*commits, (data.draw(st.sampled_from(inner)), commits[-1][1])])
        assert _seals((more, events))[-1] != _seals(log)[-1]
    if len(commits) > 1:
        gone = data.draw(st.integers(0, len(commits) - 2))
        assert _seals(([*commits[:gone], *commits[gone + 1 :]], events))[-1] != (_seals(log)[-1])


@given(_logs(), st.data())
def test_another_time_of_recording_shows(log: Log, data: Any) -> None:
    commits, events = log
    place = data.draw(st.integers(0, len(commits) - 1))
    last, moment = commits[place]
    other = [*commits[:place], (last, moment + 1), *commits[place + 1 :]]
    assert _seals((other, events))[-1] != _seals(log)[-1]


def test_bytes_moved_over_a_boundary_show() -> None:
    """What ends one field and begins the next is told by lengths, not by the bytes."""
    variants = [
        [("ab", 1, "c", b"d"), ("e", 1, "f", b"g")],
        [("a", 1, "bc", b"d"), ("e", 1, "f", b"g")],
        [("ab", 1, "", b"cd"), ("e", 1, "f", b"g")],
        [("ab", 1, "c", b"dg"), ("e", 1, "f", b"")],
        [("abe", 1, "c", b"d"), ("", 1, "f", b"g")],
        [("ab", 1, "cf", b"d"), ("e", 1, "", b"g")],
    ]
    seals = {next_seal(first_seal("s"), 2, 0, [1, 2], events) for events in variants}
    assert len(seals) == len(variants)


def test_stores_have_chains_of_their_own() -> None:
    log: Log = ([(1, 5)], [(1, "customer/é", 1, "touched", b"{}\n")])
    assert _seals(log, "one") != _seals(log, "two")
    assert len(first_seal("one")) == SEAL_BYTES


def test_the_bytes_of_the_first_version() -> None:
    """Seals kept elsewhere must stay comparable: this value may never change."""
    log: Log = ([(1, 5), (3, 5)], [(1, "customer/é", 1, "t", b"{}\n"), (3, "b", 2, "", b"")])
    assert _seals(log, "5f0c")[-1].hex() == (
        "0ef13633e865828189a4df3793d3c98dd4b693e54b99fa03fbc000e1d7192dfd"
    )
