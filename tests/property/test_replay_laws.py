"""Replay gives the same tables in any batching, from zero or by catching up."""

from __future__ import annotations

import json
import tempfile
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bowtie.events import CATALOGUE, PERSONAL_NAMES
from bowtie.stages import load_definition
from bowtie_projections.columns import columns_of
from bowtie_projections.databases import tables_at
from bowtie_projections.databases.contract import Tables
from bowtie_projections.databases.duckdb import TablesFile
from bowtie_projections.replay import replay
from bowtie_projections.tables import metadata, position_table
from tests.strategies import Logged, MemoryLog, catalogue_events, logs

#: for what makes tables many times over
few = settings(max_examples=max(settings.default.max_examples // 5, 1) if settings.default else 10)
B2B, SHOP = load_definition("b2b"), load_definition("shop")


def contents(tables: Tables) -> dict[str, list[tuple]]:
    """All rows of all tables, sorted; without the time of building."""
    found = {}
    with tables.read() as reader:
        for table in metadata.sorted_tables:
            names = [c.name for c in table.columns if c.name != "built_at"]
            rows = reader.fetch(f'SELECT * FROM "{table.name}"').select(names).to_pylist()
            found[table.name] = sorted((tuple(row.values()) for row in rows), key=repr)
    return found


def rebuilt(log: MemoryLog, definition=B2B) -> dict[str, list[tuple]]:
    tables = TablesFile.of("memory://")
    replay(log, tables, definition)
    return contents(tables)


@few
@given(logs(max_size=20), st.data())
def test_catching_up_in_any_steps_equals_a_rebuild(log, data):
    tables = TablesFile.of("memory://")
    steps = sorted(data.draw(st.lists(st.integers(0, len(log.rows)), max_size=4)))
    for count in [*steps, len(log.rows)]:
        report = replay(log.upto(count), tables, B2B, batch=data.draw(st.integers(2, 12)))
        assert report.behind == 0
    assert contents(tables) == rebuilt(log)


@pytest.mark.slow
@settings(max_examples=5)
@given(logs(max_size=20), st.data())
def test_tables_in_postgresql_are_those_in_duckdb(postgres_server, log, data):
    """Built, caught up and rebuilt: the same rows, to the last digit and character."""
    with postgres_server.schema() as url:
        tables = tables_at(url)
        for count in sorted(data.draw(st.lists(st.integers(0, len(log.rows)), max_size=3))):
            replay(log.upto(count), tables, B2B, batch=data.draw(st.integers(2, 12)))
        replay(log, tables, B2B, batch=3, rebuild=data.draw(st.booleans()))
        assert contents(tables) == rebuilt(log)


@given(logs(max_size=15), st.integers(1, 5))
def test_a_replay_of_what_is_there_changes_nothing(log, batch):
    tables = TablesFile.of("memory://")
    replay(log, tables, SHOP, batch=batch)
    before = contents(tables)
    again = replay(log, tables, SHOP, batch=batch)
    assert (again.events, again.rebuilt) == (0, False)
    assert contents(tables) == before


@given(logs(max_size=20))
def test_retractions_are_read_as_in_python(log):
    tables = rebuilt(log)
    marked = {position: by for position, *_, by in tables["events"]}
    expected = {}
    for number, fact in enumerate(log.logged, 1):
        by = [
            other * log.gaps
            for other, retraction in enumerate(log.logged, 1)
            if retraction.data.type_name == "retracted"
            and (retraction.data.of_source, retraction.data.of_id) == (fact.source, fact.id)
            and (retraction.kind, retraction.key) == (fact.kind, fact.key)
            and fact.data.type_name != "retracted"
        ]
        expected[number * log.gaps] = min(by, default=None)
    assert marked == expected
    for name in CATALOGUE:
        at = [c.name for c in metadata.tables[name].columns].index("retracted_position")
        assert all(row[at] == marked[row[0]] for row in tables[name])


@given(st.lists(catalogue_events(), min_size=1, max_size=8))
def test_every_event_of_the_catalogue_becomes_rows(events):
    at = datetime(2026, 1, 5, tzinfo=UTC)
    log = MemoryLog(
        [
            Logged(event, "ann", at, "s", str(number), type(event).stream_kind)
            for number, event in enumerate(events)
        ]
    )
    (batch,) = log.batches(0, log.head(), 100)
    columns = columns_of(batch)
    assert columns.skipped.num_rows == 0
    assert columns.events.num_rows == len(events)
    for position, event in enumerate(events, 1):
        _same_fields(columns, position, event)


def _same_fields(columns, position, event):
    rows = [r for r in columns.facts[event.type_name].to_pylist() if r["position"] == position]
    if event.type_name == "traits_observed":
        shown = {n: v for n, v in event.traits.items() if n not in PERSONAL_NAMES}
        assert {row["name"] for row in rows} == set(shown)
        for row in rows:
            value = shown[row["name"]]
            if isinstance(value, str) or value is None:
                assert row["value"] == value
            else:
                assert json.loads(row["value"]) == value
        return
    (row,) = rows
    for name in set(type(event).model_fields) & set(row) - {"properties"}:
        assert row[name] == getattr(event, name), name


@few
@given(logs(max_size=8), st.integers(1, 3))
def test_a_batch_that_fails_leaves_the_tables_at_a_batch_before(log, kill_at):
    class Broken(MemoryLog):
        def batches(self, after, upto, size):
            for number, batch in enumerate(super().batches(after, upto, size), 1):
                if number == kill_at:
                    raise KeyboardInterrupt
                yield batch

    with tempfile.TemporaryDirectory() as folder:
        tables = TablesFile.of(Path(folder) / "t.duckdb")
        replay(log.upto(0), tables, B2B)
        broken = Broken(log.logged, gaps=log.gaps)
        if len(log.rows) >= (kill_at - 1) * 2 + 1:
            with pytest.raises(KeyboardInterrupt):
                replay(broken, tables, B2B, batch=2)
        replay(log, tables, B2B)
        assert contents(tables) == rebuilt(log)


def test_the_position_table_has_one_row():
    assert len(rebuilt(MemoryLog([]))[position_table.name]) == 1
