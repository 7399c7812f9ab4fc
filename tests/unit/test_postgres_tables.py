"""Read tables in PostgreSQL: what others make on them survives, and nobody waits for anybody."""

from __future__ import annotations

import signal
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast
from urllib.parse import urlsplit, urlunsplit

import psycopg
import pytest
import sqlalchemy as sa

from bowtie import Bowtie
from bowtie.errors import TablesError, TablesHeld, UsageError
from bowtie.events import Touched
from bowtie.stages import load_definition
from bowtie.stores.postgres_url import PostgresUrl
from bowtie_projections import Views
from bowtie_projections.databases import tables_at
from bowtie_projections.databases.contract import BeingBuilt
from bowtie_projections.databases.duckdb import TablesFile
from bowtie_projections.databases.places import PostgresPlace, beside
from bowtie_projections.databases.postgres import PostgresTables
from bowtie_projections.exporting import export_tables
from bowtie_projections.opening import tables_of
from bowtie_projections.replay import refresh, replay
from bowtie_projections.tables import events, metadata, skipped
from tests.strategies import Logged, MemoryLog
from tests.unit.test_replay import START, ask, log, rows_of

B2B = load_definition("b2b")
ROOT = Path(__file__).parents[2]


@pytest.fixture
def tables(postgres_url):
    made = tables_at(postgres_url, wait=1)
    replay(log(20), made, B2B)
    return made


@pytest.fixture
def session(tables):
    """A session of somebody else."""
    with psycopg.connect(tables.place.server, autocommit=True) as connection:
        connection.execute(f"SET search_path = {tables.place.schema}".encode())
        yield connection


def schemas(session, tables):
    found = session.execute(
        "SELECT nspname FROM pg_namespace WHERE nspname LIKE %s ORDER BY 1",
        [f"{tables.place.schema}%"],
    )
    return [name.removeprefix(tables.place.schema) for (name,) in found]


@contextmanager
def role(session, tables):
    """A role of its own, and the tables as it reaches them."""
    name = f"{tables.place.schema}_analyst"
    session.execute(f"CREATE ROLE {name} LOGIN PASSWORD 'hunter2'".encode())
    parts = urlsplit(tables.place.server)
    netloc = f"{name}:hunter2@{parts.netloc.rpartition('@')[2]}"
    url = urlunsplit(parts._replace(netloc=netloc))
    try:
        yield name, tables_at(f"{url}&schema={tables.place.schema}", wait=0)
    finally:
        session.execute(f"DROP OWNED BY {name}".encode())
        session.execute(f"DROP ROLE {name}".encode())


# -- what others have made ------------------------------------------------------------------------


def test_views_and_grants_of_others_survive_a_rebuild(tables, session):
    session.execute("CREATE VIEW mine AS SELECT channel, count(*) AS n FROM touched GROUP BY 1")
    with role(session, tables) as (name, theirs):
        schema = tables.place.schema
        session.execute(f"GRANT USAGE ON SCHEMA {schema} TO {name}".encode())
        session.execute(f"GRANT SELECT ON events, bowtie_tables, mine TO {name}".encode())
        for count in (20, 40):
            replay(log(count), tables, B2B, rebuild=True)
            assert session.execute("SELECT sum(n) FROM mine").fetchone() == (
                ask(tables, "SELECT count(*) FROM touched")[0][0],
            )
            assert ask(theirs, "SELECT count(*) FROM events") == [(count,)]
            assert ask(theirs, "SELECT sum(n) FROM mine") == ask(tables, "SELECT sum(n) FROM mine")
        with pytest.raises(UsageError, match="permission denied for view journeys"):
            ask(theirs, "SELECT * FROM journeys")
        with pytest.raises(TablesError, match="permission denied") as refused:
            replay(log(41), theirs, B2B)
        assert "hunter2" not in str(refused.value)
    assert schemas(session, tables) == ["", "_build_3"]


