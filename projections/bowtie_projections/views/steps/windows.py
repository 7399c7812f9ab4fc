"""What ordered funnels and those in any order share: what lies between, and held values."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.sql.elements import ColumnElement

from bowtie_projections.views.steps.rows import StepRows, whole

__all__ = ["BEFORE", "Node", "by_member", "flag", "marked", "micros"]

_MICROSECOND = timedelta(microseconds=1)
#: Before a row in the frame of a window, not with it.
BEFORE = (None, -1)


def micros(span: timedelta) -> int:
    """A length of time in microseconds."""
    return span // _MICROSECOND


def flag(condition: ColumnElement[bool]) -> ColumnElement[Any]:
    """1 where it holds, else 0."""
    return sa.case((condition, whole(1)), else_=whole(0))


@dataclass(frozen=True, slots=True)
class Node:
    """The members that reached a step.

    Args:
        rows: the keys of members; ``t``, ``start`` and ``prev``: when it was first reached, and
            the first and the last step before it in the sequence that did; and where it stands:
            ``pending``, ``excluded``, ``mature`` and ``ripe``, each 1 or 0. Of the first step also
            ``first_at``, the time of the first entry.
    """

    rows: sa.CTE


def marked(
    own: sa.FromClause, marks: sa.Select[Any], name: str, *, after: bool = False
) -> sa.Subquery:
    """The rows, each with the last moment before it of what is excluded; or the first after it."""
    mark = marks.subquery(f"{name}_rows")
    nothing = [
        mark.c[column.name].label(column.name)
        if column.name in {"customer", "t"}
        else sa.cast(sa.null(), column.type).label(column.name)
        for column in own.c
    ]
    both = sa.union_all(
        sa.select(*own.c, whole(0).label("is_mark")), sa.select(*nothing, whole(1))
    ).subquery(f"{name}_both")
    c = both.c
    # what is at the very moment of a step is neither before nor after it
    times = (c.t.desc(), c.is_mark) if after else (c.t, c.is_mark)
    its_time = sa.case((c.is_mark == 1, c.t))
    nearest = sa.func.min(its_time) if after else sa.func.max(its_time)
    told = sa.select(
        both, nearest.over(partition_by=c.customer, order_by=times, rows=BEFORE).label(name)
    ).subquery(f"{name}_told")
    columns = [column for column in told.c if column.name != "is_mark"]
    return sa.select(*columns).where(told.c.is_mark == 0).subquery(f"{name}_of")


def by_member(judged: sa.Subquery, source: StepRows) -> sa.Select[Any]:
    """One row for a member, who may have sequences of several held values.

    Who has one that can still go on is pending; else excluded, if any was; mature only with all.
    """
    c = judged.c
    if source.question.hold is None:
        return sa.select(judged)
    keys = [c[name] for name in source.keys]
    place = sa.func.row_number().over(partition_by=keys, order_by=(c.t, c.start, c.prev, c.held))
    folded: dict[str, Any] = {
        "pending": sa.func.max,
        "excluded": sa.func.max,
        "mature": sa.func.min,
        "ripe": sa.func.min,
        **({"first_at": sa.func.min} if "first_at" in c else {}),
    }
    told = sa.select(
        *keys,
        c.t,
        c.start,
        c.prev,
        *(fold(c[name]).over(partition_by=keys).label(name) for name, fold in folded.items()),
        place.label("place"),
    ).subquery(f"held_{judged.name}")
    columns = [column for column in told.c if column.name != "place"]
    return sa.select(*columns).where(told.c.place == 1)
