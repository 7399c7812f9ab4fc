"""Backups made while the store is written to, and what comes back of them."""

from __future__ import annotations

import json
import shutil
import sqlite3
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from bowtie import Bowtie, Touched, TraitsObserved
from bowtie.stores.postgres_url import PostgresUrl
from bowtie.verifying import verify_log
from bowtie_projections import Views
from tests.postgres import PostgresServer, with_query

TOUCH = Touched(channel="web", direction="inbound")


def _fill(engine: Bowtie) -> None:
    engine.record("acme", TraitsObserved(traits={"email": "ada@example.org"}))
    for n in range(20):
        engine.record(f"c{n % 4}", TOUCH)


@contextmanager
def _written_meanwhile(url: str) -> Iterator[None]:
    """Another thread goes on recording while the block runs, from before it begins."""
    stop, begun = threading.Event(), threading.Event()

    def write() -> None:
        with Bowtie.open(url) as engine:
            while not stop.is_set():
                engine.record("busy", TOUCH)
                begun.set()

    thread = threading.Thread(target=write)
    thread.start()
    assert begun.wait(60)
    try:
        yield
    finally:
        stop.set()
        thread.join()


def _check(restored: Bowtie, original: Bowtie) -> None:
    """A whole log, the first part of the original's; its tables are made anew from it."""
    assert list(verify_log(restored.store)) == []
    head = restored.store.head()
    assert head > 21
    assert list(restored.store.states()) == list(original.store.states(0, head))
    assert restored.journey("acme").traits["email"] == "ada@example.org"
    with Views.open(restored, "memory://") as views:
        assert sum(row["customers"] for row in views.stock().rows()) >= 5
    restored.record("acme", TOUCH)


def _by_backup(source: Path, target: Path) -> None:
    with closing(sqlite3.connect(source)) as live, closing(sqlite3.connect(target)) as copy:
        live.backup(copy)


def _by_vacuum(source: Path, target: Path) -> None:
    with closing(sqlite3.connect(source)) as live:
        live.execute("VACUUM INTO ?", (str(target),))


@pytest.mark.parametrize("make", [_by_backup, _by_vacuum])
def test_a_copy_of_a_sqlite_store_in_use(
    make: Callable[[Path, Path], None], tmp_path: Path
) -> None:
    live, copy = tmp_path / "live.db", tmp_path / "copy.db"
    with Bowtie.open(str(live)) as engine:
        _fill(engine)
        with _written_meanwhile(str(live)):
            make(live, copy)
        shutil.copy(tmp_path / "live.db.key", tmp_path / "copy.db.key")
        with Bowtie.open(str(copy), create=False) as restored:
            _check(restored, engine)


def test_a_dump_of_a_postgres_store_in_use(
    postgres_url: str,
    postgres_server: PostgresServer,
    postgres_database: str,
    tmp_path: Path,
) -> None:
    """Put back into another database; the key file is found by the store's id."""
    if postgres_server.programs is None:
        pytest.skip("there is no pg_dump here")
    schema, dump = PostgresUrl.parse(postgres_url).schema, tmp_path / "store.dump"
    with Bowtie.open(postgres_url) as engine:
        _fill(engine)
        with _written_meanwhile(postgres_url):
            options = ("--format=custom", f"--schema={schema}", f"--file={dump}")
            subprocess.run(
                [postgres_server.programs / "pg_dump", *options, postgres_server.url], check=True
            )
        subprocess.run(
            [postgres_server.programs / "pg_restore", f"--dbname={postgres_database}", dump],
            check=True,
        )
        with Bowtie.open(with_query(postgres_database, schema=schema), create=False) as restored:
            _check(restored, engine)


@pytest.mark.parametrize("into", ["sqlite", "postgres"])
def test_an_export_goes_from_one_database_to_the_other(
    into: str, postgres_url: str, tmp_path: Path
) -> None:
    file = f"sqlite:///{tmp_path / 'journeys.db'}"
    source, target = (postgres_url, file) if into == "sqlite" else (file, postgres_url)
    log = tmp_path / "export.jsonl"
    with Bowtie.open(source) as engine, Bowtie.open(target) as restored:
        _fill(engine)
        lines = [json.dumps(line) for line in engine.export(reveal=True)]
        log.write_text("".join(f"{line}\n" for line in lines))
        restored.restore(log)
        again = list(restored.export(reveal=True))

    def plain(line: object) -> object:
        return {k: v for k, v in dict(line).items() if k != "sequence"}  # type: ignore[call-overload]

    assert list(map(plain, again[1:])) == [plain(json.loads(line)) for line in lines[1:]]
