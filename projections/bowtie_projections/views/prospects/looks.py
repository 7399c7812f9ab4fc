"""The moments at which leads are looked at, and the facts as they were known at each.

A look is a lead at a moment. Of the leads that are old enough, each is looked at a few times, at
ages drawn by a hash of its key: whatever became of it later has no part in that, for else leads
that were won fast would be seen too often at the ages they had. A prospect is looked at once, at
the moment of the cut.

Looks are units (see :mod:`bowtie_projections.shadowing`): under the key of a look stand the facts
that were known by its moment, and no others. So stages, losses, touches and traits are found by the
same statements as everywhere, and none of them can see what came later.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from sqlalchemy.sql.elements import ColumnElement

from bowtie_projections.expressions import END, hashed_share, known_since, micros_between, span
from bowtie_projections.known import Observed, called
from bowtie_projections.shadowing import Kept, of_customers, replaced, whose
from bowtie_projections.traits import rule_of
from bowtie_projections.views.loop.population import Population
from bowtie_projections.views.prospects.question import Question

if TYPE_CHECKING:
    import pyarrow as pa

    from bowtie_projections.views.cut import Reader

__all__ = ["Leads", "LookedAt", "looks"]

#: Between the key of a lead and the number of the look.
_BETWEEN = "\x1e"
_DAY_MICROS = 86_400_000_000
_SECONDS = 86_400


@dataclass(frozen=True, slots=True)
class Leads:
    """How many leads there are.

    Args:
        all: who entered the lead stage, and had not been a customer before.
        truncated: of them, who may be older than the data; they are left out of the others,
            unless they were asked for.
        mature: old enough to be learnt from.
        open: prospects: neither won nor lost.
        returned: in no stage of a customer now, but once won: they are no prospects.
    """

    all: int = 0
    truncated: int = 0
    mature: int = 0
    open: int = 0
    returned: int = 0

    @classmethod
    def of(cls, reader: Reader, population: Population, question: Question) -> Leads:
        """Counted."""
        rows = _leads(population, question)
        c = rows.c
        yes: ColumnElement[Any] = sa.literal_column("1", sa.Integer())
        kept = sa.true() if question.value.include_truncated else c.truncated == 0
        parts = {
            "all": sa.true(),
            "truncated": c.truncated == 1,
            "mature": sa.and_(kept, c.mature == 1),
            "open": sa.and_(kept, c.is_open == 1),
            "returned": c.returned == 1,
        }
        counted = [sa.func.count(sa.case((part, yes))).label(name) for name, part in parts.items()]
        found: pa.Table = reader.fetch(sa.select(*counted).select_from(rows))
        return cls(**found.to_pylist()[0])


def _leads(population: Population, question: Question) -> sa.CTE:
    """Each lead: ``t0``, ``won_at``, and what they are, as far as the cut knows."""
    c = population.journeys.c
    entry, end = c[f"{question.lead}_at"], sa.literal(population.end, sa.DateTime())
    t0, won_at = sa.func.min(entry), sa.func.min(c.commitment_at)
    truncated: ColumnElement[bool] = sa.false()
    if population.begin is not None:
        truncated = sa.func.min(c.first_seen_at) < sa.literal(population.begin, sa.DateTime())
    is_open = sa.func.max(_flag(c.lost_at.is_(None))) == sa.literal_column("1")
    bought = sa.func.max(_flag(sa.and_(c.lost_at.is_(None), c.commitment_at.is_not(None)))) == (
        sa.literal_column("1")
    )
    return (
        sa.select(
            c.customer,
            t0.label("t0"),
            won_at.label("won_at"),
            _flag(truncated).label("truncated"),
            _flag(t0 + span(question.within) <= end).label("mature"),
            _flag(sa.and_(is_open, won_at.is_(None))).label("is_open"),
            _flag(sa.and_(is_open, won_at.is_not(None), sa.not_(bought))).label("returned"),
        )
        .group_by(c.customer)
        .having(t0 <= end, sa.or_(won_at.is_(None), won_at > t0))
        .cte("leads")
        .prefix_with("MATERIALIZED")
    )


def looks(population: Population, question: Question) -> sa.Select[Any]:
    """Every look, in the order of their keys.

    Returns:
        A statement with the columns ``look`` (their number, from 0); ``key`` of the look;
        ``customer``, and the ``account`` it is of; ``number``, 0 for a prospect now; ``at``, and
        ``known_by``, up to when facts are known: at a prospect now all that the cut holds; ``t0``
        of the lead; and ``won``.
    """
    leads = _leads(population, question)
    c, end = leads.c, sa.literal(population.end, sa.DateTime())
    kept = [] if question.value.include_truncated else [c.truncated == 0]
    life = micros_between(c.t0, end - span(question.within))
    days = sa.cast(life, sa.Double()) / _double(_DAY_MICROS)
    taken = []
    for number in range(1, question.looks + 1):
        drawn = hashed_share(sa.literal(f"{question.seed}:{number}:", sa.String()) + c.customer)
        age = _age(days, number, question.looks, drawn)
        seconds = sa.func.floor(age * _double(_SECONDS))
        at = c.t0 + sa.cast(seconds, sa.BigInteger()) * span(timedelta(seconds=1))
        won = _flag(sa.and_(c.won_at.is_not(None), c.won_at <= at + span(question.within)))
        taken.append(_taken(c, number, at, at, won).where(c.mature == 1, *kept))
    taken.append(_taken(c, 0, end, END, sa.literal_column("0")).where(c.is_open == 1, *kept))
    rows = sa.union_all(*taken).subquery("taken")
    joined, account = population.units.account_of(rows)
    place = sa.func.row_number().over(order_by=(rows.c.customer, rows.c.number))
    look = (place - sa.literal_column("1")).label("look")
    return sa.select(look, *rows.c, account.label("account")).select_from(joined)


def _age(
    days: ColumnElement[Any], number: int, looks: int, drawn: ColumnElement[Any]
) -> ColumnElement[Any]:
    """The age in days at one of the looks at a lead, by its life and a share drawn of it.

    Half of the looks are even in the logarithm of the age, for what tells leads apart is soon over.
    The others are even in the age itself: prospects stand open for long, and those of any day are
    mostly old.
    """
    early = (looks + 1) // 2
    place, of = (number, early) if number <= early else (number - early, looks - early)
    # looks of one kind part the life between them, so that every lead is looked at young
    share = (drawn + _double(place - 1)) / _double(of)
    if number > early:
        return days * share
    return sa.func.power(_double(1) + days, share, type_=sa.Double()) - _double(1)


def _taken(
    c: Any,
    number: int,
    at: ColumnElement[Any],
    known_by: ColumnElement[Any],
    won: ColumnElement[Any],
) -> sa.Select[Any]:
    return sa.select(
        (c.customer + sa.literal(f"{_BETWEEN}{number}", sa.String())).label("key"),
        c.customer,
        sa.literal_column(str(number), sa.Integer()).label("number"),
        sa.cast(at, sa.DateTime()).label("at"),
        sa.cast(known_by, sa.DateTime()).label("known_by"),
        c.t0,
        won.label("won"),
    )


class LookedAt(Kept):
    """The facts under the keys of looks: of each, those that were known by its moment.

    Args:
        taken: the looks, as a relation that stands alone.
        traits: what the gap is after which a fact counts as history loaded later, and which traits
            are timeless: those are known before they are told.
    """

    def __init__(self, taken: sa.FromClause, traits: Observed) -> None:
        super().__init__(taken)
        self._gap = traits.gap
        self._timeless = [
            name for name in traits.names if rule_of(called(name), traits.rules).timeless
        ]

    def rows(self, table: sa.Table, rows: sa.FromClause) -> sa.Select[Any]:
        """The rows of a table, once for each look that knows of them."""
        taken = self.customers
        known = known_since(rows.c, self._gap) <= taken.c.known_by
        if table.name == "traits_observed" and self._timeless:
            known = sa.or_(known, rows.c.name.in_(self._timeless))
        same = sa.and_(taken.c.customer == whose(rows), of_customers(rows), known)
        return sa.select(*replaced(rows, taken.c.key)).select_from(rows.join(taken, same))


def _double(number: int) -> ColumnElement[Any]:
    return sa.literal_column(f"{number}.0", sa.Double())


def _flag(condition: ColumnElement[bool]) -> ColumnElement[Any]:
    return sa.case((condition, 1), else_=0)
