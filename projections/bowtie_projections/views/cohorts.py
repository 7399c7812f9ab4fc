"""Periods of a calendar: what people write for one, and the names of cohorts."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import sqlalchemy as sa
from sqlalchemy.sql.elements import ColumnElement

from bowtie.errors import UsageError
from bowtie.times import in_reach
from bowtie_projections.localtime import local

__all__ = [
    "ALL",
    "PERIODS",
    "check_cohort",
    "check_period",
    "cohort_label",
    "cohort_start",
    "first_day",
    "first_moment",
    "last_moment",
    "period",
    "starts_between",
]

PERIODS = ("day", "week", "month", "quarter", "year")
#: All cohorts together.
ALL = "all"

_WRITTEN = re.compile(
    r"(?P<year>\d{4})(?:-Q(?P<quarter>[1-4])|-W(?P<week>\d{2})|-(?P<month>\d{2})(?:-(?P<day>\d{2}))?)?"
)


def check_period(cohort: str | None) -> str | None:
    """The length of a cohort, if there is such a one."""
    if cohort is not None and cohort not in PERIODS:
        raise UsageError(f"cohort is {cohort!r}; write one of {', '.join(PERIODS)}")
    return cohort


def check_cohort(cohort: object) -> str | None:
    """The length of a cohort; None where all are asked for together, as ``all``.

    Raises:
        UsageError: it is neither.
    """
    if cohort not in (*PERIODS, ALL):
        raise UsageError(f"cohort is {cohort!r}; write one of {', '.join((*PERIODS, ALL))}")
    return None if cohort == ALL else str(cohort)


def period(written: Any, tz: str = "UTC") -> tuple[datetime, datetime]:
    """The first moment of a period, and the first after it, in UTC without a zone.

    A year, quarter, week (ISO), month or day; a moment with a zone stands for itself.

    >>> period("2024-Q1")
    (datetime.datetime(2024, 1, 1, 0, 0), datetime.datetime(2024, 4, 1, 0, 0))

    Raises:
        UsageError: it is none of these.
    """
    if isinstance(written, datetime):
        if written.tzinfo is None:
            raise UsageError(
                f"{written.isoformat()} has no zone: add Z or an offset such as +01:00"
            )
        moment = written.astimezone(UTC).replace(tzinfo=None)
        return moment, moment + timedelta(microseconds=1)
    first, after = days_of(written)
    return _midnight(first, tz), _midnight(after, tz)


def first_moment(written: Any, tz: str) -> datetime | None:
    """The first moment of a period, in UTC without a zone; None where none was given.

    Raises:
        UsageError: it is no period.
    """
    return None if written is None else period(written, tz)[0]


def last_moment(written: Any, tz: str) -> datetime | None:
    """The last moment of a period, in UTC without a zone; None where none was given.

    >>> last_moment("2024-01", "UTC")
    datetime.datetime(2024, 1, 31, 23, 59, 59, 999999)

    Raises:
        UsageError: it is no period, or out of reach.
    """
    if written is None:
        return None
    return in_reach(period(written, tz)[1] - timedelta(microseconds=1))


def days_of(written: Any) -> tuple[date, date]:
    """The first day of a period, and the first after it.

    >>> days_of("2024-W01")
    (datetime.date(2024, 1, 1), datetime.date(2024, 1, 8))

    Raises:
        UsageError: it is no period.
    """
    if isinstance(written, date):
        return written, written + timedelta(days=1)
    found = _WRITTEN.fullmatch(str(written))
    try:
        if found is None:
            raise ValueError
        return _span(found)
    except (ValueError, OverflowError):
        raise UsageError(
            f"{written!r} is no period: write 2024, 2024-Q1, 2024-01, 2024-W03 or 2024-01-15"
        ) from None


def _span(found: re.Match[str]) -> tuple[date, date]:
    year = int(found["year"])
    if found["day"]:
        day = date(year, int(found["month"]), int(found["day"]))
        return day, day + timedelta(days=1)
    if found["week"]:
        monday = date.fromisocalendar(year, int(found["week"]), 1)
        return monday, monday + timedelta(days=7)
    if found["month"]:
        return _months(year, int(found["month"]), 1)
    if found["quarter"]:
        return _months(year, int(found["quarter"]) * 3 - 2, 3)
    return _months(year, 1, 12)


def _months(year: int, month: int, count: int) -> tuple[date, date]:
    first = date(year, month, 1)
    years, months = divmod(month - 1 + count, 12)
    return first, date(year + years, months + 1, 1)


def _midnight(day: date, tz: str) -> datetime:
    moment = datetime(day.year, day.month, day.day, tzinfo=ZoneInfo(tz))
    return moment.astimezone(UTC).replace(tzinfo=None)


def cohort_start(moment: ColumnElement[Any], cohort: str, tz: str) -> ColumnElement[Any]:
    """The first day of the period a moment falls in, as clocks in the zone showed it."""
    return sa.cast(sa.func.date_trunc(cohort, local(moment, tz)), sa.Date())


def cohort_label(start: date, cohort: str) -> str:
    """What a cohort is called; :func:`period` reads it.

    >>> cohort_label(date(2024, 4, 1), "quarter"), cohort_label(date(2024, 1, 1), "week")
    ('2024-Q2', '2024-W01')
    """
    if cohort == "week":
        year, week, _ = start.isocalendar()
        return f"{year}-W{week:02}"
    if cohort == "quarter":
        return f"{start.year}-Q{(start.month + 2) // 3}"
    return start.isoformat()[: {"year": 4, "month": 7, "day": 10}[cohort]]


def first_day(day: date, cohort: str) -> date:
    """The first day of the period a day falls in.

    >>> first_day(date(2024, 5, 17), "quarter"), first_day(date(2024, 5, 17), "week")
    (datetime.date(2024, 4, 1), datetime.date(2024, 5, 13))
    """
    if cohort == "week":
        return day - timedelta(days=day.weekday())
    if cohort == "day":
        return day
    months = {"month": 1, "quarter": 3, "year": 12}[cohort]
    return date(day.year, (day.month - 1) // months * months + 1, 1)


def starts_between(first: date, last: date, cohort: str) -> list[date]:
    """The first days of all periods from one day's to another's, without a hole.

    >>> starts_between(date(2023, 12, 24), date(2024, 2, 1), "month")
    [datetime.date(2023, 12, 1), datetime.date(2024, 1, 1), datetime.date(2024, 2, 1)]
    """
    found = []
    start = first_day(first, cohort)
    while start <= last:
        found.append(start)
        start = days_of(cohort_label(start, cohort))[1]
    return found
