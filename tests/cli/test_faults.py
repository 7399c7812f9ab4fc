"""Stores and tables that can't be used: one line, the documented code, in a real process."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import duckdb
import pytest


def bowtie(*args: str, **options) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if "BOWTIE" not in name}
    return subprocess.run(
        [sys.executable, "-m", "bowtie_cli", *args],
        capture_output=True,
        text=True,
        check=False,
        env=environment,
        **options,
    )


def one_line(done: subprocess.CompletedProcess[str]) -> str:
    assert done.stdout == ""
    (line,) = done.stderr.splitlines()
    assert line.startswith("Error: ")
    assert "fault of bowtie" not in line
    return line


def another_programs_database(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE notes (text)")


def a_text_file(path: Path) -> None:
    path.write_text("dear diary\n" * 9)


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (another_programs_database, "another program's database"),
        (a_text_file, "is not a bowtie store"),
        (Path.mkdir, "is a folder"),
        (None, "there is no store at x.db: make one with bowtie init"),
    ],
)
@pytest.mark.parametrize(
    "command", [("status",), ("journey", "acme"), ("verify",), ("export", "log")]
)
def test_a_store_that_is_none(folder, make, says, command):
    if make is not None:
        make(folder / "x.db")
    done = bowtie("--store", "x.db", *command)
    assert says in one_line(done)
    assert done.returncode == 1


def test_another_programs_database_is_left_alone(folder, good):
    another_programs_database(folder / "x.db")
    before = (folder / "x.db").read_bytes()
    assert bowtie("--store", "x.db", "ingest", str(good)).returncode == 1
    assert (folder / "x.db").read_bytes() == before


@pytest.mark.parametrize(
    ("url", "says", "code"),
    [
        ("mysql://x", "is no store", 2),
        ("sqlite:///", "names no file", 2),
        ("no/where.db", "is not there", 1),
    ],
)
def test_urls(folder, good, url, says, code):
    done = bowtie("ingest", str(good), "--store", url)
    assert says in one_line(done)
    assert done.returncode == code


@pytest.mark.parametrize("make", [a_text_file, Path.mkdir])
def test_tables_that_are_none(run, store, folder, make):
    make(folder / "x.duckdb")
    done = bowtie("funnel", "--views", "x.duckdb")
    assert "--views" in one_line(done)
    assert done.returncode == 1


def test_tables_of_another_program(run, store, folder):
    with duckdb.connect("x.duckdb") as tables:
        tables.execute("CREATE TABLE mine (a INT)")
    done = bowtie("funnel", "--views", "x.duckdb")
    assert "another program's database" in one_line(done)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_read_only_folder(folder, good):
    folder.chmod(0o500)
    try:
        done = bowtie("ingest", str(good))
        assert "can't be written" in one_line(done)
        assert done.returncode == 1
    finally:
        folder.chmod(0o700)


def test_data_goes_to_stdout_and_all_else_to_stderr(run, store):
    done = bowtie("funnel", "--format", "csv")
    assert done.returncode == 0
    assert done.stdout.startswith("stage,entered,")
    assert "customers" in done.stderr
    assert bowtie("funnel", "--format", "csv", "--silent").stderr == ""


def test_standard_input_of_a_process(folder, good):
    done = bowtie("ingest", "-", "--json", input=good.read_text())
    assert done.returncode == 0
    assert '"appended": 5' in done.stdout


def test_codes_are_those_that_are_documented():
    from bowtie import errors

    page = Path(__file__).parents[2] / "docs" / "errors.md"
    codes = {getattr(errors, name).exit_code for name in errors.__all__}
    assert codes == {1, 2, 3, 4}
    for code in (0, *codes):
        assert f"| {code} |" in page.read_text("utf-8")
