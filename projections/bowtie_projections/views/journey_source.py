"""One row for each customer and cycle, at any cut: from a table, or else from the facts.

The table ``journeys`` answers only for the tables' own position, the store's default definition and
a moment that no fact is after. All else is read from the facts; a property test holds both equal.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any

import sqlalchemy as sa
from sqlalchemy.sql.elements import ColumnElement

from bowtie.events import DOCUMENT_KINDS
from bowtie.stages import STAGES, Definition
from bowtie_projections import tables
from bowtie_projections.conditions import Facts
from bowtie_projections.cycles import activity, cycles, first_touch, journey_rows
from bowtie_projections.expressions import span
from bowtie_projections.views.cut import Cut, Reader, counts
from bowtie_projections.written import Written, written_rows

__all__ = [
    "Needs", "first_of", "journeys_at", "newest_fact", "oldest_fact", "settled",
    "settled_through",
]  # fmt: skip


@dataclass(frozen=True, slots=True)
class Needs:
    """What a question needs to know of a journey beside its cycles."""

    touch: bool = False
    activity: bool = False


def newest_fact(reader: Reader, cut: Cut) -> datetime | None:
    """When the newest fact at the cut's position happened; None where there is none.

    That a customer was forgotten, or that a document was published, is no fact of the world:
    figures must stay as they were.
    """
    c = tables.events.c
    facts = (
        counts(tables.events, Cut(cut.position)),
        c.type != "forgotten",
        c.kind.not_in(sorted(DOCUMENT_KINDS | {"profile"})),
    )
    return first_of(reader, c.occurred_at, c.occurred_at.desc(), facts)


def oldest_fact(reader: Reader, cut: Cut) -> datetime | None:
    """When the first fact of any customer happened; None where there is none."""
    c = tables.events.c
    facts = counts(tables.events, cut), c.kind == "customer"
    return first_of(reader, c.occurred_at, c.occurred_at, facts)


def first_of(
    reader: Reader,
    column: ColumnElement[Any],
    order: ColumnElement[Any],
    where: Sequence[ColumnElement[bool]],
) -> datetime | None:
    """The first time of a column in an order; None where there is none.

    Where a log lies nearly in the order of time this skips what can't be first, as an aggregate
    over ten million rows does not.
    """
    rows = sa.select(column).where(column.is_not(None), *where).order_by(order).limit(1)
    found = reader.fetch(rows).column(0)
    return found[0].as_py() if len(found) else None


def settled(reader: Reader, cut: Cut) -> Cut:
    """The cut with a moment to ask as of, and whether anything at its position happened later."""
    if cut.complete:
        return cut
    newest = newest_fact(reader, cut)
    if cut.moment is None:
        return replace(cut, as_of=newest, complete=True)
    return replace(cut, complete=newest is None or newest <= cut.moment)


def settled_through(reader: Reader, cut: Cut, data_through: datetime | None) -> Cut:
    """The settled cut; as of ``data_through``, where the data is not complete up to its moment."""
    cut = settled(reader, cut)
    if data_through is None or cut.moment is None or data_through >= cut.moment:
        return cut
    return settled(reader, replace(cut, as_of=data_through, complete=False))


def journeys_at(
    reader: Reader,
    cut: Cut,
    definition: Definition,
    needs: Needs,
    lost_after: timedelta | None = None,
) -> sa.FromClause:
    """The journeys at a settled cut.

    Where the facts have to be read for them, they are read once for all that is asked of these
    journeys, if the database can keep the rows.

    Args:
        reader: the read tables.
        cut: from :func:`settled`.
        definition: what entering a stage means.
        needs: what is needed beside the cycles; what isn't is not computed.
        lost_after: silence so long is a loss, of a customer's open cycle.

    Returns:
        A relation with ``customer``, ``cycle``, ``opened_at``, the entry of each stage, ``lost_at``
        (null while the loss could not be seen), ``lost_inferred``, and what was needed.
    """
    here = reader.position == cut.position and _follows(reader, definition)
    if here and cut.complete:
        rows, named = _from_table(reader, cut, definition), False
    else:
        rows, named = _from_facts(cut, definition, needs), True
    view = sa.select(*_columns(rows, cut, needs, lost_after))
    if not named:
        return view.subquery("journeys_at")
    kept = reader.keep(view, "journeys_at")
    return view.cte("journeys_at").prefix_with("MATERIALIZED") if kept is None else kept


def _follows(reader: Reader, definition: Definition) -> bool:
    """Whether ``journeys`` was made by this very definition; another may have the same label."""
    made_by = (reader.definition, reader.definition_hash)
    return made_by == (definition.label, definition.sha256)


def _columns(
    rows: sa.FromClause, cut: Cut, needs: Needs, lost_after: timedelta | None
) -> list[ColumnElement[Any]]:
    c = rows.c
    lost: ColumnElement[Any] = c.lost_at
    if cut.moment is not None:
        lost = sa.case((c.lost_seen_at <= cut.moment, c.lost_at))
    inferred: ColumnElement[Any] = sa.false()
    if lost_after is not None and cut.moment is not None:
        silent = c.last_activity_at + span(lost_after)
        inferred = sa.and_(lost.is_(None), silent <= cut.moment)
        lost = sa.case((inferred, silent), else_=lost)
    chosen: list[ColumnElement[Any]] = [
        c.customer,
        c.cycle,
        c.opened_at,
        *(c[f"{stage}_at"] for stage in STAGES),
    ]
    chosen += [lost.label("lost_at"), inferred.label("lost_inferred")]
    if needs.touch:
        chosen += [column for column in c if column.name.startswith("first_touch_")]
    if needs.activity:
        chosen += [c.last_activity_at, c.first_seen_at]
    return chosen


def _from_table(reader: Reader, cut: Cut, definition: Definition) -> sa.FromClause:
    """The table; but of customers with a loss in its grace and facts since, what was known then.

    The table was made with all that can ever be known: there the end of a contract has parted the
    cycles already. Until the grace is over it has not.
    """
    table = tables.journeys
    if cut.moment is None or definition.loss == "none":
        return table
    c = table.c
    in_grace = sa.and_(c.lost_seen_at > cut.moment, c.last_activity_at > c.lost_at)
    if not reader.fetch(sa.select(sa.func.count()).select_from(table).where(in_grace))[0][
        0
    ].as_py():
        return table
    concerned = (
        sa.select(c.customer).where(in_grace).distinct().cte("in_grace").prefix_with("MATERIALIZED")
    )
    others = sa.select(table).where(c.customer.not_in(sa.select(concerned.c.customer)))
    anew = journey_rows(definition, cut, concerned)
    return sa.union_all(others, anew).subquery("journeys")


def _from_facts(cut: Cut, definition: Definition, needs: Needs) -> sa.FromClause:
    written = _written(definition, needs, timed=cut.moment is not None, complete=cut.complete)
    return written_rows(written, cut, "from_facts")


@lru_cache(maxsize=64)
def _written(definition: Definition, needs: Needs, *, timed: bool, complete: bool) -> Written:
    return Written(lambda cut: _found(cut, definition, needs), timed=timed, complete=complete)


def _found(cut: Cut, definition: Definition, needs: Needs) -> sa.Select[Any]:
    found = cycles(definition, cut, latest=False).subquery("cycles")
    facts = Facts(cut)
    columns: list[ColumnElement[Any]] = [*found.c]
    joined: sa.FromClause = found
    for needed, statement in ((needs.activity, activity(facts)), (needs.touch, first_touch(facts))):
        if not needed:
            continue
        more = statement.subquery()
        joined = joined.outerjoin(more, more.c.customer == found.c.customer)
        columns += [column for column in more.c if column.name != "customer"]
    return sa.select(*columns).select_from(joined)
