"""A stage definition as one SQL statement: the cycles of every customer.

:func:`cycles` gives, for each pass of a customer through the bowtie, the first and latest entry of
each stage and where it was lost. :func:`journey_rows` adds what ``journeys`` knows besides. A
definition pays only for what it uses: without losses there are no closes, without conditions that
look at the cycle there is one pass over the facts and one aggregation.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.sql.elements import ColumnElement

from bowtie.fields import Stage
from bowtie.stages import STAGES, Condition, Definition
from bowtie_projections import tables
from bowtie_projections.closes import closes
from bowtie_projections.conditions import Facts, condition_rows, plain_rows
from bowtie_projections.expressions import BEGINNING, END, packed_field, packed_min, span
from bowtie_projections.views.cut import Cut, counts

__all__ = [
    "BOOKKEEPING",
    "contextual",
    "cycles",
    "groups_of",
    "journey_rows",
    "placed_matches",
    "placed_rows",
]

#: What is told of a condition: from it, the facts, the groups and the entries of other stages.
Matches = Callable[[Condition, Facts, "sa.CTE | None", "dict[str, sa.CTE]"], "sa.Select[Any]"]

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
        nothing = (_null(sa.DateTime()), _null(sa.DateTime()), _null(sa.String()))
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
        _null(sa.DateTime()),
        _null(sa.String()),
    ).group_by(closed.c.customer)
    return sa.union_all(ended, last).cte(f"{facts.prefix}groups").prefix_with("MATERIALIZED")


def _in_group(groups: sa.CTE, rows: sa.FromClause) -> ColumnElement[bool]:
    c = groups.c
    return sa.and_(c.customer == rows.c.customer, rows.c.at > c.since, rows.c.at <= c.until)


def _grouped(rows: sa.FromClause, groups: sa.CTE | None) -> sa.Subquery | sa.FromClause:
    """The rows with the number of their group, null where the customer has no closes."""
    if groups is None:
        return sa.select(*rows.c, _null(sa.BigInteger()).label("grp")).subquery()
    joined = rows.outerjoin(groups, _in_group(groups, rows))
    return sa.select(*rows.c, groups.c.grp).select_from(joined).subquery()


def _entries(
    definition: Definition, facts: Facts, groups: sa.CTE | None, suffixes: Sequence[str]
) -> sa.Select[Any]:
    """First (and latest) entry of each stage, by customer and group."""
    plain = _grouped(plain_rows(definition, facts), groups)
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
        (found.c[suffix] if of == stage else _null(sa.DateTime())).label(f"{of}_{suffix}")
        for of in STAGES
        for suffix in suffixes
    ]
    return sa.select(found.c.customer, found.c.grp, *columns)


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
    plain = _grouped(plain_rows(definition, facts, stages=(stage,)), groups)
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
    return _grouped(rows, groups)


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


def _numbered(entries: sa.CTE, groups: sa.CTE, suffixes: Sequence[str]) -> sa.Select[Any]:
    """Cycles in order; customers without closes have one and need no ordering."""
    nothing = (_null(sa.DateTime()), _null(sa.DateTime()), _null(sa.String()))
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


def _null(kind: Any) -> ColumnElement[Any]:
    return sa.cast(sa.null(), kind)
