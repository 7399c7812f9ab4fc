"""Paths in cases that can be counted by hand, their words and refusals."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest

from bowtie.errors import UsageError
from bowtie.events import ContractSigned, Disqualified, Noted, Touched
from bowtie.stages import load_definition
from bowtie_projections.views.cut import Cut
from bowtie_projections.views.paths import paths
from tests.read_tables import FilledTables, Said

B2B = load_definition("b2b")
START = datetime(2024, 1, 1, tzinfo=UTC)


def touch(touchpoint, direction="inbound") -> Touched:
    return Touched(channel="web", direction=direction, touchpoint=touchpoint)


def signed() -> ContractSigned:
    return ContractSigned(
        contract="k", kind="paid", amount=Decimal(10), per="month", currency="EUR",
        starts_on=date(2024, 1, 1),
    )  # fmt: skip


LEAD, DEMO = Noted(name="lead_created"), Noted(name="demo_requested")


def said(*facts) -> list[Said]:
    return [
        Said(customer, event, START + timedelta(days=number), position)
        for position, (customer, event, number) in enumerate(facts, start=1)
    ]


FACTS = said(
    ("a", touch("ad"), 0), ("a", touch("ad"), 1), ("a", LEAD, 2), ("a", touch("demo"), 3),
    ("a", DEMO, 3), ("a", signed(), 10),
    ("b", touch("ad"), 0), ("b", LEAD, 4), ("b", Disqualified(), 6), ("b", touch("late", "outbound"), 7),
    ("c", touch("fair"), 0), ("c", signed(), 1),
    ("d", touch("mail", "outbound"), 0),
)  # fmt: skip


@pytest.fixture(scope="module")
def tables(make_tables) -> FilledTables:
    memory = make_tables()
    memory.load(FACTS, B2B)
    return memory


def ask(tables, **asked):
    return paths(tables, Cut(tables.position), B2B, **asked)


def links(result):
    return {(row["step"], row["source"], row["target"]): row["customers"] for row in result.rows()}


def sequences(result):
    return {row["sequence"]: row["customers"] for row in result.part("sequences").rows()}


def test_a_path_begins_and_ends_somewhere(tables):
    result = ask(tables, steps=2)
    assert links(result) == {
        (0, "(start)", "awareness"): 3,
        (1, "awareness", "education"): 2,
        (1, "awareness", "commitment"): 1,
        (2, "education", "(more)"): 1,
        (2, "education", "(lost)"): 1,
        (2, "commitment", "(open)"): 1,
    }
    assert [row["share"] for row in result.rows()][:3] == [1.0, 2 / 3, 1 / 3]
    assert result.sentence == (
        "3 customers walked a path by 2024-01-11; of those told to their end 1 was lost and 1 is"
        " open: they may go on."
    )


def test_sequences_are_whole_and_say_who_committed(tables):
    rows = ask(tables).part("sequences").rows()
    whole = "(start) > awareness > education > selection > commitment > (open)"
    assert {row["sequence"]: (row["committed"], row["open"]) for row in rows} == {
        whole: (1, 1),
        "(start) > awareness > education > (lost)": (0, 0),
        "(start) > awareness > commitment > (open)": (1, 1),
    }
    assert sum(row["share"] for row in rows) == pytest.approx(1)


def test_touches_with_and_without_repeats(tables):
    assert sequences(ask(tables, of="touchpoints")) == {
        "(start) > ad > (lost)": 1,
        "(start) > ad > ad > demo > (open)": 1,
        "(start) > fair > (open)": 1,
        "(start) > mail > (open)": 1,
    }
    assert "(start) > ad > demo > (open)" in sequences(ask(tables, of="touchpoints", collapse=True))


def test_a_touch_comes_before_the_stage_it_enters(tables):
    told = sequences(ask(tables, of=["stages", "touchpoints"], steps=8))
    assert (
        "(start) > ad > awareness > ad > education > demo > selection > commitment > (open)" in told
    )


def test_up_to_a_stage_paths_are_counted_from_it(tables):
    result = ask(tables, of="touchpoints", ends="commitment", steps=2)
    assert links(result) == {
        (-2, "(more)", "demo"): 1,
        (-2, "(start)", "fair"): 1,
        (-1, "demo", "commitment"): 1,
        (-1, "fair", "commitment"): 1,
    }
    assert result.sentence == (
        "2 customers entered commitment by 2024-01-11; who has not entered commitment by then is"
        " left out: they still may."
    )


def test_from_a_stage_on(tables):
    assert sequences(ask(tables, starts="education")) == {
        "education > selection > commitment > (open)": 1,
        "education > (lost)": 1,
    }
    both = ask(tables, of="touchpoints", starts="education", ends="commitment")
    assert sequences(both) == {"education > demo > commitment": 1}


def test_the_rest_is_other_and_adds_up(tables):
    result = ask(tables, of="touchpoints", top=1)
    rows = result.part("sequences").rows()
    assert [row["sequence"] for row in rows][-1] == "other"
    assert sum(row["customers"] for row in rows) == 4
    nodes = {row["source"] for row in result.rows()} | {row["target"] for row in result.rows()}
    assert nodes == {"(start)", "ad", "other", "(open)", "(lost)"}


def test_a_touchpoint_called_like_something_else_is_told_apart(memory):
    memory.load(said(("a", touch("awareness"), 0), ("a", touch("other"), 1)), B2B)
    result = paths(memory, Cut(memory.position), B2B, of=["stages", "touchpoints"])
    (told,) = sequences(result)
    assert told == "(start) > awareness (value) > awareness > other (value) > (open)"


@pytest.mark.parametrize(
    ("asked", "problem"),
    [
        ({"of": "pages"}, "write stages, one of touchpoints"),
        ({"of": ["channels", "campaigns"]}, "stages and one of these"),
        ({"of": []}, "of is empty"),
        ({"steps": 0}, "whole number from 1"),
        ({"steps": 40}, "fewer steps="),
        ({"starts": "interest"}, "starts is 'interest'"),
        ({"starts": "growth", "ends": "growth"}, "two stages"),
    ],
)
def test_what_cannot_be_asked_says_what_can(tables, asked, problem):
    with pytest.raises(UsageError, match=problem):
        ask(tables, **asked)


def test_an_empty_log(memory):
    memory.load([], B2B)
    for of in ("stages", "touchpoints"):
        result = paths(memory, Cut(0), B2B, of=of)
        assert result.rows() == []
        assert result.sentence == "There is no path in the log."
