"""What stands behind a figure: its members, and the facts that put them there.

A view that can be explained has, beside itself, a function ``evidence(figure) -> Evidence``. It
selects the members of that one :class:`Figure`, each with the moments or positions that matter, and
says what each of these is:

>>> rows = sa.table("members", *map(sa.column, ("customer", "cycle", "at", "next_at")))
>>> traces = [Trace.entry("selection", rows.c.at), Trace.entry("commitment", rows.c.next_at)]
>>> [trace.role for trace in traces]
['entered selection', 'entered commitment']

:mod:`bowtie_projections.explaining` counts the members against the figure and finds the facts: a
view need not know which fact met which condition. A line in its ``EVIDENCE`` names the function of
each view that can be explained.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from inspect import signature
from typing import Any

import sqlalchemy as sa
from sqlalchemy.sql.elements import ColumnElement

from bowtie.errors import UsageError
from bowtie.stages import Definition
from bowtie_projections import tables
from bowtie_projections.closes import closing_facts
from bowtie_projections.conditions import Facts
from bowtie_projections.cycles import BOOKKEEPING
from bowtie_projections.entering import entering_facts
from bowtie_projections.views.breakdown import Dimension
from bowtie_projections.views.cut import Cut, Reader, counts
from bowtie_projections.views.funnel.members import WORDS
from bowtie_projections.views.labels import apart_in_sql
from bowtie_projections.views.units import Units

__all__ = [
    "Evidence", "Figure", "Trace", "every_parameter", "has_values", "named_values", "not_explained",
]  # fmt: skip


@dataclass(frozen=True, slots=True)
class Figure:
    """A figure of an answer: what was asked, and where in the answer it stands.

    Args:
        reader: the read tables.
        cut: where the view was asked.
        definition: what entering a stage means.
        asked: the parameters of the view, all of them.
        cell: the row of the answer, or of its part, that holds the figure.
        column: the column that it stands in.
    """

    reader: Reader
    cut: Cut
    definition: Definition
    asked: Mapping[str, Any]
    cell: Mapping[str, Any]
    column: str


@dataclass(frozen=True, slots=True)
class Trace:
    """One thing that facts say of a member; made by the methods below.

    Args:
        role: what it is, in the words of the answer.
        kind: how its facts are found.
        value: the moment or the position, a column of the members; null where there is none.
        stage: the stage entered.
        rows: of several facts each, ``customer``, ``position`` and, where it matters, ``cycle``;
            ``subject``, where they may stand in the stream of somebody else.
    """

    role: str
    kind: str
    value: ColumnElement[Any]
    stage: str = ""
    rows: sa.FromClause | None = None

    @classmethod
    def entry(cls, stage: str, at: ColumnElement[Any], role: str = "") -> Trace:
        """A stage was entered at a moment: by the facts that met its conditions then."""
        return cls(role or f"entered {stage}", "entry", at, stage)

    @classmethod
    def loss(cls, at: ColumnElement[Any]) -> Trace:
        """A cycle was lost at a moment; the role says how, such as ``contract ran out``."""
        return cls("", "loss", at)

    @classmethod
    def heard(cls, at: ColumnElement[Any], role: str = "last heard of") -> Trace:
        """Any fact of the member at a moment, such as the last before a silence."""
        return cls(role, "heard", at)

    @classmethod
    def fact(cls, role: str, position: ColumnElement[Any]) -> Trace:
        """The fact at a position."""
        return cls(role, "fact", position)

    @classmethod
    def facts(cls, role: str, rows: sa.FromClause) -> Trace:
        """Several facts of each member: rows with ``customer``, ``position`` (and ``cycle``).

        Facts of somebody else, such as who referred the member, have their key in ``subject``.
        """
        return cls(role, "facts", sa.null(), rows=rows)


@dataclass(frozen=True, slots=True)
class Evidence:
    """The members of one figure, and what is to be told of them.

    Args:
        units: what a member is; the facts are read under their keys.
        cut: the facts that count, settled as the view settled it.
        definition: what entered a stage.
        members: one row each, with ``customer``, ``cycle`` where it is told apart by it, and what
            the traces and ``value`` are made of.
        traces: what facts say of them.
        value: the figure, as an aggregate over the members; how many they are, if it is None.
        called: what a member is called, if it is none of the units.
        finish: what the view does with the figure after SQL, such as rounding it.
        mean: the figure is the mean of the members: ``value``, their sum, over how many they are;
            ``finish`` is given it as an exact fraction.
        notes: what to know before taking the facts for all that made the figure.
    """

    units: Units
    cut: Cut
    definition: Definition
    members: sa.FromClause
    traces: Sequence[Trace]
    value: ColumnElement[Any] | None = None
    called: str = ""
    finish: Callable[[Any], Any] | None = None
    mean: bool = False
    notes: Sequence[str] = ()

    @property
    def has_cycles(self) -> bool:
        """Whether members are told apart by their cycle."""
        return "cycle" in self.members.c

    def figure(self) -> sa.Select[Any]:
        """One row: how many ``members`` there are, how many different ones, and the ``value``."""
        c, number = self.members.c, sa.func.count()
        keys = [c.customer, *([c.cycle] if self.has_cycles else [])]
        one_each = sa.select(*keys).distinct().subquery("one_each")
        different = sa.select(sa.func.count()).select_from(one_each).scalar_subquery()
        value = number if self.value is None else self.value
        return sa.select(
            number.label("members"), different.label("different"), value.label("value")
        ).select_from(self.members)

    def facts(self) -> sa.Select[Any]:
        """The facts of the members: ``customer``, ``cycle``, ``role``, ``place``, ``position``.

        A member without any has one row, of nulls. ``place`` is that of the trace; ``subject`` the
        key that the fact counts for.
        """
        members = self._members()
        # once for all: PostgreSQL, where it takes few members for one, finds them for each anew
        found = _once(sa.select(sa.union_all(*self._found(members)).subquery()), "evidence_found")
        m, f = members.c, found.c
        same = sa.and_(f.customer == m.customer, f.cycle.is_not_distinct_from(m.cycle))
        return (
            sa.select(m.customer, m.cycle, f.role, f.place, f.position, f.subject)
            .select_from(members.outerjoin(found, same))
            .distinct()
        )

    def _members(self) -> sa.CTE:
        c = self.members.c
        cycle = c.cycle if self.has_cycles else sa.null()
        own = [
            trace.value.label(f"value_{place}")
            for place, trace in enumerate(self.traces)
            if trace.rows is None
        ]
        rows = sa.select(c.customer, sa.cast(cycle, sa.BigInteger()).label("cycle"), *own)
        return rows.select_from(self.members).cte("evidence_members").prefix_with("MATERIALIZED")

    def _found(self, members: sa.CTE) -> list[sa.Select[Any]]:
        """The facts of each trace; and no fact, so that each column has its type in any case."""
        m, sources = members.c, self._sources(members)
        nowhere = sa.cast(sa.null(), sa.BigInteger())
        found = [_row(members, sa.null(), 0, nowhere).where(sa.false())]
        for place, trace in enumerate(self.traces):
            rows = sources.get(trace.kind) if trace.rows is None else trace.rows
            role: ColumnElement[Any] = sa.literal(trace.role)
            if trace.kind == "fact":
                value = m[f"value_{place}"]
                found.append(_row(members, role, place, value).where(value.is_not(None)))
            if rows is None:
                continue
            on = rows.c.customer == m.customer
            if trace.rows is None:
                on = sa.and_(on, rows.c["at"] == m[f"value_{place}"])
            elif "cycle" in rows.c:
                on = sa.and_(on, rows.c.cycle == m.cycle)
            if trace.kind == "entry":
                on = sa.and_(on, rows.c.stage == trace.stage)
            elif trace.kind == "loss":
                role = rows.c.how
            subject = rows.c.subject if "subject" in rows.c else None
            row = _row(members, role, place, rows.c.position, subject)
            found.append(row.select_from(members.join(rows, on)))
        return found

    def _sources(self, members: sa.CTE) -> dict[str, sa.FromClause]:
        """The facts that are found by a moment, by the kind of what they tell."""
        kinds = {trace.kind for trace in self.traces}
        found: dict[str, sa.FromClause] = {}
        if "entry" in kinds:
            stages = {trace.stage for trace in self.traces if trace.kind == "entry"}
            facts = Facts(self.cut, members, "entry_")
            found["entry"] = _once(entering_facts(self.definition, facts, stages), "entering")
        if "loss" in kinds and self.definition.loss != "none":
            facts = Facts(self.cut, members, "close_")
            found["loss"] = _once(closing_facts(self.definition, facts), "closing")
        if "heard" in kinds:
            c = tables.events.c
            signs = sa.and_(c.kind == "customer", c.type.not_in(BOOKKEEPING))
            heard = sa.select(c.subject.label("customer"), c.occurred_at.label("at"), c.position)
            found["heard"] = heard.where(counts(tables.events, self.cut), signs).subquery("heard")
        return found


def every_parameter(view: Callable[..., Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """All parameters of a view: those given, and what the others are by default.

    >>> def view(reader, *, unit="customer", tz="UTC"): ...
    >>> every_parameter(view, {"tz": "CET"})
    {'unit': 'customer', 'tz': 'CET'}
    """
    return {
        name: given.get(name, parameter.default)
        for name, parameter in signature(view).parameters.items()
        if parameter.kind is parameter.KEYWORD_ONLY
    }


def has_values(
    rows: sa.FromClause,
    by: Sequence[Dimension],
    kept: Collection[str],
    cell: Mapping[str, Any],
    taken: Collection[str],
) -> ColumnElement[bool]:
    """The members whose breakdowns have the values of a row of the answer, as it names them.

    Args:
        rows: with the column of each breakdown.
        by: the breakdowns.
        kept: those of them whose values SQL has named already, because others are put together.
        cell: the row.
        taken: the other columns of the answer, after which a breakdown's may be called otherwise.
    """
    parts: list[ColumnElement[bool]] = []
    for one, named in zip(by, named_values(rows, by, kept), strict=True):
        wanted = cell[one.title(taken)]
        parts.append(named.is_(None) if wanted is None else named == wanted)
    return sa.and_(sa.true(), *parts)


def named_values(
    rows: sa.FromClause, by: Sequence[Dimension], kept: Collection[str]
) -> list[ColumnElement[Any]]:
    """The values of breakdowns as an answer names them; null where there is none.

    Args:
        rows: with the column of each breakdown.
        by: the breakdowns.
        kept: those of them whose values SQL has named already.
    """
    return [
        rows.c[one.column] if one.name in kept else apart_in_sql(rows.c[one.column], WORDS)
        for one in by
    ]


def not_explained(column: str, known: Iterable[str], why: str = "") -> UsageError:
    """Behind a column stand no members of its own."""
    said = f" ({why})" if why else ""
    return UsageError(f"{column} has no members to name{said}; explain one of: {', '.join(known)}")


def _once(rows: sa.Select[Any], name: str) -> sa.CTE:
    return rows.cte(name).prefix_with("MATERIALIZED")


def _row(
    members: sa.CTE,
    role: ColumnElement[Any],
    place: int,
    position: ColumnElement[Any],
    subject: ColumnElement[Any] | None = None,
) -> sa.Select[Any]:
    return sa.select(
        members.c.customer,
        members.c.cycle,
        sa.cast(role, sa.String()).label("role"),
        sa.literal_column(str(place), sa.Integer()).label("place"),
        position.label("position"),
        (members.c.customer if subject is None else subject).label("subject"),
    )
