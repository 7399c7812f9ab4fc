"""What a user of the eventsourcing library would write for a view: a projection and its runner.

The library has no subscription for SQLite, so the same events lie in its store in memory. The view
keeps what the read tables keep, typed rows by type and a customer's first event of each type, in
lists and dictionaries.
"""

from __future__ import annotations

import json
import sqlite3
import time
from collections import defaultdict
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import NAMESPACE_URL, uuid5

from eventsourcing.application import Application
from eventsourcing.domain import DomainEvent
from eventsourcing.persistence import IntegrityError, StoredEvent, Tracking
from eventsourcing.popo import POPOTrackingRecorder
from eventsourcing.projection import Projection, ProjectionRunner
from eventsourcing.utils import get_topic

_STORED: list[StoredEvent] = []


@dataclass(frozen=True)
class Recorded(DomainEvent):
    """One event, as the library's own mapper keeps it."""

    name: str
    customer: str
    occurred_at: datetime
    source: str
    id: str
    fields: dict[str, Any]


class Journeys(Application[Any]):
    """An application whose store is full already."""

    def __init__(self, env: Any = None) -> None:
        super().__init__(env)
        self.recorder.insert_events(_STORED)


class Facts(POPOTrackingRecorder):
    """The view: typed rows, in memory."""

    def __init__(self) -> None:
        super().__init__()
        self.rows: dict[str, list[tuple[Any, ...]]] = defaultdict(list)
        self.first: dict[tuple[str, str], datetime] = {}

    def add(self, event: Recorded, tracking: Tracking) -> None:
        """Keep one event, once."""
        with self._database_lock:
            self._assert_tracking_uniqueness(tracking)
            self._insert_tracking(tracking)
            self.rows[event.name].append(
                (
                    tracking.notification_id,
                    event.customer,
                    event.occurred_at,
                    event.timestamp,
                    event.source,
                    event.id,
                    *event.fields.values(),
                )
            )
            key = event.customer, event.name
            known = self.first.get(key)
            if known is None or event.occurred_at < known:
                self.first[key] = event.occurred_at


class Keeping(Projection[Facts]):
    """The projection."""

    topics = (get_topic(Recorded),)

    def process_event(self, domain_event: Any, tracking: Tracking) -> None:
        """Take one event."""
        self.view.add(domain_event, tracking)


def _load(store: Path, most: int) -> None:
    mapper = Application[Any]().mapper
    source = sqlite3.connect(store)
    rows = source.execute(
        "SELECT originator_id, originator_version, topic, state FROM stored_events LIMIT ?", (most,)
    )
    now = datetime.now(UTC)
    for stream, version, name, state in rows:
        fields = json.loads(state)
        head = {key: fields.pop(key) for key in list(fields) if key.startswith("_")}
        event = Recorded(
            originator_id=uuid5(NAMESPACE_URL, stream),
            originator_version=version,
            timestamp=now,
            name=name,
            customer=head["_key"],
            occurred_at=datetime.fromtimestamp(head["_at"] / 1e6, UTC),
            source=head["_source"],
            id=head["_id"],
            fields={
                key: Decimal(value) if key in ("amount", "cost", "quantity") else value
                for key, value in fields.items()
            },
        )
        _STORED.append(mapper.to_stored_event(event))
    source.close()


def _wait(runner: ProjectionRunner[Any, Facts], last: int) -> None:
    """Wait for the runner without holding it up."""
    while (runner.view.max_tracking_id(runner.app_name) or 0) < last:
        time.sleep(0.01)


def run_projection(store: Path, most: int) -> dict[str, Any]:
    """Seconds for the library's runner to bring ``most`` events into a view in memory."""
    _load(store, most)
    started = time.perf_counter()
    with ProjectionRunner(
        application_class=Journeys, projection_class=Keeping, view_class=Facts
    ) as runner:
        _wait(runner, len(_STORED))
        kept = sum(len(rows) for rows in runner.view.rows.values())
    seconds = time.perf_counter() - started
    if kept != len(_STORED):
        raise IntegrityError(f"{kept} of {len(_STORED)} events arrived")
    return {"events": kept, "seconds": seconds}
