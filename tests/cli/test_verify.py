"""A log, and its tables, that were tampered with."""

from __future__ import annotations

import sqlite3
from contextlib import closing

import duckdb
import pytest

from tests.cli.conftest import line


def tamper(store, *statements: str) -> None:
    with closing(sqlite3.connect(store)) as connection:
        for statement in statements:
            connection.execute(statement)
        connection.commit()


def problems(run, *args: str) -> list[tuple[str, int | None]]:
    whole = run("verify", "--json", *args, code=3).json
    assert whole["ok"] is False
    return [(one["check"], one["position"]) for one in whole["problems"]]


def test_a_good_store(run, store):
    run("replay")
    done = run("verify")
    assert "5 events checked: no problems." in done.out
    whole = run("verify", "--json").json
    assert (whole["ok"], whole["problems"], whole["notes"]) == (True, [], [])


def test_a_good_demo(run):
    run("demo", "--customers", "100", "-o", "log.jsonl")
    run("ingest", "log.jsonl", code=3)
    run("replay")
    assert run("verify", "--json").json["ok"] is True


def test_out_of_sequence_is_a_note(run, folder):
    (folder / "log.jsonl").write_text(line("1", "contract_ended", contract="c9"))
    run("ingest", "log.jsonl")
    whole = run("verify", "--json").json
    assert whole["ok"] is True
    assert whole["notes"][0]["check"] == "sequence"


CHANGED = "replace(state, '\"webinar\"', '\"website\"')"


@pytest.mark.parametrize(
    ("statement", "found"),
    [
        (f"UPDATE stored_events SET state = {CHANGED} WHERE rowid = 1", ("content", 1)),
        ("UPDATE stored_events SET state = '{' WHERE rowid = 2", ("payload", 2)),
        ("UPDATE stored_events SET topic = 'tuched' WHERE rowid = 1", ("payload", 1)),
        (
            "UPDATE stored_events SET state = replace(state, 'inbound', 'sideways') WHERE rowid = 1",
            ("payload", 1),
        ),
        (
            "UPDATE stored_events SET state = replace(state, '\"acme\"', '\"beta\"') WHERE rowid = 1",
            ("payload", 1),
        ),
        ("UPDATE stored_events SET originator_version = 9 WHERE rowid = 3", ("stream", None)),
        ("DELETE FROM bowtie_ids WHERE position = 2", ("id", 2)),
        ("UPDATE bowtie_ids SET position = 4 WHERE position = 1", ("id", 1)),
        ("UPDATE bowtie_commits SET last_position = 4", ("commit", 5)),
    ],
)
def test_what_was_tampered_with_is_found(run, store, statement, found):
    tamper(store, statement)
    assert found in problems(run, "--log-only")


def test_an_event_taken_out_is_found(run, store):
    tamper(store, "DELETE FROM stored_events WHERE rowid = 2")
    assert {check for check, _ in problems(run, "--log-only")} == {"stream", "id"}


def test_times_of_recording_that_fall(run, store):
    tamper(store, "INSERT INTO bowtie_commits SELECT 3, recorded_at + 5, seal FROM bowtie_commits")
    assert ("commit", 5) in problems(run, "--log-only")


def test_tables_that_were_changed(run, store):
    run("replay")
    with duckdb.connect("bowtie.duckdb") as tables:
        tables.execute("UPDATE touched SET channel = 'other' WHERE position = 1")
        tables.execute("DELETE FROM journeys WHERE customer = 'zeta'")
    done = run("verify", code=3)
    assert "touched: some of its 2 rows differ" in done.out
    assert "journeys has 1 rows; a replay makes 2" in done.out


def test_tables_of_another_store(run, store, good):
    run("replay")
    run("ingest", good, "--store", "other.db")
    assert ("tables", None) in problems(run, "--store", "other.db", "--views", "bowtie.duckdb")


def test_tables_that_are_behind_are_no_problem(run, store, folder):
    run("replay")
    (folder / "more.jsonl").write_text(line("9", "onboarded"))
    run("ingest", "more.jsonl")
    assert run("verify", "--json").json["ok"] is True


def test_no_tables_are_a_note(run, store):
    assert "none at" in run("verify").out
