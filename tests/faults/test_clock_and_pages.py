"""A clock that is set back, and pages of the files that are not what was written."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from bowtie import Bowtie, Touched
from bowtie.demo import Demo
from bowtie.errors import StoreError, TablesDamaged, TablesError
from bowtie.stores import writing
from bowtie.times import now_micros
from bowtie.verifying import verify_log
from bowtie_projections import Views, tables_of
from bowtie_projections.replay import replay
from tests.faults.killing import ROUNDS, problems_of

TOUCH = Touched(channel="web", direction="inbound")
AT = datetime(2020, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize("database", ["sqlite", "postgresql"])
def test_a_clock_that_is_set_back(
    database: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    request: pytest.FixtureRequest,
) -> None:
    """What was recorded later is never dated earlier, and what was known then stays known."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    url = f"sqlite:///{tmp_path / 'journeys.db'}"
    if database == "postgresql":
        url = request.getfixturevalue("postgres_url")
    clock = [now_micros()]
    monkeypatch.setattr(writing, "now_micros", lambda: clock[0])
    with Bowtie.open(url) as engine:
        recorded: list[datetime] = []
        for step in (0, 60, -3600, 1, 7200, -86_400):
            clock[0] += step * 1_000_000
            (event,) = engine.record("acme", TOUCH, occurred_at=AT)
            assert event.recorded_at is not None
            recorded.append(event.recorded_at)
        assert recorded == sorted(recorded)
        assert recorded[1] == recorded[2] == recorded[3] < recorded[4] == recorded[5]
        assert recorded[1] - recorded[0] == timedelta(seconds=60)
        with Views.open(engine) as views:
            for known_at, position in zip(recorded, [1, 4, 4, 4, 6, 6], strict=True):
                assert views.stock(known_at=known_at).to_dict()["position"] == position
    assert problems_of(url) == []


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The log of a small business."""
    path = tmp_path_factory.mktemp("log") / "log.jsonl"
    Demo(customers=60).write(path)
    return path


def _spoil(file: Path, number: int, page: int) -> None:
    """Write nonsense over one page, not the first."""
    chance = random.Random(number)
    with file.open("r+b") as opened:
        opened.seek(page * chance.randrange(1, file.stat().st_size // page))
        opened.write(chance.randbytes(page))


def test_a_spoilt_page_of_the_tables(tmp_path: Path, log: Path) -> None:
    """It is said, or is not in use; a rebuild mends it."""
    store = tmp_path / "journeys.db"
    said = 0
    with Bowtie.open(str(store)) as engine:
        engine.ingest(log)
        file = store.with_suffix(".duckdb")
        for number in range(ROUNDS + 2):
            replay(engine.store, tables_of(None, engine), engine.definition, rebuild=True)
            assert problems_of(str(store)) == []
            _spoil(file, number, 256 * 1024)
            found = problems_of(str(store))
            said += bool(found)
            assert {one.check for one in found} <= {"tables"}
    assert said


def test_a_tables_file_that_can_not_be_opened(tmp_path: Path, log: Path) -> None:
    """It is said what to do; a rebuild does it, and keeps what was there."""
    with Bowtie.open(str(tmp_path / "journeys.db")) as engine:
        engine.ingest(log)
        tables = tables_of(None, engine)
        replay(engine.store, tables, engine.definition)
        file = tmp_path / "journeys.duckdb"
        spoilt = file.read_bytes()[:4096] + bytes(8192)
        file.write_bytes(spoilt)
        with pytest.raises(TablesDamaged, match="replay --rebuild"):
            replay(engine.store, tables, engine.definition)
        assert file.read_bytes() == spoilt
        replay(engine.store, tables, engine.definition, rebuild=True)
        assert problems_of(str(tmp_path / "journeys.db")) == []
        assert (tmp_path / "journeys.duckdb.damaged").read_bytes() == spoilt


def test_a_file_that_never_was_a_database_is_left_alone(tmp_path: Path, log: Path) -> None:
    """It is another program's, whatever is asked for."""
    (tmp_path / "journeys.duckdb").write_text("a letter\n" * 2000)
    with Bowtie.open(str(tmp_path / "journeys.db")) as engine:
        engine.ingest(log)
        with pytest.raises(TablesError, match="no DuckDB file"):
            replay(engine.store, tables_of(None, engine), engine.definition, rebuild=True)
    assert (tmp_path / "journeys.duckdb").read_text().startswith("a letter")


def test_a_spoilt_page_of_the_store(tmp_path: Path, log: Path) -> None:
    """Verify says it, whatever the page held; opening says it where the store can't be opened."""
    store, copy = tmp_path / "journeys.db", tmp_path / "copy.db"
    with Bowtie.open(str(store)) as engine:
        engine.ingest(log)
    whole = store.read_bytes()
    copy.with_name("copy.db.key").write_bytes(store.with_name("journeys.db.key").read_bytes())
    for number in range(3 * ROUNDS):
        copy.write_bytes(whole)
        for left in tmp_path.glob("copy.db-*"):
            left.unlink()
        _spoil(copy, number, 4096)
        try:
            with Bowtie.open(str(copy), create=False) as engine:
                found = [one for one in verify_log(engine.store) if not one.note]
        except StoreError:
            continue
        assert found, number
