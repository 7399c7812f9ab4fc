"""When tables are caught up, rebuilt, refused or left as they are."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa

from bowtie.errors import TablesError, TablesForeign, TablesHeld
from bowtie.events import Event, Noted, Retracted, Touched
from bowtie.stages import load_definition
from bowtie_projections import replay as module
from bowtie_projections.databases import tables_at
from bowtie_projections.databases.contract import Overtaken, Writing
from bowtie_projections.databases.duckdb import TablesFile
from bowtie_projections.databases.duckdb_sql import DuckWriting
from bowtie_projections.replay import refresh, replay
from bowtie_projections.tables import SCHEMA_MINOR, SCHEMA_VERSION, position_table
from tests.strategies import Logged, MemoryLog

B2B, SHOP = load_definition("b2b"), load_definition("shop")
START = datetime(2026, 1, 5, tzinfo=UTC)


def rows(count):
    """Touches and leads of ten customers; every seventh retracts the one before."""
    made: list[Logged] = []
    data: Event
    for number in range(count):
        key = f"c{number // 2 % 10}"
        if number % 7 == 6:
            key = made[-1].key
            data = Retracted(of_source="s", of_id=made[-1].id)
        elif number % 2:
            data = Noted(name="lead_created")
        else:
            data = Touched(channel=f"ch{number % 3}", direction="inbound")
        made.append(Logged(data, key, START + timedelta(hours=number), "s", str(number)))
    return made


def log(count, **more):
    return MemoryLog(rows(count), **more)


@pytest.fixture
def on_disk(tmp_path):
    return TablesFile.of(tmp_path / "t.duckdb", wait=0)


@pytest.fixture(params=["duckdb", "postgresql"])
def tables(request):
    if request.param == "duckdb":
        return request.getfixturevalue("on_disk")
    return tables_at(request.getfixturevalue("postgres_url"), wait=0)


def ask(tables, sql):
    with tables.read() as reader:
        return [tuple(row.values()) for row in reader.fetch(sql).to_pylist()]


def rows_of(tables, name):
    return sorted(ask(tables, f"SELECT * FROM {name}"), key=repr)


def test_the_report_of_a_first_replay(tables):
    calls = []
    report = replay(log(10), tables, B2B, batch=4, progress=lambda *done: calls.append(done))
    assert (report.events, report.position, report.skipped) == (10, 10, 0)
    assert (report.rebuilt, report.behind, report.note) == (True, 0, "")
    assert report.seconds > 0
    assert calls == [(4, 10), (8, 10), (10, 10)]
    assert ask(tables, "SELECT count(*), count(retracted_position) FROM events") == [(10, 1)]
    assert ask(tables, "SELECT count(*) FROM touched") == [(4,)]
    assert ask(tables, "SELECT count(*) FROM journeys WHERE awareness_at IS NOT NULL") == [(4,)]


def test_a_catch_up_reads_only_the_rest(tables):
    replay(log(10), tables, B2B)
    report = replay(log(25), tables, B2B)
    assert (report.events, report.position, report.rebuilt) == (15, 25, False)


def test_a_retraction_counts_from_its_position(tables):
    replay(log(7), tables, B2B)
    assert ask(tables, "SELECT position, retracted_position FROM noted ORDER BY 1") == [
        (2, None),
        (4, None),
        (6, 7),
    ]


def test_first_of_two_retractions_wins_and_other_subjects_can_not_retract(tables):
    fact, _ = rows(2)
    by = Retracted(of_source="s", of_id="0")
    other = Logged(by, "someone else", START, "s", "x")
    early, late = Logged(by, "c0", START, "s", "y"), Logged(by, "c0", START, "s", "z")
    replay(MemoryLog([other, early, fact]), tables, B2B)
    replay(MemoryLog([other, early, fact, late]), tables, B2B)
    assert ask(tables, "SELECT position, retracted_position FROM touched") == [(3, 2)]


def test_tables_of_another_store_are_refused_and_a_rebuild_takes_them_over(tables):
    replay(log(3), tables, B2B)
    other = log(5, store_id="another")
    with pytest.raises(TablesForeign, match="replay --rebuild"):
        replay(other, tables, B2B)
    with pytest.raises(TablesForeign):
        refresh(other, tables, B2B)
    assert replay(other, tables, B2B, rebuild=True).rebuilt
    assert tables.standing().store_id == "another"


@pytest.mark.parametrize(
    "changed",
    [
        lambda: (log(10), SHOP),
        lambda: (log(4), B2B),
        lambda: (MemoryLog(rows(5)[::-1] + rows(10)[5:]), B2B),
    ],
    ids=["another definition", "a shorter log", "another history"],
)
def test_what_does_not_continue_is_rebuilt(tables, changed):
    replay(log(5), tables, B2B)
    source, definition = changed()
    assert replay(source, tables, definition).rebuilt
    assert tables.standing().definition == definition.label
    assert ask(tables, "SELECT count(*) FROM events") == [(source.head(),)]


def set_schema(tables, major, minor):
    with tables.write() as writing:
        writing.run(sa.update(position_table).values(schema_version=major, schema_minor=minor))


def test_newer_tables_of_the_same_major_version_are_read_and_never_written(tables):
    replay(log(5), tables, B2B)
    set_schema(tables, SCHEMA_VERSION, SCHEMA_MINOR + 1)
    for rebuild in (False, True):
        report = replay(log(9), tables, B2B, rebuild=rebuild)
        assert (report.position, report.behind) == (5, 4)
        assert "newer version" in report.note
    with tables.read() as reader:
        assert reader.position == 5


def test_tables_of_a_newer_major_version_are_refused(tables):
    replay(log(5), tables, B2B)
    set_schema(tables, SCHEMA_VERSION + 1, 0)
    with pytest.raises(TablesError, match="upgrade bowtie-journeys"):
        replay(log(9), tables, B2B)
    with pytest.raises(TablesError, match="upgrade bowtie-journeys"), tables.read():
        raise AssertionError


def test_older_tables_are_rebuilt_while_the_log_is_short(tables, monkeypatch):
    replay(log(5), tables, B2B)
    set_schema(tables, SCHEMA_VERSION, SCHEMA_MINOR - 1)
    monkeypatch.setattr(module, "MANY", 8)
    report = replay(log(9), tables, B2B)
    assert (report.rebuilt, report.behind) == (False, 4)
    assert "replay --rebuild" in report.note
    monkeypatch.setattr(module, "MANY", 9)
    assert replay(log(9), tables, B2B).rebuilt


def test_a_long_catch_up_is_made_beside_the_tables_in_use(tables, monkeypatch):
    replay(log(30), tables, B2B)
    monkeypatch.setattr(module, "MANY", 10)
    monkeypatch.setattr(Writing, "piece", 7)
    monkeypatch.setattr(DuckWriting, "piece", 7)
    with tables.read() as reader:  # nobody waits for readers
        report = replay(log(60), tables, B2B, batch=4)
        assert reader.fetch("SELECT count(*) AS n FROM events").to_pylist() == [{"n": 30}]
    assert (report.events, report.rebuilt, report.position) == (30, False, 60)
    whole = TablesFile.of("memory://")
    replay(log(60), whole, B2B)
    for name in ("events", "journeys", "noted"):
        assert rows_of(tables, name) == rows_of(whole, name)


def test_a_refresh_that_meets_readers_says_how_far_behind(on_disk, monkeypatch):
    monkeypatch.setattr(module, "_REFRESH_WAIT", 0)
    replay(log(5), on_disk, B2B)
    with on_disk.read() as reader:
        report = refresh(log(9), on_disk, B2B)
        assert (report.position, report.behind) == (5, 4)
        assert "held by" in report.note
        assert reader.fetch("FROM events").num_rows == 5
        with pytest.raises(TablesHeld):
            replay(log(9), on_disk, B2B)
    assert refresh(log(9), on_disk, B2B).behind == 0


def test_what_another_process_has_done_meanwhile_is_not_done_twice(tables):
    replay(log(5), tables, B2B)

    class Slow(MemoryLog):
        def batches(self, after, upto, size):
            if after == 5:
                replay(log(8), tables, B2B)
            return super().batches(after, upto, size)

    report = replay(Slow(rows(12)), tables, B2B)
    assert (report.events, report.position) == (4, 12)
    assert ask(tables, "SELECT count(*), count(DISTINCT position) FROM events") == [(12, 12)]


class Growing(MemoryLog):
    """A log of five events that has twelve as soon as it is read, when others replay them too."""

    def __init__(self, tables):
        super().__init__(rows(5))
        self.tables, self.whole = tables, rows(12)

    def batches(self, after, upto, size):
        if len(self.rows) == 5:
            super().__init__(self.whole)
            replay(MemoryLog(self.whole), self.tables, B2B)
        return super().batches(after, upto, size)


def test_a_rebuild_never_puts_older_tables_over_newer_ones(tables):
    replay(log(5), tables, B2B)
    report = replay(Growing(tables), tables, B2B, rebuild=True)
    assert (report.events, report.position, report.rebuilt) == (12, 12, True)
    assert tables.standing().position == 12
    assert ask(tables, "SELECT count(*), count(DISTINCT position) FROM events") == [(12, 12)]
    whole = TablesFile.of("memory://")
    replay(log(12), whole, B2B)
    assert rows_of(tables, "journeys") == rows_of(whole, "journeys")


def test_tables_that_others_brought_further_stay_in_place(tables):
    replay(log(5), tables, B2B)
    with pytest.raises(Overtaken), tables.building(beaten=lambda used: used.position == 5):
        pass
    assert ask(tables, "SELECT count(*) FROM events") == [(5,)]


def test_a_state_that_is_not_one_line_is_cornered(tables):
    made = log(40)
    name, state = made.rows[17]
    made.rows[17] = (name, state.rstrip(b"\n"))
    name, state = made.rows[30]
    made.rows[30] = (name, state + b"{}\n")
    report = replay(made, tables, B2B, batch=15)
    assert (report.events, report.skipped) == (40, 2)
    assert ask(tables, "SELECT position FROM skipped ORDER BY 1") == [(18,), (31,)]
    assert ask(tables, "SELECT count(*) FROM events") == [(38,)]


def test_nothing_personal_reaches_the_tables(on_disk):
    secret = "do not tell"
    data = Retracted(of_source="s", of_id="1", reason=secret)
    source = MemoryLog([Logged(data, "c", START, "s", "1")])
    replay(source, on_disk, B2B)
    assert secret.encode() not in on_disk.path.read_bytes()


KILLED = """
import sys
from bowtie.stages import load_definition
from bowtie_projections import replay as module
from bowtie_projections.databases.duckdb import TablesFile
sys.path.insert(0, {root!r})
from tests.unit.test_replay import log
module.MANY = {many}
print("ready", flush=True)
module.replay(log(200), TablesFile.of({path!r}), load_definition("b2b"), batch=20)
print("done", flush=True)
"""


@pytest.mark.slow
@pytest.mark.parametrize("many", [1, 1_000_000], ids=["beside", "in place"])
def test_a_replay_killed_at_any_moment_is_completed_by_the_next(tmp_path, many):
    random.seed(many)
    whole = TablesFile.of("memory://")
    replay(log(200), whole, B2B)
    tables = TablesFile.of(tmp_path / "t.duckdb")
    replay(log(10), tables, B2B)
    script = KILLED.format(root=os.getcwd(), path=str(tables.path), many=many)  # noqa: PTH109
    done = False
    kills = 0
    while not done:
        with subprocess.Popen(
            [sys.executable, "-c", script], stdout=subprocess.PIPE, text=True
        ) as process:
            assert process.stdout
            assert process.stdout.readline() == "ready\n"
            time.sleep(random.uniform(0, 0.3 + kills * 0.2))
            process.send_signal(signal.SIGKILL)
            done = process.stdout.readline() == "done\n"
        kills += 1
        standing = tables.standing()
        count = ask(tables, "SELECT count(*), count(DISTINCT position), max(position) FROM events")
        assert standing
        assert count == [(standing.position,) * 3]
    replay(log(200), tables, B2B)
    assert kills > 1
    for table in ("events", "journeys", "touched", "noted", "retracted"):
        assert rows_of(tables, table) == rows_of(whole, table)
    assert [path.name for path in tmp_path.iterdir()] == ["t.duckdb"]
