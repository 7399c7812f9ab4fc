"""A command's events: facts on the way in, and back as recorded without reading them again."""

from __future__ import annotations

import os
from collections.abc import Sequence
from datetime import UTC, date, datetime

from bowtie.codec import Fact
from bowtie.envelope import Envelope, Recorded, checked_text
from bowtie.errors import UsageError
from bowtie.events import Event
from bowtie.outcome import Outcome
from bowtie.reader import Reader
from bowtie.sealing import SEALED_PREFIX
from bowtie.times import from_micros, now_micros, parse_time

__all__ = ["as_recorded", "command_facts"]


def command_facts(
    reader: Reader,
    customer: str,
    events: Sequence[Event],
    *,
    occurred_at: datetime | None = None,
    source: str | None = None,
    id: str | None = None,
    known_from: datetime | None = None,
    day_only: bool = False,
    actor: str | None = None,
    correlation_id: str | None = None,
    causation_id: str | None = None,
    kind: str | None = None,
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
    envelope = Envelope(
        id=checked_text(id, "id") or "",
        source=checked_text(source, "source") or "bowtie",
        time=datetime.now(UTC) if occurred_at is None else _moment(occurred_at, "time"),
        subject=checked_text(customer, "subject") or "",
        recordedtime=None if known_from is None else _moment(known_from, "recordedtime"),
        streamkind=checked_text(kind, "streamkind"),
        timeprecision="day" if day_only else "exact",
        correlationid=checked_text(correlation_id, "correlationid"),
        causationid=checked_text(causation_id, "causationid"),
        authid=checked_text(actor, "authid"),
    )
    reader.look_at_the_clock()
    facts = []
    for event in events:
        if not id:
            envelope.id = _new_id()
        facts.append(reader.event(envelope, event))
    return facts


def _moment(when: date, name: str) -> datetime:
    """A time as it would be read from the wire: with a zone, or refused."""
    if isinstance(when, datetime) and when.tzinfo is UTC:
        return when
    return parse_time(when.isoformat(), name)


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
    millis, chance = f"{now_micros() // 1000:012x}", os.urandom(10).hex()
    variant = "89ab"[int(chance[0], 16) % 4]
    return f"{millis[:8]}-{millis[8:]}-7{chance[1:4]}-{variant}{chance[4:7]}-{chance[7:19]}"
