"""Lines that something happened to: taken or parked, never lost, never a traceback."""

from __future__ import annotations

import json
from contextlib import suppress
from io import BytesIO
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from bowtie import Bowtie
from bowtie.codec import state_of
from bowtie.envelope import parse_line
from bowtie.errors import EventRejected, FileError
from bowtie.ingest import IngestReport
from bowtie.reader import Reader
from bowtie.sources import export_header
from bowtie.verifying import verify_log
from bowtie_projections import Views
from tests.faults.damaging import damaged_bytes, damaged_line, logs_of_lines

_READER = Reader(now=2_000_000_000_000_000)


def _outcome(raw: bytes, *, slow: bool) -> Any:
    try:
        fact = _READER.wire(parse_line(raw)) if slow else _READER.line(raw)
    except EventRejected as error:
        return error.reason
    return fact, state_of(fact)


@given(damaged_line())
def test_both_lanes_make_the_same_of_a_damaged_line(line: bytes) -> None:
    assert _outcome(line, slow=False) == _outcome(line, slow=True)


def _adds_up(report: IngestReport, lines: int | None = None) -> None:
    """Nothing is lost in silence."""
    whole = report.appended - report.corrected + report.duplicates + report.parked
    assert report.read == whole
    assert sum(report.parked_by_reason.values()) == report.parked
    if lines is not None:
        assert report.read == lines


def _events_in(lines: list[bytes]) -> int:
    found = [line for line in b"\n".join(lines).split(b"\n") if line.strip()]
    return len(found) - (
        found[:1] != []
        and found[0].startswith(b'{"bowtie_export"')
        and bool(export_header(found[0]))
    )


#: a file's first bytes say how it is written; what follows is not looked at for that
_FIRST = b"{}"


def _exported(engine: Bowtie) -> list[str]:
    lines = []
    for event in engine.export():
        event.pop("sequence", None)
        lines.append(json.dumps(event, sort_keys=True))
    return lines[1:]


@given(logs_of_lines(), st.booleans())
def test_a_log_of_damaged_lines_is_accounted_for(lines: list[bytes], correct: bool) -> None:
    """Taken, parked or a duplicate; what was taken is sound, and can be exported and restored."""
    data = b"\n".join([_FIRST, *lines]) + b"\n"
    with Bowtie.open("memory://") as engine, Bowtie.open("memory://") as other:
        report = engine.ingest(BytesIO(data), correct=correct)
        _adds_up(report, _events_in([_FIRST, *lines]))
        assert len(list(engine.events())) == report.appended
        assert [one for one in verify_log(engine.store) if not one.note] == []
        again = engine.ingest(BytesIO(data))
        _adds_up(again, report.read)
        if not correct:
            assert again.duplicates >= report.appended
        _adds_up(engine.retry_parked())
        exported = "\n".join(json.dumps(line) for line in engine.export())
        other.restore(BytesIO(exported.encode() + b"\n"))
        assert _exported(other) == _exported(engine)


@given(logs_of_lines())
def test_no_damaged_line_spoils_a_view(lines: list[bytes]) -> None:
    """What is in the log is in the tables."""
    with Bowtie.open("memory://") as engine:
        engine.ingest(BytesIO(b"\n".join([_FIRST, *lines])))
        with Views.open(engine, "memory://") as views:
            (row,) = views.sql("SELECT count(*) AS events FROM events").rows()
            (skipped,) = views.sql("SELECT count(*) AS skipped FROM skipped").rows()
            assert (row["events"], skipped["skipped"]) == (engine.store.head(), 0)
            views.funnel()
            views.stock()
        for event in engine.events():
            if event.stream.startswith("customer/"):
                engine.journey(event.subject)


_LOG = b"\n".join(
    json.dumps(
        {
            "specversion": "1.0",
            "id": str(number),
            "source": "crm",
            "type": "bowtie.touched",
            "subject": f"c{number % 3}",
            "time": "2026-01-05T10:00:00Z",
            "data": {"channel": "web", "direction": "inbound"},
        }
    ).encode()
    for number in range(8)
)


@given(damaged_bytes(_LOG))
def test_a_damaged_file_is_accounted_for(data: bytes) -> None:
    """Whatever is read of it adds up, also where it ends with an error."""
    with Bowtie.open("memory://") as engine:
        with suppress(FileError):  # it is UTF-16 now, or begins with zeros: nothing of it is taken
            _adds_up(engine.ingest(BytesIO(data)), _events_in([data]))
            return
        assert engine.store.head() == 0
