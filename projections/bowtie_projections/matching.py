"""What conditions find in its place in a cycle: after other stages' entries, and the n-th of it.

The facts of each customer fall into groups, one between any two closes; a cycle is one of these.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.sql.elements import ColumnElement

from bowtie.fields import Stage
from bowtie.stages import Condition, Definition
from bowtie_projections.closes import closes
from bowtie_projections.conditions import Facts, condition_rows, plain_rows
from bowtie_projections.expressions import BEGINNING, END, null, span

__all__ = [
    "Matches",
    "contextual",
    "grouped",
    "groups_of",
    "placed_matches",
    "placed_rows",
]

#: What is told of a condition: from it, the facts, the groups and the entries of other stages.
Matches = Callable[[Condition, Facts, "sa.CTE | None", "dict[str, sa.CTE]"], "sa.Select[Any]"]


def groups_of(definition: Definition, facts: Facts) -> sa.CTE | None:
    """The spans between closes of the customers that have any: (since, until] and its number.

    None where the definition sees no losses.
    """
    if definition.loss == "none":
        return None
    closed = closes(definition, facts)
    before = sa.func.lag(closed.c.at).over(partition_by=closed.c.customer, order_by=closed.c.at)
    number = sa.func.row_number().over(partition_by=closed.c.customer, order_by=closed.c.at)
    ended = sa.select(
        closed.c.customer,
        (number - 1).label("grp"),
        sa.func.coalesce(before, BEGINNING).label("since"),
        closed.c.at.label("until"),
        closed.c.seen,
        closed.c.side,
    )
    last = sa.select(
        closed.c.customer,
        sa.func.count(),
        sa.func.max(closed.c.at),
        END,
        null(sa.DateTime()),
        null(sa.String()),
    ).group_by(closed.c.customer)
    return sa.union_all(ended, last).cte(f"{facts.prefix}groups").prefix_with("MATERIALIZED")


def _in_group(groups: sa.CTE, rows: sa.FromClause) -> ColumnElement[bool]:
    c = groups.c
    return sa.and_(c.customer == rows.c.customer, rows.c.at > c.since, rows.c.at <= c.until)


def grouped(rows: sa.FromClause, groups: sa.CTE | None) -> sa.Subquery:
    """The rows with the number of their group, null where the customer has no closes."""
    if groups is None:
        return sa.select(*rows.c, null(sa.BigInteger()).label("grp")).subquery()
    joined = rows.outerjoin(groups, _in_group(groups, rows))
    return sa.select(*rows.c, groups.c.grp).select_from(joined).subquery()


def contextual(
    definition: Definition, facts: Facts, groups: sa.CTE | None, matches: Matches
) -> list[tuple[str, sa.FromClause]]:
    """What the conditions that look at the cycle find, each with its stage.

    Args:
        definition: whose conditions they are.
        facts: what they are looked for in.
        groups: from :func:`groups_of`.
        matches: what is told of each condition: ``customer``, ``grp``, ``at`` at least.
    """
    found: list[tuple[str, sa.FromClause]] = []
    needed = {
        of
        for conditions in definition.conditions.values()
        for c in conditions
        for of in c.refers_to
    }
    entered: dict[str, sa.CTE] = {}
    for stage in definition.order:
        own: list[sa.FromClause] = [
            matches(condition, facts, groups, entered).cte(f"{facts.prefix}{stage}_{number}")
            for number, condition in enumerate(definition.conditions[stage])
            if not condition.plain
        ]
        if stage in needed:
            entered[stage] = _entered(definition, stage, own, facts, groups)
        found += [(stage, one) for one in own]
    return found


def _entered(
    definition: Definition,
    stage: Stage,
    contextual: Sequence[sa.FromClause],
    facts: Facts,
    groups: sa.CTE | None,
) -> sa.CTE:
    """The entry of one stage by customer and group, with the end of the group."""
    plain = grouped(plain_rows(definition, facts, stages=(stage,)), groups)
    rows = sa.union_all(
        sa.select(plain.c.customer, plain.c.grp, plain.c.at),
        *(sa.select(other.c.customer, other.c.grp, other.c["at"]) for other in contextual),
    ).subquery()
    entry = (
        sa.select(rows.c.customer, rows.c.grp, sa.func.min(rows.c.at).label("at"))
        .group_by(rows.c.customer, rows.c.grp)
        .subquery()
    )
    since, until = BEGINNING, END
    joined: sa.FromClause = entry
    if groups is not None:
        same = sa.and_(groups.c.customer == entry.c.customer, groups.c.grp == entry.c.grp)
        joined = entry.outerjoin(groups, same)
        since = sa.func.coalesce(groups.c.since, BEGINNING)
        until = sa.func.coalesce(groups.c.until, END)
    return (
        sa.select(*entry.c, since.label("since"), until.label("until"))
        .select_from(joined)
        .cte(f"{facts.prefix}entered_{stage}")
        .prefix_with("MATERIALIZED")
    )


def placed_matches(
    condition: Condition, facts: Facts, groups: sa.CTE | None, entered: dict[str, sa.CTE]
) -> sa.Select[Any]:
    """First and latest match of a condition by customer and group."""
    rows = placed_rows(condition, facts, groups, entered)
    if condition.nth > 1:
        return _nth_matches(condition, rows)
    return _first_and_latest(rows, rows.c.at, rows.c.at)


def placed_rows(
    condition: Condition, facts: Facts, groups: sa.CTE | None, entered: dict[str, sa.CTE]
) -> sa.FromClause:
    """The facts that meet a condition in their place in a cycle, before they are counted."""
    rows = condition_rows(condition, facts)
    if condition.refers_to:
        return _after_entries(condition, rows, entered)
    return grouped(rows, groups)


def _after_entries(
    condition: Condition, rows: sa.FromClause, entered: dict[str, sa.CTE]
) -> sa.Subquery:
    """The rows whose place after other stages' entries, in their own group, is right."""
    joined, groups = rows, []
    asked: list[tuple[Stage | None, timedelta | None]] = [(condition.after, None)]
    if condition.within is not None:
        asked.append((condition.within.of, condition.within.time))
    for stage, longest in asked:
        if stage is None:
            continue
        entry = entered[stage].alias()
        test = [
            entry.c.customer == rows.c.customer,
            rows.c.at >= entry.c.at,
            rows.c.at > entry.c.since,
            rows.c.at <= entry.c.until,
        ]
        if longest is not None:
            test.append(rows.c.at <= entry.c.at + span(longest))
        joined = joined.join(entry, sa.and_(*test))
        groups.append(entry.c.grp)
    return sa.select(*rows.c, groups[0]).select_from(joined).subquery()


