"""Where a question is asked: up to which position of the log, and as the world was when.

Every view takes a :class:`Cut` and asks the read tables through a :class:`Reader`. A fact counts at
a cut when it was recorded by its position, not retracted by then, and happened by its ``as_of``:

>>> from datetime import datetime, timezone
>>> cut = Cut(position=120, as_of=datetime(2026, 3, 31, tzinfo=timezone.utc))
>>> cut.moment
datetime.datetime(2026, 3, 31, 0, 0)
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Protocol

import sqlalchemy as sa

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["NEVER", "Cut", "Reader", "counts", "time_before", "utc"]

#: The moment of a log without facts, where SQL needs one.
NEVER = datetime(1000, 1, 1, tzinfo=UTC)


def utc(moment: datetime) -> datetime:
    """The moment as the tables write it: in UTC, without a zone.

    >>> from datetime import timedelta, timezone
    >>> utc(datetime(2026, 1, 5, 12, tzinfo=timezone(timedelta(hours=1))))
    datetime.datetime(2026, 1, 5, 11, 0)
    """
    return moment if moment.tzinfo is None else moment.astimezone(UTC).replace(tzinfo=None)


def time_before(moment: datetime, length: timedelta) -> datetime:
    """So long before a moment of the tables, or the beginning of the calendar.

    >>> time_before(datetime(2026, 1, 5), timedelta(days=5))
    datetime.datetime(2025, 12, 31, 0, 0)
    >>> time_before(datetime(1, 1, 3), timedelta(days=5))
    datetime.datetime(1, 1, 1, 0, 0)
    """
    beginning = datetime.min  # noqa: DTZ901 - in UTC without a zone, as the tables write times
    return moment - length if moment - beginning > length else beginning


@dataclass(frozen=True, slots=True)
class Cut:
    """A place in the log.

    Args:
        position: facts recorded later don't count.
        as_of: facts that happened later don't count; ages and windows end here.
        complete: nothing at the position happened after ``as_of``, so that facts need no filter
            by time. Says nothing that can't be asked; spares asking it again in each view.
    """

    position: int
    as_of: datetime | None = None
    complete: bool = False

    @property
    def moment(self) -> datetime | None:
        """``as_of`` in UTC without a zone, to compare with the columns of the tables."""
        return None if self.as_of is None else utc(self.as_of)


class Reader(Protocol):
    """The read tables, open for one answer."""

    #: where the tables stand
    position: int
    #: name/version of the definition that ``journeys`` follows
    definition: str
    #: the hash of that definition's text
    definition_hash: str
    #: whether they tell of links; tables of an older shape don't
    has_links: bool

    @property
    def statements(self) -> list[str]:
        """The SQL that ran, in order."""

    def fetch(self, statement: sa.Select[*tuple[object, ...]] | str) -> pa.Table:
        """Run a statement and keep its SQL in ``statements``."""

    def keep(self, statement: sa.Select[Any], name: str) -> sa.FromClause | None:
        """The rows of a statement, kept for this answer; None where nothing can be kept."""


def counts(table: sa.FromClause, cut: Cut) -> sa.ColumnElement[bool]:
    """The rows of a table of facts that count at the cut.

    >>> t = sa.table("t", *map(sa.column, ("position", "retracted_position", "occurred_at")))
    >>> print(counts(t, Cut(7)).compile(compile_kwargs={"literal_binds": True}))
    t.position <= 7 AND (t.retracted_position IS NULL OR t.retracted_position > 7)
    """
    column = table.c
    known = sa.and_(
        column.position <= cut.position,
        sa.or_(column.retracted_position.is_(None), column.retracted_position > cut.position),
    )
    if cut.moment is None or cut.complete:
        return known
    return sa.and_(known, column.occurred_at <= cut.moment)
