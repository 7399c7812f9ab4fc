"""Events in the application's own transaction: both are kept, or neither."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg
import pytest
import sqlalchemy as sa

from bowtie import Bowtie, Touched, TraitsObserved
from bowtie.errors import AliasClaimed, StoreBusy, UsageError
from bowtie.stores.postgres_url import PostgresUrl

TOUCH = Touched(channel="web", direction="inbound")
Connect = Callable[[], Any]


@pytest.fixture(params=["sqlite", "postgres"])
def engine(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Bowtie]:
    if request.param == "postgres":
        url = request.getfixturevalue("postgres_url")
    else:
        url = f"sqlite:///{tmp_path / 'journeys.db'}"
    with Bowtie.open(url) as engine:
        request.node.url = url
        yield engine


@pytest.fixture(params=["driver", "sqlalchemy"])
def connect(request: pytest.FixtureRequest, engine: Bowtie) -> Connect:
    """Makes connections of the application, which has a table ``orders`` beside the store."""
    url, path = request.node.url, engine.store.path
    if path is not None:
        made_by = {
            "driver": lambda: sqlite3.connect(path, timeout=1),
            "sqlalchemy": lambda: _alchemy(f"sqlite:///{path}"),
        }
    else:
        conninfo = PostgresUrl.parse(url).conninfo
        made_by = {
            "driver": lambda: psycopg.connect(conninfo),
            "sqlalchemy": lambda: _alchemy(conninfo.replace("postgresql:", "postgresql+psycopg:")),
        }
    connect = made_by[request.param]
    schema = "" if path is not None else f'"{PostgresUrl.parse(url).schema}".'
    with _opened(connect) as connection:
        _run(connection, f"CREATE TABLE {schema}orders (name TEXT PRIMARY KEY)")
        connection.commit()
    request.node.orders = f"{schema}orders"
    return connect


@pytest.fixture
def orders(request: pytest.FixtureRequest, connect: Connect) -> str:
    """The application's table."""
    name: str = request.node.orders
    return name


def _alchemy(url: str) -> sa.Connection:
    return sa.create_engine(url, poolclass=sa.pool.NullPool).connect()


@contextmanager
def _opened(connect: Connect) -> Iterator[Any]:
    with closing(connect()) as connection:
        yield connection


def _run(connection: Any, statement: str) -> list[Any]:
    if isinstance(connection, sa.Connection):
        result = connection.exec_driver_sql(statement)
        return [tuple(row) for row in result] if result.returns_rows else []
    cursor = connection.execute(statement)
    return list(cursor.fetchall()) if cursor.description else []


def _orders(connect: Connect, table: str) -> list[str]:
    with _opened(connect) as connection:
        return [row[0] for row in _run(connection, f"SELECT name FROM {table} ORDER BY name")]


def test_what_is_committed_is_there_with_the_callers_rows(
    engine: Bowtie, connect: Connect, orders: str
) -> None:
    with _opened(connect) as connection:
        _run(connection, f"INSERT INTO {orders} VALUES ('o1')")
        (event,) = engine.record("acme", TOUCH, id="e1", connection=connection)
        engine.record("acme", TraitsObserved(traits={"email": "ada@x.org"}), connection=connection)
        assert engine.store.head() == 0
        connection.commit()

    assert event.position == 1
    assert _orders(connect, orders) == ["o1"]
    assert [one.id for one in engine.events()][:1] == ["e1"]
    assert engine.journey("acme").traits["email"] == "ada@x.org"


def test_a_command_sent_again_within_the_transaction(engine: Bowtie, connect: Connect) -> None:
    """What it returns is in no other's sight yet."""
    traits = TraitsObserved(traits={"email": "ada@x.org"})
    when = datetime(2026, 1, 5, tzinfo=UTC)
    with _opened(connect) as connection:
        for _ in range(2):
            (event,) = engine.record(
                "acme", traits, id="e1", occurred_at=when, actor="ada", connection=connection
            )
            assert (event.position, event.data, event.actor) == (1, traits, "ada")
        connection.commit()
    assert list(engine.events()) == [event]


def test_what_is_rolled_back_never_was(engine: Bowtie, connect: Connect, orders: str) -> None:
    engine.record("acme", TOUCH)
    with _opened(connect) as connection:
        _run(connection, f"INSERT INTO {orders} VALUES ('o1')")
        engine.record("acme", TOUCH, id="gone", connection=connection)
        connection.rollback()

    assert _orders(connect, orders) == []
    assert engine.store.head() == 1
    (event,) = engine.record("acme", TOUCH, id="gone")
    assert (event.position, event.version) == (2, 2)


def test_what_is_refused_leaves_the_callers_rows(
    engine: Bowtie, connect: Connect, orders: str
) -> None:
    from bowtie import IdentityLinked

    engine.record("acme", IdentityLinked(alias="ada"))
    with _opened(connect) as connection:
        _run(connection, f"INSERT INTO {orders} VALUES ('o1')")
        with pytest.raises(AliasClaimed):
            engine.record("brewer", IdentityLinked(alias="ada"), connection=connection)
        engine.record("brewer", TOUCH, connection=connection)
        connection.commit()

    assert _orders(connect, orders) == ["o1"]
    assert [one.subject for one in engine.events()] == ["acme", "brewer"]


