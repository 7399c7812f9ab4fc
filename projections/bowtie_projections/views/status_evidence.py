"""Which events a count of the status is of, and whose they are."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import sqlalchemy as sa
from sqlalchemy.sql.elements import ColumnElement

from bowtie.stages import Definition
from bowtie_projections import tables
from bowtie_projections.evidence import Evidence, Trace, not_explained
from bowtie_projections.views.cut import Cut, Reader, counts
from bowtie_projections.views.status import COVERED, month_of
from bowtie_projections.views.units import Units, check_look_back, plural

__all__ = ["coverage", "months", "sources", "types"]

_EXPLAINED = ("events", "customers", "out_of_sequence", "retracted")


def _counted(
    reader: Reader,
    cut: Cut,
    definition: Definition,
    *,
    cell: Mapping[str, Any],
    column: str,
    row: Callable[[Mapping[str, Any], Mapping[str, Any]], ColumnElement[bool]],
    **asked: Any,
) -> Evidence:
    """Every event of a row; the members are whose they are."""
    if column not in _EXPLAINED:
        raise not_explained(column, _EXPLAINED)
    c = tables.events.c
    own = [c.position <= cut.position, row(cell, asked)]
    if column == "customers":
        own.append(c.kind == "customer")
    elif column == "out_of_sequence":
        own.append(c.out_of_sequence)
    elif column == "retracted":
        own.append(c.retracted_position <= cut.position)
    events = sa.select(c.subject.label("customer"), c.position).where(*own).cte("counted")
    number = sa.func.count().label("number")
    members = sa.select(events.c.customer, number).group_by(events.c.customer).subquery("whose")
    total = sa.cast(sa.func.coalesce(sa.func.sum(members.c.number), 0), sa.BigInteger())
    return Evidence(
        Units.of(reader, cut, "customer"),
        cut,
        definition,
        members,
        [Trace.facts("counted", events)],
        None if column == "customers" else total,
        # other streams than customers' have keys too
        "" if column == "customers" else "key",
    )


def _of_type(cell: Mapping[str, Any], asked: Mapping[str, Any]) -> ColumnElement[bool]:
    del asked
    return sa.and_(tables.events.c.type == cell["type"])


def _of_source(cell: Mapping[str, Any], asked: Mapping[str, Any]) -> ColumnElement[bool]:
    del asked
    return sa.and_(tables.events.c.source == cell["source"])


def _of_month(cell: Mapping[str, Any], asked: Mapping[str, Any]) -> ColumnElement[bool]:
    return sa.and_(month_of(asked["tz"]) == cell["month"])


#: The events of a type, of a source, of a month.
types = partial(_counted, row=_of_type)
sources = partial(_counted, row=_of_source)
months = partial(_counted, row=_of_month)


def coverage(
    reader: Reader,
    cut: Cut,
    definition: Definition,
    *,
    cell: Mapping[str, Any],
    column: str,
    **asked: Any,
) -> Evidence:
    """Who has at least one fact of a kind, and these facts."""
    counted = plural(asked["unit"])
    if column != counted:
        raise not_explained(column, [counted])
    units = Units.of(reader, cut, asked["unit"], check_look_back(asked["look_back"]))
    (table,) = (tables.facts[name] for name in COVERED[cell["what"]])
    facts = sa.select(table.c.customer, table.c.position).where(counts(table, cut))
    rows = facts.distinct().cte("covering")
    members = sa.select(rows.c.customer).distinct().subquery("covered")
    return Evidence(units, cut, definition, members, [Trace.facts(cell["what"], rows)])
