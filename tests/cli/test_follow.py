"""``bowtie replay --follow`` as a process: what it prints, how it ends, who gets in meanwhile."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import duckdb
import pytest

from bowtie import Bowtie, Touched

TOUCH = Touched(channel="web", direction="inbound")
BOWTIE = [sys.executable, "-m", "bowtie_cli"]


@contextmanager
def following(*options: str) -> Iterator[subprocess.Popen[str]]:
    """The command at work, its first round done."""
    with subprocess.Popen(
        [*BOWTIE, "replay", "--follow", *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def until_there(tables: Path, position: int, seconds: float = 20) -> None:
    """Another process asks for the position until it is there."""
    question = "SELECT position FROM bowtie_tables"
    end = time.monotonic() + seconds
    while True:
        try:
            with duckdb.connect(str(tables), read_only=True) as connection:
                if connection.execute(question).fetchone() == (position,):
                    return
        except duckdb.Error:
            pass  # not there yet, or written at this moment
        assert time.monotonic() < end
        time.sleep(0.05)


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_it_ends_with_a_report_when_it_is_told_to(store, how):
    with following("--json") as process:
        assert process.stdout
        first = json.loads(process.stdout.readline())
        assert (first["events"], first["position"], first["rebuilt"]) == (5, 5, True)
        with Bowtie.open("bowtie.db") as engine:
            engine.record("acme", TOUCH)
        assert json.loads(process.stdout.readline())["position"] == 6
        process.send_signal(how)
        out, err = process.communicate(timeout=20)
    assert process.returncode == 0
    assert err == ""
    last = json.loads(out)
    assert last.pop("seconds") > 0
    assert last == {"rounds": 2, "events": 6, "position": 6, "skipped": 0}


def test_readers_of_other_processes_get_in_meanwhile(run, store):
    with following() as process, Bowtie.open("bowtie.db") as engine:
        until_there(Path("bowtie.duckdb"), 5)
        for position in range(6, 9):
            engine.record("acme", TOUCH)
            until_there(Path("bowtie.duckdb"), position)
            status = run("status", "--no-refresh", "--json").json
            assert (status["position"], status["lag"], status["lag_seconds"]) == (position, 0, 0)
        process.send_signal(signal.SIGTERM)
        out, _ = process.communicate(timeout=20)
    assert out.startswith("Followed the log: 8 events in 4 rounds, to position 8.")


def test_status_says_how_far_the_tables_are_behind(run, store):
    run("replay")
    with Bowtie.open("bowtie.db") as engine:
        engine.record("acme", TOUCH)
    done = run("status", "--no-refresh", "--json").json
    assert (done["head"], done["lag"]) == (6, 1)
    assert done["lag_seconds"] > 0
    assert "1 position behind the log" in run("status", "--no-refresh").out


def test_what_goes_with_what(run, store, good):
    assert "--follow is for a store" in run("replay", "--follow", good, code=2).err
    assert "--poll is for --follow" in run("replay", "--poll", "1", code=2).err


def test_strict_ends_with_one_line_that_names_the_event(run, store):
    import sqlite3

    with sqlite3.connect("bowtie.db") as connection:
        connection.execute("UPDATE stored_events SET topic = 'moved' WHERE rowid = 2")
    for options in ([], ["--follow"], ["--rebuild", "--follow"]):
        assert "the event at position 2 (moved) can't be processed: the catalogue has no such" in (
            run("replay", "--strict", *options, code=1).error
        )
    assert not Path("bowtie.duckdb").exists()
    assert "1 events could not be processed" in run("replay").out
    status = run("status", "--json").json
    assert status["skipped"] == 1


def test_status_counts_the_days_and_months_of_a_zone(run, folder):
    run("record", "acme", "touched", "channel=web", "direction=inbound",
        "--at", "2026-01-31T23:30:00Z")  # fmt: skip
    for tz, month in (("UTC", "2026-01"), ("Europe/Berlin", "2026-02")):
        whole = run("status", "--tz", tz, "--json").json
        assert [row["month"] for row in whole["parts"]["months"]["rows"]] == [month]
        assert f" from {month}" in run("status", "--tz", tz).out
        assert whole["parameters"]["tz"] == tz
