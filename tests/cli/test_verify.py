"""A log, and its tables, that were tampered with."""

from __future__ import annotations

import sqlite3
from contextlib import closing

import duckdb
import pytest

from tests.cli.conftest import TOUCH, line


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
        ("UPDATE bowtie_ids SET content = NULL WHERE position = 1", ("content", 1)),
        ("UPDATE bowtie_commits SET last_position = 4", ("commit", 5)),
        ("UPDATE bowtie_commits SET recorded_at = 'once'", ("commit", 5)),
        ("UPDATE bowtie_commits SET recorded_at = 4611686018427387904", ("commit", 5)),
    ],
)
def test_what_was_tampered_with_is_found(run, store, statement, found):
    tamper(store, statement)
    assert found in problems(run, "--log-only")


def test_an_event_taken_out_is_found(run, store):
    tamper(store, "DELETE FROM stored_events WHERE rowid = 2")
    assert {check for check, _ in problems(run, "--log-only")} == {"stream", "id", "seal"}


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


# -- seals ----------------------------------------------------------------------------------------


@pytest.fixture
def three(run, store, folder):
    """A store of three transactions: positions 1 to 5, 6, and 7."""
    for number in ("6", "7"):
        (folder / "more.jsonl").write_text(line(number, "touched", **TOUCH))
        run("ingest", "more.jsonl")
    return store


BLOB = "CAST(replace(CAST(state AS TEXT), '\"web', '\"wib') AS BLOB)"


@pytest.mark.parametrize(
    ("statement", "position"),
    [
        (f"UPDATE stored_events SET state = {BLOB} WHERE rowid = 6", 6),
        ("UPDATE stored_events SET state = state || x'20' WHERE rowid = 2", 5),
        ("UPDATE stored_events SET originator_id = 'customer/x' WHERE rowid = 1", 5),
        ("UPDATE stored_events SET originator_version = '1x' WHERE rowid = 1", 5),
        ("UPDATE stored_events SET topic = 'noted' WHERE rowid = 7", 7),
        ("DELETE FROM stored_events WHERE rowid = 6", 6),
        ("DELETE FROM stored_events WHERE rowid = 7", 7),
        ("UPDATE bowtie_commits SET recorded_at = recorded_at + 1 WHERE last_position = 6", 6),
        ("UPDATE bowtie_commits SET seal = zeroblob(32) WHERE last_position = 5", 5),
        ("UPDATE bowtie_commits SET seal = NULL WHERE last_position = 7", 7),
        ("DELETE FROM bowtie_commits WHERE last_position = 5", 6),
        ("UPDATE stored_events SET rowid = 8 WHERE rowid = 7", None),
    ],
)
def test_the_transaction_that_was_changed_is_named(run, three, statement, position):
    tamper(three, statement)
    found = run("verify", "--json", "--log-only", code=3).json["problems"]
    sealed = [one["position"] for one in found if one["check"] == "seal"]
    if position is not None:
        assert position in sealed
        assert set(sealed) <= {position, 6 if position == 5 else position}
        named = next(one["problem"] for one in found if one["check"] == "seal")
        assert f"to {position}," in named or "removed" in named


def test_a_seal_kept_elsewhere(run, three):
    kept = run("verify", "--head").out.strip()
    assert kept.startswith("7:")
    whole = run("verify", "--head", "--json").json
    assert f"{whole['position']}:{whole['seal']}" == kept
    run("verify", "--log-only", "--expect", kept)
    run("verify", "--log-only", "--expect", kept.partition(":")[2])


def test_a_log_cut_short_is_found_by_the_kept_seal(run, three):
    """Who takes the last transaction away with all that belongs to it leaves a whole chain."""
    kept = run("verify", "--head").out
    tamper(
        three,
        "DELETE FROM stored_events WHERE rowid = 7",
        "DELETE FROM bowtie_commits WHERE last_position = 7",
        "DELETE FROM bowtie_ids WHERE position = 7",
    )
    run("verify", "--log-only")
    found = run("verify", "--log-only", "--json", "--expect", kept, code=3).json["problems"]
    assert [one["check"] for one in found] == ["seal"]
    assert "kept" in found[0]["problem"]


@pytest.mark.parametrize("kept", ["7", "seven:00", "7:xyz", "", ":"])
def test_a_seal_that_is_none(run, three, kept):
    assert "--head" in run("verify", "--expect", kept, code=2).err


def test_an_empty_store_has_no_seal(run):
    run("init")
    assert "no event" in run("verify", "--head", code=2).error


# -- what is derived, and its repair --------------------------------------------------------------


def test_claims_are_compared_and_mended(run, store, folder):
    (folder / "more.jsonl").write_text(line("9", "identity_linked", alias="acme-eu"))
    run("ingest", "more.jsonl")
    run("replay")
    assert run("verify", "--json").json["ok"] is True
    tamper(
        store,
        "DELETE FROM bowtie_claims",
        "INSERT INTO bowtie_claims VALUES ('deadbeefdeadbeef', 'customer/zeta')",
        "DELETE FROM bowtie_ids WHERE position = 2",
        "UPDATE bowtie_ids SET position = 9 WHERE position = 3",
        "INSERT INTO bowtie_ids VALUES (x'00', 4, x'00')",
    )
    with duckdb.connect("bowtie.duckdb") as tables:
        tables.execute("DELETE FROM touched")
    found = {check for check, _ in problems(run)}
    assert found == {"claim", "id", "tables"}
    before = run("export", "log").out

    done = run("verify", "--repair")
    assert "2 claims" in done.out
    assert "3 ids" in done.out
    assert "read tables" in done.out
    assert run("verify", "--json").json["ok"] is True
    assert run("export", "log").out == before
    again = run("ingest", "good.jsonl", "--json").json
    assert (again["duplicates"], again["appended"]) == (5, 0)


def test_a_repair_leaves_events_alone(run, three):
    tamper(three, "UPDATE stored_events SET state = state || x'20' WHERE rowid = 2")
    done = run("verify", "--log-only", "--repair", "--json", code=3).json
    assert [one["check"] for one in done["problems"]] == ["seal"]
    assert done["repaired"] == []


def test_snapshots_are_compared_and_dropped(run, store):
    tamper(
        store,
        "INSERT INTO bowtie_snapshots VALUES"
        " ('customer/acme', 2, '1 contract_signed/1 retracted/1', '[[],[[\"a\",\"b\"]]]')",
    )
    assert ("snapshot", None) in problems(run, "--log-only")
    assert "1 snapshot" in run("verify", "--log-only", "--repair").out
    run("verify", "--log-only")


def test_a_forgetting_that_was_never_finished(run, store):
    run("forget", "zeta", "--yes")
    tamper(store, "DELETE FROM bowtie_forgotten")
    assert ("forgotten", None) in problems(run, "--log-only")
    run("verify", "--log-only", "--repair")
    run("verify", "--log-only")


def test_tables_that_lack_one(run, store):
    run("replay")
    with duckdb.connect("bowtie.duckdb") as tables:
        tables.execute("DROP TABLE touched")
    assert ("tables", None) in problems(run)
    run("verify", "--repair")
    run("verify")
