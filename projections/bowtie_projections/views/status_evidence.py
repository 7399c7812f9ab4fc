"""Which events a count of the status is of, and whose they are."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import sqlalchemy as sa
from sqlalchemy.sql.elements import ColumnElement

from bowtie_projections import tables
from bowtie_projections.evidence import Evidence, Figure, Trace, not_explained
from bowtie_projections.views.cut import counts
from bowtie_projections.views.status import COVERED, month_of
from bowtie_projections.views.units import Units, check_look_back, plural

__all__ = ["coverage", "months", "sources", "types"]

_EXPLAINED = ("events", "customers", "out_of_sequence", "retracted")


def _counted(
    figure: Figure, *, row: Callable[[Mapping[str, Any], Mapping[str, Any]], ColumnElement[bool]]
) -> Evidence:
    """Every event of a row; the members are whose they are."""
    column = figure.column
    if column not in _EXPLAINED:
        raise not_explained(column, _EXPLAINED)
    c = tables.events.c
    own = [c.position <= figure.cut.position, row(figure.cell, figure.asked)]
    if column == "customers":
        own.append(c.kind == "customer")
    elif column == "out_of_sequence":
        own.append(c.out_of_sequence)
    elif column == "retracted":
        own.append(c.retracted_position <= figure.cut.position)
    events = sa.select(c.subject.label("customer"), c.position).where(*own).cte("counted")
    number = sa.func.count().label("number")
    members = sa.select(events.c.customer, number).group_by(events.c.customer).subquery("whose")
    total = sa.cast(sa.func.coalesce(sa.func.sum(members.c.number), 0), sa.BigInteger())
    return Evidence(
        Units.of(figure.reader, figure.cut, "customer"),
        figure.cut,
        figure.definition,
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


def coverage(figure: Figure) -> Evidence:
    """Who has at least one fact of a kind, and these facts."""
    asked = figure.asked
    counted = plural(asked["unit"])
    if figure.column != counted:
        raise not_explained(figure.column, [counted])
    units = Units.of(figure.reader, figure.cut, asked["unit"], check_look_back(asked["look_back"]))
    (table,) = (tables.facts[name] for name in COVERED[figure.cell["what"]])
    facts = sa.select(table.c.customer, table.c.position).where(counts(table, figure.cut))
    rows = facts.distinct().cte("covering")
    members = sa.select(rows.c.customer).distinct().subquery("covered")
    return Evidence(
        units, figure.cut, figure.definition, members, [Trace.facts(figure.cell["what"], rows)]
    )
