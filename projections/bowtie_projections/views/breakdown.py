"""By what a figure is broken down, as it was known when a stage was entered."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from functools import partial
from typing import Any

import sqlalchemy as sa
from sqlalchemy.sql.elements import ColumnElement

from bowtie.errors import Refused, UnknownName, UsageError
from bowtie.stages import STAGES
from bowtie_projections import tables
from bowtie_projections.expressions import END, happened, packed_field, packed_min
from bowtie_projections.scope import Scope, scope_of
from bowtie_projections.views.cut import Cut, Reader, counts

__all__ = [
    "CONTRACT", "SEGMENT", "TOUCH", "TRAIT", "Dimension", "check_traits", "dimensions",
    "distinct_values",
]  # fmt: skip

#: Dimensions of a touch: the first one, unless the question says another.
TOUCH = ("channel", "campaign", "medium", "touchpoint", "content")
#: Dimensions of the contract that made the commitment.
CONTRACT = ("motion", "offering", "partner")
_KNOT = STAGES.index("commitment")
#: Before the name of a trait that is called like something else.
TRAIT = "trait."
#: Before the name of a segment.
SEGMENT = "segment:"
#: The kinds of the dimensions of touches, by the rule that says which touch.
_TOUCH_KINDS = {"first": "touch", "last": "last touch", "step": "step touch"}


@dataclass(frozen=True, slots=True)
class Dimension:
    """One breakdown.

    Args:
        name: as it was asked for.
        kind: ``touch`` (the first), ``last touch``, ``step touch`` (the one at the entry),
            ``trait``, ``contract`` or ``segment``.
        key: the field, the trait, or the segment.
        number: its place among those asked for. Names in SQL are made of it: a trait may be called
            anything, and SQL takes ``Plan`` and ``plan`` for one name.
        members: of a segment: each customer, and whether they are in it.
    """

    name: str
    kind: str
    key: str
    number: int = 0
    members: Callable[[Cut, str], sa.Select[Any]] | None = field(default=None, compare=False)

    @property
    def column(self) -> str:
        """The name of its column in SQL."""
        return f"key_{self.number}"

    def title(self, taken: Collection[str]) -> str:
        """The name of its column in an answer: as asked for, unless the answer has one so."""
        return f"{TRAIT}{self.key}" if self.name in taken else self.name

    def source(self, cut: Cut) -> sa.CTE | None:
        """What must be joined to the journeys to know the values, if anything."""
        rows = self._source(cut)
        if rows is None:
            return None
        return rows.cte(f"source_{self.number}").prefix_with("MATERIALIZED")

    def told_by(self, cut: Cut) -> sa.CTE | None:
        """The same with the ``position`` of the fact that told each value, if facts did."""
        if self.kind in {"touch", "segment"}:
            return None
        rows = self._source(cut, positions=True)
        return None if rows is None else rows.cte(f"told_{self.number}")

    def _source(self, cut: Cut, *, positions: bool = False) -> sa.Select[Any] | None:
        match self.kind:
            case "contract":
                return _signings(self.key, cut, positions=positions)
            case "trait":
                return _believed(self.key, cut, positions=positions)
            case "last touch":
                return _latest_touches(self.key, cut, positions=positions)
            case "step touch":
                return _touches(self.key, cut, positions=positions)
        return None if self.members is None else self.members(cut, f"segment_{self.number}")

    def place(
        self, journeys: sa.FromClause, source: sa.FromClause, at: ColumnElement[Any]
    ) -> ColumnElement[bool]:
        """On what the source is joined, for the value at a moment."""
        same = source.c.customer == journeys.c.customer
        if self.kind == "segment":
            return same
        if self.kind == "contract":
            return sa.and_(same, source.c.at == journeys.c.commitment_at)
        if self.kind == "step touch":
            return sa.and_(same, source.c.at == at)
        return sa.and_(same, at >= source.c.since, at < source.c.until)

    def touch(self, journeys: sa.FromClause, at: ColumnElement[Any]) -> ColumnElement[Any]:
        """The value of the first touch, if it was by then."""
        return sa.case((journeys.c.first_touch_at <= at, journeys.c[f"first_touch_{self.key}"]))


def dimensions(
    reader: Reader,
    cut: Cut,
    by: Sequence[str],
    *,
    cohort_stage: str | None,
    personal_names: Collection[str],
) -> list[Dimension]:
    """The breakdowns asked for.

    Raises:
        UnknownName: no customer has such a trait, and it is no field of a touch; or there is no
            such segment.
        Refused: it is sealed, or only later stages can carry it.
    """
    if isinstance(by, str):
        raise UsageError(f"by is a list of names: write [{by!r}]")
    scope = scope_of(reader)
    found = [
        replace(_dimension(name, scope, cohort_stage, personal_names), number=number)
        for number, name in enumerate(by)
    ]
    _check_different(found)
    check_traits(reader, cut, [one.key for one in found if one.kind == "trait"])
    return found


def _dimension(
    name: str, scope: Scope | None, cohort_stage: str | None, personal_names: Collection[str]
) -> Dimension:
    if name in TOUCH:
        return Dimension(name, _TOUCH_KINDS["first" if scope is None else scope.touch], name)
    if name.startswith(SEGMENT) and scope is not None:
        segment = scope.segment_named(name.removeprefix(SEGMENT))
        members = partial(scope.told_apart, segment)
        return Dimension(name, "segment", segment.label, members=members)
    if name in CONTRACT:
        if cohort_stage is None or STAGES.index(cohort_stage) < _KNOT:
            raise Refused(
                f"{name} is known only of those who signed: earlier stages would show all that"
                " became customers under a value and all others under none. Ask with"
                " cohort_stage=commitment (or later), or by trait." + name + " if it is a trait"
            )
        return Dimension(name, "contract", name)
    key = name.removeprefix(TRAIT)
    if key.lower() in {personal.lower() for personal in personal_names}:
        raise Refused(
            f"{key} is personal: it is sealed, so it is in no table and can't be a breakdown"
        )
    return Dimension(name, "trait", key)


def _check_different(found: Sequence[Dimension]) -> None:
    first: dict[tuple[str, str], str] = {}
    for one in found:
        said = first.get((one.kind, one.key))
        if said == one.name:
            raise UsageError(f"by names {said!r} twice")
        if said is not None:
            raise UsageError(f"by names one trait twice: {said!r} and {one.name!r} are the same")
        first[one.kind, one.key] = one.name


def check_traits(reader: Reader, cut: Cut, keys: Collection[str]) -> None:
    """Refuse a trait that nobody has.

    Raises:
        UnknownName: with the names that come near it, or all there are.
    """
    if not keys:
        return
    table = tables.facts["traits_observed"]
    names = sa.select(table.c.name).where(counts(table, cut)).distinct().order_by(table.c.name)
    known = [str(name) for name in reader.fetch(names).column(0).to_pylist()]
    for key in keys:
        if key in known:
            continue
        choices = [*TOUCH, *CONTRACT, *known]
        near = get_close_matches(key, choices, n=3)
        hint = f"did you mean {', '.join(near)}?" if near else f"there are: {', '.join(choices)}"
        raise UnknownName(f"nobody has a trait {key!r}; {hint}")


def distinct_values(reader: Reader, cut: Cut, dimension: Dimension) -> int:
    """How many values a breakdown has in the log, at most."""
    if dimension.kind == "segment":
        return 2
    if dimension.kind == "trait":
        table = tables.facts["traits_observed"]
        column, own = table.c.value, table.c.name == dimension.key
    else:
        name = "contract_signed" if dimension.kind == "contract" else "touched"
        table = tables.facts[name]
        column, own = table.c[dimension.key], sa.true()
    counted = sa.select(sa.func.count(column.distinct())).where(counts(table, cut), own)
    return int(reader.fetch(counted).column(0)[0].as_py())


def _believed(trait: str, cut: Cut, *, positions: bool) -> sa.Select[Any]:
    """What a trait was believed to be, and from when until when.

    A fact is known from when its sender knew it, else from when it happened (that day over, where
    only the day is known): how long this store took to record it hides nothing. Of what is known,
    what happened last holds.
    """
    table = tables.facts["traits_observed"]
    c = table.c
    order = sa.func.row_number().over(partition_by=c.customer, order_by=(c.occurred_at, c.position))
    said = (
        sa.select(
            c.customer,
            c.value,
            sa.func.coalesce(c.known_from, happened(c)).label("since"),
            order.label("place"),
            *([c.position] if positions else []),
        )
        .where(counts(table, cut), c.name == trait)
        .subquery("said")
    )
    # what is learnt late about an earlier time overrides nothing
    newest = sa.func.max(said.c.place).over(
        partition_by=said.c.customer, order_by=(said.c.since, said.c.place), rows=(None, 0)
    )
    told = sa.select(said, newest.label("newest")).subquery("told")
    following = sa.func.lead(told.c.since).over(
        partition_by=told.c.customer, order_by=(told.c.since, told.c.place)
    )
    return sa.select(
        told.c.customer,
        told.c.value,
        told.c.since,
        sa.func.coalesce(following, END).label("until"),
        *([told.c.position] if positions else []),
    ).where(told.c.place == told.c.newest)


def _latest_touches(field: str, cut: Cut, *, positions: bool) -> sa.Select[Any]:
    """A field of the last touch there was, and from when until when it was the last."""
    table = tables.facts["touched"]
    c = table.c
    following = sa.func.lead(c.occurred_at).over(
        partition_by=c.customer, order_by=(c.occurred_at, c.position)
    )
    return sa.select(
        c.customer,
        c[field].label("value"),
        c.occurred_at.label("since"),
        sa.func.coalesce(following, END).label("until"),
        *([c.position] if positions else []),
    ).where(counts(table, cut))


def _touches(field: str, cut: Cut, *, positions: bool) -> sa.Select[Any]:
    """A field of the touch at each moment; of several, the first recorded."""
    table = tables.facts["touched"]
    first = packed_min(table.c.position, table.c[field])
    rows = (
        sa.select(table.c.customer, table.c.occurred_at.label("at"), first.label("first"))
        .where(counts(table, cut))
        .group_by(table.c.customer, table.c.occurred_at)
        .subquery("touches")
    )
    return _first_told(rows, positions=positions)


def _signings(field: str, cut: Cut, *, positions: bool) -> sa.Select[Any]:
    """A field of the contract signed at each moment; of several, the first recorded."""
    table = tables.facts["contract_signed"]
    first = packed_min(table.c.position, table.c[field])
    rows = (
        sa.select(table.c.customer, table.c.occurred_at.label("at"), first.label("first"))
        .where(counts(table, cut), table.c.kind == "paid")
        .group_by(table.c.customer, table.c.occurred_at)
        .subquery("signed")
    )
    return _first_told(rows, positions=positions)


def _first_told(rows: sa.Subquery, *, positions: bool) -> sa.Select[Any]:
    """The value that the first recorded of several facts told."""
    value = packed_field(rows.c.first, 1, sa.String()).label("value")
    position = packed_field(rows.c.first, 0, sa.BigInteger()).label("position")
    return sa.select(rows.c.customer, rows.c.at, value, *([position] if positions else []))
