"""The pipeline in cases that can be counted by hand, its words and refusals."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from bowtie.errors import Refused, UsageError
from bowtie.events import (
    ContractSigned,
    Disqualified,
    IdentityLinked,
    MembershipStarted,
    Noted,
    OpportunityValued,
    TraitsObserved,
)
from bowtie.stages import load_definition
from bowtie_projections.explaining import explanation
from bowtie_projections.views.cut import Cut
from bowtie_projections.views.pipeline import pipeline
from tests.read_tables import FilledTables, Said

B2B = load_definition("b2b")
START = datetime(2024, 1, 1, tzinfo=UTC)


def day(number: float) -> datetime:
    return START + timedelta(days=number)


def opened(name: str) -> Noted:
    return Noted(name="opportunity_created", properties={"opportunity": name})


def valued(name: str, amount: str, currency: str = "EUR", due: int | None = None):
    close_on = None if due is None else date(2024, 1, 1) + timedelta(days=due)
    return OpportunityValued(
        opportunity=name, amount=Decimal(amount), currency=currency, close_on=close_on
    )


def signed(name: str) -> ContractSigned:
    return ContractSigned(
        contract=f"k-{name}", kind="paid", amount=Decimal(10), per="month", currency="EUR",
        starts_on=date(2024, 1, 1), opportunity=name,
    )  # fmt: skip


def said(*facts) -> list[Said]:
    return [
        Said(customer, event, day(number), position)
        for position, (customer, event, number) in enumerate(facts, start=1)
    ]


#: 30 won after 10 days, 30 lost after 20: fresh, half of them are won; after 10 days none is.
PAST = [
    fact
    for number in range(30)
    for fact in (
        (f"w{number}", opened("o"), 0),
        (f"w{number}", signed("o"), 10),
        (f"l{number}", opened("o"), 0),
        (f"l{number}", Disqualified(opportunity="o"), 20),
    )
]


@pytest.fixture(scope="module")
def tables(make_tables) -> FilledTables:
    memory = make_tables()
    memory.load(
        said(
            *PAST,
            ("a", opened("young"), 95),
            ("a", valued("young", "1000", due=99), 96),
            ("a", valued("young", "1200", due=100), 97),
            ("b", opened("middle"), 85),
            ("b", valued("middle", "500", "USD", due=98), 86),
            ("b", opened("unvalued"), 99),
            ("b", TraitsObserved(traits={"owner": "kim"}), 1),
            ("c", opened("gone"), 90),
            ("c", Disqualified(), 91),
        ),
        B2B,
    )
    return memory


def ask(tables, **asked):
    return pipeline(tables, Cut(tables.position, day(99.5)), B2B, **asked)


def test_sums_by_currency_are_never_added(tables):
    rows = ask(tables).rows()
    assert [(row["stage"], row["currency"], row["opportunities"]) for row in rows] == [
        ("selection", "EUR", 1),
        ("selection", "USD", 1),
        ("selection", None, 1),
    ]
    assert rows[0]["amount"] == Decimal(1200)
    assert rows[2]["amount"] is None


def test_expected_is_the_amount_times_the_chance_at_that_age(tables):
    euros, dollars, _ = ask(tables).rows()
    # open for 4.5 days: of the 61 that were open longer, 30 were won after 10 days
    assert euros["expected"] == (Decimal(1200) * 30 / 61).quantize(Decimal("0.000001"))
    # open for 14.5 days: all that were open longer and are closed were lost
    assert dollars["expected"] == 0
    assert dollars["judged"] == 1


def test_overdue_is_what_should_be_closed_by_now(tables):
    euros, dollars, _ = ask(tables).rows()
    assert (euros["overdue"], dollars["overdue"]) == (0, 1)
    assert dollars["overdue_amount"] == 500
    (row,) = ask(tables, opportunities="overdue").rows()
    assert (row["opportunity"], row["close_on"]) == ("middle", date(2024, 4, 8))
    later = pipeline(tables, Cut(tables.position, day(100)), B2B, opportunities="overdue", tz="UTC")
    assert [row["opportunity"] for row in later] == ["middle"]
    tokyo = pipeline(
        tables, Cut(tables.position, day(100.7)), B2B, opportunities="overdue", tz="Asia/Tokyo"
    )
    assert {row["opportunity"] for row in tokyo} == {"young", "middle"}


def test_the_sentence_and_the_notes_say_what_is_counted(tables):
    result = ask(tables)
    assert result.sentence == (
        "3 opportunities of 2 customers are open on 2024-04-09; of 64 opportunities in the log 30"
        " were won and 31 lost."
    )
    assert "1 opportunity has no amount on record: no currency, no sum." in result.notes


def test_it_is_as_it_was_then(tables):
    then = pipeline(tables, Cut(tables.position, day(90.5)), B2B, opportunities="all").rows()
    assert [(row["customer"], row["opportunity"]) for row in then] == [
        ("b", "middle"),
        ("c", "gone"),
    ]


def test_by_a_trait_of_the_customer(tables):
    rows = ask(tables, by=["owner"]).rows()
    assert [(row["owner"], row["opportunities"]) for row in rows] == [
        ("kim", 1),
        ("kim", 1),
        (None, 1),
    ]
    with pytest.raises(Refused, match="sealed"):
        ask(tables, by=["email"])


def test_where_the_history_is_too_small_nothing_is_expected(memory):
    memory.load(
        said(*PAST[:38], ("a", opened("x"), 5), ("a", valued("x", "100"), 5)),
        B2B,
    )
    result = pipeline(memory, Cut(memory.position, day(30)), B2B)
    (row,) = result.rows()
    assert (row["valued"], row["judged"], row["expected"]) == (1, 0, None)
    assert any("19 opportunities were closed, 20 are needed" in note for note in result.notes)


def test_linked_keys_and_members_are_whose_they_are(memory):
    memory.load(
        said(
            ("p", opened("x"), 0),
            ("q", valued("x", "70"), 1),
            ("p", IdentityLinked(alias="q"), 2),
            ("m", MembershipStarted(account="firm"), 0),
            ("m", opened("y"), 3),
        ),
        B2B,
    )
    memory.execute("insert into alias_hashes values ('q', '#q')")
    rows = pipeline(memory, Cut(memory.position), B2B, unit="account", opportunities="all").rows()
    assert ("firm", "y") in {(row["account"], row["opportunity"]) for row in rows}


@pytest.mark.parametrize(
    ("asked", "problem"),
    [
        ({"opportunities": "won"}, "all, overdue or a stage"),
        ({"unit": "opportunity"}, "customer or account"),
        ({"top": 0}, "top"),
        ({"tz": "Mars"}, "time zone"),
    ],
)
def test_what_cannot_be_asked_says_what_can(tables, asked, problem):
    with pytest.raises((UsageError, LookupError), match=problem):
        ask(tables, **asked)


def test_an_empty_log(memory):
    memory.load([], B2B)
    result = pipeline(memory, Cut(0), B2B)
    assert result.rows() == []
    assert result.sentence == "There is no opportunity in the log."


@pytest.mark.parametrize("column", ["opportunities", "valued", "overdue", "amount"])
def test_every_figure_has_the_facts_that_name_its_opportunities(tables, column):
    asked: dict[str, Any] = {"by": ["owner"]}
    cut = Cut(tables.position, day(99.5))
    for row in pipeline(tables, cut, B2B, **asked).rows():
        if row[column] is None:
            continue
        cell = {name: row[name] for name in ("owner", "stage", "currency")}
        told = explanation(tables, cut, B2B, view="pipeline", cell=cell, column=column, **asked)
        types = [fact["type"] for fact in told.rows()]
        assert types.count("noted") == row["valued" if column == "amount" else column]


def test_an_expectation_has_no_members(tables):
    with pytest.raises(UsageError, match="chances are learnt from all"):
        explanation(
            tables, Cut(tables.position, day(99.5)), B2B, view="pipeline",
            cell={"currency": "EUR"}, column="expected",
        )  # fmt: skip
