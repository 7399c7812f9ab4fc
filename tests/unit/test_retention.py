"""Retention's words, edges and known figures; a plain reading holds the rest elsewhere."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest

from bowtie.errors import UnknownName, UsageError
from bowtie.events import (
    ContractChanged,
    ContractEnded,
    ContractSigned,
    Noted,
    Touched,
    UsageMetered,
)
from bowtie.stages import load_definition
from bowtie_projections.views.cut import Cut
from bowtie_projections.views.retention import retention
from tests.read_tables import Said

B2B = load_definition("b2b")
START = datetime(2024, 1, 31, 12, tzinfo=UTC)


def signed(amount, starts=START, currency="EUR", contract="k"):
    return ContractSigned(
        contract=contract, kind="paid", amount=Decimal(amount), per="month", currency=currency,
        starts_on=starts.date(),
    )  # fmt: skip


def changed(amount):
    return ContractChanged(contract="k", kind="price", amount=Decimal(amount), per="month")


def ended(on):
    return ContractEnded(contract="k", effective_on=on)


def ask(memory, *said, as_of=START + timedelta(days=90), **asked):
    facts = [
        Said(customer, data, at, place) for place, (customer, data, at) in enumerate(said, start=1)
    ]
    memory.load(facts, B2B)
    return retention(memory, Cut(memory.position, as_of), B2B, **asked)


def ages(answer, name="retention"):
    return {row["age"]: row[name] for row in answer.rows()}


THREE = [
    ("a", signed(100), START),
    ("b", signed(100), START),
    ("c", signed(100), START),
    ("a", changed(150), START + timedelta(days=10)),
    ("b", ended(date(2024, 2, 15)), START + timedelta(days=10)),
    ("c", changed(80), START + timedelta(days=10)),
]


def test_revenue_retained_is_of_each_customer(memory):
    """A 100 to 150, B 100 to 0, C 100 to 80: the least of the totals would be .767 for both."""
    first, after = ask(memory, *THREE).rows()[:2]

    assert (first["grr"], first["nrr"], first["mrr"]) == (1, 1, Decimal(300))
    assert after["nrr"] == pytest.approx(230 / 300)
    assert after["grr"] == pytest.approx(0.60)
    assert (after["mrr_start"], after["mrr"], after["mrr_kept"]) == (300, 230, 180)
    assert after["retention"] == pytest.approx(2 / 3)


def test_a_month_without_the_day_is_over_with_the_first_of_the_next(memory):
    def last(day):
        return max(ages(ask(memory, *THREE, as_of=day, age="month")))

    assert last(datetime(2024, 2, 29, 23, tzinfo=UTC)) == 0
    assert last(datetime(2024, 3, 1, tzinfo=UTC)) == 1
    assert last(datetime(2024, 3, 30, tzinfo=UTC)) == 1
    assert last(datetime(2024, 3, 31, tzinfo=UTC)) == 2


def test_not_yet_is_not_never(memory):
    late = ("d", signed(100, START + timedelta(days=20)), START + timedelta(days=20))
    answer = ask(memory, *THREE, late, cohort="quarter", as_of=START + timedelta(days=35))
    rows = answer.rows()

    assert [(row["customers"], row["observed"], row["active"]) for row in rows] == [
        (4, 4, 4),
        (4, 3, 2),
    ]
    assert [row["retention"] for row in rows] == [1.0, None]
    assert [row["nrr"] for row in rows] == [1.0, None]
    # the curve counts who is so old, and says how many that are
    assert [row["at_risk"] for row in answer.part("curve").rows()] == [4, 3]
    assert answer.part("curve").rows()[1]["retention"] == pytest.approx(2 / 3)
    wide = ask(
        memory, *THREE, late, cohort="quarter", as_of=START + timedelta(days=35), wide="retention"
    )
    assert wide.rows() == [{"cohort": "2024-Q1", "customers": 4, "month_0": 1.0, "month_1": None}]


def test_age_begins_when_the_contract_does_and_who_has_not_begun_is_said(memory):
    ahead = signed(100, START + timedelta(days=40))
    answer = ask(memory, ("a", signed(100), START), ("b", ahead, START), cohort="month")
    assert answer.rows()[0]["customers"] == 2
    assert {row["age"]: row["observed"] for row in answer.rows()} == {0: 2, 1: 2, 2: 1}

    answer = ask(memory, ("a", signed(100), START), ("b", ahead, START), as_of=START)
    assert "2 customers committed" in answer.sentence
    assert "1 of them has no paid contract in force yet and is left out" in answer.sentence


def test_currencies_are_not_added_up(memory):
    facts = [("a", signed(100), START), ("b", signed(50, currency="USD"), START)]
    both = ask(memory, *facts)
    assert {row["nrr"] for row in both.rows()} == {None}
    assert both.rows()[0]["retention"] == 1.0
    assert "EUR and USD" in both.notes[0]
    assert ask(memory, *facts, currency="USD").rows()[0]["mrr_start"] == 50
    with pytest.raises(UsageError, match="contracts are in: EUR, USD"):
        ask(memory, *facts, currency="GBP")


def usage(metric="logins"):
    return UsageMetered(metric=metric, quantity=Decimal(1))


def test_what_is_active_can_be_chosen(memory):
    facts = [
        ("a", signed(100), START),
        ("a", usage(), START + timedelta(days=8)),
        ("a", usage("exports"), START + timedelta(days=15)),
        ("a", Noted(name="visited"), START + timedelta(days=22)),
        ("a", Touched(channel="mail", direction="outbound"), START + timedelta(days=29)),
    ]

    def active(what):
        answer = ask(memory, *facts, active=what, age="week", as_of=START + timedelta(days=35))
        return [age for age, share in ages(answer).items() if share]

    assert active("usage") == [1, 2]
    assert active("usage:exports") == [2]
    assert active("usage_metered") == [1, 2]
    assert active("visited") == [3]
    assert active("touched") == [4]
    assert active("any") == [0, 1, 2, 3, 4]
    assert active("contract") == active(None) == [0, 1, 2, 3, 4, 5]


def test_an_age_of_events_is_seen_when_it_is_over(memory):
    facts = [("a", signed(100), START), ("a", usage(), START + timedelta(days=8))]
    seen = ask(memory, *facts, active="usage", age="week", as_of=datetime(2024, 2, 13, tzinfo=UTC))
    assert ages(seen, "observed") == {0: 1}
    # a day whose end is the data's end is over
    through = ask(
        memory, *facts, active="usage", age="week", as_of=datetime(2024, 2, 14, tzinfo=UTC),
        data_through="2024-02-13",
    )  # fmt: skip
    assert ages(through, "retention") == {0: 0.0, 1: 1.0}


def test_without_contracts_orders_and_without_orders_anything(memory):
    entered = ("a", Noted(name="kickoff_held"), START)
    answer = ask(memory, entered)
    assert answer.meta["parameters"]["active"] == "any"
    assert answer.rows() == []
    assert "0 customers committed" in answer.sentence


@pytest.mark.parametrize(
    ("asked", "error", "words"),
    [
        ({"active": "usag"}, UnknownName, "did you mean usage"),
        ({"active": "usage:x"}, UnknownName, "no usage is metered of 'x'"),
        ({"age": "year"}, UsageError, "age is 'year'; write one of day, week, month"),
        ({"wide": "mrr"}, UsageError, "write one of retention, active, grr, nrr"),
        ({"wide": "nrr", "active": "usage"}, UsageError, 'ask with active="contract"'),
        ({"ages": -1}, UsageError, "a whole number from 0"),
        ({"unit": "cycle"}, UsageError, "customer or account or opportunity"),
        ({"cohort": "all"}, UsageError, "cohort is 'all'"),
    ],
)  # fmt: skip
def test_what_cannot_be_asked_says_what_can(memory, asked, error, words):
    with pytest.raises(error, match=words):
        ask(memory, *THREE, ("a", usage(), START), **asked)
