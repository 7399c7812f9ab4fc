"""What is PostgreSQL's own: URLs, what can be wrong with a server, tenants, a server restarted."""

from __future__ import annotations

import base64
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import psycopg
import pytest

from bowtie import Bowtie, Touched, TraitsObserved
from bowtie.errors import (
    NotAStore,
    SealedKeyMissing,
    StoreAway,
    StoreError,
    StoreMissing,
    StoreNewer,
    StoreReadOnly,
    UsageError,
)
from bowtie.stores.postgres_url import PostgresUrl
from tests.logs import log, wire
from tests.postgres import PostgresServer, running_server, with_query

TOUCH = Touched(channel="web", direction="inbound")
SECRET = "open-sesame"


class TestUrls:
    @pytest.mark.parametrize("scheme", ["postgresql", "postgres", "postgresql+psycopg"])
    def test_schemes(self, scheme: str) -> None:
        url = PostgresUrl.parse(f"{scheme}://ada:{SECRET}@db:5433/app?schema=t1&sslmode=require")

        assert url.conninfo == f"postgresql://ada:{SECRET}@db:5433/app?sslmode=require"
        assert url.schema == "t1"
        assert url.shown == "postgresql://ada@db:5433/app?schema=t1&sslmode=require"

    def test_public_unless_it_is_said(self) -> None:
        assert PostgresUrl.parse("postgresql:///app").schema == "public"

    @pytest.mark.parametrize(
        "url",
        [
            f"postgresql://ada:{SECRET}/x@db/app",
            f"postgresql://ada:{SECRET}@db:port/app",
            f"postgresql://ada:[{SECRET}@db/app",
            f"postgresql://ada:#{SECRET}@db/app",
            f"postgresql://ada:{SECRET}@db/app?schema",
            f"postgresql://ada:{SECRET}@db/app?schema=t-1",
            f"postgresql://ada:{SECRET}@db/app?schema=pg_toast",
            f"postgresql://ada:{SECRET}@db/app?schema=bowtie",
            f"postgresql://ada:{SECRET}@db/app?schema=t1_views",
            f"postgresql://ada:{SECRET}@db/app?schema={'x' * 41}",
            f"mysql://ada:{SECRET}@db/app",
        ],
    )
    def test_what_is_no_url_is_said_without_the_password(self, url: str) -> None:
        with pytest.raises(UsageError) as caught:
            Bowtie.open(url)

        assert SECRET not in str(caught.value)
        assert "\n" not in str(caught.value)

    def test_nothing_shows_the_password(self, postgres_url: str) -> None:
        with Bowtie.open(with_query(postgres_url, password=SECRET)) as engine:
            assert SECRET not in repr(engine)
            assert SECRET not in repr(engine.store.__dict__)


@contextmanager
def refused(kind: type[StoreError], says: str) -> Iterator[None]:
    with pytest.raises(kind, match=says) as caught:
        yield
    assert "\n" not in str(caught.value)
    assert SECRET not in str(caught.value)
    assert type(caught.value) is kind


