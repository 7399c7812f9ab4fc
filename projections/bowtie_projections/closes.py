"""Where journeys close: what was paid for ends, or a disqualification leaves nothing open.

The rules are those of :mod:`bowtie.stages`, told in SQL. Only customers with a paid contract or a
disqualification have closes, and only their facts are looked at.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.sql.elements import ColumnElement

from bowtie.stages import Definition
from bowtie.stages.paid import GRACE
from bowtie_projections import tables
from bowtie_projections.conditions import Facts, plain_rows
from bowtie_projections.expressions import map_text, span

__all__ = ["closes", "closing_facts"]

_DAY = timedelta(days=1)
#: A contract that is said to end so late has no end.
_NO_END = date(9999, 1, 1)
_FAR = sa.literal_column("DATE '9999-12-31'", sa.Date())
#: How a contract ends that nothing ended but the passing of its last day.
_RAN_OUT = "contract ran out"


def closes(definition: Definition, facts: Facts) -> sa.CTE:
    """Every close that stands: ``customer``, ``at``, ``seen``, ``side``; one a moment."""
    right = _right_closes(facts).cte(f"{facts.prefix}right_closes").prefix_with("MATERIALIZED")
    left = _left_closes(definition, facts, right)
    both = sa.union_all(
        sa.select(right.c.customer, right.c.at, right.c.seen, sa.literal("right").label("side")),
        sa.select(left.c.customer, left.c.at, left.c.at, sa.literal("left")),
    ).subquery()
    # At one moment the right close is the one that counts.
    seen = sa.func.max(both.c.seen).filter(both.c.side == "right")
    return (
        sa.select(
            both.c.customer,
            both.c.at,
            sa.func.coalesce(seen, both.c.at).label("seen"),
            sa.func.max(both.c.side).label("side"),
        )
        .group_by(both.c.customer, both.c.at)
        .cte(f"{facts.prefix}closes")
        .prefix_with("MATERIALIZED")
    )


def closing_facts(definition: Definition, facts: Facts) -> sa.Select[Any]:
    """The facts that made each close: ``customer``, ``at``, ``position``, ``how``.

    ``how`` is ``disqualified``, ``contract ended``, ``contract replaced``, or ``contract ran out``:
    then no fact made it but the passing of the last day, which the fact named had given.
    """
    closed, ends = closes(definition, facts), _contract_ends(facts)
    c, lost = closed.c, tables.facts["disqualified"]
    ended = sa.and_(ends.c.customer == c.customer, _midnight_after(ends.c.hard) == c.at)
    disqualified = sa.and_(lost.c.customer == c.customer, lost.c.occurred_at == c.at)
    position = ends.c.said_position.label("position")
    right = sa.select(c.customer, c.at, position, ends.c.how)
    how = sa.literal("disqualified").label("how")
    left = sa.select(c.customer, c.at, lost.c.position, how).where(facts.counted(lost))
    both = sa.union_all(
        right.select_from(closed.join(ends, ended)).where(c.side == "right"),
        left.select_from(closed.join(lost, disqualified)).where(c.side == "left"),
    )
    return sa.select(both.subquery())


def _right_closes(facts: Facts) -> sa.Select[Any]:
    contract = _islands(_contract_ends(facts))
    end = sa.func.max(contract.c.hard)
    close = _midnight_after(end)
    query = (
        sa.select(
            contract.c.customer,
            close.label("at"),
            sa.func.max(contract.c.seen).filter(contract.c.hard == contract.c.last).label("seen"),
        )
        .group_by(contract.c.customer, contract.c.island)
        .having(sa.func.count() == sa.func.count(contract.c.hard))
    )
    if facts.cut.moment is None:
        return query
    found = query.subquery()
    return sa.select(found).where(found.c.seen <= facts.cut.moment)


def _islands(contract: sa.Subquery) -> sa.Subquery:
    """Contracts with the number of the island they are in: those that overlap or touch."""
    c = contract.c
    soft = sa.case((c.lapsed, c.hard + GRACE.days), else_=c.hard)
    reached = sa.func.max(sa.func.coalesce(soft, _FAR)).over(
        partition_by=c.customer, order_by=(c.start, c.contract), rows=(None, -1)
    )
    first = sa.select(contract, reached.label("reached")).subquery()
    apart = sa.case((first.c.start > first.c.reached + 1, 1), else_=0)
    island = sa.func.sum(apart).over(
        partition_by=first.c.customer, order_by=(first.c.start, first.c.contract), rows=(None, 0)
    )
    numbered = sa.select(first, island.label("island")).subquery()
    last = sa.func.max(numbered.c.hard).over(partition_by=(numbered.c.customer, numbered.c.island))
    return sa.select(numbered, last.label("last")).subquery()


def _contract_ends(facts: Facts) -> sa.Subquery:
    """Each paid contract: ``start``, ``hard`` (its last day; null: open), ``lapsed``, ``seen``."""
    signed, renewed = _first_paid(facts), _last_renewals(facts)
    ended, replaced = _endings(facts), _replacements(facts)
    term = sa.case(
        (signed.c.auto_renews, sa.null()),
        (renewed.c.contract.is_not(None), renewed.c.ends_on),
        else_=signed.c.ends_on,
    )
    cut_short = sa.and_(replaced.c.day.is_not(None), sa.or_(term.is_(None), replaced.c.day <= term))
    by_ending = ended.c.day.is_not(None)
    hard = sa.case(
        (by_ending, sa.func.least(ended.c.day, replaced.c.day)),
        (cut_short, replaced.c.day),
        else_=term,
    )
    replaced_first = sa.and_(replaced.c.day.is_not(None), replaced.c.day < ended.c.day)
    ends = (
        (sa.and_(by_ending, replaced_first), replaced, "contract replaced"),
        (by_ending, ended, "contract ended"),
        (cut_short, replaced, "contract replaced"),
        (renewed.c.contract.is_not(None), renewed, _RAN_OUT),
    )

    def said(name: str) -> ColumnElement[Any]:
        return sa.case(*((when, fact.c[name]) for when, fact, _ in ends), else_=signed.c[name])

    joined = signed
    for other in (renewed, ended, replaced):
        same = sa.and_(other.c.customer == signed.c.customer, other.c.contract == signed.c.contract)
        joined = joined.outerjoin(other, same)  # type: ignore[assignment]
    found = (
        sa.select(
            signed.c.customer,
            signed.c.contract,
            signed.c.starts_on.label("start"),
            sa.case((hard < _NO_END, hard)).label("hard"),
            sa.and_(sa.not_(by_ending), sa.not_(cut_short)).label("lapsed"),
            *(said(name).label(name) for name in ("said_at", "said_position")),
            sa.case(*((when, word) for when, _, word in ends), else_=_RAN_OUT).label("how"),
        )
        .select_from(joined)
        .subquery()
    )
    return sa.select(found, _seen(found).label("seen")).subquery()


def _seen(ends: sa.Subquery) -> ColumnElement[Any]:
    """When the end could be known: the grace over, and the fact that gives it happened."""
    close = _midnight_after(ends.c.hard)
    waited = sa.case((ends.c.lapsed, close + span(GRACE)), else_=close)
    return sa.func.greatest(waited, ends.c.said_at)


def _midnight_after(day: ColumnElement[Any]) -> ColumnElement[Any]:
    return sa.cast(day, sa.DateTime()) + span(_DAY)


def _first_paid(facts: Facts) -> sa.Subquery:
    signed = tables.facts["contract_signed"]
    return _first(
        signed,
        [
            signed.c.starts_on,
            signed.c.ends_on,
            signed.c.auto_renews,
            *_said(signed),
        ],
        sa.and_(facts.counted(signed), signed.c.kind == "paid", signed.c.amount > 0),
        (signed.c.occurred_at, signed.c.position),
    )


def _last_renewals(facts: Facts) -> sa.Subquery:
    renewed = tables.facts["contract_renewed"]
    order = (renewed.c.occurred_at.desc(), renewed.c.position.desc())
    columns = [renewed.c.ends_on, *_said(renewed)]
    return _first(renewed, columns, facts.counted(renewed), order)


def _endings(facts: Facts) -> sa.Subquery:
    ended = tables.facts["contract_ended"]
    day = sa.func.coalesce(ended.c.effective_on, sa.cast(ended.c.occurred_at, sa.Date()))
    return _first(
        ended,
        [day.label("day"), *_said(ended)],
        facts.counted(ended),
        (day, ended.c.occurred_at, ended.c.position),
    )


def _replacements(facts: Facts) -> sa.Subquery:
    signed = tables.facts["contract_signed"]
    day = signed.c.starts_on - 1
    return _first(
        signed,
        [day.label("day"), *_said(signed)],
        sa.and_(facts.counted(signed), signed.c.replaces != signed.c.contract),
        (day, signed.c.occurred_at, signed.c.position),
        contract=signed.c.replaces,
    )


def _said(table: sa.Table) -> list[ColumnElement[Any]]:
    """When a fact was said to be, and which it is."""
    return [table.c.occurred_at.label("said_at"), table.c.position.label("said_position")]


def _first(
    table: sa.Table,
    columns: Sequence[ColumnElement[Any]],
    where: ColumnElement[bool],
    order: tuple[ColumnElement[Any], ...],
    contract: ColumnElement[Any] | None = None,
) -> sa.Subquery:
    """The first row of each contract in an order."""
    contract = table.c.contract if contract is None else contract
    number = sa.func.row_number().over(partition_by=(table.c.customer, contract), order_by=order)
    rows = (
        sa.select(table.c.customer, contract.label("contract"), *columns, number.label("nth"))
        .where(where)
        .subquery()
    )
    kept = [column for column in rows.c if column.name != "nth"]
    return sa.select(*kept).where(rows.c.nth == 1).subquery()


def _left_closes(definition: Definition, facts: Facts, right: sa.CTE) -> sa.Subquery:
    """Disqualifications that leave none open, before any commitment, and not undone after."""
    nothing = _nothing_left(facts).cte(f"{facts.prefix}nothing_left").prefix_with("MATERIALIZED")
    commitments = plain_rows(definition, facts, stages=("commitment",))
    committed = _with_latest_before(nothing, commitments, "committed")
    ended = _with_latest_before(committed, right, "ended")
    uncommitted = sa.or_(ended.c.committed.is_(None), ended.c.ended >= ended.c.committed)
    standing = sa.select(ended.c.customer, ended.c.at).where(uncommitted).subquery()
    later = plain_rows(definition, facts)
    soon_after = sa.and_(
        later.c.customer == standing.c.customer,
        later.c.at > standing.c.at,
        later.c.at <= standing.c.at + span(definition.requalify_within),
    )
    return (
        sa.select(standing.c.customer, standing.c.at)
        .select_from(standing.outerjoin(later, soon_after))
        .group_by(standing.c.customer, standing.c.at)
        .having(sa.func.count(later.c.at) == 0)
        .subquery()
    )


def _with_latest_before(moments: sa.FromClause, others: sa.FromClause, name: str) -> sa.Subquery:
    """The moments, each with the latest ``at`` of others up to it."""
    before = sa.and_(others.c.customer == moments.c.customer, others.c.at <= moments.c.at)
    return (
        sa.select(*moments.c, sa.func.max(others.c.at).label(name))
        .select_from(moments.outerjoin(others, before))
        .group_by(*moments.c)
        .subquery()
    )


def _nothing_left(facts: Facts) -> sa.Select[Any]:
    """The moments of disqualifications after which no opportunity is open.

    One without an opportunity closes all, so the facts between two of those stand for themselves:
    an opportunity is open from its first naming until it is closed by name, or that part ends.
    """
    part = _opportunity_parts(facts)
    c = part.c
    named = c.opportunity.is_not(None)
    opens = sa.case((sa.and_(named, c.nth_naming == 1), 1), else_=0)
    closing = sa.and_(named, c.closing, c.nth_closing == 1, c.part == c.opened_in)
    open_after = sa.func.sum(opens - sa.case((closing, 1), else_=0)).over(
        partition_by=(c.customer, c.part), order_by=(c.at, c.position), rows=(None, 0)
    )
    rows = sa.select(part, open_after.label("open")).subquery()
    leaves_none = sa.or_(rows.c.opportunity.is_(None), rows.c.open == 0)
    return sa.select(rows.c.customer, rows.c.at).where(rows.c.disqualified, leaves_none).distinct()


def _opportunity_parts(facts: Facts) -> sa.Subquery:
    rows = _opportunity_facts(facts)
    c = rows.c
    order = (c.at, c.position)
    number = sa.func.row_number()
    bare = sa.case((c.opportunity.is_(None), 1), else_=0)
    numbered = sa.select(
        rows,
        number.over(partition_by=(c.customer, c.opportunity), order_by=order).label("nth_naming"),
        number.over(partition_by=(c.customer, c.opportunity, c.closing), order_by=order).label(
            "nth_closing"
        ),
        sa.func.sum(bare)
        .over(partition_by=c.customer, order_by=order, rows=(None, 0))
        .label("part"),
    ).subquery()
    opened_in = sa.func.min(numbered.c.part).over(
        partition_by=(numbered.c.customer, numbered.c.opportunity)
    )
    return sa.select(numbered, opened_in.label("opened_in")).subquery()


def _opportunity_facts(facts: Facts) -> sa.Subquery:
    """All that names an opportunity, and the disqualifications, of customers that have one."""
    lost = tables.facts["disqualified"]
    concerned = sa.select(lost.c.customer).where(facts.counted(lost))
    naming: dict[str, ColumnElement[Any]] = {
        name: t.c.opportunity for name, t in tables.facts.items() if "opportunity" in t.c
    }
    naming["noted"] = map_text(tables.facts["noted"].c.properties, "opportunity")
    branches = []
    for name, opportunity in naming.items():
        table = tables.facts[name]
        disqualified = name == "disqualified"
        rows = sa.select(
            table.c.customer,
            table.c.occurred_at.label("at"),
            table.c.position,
            opportunity.label("opportunity"),
            sa.literal(disqualified, sa.Boolean()).label("disqualified"),
            sa.literal(disqualified or name == "contract_signed", sa.Boolean()).label("closing"),
        ).where(facts.counted(table))
        if not disqualified:
            rows = rows.where(table.c.customer.in_(concerned), opportunity != "")
        branches.append(rows)
    return sa.union_all(*branches).subquery()
