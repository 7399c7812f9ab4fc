"""Whose facts an account's are, and which facts belong to an opportunity: two layers of reading.

Both stand on rows that other layers may have moved already: a linked person's membership is their
root's, an opportunity named on a member's stream is the account's.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from functools import cached_property
from typing import Any

import sqlalchemy as sa
from sqlalchemy.sql.elements import ColumnElement

from bowtie_projections import tables
from bowtie_projections.expressions import BEGINNING, END, map_text, span
from bowtie_projections.shadowing import Layer, of_customers, replaced, rows_of, whose
from bowtie_projections.views.cut import Cut, counts

__all__ = ["LOOK_BACK", "Accounts", "Opportunities", "opportunity_of"]

#: From how long before a membership began touches count for the account, if nobody says.
LOOK_BACK = timedelta(days=90)
#: Between an account's key and an opportunity's in the key of the two.
_BETWEEN = "\x1f"


@dataclass(frozen=True)
class Accounts:
    """The facts of a member count for the account.

    From the membership's start until its end, and touches from the look-back before it. What a
    member does outside of that is no account's. Who was never a member is their own account.

    Args:
        cut: the memberships that count.
        below: the layers that decide whose a membership is.
        look_back: touches count from so long before a membership's start.
    """

    cut: Cut
    below: Sequence[Layer]
    look_back: timedelta = LOOK_BACK

    @cached_property
    def spans(self) -> sa.CTE:
        """The spans of memberships: ``since``, ``touched_since`` (of touches), ``until``."""
        words = sa.union_all(
            self._words("membership_started", 1), self._words("membership_ended", 0)
        )
        c = self._under_roots(words.subquery("words")).subquery("memberships").c
        order: dict[str, Any] = {
            "partition_by": (c.customer, c.account),
            "order_by": (c.occurred_at, c.position),
        }
        following = sa.func.lead(c.occurred_at).over(**order)
        until = sa.func.coalesce(following, END)
        said = sa.select(*c, until.label("until")).subquery("said")
        started = sa.select(said).where(said.c.started == 1).subquery("started")
        c = started.c
        before = sa.func.max(c.until).over(
            partition_by=(c.customer, c.account),
            order_by=(c.occurred_at, c.position),
            rows=(None, -1),
        )
        reach = sa.func.greatest(
            c.occurred_at - span(self.look_back), sa.func.coalesce(before, BEGINNING)
        )
        return (
            sa.select(
                c.customer,
                c.account,
                c.occurred_at.label("since"),
                reach.label("touched_since"),
                c.until,
                c.position,
            )
            .cte("unit_members")
            .prefix_with("MATERIALIZED")
        )

    def _words(self, name: str, started: int) -> sa.Select[Any]:
        rows = rows_of(tables.facts[name], self.below)
        word = sa.literal_column(str(started), sa.Integer()).label("started")
        return sa.select(
            rows.c.customer, rows.c.account, rows.c.occurred_at, rows.c.position, word
        ).where(counts(rows, self.cut))

    def _under_roots(self, words: sa.Subquery) -> sa.Select[Any]:
        """Accounts that were linked are one."""
        renamed = sa.select(
            words.c.account.label("customer"),
            words.c.customer.label("member"),
            words.c.occurred_at,
            words.c.position,
            words.c.started,
        ).subquery("named")
        rows: sa.FromClause = renamed
        for layer in self.below:
            rows = layer.rows(tables.facts["membership_started"], rows).subquery("rooted")
        c = rows.c
        return sa.select(
            c.member.label("customer"),
            c.customer.label("account"),
            c.occurred_at,
            c.position,
            c.started,
        )

    def rows(self, table: sa.Table, rows: sa.FromClause) -> sa.Select[Any]:
        """The rows of a table, under the keys of accounts."""
        members = self.spans
        m, c = members.c, rows.c
        since: ColumnElement[Any] = m.since
        if table.name == "touched":
            since = m.touched_since
        elif table is tables.events:
            since = sa.case((c.type == "touched", m.touched_since), else_=m.since)
        inside = sa.and_(c.occurred_at >= since, c.occurred_at < m.until)
        same = sa.and_(m.customer == whose(rows), of_customers(rows))
        account = sa.func.coalesce(m.account, whose(rows))
        joined = sa.select(*replaced(rows, account)).select_from(rows.outerjoin(members, same))
        return joined.where(sa.or_(m.customer.is_(None), inside))

    def clusters(self) -> sa.Subquery:
        """The first account of each member: ``customer``, ``account``."""
        c = self.spans.c
        place = sa.func.row_number().over(partition_by=c.customer, order_by=(c.since, c.position))
        first = sa.select(c.customer, c.account, place.label("place")).subquery("first_accounts")
        return sa.select(first.c.customer, first.c.account).where(first.c.place == 1).subquery()


@dataclass(frozen=True)
class Opportunities:
    """The facts that name an opportunity, or a contract that was signed with it, are its own.

    A disqualification without one is of each that had opened. Traits are known of all the
    opportunities of their customer. All else belongs to none.

    Args:
        cut: the facts that count.
        below: the layers that decide whose an opportunity is.
    """

    cut: Cut
    below: Sequence[Layer] = field(default=())

    def rows(self, table: sa.Table, rows: sa.FromClause) -> sa.Select[Any]:
        """The rows of a table, under the keys of opportunities."""
        named = self.known if table.name == "traits_observed" else self.named
        same = named.c.customer == whose(rows)
        if "position" in named.c:
            same = sa.and_(named.c.position == rows.c.position, same, of_customers(rows))
        return sa.select(*replaced(rows, named.c.unit)).select_from(rows.join(named, same))

    @cached_property
    def named(self) -> sa.CTE:
        """The facts of each opportunity: ``position``, ``customer``, ``unit``."""
        own, signed = self._own, self._signed()
        parts = [sa.select(own.c.position, own.c.customer, own.c.opportunity)]
        for name, table in tables.facts.items():
            if "contract" not in table.c or "customer" not in table.c:
                continue
            rows = self._counted(name)
            by_contract = sa.select(rows.c.position, rows.c.customer, signed.c.opportunity).join(
                signed,
                sa.and_(signed.c.customer == rows.c.customer, signed.c.contract == rows.c.contract),
            )
            if "opportunity" in table.c:
                by_contract = by_contract.where(rows.c.opportunity.is_(None))
            parts.append(by_contract)
        lost, opened = self._counted("disqualified"), self._opened()
        parts.append(
            sa.select(lost.c.position, lost.c.customer, opened.c.opportunity)
            .join(opened, opened.c.customer == lost.c.customer)
            .where(lost.c.opportunity.is_(None), opened.c.at <= lost.c.occurred_at)
        )
        c = sa.union_all(*parts).subquery("belonging").c
        unit = (c.customer + sa.literal(_BETWEEN) + c.opportunity).label("unit")
        return sa.select(c.position, c.customer, unit).cte("unit_facts").prefix_with("MATERIALIZED")

    @cached_property
    def known(self) -> sa.CTE:
        """Each opportunity that was named: ``customer``, ``unit``."""
        c = self._opened().c
        unit = (c.customer + sa.literal(_BETWEEN) + c.opportunity).label("unit")
        return sa.select(c.customer, unit).cte("unit_opportunities").prefix_with("MATERIALIZED")

    def _counted(self, name: str) -> sa.Subquery:
        """The rows of a table that count."""
        rows = rows_of(tables.facts[name], self.below)
        return sa.select(rows).where(counts(rows, self.cut)).subquery(f"counted_{name}")

    @cached_property
    def _own(self) -> sa.CTE:
        """The facts that name an opportunity themselves."""
        parts = []
        for name, table in tables.facts.items():
            if "opportunity" in table.c or name == "noted":
                rows = self._counted(name)
                opportunity = (
                    map_text(rows.c.properties, "opportunity")
                    if name == "noted"
                    else rows.c.opportunity
                )
                parts.append(
                    sa.select(
                        rows.c.position,
                        rows.c.customer,
                        rows.c.occurred_at,
                        opportunity.label("opportunity"),
                    ).where(opportunity != "")
                )
        return sa.union_all(*parts).cte("unit_naming").prefix_with("MATERIALIZED")

    def _opened(self) -> sa.Subquery:
        c = self._own.c
        at = sa.func.min(c.occurred_at).label("at")
        keys = (c.customer, c.opportunity)
        return sa.select(*keys, at).group_by(*keys).subquery("opened")

    def _signed(self) -> sa.Subquery:
        """The opportunity that each contract was signed with; of several the least."""
        rows = self._counted("contract_signed")
        keys = (rows.c.customer, rows.c.contract)
        least = sa.func.min(rows.c.opportunity).label("opportunity")
        return (
            sa.select(*keys, least)
            .where(rows.c.opportunity.is_not(None))
            .group_by(*keys)
            .subquery("signed_with")
        )


def opportunity_of(unit: str) -> tuple[str, str]:
    """The account and the opportunity behind the key of the two.

    >>> opportunity_of("acme" + chr(31) + "o-1")
    ('acme', 'o-1')
    """
    account, _, opportunity = unit.rpartition(_BETWEEN)
    return account, opportunity