class TestWhatCanBeWrong:
    def test_the_server_is_away(self) -> None:
        with refused(StoreAway, "can't be reached"):
            Bowtie.open(f"postgresql://ada:{SECRET}@localhost:1/app")
        with refused(StoreAway, "can't be reached"):
            Bowtie.open(f"postgresql://ada:{SECRET}@/app?host=/no/such/folder")

    def test_no_such_database(self, postgres_url: str) -> None:
        url = urlsplit(postgres_url)._replace(path="/nowhere").geturl()
        with refused(StoreMissing, 'database "nowhere" does not exist'):
            Bowtie.open(url)

    def test_no_such_parameter(self, postgres_url: str) -> None:
        with refused(StoreError, "no such parameter"):
            Bowtie.open(with_query(postgres_url, colour="red"))

    def test_no_store_yet(self, postgres_url: str) -> None:
        with refused(StoreMissing, "make one with bowtie init"):
            Bowtie.open(postgres_url, create=False)

    def test_a_schema_of_another_program(
        self, postgres_url: str, postgres_server: PostgresServer
    ) -> None:
        schema = PostgresUrl.parse(postgres_url).schema
        postgres_server.execute(
            f"CREATE SCHEMA {schema}", f"CREATE TABLE {schema}.stored_events (a int)"
        )
        with refused(NotAStore, "another program's events"):
            Bowtie.open(postgres_url)

    def test_tables_of_the_application_may_lie_beside(
        self, postgres_url: str, postgres_server: PostgresServer
    ) -> None:
        schema = PostgresUrl.parse(postgres_url).schema
        postgres_server.execute(f"CREATE SCHEMA {schema}", f"CREATE TABLE {schema}.orders (a int)")
        with Bowtie.open(postgres_url) as engine:
            engine.record("acme", TOUCH)

    def test_a_newer_store(self, postgres_url: str, postgres_server: PostgresServer) -> None:
        schema = PostgresUrl.parse(postgres_url).schema
        with Bowtie.open(postgres_url) as engine:
            postgres_server.execute(
                f"UPDATE {schema}.bowtie_meta SET value = '99' WHERE name = 'version'"
            )
            with refused(StoreNewer, "store version 99"):
                engine.record("acme", TOUCH)
        with refused(StoreNewer, "store version 99"):
            Bowtie.open(postgres_url)

    def test_a_damaged_store(self, postgres_url: str, postgres_server: PostgresServer) -> None:
        schema = PostgresUrl.parse(postgres_url).schema
        with Bowtie.open(postgres_url) as engine:
            postgres_server.execute(f"DROP TABLE {schema}.bowtie_ids")
            with refused(StoreError, "is damaged"):
                engine.record("acme", TOUCH)
            postgres_server.execute(f"DELETE FROM {schema}.bowtie_meta")
        with refused(StoreError, "is damaged"):
            Bowtie.open(postgres_url)

    def test_who_may_only_read(self, postgres_url: str, postgres_server: PostgresServer) -> None:
        schema = PostgresUrl.parse(postgres_url).schema
        with Bowtie.open(postgres_url) as engine:
            engine.record("acme", TOUCH)
        role = f"reader_{schema}"
        postgres_server.execute(
            f"CREATE ROLE {role} LOGIN",
            f"GRANT USAGE ON SCHEMA {schema} TO {role}",
            f"GRANT SELECT ON ALL TABLES IN SCHEMA {schema} TO {role}",
        )
        reader = postgres_url.replace("postgres:@", f"{role}@")
        try:
            with Bowtie.open(reader) as engine:
                assert len(list(engine.events())) == 1
                with refused(StoreReadOnly, "permission denied"):
                    engine.record("acme", TOUCH)
            with refused(StoreReadOnly, "permission denied"):
                Bowtie.open(reader.replace(f"schema={schema}", f"schema={schema}b"))
        finally:
            postgres_server.execute(f"DROP OWNED BY {role}", f"DROP ROLE {role}")

    def test_who_may_write(self, postgres_url: str, postgres_server: PostgresServer) -> None:
        """What the docs say that a writer needs is enough."""
        schema = PostgresUrl.parse(postgres_url).schema
        with Bowtie.open(postgres_url) as engine:
            engine.record("acme", TOUCH)
        role = f"writer_{schema}"
        postgres_server.execute(
            f"CREATE ROLE {role} LOGIN",
            f"GRANT USAGE ON SCHEMA {schema} TO {role}",
            f"GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA {schema} TO {role}",
        )
        try:
            with Bowtie.open(postgres_url.replace("postgres:@", f"{role}@")) as engine:
                engine.record("acme", TraitsObserved(traits={"email": "ada@example.org"}))
                report = engine.ingest(BytesIO(log(wire("1"), b"{ bad")))
                assert (report.appended, report.parked) == (1, 1)
        finally:
            postgres_server.execute(f"DROP OWNED BY {role}", f"DROP ROLE {role}")

    def test_a_key_that_is_gone(self, postgres_url: str, key_folder: Path) -> None:
        with Bowtie.open(postgres_url) as engine:
            engine.record("acme", TOUCH)
            key = key_folder / f"{engine.store.store_id}.key"
        key.rename(key.with_suffix(".away"))
        with Bowtie.open(postgres_url) as engine:
            assert len(list(engine.events())) == 1
            with refused(SealedKeyMissing, "BOWTIE_MASTER_KEY"):
                engine.record("acme", TOUCH)

    def test_a_key_of_the_environment(
        self, postgres_url: str, key_folder: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("BOWTIE_MASTER_KEY", base64.b64encode(b"k" * 32).decode())
        with Bowtie.open(postgres_url) as engine:
            engine.record("acme", TraitsObserved(traits={"email": "ada@example.org"}))
            assert engine.journey("acme").traits["email"] == "ada@example.org"
        assert not key_folder.exists()


def test_a_wrong_password(tmp_path: Path) -> None:
    """On a server of its own, which asks for one."""
    with running_server() as server:
        if server.data is None:
            pytest.skip("the server named in BOWTIE_TEST_POSTGRES is not ours to change")
        server.execute("CREATE ROLE ada LOGIN PASSWORD 'right'")
        (server.data / "pg_hba.conf").write_text(
            "local all postgres trust\nlocal all all scram-sha-256\n"
        )
        server.execute("SELECT pg_reload_conf()")
        time.sleep(0.3)
        host = parse_qs(urlsplit(server.url).query)["host"][0]
        with refused(StoreError, "refused the name or the password"):
            Bowtie.open(f"postgresql://ada:{SECRET}@/postgres?host={host}")


def _dump(server: PostgresServer, schema: str) -> str:
    """The schema with all its rows, as pg_dump writes it."""
    if server.programs is None:
        pytest.skip("there is no pg_dump here")
    done = subprocess.run(
        [server.programs / "pg_dump", f"--schema={schema}", server.url],
        capture_output=True,
        text=True,
        check=True,
    )
    return "\n".join(
        line for line in done.stdout.splitlines() if not line.startswith(("\\restrict", "\\unrest"))
    )


def test_tenants_of_one_database_do_not_meet(postgres_server: PostgresServer) -> None:
    """Whatever is done to one leaves the other as it is, to the byte."""
    lines = log(
        wire("1"),
        wire("2", "traits_observed", data={"traits": {"email": "ada@example.org"}}),
        b"{ bad",
    )
    with (
        postgres_server.schema() as one_url,
        postgres_server.schema() as other_url,
        Bowtie.open(one_url) as one,
        Bowtie.open(other_url) as other,
    ):
        other.ingest(BytesIO(lines))
        schema = PostgresUrl.parse(other_url).schema
        before = _dump(postgres_server, schema)

        one.ingest(BytesIO(lines))
        one.record("acme", TOUCH)
        exported = b"\n".join(
            __import__("json").dumps(line).encode() for line in one.export(reveal=True)
        )

        assert _dump(postgres_server, schema) == before
        assert one.store.store_id != other.store.store_id
        assert one.store.secrets.content != other.store.secrets.content
        assert exported.count(b"\n") == 3
        assert (one.store.head(), other.store.head()) == (3, 2)


def test_two_processes_make_one_store(postgres_url: str) -> None:
    """Whoever comes second opens what the first has made."""
    opened: list[str] = []

    def make() -> None:
        with Bowtie.open(postgres_url) as engine:
            opened.append(engine.store.store_id)

    threads = [threading.Thread(target=make) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(opened) == 4
    assert len(set(opened)) == 1


def test_connections_that_were_killed_are_made_anew(
    postgres_url: str, postgres_server: PostgresServer
) -> None:
    with Bowtie.open(postgres_url) as engine:
        engine.record("acme", TOUCH)
        postgres_server.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE application_name = 'bowtie' AND pid <> pg_backend_pid()"
        )
        time.sleep(0.1)
        engine.record("acme", TOUCH)
        assert [one.version for one in engine.events()] == [1, 2]


def test_a_connection_that_breaks_in_a_transaction_is_said(
    postgres_url: str, postgres_server: PostgresServer
) -> None:
    with Bowtie.open(postgres_url) as engine:
        with refused(StoreAway, "try again"), engine.store.writing() as tx:
            postgres_server.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE application_name = 'bowtie' AND pid <> pg_backend_pid()"
            )
            tx.insert_events([("customer/a", 1, "touched", b"{}\n")])
        engine.record("acme", TOUCH)
        assert engine.store.head() == 1


