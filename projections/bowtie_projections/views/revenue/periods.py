"""Periods of a calendar as whole numbers, one after the other: what is counted from and to."""

from __future__ import annotations

from datetime import date
from typing import Any

import sqlalchemy as sa
from sqlalchemy.sql.elements import ColumnElement

__all__ = ["EVERY", "first_of", "number_in_sql", "number_of"]

#: How many periods of each length a year has.
EVERY = {"month": 12, "quarter": 4, "year": 1}


def number_of(day: date, every: str) -> int:
    """The number of the period that a day falls in.

    >>> number_of(date(2024, 1, 31), "month"), number_of(date(2024, 2, 1), "month")
    (24288, 24289)
    """
    in_year = EVERY[every]
    return day.year * in_year + (day.month - 1) * in_year // 12


def first_of(number: int, every: str) -> date:
    """The first day of a period.

    >>> first_of(number_of(date(2024, 5, 17), "quarter"), "quarter")
    datetime.date(2024, 4, 1)
    """
    year, place = divmod(number, EVERY[every])
    return date(year, place * 12 // EVERY[every] + 1, 1)


def number_in_sql(day: ColumnElement[Any], every: str) -> ColumnElement[Any]:
    """The same as :func:`number_of`, in SQL."""
    year = sa.cast(sa.extract("year", day), sa.Integer())
    if every == "year":
        return year
    place = sa.cast(sa.extract(every, day), sa.Integer())
    return year * sa.literal_column(str(EVERY[every])) + place - sa.literal_column("1")
