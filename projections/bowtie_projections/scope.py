"""Whom a question is about beside its unit, and how its breakdowns read touches.

A segment, tests asked ad hoc and the rule for touches reach a view with the tables that it reads:
it asks for its units (:class:`~bowtie_projections.views.units.Units`), and is given those of the
segment. So every view has them, and none has code for it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from bowtie.errors import UsageError
from bowtie.segments.segment import All, Segment
from bowtie.stages import Definition
from bowtie_projections.segments import Judging, everybody
from bowtie_projections.shadowing import Kept, Layer, Until, found_once
from bowtie_projections.views.cut import Cut, Reader
from bowtie_projections.views.journey_source import Needs, journeys_at, settled

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = [
    "TOUCH_RULES", "Entry", "Outside", "Scope", "Scoped", "both", "is_narrowed", "of_everybody",
    "scope_of",
]  # fmt: skip

#: Which touch a breakdown by a field of touches reads.
TOUCH_RULES = ("first", "last", "step")


@dataclass(frozen=True, slots=True)
class Entry:
    """A moment of each customer's own, as of which they are judged.

    Args:
        name: the stage that was entered, or another word.
        said: the same as one says it: ``entry into commitment``.
        rows: makes the statement with ``customer`` and ``entered_at``.
        alone: the question is of those alone who have such a moment.
    """

    name: str
    said: str
    rows: Callable[[Reader, Cut, Definition], sa.Select[Any]]
    alone: bool = False

    @classmethod
    def into(cls, stage: str) -> Entry:
        """When each customer entered a stage in the first cycle."""

        def rows(reader: Reader, cut: Cut, definition: Definition) -> sa.Select[Any]:
            c = journeys_at(reader, cut, definition, Needs()).c
            at = c[f"{stage}_at"]
            first = sa.select(c.customer, at.label("entered_at"))
            return first.where(c.cycle == 1, at.is_not(None))

        return cls(stage, f"entry into {stage}", rows)


@dataclass(frozen=True, slots=True)
class Outside:
    """How many of a unit are in the segment, and of how many.

    Args:
        unit: what is counted.
        inside: how many are in it.
        everybody: how many there are.
        moment: as of when it was judged.
        judging: what judged them.
        entry: the moment of each one's own at which they were judged; then there is no other.
    """

    unit: str
    inside: int
    everybody: int
    moment: datetime | None
    judging: Judging
    entry: Entry | None = None


@dataclass(slots=True)
class Scope:
    """What a question is narrowed to.

    Args:
        definition: what entering a stage means.
        segment: only its customers; None for all.
        as_of: when it is judged, if not as of the question's own moment.
        entry: each is judged as of a moment of their own instead.
        touch: one of :data:`TOUCH_RULES`.
        find: the segment of a name, for breakdowns.
        outside: how many are in it; known once the view has asked for its units.
    """

    definition: Definition
    segment: Segment | None = None
    as_of: datetime | None = None
    entry: Entry | None = None
    touch: str = "first"
    find: Callable[[str], Segment] | None = None
    outside: Outside | None = None
    _reader: Reader | None = field(default=None, repr=False)
    _layers: Sequence[Layer] = field(default=(), repr=False)
    _through: Callable[[Layer], Reader] | None = field(default=None, repr=False)
    _found: dict[tuple[str, Cut], sa.FromClause] = field(default_factory=dict, repr=False)

    def segment_named(self, name: str) -> Segment:
        """The segment of a name or a file.

        Raises:
            UnknownName: there is none.
        """
        if self.find is None:
            raise UsageError(f"segment:{name}: this question knows no segments")
        return self.find(name)

    def bind(
        self, reader: Reader, layers: Sequence[Layer], through: Callable[[Layer], Reader]
    ) -> None:
        """Judge customers as these units are; ``through`` reads their facts by one layer more."""
        self._reader, self._layers, self._through = reader, tuple(layers), through
        self._found.clear()

    def kept(self, unit: str, cut: Cut) -> Layer | None:
        """The layer that keeps the segment's customers; None where all are kept."""
        if self.segment is None:
            return None
        judging = self._judging(cut)
        rows = self._members(judging, self.segment, "segment")
        if self.outside is None:
            self.outside = self._counted(unit, cut, judging, rows)
        return Kept(rows)

    def told_apart(self, segment: Segment, cut: Cut, name: str) -> sa.Select[Any]:
        """Each customer, with the ``value`` whether they are in a segment."""
        known = everybody(cut).subquery("known")
        inside = self._members(self._judging(cut), segment, name)
        value = sa.case((inside.c.customer.is_not(None), "in"), else_="not in")
        return sa.select(known.c.customer, value.label("value")).select_from(
            known.outerjoin(inside, inside.c.customer == known.c.customer)
        )

    def _members(self, judging: Judging, segment: Segment, name: str) -> sa.FromClause:
        """Who is in a segment, judged once for all that is asked of these units."""
        key = (name, judging.cut)
        if key not in self._found:
            self._found[key] = judging.relation(segment.test, name)
        return self._found[key]

    def _judging(self, cut: Cut) -> Judging:
        if self._reader is None:
            raise UsageError("a segment is judged by units, and this view asks for none")
        if self.as_of is not None:
            cut = replace(cut, as_of=self.as_of, complete=False)
        cut = settled(self._reader, cut)
        if self.entry is None:
            return Judging(self._reader, self._layers, cut, self.definition)
        entries = self._entries(cut, self.entry)
        until = Until(entries)
        layers = [*self._layers, until]
        assert self._through is not None  # noqa: S101 - for the type checker
        return Judging(self._through(until), layers, cut, self.definition, entries)

    def _entries(self, cut: Cut, entry: Entry) -> sa.FromClause:
        """The moment of each customer's own."""
        assert self._reader is not None  # noqa: S101 - for the type checker
        key = (f"entries of {entry.name}", cut)
        if key not in self._found:
            rows = entry.rows(self._reader, cut, self.definition)
            self._found[key] = found_once(self._reader, rows, self._layers, "entries")
        return self._found[key]

    def _counted(self, unit: str, cut: Cut, judging: Judging, rows: Any) -> Outside:
        assert self._reader is not None  # noqa: S101 - for the type checker
        known: sa.FromClause = everybody(cut).subquery("known")
        if self.entry is not None and self.entry.alone:
            known = self._entries(judging.cut, self.entry)
        joined = known.outerjoin(rows, rows.c.customer == known.c.customer)
        numbers = sa.select(
            sa.func.count().label("everybody"), sa.func.count(rows.c.customer).label("inside")
        ).select_from(joined)
        found = self._reader.fetch(numbers).to_pylist()[0]
        return Outside(
            unit, found["inside"], found["everybody"], judging.cut.moment, judging, self.entry
        )