def test_appends_alone_begin_a_transaction_that_the_caller_ends(
    engine: Bowtie, connect: Connect
) -> None:
    with _opened(connect) as connection:
        engine.record("acme", TOUCH, connection=connection)
    assert engine.store.head() == 0

    with _opened(connect) as connection:
        engine.record("acme", TOUCH, connection=connection)
        connection.commit()
    assert engine.store.head() == 1


def test_others_wait_until_the_caller_ends_its_transaction(
    engine: Bowtie, connect: Connect
) -> None:
    with _opened(connect) as connection:
        engine.record("acme", TOUCH, connection=connection)
        with pytest.raises(StoreBusy):
            engine.record("acme", TOUCH, timeout=0.2)
        connection.commit()
    engine.record("acme", TOUCH)

    assert [one.version for one in engine.events()] == [1, 2]


def test_the_caller_waits_as_long_as_it_says(engine: Bowtie, connect: Connect, orders: str) -> None:
    with _opened(connect) as connection, engine.store.writing():
        with pytest.raises(StoreBusy):
            engine.record("acme", TOUCH, connection=connection, timeout=0.2)
        connection.rollback()
    with _opened(connect) as connection:
        _run(connection, f"INSERT INTO {orders} VALUES ('later')")
        engine.record("acme", TOUCH, connection=connection)
        connection.commit()

    assert engine.store.head() == 1


def test_another_database_is_refused(engine: Bowtie, tmp_path: Path) -> None:
    with (
        closing(sqlite3.connect(tmp_path / "other.db")) as other,
        pytest.raises(UsageError, match=r"not the store's|is a PostgreSQL store"),
    ):
        engine.record("acme", TOUCH, connection=other)

    assert engine.store.head() == 0


def test_another_postgres_database_is_refused(postgres_url: str, postgres_database: str) -> None:
    """And the caller's transaction goes on."""
    with Bowtie.open(postgres_url) as engine, psycopg.connect(postgres_database) as other:
        other.execute("CREATE TABLE orders (name text)")
        with pytest.raises(UsageError, match="not the store's"):
            engine.record("acme", TOUCH, connection=other)
        other.execute("INSERT INTO orders VALUES ('o1')")
        other.commit()


def test_a_connection_that_commits_by_itself_is_refused(tmp_path: Path, postgres_url: str) -> None:
    path = tmp_path / "journeys.db"
    conninfo = PostgresUrl.parse(postgres_url).conninfo
    with (
        Bowtie.open(str(path)) as engine,
        closing(sqlite3.connect(path, isolation_level=None)) as connection,
        pytest.raises(UsageError, match="begin a transaction"),
    ):
        engine.record("acme", TOUCH, connection=connection)
    with Bowtie.open(postgres_url) as engine, psycopg.connect(conninfo, autocommit=True) as other:
        with pytest.raises(UsageError, match="begin a transaction"):
            engine.record("acme", TOUCH, connection=other)
        with other.transaction():
            engine.record("acme", TOUCH, connection=other)
        assert engine.store.head() == 1


def test_an_isolation_that_hides_others_events_is_refused(postgres_url: str) -> None:
    conninfo = PostgresUrl.parse(postgres_url).conninfo
    with Bowtie.open(postgres_url) as engine, psycopg.connect(conninfo) as connection:
        connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        with pytest.raises(UsageError, match="READ COMMITTED"):
            engine.record("acme", TOUCH, connection=connection)


def test_a_transaction_that_failed_is_refused(postgres_url: str) -> None:
    conninfo = PostgresUrl.parse(postgres_url).conninfo
    with Bowtie.open(postgres_url) as engine, psycopg.connect(conninfo) as connection:
        with suppress(psycopg.Error):
            connection.execute("SELECT no_such_column")
        with pytest.raises(UsageError, match="roll it back"):
            engine.record("acme", TOUCH, connection=connection)


def test_a_transaction_that_read_before_others_wrote(tmp_path: Path) -> None:
    """SQLite can't let it write any more: the message says what to do."""
    path = tmp_path / "journeys.db"
    with Bowtie.open(str(path)) as engine, closing(sqlite3.connect(path)) as connection:
        connection.execute("BEGIN")
        connection.execute("SELECT * FROM bowtie_meta").fetchall()
        engine.record("acme", TOUCH)
        with pytest.raises(StoreBusy, match="BEGIN IMMEDIATE"):
            engine.record("acme", TOUCH, connection=connection)


def test_memory_and_sessions_are_refused(tmp_path: Path) -> None:
    from sqlalchemy.orm import Session

    with (
        Bowtie.open("memory://") as engine,
        closing(sqlite3.connect(":memory:")) as connection,
        pytest.raises(UsageError, match="in memory"),
    ):
        engine.record("acme", TOUCH, connection=connection)
    url = f"sqlite:///{tmp_path / 'journeys.db'}"
    with Bowtie.open(url) as engine, Session(sa.create_engine(url)) as session:
        with pytest.raises(UsageError, match=r"session\.connection\(\)"):
            engine.record("acme", TOUCH, connection=session)
        engine.record("acme", TOUCH, connection=session.connection())
        session.commit()
        assert engine.store.head() == 1
