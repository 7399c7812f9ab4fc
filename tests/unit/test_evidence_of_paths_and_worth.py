"""Each count and amount of paths, attribution, value and rfm, explained in both databases."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from bowtie.errors import UsageError
from bowtie.events import ContractSigned, Disqualified, Noted, OrderPlaced, Touched
from bowtie.stages import load_definition
from bowtie_projections.explained import EVIDENCE
from bowtie_projections.explaining import explanation
from bowtie_projections.views.cut import Cut
from tests.read_tables import FilledTables, MemoryTables, Said, SchemaTables

B2B = load_definition("b2b")
START = datetime(2024, 1, 10, tzinfo=UTC)
NOW = START + timedelta(days=120)


def touch(channel: str) -> Touched:
    return Touched(channel=channel, direction="inbound")


@pytest.fixture(scope="module")
def tables(make_tables) -> FilledTables:
    return filled(make_tables())


def filled(memory: FilledTables) -> FilledTables:
    facts: list[Said] = []

    def said(customer, data, day):
        facts.append(Said(customer, data, START + timedelta(days=day), len(facts) + 1))

    for number, customer in enumerate("abcdef"):
        said(customer, touch(["ads", "mail", "web"][number % 3]), number)
        said(customer, Noted(name="lead_created"), number + 10)
        said(customer, touch("mail"), number + 12)
        said(customer, Noted(name="demo_requested"), number + 15)
        if number == 5:
            said(customer, Disqualified(), 40)
            continue
        said(customer, touch("web"), number + 18)
        signed = ContractSigned(
            contract="k", kind="paid", amount=str(10 + number), per="month", currency="EUR",
            starts_on=(START + timedelta(days=number + 20)).date(),
        )  # fmt: skip
        said(customer, signed, number + 20)
        for day in range(0, 30, 10 + number):
            order = OrderPlaced(order=f"o{day}", kind="order", amount=Decimal(7), currency="EUR")
            said(customer, order, number + 25 + day)
    said("g", OrderPlaced(order="o", kind="order", amount=Decimal(9), currency="EUR"), 50)
    said("h", Noted(name="lead_created"), 5)
    memory.load(facts, B2B)
    return memory


WALKED = {"of": ["stages", "channels"]}
CREDITED = {"models": ["w", "time_decay"], "horizon": "60d"}
WORTH = {"horizon": "30d", "by": ["channel"], "cohort": "month"}
ASKED: list[tuple[str, str | None, dict[str, Any], tuple[str, ...], tuple[str, ...]]] = [
    ("paths", None, WALKED, ("step", "source", "target"), ("customers",)),
    ("paths", None, {"ends": "commitment"}, ("step", "source", "target"), ("customers",)),
    ("paths", "moves", WALKED, ("source", "target"), ("customers", "moves")),
    (
        "paths", "sequences", WALKED | {"top": 2, "by": ["channel"], "cycles": True},
        ("channel", "sequence"), ("customers", "committed", "open"),
    ),
    ("attribution", None, CREDITED, ("channel", "model"), ("wins", "value")),
    (
        "value", None, WORTH, ("channel", "cohort"),
        ("value", "realised"),
    ),
    ("value", "tiers", WORTH, ("channel", "cohort", "tier"), ("customers", "value")),
    ("rfm", None, {}, ("segment",), ("customers", "value")),
    ("rfm", "movement", {"since": "2024-02-20"}, ("from", "to"), ("customers",)),
]  # fmt: skip


#: The further tables of answers are left to test-all.
_CASES = [pytest.param(*one, marks=pytest.mark.slow) if one[1] else one for one in ASKED]


@pytest.mark.parametrize(("view", "part", "asked", "keys", "columns"), _CASES, ids=str)
def test_every_figure_has_its_members(tables, view, part, asked, keys, columns):  # noqa: PLR0917
    cut = Cut(tables.position, NOW)
    answer = EVIDENCE[view].view(tables, cut, B2B, **asked)
    rows = (answer if part is None else answer.part(part)).rows()
    explained = 0
    for row in rows[:: max(1, len(rows) // 2)]:
        cell = {name: row[name] for name in keys}
        for column in columns:
            if row[column] is None:
                continue
            found = explanation(
                tables, cut, B2B, view=view, part=part, cell=cell, column=column, **asked
            )
            assert found.meta["value"] == row[column]
            assert bool(found.rows()) == bool(row[column])
            explained += bool(row[column])
    assert explained


def told(tables, view, cell, column, part=None, **asked):
    cut = Cut(tables.position, NOW)
    question = {"cell": cell, "column": column, "part": part, **asked}
    rows = explanation(tables, cut, B2B, view=view, **question).rows()
    return {(row["customer"], row["role"], row["type"]) for row in rows}


def test_the_facts_are_those_that_put_them_there(tables):
    into = {"step": 2, "source": "awareness", "target": "education"}
    found = told(tables, "paths", into, "customers", of=["stages", "channels"])
    assert ("a", "entered awareness", "touched") in found
    assert ("a", "entered education", "noted") in found
    first = told(tables, "attribution", {"channel": "ads", "model": "first"}, "wins")
    assert first == {
        (customer, role, type_name)
        for customer in "ad"
        for role, type_name in (
            ("entered commitment", "contract_signed"),
            ("touch: channel ads", "touched"),
        )
    }
    lost = {"sequence": "(start) > awareness > education > selection > (lost)"}
    assert ("f", "disqualified", "disqualified") in told(
        tables, "paths", lost, "customers", "sequences"
    )


def test_what_is_of_all_paths_together_has_no_members(tables):
    with pytest.raises(UsageError, match="of all paths together"):
        told(tables, "attribution", {"channel": "ads", "model": "markov"}, "wins")


@pytest.mark.slow
def test_the_hash_is_the_same_in_both_databases(postgres_server):
    """Of a figure of each view: the same members, roles and events."""
    with postgres_server.schema() as url:
        schema = SchemaTables(url)
        both = filled(MemoryTables()), filled(schema)
        cut = Cut(both[0].position, NOW)
        for view, part, asked, keys, columns in ASKED:
            answer = EVIDENCE[view].view(both[0], cut, B2B, **asked)
            row = (answer if part is None else answer.part(part)).rows()[0]
            cell = {name: row[name] for name in keys}
            of: dict[str, Any] = {"view": view, "part": part, "cell": cell, "column": columns[0]}
            one, other = (
                explanation(tables, cut, B2B, **of, **asked).meta["hash"] for tables in both
            )
            assert one == other, view
        schema.connection.close()