def _nth_matches(condition: Condition, rows: sa.FromClause) -> sa.Select[Any]:
    keys: list[ColumnElement[Any]] = [rows.c.customer, rows.c.grp]
    if condition.each is not None:
        rows = sa.select(rows).where(rows.c.each.is_not(None)).subquery()
        keys = [rows.c.customer, rows.c.grp, rows.c.each]
    if condition.counted_by == "event":
        number = sa.func.row_number().over(partition_by=keys, order_by=(rows.c.at, rows.c.position))
        counted = sa.select(*keys, rows.c.at, rows.c.at.label("latest"), number.label("nth"))
    else:
        # One row a day or quarter, so that the window has less to sort.
        period = sa.func.date_trunc(condition.counted_by, rows.c.at)
        number = sa.func.row_number().over(partition_by=keys, order_by=period)
        counted = sa.select(
            *keys,
            sa.func.min(rows.c.at).label("at"),
            sa.func.max(rows.c.at).label("latest"),
            number.label("nth"),
        ).group_by(*keys, period)
    numbered = counted.subquery()
    late = sa.select(numbered).where(numbered.c.nth >= condition.nth).subquery()
    return _first_and_latest(late, late.c.at, late.c.latest)


def _first_and_latest(
    rows: sa.FromClause, at: ColumnElement[Any], latest: ColumnElement[Any]
) -> sa.Select[Any]:
    return sa.select(
        rows.c.customer,
        rows.c.grp,
        sa.func.min(at).label("at"),
        sa.func.max(latest).label("latest"),
    ).group_by(rows.c.customer, rows.c.grp)
