"""How long the members of each stage were watched, and what ended it, gathered by cell.

SQL gathers a number for each member; what becomes of these is in
:mod:`bowtie_projections.survival`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
import sqlalchemy as sa
from sqlalchemy.sql.elements import ColumnElement

from bowtie.stages import STAGES
from bowtie_projections.expressions import micros_between
from bowtie_projections.survival import LOST, REACHED, WATCHED, Incidence
from bowtie_projections.views.cohorts import cohort_label
from bowtie_projections.views.cut import Reader
from bowtie_projections.views.funnel.members import Members

if TYPE_CHECKING:
    import pyarrow as pa
    from numpy.typing import NDArray

__all__ = ["Cell", "Span", "Watched", "by_cell", "counted_and_watched"]

#: The values of a cell as an answer names them, and a stage.
Cell = tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class Watched:
    """The members of a cell and stage."""

    incidence: Incidence
    #: that reached the next stage at a time which is not known
    untimed: int
    #: older than the data, and reached or lost before it began
    ended_before: int


def counted_and_watched(reader: Reader, members: Members) -> tuple[pa.Table, pa.Table]:
    """The counts of the funnel, and how long the members of each stage were watched.

    Asked at once, for both need the journeys, which may have to be read from all facts. Those older
    than the data are watched too, where entry ages are asked for: each is at risk from its age when
    the data begin, and who had reached the next stage or been lost before never was.

    Args:
        reader: the read tables.
        members: of the question.

    Returns:
        The rows of :meth:`Members.counted`; and for each cell and stage, and each account where it
        matters, the ``ages`` of its members and what ended them, packed; the ``starts`` of those
        at risk later than from the entry; how many are ``untimed`` and ``ended_before``.
    """
    counted = members.counted().subquery("counts")
    stages = (_ages(members.with_older(), stage) for stage in STAGES[:-1])
    watched = sa.union_all(*stages).subquery("watched")
    names = list(dict.fromkeys([*counted.c.keys(), *watched.c.keys()]))
    branches = (sa.select(*(_or_null(name, one, other) for name in names))
                for one, other in ((counted, watched), (watched, counted)))  # fmt: skip
    found = reader.fetch(sa.select(sa.union_all(*branches).subquery("found")))
    is_count = found.column("members").is_valid()
    return (
        found.filter(is_count).select(counted.c.keys()),
        found.filter(found.column("members").is_null()).select(watched.c.keys()),
    )


def _or_null(name: str, rows: sa.FromClause, others: sa.FromClause) -> ColumnElement[Any]:
    """A column, or nulls of its kind where only the other rows have it."""
    if name in rows.c:
        return rows.c[name]
    kind = others.c[name].type
    # the quantiles have none of their own
    kind = sa.ARRAY(sa.Double()) if isinstance(kind, sa.types.NullType) else kind
    return sa.cast(sa.null(), kind).label(name)


@dataclass(frozen=True, slots=True)
class Span:
    """From which age to which each member is watched, in microseconds, and what ends it."""

    start: ColumnElement[Any]
    age: ColumnElement[Any]
    end: ColumnElement[Any]

    @classmethod
    def of(cls, rows: sa.FromClause, members: Members) -> Span:
        """The spans of rows with the entry, the entry of the next stage, and the loss.

        Args:
            rows: members of a stage, with ``at``, ``next_at`` and ``lost_at``.
            members: of the question.
        """
        c, since = rows.c, members.question.data_from
        until = sa.func.coalesce(c.next_at, c.lost_at, sa.literal(members.moment))
        # who entered the next stage before this one had it at the entry
        age = _not_below_0(micros_between(c.at, until))
        reached, lost = c.next_at.is_not(None), c.lost_at.is_not(None)
        end = sa.case((reached, _whole(REACHED)), (lost, _whole(LOST)), else_=_whole(WATCHED))
        start: ColumnElement[Any] = _whole(0)
        if members.older_too and since is not None:
            start = _not_below_0(micros_between(c.at, sa.literal(since)))
        return cls(start, age, end)

    @property
    def is_watched(self) -> ColumnElement[bool]:
        """Whether it had not ended before it was watched."""
        return self.age >= self.start

    @property
    def packed(self) -> ColumnElement[Any]:
        """Age and end in one number, as :func:`bowtie_projections.survival.packed` has them."""
        return self.age * 4 + self.end


def _ages(members: Members, stage: str) -> sa.Select[Any]:
    rows = members.entered(stage)
    c, span = rows.c, Span.of(rows, members)
    of = [c[name] for name in members.key_names]
    # who is in no account is their own; where nobody repeats, accounts don't matter
    joined, account = members.units.account_of(rows)
    accounts = [account] if members.units.clustered else []
    late = span.start > 0
    return (
        sa.select(
            *of,
            sa.literal_column(f"'{stage}'", sa.String()).label("stage"),
            sa.func.array_agg(span.packed).filter(span.is_watched).label("ages"),
            sa.func.array_agg(span.start).filter(span.is_watched, late).label("starts"),
            sa.func.count().filter(c.next_at.is_not(None), c.untimed).label("untimed"),
            sa.func.count().filter(sa.not_(span.is_watched)).label("ended_before"),
        )
        .select_from(joined)
        .group_by(*of, *accounts)
    )


def _not_below_0(number: ColumnElement[Any]) -> ColumnElement[Any]:
    return sa.func.greatest(number, _whole(0), type_=sa.BigInteger())


def _whole(number: int) -> Any:
    # PostgreSQL takes a short number for a short type, and its arrays for another kind
    return sa.cast(sa.literal_column(str(number)), sa.BigInteger())


def by_cell(found: pa.Table, members: Members, *, competing: bool) -> dict[Cell, Watched]:
    """The estimate of each cell and stage that has any member.

    Args:
        found: the ages, from :func:`counted_and_watched`.
        members: of the question.
        competing: whether a loss can be seen at all.
    """
    names = [*members.key_names, "stage"]
    order, bounds = _cells(found, names)
    found = found.take(order)
    ages, starts = _Lists(found.column("ages")), _Lists(found.column("starts"))
    counts = [found.column(name).to_numpy() for name in ("untimed", "ended_before")]
    cells = {}
    for first, after in pairwise(bounds):
        cell = _named([found.column(name)[first].as_py() for name in names], members)
        own, late = ages.of(first, after), starts.of(first, after)
        clusters: dict[str, Any] = {}
        if members.units.clustered:
            accounts = ages.numbered(first, after)
            clusters = {
                "clusters": ages.spread(accounts, first, after),
                "start_clusters": starts.spread(accounts, first, after),
            }
        incidence = Incidence(own, late, competing=competing, **clusters)
        untimed, ended = (int(count[first:after].sum()) for count in counts)
        cells[cell] = Watched(incidence, untimed, ended)
    return cells


def _named(values: list[Any], members: Members) -> Cell:
    """The values of a cell as an answer names them."""
    for place, one in enumerate(members.dimensions):
        values[place] = members.named(one, values[place])
    cohort = members.question.cohort
    if cohort is not None:
        values[-2] = cohort_label(values[-2], cohort)
    return tuple(values)


def _cells(found: pa.Table, names: Sequence[str]) -> tuple[NDArray[np.int64], list[int]]:
    """The rows in an order that brings those of a cell together, and where each cell begins."""
    codes = np.zeros(found.num_rows, dtype=np.int64)
    for name in names:
        values = found.column(name).combine_chunks().dictionary_encode(null_encoding="encode")
        codes = codes * max(len(values.dictionary), 1) + values.indices.to_numpy()
    order = np.argsort(codes, kind="stable")
    begins = np.flatnonzero(np.diff(codes[order], prepend=-1))
    return order, [*begins.tolist(), found.num_rows]


class _Lists:
    """A column of lists of numbers, flat."""

    def __init__(self, column: Any) -> None:
        import pyarrow.compute as pc

        lists = column.combine_chunks()
        self._values = lists.flatten().to_numpy(zero_copy_only=False).astype(np.int64, copy=False)
        self._lengths = pc.list_value_length(lists).fill_null(0).to_numpy(zero_copy_only=False)
        self._ends = np.concatenate([[0], np.cumsum(self._lengths, dtype=np.int64)])

    def of(self, first: int, after: int) -> NDArray[np.int64]:
        """The numbers of some neighbouring rows."""
        return np.asarray(self._values[self._ends[first] : self._ends[after]])

    def numbered(self, first: int, after: int) -> NDArray[np.int64]:
        """The rows that hold any number, counted from 0."""
        return np.asarray(np.cumsum(self._lengths[first:after] > 0) - 1, dtype=np.int64)

    def spread(self, of_rows: NDArray[np.int64], first: int, after: int) -> NDArray[np.int64]:
        """What is told of a row, told of each of its numbers."""
        return np.asarray(np.repeat(of_rows, self._lengths[first:after]))
