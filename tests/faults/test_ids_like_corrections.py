"""A sender whose own ids look like those of corrections harms no other event."""

from __future__ import annotations

from io import BytesIO

import pytest

from bowtie import Bowtie
from tests.logs import log, wire

_RIGHT = {"channel": "search", "direction": "inbound"}


@pytest.mark.parametrize("apart", [False, True])
def test_an_id_like_that_of_a_correction_is_no_version(apart: bool) -> None:
    """The correction takes the next number, and retracts the event that was meant."""
    first, other = wire("1"), wire("1~1", subject="zed")
    right = wire("1", data=_RIGHT)
    with Bowtie.open("memory://") as engine:
        for lines in ((first, other), (right,)) if apart else ((first, other, right),):
            report = engine.ingest(BytesIO(log(*lines)), correct=True)
        assert (report.corrected, report.parked) == (1, 0)
        assert engine.journey("zed").stage == "awareness"
        retraction, corrected = list(engine.events())[-2:]
        assert (retraction.subject, retraction.data.of_id) == ("acme", "1")  # type: ignore[attr-defined]
        assert corrected.id == "1~2"
        assert engine.ingest(BytesIO(log(right, other))).duplicates == 2
        report = engine.ingest(BytesIO(log(wire("1", subject="zed"))), correct=True)
        assert [event.id for event in engine.events()][-2:] == ["1~3.r", "1~3"]


def test_an_id_like_that_of_a_retraction_keeps_nothing_else_out() -> None:
    """The correction is parked, the rest of the batch is taken."""
    with Bowtie.open("memory://") as engine:
        engine.ingest(BytesIO(log(wire("1"), wire("1~1.r", subject="zed"))))
        lines = log(wire("1", data=_RIGHT), wire("2", subject="bob"))
        report = engine.ingest(BytesIO(lines), correct=True)
        assert (report.appended, report.parked_by_reason) == (1, {"id_reused": 1})
