"""What is logged and measured: enough to run it by, never what is known of a customer."""

from __future__ import annotations

import logging
import subprocess
import sys
from collections.abc import Iterator
from io import BytesIO
from typing import Any
from unittest import mock

import pytest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from bowtie import (
    NO_STREAM,
    Bowtie,
    ContractEnded,
    IdentityLinked,
    Touched,
    TraitsObserved,
    retrying,
    telemetry,
)
from bowtie.errors import AliasClaimed, RuleViolation, StreamConflict, UsageError
from tests.logs import log, wire

TOUCH = Touched(channel="web", direction="inbound")


class Told:
    """What was sent."""

    def __init__(self) -> None:
        self._reader, self._spans = InMemoryMetricReader(), InMemorySpanExporter()
        self.tracers, self.meters = TracerProvider(), MeterProvider([self._reader])
        self.tracers.add_span_processor(SimpleSpanProcessor(self._spans))

    @property
    def spans(self) -> list[Any]:
        return list(self._spans.get_finished_spans())

    def points(self) -> dict[str, list[Any]]:
        data = self._reader.get_metrics_data()
        return {
            metric.name: list(metric.data.data_points)
            for resource in (data.resource_metrics if data else [])
            for scope in resource.scope_metrics
            for metric in scope.metrics
        }


@pytest.fixture
def told() -> Iterator[Told]:
    found = Told()
    telemetry.enable(tracer_provider=found.tracers, meter_provider=found.meters)
    try:
        yield found
    finally:
        telemetry.disable()
        found.tracers.shutdown()
        found.meters.shutdown()


def test_appends_conflicts_parked_lines_and_lag(told: Told) -> None:
    with Bowtie.open("memory://") as engine:
        engine.record("acme", TOUCH, TOUCH)
        engine.record("acme", IdentityLinked(alias="a1"))
        for error, customer, event, how in (
            (StreamConflict, "acme", TOUCH, {"expected": NO_STREAM}),
            (RuleViolation, "acme", ContractEnded(contract="c1"), {}),
            (AliasClaimed, "other", IdentityLinked(alias="a1"), {}),
        ):
            with pytest.raises(error):
                engine.record(customer, event, **how)  # type: ignore[arg-type]
        engine.ingest(BytesIO(log(wire("1"), b"no JSON", wire("2", "unheard_of"))))
    telemetry.replay_lag(7)

    points = told.points()
    assert sum(point.value for point in points["bowtie.events"]) == 4
    assert sum(point.count for point in points["bowtie.append.duration"]) == 6
    assert {
        point.attributes["bowtie.reason"]: point.value for point in points["bowtie.parked"]
    } == {"unreadable": 1, "unknown_type": 1}
    assert [point.value for point in points["bowtie.replay.lag"]] == [7]
    assert [span.attributes.get("bowtie.events") for span in told.spans] == [
        2,
        1,
        None,
        None,
        None,
        1,
    ]
    assert {
        point.attributes["error.type"]: point.value for point in points["bowtie.conflicts"]
    } == {"StreamConflict": 1, "RuleViolation": 1, "alias_claimed": 1}
    sent = repr([span.to_json() for span in told.spans]) + repr(points)
    assert "acme" not in sent


def test_nothing_is_loaded_and_nothing_sent_until_it_is_asked_for() -> None:
    script = (
        "import bowtie, sys\n"
        "with bowtie.Bowtie.open('memory://') as engine:\n"
        "    engine.record('acme', bowtie.Onboarded())\n"
        "bowtie.telemetry.replay_lag(1)\n"
        "print('opentelemetry' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "False"


def test_without_opentelemetry_it_says_what_to_install() -> None:
    with (
        mock.patch.dict(sys.modules, {"opentelemetry.metrics": None}),
        pytest.raises(UsageError, match=r"^opentelemetry-api is not .*bowtie-journeys\[otel\]"),
    ):
        telemetry.enable()
    assert telemetry.instruments is None


def test_logs_say_what_happened_and_nothing_of_a_customer(caplog, monkeypatch) -> None:
    """At the finest level, whatever is done."""
    monkeypatch.setattr("bowtie.ruled.SNAPSHOT_EVERY", 1)
    monkeypatch.setattr("bowtie.memory.SNAPSHOT_EVERY", 1)
    caplog.set_level(logging.DEBUG, "bowtie")
    with Bowtie.open("memory://") as engine:
        engine.record("key-of-ada", TraitsObserved(traits={"email": "ada@example.org"}))
        engine.record("key-of-ada", IdentityLinked(alias="ada-alias"), actor="ada-actor")
        engine._appender = None
        with pytest.raises(RuleViolation):
            engine.record("key-of-ada", ContractEnded(contract="ada-contract"))
        with pytest.raises(StreamConflict):
            retrying(
                lambda: engine.record("key-of-ada", TOUCH, expected=NO_STREAM), attempts=2, wait=0
            )
        engine.ingest(BytesIO(log(wire("1", subject="key-of-ada"), b"ada@example.org is no JSON")))

    assert {one.name for one in caplog.records} >= {
        "bowtie.appending",
        "bowtie.engine",
        "bowtie.expecting",
        "bowtie.ruled",
    }
    assert "ingest: 2 read, 1 appended, 0 duplicates, 0 corrected, 1 parked" in caplog.text
    assert "ada" not in caplog.text
