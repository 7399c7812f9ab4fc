"""Days and months of the zone a question is asked in.

Tables hold times in UTC; a business counts days and months where it is.
"""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.sql.elements import ColumnElement

from bowtie.times import zone

__all__ = ["check_zone", "day_of", "local", "local_day", "local_month"]


def check_zone(name: str) -> str:
    """The name, if there is such a time zone.

    >>> check_zone("Europe/Berlin")
    'Europe/Berlin'
    """
    return zone(name).key


def local(moment: ColumnElement[Any], tz: str) -> ColumnElement[Any]:
    """A moment of the tables as clocks in the zone showed it.

    >>> print(local(sa.column("t0"), "UTC"))
    t0
    """
    if tz == "UTC":
        return moment
    return sa.func.timezone(tz, sa.func.timezone("UTC", moment), type_=sa.DateTime())


def local_day(moment: ColumnElement[Any], tz: str) -> ColumnElement[Any]:
    """The day a moment fell on."""
    return sa.cast(local(moment, tz), sa.Date())


def day_of(moment: datetime, tz: str) -> date:
    """The same of a moment in UTC without a zone.

    >>> day_of(datetime(2026, 1, 5, 23, 30), "Europe/Berlin")
    datetime.date(2026, 1, 6)
    """
    return moment.replace(tzinfo=UTC).astimezone(zone(tz)).date()


def local_month(moment: ColumnElement[Any], tz: str) -> ColumnElement[Any]:
    """The month as a number: 12 times the year, and 0 for January."""
    return _part("year", moment, tz) * sa.literal_column("12") + (
        _part("month", moment, tz) - sa.literal_column("1")
    )


def _part(name: str, moment: ColumnElement[Any], tz: str) -> ColumnElement[Any]:
    return sa.cast(sa.extract(name, local(moment, tz)), sa.Integer())
