"""Differences and editions from the command line."""

from __future__ import annotations

import pytest

LATE = (
    '{"specversion": "1.0", "id": "9", "source": "crm", "type": "bowtie.noted", "subject": "zeta",'
    ' "time": "2026-01-06T10:00:00Z", "data": {"name": "lead_created"}}\n'
)


@pytest.fixture
def later(run, store, folder):
    """A store that learned late of a lead."""
    (folder / "late.jsonl").write_text(LATE)
    run("ingest", "late.jsonl")


def test_who_and_what_moved_a_figure(run, later):
    asked = ("diff", "funnel", "--from-position", "5")
    out = run(*asked).out
    assert "between position 5 and now (position 6): 1 customer moved." in out
    assert "recorded late" in out
    row = next(line for line in out.splitlines() if line.startswith("education  entered"))
    assert row.split() == ["education", "entered", "1", "2", "+1", "1", "0"]
    whole = run(*asked, "--json").json
    assert {row["customer"] for row in whole["parts"]["customers"]["rows"]} == {"zeta"}
    (event,) = whole["parts"]["events"]["rows"]
    assert (event["id"], event["counts_for"], event["why"]) == ("9", "education", "recorded late")
    assert run(*asked, "--part", "events", "--format", "csv").out.splitlines()[1:]
    assert run("diff", "stock", "--from-position", "5", "--json").json["rows"]


def test_definitions_and_the_other_way_round(run, later):
    asked = ("diff", "stock", "--from-definition", "b2b", "--to-definition", "shop")
    rows = run(*asked, "--json").json["rows"]
    back = run("diff", "stock", "--to-definition", "b2b", "--from-definition", "shop", "--json")
    assert [(row["before"], row["after"]) for row in rows] == [
        (row["after"], row["before"]) for row in back.json["rows"]
    ]


def test_what_can_t_be_asked(run, later):
    assert "--from-known-at" in run("diff", "funnel", code=2).error
    error = run("diff", "funnel", "--from-position", "9", code=2).error
    assert "the tables hold positions up to 6" in error
    both = ("--from-position", "1", "--from-known-at", "2026-01-01")
    assert "give one of them" in run("diff", "funnel", *both, code=2).error


def test_a_figure_has_the_form_of_its_unit(run, later):
    out = run("metrics").out
    assert out.startswith("wbd-2026: 2 customers entered a stage")
    volume = next(line for line in out.splitlines() if line.startswith("VM1"))
    assert volume.split()[:4] == ["VM1", "prospects", "customers", "2"]
    rows = run("metrics", "--edition", "wbd-2022", "--json").json["rows"]
    assert next(row for row in rows if row["number"] == "CR5")["metric"] == "onboarding_retention"
    money = next(row for row in run("metrics", "--json").json["rows"] if row["number"] == "VM6")
    assert (money["value"], money["currency"], money["of"]) == (100.0, "EUR", 1)