def test_the_schema_that_people_know_holds_views_only(tables, session):
    kinds = session.execute(
        "SELECT DISTINCT relkind FROM pg_class WHERE relnamespace = %s::regnamespace",
        [tables.place.schema],
    ).fetchall()
    assert kinds == [("v",)]
    columns = [column.name for column in session.execute("SELECT * FROM events").description]
    assert columns == [column.name for column in events.columns]


def test_columns_are_only_appended(tables, session):
    """As after an upgrade: a view of an older version has other columns."""
    session.execute("DROP VIEW skipped")
    session.execute(
        f"CREATE VIEW skipped AS SELECT error, 1::int AS old FROM"
        f" {tables.place.schema}_build_1.skipped".encode()
    )
    session.execute("CREATE VIEW mine AS SELECT error, old FROM skipped")
    replay(log(20), tables, B2B, rebuild=True)
    columns = [column.name for column in session.execute("SELECT * FROM skipped").description]
    assert columns == ["error", "old", "position", "type"]
    assert session.execute("SELECT * FROM mine").fetchall() == []


def test_what_hangs_on_a_build_itself_is_not_dropped_with_it(tables, session):
    session.execute(
        f"CREATE VIEW wrong AS SELECT * FROM {tables.place.schema}_build_1.events".encode()
    )
    replay(log(20), tables, B2B, rebuild=True)
    assert session.execute("SELECT count(*) FROM wrong").fetchone() == (20,)
    session.execute("DROP VIEW wrong")
    replay(log(20), tables, B2B, rebuild=True)
    assert schemas(session, tables) == ["", "_build_3"]


def test_another_programs_schema_is_left_alone(postgres_url):
    made = PostgresTables(PostgresPlace.of(postgres_url))
    with psycopg.connect(made.place.server, autocommit=True) as session:
        session.execute(f"CREATE SCHEMA {made.place.schema}".encode())
        session.execute(f"CREATE TABLE {made.place.schema}.mine (a int)".encode())
    for use in (made.standing, lambda: replay(log(1), made, B2B, rebuild=True)):
        with pytest.raises(TablesError, match="another program's tables"):
            use()


# -- who waits for whom -----------------------------------------------------------------------------


def test_a_reader_sees_one_state_through_catch_ups_and_swaps(tables, session):
    with tables.read() as reader:
        counted = sa.select(sa.func.count()).select_from(events)
        assert reader.fetch(counted).to_pylist() == [{"count_1": 20}]
        replay(log(30), tables, B2B)
        replay(log(40), tables, B2B, rebuild=True)
        replay(log(50), tables, B2B, rebuild=True)
        assert reader.fetch(counted).to_pylist() == [{"count_1": 20}]
        assert reader.fetch("SELECT * FROM journeys").num_rows > 0
        assert reader.position == 20
        # the build that is read is kept
        assert schemas(session, tables) == ["", "_build_1", "_build_3"]
    assert tables.standing().position == 50
    replay(log(50), tables, B2B, rebuild=True)
    assert schemas(session, tables) == ["", "_build_4"]


def test_one_builder_at_a_time(tables):
    with tables.building() as writing:
        assert writing.standing() is None
        with pytest.raises(BeingBuilt, match="builds the tables"), tables.building():
            raise AssertionError
        assert refresh(log(30), tables, B2B).position == 30
    with tables.building():
        pass


def test_a_writer_waits_for_another_as_long_as_was_said(tables):
    with tables.write() as writing:
        writing.run(sa.insert(skipped).values(position=1, type="t", error="e"))
        with pytest.raises(TablesHeld, match=r"waited 0.1 seconds") as held, tables.write(0.1):
            raise AssertionError
        with tables.read() as reader:
            assert reader.fetch("SELECT * FROM skipped").num_rows == 0
    assert held.value.exit_code == 4
    with tables.read() as reader:
        assert reader.fetch("SELECT * FROM skipped").num_rows == 1