def test_waiting_survives_a_killed_connection(
    postgres_url: str, postgres_server: PostgresServer
) -> None:
    with Bowtie.open(postgres_url) as engine, Bowtie.open(postgres_url) as writer:

        def disturb() -> None:
            time.sleep(0.3)
            with psycopg.connect(postgres_server.url, autocommit=True) as connection:
                connection.execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                    " WHERE query LIKE 'LISTEN%' OR query LIKE '%max(notification_id)%'"
                    " AND pid <> pg_backend_pid()"
                )
            time.sleep(0.3)
            writer.record("acme", TOUCH)

        thread = threading.Thread(target=disturb)
        thread.start()
        assert engine.store.changed(0, 20.0)
        thread.join()


def test_a_change_is_told_at_once(postgres_url: str) -> None:
    with Bowtie.open(postgres_url) as engine, Bowtie.open(postgres_url) as writer:
        assert not engine.store.changed(0, 0.05)
        thread = threading.Timer(0.3, lambda: writer.record("acme", TOUCH))
        thread.start()
        started = time.monotonic()
        assert engine.store.changed(0, 20.0)
        assert time.monotonic() - started < 15
        thread.join()


def test_what_no_database_keeps_as_text(postgres_url: str) -> None:
    with Bowtie.open(postgres_url) as engine:
        assert list(engine.events("a\0b")) == []
        assert list(engine.events("\udcff")) == []
        report = engine.ingest(BytesIO(log(wire("1\0"), b'{"subject": "\\ud800"}', b"\xff\0")))
        assert (report.appended, report.parked) == (0, 3)
        with engine.store.writing() as tx:
            tx.park([(b"d", "invalid", "a\0b\udcff", "f\udcff", 1, 1, None, b"s")])
        assert [line.problem for line in engine.store.parked()][
            -1
        ] == "a\N{REPLACEMENT CHARACTER}b?"
