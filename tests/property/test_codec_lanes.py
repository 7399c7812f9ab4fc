"""The fast lane takes nothing that pydantic would refuse, and makes the same of what it takes."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from bowtie.codec import state_of
from bowtie.envelope import data_to_wire
from bowtie.errors import EventRejected
from bowtie.events import CATALOGUE, Event
from bowtie.reader import Reader
from tests.strategies import catalogue_events

_READER = Reader(now=2_000_000_000_000_000)


def _line(event: Event, **more: Any) -> dict[str, Any]:
    kind = None if event.stream_kind == "customer" else event.stream_kind
    wire = {
        "specversion": "1.0",
        "id": "1",
        "source": "s",
        "type": f"bowtie.{event.type_name}",
        "subject": "acme",
        "time": "2026-01-05T10:00:00.123456+02:00",
        "streamkind": kind,
        **more,
        "data": data_to_wire(event),
    }
    return {name: value for name, value in wire.items() if value is not None}


def _outcome(read: Any, *args: Any) -> Any:
    try:
        fact = read(*args)
    except EventRejected as error:
        return error.reason
    return fact


@given(catalogue_events())
def test_both_lanes_make_the_same_of_an_event(event: Event) -> None:
    """State, content and personal fields."""
    wire = _line(event)
    fast = _READER.line(json.dumps(wire).encode())
    slow = _READER.wire(wire)

    assert fast == slow
    assert state_of(fast) == state_of(slow)


_VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-5, 5),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(max_size=5),
    st.sampled_from(
        ["", "EUR", "1.5", "1e3", "01", "+1", "2026-01-05", "20260105", "inbound", "€"]
    ),
    st.lists(st.integers(), max_size=1),
    st.dictionaries(st.text(max_size=2), st.integers(), max_size=2),
)


@given(catalogue_events(), st.data())
def test_both_lanes_agree_on_events_that_are_damaged(event: Event, data: st.DataObject) -> None:
    """A field replaced, removed or added: taken alike, or refused for the same reason."""
    wire = _line(event)
    fields = [*sorted(type(event).model_fields), "strange"]
    field = data.draw(st.sampled_from(fields))
    if data.draw(st.booleans()):
        wire["data"].pop(field, None)
    else:
        wire["data"][field] = data.draw(_VALUES)

    assert _outcome(_READER.line, json.dumps(wire).encode()) == _outcome(_READER.wire, wire)


@given(catalogue_events(), st.data())
def test_both_lanes_agree_on_envelopes(event: Event, data: st.DataObject) -> None:
    """Attributes replaced, removed or added."""
    wire = _line(event)
    name = data.draw(
        st.sampled_from(
            "specversion id source type subject time recordedtime data streamkind timeprecision"
            " correlationid sequence traceparent".split()
        )
    )
    if data.draw(st.booleans()):
        wire.pop(name, None)
    else:
        times = [
            "2026-01-05T10:00:00",
            "2026-01-05",
            "2026-01-05T10:00:00Z",
            "2999-01-01T00:00:00Z",
        ]
        wire[name] = data.draw(_VALUES | st.sampled_from([*times, "day", "spend", "customer"]))

    assert _outcome(_READER.line, json.dumps(wire).encode()) == _outcome(_READER.wire, wire)


def test_the_whole_catalogue_was_meant() -> None:
    """A guard against a strategy that leaves some out."""
    assert len(CATALOGUE) == 45
