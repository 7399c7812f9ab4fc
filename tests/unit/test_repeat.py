"""Repeat orders: what an order is, and who is counted."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from bowtie.errors import UsageError
from bowtie.events import OrderPlaced, TraitsObserved
from bowtie.stages import load_definition
from bowtie_projections.views.cut import Cut
from bowtie_projections.views.repeat import repeat
from tests.read_tables import Said

SHOP, B2B = load_definition("shop"), load_definition("b2b")
START = datetime(2024, 1, 1, 12, tzinfo=UTC)


def order(amount, kind="order", currency="EUR"):
    return OrderPlaced(order="o", kind=kind, amount=Decimal(amount), currency=currency)


def ask(memory, *said, days=400, definition=B2B, **asked):
    facts = [
        Said(customer, data, START + timedelta(days=day), place)
        for place, (customer, data, day) in enumerate(said, start=1)
    ]
    memory.load(facts, definition)
    cut = Cut(memory.position, START + timedelta(days=days))
    return repeat(memory, cut, definition, **{"cohort": "all", "within": "90d", **asked})


def test_an_order_is_a_day_over_nothing(memory):
    answer = ask(
        memory,
        ("same day", order(5), 0), ("same day", order(5), 0.2),
        ("returned", order(5), 0), ("returned", order(5, "return"), 10),
        ("for free", order(5), 0), ("for free", order(0), 10),
        ("taken off", order(5), 0), ("taken off", order(5), 10), ("taken off", order(-5), 10),
        ("two currencies", order(5), 0), ("two currencies", order(5, currency="USD"), 0.1),
        ("exchanged", order(5), 0), ("exchanged", order(2, "exchange"), 10),
        ("again", order(5), 0), ("again", order(5), 90), ("again", order(5), 91),
        ("late", order(5), 0), ("late", order(5), 90.5),
        ("first was free", order(0), -30), ("first was free", order(5), 0),
    )  # fmt: skip
    [row] = answer.rows()
    assert (row["customers"], row["mature"], row["repeated"]) == (9, 9, 2)
    assert row["repeat_rate"] == 2 / 9
    assert "9 customers placed a first order and 4 more orders since" in answer.sentence


def test_only_the_mature_are_judged_each_for_its_own_time(memory):
    said = [(f"c{n}", order(5), n) for n in range(40)] + [("c0", order(5), 3)]
    answer = ask(memory, *said, days=50, within=["60d", "30d", "50d"])
    assert [(row["within"], row["mature"], row["repeated"]) for row in answer.rows()] == [
        ("30d", 21, 1),
        ("50d", 1, 1),
        ("60d", 0, None),
    ]
    low, high = answer.rows()[0]["repeat_rate_low"], answer.rows()[0]["repeat_rate_high"]
    assert (low, high) == (pytest.approx(0.00846, abs=1e-5), pytest.approx(0.22670, abs=1e-5))
    assert answer.rows()[2]["repeat_rate"] is None


def test_days_to_the_second_order(memory):
    said = [(f"c{n}", order(5), 0) for n in range(21)]
    said += [(f"c{n}", order(5), 1 + n) for n in range(21)]
    [row] = ask(memory, *said).rows()
    assert [row[f"days_p{place}"] for place in (25, 50, 75, 90)] == [6, 11, 16, 19]
    [few] = ask(memory, *said[:20], *said[21:40]).rows()
    assert few["days_p50"] is None


def test_who_may_be_older_than_the_data_is_left_out_and_said(memory):
    said = [("old", order(5), 0), ("new", order(5), 100), ("new", order(5), 120)]
    answer = ask(memory, *said, definition=SHOP)
    assert answer.rows()[0]["customers"] == 1
    assert "1 customer may be older than the data and is left out" in answer.sentence
    everybody = ask(memory, *said, definition=SHOP, include_truncated=True)
    assert everybody.rows()[0]["customers"] == 2
    assert any("their first order may be none" in note for note in everybody.notes)


def test_cohorts_and_values_are_those_of_the_first_order(memory):
    said = [
        ("a", TraitsObserved(traits={"country": "NL"}), -1), ("a", order(5), 0),
        ("a", TraitsObserved(traits={"country": "BE"}), 5), ("a", order(5), 40),
        ("b", order(5), 40),
    ]  # fmt: skip
    rows = ask(memory, *said, by=["country"], cohort="month").rows()
    assert [(row["country"], row["cohort"], row["repeated"]) for row in rows] == [
        ("NL", "2024-01", 1),
        (None, "2024-02", 0),
    ]


def test_nobody_ordered(memory):
    answer = ask(memory, ("a", TraitsObserved(traits={"country": "NL"}), 0))
    assert answer.rows() == []
    assert answer.sentence == "No customer placed a first order in the time asked for."


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ({"within": "30"}, "within: '30' is not a span of time"),
        ({"within": []}, "within names no time"),
        ({"within": "0d"}, "write a time longer than none"),
        ({"by": ["motion"]}, "motion is of contracts"),
        ({"unit": "cycle"}, "customer or account or opportunity"),
        ({"cohort": "decade"}, "cohort is 'decade'"),
    ],
)
def test_what_cannot_be_asked_says_what_can(memory, asked, words):
    with pytest.raises(UsageError, match=words):
        ask(memory, ("a", order(5), 0), **asked)
