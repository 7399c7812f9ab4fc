"""A tenant is a store: whatever is done to one leaves the other as it is, to the byte."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import pytest

from bowtie import Bowtie
from bowtie_projections import Views, tables_of
from bowtie_projections.replay import replay
from tests.logs import log, wire
from tests.postgres import PostgresServer, with_query

LINES = log(
    wire("1"),
    wire("2", "traits_observed", data={"traits": {"email": "ada@example.org"}}),
    b"{ bad",
)
Seen = Callable[[], object]


@pytest.fixture(params=["sqlite", "postgres"])
def tenants(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch) -> tuple[str, str, Seen]:
    """The URLs of two stores, and how to look at all that is kept of the second."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    if request.param == "sqlite":
        for name in ("t1", "t2"):
            (tmp_path / name).mkdir()
        urls = [f"sqlite:///{tmp_path / name / 'journeys.db'}" for name in ("t1", "t2")]
        return urls[0], urls[1], lambda: _files(tmp_path / "t2")
    server: PostgresServer = request.getfixturevalue("postgres_server")
    database: str = request.getfixturevalue("postgres_database")
    urls = [with_query(database, schema=name) for name in ("t1", "t2")]
    return urls[0], urls[1], lambda: _dump(server, database)


def _files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def _dump(server: PostgresServer, database: str) -> list[str]:
    """The second tenant's schemas and their rows, those of its read tables too."""
    if server.programs is None:
        pytest.skip("there is no pg_dump here")
    done = subprocess.run(
        [server.programs / "pg_dump", "--schema=t2*", database],
        capture_output=True,
        text=True,
        check=True,
    )
    lines = done.stdout.splitlines()
    assert any("t2_views" in line for line in lines)
    return [line for line in lines if not line.startswith(("\\restrict", "\\unrestrict"))]


def test_what_is_done_to_one_is_not_done_to_the_other(tenants: tuple[str, str, Seen]) -> None:
    mine, others, seen = tenants
    for url in (mine, others):
        with Bowtie.open(url) as engine:
            engine.ingest(BytesIO(LINES))
            Views.open(engine).close()
    before = seen()

    with Bowtie.open(mine) as engine:
        engine.forget("acme")
        replay(engine.store, tables_of(None, engine), engine.definition, rebuild=True)
        assert len(list(engine.export(reveal=True))) == 4
    assert seen() == before

    with Bowtie.open(others) as engine:
        assert engine.journey("acme").traits == {"email": "ada@example.org"}
