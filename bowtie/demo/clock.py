"""The calendar of a demo log: seconds since its first day, and their text, made once."""

from __future__ import annotations

from datetime import date, timedelta

__all__ = ["DAY", "HOUR", "MINUTE", "Clock"]

MINUTE = 60
HOUR = 60 * MINUTE
DAY = 24 * HOUR

#: Contracts of the last months end after the log does: their last days need a text too.
_DAYS_AHEAD = 3 * 366


class Clock:
    """The days and months of the history, from its first day through ``until``.

    Times are whole seconds since the first day's midnight UTC; a table lookup turns them into
    text, which is several times faster than formatting a datetime.

    >>> clock = Clock(date(2026, 6, 30), months=42)
    >>> clock.first, clock.stamp(3 * DAY + 5 * HOUR), clock.day(clock.end)
    (datetime.date(2023, 1, 1), '2023-01-04T05:00:00Z', '2026-07-01')
    """

    def __init__(self, until: date, months: int) -> None:
        self.first = _months_before(until, months - 1)
        self.until = until
        days = (until - self.first).days + 1
        #: the first second that is no longer in the log
        self.end = days * DAY
        self.months = months
        calendar = [self.first + timedelta(days=n) for n in range(days + _DAYS_AHEAD)]
        self._days = [day.isoformat() for day in calendar]
        self._midnights = [f"{text}T" for text in self._days]
        self._times = [
            f"{hour:02d}:{minute:02d}:{second:02d}Z"
            for hour in range(24)
            for minute in range(60)
            for second in range(60)
        ]
        self.month_of_day = [_months_between(self.first, day) for day in calendar[:days]]

    def stamp(self, seconds: int) -> str:
        """The moment as RFC 3339 in UTC."""
        return self._midnights[seconds // DAY] + self._times[seconds % DAY]

    def day(self, seconds: int) -> str:
        """The day of a moment, as YYYY-MM-DD."""
        return self._days[seconds // DAY]

    def month(self, seconds: int) -> int:
        """Which month of the history a moment of it falls in, from 0."""
        return self.month_of_day[seconds // DAY]

    def month_spans(self) -> list[tuple[int, int]]:
        """First second of each month of the history, and the first second after it."""
        starts = [
            n * DAY
            for n, month in enumerate(self.month_of_day)
            if n == 0 or month != self.month_of_day[n - 1]
        ]
        return list(zip(starts, [*starts[1:], self.end], strict=True))


def _months_before(day: date, months: int) -> date:
    """The first day of the month that many months before a day's own."""
    year, month = divmod(day.year * 12 + day.month - 1 - months, 12)
    return date(year, month + 1, 1)


def _months_between(first: date, day: date) -> int:
    return (day.year - first.year) * 12 + day.month - first.month
