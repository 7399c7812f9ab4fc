"""A disk that is full: one line that says so, nothing torn, and a rerun with more room completes."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from bowtie import Bowtie
from bowtie.demo import Demo
from bowtie_cli.main import main
from tests.faults.killing import THOROUGH, problems_of

_SIZE_MIB = 24


class Disk:
    """A small disk of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder, self._filler = folder, folder / "filler"

    def fill(self, leave: int) -> None:
        """Leave so many bytes free."""
        state = os.statvfs(self.folder)
        self._filler.write_bytes(bytes(state.f_bavail * state.f_frsize - leave))

    def clear(self) -> None:
        """Give the room back."""
        self._filler.unlink()


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    """A disk that can be filled; skips where none can be mounted."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={_SIZE_MIB}m", "tmpfs", str(folder)]
    try:
        subprocess.run(mount, check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError) as error:
        pytest.skip(f"a small disk can't be mounted, which takes root: {error}")
    try:
        yield Disk(folder)
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


@pytest.fixture(scope="module")
def logs(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The first half of the log of a small business, and the whole of it."""
    half = tmp_path_factory.mktemp("log") / "half.jsonl"
    whole = half.with_name("log.jsonl")
    Demo(customers=150).write(whole)
    lines = whole.read_bytes().splitlines(keepends=True)
    half.write_bytes(b"".join(lines[: len(lines) // 2]))
    return half, whole


@pytest.fixture
def half(logs: tuple[Path, Path]) -> Path:
    """The first half."""
    return logs[0]


def _bowtie(*args: object, code: tuple[int, ...] = (0, 3)) -> Result:
    done = CliRunner().invoke(main, [str(arg) for arg in args])
    assert done.exit_code in code, done.stderr
    assert "fault of bowtie" not in done.stderr
    return done


def _refused(*args: object) -> None:
    """The command ends with one line that says what is the matter."""
    done = _bowtie(*args, code=(1,))
    (line,) = done.stderr.splitlines()
    assert line.startswith("Error: ")
    assert "disk is full" in line or "No space left" in line


def _said(store: Path, *, reveal: bool = True) -> list[str]:
    """The log, without the times of its recording."""
    with Bowtie.open(str(store), create=False) as engine:
        events = [{**event, "storedtime": None} for event in engine.export(reveal=reveal)]
    return [json.dumps(event, sort_keys=True) for event in events[1:]]


#: Bytes that are left: none, not enough for the first page, enough for a part of the work.
_ROOM = [0, 40_000, 250_000, 700_000]
_LEFT = pytest.mark.parametrize("leave", _ROOM if THOROUGH else _ROOM[::2])


@_LEFT
def test_the_store_on_a_full_disk(
    disk: Disk, logs: tuple[Path, Path], tmp_path: Path, leave: int
) -> None:
    """What was reported before is kept; then the log is that of a store that never met the end."""
    half, log = logs
    store, calm = disk.folder / "journeys.db", tmp_path / "calm.db"
    _bowtie("--store", store, "ingest", half)
    before = _said(store)
    disk.fill(leave)
    _refused("--store", store, "ingest", log)
    disk.clear()
    assert _said(store)[: len(before)] == before
    _bowtie("--store", store, "verify", code=(0,))
    _bowtie("--store", store, "ingest", log)
    for file in (half, log):
        _bowtie("--store", calm, "ingest", file)
    assert _said(store) == _said(calm)
    assert problems_of(str(store)) == []


@_LEFT
@pytest.mark.parametrize("how", [["--rebuild"], []], ids=["rebuild", "catch up"])
def test_the_tables_on_a_full_disk(
    disk: Disk, logs: tuple[Path, Path], tmp_path: Path, leave: int, how: list[str]
) -> None:
    """They stay as they were, and can be asked; a replay completes them when there is room."""
    half, log = logs
    store, tables = tmp_path / "journeys.db", disk.folder / "journeys.duckdb"
    at = ("--store", store, "--views", tables)
    _bowtie(*at, "ingest", half)
    _bowtie(*at, "replay")
    _bowtie(*at, "ingest", log)
    question = (
        *at,
        "sql",
        "SELECT count(*) AS events FROM events",
        "--no-refresh",
        "--format",
        "csv",
    )
    before = _bowtie(*question).stdout
    disk.fill(leave)
    _refused(*at, "replay", *how)
    disk.clear()
    assert _bowtie(*question).stdout == before
    _bowtie(*at, "replay", *how, code=(0,))
    _bowtie(*at, "verify", code=(0,))
    assert _bowtie(*question).stdout != before
    assert [path.name for path in disk.folder.iterdir()] == ["journeys.duckdb"]


@pytest.mark.parametrize("name", ["out.jsonl", "out.jsonl.gz", "out.csv.zst", "out.parquet"])
def test_an_export_to_a_full_disk(disk: Disk, half: Path, tmp_path: Path, name: str) -> None:
    """What stood there before still does, and no half of a file is left."""
    store, target = tmp_path / "journeys.db", disk.folder / name
    _bowtie("--store", store, "ingest", half)
    target.write_text("what stood there before")
    disk.fill(40_000)
    _refused("--store", store, "export", "log", "-o", target)
    assert target.read_text() == "what stood there before"
    disk.clear()
    assert [path.name for path in disk.folder.iterdir()] == [name]
    _bowtie("--store", store, "export", "log", "-o", target)
    _bowtie("--store", tmp_path / "other.db", "ingest", "--restore", target)
    assert _said(tmp_path / "other.db", reveal=False) == _said(store, reveal=False)


def test_an_export_of_tables_to_a_full_disk(disk: Disk, half: Path, tmp_path: Path) -> None:
    """No half of a file is left; the next export is whole."""
    store, folder = tmp_path / "journeys.db", disk.folder / "tables"
    _bowtie("--store", store, "ingest", half)
    _bowtie("--store", store, "replay")
    disk.fill(60_000)
    _refused("--store", store, "export", "tables", "-o", folder)
    disk.clear()
    _bowtie("--store", store, "export", "tables", "-o", folder, code=(0,))
    assert all(path.suffix == ".parquet" for path in folder.iterdir())
