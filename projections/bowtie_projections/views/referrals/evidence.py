"""Whom a customer or a partner brought, the facts that say so, and what those were worth."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import sqlalchemy as sa

from bowtie_projections import tables
from bowtie_projections.evidence import Evidence, Figure, Trace, not_explained
from bowtie_projections.expressions import rows_given
from bowtie_projections.views.cut import counts
from bowtie_projections.views.referrals.brought import Brought
from bowtie_projections.views.referrals.partners import ANY, NONE, involvements
from bowtie_projections.views.referrals.view import NOBODY, Referring
from bowtie_projections.views.referrals.worth import Everybody
from bowtie_projections.views.value.evidence import of_worth

__all__ = ["depth", "evidence", "partners"]

_OF_CUSTOMERS = ("customers", "mature", "value")
_CHAIN = "chain_"
_OF_REFERRERS = (
    "referrals", "brought", *_OF_CUSTOMERS, *(_CHAIN + name for name in _OF_CUSTOMERS), "rewards",
)  # fmt: skip
_OF_PARTNERS = tuple(
    f"{before}{side}" for side in ("sourced", "influenced") for before in ("", "mature_", "value_")
)
#: Who came, the referral that counts, and whose it is.
_REFERRALS = {"customer": sa.String(), "position": sa.BigInteger(), "subject": sa.String()}
_WHO = {"customer": sa.String()}


def evidence(figure: Figure) -> Evidence:
    """Whom a customer brought, by which referrals, and what those were worth.

    Args:
        figure: of the row of who referred them; its column is one of numbers or amounts.

    Raises:
        UsageError: no members stand behind the column.
    """
    column = figure.column
    if column not in _OF_REFERRERS:
        raise not_explained(column, _OF_REFERRERS)
    found = Referring.asked(figure.reader, figure.cut, figure.definition, figure.asked)
    if column in {"referrals", "rewards"}:
        return _said(found, figure)
    chain = column.startswith(_CHAIN)
    keys = found.brought_under(figure.cell["customer"], chain=chain)
    told = [_referral(found.brought, keys)]
    who = rows_given("came", _WHO, ([key] for key in keys)).once()
    if column == "brought":
        members = found.everybody.worths.members
        return Evidence(members.units, members.cut, figure.definition, who, told)
    known = found.everybody.known()
    brought = sa.select(known).where(known.c.customer.in_(sa.select(who.c.customer)))
    return _of_customers(found.everybody, figure, column.removeprefix(_CHAIN), brought, told)


def depth(figure: Figure) -> Evidence:
    """Customers with so many referrals before them, by those, and what they were worth.

    Args:
        figure: of the row of the part ``depth``; its column is ``customers``, ``mature`` or
            ``value``.

    Raises:
        UsageError: no members stand behind the column.
    """
    column, wanted = figure.column, figure.cell["referrals_before"]
    if column not in _OF_CUSTOMERS:
        raise not_explained(column, _OF_CUSTOMERS)
    found = Referring.asked(figure.reader, figure.cut, figure.definition, figure.asked)
    brought, known = found.brought, found.everybody.known()
    above = {key: brought.above(key) for key in brought.by}
    keys = [key for key in above if wanted in {NOBODY, str(len(above[key]))}]
    who = sa.select(rows_given("came", _WHO, ([key] for key in keys)).once().c.customer)
    if wanted == NOBODY:
        own = sa.select(known).where(known.c.customer.not_in(who))
        return _of_customers(found.everybody, figure, column, own, [])
    own = sa.select(known).where(known.c.customer.in_(who))
    before = [(key, one) for key in keys for one in above[key] if one in brought.told]
    told = [_referral(brought, keys), _referral(brought, before, "referral before")]
    return _of_customers(found.everybody, figure, column, own, told)


def partners(figure: Figure) -> Evidence:
    """Customers a partner sourced or had a part in, what says so, and what those were worth.

    Args:
        figure: of the row of the partner; its column is a number of customers or their value,
            not a share.

    Raises:
        UsageError: no members stand behind the column.
    """
    column, partner = figure.column, figure.cell["partner"]
    if column not in _OF_PARTNERS:
        raise not_explained(column, _OF_PARTNERS)
    asked = {name: given for name, given in figure.asked.items() if name != "most"}
    everybody = Everybody.of(figure.reader, figure.cut, figure.definition, asked)
    prefix, _, side = column.rpartition("_")
    known = everybody.known()
    c = involvements(known, everybody.worths.members.cut).c
    own = [] if partner in {ANY, NONE} else [c.partner == partner]
    if side == "sourced":
        own.append(c.sources == 1)
    took_part = sa.select(c.customer, c.position, c.named).where(*own).cte("took_part")
    inside = known.c.customer.in_(sa.select(took_part.c.customer))
    told = sa.select(known).where(sa.not_(inside) if partner == NONE else inside)
    facts = [] if partner == NONE else _took_part(took_part, side)
    return _of_customers(everybody, figure, prefix or "customers", told, facts)


def _took_part(rows: sa.CTE, side: str) -> list[Trace]:
    """The facts by which partners took part, by what they are."""
    if side == "sourced":
        return [Trace.facts("partner: sourced", rows)]
    return [
        Trace.facts(role, sa.select(rows).where(rows.c.named == named).subquery(name))
        for role, named, name in (
            ("partner: involved", 0, "involved_in"), ("partner: in a contract", 1, "named_in"),
        )
    ]  # fmt: skip


def _of_customers(
    everybody: Everybody, figure: Figure, column: str, told: sa.Select[Any], facts: list[Trace]
) -> Evidence:
    """Some of the customers; of their mature alone where a figure is of those."""
    if column != "customers":
        told = told.where(told.selected_columns.worth.is_not(None))
    worth = "worth" if column == "value" else ""
    return of_worth(everybody.worths, figure.definition, told, worth, also=facts)


def _referral(
    brought: Brought, keys: Iterable[str | tuple[str, str]], role: str = "referral"
) -> Trace:
    """The referrals by which some came; of pairs the one by which the second did, to the first."""
    pairs = [(key, key) if isinstance(key, str) else key for key in keys]
    rows = [(key, brought.told[one], brought.by[one]) for key, one in pairs]
    return Trace.facts(role, rows_given(role.replace(" ", "_"), _REFERRALS, rows).once())


def _said(found: Referring, figure: Figure) -> Evidence:
    """All that one said of whom they referred, or what it was rewarded with."""
    table, members = tables.facts["referred"], found.everybody.worths.members
    c = table.c
    theirs = sa.select(c.customer, c.position, c.reward).where(
        counts(table, members.cut), c.customer == figure.cell["customer"]
    )
    own = theirs.cte("their_referrals")
    rewards = sa.func.coalesce(sa.func.sum(own.c.reward), 0).label("rewards")
    who = (
        sa.select(own.c.customer, sa.func.count().label("referrals"), rewards)
        .group_by(own.c.customer)
        .cte("referrer")
    )
    rewarded = own.c.reward.is_not(None) if figure.column == "rewards" else sa.true()
    traces = [Trace.facts("referral", sa.select(own).where(rewarded).subquery("said_of_whom"))]
    return Evidence(
        members.units,
        members.cut,
        figure.definition,
        who,
        traces,
        sa.func.sum(who.c[figure.column]),
    )
