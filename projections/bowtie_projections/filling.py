"""What a batch changes in the read tables: new facts, facts retracted, journeys recomputed.

Each function works inside the caller's transaction. Rows go in through Arrow, never one by one.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import sqlalchemy as sa

from bowtie_projections import tables
from bowtie_projections.columns import Columns
from bowtie_projections.cycles import journey_rows
from bowtie_projections.shadowing import Links, shadowed
from bowtie_projections.views.cut import Cut

if TYPE_CHECKING:
    from bowtie.stages import Definition
    from bowtie_projections.databases.contract import Writing

__all__ = ["apply_retractions", "insert_columns", "recompute_journeys"]

_PAIRS = sa.table("pairs", sa.column("position"), sa.column("type"), sa.column("by"))
#: No position is greater.
_EVERYTHING = 2**63 - 1
_CUSTOMERS = sa.table("touched_customers", sa.column("customer"))


def insert_columns(writing: Writing, batches: Sequence[Columns]) -> None:
    """Insert the rows of some batches."""
    _insert(writing, tables.events, [batch.events for batch in batches])
    _insert(writing, tables.skipped, [batch.skipped for batch in batches])
    for name, table in tables.facts.items():
        _insert(writing, table, [batch.facts[name] for batch in batches if name in batch.facts])


def _insert(writing: Writing, table: sa.Table, parts: Iterable[pa.Table]) -> None:
    rows = [part for part in parts if part.num_rows]
    if rows:
        writing.insert(table, pa.concat_tables(rows))


def apply_retractions(writing: Writing, after: int) -> None:
    """Mark the facts whose retraction or which themselves were recorded after a position.

    A retraction names a fact of its own kind and subject, may come before it, and is itself never
    retracted. Of several the first counts, so the result is the same in any batching.
    """
    retractions = tables.facts["retracted"]
    ((last,),) = writing.rows(sa.select(sa.func.max(retractions.c.position)))
    if last is None:
        return
    with writing.temporary(_PAIRS.name, _pairs(after, last)):
        found = writing.rows(sa.select(_PAIRS.c.type).distinct())
        for name in ["events", *sorted(name for (name,) in found)] if found else []:
            table = tables.metadata.tables[name]
            writing.run(
                sa.update(table)
                .values(retracted_position=_PAIRS.c.by)
                .where(table.c.position == _PAIRS.c.position)
            )


def _pairs(after: int, last: int) -> sa.Select[tuple[int, str, int]]:
    """Facts not yet marked, with the first retraction that names them."""
    fact, retraction = tables.events.alias("fact"), tables.events.alias("retraction")
    named = tables.facts["retracted"]
    pairs = (
        sa.select(fact.c.position, fact.c.type, sa.func.min(retraction.c.position).label("by"))
        .select_from(named)
        .join(
            retraction,
            sa.and_(retraction.c.type == "retracted", retraction.c.position == named.c.position),
        )
        .join(
            fact,
            sa.and_(
                fact.c.source == named.c.of_source,
                fact.c.id == named.c.of_id,
                fact.c.kind == retraction.c.kind,
                fact.c.subject == retraction.c.subject,
            ),
        )
        .where(fact.c.type != "retracted", fact.c.retracted_position.is_(None))
        .group_by(fact.c.position, fact.c.type)
    )
    # without a new retraction, only a new fact can complete a pair
    return pairs.where(fact.c.position > after) if last <= after else pairs


def recompute_journeys(
    writing: Writing, definition: Definition, position: int, after: int | None = None
) -> None:
    """Bring the table ``journeys`` to a position.

    Args:
        writing: the tables; they hold nothing of a later position.
        definition: what the journeys follow.
        position: where they shall stand.
        after: recompute only the customers with events recorded after this position.
    """
    journeys = tables.journeys
    linked = bool(writing.rows(sa.select(tables.identities.c.customer).limit(1)))
    if after is None:
        writing.run(sa.delete(journeys))
        writing.run_again(_inserting(definition, some=False, linked=linked))
        return
    touched = _concerned(after, position) if linked else _touched(after)
    with writing.temporary(_CUSTOMERS.name, touched):
        those = journeys.c.customer.in_(sa.select(_CUSTOMERS.c.customer))
        writing.run(sa.delete(journeys).where(those))
        writing.run_again(_inserting(definition, some=True, linked=linked))


def _touched(after: int) -> sa.Select[Any]:
    """The keys with events recorded after a position."""
    c = tables.events.c
    return (
        sa.select(c.subject.label("customer")).where(c.kind == "customer", c.position > after)
    ).distinct()


def _concerned(after: int, position: int) -> sa.Select[Any]:
    """The customers of these keys, and whom a link has joined or parted since."""
    keys, links, moved = (
        _touched(after).subquery("keys"),
        Links(position).links.subquery(),
        (tables.identities),
    )
    theirs = sa.select(
        sa.func.coalesce(links.c.canonical, keys.c.customer).label("customer")
    ).select_from(keys.outerjoin(links, links.c.customer == keys.c.customer))
    lately = sa.or_(moved.c.from_position > after, moved.c.to_position > after)
    sides = [sa.select(side).where(lately) for side in (moved.c.customer, moved.c.canonical)]
    return sa.select(sa.union(theirs, *sides).subquery("concerned"))


@lru_cache(maxsize=16)
def _inserting(definition: Definition, *, some: bool, linked: bool) -> sa.Insert:
    """The journeys of all facts that the tables hold: of all customers, or of some.

    Made once for each definition: it is long, and a log that is followed asks for it all the time.
    """
    rows = journey_rows(definition, Cut(_EVERYTHING), _CUSTOMERS if some else None)
    found = shadowed(rows, [Links(_EVERYTHING)] if linked else [])
    names = [column.name for column in found.selected_columns]
    return sa.insert(tables.journeys).from_select(names, found)
