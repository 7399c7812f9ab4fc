"""A stage definition as one SQL statement: the cycles of every customer.

:func:`cycles` gives, for each pass of a customer through the bowtie, the first and latest entry of
each stage and where it was lost. :func:`journey_rows` adds what ``journeys`` knows besides. A
definition pays only for what it uses: without losses there are no closes, without conditions that
look at the cycle there is one pass over the facts and one aggregation.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.sql.elements import ColumnElement

from bowtie.stages import STAGES, Definition
from bowtie_projections import tables
from bowtie_projections.conditions import Facts, plain_rows
from bowtie_projections.expressions import null, packed_field, packed_min
from bowtie_projections.matching import contextual, grouped, groups_of, placed_matches
from bowtie_projections.views.cut import Cut, counts

__all__ = ["BOOKKEEPING", "activity", "cycles", "first_touch", "journey_rows"]

_TOUCH = ("channel", "campaign", "medium", "touchpoint", "content")
#: Facts about the log itself, no sign of the customer.
BOOKKEEPING = ("retracted", "forgotten")


def cycles(
    definition: Definition,
    cut: Cut,
    customers: sa.FromClause | None = None,
    *,
    latest: bool = True,
) -> sa.Select[Any]:
    """The cycles of a definition at a cut, with the columns of ``journeys`` up to ``lost_side``.

    Args:
        definition: what enters a stage, and whether losses can be seen.
        cut: the facts that count. With ``as_of``, ends not yet seen then are no ends.
        customers: a relation with a column ``customer``, to look at those only.
        latest: whether the latest entries are asked for too; they cost as much as the first.
    """
    facts = Facts(cut, customers)
    suffixes = _BOTH if latest else _BOTH[:1]
    groups = groups_of(definition, facts)
    entries = _entries(definition, facts, groups, suffixes)
    if groups is None:
        whole = entries.subquery("entries")
        nothing = (null(sa.DateTime()), null(sa.DateTime()), null(sa.String()))
        return _cycle_columns(whole, sa.literal(1, sa.BigInteger()), nothing, suffixes)
    split = entries.cte("entries").prefix_with("MATERIALIZED")
    return _numbered(split, groups, suffixes)


def journey_rows(
    definition: Definition, cut: Cut, customers: sa.FromClause | None = None
) -> sa.Select[Any]:
    """The rows of the table ``journeys``: cycles, activity and first touch of their customers."""
    facts = Facts(cut, customers)
    found = cycles(definition, cut, customers).subquery("cycles")
    active, touch = activity(facts).subquery("activity"), first_touch(facts).subquery("touch")
    joined = found.join(active, active.c.customer == found.c.customer).outerjoin(
        touch, touch.c.customer == found.c.customer
    )
    return sa.select(
        *found.c,
        active.c.last_activity_at,
        active.c.first_seen_at,
        *(column for column in touch.c if column.name != "customer"),
    ).select_from(joined)


def activity(facts: Facts) -> sa.Select[Any]:
    """When each customer was first and last heard of."""
    table = tables.events
    customer = table.c.subject.label("customer")
    view = sa.select(
        customer,
        sa.func.max(table.c.occurred_at).label("last_activity_at"),
        sa.func.min(table.c.occurred_at).label("first_seen_at"),
    ).where(_counted_events(facts), table.c.kind == "customer", table.c.type.not_in(BOOKKEEPING))
    return view.group_by(table.c.subject)


def first_touch(facts: Facts) -> sa.Select[Any]:
    """The first touch of each customer, in either direction."""
    table = tables.facts["touched"]
    fields = [table.c[name] for name in _TOUCH]
    least = packed_min(table.c.occurred_at, table.c.position, *fields)
    first = (
        sa.select(table.c.customer, least.label("first"))
        .where(facts.counted(table))
        .group_by(table.c.customer)
        .subquery()
    )
    return sa.select(
        first.c.customer,
        packed_field(first.c.first, 0, sa.DateTime()).label("first_touch_at"),
        *(
            packed_field(first.c.first, index, sa.String()).label(f"first_touch_{name}")
            for index, name in enumerate(_TOUCH, start=2)
        ),
    )


def _counted_events(facts: Facts) -> ColumnElement[bool]:
    table = tables.events
    at_cut = counts(table, facts.cut)
    if facts.customers is None:
        return at_cut
    return sa.and_(at_cut, table.c.subject.in_(sa.select(facts.customers.c.customer)))


def _entries(
    definition: Definition, facts: Facts, groups: sa.CTE | None, suffixes: Sequence[str]
) -> sa.Select[Any]:
    """First (and latest) entry of each stage, by customer and group."""
    plain = grouped(plain_rows(definition, facts), groups)
    own = [plain.c[stage].label(f"{stage}_{suffix}") for stage in STAGES for suffix in suffixes]
    branches = [sa.select(plain.c.customer, plain.c.grp, *own)]
    for stage, found in contextual(definition, facts, groups, placed_matches):
        branches.append(_as_branch(stage, found, suffixes))
    rows = sa.union_all(*branches).subquery("matches")
    keys = [rows.c.customer] if groups is None else [rows.c.customer, rows.c.grp]
    folds: dict[str, Any] = {"at": sa.func.min, "latest": sa.func.max}
    folded = [
        folds[suffix](rows.c[f"{stage}_{suffix}"]).label(f"{stage}_{suffix}")
        for stage in STAGES
        for suffix in suffixes
    ]
    return sa.select(*keys, *folded).group_by(*keys)


def _as_branch(stage: str, found: sa.FromClause, suffixes: Sequence[str]) -> sa.Select[Any]:
    """The matches of one stage beside nothing of the others."""
    columns = [
        (found.c[suffix] if of == stage else null(sa.DateTime())).label(f"{of}_{suffix}")
        for of in STAGES
        for suffix in suffixes
    ]
    return sa.select(found.c.customer, found.c.grp, *columns)


def _numbered(entries: sa.CTE, groups: sa.CTE, suffixes: Sequence[str]) -> sa.Select[Any]:
    """Cycles in order; customers without closes have one and need no ordering."""
    nothing = (null(sa.DateTime()), null(sa.DateTime()), null(sa.String()))
    single = _cycle_columns(entries, sa.literal(1, sa.BigInteger()), nothing, suffixes)
    number = sa.func.row_number().over(partition_by=entries.c.customer, order_by=entries.c.grp)
    closed = sa.case((groups.c.side.is_not(None), groups.c.until))
    lost = (closed, groups.c.seen, groups.c.side)
    several = _cycle_columns(entries, number, lost, suffixes).join_from(
        entries,
        groups,
        sa.and_(groups.c.customer == entries.c.customer, groups.c.grp == entries.c.grp),
    )
    both = sa.union_all(single.where(entries.c.grp.is_(None)), several).subquery()
    return sa.select(*both.c)


def _cycle_columns(
    entries: sa.FromClause,
    cycle: ColumnElement[Any],
    lost: tuple[ColumnElement[Any], ColumnElement[Any], ColumnElement[Any]],
    suffixes: Sequence[str],
) -> sa.Select[Any]:
    c = entries.c
    return sa.select(
        c.customer,
        cycle.label("cycle"),
        sa.func.least(*(c[f"{stage}_at"] for stage in STAGES)).label("opened_at"),
        *(c[f"{stage}_{suffix}"] for stage in STAGES for suffix in suffixes),
        *(value.label(name) for value, name in zip(lost, _LOST, strict=True)),
    )


#: The columns of a stage: its first entry, its latest.
_BOTH = ("at", "latest")
_LOST = ("lost_at", "lost_seen_at", "lost_side")
