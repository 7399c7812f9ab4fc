"""Touchpoints in cases that can be counted by hand, their words and refusals."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from bowtie.errors import Refused, UsageError
from bowtie.events import ContractSigned, Disqualified, Noted, ScoreGiven, Touched
from bowtie.stages import load_definition
from bowtie_projections.explaining import explanation
from bowtie_projections.views.cut import Cut
from bowtie_projections.views.touchpoints import touchpoints
from tests.read_tables import FilledTables, Said

B2B = load_definition("b2b")
START = datetime(2024, 1, 1, tzinfo=UTC)


def day(number: float) -> datetime:
    return START + timedelta(days=number)


def touch(touchpoint, cost=None, currency="EUR", direction="inbound", **more) -> Touched:
    money = {"cost": Decimal(cost), "currency": currency} if cost is not None else {}
    return Touched(
        channel=more.get("channel", "web"), direction=direction, touchpoint=touchpoint, **money
    )


def nps(score) -> ScoreGiven:
    return ScoreGiven(instrument="nps", score=Decimal(score), touchpoint="survey")


def said(*facts) -> list[Said]:
    return [
        Said(customer, event, day(number), position)
        for position, (customer, event, number) in enumerate(facts, start=1)
    ]


FACTS = [
    ("a", touch("mail", direction="outbound", cost="0.10"), 0),
    ("a", touch("fair", cost="90"), 1),
    ("a", Noted(name="lead_created"), 2),
    ("a", touch("fair", cost="30", currency="USD"), 3),
    ("a", touch("fair"), 4),
    ("b", touch("fair", cost="60"), 5),
    ("b", Disqualified(), 6),
    ("b", touch("mail", direction="outbound"), 7),
    ("c", touch(None, channel="call"), 8),
    *(("a", nps(score), 10 + score) for score in (10, 9, 8, 7, 6, 0)),
    ("b", nps(11), 21),
    ("b", ScoreGiven(instrument="csat", score=Decimal(4), touchpoint="survey"), 22),
]


@pytest.fixture(scope="module")
def tables(make_tables) -> FilledTables:
    memory = make_tables()
    memory.load(said(*FACTS), B2B)
    return memory


def ask(tables, **asked):
    return touchpoints(tables, Cut(tables.position), B2B, **asked)


def rows_of(result):
    return {(row["touchpoint"], row["stage"]): row for row in result.rows()}


def test_touches_stand_where_their_customer_stood_then(tables):
    rows = rows_of(ask(tables))
    assert {cell: row["touches"] for cell, row in rows.items() if row["touches"]} == {
        ("fair", "awareness"): 2,
        ("fair", "education"): 2,
        ("mail", "lost"): 1,
        ("mail", "no stage"): 1,
        (None, "awareness"): 1,
    }
    assert (rows["mail", "lost"]["inbound"], rows["mail", "lost"]["outbound"]) == (0, 1)
    assert rows["fair", "awareness"]["customers"] == 2


def test_a_cost_is_shown_where_it_is_said_and_in_one_currency(tables):
    rows = rows_of(ask(tables))
    fair = rows["fair", "awareness"]
    assert (fair["currency"], fair["cost"], fair["cost_per_touch"]) == ("EUR", 150, 75)
    later = rows["fair", "education"]
    assert (later["currency"], later["cost"], later["no_cost_share"]) == ("USD", 30, 0.5)
    assert later["cost_per_touch"] == 30  # of the one that says it
    silent = rows["mail", "lost"]
    assert (silent["cost"], silent["cost_per_touch"], silent["no_cost_share"]) == (None, None, 1)


def test_currencies_are_never_added(tables):
    result = ask(tables, no_stages=True)
    (fair,) = [row for row in result.rows() if row["touchpoint"] == "fair"]
    assert (fair["currency"], fair["cost"]) == (None, None)
    costs = [row for row in result.part("costs") if row["touchpoint"] == "fair"]
    assert [(row["currency"], row["cost"]) for row in costs] == [("EUR", 150), ("USD", 30)]
    assert any("never added" in note for note in result.notes)
    assert "stage" not in result.columns


def test_the_net_promoter_score_is_of_promoters_less_detractors(tables):
    result = ask(tables, no_stages=True)
    (survey,) = [row for row in result.rows() if row["touchpoint"] == "survey"]
    assert (survey["touches"], survey["no_cost_share"]) == (0, None)
    # 10 and 9 promote, 8 and 7 are passive, 6 and 0 detract; 11 is no answer
    assert (survey["nps"], survey["nps_answers"]) == (0.0, 6)
    assert (survey["csat"], survey["csat_answers"], survey["ces"]) == (4.0, 1, None)
    score = result.part("scores").rows()[0]
    counts = [score[name] for name in ("promoters", "passives", "detractors", "out_of_scale")]
    assert counts == [2, 2, 2, 1]
    assert any("1 answer is no NPS" in note for note in result.notes)


def test_only_extremes_give_the_ends_of_the_scale(memory):
    for score, end in ((9, 100.0), (6, -100.0)):
        memory.load(said(*((f"c{n}", nps(score), n) for n in range(3))), B2B)
        (row,) = touchpoints(memory, Cut(memory.position), B2B).rows()
        assert row["nps"] == end


def test_the_period_is_that_of_the_touches(tables):
    result = ask(tables, from_="2024-01-02", to="2024-01-04", no_stages=True)
    assert [(row["touchpoint"], row["touches"]) for row in result] == [("fair", 2)]
    assert result.sentence == (
        "2 touches of 1 customer from 2024-01-02 to 2024-01-04 by 2024-01-23: 2 inbound, 0"
        " outbound; 0 of them say no cost."
    )


def test_scores_name_no_channel(tables):
    result = ask(tables, of="channel", no_stages=True)
    assert [(row["channel"], row["touches"], row["nps"]) for row in result] == [
        ("call", 1, None),
        ("web", 6, None),
    ]


@pytest.mark.parametrize(
    ("asked", "problem"),
    [
        ({"of": "page"}, "write channel, campaign"),
        ({"of": "direction"}, "channel"),
        ({"unit": "cycle"}, "customer or account or opportunity"),
        ({"from_": "2024-02", "to": "2024-01"}, "before the start"),
    ],
)
def test_what_cannot_be_asked_says_what_can(tables, asked, problem):
    with pytest.raises(UsageError, match=problem):
        ask(tables, **asked)


def test_a_contracts_value_comes_later_than_touches(tables):
    with pytest.raises(Refused, match="by a trait or by the first touch"):
        ask(tables, by=["motion"])


def test_an_empty_log(memory):
    memory.load([], B2B)
    result = touchpoints(memory, Cut(0), B2B)
    assert result.rows() == []
    assert result.sentence == "There is no touch in the log."


def test_a_customer_who_came_back_stands_in_the_new_cycle(memory):
    signed = ContractSigned(
        contract="k", kind="paid", amount=Decimal(10), per="month", currency="EUR",
        starts_on=date(2024, 1, 2), ends_on=date(2024, 1, 31),
    )  # fmt: skip
    memory.load(
        said(
            ("a", signed, 1),
            ("a", touch("x"), 2),
            ("a", touch("y", direction="outbound"), 80),
            ("a", touch("z"), 90),
        ),
        B2B,
    )
    rows = touchpoints(memory, Cut(memory.position), B2B).rows()
    assert [(row["touchpoint"], row["stage"]) for row in rows] == [
        ("x", "commitment"),
        ("y", "lost"),
        ("z", "awareness"),
    ]


@pytest.mark.parametrize("column", ["touches", "inbound", "outbound", "customers", "cost"])
def test_every_figure_has_its_touches(tables, column):
    asked: dict[str, Any] = {"by": ["channel"], "top": 1}
    for row in ask(tables, **asked).rows():
        if row[column] is None or not row["touches"]:
            continue
        cell = {name: row[name] for name in ("channel", "touchpoint", "stage")}
        told = explanation(
            tables, Cut(tables.position), B2B, view="touchpoints", cell=cell, column=column, **asked
        )
        assert {fact["type"] for fact in told.rows()} <= {"touched"}
        if column in {"touches", "inbound", "outbound"}:
            assert len(told.rows()) == row[column]
