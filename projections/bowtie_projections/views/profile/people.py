"""The people of a profile: who stands open at a moment, who came over time, who was assigned."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from difflib import get_close_matches
from typing import Any

import sqlalchemy as sa
from sqlalchemy.sql.elements import ColumnElement

from bowtie.errors import Refused, UnknownName
from bowtie.profiles import Profile
from bowtie_projections import tables
from bowtie_projections.conditions import Facts
from bowtie_projections.cycles import activity
from bowtie_projections.expressions import happened, packed_field, packed_max, packed_min, span
from bowtie_projections.known import Observed, called
from bowtie_projections.traits import TOUCH_TRAITS
from bowtie_projections.value import MONEY, values
from bowtie_projections.views.cut import Cut, counts
from bowtie_projections.views.journey_source import Needs, journeys_at
from bowtie_projections.views.loop.population import data_begin
from bowtie_projections.views.profile.question import GAP, Asked

__all__ = [
    "SETTLED",
    "assigned",
    "assignments",
    "came",
    "levels_at",
    "markets",
    "open_prospects",
    "outlays",
    "with_worth",
]

#: So long after a prospect was first seen it is judged whether past ones would have fitted.
SETTLED = timedelta(days=7)
_ZERO, _ONE = (sa.literal_column(one, sa.Integer()) for one in ("0", "1"))
#: What is spent to win somebody; never a part of their value.
_WINNING = ("acquire", "sell")


def _standing(asked: Asked) -> sa.Subquery:
    """Of each customer: ``committed_at``, and how many ``cycles`` there are and are ``lost``."""
    c = journeys_at(asked.reader, asked.cut, asked.definition, Needs()).c
    return (
        sa.select(
            c.customer,
            sa.func.min(c.commitment_at).label("committed_at"),
            sa.func.count().label("cycles"),
            sa.func.count(c.lost_at).label("lost"),
            sa.func.min(c.lost_at).label("lost_at"),
        )
        .group_by(c.customer)
        .subquery("standing")
    )


def _seen(asked: Asked) -> tuple[sa.FromClause, Any, Any]:
    known = activity(Facts(asked.cut)).subquery("known")
    stands = _standing(asked)
    joined = known.outerjoin(stands, stands.c.customer == known.c.customer)
    return joined, known.c, stands.c


def open_prospects(asked: Asked) -> sa.CTE:
    """Who may be assigned at the moment asked of: ``customer`` and ``t0``, that moment.

    Who has not committed, whose last cycle is not lost, whom the profile is for by when they came,
    whom no version of it has assigned, and who was not forgotten.
    """
    joined, known, stands = _seen(asked)
    forgotten = tables.facts["forgotten"]
    gone = sa.select(forgotten.c.customer).where(counts(forgotten, Cut(asked.cut.position)))
    wanted = [
        stands.committed_at.is_(None),
        sa.or_(stands.cycles.is_(None), stands.lost < stands.cycles),
        known.customer.not_in(asked.assigned()),
        known.customer.not_in(gone),
    ]
    if asked.profile.prospects == "new":
        wanted.append(known.first_seen_at >= sa.literal(asked.starts, sa.DateTime()))
    t0 = sa.literal(asked.moment, sa.DateTime()).label("t0")
    return (
        sa.select(known.customer, t0)
        .select_from(joined)
        .where(*wanted)
        .cte("prospects")
        .prefix_with("MATERIALIZED")
    )


def came(asked: Asked) -> sa.CTE:
    """Everybody who came as a prospect, as they stood a week after they were first seen.

    Returns:
        ``customer``; ``first_seen_at``; ``t0``, a week later; ``converted``, whether they committed
        within the horizon of the profile's policy from then; and ``mature``. Who had committed or
        was lost by ``t0`` is not in it, nor who may be older than the data.
    """
    joined, known, stands = _seen(asked)
    end = sa.literal(asked.moment, sa.DateTime())
    t0 = known.first_seen_at + span(SETTLED)
    until = t0 + span(asked.value.horizon)
    wanted = [
        t0 <= end,
        sa.or_(stands.committed_at.is_(None), stands.committed_at > t0),
        sa.or_(stands.lost_at.is_(None), stands.lost_at > t0),
    ]
    begin = data_begin(asked.reader, asked.cut, asked.definition, asked.value)
    if begin is not None:
        wanted.append(known.first_seen_at >= sa.literal(begin, sa.DateTime()))
    return (
        sa.select(
            known.customer,
            known.first_seen_at,
            t0.label("t0"),
            _flag(stands.committed_at <= until).label("converted"),
            _flag(until <= end).label("mature"),
        )
        .select_from(joined)
        .where(*wanted)
        .cte("came")
        .prefix_with("MATERIALIZED")
    )


def assignments(profile: Profile, cut: Cut) -> sa.Select[Any]:
    """Whom a version has assigned, and when first: ``customer`` and ``entered_at``."""
    table = tables.facts["targeted"]
    c = table.c
    return (
        sa.select(c.customer, sa.func.min(c.occurred_at).label("entered_at"))
        .where(counts(table, cut), c.profile == profile.name, c.version == str(profile.version))
        .group_by(c.customer)
    )


def assigned(asked: Asked) -> sa.CTE:
    """Everybody whom this version has assigned, once each, by their first assignment.

    Returns:
        ``customer``, ``t0`` (when), ``arm``, ``position`` (of the event), ``words`` (how many such
        events there are of them), ``committed_at``, ``converted``, ``before`` (had committed
        already) and ``mature``.
    """
    table = tables.facts["targeted"]
    c = table.c
    own = sa.and_(c.profile == asked.profile.name, c.version == str(asked.profile.version))
    first = (
        sa.select(
            c.customer,
            packed_min(c.occurred_at, c.position, c.arm).label("first"),
            sa.func.count().label("words"),
        )
        .where(counts(table, asked.cut), own)
        .group_by(c.customer)
        .subquery("first_words")
    )
    t0 = packed_field(first.c.first, 0, sa.DateTime())
    stands = _standing(asked)
    until, end = t0 + span(asked.value.horizon), sa.literal(asked.moment, sa.DateTime())
    committed = stands.c.committed_at
    return (
        sa.select(
            first.c.customer,
            t0.label("t0"),
            packed_field(first.c.first, 2, sa.String()).label("arm"),
            packed_field(first.c.first, 1, sa.BigInteger()).label("position"),
            first.c.words,
            committed,
            _flag(sa.and_(committed > t0, committed <= until)).label("converted"),
            _flag(committed <= t0).label("before"),
            _flag(until <= end).label("mature"),
        )
        .select_from(first.outerjoin(stands, stands.c.customer == first.c.customer))
        .cte("assigned")
        .prefix_with("MATERIALIZED")
    )


def markets(asked: Asked, members: sa.FromClause) -> sa.Subquery:
    """The level that each member was drawn by: what the log knew when they were assigned.

    What was recorded later, or retracted since, changes nothing.
    """
    table = tables.facts["traits_observed"]
    c, m = table.c, members.c
    told = [
        c.name == asked.profile.by,
        c.position < m.position,
        sa.or_(c.retracted_position.is_(None), c.retracted_position > m.position),
        happened(c) <= m.t0,
        sa.or_(c.known_from.is_(None), c.known_from <= m.t0),
    ]
    newest = packed_max(c.occurred_at, c.position, c.value).label("newest")
    found = (
        sa.select(m.customer, newest)
        .select_from(members.join(table, c.customer == m.customer))
        .where(*told)
        .group_by(m.customer)
        .subquery("market_words")
    )
    level = packed_field(found.c.newest, 2, sa.String()).label("market")
    return sa.select(found.c.customer, level).subquery("markets")


def levels_at(asked: Asked, members: sa.FromClause, by: Sequence[str]) -> sa.Subquery:
    """What was known of some traits of each member when they were assigned.

    Args:
        asked: the question.
        members: with ``customer`` and ``t0``.
        by: the traits, as a profile names them.

    Returns:
        ``customer``, and ``by_0``, ``by_1`` and so on: the level, null where none was known.

    Raises:
        UnknownName: nobody has such a trait.
        Refused: it is protected.
    """
    observed = Observed.of(asked.reader, asked.cut, GAP, {})
    asked_for = {*map(called, observed.names), *TOUCH_TRAITS}
    for name in by:
        if name in observed.refused:
            raise Refused(f"{name} is protected: nobody is told apart by it")
        if name not in asked_for:
            known = ", ".join(get_close_matches(name, asked_for, 3) or sorted(asked_for))
            raise UnknownName(f"nobody has a trait {name!r}; there is {known}")
    told = observed.known(members, ("customer",), {*by}).subquery("levels_told").c
    levels = (
        sa.func.max(sa.case((told.name == name, told.value))).label(f"by_{number}")
        for number, name in enumerate(by)
    )
    return sa.select(told.customer, *levels).group_by(told.customer).subquery("levels_of_each")


def with_worth(asked: Asked, members: sa.CTE) -> tuple[sa.FromClause, Any, Any]:
    """The members, what each was worth over the horizon, and what was spent to win them.

    Args:
        asked: the question.
        members: with ``customer``, ``t0`` and ``mature``; the mature are asked of.

    Returns:
        What to select from; the columns of worth, with ``worth_by_365`` of the policy's value; and
        those of outlay, with ``outlay``: what touches, acquiring and selling cost each within the
        horizon, null where nothing is on record.
    """
    chosen = (
        sa.select(members.c.customer, members.c.t0)
        .where(members.c.mature == _ONE)
        .cte("judged_members")
        .prefix_with("MATERIALIZED")
    )
    found = values(chosen, asked.cut, asked.horizon).subquery("worth_found")
    v = found.c
    nought = sa.cast(_ZERO, MONEY)
    amount: ColumnElement[Any] = sa.func.coalesce(v.revenue_by_365, nought)
    if asked.value.value == "contribution":
        amount = amount - sa.func.coalesce(v.costs_by_365, nought)
    worth = sa.select(*v, amount.label("worth_by_365")).subquery("worth_of")
    spent = _outlay(asked, chosen)
    joined = members.outerjoin(worth, worth.c.customer == members.c.customer).outerjoin(
        spent, spent.c.customer == members.c.customer
    )
    return joined, worth.c, spent.c


def outlays(asked: Asked, members: sa.FromClause) -> dict[str, sa.Select[Any]]:
    """What was spent within the horizon to win members with ``customer`` and ``t0``, by what for.

    Each with ``customer``, ``amount``, ``currency`` and the ``position`` of the fact.
    """
    costs, touches = tables.facts["cost_incurred"], tables.facts["touched"]
    found = {}
    for what, table, column, own in (
        ("cost", costs, "amount", costs.c.activity.in_(_WINNING)),
        ("touch", touches, "cost", touches.c.cost.is_not(None)),
    ):
        within = sa.and_(
            table.c.customer == members.c.customer,
            table.c.occurred_at >= members.c.t0,
            table.c.occurred_at < members.c.t0 + span(asked.value.horizon),
        )
        amount = table.c[column].label("amount")
        found[what] = (
            sa.select(members.c.customer, amount, table.c.currency, table.c.position)
            .select_from(members.join(table, within))
            .where(counts(table, asked.cut), own)
        )
    return found


def _outlay(asked: Asked, members: sa.CTE) -> sa.Subquery:
    c = sa.union_all(*outlays(asked, members).values()).subquery("outlays").c
    return (
        sa.select(
            c.customer,
            sa.cast(sa.func.sum(c.amount), MONEY).label("outlay"),
            sa.func.min(c.currency).label("outlay_currency_low"),
            sa.func.max(c.currency).label("outlay_currency_high"),
        )
        .group_by(c.customer)
        .subquery("outlay_of")
    )


def _flag(condition: ColumnElement[bool]) -> ColumnElement[Any]:
    return sa.case((condition, _ONE), else_=_ZERO)