def test_a_swap_waits_for_who_holds_the_views_and_lets_others_through(tables, session, monkeypatch):
    module = sys.modules[type(tables).__module__]
    monkeypatch.setattr(module, "WAIT", 1)
    with session.transaction():
        session.execute("SELECT count(*) FROM events")
        with pytest.raises(TablesHeld, match="has the views open in a transaction"):
            replay(log(30), tables, B2B, rebuild=True)
        assert ask(tables, "SELECT count(*) FROM events") == [(20,)]
    assert replay(log(30), tables, B2B, rebuild=True).position == 30
    assert schemas(session, tables) == ["", "_build_2"]


KILLED = """
import sys, time
sys.path.insert(0, {root!r})
from bowtie.stages import load_definition
from bowtie_projections.databases import tables_at
from bowtie_projections.replay import replay
from tests.unit.test_replay import MemoryLog, rows

class Slow(MemoryLog):
    def batches(self, after, upto, size):
        for number, batch in enumerate(super().batches(after, upto, size)):
            if number == {at}:
                print("here", flush=True)
                time.sleep(60)
            yield batch

replay(Slow(rows(60)), tables_at({url!r}), load_definition("b2b"), batch=5, rebuild={rebuild})
"""


@pytest.mark.parametrize(("at", "rebuild"), [(0, True), (7, True), (3, False)])
def test_a_killed_replay_leaves_what_the_next_completes(tables, session, postgres_url, at, rebuild):
    script = KILLED.format(root=str(ROOT), url=postgres_url, at=at, rebuild=rebuild)
    with subprocess.Popen(
        [sys.executable, "-c", script], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout
        assert process.stdout.readline() == "here\n"
        process.send_signal(signal.SIGKILL)
    standing = tables.standing()
    assert ask(tables, "SELECT count(*), max(position) FROM events") == [(standing.position,) * 2]
    replay(log(60), tables, B2B, rebuild=rebuild, wait=30)
    whole = TablesFile.of("memory://")
    replay(log(60), whole, B2B)
    for name in ("events", "journeys", "touched", "noted", "retracted"):
        assert rows_of(tables, name) == rows_of(whole, name)
    assert len(schemas(session, tables)) == 2


KILLED_CHECK = """
import sys, time
sys.path.insert(0, {root!r})
from bowtie.stages import load_definition
from bowtie_projections.databases import tables_at
from bowtie_projections.replay import replay
from tests.unit.test_replay import MemoryLog, rows

with tables_at({url!r}).scratch() as fresh:
    replay(MemoryLog(rows(5)), fresh, load_definition("b2b"))
    print("here", flush=True)
    time.sleep(60)
"""


def test_what_a_killed_check_leaves_goes_with_the_next_build(tables, session, postgres_url):
    """Not before: while it runs, its tables stay."""
    script = KILLED_CHECK.format(root=str(ROOT), url=postgres_url)
    with subprocess.Popen(
        [sys.executable, "-c", script], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout
        assert process.stdout.readline() == "here\n"
        replay(log(20), tables, B2B, rebuild=True)
        assert len(schemas(session, tables)) == 4
        process.send_signal(signal.SIGKILL)
    for _ in range(20):  # until the server has noticed
        replay(log(20), tables, B2B, rebuild=True)
        if len(schemas(session, tables)) == 2:
            break
    assert len(schemas(session, tables)) == 2


def test_what_is_only_called_like_a_check_stays(tables, session):
    name = f"{tables.place.schema}_check_beef"
    session.execute(f"CREATE SCHEMA {name}; CREATE TABLE {name}.mine ()".encode())
    with tables.scratch():
        pass
    assert schemas(session, tables) == ["", "_build_1", "_check_beef"]
    session.execute(f"DROP SCHEMA {name} CASCADE".encode())
    with pytest.raises(UsageError, match="name another one"):
        tables_at(f"postgresql://db/shop?schema={name}")


@pytest.mark.parametrize(("asked", "given"), [("", "10"), ("&connect_timeout=3", "3")])
def test_a_server_that_does_not_answer_is_not_waited_for_without_end(postgres_url, asked, given):
    tables = tables_at(f"{postgres_url}{asked}")
    assert isinstance(tables, PostgresTables)
    with tables._connected() as connection:
        assert connection.info.get_parameters()["connect_timeout"] == given


def end_session_of(opened, session):
    pid = opened._connection.info.backend_pid
    session.execute("SELECT pg_terminate_backend(%s, 5000)", [pid])


def test_a_connection_that_ends_is_said_and_changes_nothing(tables, session):
    with pytest.raises(TablesError, match="can't be"), tables.read() as reader:
        end_session_of(reader, session)
        reader.fetch(sa.select(events))
    for opened in (tables.building, tables.write):
        with pytest.raises(TablesError, match="can't be reached"), opened() as writing:
            end_session_of(writing, session)
            writing.run(sa.insert(skipped).values(position=1, type="t", error="e"))
    assert ask(tables, "SELECT count(*) FROM skipped") == [(0,)]
    replay(log(30), tables, B2B, rebuild=True)
    assert len(schemas(session, tables)) == 2


# -- what goes in comes out -------------------------------------------------------------------------

ODD = [
    '"',
    "'",
    "\\",
    "\\.",
    "a\n\\.\nb",
    "\r",
    "\t",
    "\\N",
    "NULL",
    " ",
    ",",
    "é",
    "\U0001f600",
    "%s",
]


def test_odd_texts_come_out_as_they_went_in(tables):
    source = MemoryLog(
        [
            Logged(Touched(channel=text, direction="inbound", content=text), text, START, "s", text)
            for text in ODD
        ]
    )
    whole = TablesFile.of("memory://")
    for made in (tables, whole):
        replay(source, made, B2B, rebuild=True)
    by_code_point = ask(tables, "SELECT channel FROM touched ORDER BY channel")
    assert by_code_point == [(text,) for text in sorted(ODD)]
    assert rows_of(tables, "touched") == rows_of(whole, "touched")
    assert rows_of(tables, "journeys") == rows_of(whole, "journeys")


def test_an_export_is_the_same_file_as_from_duckdb(tables, tmp_path):
    whole = TablesFile.of("memory://")
    replay(log(20), whole, B2B)
    counts = [
        export_tables(made, tmp_path / name) for made, name in ((tables, "one"), (whole, "two"))
    ]
    assert counts[0] == counts[1]
    for table in metadata.sorted_tables:
        if table.name != "bowtie_tables":  # which says when it was built
            one, two = (
                (tmp_path / n / f"{table.name}.parquet").read_bytes() for n in ("one", "two")
            )
            assert one == two, table.name


# -- asking -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "sql",
    ["SELECT 1 AS a", "TABLE events", "WITH x AS (SELECT 1 AS a) SELECT * FROM x", "VALUES (1)",
     "EXPLAIN SELECT 1", "SHOW timezone", "select 1;", "-- why\nSELECT '%s' AS a", "(SELECT 1) UNION (SELECT 2)"],
)  # fmt: skip
def test_statements_that_read_are_answered(tables, sql):
    with tables.read() as reader:
        assert reader.fetch(sql).num_rows >= 1
        assert reader.statements == [sql]


@pytest.mark.parametrize(
    "sql",
    ["DELETE FROM events", "DROP VIEW events", "CREATE TABLE x (a int)", "SELECT 1; DELETE FROM events", "", "SELEC 1",
     "SELECT * FROM nowhere", "COPY events TO '/tmp/x'", "COPY (SELECT 1) TO PROGRAM 'true'", "COMMIT", "ROLLBACK", "BEGIN",
     "SET search_path = public", "EXPLAIN ANALYZE DELETE FROM events", "WITH x AS (DELETE FROM events RETURNING 1) SELECT * FROM x",
     "SELECT * INTO x FROM events", "SELECT 1/0", "SELECT 'a'::int", "LISTEN x", "DO $$ BEGIN END $$"],
)  # fmt: skip
def test_all_else_is_refused(tables, sql):
    with tables.read() as reader:
        with pytest.raises(UsageError):
            reader.fetch(sql)
        # and the reader goes on
        assert reader.fetch("SELECT count(*) AS n FROM events").to_pylist() == [{"n": 20}]


# -- places ---------------------------------------------------------------------------------------


class _Store:
    path = None

    def __init__(self, address):
        self.address = address


@pytest.mark.parametrize(
    ("store", "schema"),
    [
        ("postgresql://db/shop", "bowtie"),
        ("postgresql://db/shop?sslmode=require", "bowtie"),
        ("postgresql://db/shop?schema=t1", "t1_views"),
        ("postgresql://db/shop?schema=public", "bowtie"),
        ("postgresql://db/shop?schema=t1&host=/tmp", "t1_views"),
        ("postgresql+psycopg://me:hunter2@db/shop?schema=t1", "t1_views"),
    ],
)
def test_tables_of_a_store_are_in_its_database(store, schema):
    """They are reached as the store is, with the password that its URL held."""
    known = cast(Any, _Store(PostgresUrl.parse(store).address))
    place = PostgresPlace.of(str(beside(known)))
    assert place.schema == schema
    assert place.server == PostgresPlace.of(PostgresUrl.parse(store).conninfo).server
    assert "hunter2" not in place.shown


def test_a_store_with_a_password_has_tables(postgres_url):
    parts = urlsplit(postgres_url)
    user, _, host = parts.netloc.rpartition("@")
    named = urlunsplit(parts._replace(netloc=f"{user}:hunter2@{host}"))
    with Bowtie.open(named) as engine:
        made = cast(Any, tables_of(None, engine))
        assert "hunter2" in made.place.server
        assert "hunter2" not in engine.store.url + made.name


def test_texts_are_utf_8_whatever_a_session_would_speak(postgres_url, monkeypatch):
    monkeypatch.setenv("PGCLIENTENCODING", "LATIN1")
    with Bowtie.open("memory://") as engine:
        engine.record("Żofia", Touched(channel="ads", direction="inbound"))
        views = Views.open(engine, postgres_url)
        assert views.sql("SELECT customer FROM touched").rows() == [{"customer": "Żofia"}]


@pytest.mark.parametrize("scheme", ["postgres", "postgresql+psycopg"])
def test_tables_are_named_as_stores_are(scheme):
    made = cast(Any, tables_at(f"{scheme}://db/shop"))
    assert (made.name, made.place.server) == (
        "postgresql://db/shop?schema=bowtie",
        "postgresql://db/shop",
    )


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("postgresql://me:hunter2@localhost:1/db", "can't be reached"),
        ("postgresql://me:hunter2@localhost:1/db?nonsense=1", "is no URL of a PostgreSQL database"),
    ],
)
def test_what_can_not_be_reached_is_said_without_the_password(url, said):
    with pytest.raises(TablesError, match=said) as error:
        tables_at(url).standing()
    assert "hunter2" not in str(error.value)
    assert error.value.__cause__ is None or "hunter2" not in str(error.value.__cause__)


def test_a_database_that_is_not_there(postgres_url):
    parts = urlsplit(postgres_url)
    with pytest.raises(TablesError, match="nowhere"):
        tables_at(urlunsplit(parts._replace(path="/nowhere"))).standing()


def test_a_name_that_is_too_long():
    with pytest.raises(UsageError, match="1 to"):
        tables_at(f"postgresql://db/shop?schema={'x' * 50}")


def test_no_tables_yet(postgres_url):
    made = tables_at(postgres_url)
    assert made.standing() is None
    with pytest.raises(TablesError, match="holds no read tables yet"), made.read():
        raise AssertionError
    with pytest.raises(TablesError, match="holds no read tables yet"), made.write():
        raise AssertionError
