"""Times: aware, UTC, microseconds. One way to read them, one way to write them."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, time, timedelta

from bowtie.errors import EventRejected, UsageError

__all__ = ["EPOCH", "SKEW", "from_micros", "iso", "moment", "now_micros", "parse_time", "to_micros"]

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)
#: How far into the future another clock may be before its times are refused.
SKEW = timedelta(minutes=5)

_DAY = re.compile(r"^\d{4}-\d{2}-\d{2}$")


def to_micros(when: datetime) -> int:
    """Microseconds since 1970 UTC, exactly.

    >>> to_micros(datetime(2026, 1, 5, 10, tzinfo=UTC))
    1767607200000000
    """
    return (when - EPOCH) // MICROSECOND


def from_micros(micros: int) -> datetime:
    """The moment, in UTC.

    >>> from_micros(1767607200000000)
    datetime.datetime(2026, 1, 5, 10, 0, tzinfo=datetime.timezone.utc)
    """
    return EPOCH + timedelta(microseconds=micros)


def now_micros() -> int:
    """This machine's clock."""
    return to_micros(datetime.now(UTC))


def iso(when: datetime) -> str:
    """ISO 8601 in UTC, ended by Z.

    >>> iso(from_micros(1767607200000000))
    '2026-01-05T10:00:00Z'
    """
    return when.astimezone(UTC).isoformat().replace("+00:00", "Z")


def parse_time(text: str, field: str = "time") -> datetime:
    """An RFC 3339 time with a zone, as UTC.

    Raises:
        EventRejected: ``naive_time`` where the zone is missing, ``invalid`` where it is no time.
    """
    try:
        when = datetime.fromisoformat(text)
    except ValueError:
        raise EventRejected(
            "invalid", f"{field}: {text[:40]!r} is no time; write 2026-01-05T10:00:00Z"
        ) from None
    if when.tzinfo is None:
        raise EventRejected(
            "naive_time", f"{field}: {text[:40]!r} has no zone; add Z or an offset such as +01:00"
        )
    try:
        return when.astimezone(UTC)
    except OverflowError:
        raise EventRejected("invalid", f"{field}: {text[:40]!r} is out of range") from None


def moment(value: str | datetime | date, *, end_of_day: bool = False) -> datetime:
    """A moment that a person asked for: a time with a zone, or a day in UTC.

    A plain day means its first moment, or, with ``end_of_day``, its last microsecond: ``as of
    2026-03-31`` includes that day.

    >>> iso(moment("2026-03-31", end_of_day=True))
    '2026-03-31T23:59:59.999999Z'

    Raises:
        UsageError: it is neither, or a time without a zone.
    """
    if isinstance(value, str):
        try:
            value = (
                date.fromisoformat(value) if _DAY.match(value) else datetime.fromisoformat(value)
            )
        except ValueError:
            raise UsageError(
                f"{value!r} is no time: write a day (2026-03-31) or a time with its zone"
                " (2026-03-31T18:00:00Z)"
            ) from None
    if not isinstance(value, datetime):
        value = datetime.combine(value, time.max if end_of_day else time.min, UTC)
    if value.tzinfo is None:
        raise UsageError(f"{value.isoformat()} has no zone: add Z or an offset such as +01:00")
    return value.astimezone(UTC)
