"""The log and the tables, out."""

from __future__ import annotations

import json

import pyarrow.parquet as pq
import pytest


def test_the_log_to_standard_output(run, store):
    done = run("export", "log")
    header, *events = map(json.loads, done.out.splitlines())
    assert header["count"] == len(events) == 5
    assert "5 events written" in done.err
    assert events[4]["data"]["traits"]["email"].startswith("sealed:1:")


def test_reveal_opens_what_is_personal(run, store):
    assert "z@example.com" in run("export", "log", "--reveal").out


@pytest.mark.parametrize("name", ["log.jsonl", "log.csv", "log.parquet", "log.jsonl.gz"])
def test_what_is_exported_can_be_ingested(run, store, name):
    run("export", "log", "--reveal", "-o", name)
    assert run("ingest", name, "--store", "copy.db", "--json").json["appended"] == 5


def test_silent_says_nothing(run, store):
    assert run("export", "log", "--silent").err == ""


def test_a_file_that_can_not_be_written(run, store):
    assert "no/where.jsonl: can't" in run("export", "log", "-o", "no/where.jsonl", code=1).error
    assert "folder" in run("export", "log", "-o", ".", code=1).error


def test_the_tables(run, store, folder):
    run("export", "tables", "-o", "tables")
    touched = pq.read_table(folder / "tables" / "touched.parquet")
    assert touched.num_rows == 2
    assert str(touched.schema.field("occurred_at").type) == "timestamp[us, tz=UTC]"
    assert pq.read_table(folder / "tables" / "journeys.parquet").num_rows == 2
    assert pq.read_table(folder / "tables" / "invoiced.parquet").num_rows == 0
