"""``bowtie prospects``."""

from __future__ import annotations

import sys

import pytest


@pytest.fixture
def store(run, folder):
    """A store of the demo."""
    run("demo", "--customers", "220", "--seed", "1", "-o", "demo.jsonl")
    run("ingest", "demo.jsonl", code=3)
    return folder


ENOUGH = ("prospects", "--within", "60d", "--looks", "5")


def test_prospects_are_scored_with_their_reasons(run, store):
    rules = store / "traits.toml"
    rules.write_text('[industry]\nkind = "protected"\n')
    said = run(*ENOUGH, "--top", "3", "--traits", str(rules))
    assert "are open prospects on 2026-06-30" in said.out
    assert "The best 3 are listed." in said.out
    assert "industry: off, declared protected" in said.out
    answer = run(*ENOUGH, "--top", "0", "--model", "--json").json
    scores = [row["p_win"] for row in answer["rows"]]
    assert scores == sorted(scores, reverse=True)
    assert len(scores) == answer["prospects"]
    assert all("odds x" in row["why_win"] for row in answer["rows"])
    assert {row["score"] for row in answer["parts"]["weights"]["rows"]} == {"win"}
    assert len(answer["parts"]["deciles"]["rows"]) == 10


def test_too_few_are_said_to_be_too_few(run, store):
    said = run("prospects").out
    assert "Insufficient to tell a chance: of " in said
    assert "(no rows)" in said


@pytest.mark.parametrize(
    ("asked", "code", "problem"),
    [
        (("--within", "soon"), 2, "within: 'soon' is not a span of time"),
        (("--share", "2"), 2, "write a share between 0 and 1"),
        (("--looks", "99"), 2, "not in the range 1<=x<=10"),
        (("--currency", "USD"), 1, "amounts are in EUR"),
        (("--traits", "none.toml"), 1, "none.toml"),
    ],
)
def test_mistakes_are_said_in_one_line(run, store, asked, code, problem):
    assert problem in run("prospects", *asked, code=code).err


def test_without_the_extra_it_says_how_to_have_it(run, folder, monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn", None)
    run("init")
    assert "pip install 'bowtie-journeys[models]'" in run("prospects", code=2).error
