"""Opportunities in SQL: when they opened, how they closed, and what they were last valued at.

One opens with the first event that names it, and closes with the first contract signed or
disqualification that names it, or with a disqualification of its customer that names none. Won and
lost at one moment is won.
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy.sql.elements import ColumnElement

from bowtie_projections import tables
from bowtie_projections.expressions import map_text, micros_between
from bowtie_projections.survival import LOST, REACHED, WATCHED
from bowtie_projections.views.cut import Cut, counts

__all__ = ["ages", "namings", "open_ones", "opportunities"]

#: The events that close an opportunity they name.
_WINS, _LOSES = "contract_signed", "disqualified"


def opportunities(cut: Cut) -> sa.CTE:
    """Every opportunity: ``customer``, ``opportunity``, ``opened_at``, ``closed_at``, ``won``."""
    c = namings(cut).c
    named = (
        sa.select(
            c.customer,
            c.opportunity,
            sa.func.min(c.at).label("opened_at"),
            sa.func.min(sa.case((c.event == _WINS, c.at))).label("won_at"),
            sa.func.min(sa.case((c.event == _LOSES, c.at))).label("lost_at"),
        )
        .group_by(c.customer, c.opportunity)
        .subquery("named")
    )
    lost = tables.facts[_LOSES].c
    all_lost = (
        sa.select(lost.customer, lost.occurred_at.label("at"))
        .where(counts(tables.facts[_LOSES], cut), lost.opportunity.is_(None))
        .subquery("all_lost")
    )
    n = named.c
    after = sa.and_(all_lost.c.customer == n.customer, all_lost.c["at"] >= n.opened_at)
    with_all = (
        sa.select(n.customer, n.opportunity, n.opened_at, n.won_at, n.lost_at)
        .add_columns(sa.func.min(all_lost.c["at"]).label("all_lost_at"))
        .select_from(named.outerjoin(all_lost, after))
        .group_by(n.customer, n.opportunity, n.opened_at, n.won_at, n.lost_at)
        .subquery("closing")
    ).c
    closed_at = sa.func.least(with_all.won_at, with_all.lost_at, with_all.all_lost_at)
    return sa.select(
        with_all.customer,
        with_all.opportunity,
        with_all.opened_at,
        closed_at.label("closed_at"),
        (with_all.won_at == closed_at).label("won"),
    ).cte("opportunities")


def ages(cut: Cut) -> sa.Select[Any]:
    """Of every opportunity the age at which it ended, or is now, and what ended it."""
    rows = opportunities(cut)
    c = rows.c
    now = sa.literal(cut.moment, sa.DateTime())
    end = sa.case((c.closed_at.is_(None), WATCHED), (c.won, REACHED), else_=LOST)
    age = micros_between(c.opened_at, sa.func.coalesce(c.closed_at, now))
    return sa.select(age.label("age"), end.label("end"))


def open_ones(cut: Cut) -> sa.Select[Any]:
    """The opportunities that are open, each with its last value, told at ``position``."""
    rows, valued = opportunities(cut), _last_values(cut)
    c, v = rows.c, valued.c
    same = sa.and_(v.customer == c.customer, v.opportunity == c.opportunity)
    return (
        sa.select(c.customer, c.opportunity, c.opened_at)
        .add_columns(v.amount, v.currency, v.close_on, v.position)
        .select_from(rows.outerjoin(valued, same))
        .where(c.closed_at.is_(None))
    )


def namings(cut: Cut) -> sa.Subquery:
    """All that names an opportunity: whose, which, when, at which position, and what it is."""
    found = []
    for name, table in tables.facts.items():
        opportunity: ColumnElement[Any]
        if name == "noted":
            opportunity = map_text(table.c.properties, "opportunity")
        elif "opportunity" in table.c:
            opportunity = table.c.opportunity
        else:
            continue
        rows = sa.select(
            table.c.customer,
            opportunity.label("opportunity"),
            table.c.occurred_at.label("at"),
            table.c.position,
            sa.literal_column(f"'{name}'", sa.String()).label("event"),
        )
        found.append(rows.where(counts(table, cut), opportunity != ""))
    return sa.union_all(*found).subquery("naming")


def _last_values(cut: Cut) -> sa.Subquery:
    """What each opportunity was valued at last."""
    table = tables.facts["opportunity_valued"]
    c = table.c
    place = sa.func.row_number().over(
        partition_by=(c.customer, c.opportunity),
        order_by=(c.occurred_at.desc(), c.position.desc()),
    )
    rows = (
        sa.select(c.customer, c.opportunity, c.amount, c.currency, c.close_on, c.position)
        .add_columns(place.label("place"))
        .where(counts(table, cut))
        .subquery("valued")
    )
    kept = [column for column in rows.c if column.name != "place"]
    return sa.select(*kept).where(rows.c.place == 1).subquery("last_value")
