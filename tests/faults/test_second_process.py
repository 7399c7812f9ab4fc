"""Lines checked in a second process: the same log as without it, whatever becomes of it."""

from __future__ import annotations

import io
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO

import pytest

from bowtie import Bowtie, checking
from bowtie.demo import Demo
from bowtie.ingest import IngestReport
from bowtie.logs import lines
from bowtie.parked import list_parked


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A log with every kind of flaw in it."""
    path = tmp_path_factory.mktemp("log") / "demo.jsonl"
    Demo(customers=150).write(path)
    return path


@pytest.fixture(autouse=True)
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Several chunks, and a second process for each log."""
    monkeypatch.setattr(lines, "CHUNK_LINES", 300)
    monkeypatch.setattr(checking, "_MANY_LINES", 1)
    monkeypatch.setattr(checking, "_has_room", lambda: True)


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[subprocess.Popen[bytes]]]:
    """The second processes that were started; none may be left behind."""
    processes: list[subprocess.Popen[bytes]] = []
    start = subprocess.Popen

    def noting(*args: object, **options: object) -> subprocess.Popen[bytes]:
        processes.append(start(*args, **options))  # type: ignore[call-overload]
        return processes[-1]

    monkeypatch.setattr(subprocess, "Popen", noting)
    yield processes
    assert all(process.poll() is not None for process in processes)


def _taken(
    log: Path, progress: Callable[[IngestReport], None] | None = None
) -> tuple[list[object], dict[str, object]]:
    with Bowtie.open("memory://") as engine:
        report = engine.ingest(log, progress=progress).as_dict()
        del report["seconds"]
        events = [
            (event.stream, event.type, event.id, event.occurred_at, event.out_of_sequence)
            for event in engine.events()
        ]
        parked = [(one.line, one.reason, one.problem, one.raw) for one in list_parked(engine.store)]
        return [*events, *parked], report


@pytest.fixture
def alone(log: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[list[object], dict[str, object]]:
    """What one process makes of the log."""
    with monkeypatch.context() as patched:
        patched.setattr(checking, "_has_room", lambda: False)
        return _taken(log)


def test_two_processes_make_the_log_that_one_makes(
    log: Path,
    alone: tuple[list[object], dict[str, object]],
    started: list[subprocess.Popen[bytes]],
) -> None:
    assert _taken(log) == alone
    assert len(started) == 1
    assert alone[1]["parked"]


def test_when_the_second_process_dies_the_first_goes_on(
    log: Path,
    alone: tuple[list[object], dict[str, object]],
    started: list[subprocess.Popen[bytes]],
) -> None:
    def kill(report: IngestReport) -> None:
        if report.read > 600:
            started[0].kill()

    assert _taken(log, kill) == alone
    assert len(started) == 1


def test_an_answer_that_was_garbled_is_not_taken(
    log: Path,
    alone: tuple[list[object], dict[str, object]],
    started: list[subprocess.Popen[bytes]],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    read, frames = checking._read, []

    def garbled(pipe: IO[bytes]) -> bytes | None:
        frame = read(pipe)
        frames.append(frame)
        return frame[:100] if frame is not None and len(frames) == 2 else frame

    monkeypatch.setattr(checking, "_read", garbled)
    assert _taken(log) == alone
    assert len(frames) == 2
    assert len(started) == 1
    assert "going on alone" in caplog.text


def test_a_frame_that_changed_on_its_way_is_none() -> None:
    whole = io.BytesIO()
    checking._write(whole, b"twelve bytes")
    assert checking._read(io.BytesIO(whole.getvalue())) == b"twelve bytes"
    for index in range(len(whole.getvalue())):
        changed = bytearray(whole.getvalue())
        changed[index] ^= 1
        assert checking._read(io.BytesIO(changed)) is None
        assert checking._read(io.BytesIO(whole.getvalue()[:index])) is None


def test_when_no_second_process_can_be_started_the_first_does_it_all(
    log: Path,
    alone: tuple[list[object], dict[str, object]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError("no more processes")

    monkeypatch.setattr(subprocess, "Popen", refuse)
    assert _taken(log) == alone


def test_an_ingest_that_fails_leaves_no_process_behind(
    log: Path, started: list[subprocess.Popen[bytes]]
) -> None:
    def fail(_: IngestReport) -> None:
        raise KeyboardInterrupt

    with Bowtie.open("memory://") as engine, pytest.raises(KeyboardInterrupt):
        engine.ingest(log, progress=fail)
    assert len(started) == 1


def test_a_short_log_starts_no_process(
    log: Path, monkeypatch: pytest.MonkeyPatch, started: list[subprocess.Popen[bytes]]
) -> None:
    monkeypatch.setattr(checking, "_MANY_LINES", 5_000)
    _taken(log)
    assert started == []
