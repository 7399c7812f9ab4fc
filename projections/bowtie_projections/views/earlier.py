"""The period to compare one with: the one before of equal length, or the same a year earlier.

Periods are days of a calendar, so that a month is compared with a month, whatever its length:

>>> earlier("previous", "2026-01", "2026-03"), earlier("year", "2026-W07", "2026-W07")
(('2025-10', '2025-12'), ('2025-W07', '2025-W07'))
>>> earlier("previous", "2026-Q1", "2026-Q1")
('2025-Q4', '2025-Q4')
"""

from __future__ import annotations

import re
from datetime import date, datetime, timedelta
from typing import Any

from bowtie.errors import UsageError
from bowtie_projections.views.cohorts import cohort_label, days_of

__all__ = ["COMPARE", "check_compare", "earlier", "earlier_cohort"]

#: What one can compare with.
COMPARE = ("previous", "year")
_DAY = timedelta(days=1)
_WEEK = re.compile(r"\d{4}-W\d\d")
#: A year is written in so many digits.
_YEAR = 4
_MONTHS = {"month": 1, "quarter": 3, "year": 12}


def check_compare(compare: object) -> str:
    """What to compare with, if there is such a thing."""
    if compare not in COMPARE:
        raise UsageError(f"compare is {compare!r}; write {' or '.join(COMPARE)}")
    return str(compare)


def earlier(compare: str, first: Any, last: Any) -> tuple[Any, Any]:
    """The period to compare with, written as :func:`~..cohorts.period` reads it.

    Whole months are moved by months, weeks by weeks, all else by days; two moments by the time
    between them.

    Args:
        compare: one of :data:`COMPARE`.
        first: the period that begins it, or a moment.
        last: the period that ends it, inclusive, or a moment.

    Raises:
        UsageError: there is no such period, such as week 53 of a year that has none.
    """
    if isinstance(first, datetime) or isinstance(last, datetime):
        return _of_moments(compare, first, last)
    start, end = days_of(first)[0], days_of(last)[1]
    if end <= start:
        raise UsageError(f"from {first} to {last}: the end is before the start")
    if start.day == end.day == 1:
        months = (end.year - start.year) * 12 + end.month - start.month
        months = 12 if compare == "year" else months
        length = _length(first) if _length(first) == _length(last) else "month"
        return _named(_moved(start, months), _moved(end, months), length)
    if compare == "previous":
        return _written(start - (end - start), start)
    if _is_week(first) and _is_week(last):
        return _week_before(first), _week_before(last)
    return _written(_moved(start, 12), _moved(end - _DAY, 12) + _DAY)


def earlier_cohort(compare: str, label: str, cohort: str) -> str | None:
    """The cohort to compare one with: the one before, or that of a year earlier.

    None where there is none: the 29th of February and week 53 are not in every year.

    >>> earlier_cohort("previous", "2026-Q1", "quarter"), earlier_cohort("year", "2026-W53", "week")
    ('2025-Q4', None)
    """
    start = days_of(label)[0]
    if compare == "previous":
        if cohort in _MONTHS:
            return cohort_label(_moved(start, _MONTHS[cohort]), cohort)
        return cohort_label(start - (7 * _DAY if cohort == "week" else _DAY), cohort)
    try:
        if cohort == "week":
            year, week, _ = start.isocalendar()
            return cohort_label(date.fromisocalendar(year - 1, week, 1), cohort)
        return cohort_label(start.replace(year=start.year - 1), cohort)
    except ValueError:
        return None


def _week_before(written: Any) -> str:
    found = earlier_cohort("year", str(written), "week")
    if found is None:
        raise UsageError(f"{written}: the year before has no such week; ask with compare=previous")
    return found


def _is_week(written: Any) -> bool:
    return _WEEK.fullmatch(str(written)) is not None


def _of_moments(compare: str, first: Any, last: Any) -> tuple[datetime, datetime]:
    if not (isinstance(first, datetime) and isinstance(last, datetime)):
        raise UsageError("compare needs from_= and to= of one kind: two periods, or two moments")
    if compare == "year":
        return _year_before(first), _year_before(last)
    before = first - timedelta(microseconds=1)
    return before - (last - first), before


def _year_before(moment: datetime) -> datetime:
    day = _moved(moment.date(), 12)
    return datetime.combine(day, moment.timetz())


def _moved(day: date, months: int) -> date:
    """The same day so many months before, or the last one of a shorter month."""
    years, month = divmod(day.year * 12 + day.month - 1 - months, 12)
    for last in (day.day, 30, 29, 28):
        try:
            return date(years, month + 1, min(day.day, last))
        except ValueError:
            continue
    raise UsageError(f"{day}: there is no date so long before")


def _length(written: Any) -> str:
    """How long a period is that is written so, of those that are whole months."""
    text = str(written)
    return "quarter" if "-Q" in text else "year" if len(text) == _YEAR else "month"


def _named(start: date, end: date, length: str) -> tuple[str, str]:
    """The first and the last period of a span of whole ones, its end exclusive."""
    return cohort_label(start, length), cohort_label(end - _DAY, length)


def _written(start: date, end: date) -> tuple[str, str]:
    """A span of days, its end exclusive, in months where it is made of them."""
    if start.day == end.day == 1:
        return _named(start, end, "month")
    return start.isoformat(), (end - _DAY).isoformat()
