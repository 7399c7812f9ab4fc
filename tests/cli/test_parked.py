"""What was refused: listed, shown, tried again."""

from __future__ import annotations

import pytest

from tests.cli.conftest import TOUCH, line


@pytest.fixture
def parked(run, mixed):
    run("ingest", mixed, code=3)


def test_list(run, parked):
    whole = run("parked", "list", "--json").json
    assert whole["parked"] == 3
    assert [one["reason"] for one in whole["lines"]] == [
        "unknown_type",
        "naive_time",
        "no_customer",
    ]
    assert whole["lines"][0]["line"].endswith("mixed.jsonl:3")
    assert "3 lines are parked" in run("parked", "list").out


def test_list_by_reason(run, parked):
    assert len(run("parked", "list", "--reason", "naive_time", "--json").json["lines"]) == 1
    assert len(run("parked", "list", "--limit", "2", "--json").json["lines"]) == 2
    assert "unknown_type" in run("parked", "list", "--reason", "naive", code=2).error


def test_show_prints_the_line_as_it_was_sent(run, parked):
    done = run("parked", "show", "1")
    assert done.json["type"] == "bowtie.tuched"
    assert "unknown_type" in done.err
    assert "99" in run("parked", "show", "99", code=2).error


def test_retry_reports_and_keeps_what_is_still_wrong(run, parked):
    done = run("parked", "retry", "--json", code=3)
    assert (done.json["appended"], done.json["parked"]) == (0, 3)
    assert run("parked", "list", "--json").json["parked"] == 3


def test_retry_with_correct_takes_a_reused_id(run, folder, good):
    run("ingest", good)
    (folder / "new.jsonl").write_text(line("1", "touched", **{**TOUCH, "channel": "search"}))
    run("ingest", "new.jsonl", code=3)
    assert "corrected" in run("parked", "retry", "--correct").out
    assert run("parked", "list", "--json").json["parked"] == 0


def test_no_store(run):
    assert "no store" in run("parked", "list", code=1).error
