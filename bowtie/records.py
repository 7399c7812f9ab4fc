"""A customer's journey as it is read: the events that count, the state, the stage, the cycles."""

from __future__ import annotations

import unicodedata
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from bowtie.envelope import Recorded, data_to_wire
from bowtie.errors import UnknownName
from bowtie.events import Forgotten, Retracted
from bowtie.journey import Journey, fold
from bowtie.stages import Cycle, Definition, current_stage, evaluate
from bowtie.times import iso

__all__ = ["JourneyRecord", "TimelineEntry", "journey_record"]


@dataclass(frozen=True, slots=True)
class TimelineEntry:
    """One event of a journey, with what it did to the stages.

    Attributes:
        entered: the stages that this event entered first, in a cycle.
        retracted: it doesn't count any more.
    """

    event: Recorded
    entered: tuple[str, ...] = ()
    retracted: bool = False


@dataclass(frozen=True, slots=True)
class JourneyRecord:
    """What is known of one customer at a cut.

    Attributes:
        stage: the furthest stage of the open cycle; None before the first and after a loss.
        stages: when each stage of the newest cycle was first entered.
        cycles: the passes through the bowtie, oldest first.
        state: traits, contracts, aliases and more (see :class:`bowtie.journey.Journey`).
        timeline: all events known at the cut, in the order in which they occurred.
        definition: the label of the stage definition used.
        as_of: the moment as of which it was asked, now unless said.
        forgotten_at: when this store was told to forget the customer under this very key; what is
            sealed stays so.
        version: of the customer's stream when it was read, whatever the cut: what
            ``record(..., expected=)`` takes.
        tz: the zone of days.
        keys: where keys are linked, all those whose events these are, the root first.
    """

    customer: str
    state: Journey
    cycles: tuple[Cycle, ...]
    timeline: tuple[TimelineEntry, ...]
    definition: str
    as_of: datetime
    known_at: datetime | None = None
    version: int = 0
    forgotten_at: datetime | None = None
    tz: str = "UTC"
    keys: tuple[str, ...] = ()

    @property
    def stage(self) -> str | None:
        """Where the customer stands."""
        return current_stage(list(self.cycles))

    @property
    def stages(self) -> dict[str, datetime]:
        """When each stage of the newest cycle was entered."""
        entries = self.cycles[-1].entries if self.cycles else {}
        return {str(stage): when for stage, when in entries.items()}

    @property
    def traits(self) -> dict[str, Any]:
        """The traits that are set."""
        return {
            name: dated.value
            for name, dated in sorted(self.state.traits.items())
            if dated.value is not None
        }

    @property
    def events(self) -> list[Recorded]:
        """The events that count, in the order in which they occurred."""
        return [entry.event for entry in self.timeline if not entry.retracted]

    def as_dict(self) -> dict[str, Any]:
        """The record as one JSON object."""
        return {
            "customer": self.customer,
            "keys": list(self.keys or (self.customer,)),
            "version": self.version,
            "definition": self.definition,
            "as_of": iso(self.as_of),
            "known_at": iso(self.known_at) if self.known_at else None,
            "tz": self.tz,
            "forgotten_at": iso(self.forgotten_at) if self.forgotten_at else None,
            "stage": self.stage,
            "traits": self.traits,
            "cycles": [_cycle(cycle) for cycle in self.cycles],
            "events": [_entry(entry) for entry in self.timeline],
        }


def _cycle(cycle: Cycle) -> dict[str, Any]:
    return {
        "cycle": cycle.number,
        "entered": {stage: iso(when) for stage, when in cycle.entries.items()},
        "lost_at": iso(cycle.lost_at) if cycle.lost_at else None,
        "lost_side": cycle.lost_side,
    }


def _entry(entry: TimelineEntry) -> dict[str, Any]:
    event = entry.event
    return {
        "position": event.position,
        "time": iso(event.occurred_at),
        "recorded": iso(event.recorded_at) if event.recorded_at else None,
        "type": event.type,
        "source": event.source,
        "id": event.id,
        "data": data_to_wire(event.data),
        "entered": list(entry.entered),
        "retracted": entry.retracted,
        "out_of_sequence": event.out_of_sequence,
    }


def journey_record(
    customer: str,
    events: Sequence[Recorded],
    definition: Definition,
    as_of: datetime | None,
    known_at: datetime | None,
    *,
    tz: str = "UTC",
) -> JourneyRecord:
    """Fold a customer's events at a cut.

    A retraction counts from its recording, whenever the fact it names occurred.

    A contract's last day may lie ahead, so there is always a moment as of which it is asked:
    ``as_of``, else ``known_at``, else now.

    Raises:
        UnknownName: there is no event at all.
    """
    if not events:
        raise UnknownName(f"no customer {customer!r} in this store: check the key (case counts)")
    known = [
        event
        for event in events
        if known_at is None or (event.recorded_at is not None and event.recorded_at <= known_at)
    ]
    retracted = {
        (event.data.of_source, event.data.of_id)
        for event in known
        if isinstance(event.data, Retracted)
    }
    seen = [event for event in known if as_of is None or event.occurred_at <= as_of]
    if as_of is None:  # another clock may be a little ahead of this one
        as_of = max([known_at or datetime.now(UTC), *(event.occurred_at for event in seen)])
    counting = [event for event in seen if (event.source, event.id) not in retracted]
    cycles = tuple(evaluate(definition, counting, as_of))
    stream = f"customer/{unicodedata.normalize('NFC', customer)}"
    own = [event for event in events if event.stream == stream]
    return JourneyRecord(
        customer,
        fold(counting),
        cycles,
        _timeline(seen, cycles, retracted),
        definition.label,
        as_of,
        known_at,
        max((event.version for event in own), default=0),
        next((event.recorded_at for event in own if isinstance(event.data, Forgotten)), None),
        tz,
    )


def _timeline(
    seen: Sequence[Recorded], cycles: Sequence[Cycle], retracted: Collection[tuple[str, str]]
) -> tuple[TimelineEntry, ...]:
    """The events in the order they occurred, each with the stages that it entered."""
    entered: dict[int, tuple[str, ...]] = {}
    for cycle in cycles:
        for stage, position in cycle.caused_by.items():
            entered[position] = (*entered.get(position, ()), stage)
    return tuple(
        TimelineEntry(event, entered.get(event.position, ()), (event.source, event.id) in retracted)
        for event in sorted(seen, key=lambda event: (event.occurred_at, event.position))
    )
