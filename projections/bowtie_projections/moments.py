"""Up to which moments a question is asked, and what that means in positions."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import sqlalchemy as sa

from bowtie.errors import Refused
from bowtie.times import in_reach, iso, moment, zone
from bowtie_projections import tables
from bowtie_projections.parameters import Moment
from bowtie_projections.views.cut import Cut, Reader, utc
from bowtie_projections.views.journey_source import first_of, newest_fact

__all__ = ["SILENCE", "beyond", "last_moments", "newest_moments", "nothing_known", "recorded_by"]

#: A log in use may well have been silent for so long.
SILENCE = timedelta(days=7)


def last_moments(asked: Mapping[str, Any]) -> dict[str, datetime | None]:
    """Up to when a question is asked, by both clocks; a plain day ends at its zone's midnight."""
    here = zone(asked.get("tz") or "UTC")
    given: dict[str, Moment | None] = {name: asked.get(name) for name in ("as_of", "known_at")}
    found = {
        name: None if value is None else moment(value, end_of_day=True, tz=here)
        for name, value in given.items()
    }
    if (as_of := found["as_of"]) is not None:
        in_reach(as_of)
    return found


def newest_moments(reader: Reader, position: int) -> tuple[datetime | None, datetime | None]:
    """When the newest fact at a position happened, and when the last one was recorded."""
    c = tables.events.c
    known = c.position <= position, c.type != "forgotten"
    recorded = first_of(reader, c.recorded_at, c.recorded_at.desc(), known)
    return newest_fact(reader, Cut(position)), recorded


def beyond(newest: datetime | None, as_of: datetime | None) -> str | None:
    """What to say where a moment is asked as of that the data may not reach.

    >>> beyond(datetime(2026, 6, 30), datetime(2026, 7, 1, tzinfo=UTC))
    >>> beyond(datetime(2026, 6, 30), datetime(2027, 7, 1, tzinfo=UTC))[:66]
    'The newest fact is of 2026-06-30, and this is asked as of 2027-07-'
    """
    if newest is None or as_of is None or utc(as_of) - newest <= SILENCE:
        return None
    return (
        f"The newest fact is of {newest:%Y-%m-%d}, and this is asked as of {as_of:%Y-%m-%d}: if the"
        " data does not go so far, what has not been told yet is taken as not having happened. Say"
        " where it ends with data_through."
    )


def nothing_known(reader: Reader) -> str:
    """What to say where the store knew of nothing at the moment asked about."""
    recorded_at = tables.events.c.recorded_at
    first = first_of(reader, recorded_at, recorded_at, ())
    if first is None:
        return "The store has no events."
    return (
        f"This store recorded its first event at {iso(first.replace(tzinfo=UTC))}: before that it"
        " knew nothing. To ask for the world as it was on a day, ask as_of."
    )


def recorded_by(reader: Reader, position: int, known_at: datetime) -> int:
    """The last position recorded by a moment.

    Raises:
        Refused: the tables don't know when their facts were recorded.
    """
    events = tables.events
    upto = events.c.position <= position
    found = reader.fetch(
        sa.select(
            sa.func.max(events.c.position).filter(events.c.recorded_at <= utc(known_at)),
            sa.func.count().filter(events.c.recorded_at.is_(None)),
        ).where(upto)
    ).to_pylist()[0]
    last, undated = found.values()
    if undated:
        raise Refused(
            "known_at needs the times of recording, and these tables were made from log files"
            " without them: ask with as_of, or ingest the log into a store"
        )
    return int(last or 0)
