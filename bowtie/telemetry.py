"""OpenTelemetry spans and metrics, for who asks for them.

::

    import bowtie.telemetry

    bowtie.telemetry.enable()

needs ``pip install 'bowtie-journeys[otel]'``, and an application that says where telemetry goes, as
OpenTelemetry has it. Until then nothing of OpenTelemetry is loaded, and an append costs one look at
a variable more.

========================== ========= ============================================================
``bowtie.append``          span      one append: ``bowtie.events``, ``bowtie.command``, the error
``bowtie.append.duration`` histogram its seconds, waiting for other writers included
``bowtie.events``          counter   events appended
``bowtie.conflicts``       counter   commands refused, by the error
``bowtie.parked``          counter   lines refused, by reason
``bowtie.replay.lag``      gauge     events that the read tables are behind the log
========================== ========= ============================================================

No attribute ever holds a customer's key or anything of what an event says.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from bowtie.errors import BowtieError, EventRejected
from bowtie.extras import need
from bowtie.outcome import Outcome

if TYPE_CHECKING:
    from opentelemetry.metrics import MeterProvider
    from opentelemetry.trace import TracerProvider

__all__ = ["Instruments", "disable", "enable", "parked", "replay_lag"]


class Instruments:
    """What is measured, made once."""

    def __init__(self, tracers: TracerProvider | None, meters: MeterProvider | None) -> None:
        trace, metrics = (need(f"opentelemetry.{name}", "otel") for name in ("trace", "metrics"))
        self._tracer = trace.get_tracer("bowtie", tracer_provider=tracers)
        meter = metrics.get_meter("bowtie", meter_provider=meters)
        self._duration = meter.create_histogram(
            "bowtie.append.duration", "s", "Seconds an append took, waiting included"
        )
        self._events = meter.create_counter("bowtie.events", "{event}", "Events appended")
        self._conflicts = meter.create_counter(
            "bowtie.conflicts", "{command}", "Commands refused, by error"
        )
        self._parked = meter.create_counter("bowtie.parked", "{line}", "Lines refused, by reason")
        self._lag = meter.create_gauge(
            "bowtie.replay.lag", "{event}", "Events that the read tables are behind the log"
        )

    def append(self, write: Callable[[], Outcome], *, command: bool) -> Outcome:
        """What an append gives, measured."""
        started = time.perf_counter()
        # the message of an error may name a customer's key: only its kind is told
        with self._tracer.start_as_current_span(
            "bowtie.append", record_exception=False, set_status_on_exception=False
        ) as span:
            span.set_attribute("bowtie.command", command)
            try:
                outcome = write()
            except Exception as error:
                name = error.reason if isinstance(error, EventRejected) else type(error).__name__
                span.set_attribute("error.type", name)
                if command and isinstance(error, BowtieError):
                    self._conflicts.add(1, {"error.type": name})
                raise
            finally:
                self._duration.record(time.perf_counter() - started, {"bowtie.command": command})
            span.set_attribute("bowtie.events", outcome.appended)
        self._events.add(outcome.appended, {"bowtie.command": command})
        return outcome

    def parked(self, reason: str) -> None:
        """Count a line refused."""
        self._parked.add(1, {"bowtie.reason": reason})

    def replay_lag(self, events: int) -> None:
        """Tell how far the read tables are behind."""
        self._lag.set(events)


#: What is measured now; None: nothing.
instruments: Instruments | None = None


def enable(
    *, tracer_provider: TracerProvider | None = None, meter_provider: MeterProvider | None = None
) -> None:
    """Send spans and metrics from now on.

    Args:
        tracer_provider, meter_provider: the application's own; OpenTelemetry's global ones unless
            given.

    Raises:
        UsageError: OpenTelemetry is not installed.
    """
    global instruments  # noqa: PLW0603 - telemetry is the process's, as OpenTelemetry has it
    instruments = Instruments(tracer_provider, meter_provider)


def disable() -> None:
    """Send nothing more."""
    global instruments  # noqa: PLW0603 - as above
    instruments = None


def parked(reason: str) -> None:
    """Count a line refused, if anybody asks."""
    if instruments is not None:
        instruments.parked(reason)


def replay_lag(events: int) -> None:
    """Tell how many events the read tables are behind the log, if anybody asks."""
    if instruments is not None:
        instruments.replay_lag(events)
