"""Older versions of an event become the newest: alike in Python, in columns and on the wire."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bowtie.codec import state_of
from bowtie.decoding import Decoder
from bowtie.envelope import data_to_wire
from bowtie.errors import BowtieError, EventRejected
from bowtie.reader import Reader
from bowtie.stores.rows import StateBatch, StoredState
from bowtie_projections.columns import columns_of
from tests.strategies import DAYS, SCALARS, TEXTS
from tests.versions import MeetingHeld, RoomBooked, in_catalogue

HEAD = {"_key": "acme", "_at": 1767607200000000, "_source": "crm", "_id": "17"}
NUMBERS = st.decimals(0, 10**9, places=3).map(lambda number: format(number, "f"))
WHOLE = st.integers(0, 2**53)


@pytest.fixture(scope="module", autouse=True)
def catalogue() -> Iterator[None]:
    with ExitStack() as stack:
        for model in (MeetingHeld, RoomBooked):
            stack.enter_context(in_catalogue(model))
        yield


def reader() -> Reader:
    return Reader(now=2_000_000_000_000_000)


def some(**optional: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries({}, optional=optional)


_OLD = {
    1: st.builds(
        lambda must, may: must | may,
        st.fixed_dictionaries(
            {
                "kind": st.sampled_from(["visit", "call"]),
                "minutes": NUMBERS,
                "date": DAYS.map(str),
            }
        ),
        some(cents=WHOLE, room=TEXTS),
    ),
    3: st.builds(
        lambda must, may: must | may,
        st.fixed_dictionaries(
            {
                "kind": st.sampled_from(["on_site", "remote"]),
                "hours": NUMBERS,
                "date": DAYS.map(str),
            }
        ),
        some(amount=NUMBERS),
    ),
    4: st.builds(
        lambda must, may: must | may,
        st.fixed_dictionaries(
            {
                "kind": st.sampled_from(["on_site", "remote"]),
                "hours": NUMBERS,
                "held_on": DAYS.map(str),
                "place": TEXTS,
            }
        ),
        some(amount=NUMBERS),
    ),
}
_OLD[2] = _OLD[1].map(
    lambda data: data | {"kind": {"visit": "on_site", "call": "remote"}[data["kind"]]}
)
MEETINGS = st.sampled_from(sorted(_OLD)).flatmap(lambda n: st.tuples(st.just(n), _OLD[n]))
_MAPS = st.dictionaries(TEXTS, SCALARS, max_size=3)
BOOKINGS = st.one_of(
    st.tuples(st.just(1), st.fixed_dictionaries({"number": TEXTS}, optional={"room": TEXTS})),
    st.tuples(st.just(2), st.fixed_dictionaries({"number": TEXTS, "properties": _MAPS})),
    st.tuples(st.just(3), st.fixed_dictionaries({"booking": TEXTS, "properties": _MAPS})),
)
#: what no version of a meeting is
BROKEN = st.sampled_from(
    [
        (1, {"kind": "visit", "date": "2026-01-05"}),
        (1, {"kind": "visit", "date": "2026-01-05", "minutes": "long"}),
        (1, {"kind": "party", "date": "2026-01-05", "minutes": "30"}),
        (1, {"kind": "call", "date": "2026-01-05", "minutes": "30", "cents": "many"}),
        (0, {"kind": "call", "date": "2026-01-05", "minutes": "30"}),
        (2, {"kind": "remote", "date": "no day", "minutes": "30"}),
        (2, {"kind": "remote", "date": "2026-01-05", "minutes": "1", "cents": 10**19}),
        (5, {"kind": "remote", "held_on": "2026-01-05", "hours": "1", "place": "here"}),
    ]
)


def state(version: int, data: dict[str, Any]) -> bytes:
    """As a store of that version keeps it."""
    own = data
    if "properties" in data:
        own = data | {"properties": json.dumps(data["properties"], sort_keys=True)}
    head = HEAD if version == 1 else HEAD | {"_v": version}
    return json.dumps(head | own).encode() + b"\n"


def in_python(name: str, states: list[bytes]) -> tuple[list[dict[str, Any]], set[int]]:
    """Rows by the decoder, and the positions of what it can't read."""
    rows, bad = [], set()
    for position, one in enumerate(states, 1):
        try:
            event = Decoder()(StoredState(position, "customer/acme", 1, name, one, None))
        except (BowtieError, ValueError):
            bad.add(position)
        else:
            rows.append({"position": position, **event.data.model_dump()})
    return rows, bad


