"""One line of a hostile sender never keeps the others from the log, nor a view from its answer."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest

from bowtie import Bowtie
from bowtie_projections import Views
from tests.logs import log, wire

_DEEP = b"[" * 100_000 + b"]" * 100_000


def _signed(event_id: str, subject: str = "cy", **data: str) -> bytes:
    paid = {"contract": "c1", "kind": "paid", "amount": "100.00", "per": "month"}
    paid |= {"currency": "EUR", "starts_on": "2026-01-01"}
    return wire(event_id, "contract_signed", subject, "2026-01-01T00:00:00Z", data=paid | data)


def _ingested(tmp_path: Path, hostile: bytes) -> tuple[Bowtie, dict[str, int]]:
    """A store that was sent a hostile line between two good ones; the reasons for parking."""
    file = tmp_path / "log.jsonl"
    file.write_bytes(log(wire("1", subject="ada"), hostile, wire("2", subject="bob")))
    engine = Bowtie.open("memory://")
    report = engine.ingest(file)
    assert {event.id for event in engine.events()} >= {"1", "2"}
    return engine, dict(report.parked_by_reason)


@pytest.mark.parametrize(
    ("hostile", "reason"),
    [
        pytest.param(
            wire("x", data={"a": 1}).replace(b"1}", _DEEP + b"}"), "unreadable", id="data"
        ),
        pytest.param(b'{"a":' * 100_000, "unreadable", id="open"),
        pytest.param(_DEEP, "unreadable", id="list"),
        pytest.param(
            wire("x", more=1).replace(b'"more": 1', b'"more": 1e999'), "unreadable", id="infinite"
        ),
        pytest.param(wire("x", time="0001-01-01T00:00:00+14:00"), "invalid", id="year 0"),
        pytest.param(
            wire("x", recordedtime="0001-01-01T00:00:00+14:00"), "invalid", id="known in year 0"
        ),
        pytest.param(
            wire("x", storedtime="0001-01-01T00:00:00+14:00"), "invalid", id="stored in year 0"
        ),
        pytest.param(
            wire("x", storedtime="9999-12-31T23:59:59-14:00"), "invalid", id="stored in year 10000"
        ),
        pytest.param(_signed("x", amount="12\n"), "invalid", id="amount with a line end"),
        pytest.param(_signed("x", starts_on="2026-01-01\n"), "invalid", id="day with a line end"),
        pytest.param(_signed("x", amount="9" * 32 + ".999999"), "invalid", id="amount"),
        pytest.param(_signed("x", amount="1" + "0" * 18), "invalid", id="amount of 19 digits"),
    ],
)
def test_a_hostile_line_is_parked(tmp_path: Path, hostile: bytes, reason: str) -> None:
    engine, parked = _ingested(tmp_path, hostile)
    with engine, Views.open(engine, "memory://") as views:
        assert parked == {reason: 1}
        assert views.funnel().rows()[0]["entered"] == 2


def test_the_largest_amounts_can_be_summed(tmp_path: Path) -> None:
    """Many of them, annualised: no view fails on what the wire lets in."""
    largest = "9" * 18 + ".999999"
    lines = [_signed(f"{n}", f"c{n}", amount=largest) for n in range(50)]
    file = tmp_path / "log.jsonl"
    file.write_bytes(log(*lines))
    with Bowtie.open("memory://") as engine:
        assert engine.ingest(file).parked == 0
        with Views.open(engine, "memory://") as views:
            assert views.stock().rows()
            views.loop(horizon="30d", threshold="1")
            (row,) = views.sql("SELECT sum(amount) AS total FROM contract_signed").rows()
            assert row["total"] == 50 * Decimal(largest)
