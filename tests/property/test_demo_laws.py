"""Laws of the demo log that hold for any seed, size and last day."""

from __future__ import annotations

import json
from datetime import date

from hypothesis import given
from hypothesis import strategies as st

from bowtie.demo import Demo

demos = st.builds(
    Demo,
    customers=st.integers(1, 120),
    seed=st.integers(),
    until=st.dates(date(1990, 1, 1), date(2100, 12, 31)),
)


@given(demos)
def test_the_same_arguments_give_the_same_bytes(demo):
    again = Demo(customers=demo.customers, seed=demo.seed, until=demo.until)
    assert list(demo.lines()) == list(again.lines())


@given(demos)
def test_the_truth_adds_up(demo):
    truth = demo.truth()
    lines = list(demo.lines())
    parked = sum(truth.parked.values())
    assert len(lines) == truth.lines == truth.events + truth.duplicates + parked
    assert truth.events == sum(truth.events_by_type.values())
    assert parked == sum(truth.malformed.values()) + truth.parked.get("id_reused", 0)
    assert truth.mature_customers <= truth.paying_customers <= demo.customers


@given(demos)
def test_every_account_appears_and_none_too_late(demo):
    touched = set()
    for line in demo.lines():
        if b'"source":"form"' in line:
            continue
        event = json.loads(line)
        assert event["time"] <= event["recordedtime"]
        assert event["recordedtime"][:10] <= demo.until.isoformat()
        if event["type"] == "bowtie.touched":
            touched.add(event["subject"])
    assert len(touched) == demo.customers


def test_another_seed_gives_another_log():
    assert list(Demo(customers=20, seed=1).lines()) != list(Demo(customers=20, seed=2).lines())
