"""``bowtie value``."""

from __future__ import annotations

import pytest


@pytest.fixture
def store(run, folder):
    """A store of the demo."""
    run("demo", "--customers", "60", "--seed", "3", "-o", "demo.jsonl")
    run("ingest", "demo.jsonl", code=3)
    return folder


def test_value_is_told_with_its_tiers(run, store):
    answer = run("value", "--cohort", "year", "--by", "channel", "--most", "2", "--json").json
    mature = sum(row["mature"] for row in answer["rows"])
    assert mature == run("loop", "--threshold", "1", "--json").json["mature"]
    assert sum(row["customers"] for row in answer["parts"]["tiers"]["rows"]) == mature
    contribution = ("value", "--value", "contribution", "--costs-complete", "--threshold", "5000")
    tiers = run(*contribution, "--part", "tiers", "--format", "csv").out.splitlines()
    assert [line.split(",")[1] for line in tiers[1:]] == [
        "highly profitable",
        "break-even",
        "unprofitable",
    ]


@pytest.mark.parametrize(
    ("asked", "problem"),
    [
        (("--horizon", "1h"), "whole days"),
        (("--top", "2"), "write a share between 0 and 1"),
        (("--currency", "USD"), "amounts are in EUR"),
        (("--by", "motion", "--time-zero", "lead"), "known only of those who signed"),
    ],
)
def test_mistakes_are_said_in_one_line(run, store, asked, problem):
    code = 1 if "--currency" in asked or "--by" in asked else 2
    said = run("value", *asked, code=code).err
    assert problem in said
    assert len(said.splitlines()) == 1
