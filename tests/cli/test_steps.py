"""``bowtie funnel --step``: a funnel over events, and what it refuses."""

from __future__ import annotations

import pytest

STEPS = ("--step", "touched", "--step", "noted[name=opportunity_created]")
WON = ("--step", "contract_signed[kind=paid] within 60d as won")


@pytest.fixture(scope="module")
def business(tmp_path_factory):
    """A store with a small business in it."""
    from bowtie import Bowtie
    from bowtie.demo import Demo

    folder = tmp_path_factory.mktemp("business")
    Demo(customers=200).write(folder / "log.jsonl")
    with Bowtie.open(str(folder / "demo.db")) as engine:
        engine.ingest(folder / "log.jsonl")
    return folder / "demo.db"


@pytest.fixture
def ask(run, business, monkeypatch):
    monkeypatch.setenv("BOWTIE_STORE", str(business))
    return run


def test_steps_instead_of_stages(ask):
    answer = ask("funnel", *STEPS, *WON, "--json").json
    assert answer["view"] == "steps"
    assert answer["sentence"].startswith("200 customers began with touched by ")
    assert [row["event"] for row in answer["rows"]][2] == "won"
    entered = [row["entered"] for row in answer["rows"]]
    assert entered == sorted(entered, reverse=True)
    assert answer["parameters"]["steps"][2] == "won within 60d"
    assert answer["parameters"]["within"] == "90d"


def test_every_option_reaches_the_view(ask):
    asked = (
        *("--order", "strict", "--within", "30d", "--within-each", "20d", "--after-each", "1h"),
        *("--exclude", "disqualified@1-2", "--hold", "properties.opportunity"),
        *("--count", "conversions", "--reentry", "first", "--cohort", "year", "--by", "industry"),
    )
    steps = ("--step", "noted[name=opportunity_created]", "--step", "noted[name=demo_requested]")
    said = ask("funnel", *steps, *asked, "--json").json["parameters"]
    assert said["order"] == "strict"
    assert (said["within"], said["within_each"], said["after_each"]) == ("30d", "20d", "1h")
    assert said["exclude"] == ["disqualified@1-2"]
    assert (said["count"], said["reentry"]) == ("conversions", "first")
    assert said["hold"] == "properties.opportunity"


def test_cycles_is_the_same_word_for_both(ask):
    rows = ask("funnel", *STEPS, "--cycles", "--json").json
    assert rows["parameters"]["count"] == "cycles"
    assert " cycles began" in rows["sentence"]


def test_who_is_behind_a_cell(ask):
    rows = ask("funnel", *STEPS, "--json").json["rows"]
    behind = ask("funnel", *STEPS, "--customers", "1:reached", "--json").json
    assert len(behind["rows"]) == rows[0]["reached_next"]
    assert {"customer", "entered_at", "next_at", "days"} <= set(behind["columns"])


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ((*STEPS, "--skipped", "impute"), "--skipped is of the funnel over stages"),
        ((*STEPS, "--estimate"), "--estimate is of the funnel over stages"),
        ((*STEPS, "--data-from", "2024"), "--from says"),
        (("--order", "any"), "--order is of a funnel over events"),
        (("--hold", "channel"), "--hold is of a funnel over events"),
        ((*STEPS, "--cycles", "--count", "conversions"), "keep one"),
        (("--step", "touched"), "at least two steps"),
        (("--step", "touched", "--step", "touchd"), "did you mean touched?"),
        (("--step", "touched", "--step", "cart_added"), "noted[name=cart_added]"),
        ((*STEPS, "--order", "any", "--after-each", "1h"), "--within"),
        ((*STEPS, "--customers", "2:reached"), "the last"),
        ((*STEPS, "--exclude", "touched@2-1"), "A before B"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_is_refused_says_what_to_write(ask, options, said):
    assert said in ask("funnel", *options, code=2).error