class Scoped:
    """The read tables, with what a question is narrowed to; views read them as they are."""

    def __init__(self, reader: Reader, scope: Scope) -> None:
        self._reader, self.scope = reader, scope
        self.position, self.has_links = reader.position, reader.has_links
        self.definition, self.definition_hash = reader.definition, reader.definition_hash

    @property
    def statements(self) -> list[str]:
        """The SQL that ran, in order."""
        return self._reader.statements

    def fetch(self, statement: sa.Select[*tuple[Any, ...]] | str) -> pa.Table:
        """The rows of a statement, over all facts."""
        return self._reader.fetch(statement)

    def keep(self, statement: sa.Select[*tuple[Any, ...]], name: str) -> sa.FromClause | None:
        """The rows of a statement, kept for this answer."""
        return self._reader.keep(statement, name)


def scope_of(reader: Reader) -> Scope | None:
    """What a reader's question is narrowed to, if anything."""
    return getattr(reader, "scope", None)


def of_everybody(reader: Reader) -> Reader:
    """The same tables with all customers: for what is asked of the data as a whole."""
    found: Reader = getattr(reader, "everybody", reader)
    return found


def is_narrowed(reader: Reader) -> bool:
    """Whether a view reads the facts of a segment's customers only."""
    return of_everybody(reader) is not reader


def both(segments: Sequence[Segment]) -> Segment | None:
    """Who is in all of the segments."""
    if len(segments) < 2:
        return segments[0] if segments else None
    label = " and ".join(one.label for one in segments)
    return Segment(label, None, "", All(tuple(one.test for one in segments)))
