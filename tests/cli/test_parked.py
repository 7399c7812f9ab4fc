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


def test_show_says_why_and_prints_the_line_only_if_asked(run, parked):
    done = run("parked", "show", "1")
    assert "unknown_type" in done.out
    assert "specversion" not in done.out
    assert "--reveal" in done.out
    assert run("parked", "show", "1", "--json").json["reason"] == "unknown_type"

    done = run("parked", "show", "1", "--reveal")
    assert done.json["type"] == "bowtie.tuched"
    assert "unknown_type" in done.err
    assert "bowtie.tuched" in run("parked", "show", "1", "--reveal", "--json").json["text"]
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


def test_drop_keeps_who_and_why(run, parked, mixed):
    done = run("parked", "drop", "1", "--all-of", "no_customer", "--reason", "a test", "--json")
    assert done.json == {"dropped": 2, "parked": 1}
    whole = run("parked", "list", "--json").json
    assert (whole["parked"], whole["dropped"]) == (1, 2)
    gone = run("parked", "list", "--dropped", "--json").json
    assert gone["dropped_by_reason"] == {"no_customer": 1, "unknown_type": 1}
    assert {(one["why"], bool(one["by"])) for one in gone["lines"]} == {("a test", True)}
    assert "a test" in run("parked", "list", "--dropped").out
    assert run("status", "--json").json["dropped"] == 2

    run("ingest", mixed, code=3)  # the same file again parks nothing that was dropped
    assert run("parked", "list", "--json").json["parked"] == 1


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["--reason", "x"], "--all-of"),
        (["1"], "--reason"),
        (["1", "--reason", " "], "why"),
        (["99", "--reason", "x"], "99"),
        (["--all-of", "naive", "--reason", "x"], "unknown_type"),
    ],
)
def test_what_can_not_be_dropped(run, parked, args, said):
    assert said in run("parked", "drop", *args, code=2).err
    assert run("parked", "list", "--json").json["parked"] == 3


def test_a_forgotten_customers_line_can_not_be_shown(run, parked, folder):
    run("forget", "acme", "--yes")
    (folder / "more.jsonl").write_text(line("20", "touched", **TOUCH))
    run("ingest", "more.jsonl", code=3)
    listed = run("parked", "list", "--reason", "customer_forgotten", "--json").json["lines"]
    assert "not kept" in run("parked", "show", str(listed[0]["parked_id"])).out
