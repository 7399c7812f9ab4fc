"""The tables' file: who may open it when, and what is said when it can't be."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from pathlib import Path
from threading import Timer
from unittest.mock import Mock

import duckdb
import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st

from bowtie.errors import TablesError, TablesHeld, UsageError
from bowtie.stages import load_definition
from bowtie_projections.databases import duckdb as duckdb_tables
from bowtie_projections.databases.duckdb import TablesFile
from bowtie_projections.databases.duckdb_sql import DuckReader, explained, render
from bowtie_projections.replay import refresh, replay
from bowtie_projections.standing import Standing
from bowtie_projections.tables import events, skipped
from tests.strategies import SAFE, MemoryLog

B2B = load_definition("b2b")
ONE_SKIPPED = sa.insert(skipped).values(position=1, type="t", error="e")


@pytest.fixture(params=["file", "memory"])
def tables(request, tmp_path):
    url = "memory://" if request.param == "memory" else tmp_path / "t.duckdb"
    made = TablesFile.of(url, wait=0)
    replay(MemoryLog([]), made, B2B)
    return made


@pytest.fixture
def on_disk(tmp_path):
    made = TablesFile.of(tmp_path / "t.duckdb", wait=0)
    replay(MemoryLog([]), made, B2B)
    return made


@contextmanager
def another_process(path, *, writing):
    """Another process that has the file open; gives its pid."""
    script = (
        "import duckdb, sys\n"
        f"c = duckdb.connect({str(path)!r}, read_only={not writing})\n"
        "print('open', flush=True); sys.stdin.read()\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout
        assert process.stdin
        assert process.stdout.readline() == "open\n"
        yield process.pid
        process.stdin.close()
        process.wait()


@pytest.mark.parametrize("writing", [False, True])
def test_a_reader_that_meets_a_writer_waits_then_names_it(on_disk, writing):
    with (
        another_process(on_disk.path, writing=True) as pid,
        pytest.raises(TablesHeld, match=f"another process, {pid}.*waited 0.2 seconds") as held,
        on_disk.write(0.2) if writing else on_disk.read(0.2),
    ):
        raise AssertionError
    assert held.value.exit_code == 4
    with on_disk.read():
        pass


def test_readers_share_and_keep_writers_out(on_disk):
    with another_process(on_disk.path, writing=False):
        with on_disk.read() as reader:
            assert reader.position == 0
        with pytest.raises(TablesHeld), on_disk.write():
            raise AssertionError
    with on_disk.write():
        pass


def test_waiting_ends_when_the_other_lets_go(on_disk):
    with another_process(on_disk.path, writing=True):
        pass  # it has let go here
    with on_disk.read(wait=5):
        pass


def test_this_very_process_can_be_the_holder(on_disk):
    with on_disk.read(), pytest.raises(TablesHeld, match="this very process"), on_disk.write():
        raise AssertionError


def test_two_readers_of_one_process(on_disk):
    with on_disk.read() as one, on_disk.read() as two:
        zone = "SELECT current_setting('TimeZone') AS zone"
        assert one.fetch(zone).to_pylist() == two.fetch(zone).to_pylist() == [{"zone": "UTC"}]


@pytest.fixture
def opening(monkeypatch):
    """What opens a file, and keeps how often it did."""
    connect = Mock(wraps=duckdb_tables._connect)
    monkeypatch.setattr(duckdb_tables, "_connect", connect)
    return connect


def test_what_is_kept_open_is_opened_once_and_held_until_it_is_closed(on_disk, opening):
    on_disk.keep_open()
    assert on_disk.standing().position == 0
    with on_disk.read() as one, on_disk.read() as two:
        assert one.position == two.position == 0
    assert [call.args for call in opening.mock_calls] == [(on_disk.path,)]
    with pytest.raises(TablesHeld), TablesFile.of(on_disk.path, wait=0).write():
        raise AssertionError
    on_disk.close()

    with TablesFile.of(on_disk.path, wait=0).write():
        pass


def test_who_keeps_tables_open_can_change_them(on_disk, opening):
    on_disk.keep_open()
    assert on_disk.standing().position == 0
    with on_disk.write() as writing:
        writing.run(ONE_SKIPPED)
    with on_disk.read() as reader:
        assert reader.fetch(sa.select(skipped.c.error)).num_rows == 1
    # changed once they are opened for each use, and held no more
    assert opening.call_count == 3
    with TablesFile.of(on_disk.path, wait=0).write():
        pass


def test_who_keeps_tables_open_can_put_others_in_their_place(on_disk):
    on_disk.keep_open()
    standing = on_disk.standing()
    with on_disk.building() as made:
        made.stand(standing.at(7, "hash"))

    assert on_disk.standing().position == 7


def test_opening_is_quick(on_disk):
    times = []
    for _ in range(5):
        start = time.perf_counter()
        with on_disk.read() as reader:
            reader.fetch("SELECT 1")
        times.append(time.perf_counter() - start)
    assert min(times) < 0.2  # 10 ms on an idle machine


def test_what_fails_is_not_kept(tables):
    with pytest.raises(ZeroDivisionError), tables.write() as writing:
        writing.run(ONE_SKIPPED)
        raise ZeroDivisionError
    with tables.read() as reader:
        assert reader.fetch("FROM skipped").num_rows == 0


def test_a_build_that_fails_leaves_the_tables_in_use(tables):
    with pytest.raises(ZeroDivisionError), tables.building() as writing:
        writing.run(ONE_SKIPPED)
        raise ZeroDivisionError
    with tables.read() as reader:
        assert reader.fetch("FROM skipped").num_rows == 0
    if tables.next:
        assert not tables.next.exists()


def test_a_build_is_put_in_place_under_readers(on_disk):
    with on_disk.read() as reader:
        with on_disk.building(copy=True) as writing:
            writing.run(ONE_SKIPPED)
        assert reader.fetch("FROM skipped").num_rows == 0
    with on_disk.read() as reader:
        assert reader.fetch("FROM skipped").num_rows == 1
    assert sorted(p.name for p in on_disk.path.parent.iterdir()) == ["t.duckdb"]


def test_one_builder_at_a_time(on_disk):
    with on_disk.building(copy=True) as writing:
        assert writing.standing()
        script = (
            "from bowtie_projections.databases.duckdb import TablesFile\n"
            f"with TablesFile.of({str(on_disk.path)!r}).building(): pass\n"
        )
        done = subprocess.run(
            [sys.executable, "-c", script], capture_output=True, text=True, check=False
        )
        assert "TablesHeld" in done.stderr
        assert "builds these tables now" in done.stderr
    with on_disk.read():
        pass


@pytest.mark.parametrize("left", [b"", b"half a database" * 100])
def test_leftovers_of_a_killed_build_are_removed(on_disk, left):
    on_disk.next.write_bytes(left)
    on_disk.path.with_name("t.duckdb.next.wal").write_bytes(b"rest")
    with on_disk.building():
        pass
    assert sorted(p.name for p in on_disk.path.parent.iterdir()) == ["t.duckdb"]


def test_no_tables_yet(tmp_path):
    tables = TablesFile.of(tmp_path / "none.duckdb")
    assert tables.standing() is None
    with pytest.raises(TablesError, match=r"there are no read tables at .*replay"), tables.read():
        raise AssertionError
    with pytest.raises(TablesError, match="holds no read tables yet"), TablesFile(None).read():
        raise AssertionError


def test_places_are_named_as_paths_or_urls(tmp_path):
    assert TablesFile.of("duckdb:////a/b.duckdb").path == Path("/a/b.duckdb")
    assert TablesFile.of("duckdb:///b.duckdb").name == "b.duckdb"
    assert TablesFile.of("b.duckdb").next == Path("b.duckdb.next")
    assert TablesFile.of("memory://").next is None


def test_a_file_of_another_kind(tmp_path):
    path = tmp_path / "t.duckdb"
    path.write_text("hello" * 1000)
    with pytest.raises(TablesError, match="no DuckDB file"):
        TablesFile.of(path).standing()


def test_another_programs_database_is_left_alone(tmp_path):
    path = tmp_path / "t.duckdb"
    with duckdb.connect(str(path)) as connection:
        connection.execute("CREATE TABLE mine AS SELECT 1 AS a")
    with pytest.raises(TablesError, match="another program's"):
        replay(MemoryLog([]), TablesFile.of(path), B2B, rebuild=True)
    with duckdb.connect(str(path)) as connection:
        assert connection.execute("FROM mine").fetchall() == [(1,)]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('IO Error: Cannot open file "/ro/t": Permission denied', "permissions of the file"),
        ('IO Error: Cannot open file "/ro/t": Read-only file system', "permissions of the file"),
        ("IO Error: Could not write file: No space left on device", "the disk is full"),
        ('IO Error: Could not read from file "/x": Is a directory', "is a folder"),
        ('IO Error: Cannot open file "/x": No such file or directory', "is not there"),
        ("IO Error: odd\nand long", "t.duckdb: IO Error: odd"),
    ],
)
def test_what_the_system_refuses_is_said_in_one_line(text, said):
    error = explained(duckdb.IOException(text), "t.duckdb")
    assert said in str(error)
    assert "\n" not in str(error)
    assert error.exit_code == 1


def test_a_folder_or_no_folder(tmp_path):
    with pytest.raises(TablesError, match="is a folder"):
        TablesFile.of(tmp_path).standing()
    with pytest.raises(TablesError, match="is not there"):
        replay(MemoryLog([]), TablesFile.of(tmp_path / "no" / "t.duckdb"), B2B)


# -- asking -----------------------------------------------------------------------------------


@given(st.text(SAFE, max_size=40))
def test_any_text_survives_as_a_literal(text):
    tables = TablesFile.of("memory://")
    with tables._open(0, writing=False) as connection:
        sql = render(sa.select(sa.literal(text).label("x")))
        assert connection.execute(sql).fetchall() == [(text,)]


NAIVE = datetime(2026, 1, 5, 10, 0, 0, 5)  # noqa: DTZ001 - as the tables have it


@pytest.mark.parametrize(
    ("value", "read"),
    [
        ("'; DROP TABLE events; --", "'; DROP TABLE events; --"),
        ("%s :name \\ $1 ?", "%s :name \\ $1 ?"),
        (NAIVE, NAIVE),
        (NAIVE.replace(tzinfo=timezone(timedelta(hours=2))), NAIVE - timedelta(hours=2)),
        (NAIVE.replace(tzinfo=UTC), NAIVE),
        (date(2026, 1, 5), date(2026, 1, 5)),
        (Decimal("12.50"), Decimal("12.50")),
        (True, True),
        (7, 7),
        (None, None),
    ],
)
def test_values_come_back_as_they_went_in(tables, value, read):
    with tables.read() as reader:
        assert reader.fetch(sa.select(sa.literal(value).label("x"))).to_pylist() == [{"x": read}]


def test_statements_can_be_pasted_into_duckdb(on_disk):
    statement = sa.select(sa.func.count().label("n")).where(
        events.c.subject.in_(["O'Hara", "b"]), events.c.occurred_at < NAIVE
    )
    with on_disk.read() as reader:
        assert reader.fetch(statement).to_pylist() == [{"n": 0}]
        (sql,) = reader.statements
    assert "'O''Hara'" in sql
    with duckdb.connect(str(on_disk.path), read_only=True) as connection:
        assert connection.execute(sql).fetchall() == [(0,)]


def test_a_nul_is_refused(tables):
    with tables.read() as reader, pytest.raises(UsageError, match="NUL"):
        reader.fetch(sa.select(sa.literal("a\0b")))


@pytest.mark.parametrize(
    "sql",
    ["SELECT 1 AS a", "FROM events", "WITH x AS (SELECT 1) FROM x", "DESCRIBE events", "SHOW TABLES",
     "EXPLAIN SELECT 1", "VALUES (1)", "SUMMARIZE events;"],
)  # fmt: skip
def test_statements_that_read_are_answered(tables, sql):
    with tables.read() as reader:
        reader.fetch(sql)
        assert reader.statements == [sql]


@pytest.mark.parametrize(
    "sql",
    ["DELETE FROM events", "DROP TABLE events", "CREATE TABLE x (a INT)", "INSERT INTO skipped VALUES (1, 'a', 'b')",
     "CREATE TEMP TABLE x AS SELECT 1", "COPY events TO 'x.csv'", "ATTACH 'x.duckdb'", "INSTALL httpfs", "SET threads = 1",
     "EXPLAIN ANALYZE DELETE FROM events", "SELECT 1; SELECT 2", "", "SELEC 1", "SELECT * FROM nowhere",
     "SELECT * FROM read_csv('/etc/passwd')", "SELECT * FROM read_text('/etc/passwd')", "FROM '/etc/passwd'", "FROM tables",
     "CHECKPOINT", "BEGIN", "ROLLBACK"],
)  # fmt: skip
def test_all_else_is_refused(tables, sql):
    with tables.read() as reader:
        with pytest.raises(UsageError):
            reader.fetch(sql)
        # and the reader goes on
        assert reader.fetch("SELECT count(*) AS n FROM events").to_pylist() == [{"n": 0}]


def test_tables_that_another_process_builds_are_waited_for(tmp_path):
    """Who comes while the tables are first made waits for them, as long as was said."""
    path = tmp_path / "t.duckdb"
    duckdb.connect(f"{path}.next").close()
    with another_process(f"{path}.next", writing=True) as pid:
        began = time.monotonic()
        with pytest.raises(TablesHeld, match=f"{pid}.*builds these tables now"):
            replay(MemoryLog([]), TablesFile.of(path, wait=0.5), B2B)
        assert time.monotonic() - began >= 0.5
        with ThreadPoolExecutor(1) as pool:
            waiting = pool.submit(refresh, MemoryLog([]), TablesFile.of(path, wait=30), B2B)
            time.sleep(2.5)  # longer than a refresh waits for tables that are there
            assert not waiting.done()
            os.kill(pid, signal.SIGTERM)
            assert waiting.result().rebuilt


def test_rows_of_lists_of_millions_are_answered():
    """DuckDB 1.5 waits for ever where it streams several rows that are larger than its buffer."""
    with closing(duckdb.connect(":memory:")) as connection:
        connection.execute("CREATE TABLE numbers AS SELECT range AS x FROM range(4000000)")
        numbers = sa.table("numbers", sa.column("x"))
        lists = [
            sa.select(sa.literal(least).label("least"), sa.func.array_agg(numbers.c.x).label("all"))
            .where(numbers.c.x >= least)
            for least in range(4)
        ]  # fmt: skip
        patience = Timer(60, connection.interrupt)
        patience.start()
        standing = Standing.new("a store", load_definition("b2b"))
        with DuckReader.opened(connection, standing) as reader:
            found = reader.fetch(sa.union_all(*lists))
        patience.cancel()

    assert sorted(map(len, found.column("all"))) == [3_999_997, 3_999_998, 3_999_999, 4_000_000]
