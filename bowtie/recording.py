"""A command's events: facts on the way in, and back as recorded without reading them again."""

from __future__ import annotations

import os
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from bowtie.codec import Fact
from bowtie.envelope import Recorded
from bowtie.errors import UsageError
from bowtie.events import Event
from bowtie.outcome import Outcome
from bowtie.reader import Reader
from bowtie.sealing import SEALED_PREFIX
from bowtie.times import from_micros, now_micros

__all__ = ["as_recorded", "command_facts"]


def command_facts(
    reader: Reader,
    customer: str,
    events: Sequence[Event],
    *,
    occurred_at: datetime | None,
    source: str | None,
    id: str | None,
    known_from: datetime | None,
    day_only: bool,
    actor: str | None,
    correlation_id: str | None,
    causation_id: str | None,
    kind: str | None,
) -> list[Fact]:
    """The facts that a command is about.

    Raises:
        UsageError: there is none, or several under one id.
        EventRejected: one is wrong in itself.
    """
    if not events:
        raise UsageError("name at least one event to record")
    if id is not None and len(events) > 1:
        raise UsageError("an id is for one event: record them one by one, or leave it out")
    wire: dict[str, Any] = {
        "specversion": "1.0",
        "source": source or "bowtie",
        "subject": customer,
        "time": (occurred_at or datetime.now(UTC)).isoformat(),
        "recordedtime": known_from.isoformat() if known_from else None,
        "streamkind": kind,
        "timeprecision": "day" if day_only else None,
        "correlationid": correlation_id,
        "causationid": causation_id,
        "authid": actor,
    }
    reader.look_at_the_clock()
    return [reader.event(wire | {"id": id or _new_id()}, event) for event in events]


def as_recorded(facts: Sequence[Fact], events: Sequence[Event], outcome: Outcome) -> list[Recorded]:
    """What was appended, as it would be read back; without the events that were there already."""
    recorded_at = from_micros(outcome.recorded_at)
    places = zip(facts, events, outcome.positions, outcome.versions, strict=True)
    return [
        Recorded(
            data=event,
            kind=fact.kind,
            subject=fact.subject,
            version=version,
            position=position,
            source=fact.source,
            id=fact.id,
            occurred_at=from_micros(fact.at),
            recorded_at=recorded_at,
            known_from=None if fact.known is None else from_micros(fact.known),
            time_precision="day" if fact.day else "exact",
            correlation_id=fact.correlation,
            causation_id=fact.causation,
            actor=(fact.personal or {}).get("actor"),
        )
        for fact, event, position, version in places
        if version
    ]


def holds_sealed(fact: Fact) -> bool:
    """Whether a fact came with sealed values, which the store may open."""
    return any(
        isinstance(value, str) and value.startswith(SEALED_PREFIX)
        for value in (fact.personal or {}).values()
    )


def _new_id() -> str:
    """A random id that grows with time (uuid7)."""
    millis = now_micros() // 1000
    raw = (
        (millis << 80)
        | (0x7 << 76)
        | (int.from_bytes(os.urandom(10)) & ~(0xF << 76) & ~(0x3 << 62))
        | (0x2 << 62)
    )
    return str(UUID(int=raw))
