"""From the log to the read tables, from a store and straight from files."""

from __future__ import annotations

import os

import duckdb
import pytest

from tests.cli.conftest import line


def test_the_report(run, store):
    report = run("replay", "--json").json
    assert (report["events"], report["position"], report["rebuilt"]) == (5, 5, True)
    assert {"seconds", "skipped", "behind"} <= report.keys()
    again = run("replay", "--json").json
    assert (again["events"], again["rebuilt"]) == (0, False)
    assert run("replay", "--rebuild", "--json").json["rebuilt"] is True
    assert "5 events, to position 5" in run("replay", "--rebuild").out


def test_the_tables_lie_beside_the_store(run, store, folder):
    run("replay")
    assert (folder / "bowtie.duckdb").is_file()
    run("replay", "--views", "elsewhere.duckdb")
    run("replay", env={"BOWTIE_VIEWS": "environment.duckdb"})
    assert (folder / "elsewhere.duckdb").is_file()
    assert (folder / "environment.duckdb").is_file()


def test_straight_from_logs(run, mixed, folder):
    done = run("replay", mixed, "--views", "own.duckdb", "--json", code=3)
    assert done.json["events"] == 5
    assert done.json["parked"] == 3
    assert "mixed.jsonl:3: unknown_type" in done.err
    assert not (folder / "bowtie.db").exists()
    with duckdb.connect("own.duckdb", read_only=True) as tables:
        assert tables.execute("SELECT count(*) FROM touched").fetchone() == (2,)


def test_straight_from_logs_by_another_definition(run, good):
    run("replay", good, "--views", "own.duckdb", "--definition", "shop")
    with duckdb.connect("own.duckdb", read_only=True) as tables:
        assert tables.execute("SELECT definition FROM bowtie_tables").fetchone() == ("shop/1",)


def test_tables_made_from_logs_are_asked_without_a_store(run, good, folder):
    run("replay", good, "--views", "own.duckdb")
    assert run("funnel", "--views", "own.duckdb", "--json").json["rows"][0]["entered"] == 2
    assert run("status", "--views", "own.duckdb", "--json").json["customers"] == 2
    error = run("funnel", "--views", "own.duckdb", "--known-at", "2026-01-01", code=1).error
    assert "log files" in error
    assert not (folder / "bowtie.db").exists()
    assert "no read tables" in run("funnel", "--views", "none.duckdb", code=1).error


def test_tables_made_by_a_definition_of_ones_own(run, good):
    run("definition", "init", "shop", "-o", "own.toml")
    run("replay", good, "--views", "own.duckdb", "--definition", "own.toml")
    assert "name the file" in run("funnel", "--views", "own.duckdb", code=2).error
    done = run("funnel", "--views", "own.duckdb", "--definition", "own.toml", "--json")
    assert done.json["definition"] == "own/1"


def test_straight_from_logs_the_views_must_be_named(run, good):
    assert "--views" in run("replay", good, code=2).err


def test_map_is_for_logs(run, store):
    assert "--map" in run("replay", "--map", "x.toml", code=2).err


def test_no_store(run):
    assert "there is no store at bowtie.db" in run("replay", code=1).error


def test_tables_of_another_store(run, store, good):
    run("replay")
    run("ingest", good, "--store", "other.db")
    error = run("replay", "--store", "other.db", "--views", "bowtie.duckdb", code=1).error
    assert "replay --rebuild" in error
    run("replay", "--rebuild", "--store", "other.db", "--views", "bowtie.duckdb")


def test_tables_that_another_process_holds(run, store, folder):
    import subprocess
    import sys

    run("replay")
    (folder / "more.jsonl").write_text(line("9", "onboarded"))
    run("ingest", "more.jsonl")
    script = (
        "import duckdb, sys; c = duckdb.connect('bowtie.duckdb'); print(1, flush=True); input()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as holder:
        assert holder.stdin is not None
        assert holder.stdout is not None
        holder.stdout.readline()
        error = run("replay", "--wait", "0.2", code=4).error
        holder.stdin.close()
    assert str(holder.pid) in error


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_can_not_be_written(run, store, folder):
    folder.chmod(0o500)
    try:
        assert "permissions" in run("replay", code=1).error
    finally:
        folder.chmod(0o700)
