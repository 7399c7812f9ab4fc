"""Times: aware, UTC, microseconds. One way to read them, one way to write them."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from time import time_ns
from zoneinfo import ZoneInfo

import msgspec

from bowtie.errors import EventRejected, UnknownName, UsageError

__all__ = [
    "EPOCH",
    "SKEW",
    "from_micros",
    "in_reach",
    "iso",
    "moment",
    "now_micros",
    "parse_time",
    "to_micros",
    "zone",
]

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)
#: How far into the future another clock may be before its times are refused.
SKEW = timedelta(minutes=5)

_DAY = re.compile(r"^\d{4}-\d{2}-\d{2}$")


def zone(name: str) -> ZoneInfo:
    """The time zone of a name.

    >>> zone("Europe/Berlin")
    zoneinfo.ZoneInfo(key='Europe/Berlin')

    Raises:
        UnknownName: there is none.
    """
    try:
        return ZoneInfo(name)
    except (ValueError, OSError, LookupError):
        raise UnknownName(
            f"{name!r} is no time zone: write one such as UTC or Europe/Berlin"
        ) from None


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
    return EPOCH + MICROSECOND * micros


def now_micros() -> int:
    """This machine's clock."""
    return time_ns() // 1000


def iso(when: datetime) -> str:
    """ISO 8601 in UTC, ended by Z.

    >>> iso(from_micros(1767607200000000))
    '2026-01-05T10:00:00Z'
    """
    return when.astimezone(UTC).isoformat().replace("+00:00", "Z")


def _read(text: str) -> datetime:
    """As the fast lane reads it (to the nearest microsecond), or as ISO 8601 allows it beside."""
    try:
        return msgspec.convert(text, datetime)
    except msgspec.ValidationError:
        return datetime.fromisoformat(text)


def parse_time(text: str, field: str = "time") -> datetime:
    """An RFC 3339 time with a zone, as UTC.

    Raises:
        EventRejected: ``naive_time`` where the zone is missing, ``invalid`` where it is no time.
    """
    try:
        when = _read(text)
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


def in_reach(value: datetime) -> datetime:
    """A moment that a question can be asked as of: all spans before and after it are of days.

    >>> in_reach(datetime(2026, 3, 31)).year
    2026

    Raises:
        UsageError: it lies before the year 1000 or after the year 9000.
    """
    if not 1000 <= value.year <= 9000:
        raise UsageError(
            f"{value.date()} lies out of the years 1000 to 9000: nothing can be asked as of then"
        )
    return value


def moment(value: str | datetime | date, *, end_of_day: bool = False, tz: tzinfo = UTC) -> datetime:
    """A moment that a person asked for: a time with a zone, or a day of the zone ``tz``.

    A plain day means its first moment, or, with ``end_of_day``, its last microsecond: ``as of
    2026-03-31`` includes that day.

    >>> iso(moment("2026-03-31", end_of_day=True))
    '2026-03-31T23:59:59.999999Z'
    >>> from zoneinfo import ZoneInfo
    >>> iso(moment("2026-03-31", end_of_day=True, tz=ZoneInfo("Europe/Berlin")))
    '2026-03-31T21:59:59.999999Z'

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
        # where clocks go back at midnight, a day's last hour comes twice: it ends with the second
        last = time.max.replace(fold=1)
        value = datetime.combine(value, last if end_of_day else time.min, tz)
    if value.tzinfo is None:
        raise UsageError(f"{value.isoformat()} has no zone: add Z or an offset such as +01:00")
    try:
        return value.astimezone(UTC)
    except OverflowError:
        raise UsageError(f"{value.isoformat()} lies out of the years 1 to 9999 in UTC") from None
