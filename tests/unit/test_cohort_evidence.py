"""Each count of flow, velocity, retention and repeat, explained: as many members, by their facts."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from bowtie.errors import UsageError
from bowtie.events import (
    ContractEnded,
    ContractSigned,
    Disqualified,
    Noted,
    OrderPlaced,
    Touched,
    UsageMetered,
)
from bowtie.stages import load_definition
from bowtie_projections.explained import EVIDENCE
from bowtie_projections.explaining import explanation
from bowtie_projections.views.cut import Cut
from tests.read_tables import FilledTables, Said

B2B = load_definition("b2b")
START = datetime(2024, 1, 10, tzinfo=UTC)
NOW = START + timedelta(days=120)


def order(amount):
    return OrderPlaced(order="o", kind="order", amount=Decimal(amount), currency="EUR")


@pytest.fixture(scope="module")
def tables(make_tables) -> FilledTables:
    memory = make_tables()
    facts: list[Said] = []

    def said(customer, data, day):
        facts.append(Said(customer, data, START + timedelta(days=day), len(facts) + 1))

    for number, customer in enumerate(("a", "b", "c", "d")):
        said(customer, Touched(channel="ads" if number else "mail", direction="inbound"), number)
        said(customer, Noted(name="lead_created"), number + 20)
        if number == 3:
            said(customer, Disqualified(), 60)
            continue
        starts = (START + timedelta(days=number + 30)).date()
        signed = ContractSigned(
            contract="k", kind="paid", amount="10", per="month", currency="EUR", starts_on=starts
        )
        said(customer, signed, number + 30)
        said(customer, UsageMetered(metric="logins", quantity=Decimal(1)), 40 + 20 * number)
        said(customer, order(5), 30), said(customer, order(7), 30.2)
        if number:
            said(customer, order(5), 40 * number)
    said("b", ContractEnded(contract="k", effective_on=(START + timedelta(days=50)).date()), 45)
    memory.load(facts, B2B)
    return memory


ASKED = [
    ("flow", {"by": ["channel"]}, ("entered", "lost", "entered_next")),
    ("velocity", {"within": "30d"}, ("entered", "mature", "moved", "moved_share")),
    ("retention", {}, ("customers", "observed", "active", "retention")),
    ("retention", {"active": "usage"}, ("customers", "observed", "active", "retention")),
    ("retention", {"active": "order"}, ("active",)),
    ("repeat", {"within": ["60d", "20d"]}, ("customers", "mature", "repeated", "repeat_rate")),
]


@pytest.mark.parametrize(("view", "asked", "columns"), ASKED, ids=str)
def test_every_figure_has_its_members(tables, view, asked, columns):
    cut = Cut(tables.position, NOW)
    rows = EVIDENCE[view].view(tables, cut, B2B, **asked).rows()
    named = {"by", "period", "stage", "channel", "step", "cohort", "age", "within"}
    explained = 0
    for row in rows[:: max(1, len(rows) // 8)]:
        cell = {name: value for name, value in row.items() if name in named}
        for column in columns:
            if not row[column]:
                continue
            found = explanation(tables, cut, B2B, view=view, cell=cell, column=column, **asked)
            assert found.meta["value"] == row[column]
            explained += 1
    assert explained


def explained(tables, view, cell, column, **asked):
    cut = Cut(tables.position, NOW)
    rows = explanation(tables, cut, B2B, view=view, cell=cell, column=column, **asked).rows()
    return [(row["customer"], row["role"], row["position"]) for row in rows]


def test_the_facts_are_those_that_put_them_there(tables):
    march = {"period": "2024-03", "stage": "education"}
    [lost] = explained(tables, "flow", march, "lost")
    assert (lost[0], "disqualified" in lost[1]) == ("d", True)
    cell = {"cohort": "2024-Q1", "within": "20d"}
    found = explained(tables, "repeat", cell, "repeated", within="20d")
    assert {(customer, role) for customer, role, _ in found} == {
        ("b", "first order"),
        ("b", "second order"),
    }
    assert len(found) == 3  # two lines of the first day
    used = explained(tables, "retention", {"age": 0}, "active", part="curve", active="usage")
    assert {(customer, role) for customer, role, _ in used} == {
        ("a", "entered commitment"),
        ("a", "active at month 0"),
    }


def test_what_cannot_be_explained_says_what_can(tables):
    with pytest.raises(UsageError, match="one count over another of other people"):
        explained(tables, "flow", {"period": "2024-01", "stage": "awareness"}, "flow_ratio")
    with pytest.raises(UsageError, match="ask without wide"):
        explained(tables, "retention", {"cohort": "2024-02"}, "customers", wide="active")
