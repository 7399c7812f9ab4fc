"""``bowtie value``."""

from __future__ import annotations

import json

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


def test_rfm_has_nobody_where_nobody_orders_and_says_so(run, store):
    said = run("rfm", "--since", "2025-01-01")
    assert "No customer has placed an order" in said.out
    late = run("rfm", "--since", "2030-01-01", code=2).err
    assert "write an earlier day" in late
    assert len(late.splitlines()) == 1


def test_rfm_parts_all_who_ordered(run, folder):
    lines = [
        json.dumps(
            {
                "specversion": "1.0", "id": str(n), "source": "t", "subject": f"c{n % 7}",
                "type": "bowtie.order_placed", "time": f"2024-01-{n + 1:02}T00:00:00Z",
                "data": {"order": f"o{n}", "kind": "order", "amount": str(n + 1), "currency": "EUR"},
            }
        )
        for n in range(20)
    ]  # fmt: skip
    (folder / "log.jsonl").write_text("\n".join(lines))
    run("ingest", "log.jsonl")
    answer = run("rfm", "--since", "2024-01-10", "--json").json
    assert sum(row["customers"] for row in answer["rows"]) == 7
    assert sum(row["customers"] for row in answer["parts"]["movement"]["rows"]) == 7
