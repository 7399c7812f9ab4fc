"""Streams that are closed or full, files named twice, headers and rows that are damaged."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from .conftest import GOOD, TOUCH, Run, line

_BOWTIE = [sys.executable, "-m", "bowtie_cli"]


def _shell(script: str) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if "BOWTIE" not in name}
    command = script.replace("bowtie", " ".join(_BOWTIE), 1)
    return subprocess.run(
        ["sh", "-c", command], capture_output=True, text=True, check=False, env=environment
    )


@pytest.mark.parametrize(
    ("script", "says"),
    [
        ("bowtie ingest - <&-", "standard input: is closed"),
        ("bowtie export log >&-", "standard output: is closed"),
        ("bowtie journey acme >&-", "standard output: is closed"),
        ("bowtie export log >/dev/full", "standard output: can't be written: No space left"),
        ("bowtie journey acme >/dev/full", "standard output: can't be written: No space left"),
    ],
)
@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
def test_streams_that_are_closed_or_full(store, script, says):
    done = _shell(script)
    (only,) = done.stderr.splitlines()
    assert only.startswith(f"Error: {says}")
    assert done.returncode == 1


def test_a_file_named_twice_is_taken_once(run: Run, mixed: Path):
    done = run("ingest", mixed, mixed, "--json", code=3)
    assert (done.json["read"], done.json["appended"], done.json["parked"]) == (8, 5, 3)


def test_a_damaged_header_of_an_export_is_parked(run: Run, folder: Path):
    Path("log.jsonl").write_text('{"bowtie_export"\n' + GOOD[0] + "\n", "utf-8")
    done = run("ingest", "log.jsonl", "--json", code=3)
    assert done.json["parked_by_reason"] == {"unreadable": 1}
    assert done.json["appended"] == 1


def test_a_csv_row_is_refused_in_words_of_csv(run: Run, folder: Path):
    Path("log.csv").write_text(
        "id,source,type,subject,time,data\n"
        '1,crm,bowtie.touched,a,2026-01-05T10:00:00Z,"{""channel"":""x"",""direction"":""inbound""}"\n'
        "2,crm,bowtie.touched\n",
        "utf-8",
    )
    done = run("ingest", "log.csv", code=3)
    assert "3 cells, but the header has 6" in done.out


@pytest.mark.parametrize("kind", ["csv", "jsonl"])
def test_data_that_is_nested_too_deeply(run: Run, folder: Path, kind: str):
    deep = "[" * 50_000 + "]" * 50_000
    good = line("1", "touched", **TOUCH)
    if kind == "csv":
        text = f"id,source,type,subject,time,data\n1,crm,bowtie.touched,a,2026-01-05T10:00:00Z,{deep}\n"
    else:
        text = f'{good}\n{good[:-1]}, "more": {deep}}}\n'
    Path(f"log.{kind}").write_text(text, "utf-8")
    done = run("ingest", f"log.{kind}", "--json", code=3)
    assert done.json["parked_by_reason"] == {"unreadable": 1}


def test_settings_that_are_nested_too_deeply(run: Run, folder: Path):
    Path("bowtie.toml").write_text("a = " + "[" * 5_000, "utf-8")
    assert "bowtie.toml" in run("status", code=2).error


def test_a_definition_that_is_nested_too_deeply(run: Run, folder: Path):
    Path("mine.toml").write_text("a = " + "[" * 5_000 + "]" * 5_000, "utf-8")
    assert "mine.toml" in run("definition", "check", "mine.toml", code=1).error


def test_messages_do_not_steer_the_terminal(run: Run, folder: Path):
    traits = line("1", "traits_observed", traits={"a\x1b[31m": "x"})
    Path("log.jsonl").write_text(traits + "\n" + GOOD[1] + "\n", "utf-8")
    run("ingest", "log.jsonl")
    assert "\x1b" not in run("funnel", "--by", "nothing", code=2).err
    assert "\x1b" not in run("funnel", "--by", "a\x1b[31m").out
    assert "\x1b" not in run("sql", 'SELECT 1 AS "a\x1b[31m"').out


@pytest.mark.parametrize(
    ("asked", "problem"),
    [
        (("value", "--as-of", "0001-01-01"), "out of the years 1000 to 9000"),
        (("revenue", "--as-of", "9999-12-31"), "out of the years 1000 to 9000"),
        (("clv", "--data-through", "0001-01-01"), "out of the years 1000 to 9000"),
        (("flow", "--data-through", "9998"), "out of the years 1000 to 9000"),
        (("loop", "--threshold", "1e30"), "an amount of money"),
    ],
)
def test_what_lies_beyond_all_bounds_is_refused(run, store, asked, problem):
    assert problem in run(*asked, code=2).error