def in_columns(name: str, states: list[bytes]) -> tuple[list[dict[str, Any]], set[int]]:
    """The same by columns."""
    batch = StateBatch(
        range(1, len(states) + 1), f"{name}\n".encode() * len(states), b"".join(states), []
    )
    made = columns_of(batch)
    table = made.facts.get(name)
    rows = [] if table is None else table.to_pylist()
    return rows, {row["position"] for row in made.skipped.to_pylist()}


def agree(name: str, old: list[tuple[int, dict[str, Any]]]) -> None:
    states = [state(*one) for one in old]
    (rows, bad), (read, skipped) = in_python(name, states), in_columns(name, states)
    assert skipped == bad
    for row in rows:
        if "properties" in row:
            row["properties"] = json.dumps(row["properties"], sort_keys=True)
    for row in read:
        if "properties" in row:
            row["properties"] = json.dumps(json.loads(row["properties"]), sort_keys=True)
    own = [name for name in (rows or read or [{}])[0] if name not in ("host", "by")]
    assert [[row[name] for name in own] for row in read] == [
        [row[name] for name in own] for row in rows
    ]


@given(st.lists(MEETINGS, min_size=1, max_size=6))
def test_columns_are_lifted_as_python_lifts(old):
    agree("meeting_held", old)


@given(st.lists(MEETINGS | BROKEN, min_size=1, max_size=6))
def test_both_leave_out_the_same(old):
    agree("meeting_held", old)


@given(st.lists(BOOKINGS, min_size=1, max_size=5))
def test_a_function_lifts_both_alike(old):
    agree("room_booked", old)


def line(name: str, version: int, data: dict[str, Any]) -> dict[str, Any]:
    wire = {
        "specversion": "1.0", "id": "17", "source": "crm", "type": f"bowtie.{name}",
        "subject": "acme", "time": "2026-01-05T10:00:00Z", "dataversion": version, "data": data,
    }  # fmt: skip
    if version == 1:
        del wire["dataversion"]
    return wire


@given(
    MEETINGS.map(lambda one: ("meeting_held", *one)) | BOOKINGS.map(lambda o: ("room_booked", *o))
)
def test_a_line_is_lifted_as_what_is_stored(one):
    """The fact of an older line is that of the newest line that says the same."""
    name, version, data = one
    fact = reader().line(json.dumps(line(name, version, data)).encode())
    stored = StoredState(1, "customer/acme", 1, name, state(version, data), None)
    event = Decoder()(stored)
    wire = event.to_cloudevent()
    assert wire["dataversion"] == event.data.data_version
    del wire["sequence"]
    assert reader().line(json.dumps(wire).encode()) == reader().wire(wire) == fact
    assert json.loads(state_of(fact))["_v"] == event.data.data_version


@given(BROKEN)
def test_a_line_of_no_version_is_refused(one):
    with pytest.raises(EventRejected) as caught:
        reader().line(json.dumps(line("meeting_held", *one)).encode())
    assert caught.value.reason == "invalid"


@given(_OLD[4])
def test_the_newest_goes_by_the_fast_lane(data):
    """It is what nearly all lines are."""
    wire = line("meeting_held", 4, data)
    fast = reader()
    fast.wire = None  # type: ignore[assignment,method-assign]  # so that the slow lane fails
    assert fast.line(json.dumps(wire).encode()) == reader().wire(wire)
    assert data_to_wire(MeetingHeld.model_validate(data)) == data
