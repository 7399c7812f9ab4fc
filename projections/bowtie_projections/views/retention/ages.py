"""Ages in whole days, weeks or months."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy.sql.elements import ColumnElement

__all__ = ["AGES", "MOST", "age_in_sql", "every_age"]

#: The lengths that an age can be counted in.
AGES = ("day", "week", "month")
#: How many ages are told, if nobody says.
MOST = {"day": 30, "week": 26, "month": 24}


def age_in_sql(since: ColumnElement[Any], day: ColumnElement[Any], unit: str) -> ColumnElement[Any]:
    """How many whole days, weeks or months lie between two days; negative before the first.

    A month is over when the day of the same number comes; where the month has no such day, with
    the first of the month after: who came on 31 January is one month old on 1 March.
    """
    if unit == "month":
        months = (_part("year", day) - _part("year", since)) * sa.literal_column("12")
        months += _part("month", day) - _part("month", since)
        early = sa.case((_part("day", day) < _part("day", since), 1), else_=0)
        return months - early
    days = sa.cast(day - since, sa.Integer())
    if unit == "day":
        return days
    return sa.cast(sa.func.floor(days / sa.literal_column("7.0")), sa.Integer())


def _part(name: str, day: ColumnElement[Any]) -> ColumnElement[Any]:
    return sa.cast(sa.extract(name, day), sa.Integer())


def every_age(most: int) -> sa.FromClause:
    """The numbers 0, 1, ... up to one, as a relation with the column ``age``."""
    series = sa.func.generate_series(0, sa.literal_column(str(most)))
    return series.table_valued(sa.column("age", sa.Integer()), name="ages").render_derived()
