"""Which observation speaks, where a customer's trait was told several times.

The newest that was known by time zero; where that is without a value, the newest of what was learnt
later, if anything was. There are two ways to find it, which agree: to order what was told of each
trait, and to order the events, each of which tells many traits as bits of a whole number.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.sql.elements import ColumnElement

__all__ = ["NO_BITS", "bits_if", "newest_of_each", "speaking_events"]

NO_BITS: ColumnElement[Any] = sa.literal_column("0", sa.BigInteger())


def newest_of_each(observed: sa.FromClause, series: Sequence[str]) -> sa.Select[Any]:
    """Of each series the observation that speaks.

    Args:
        observed: observations, with ``known`` (whether by time zero), ``occurred_at``, ``position``
            and ``value``.
        series: the columns that tell series apart.
    """
    ranked = sa.select(*observed.c, *_ranks(observed.c, series)).subquery("ranked")
    c = ranked.c
    return sa.select(*(c[column.name] for column in observed.c)).where(c.rank == _chosen(c))


def _ranks(d: Any, series: Sequence[str]) -> list[ColumnElement[Any]]:
    """Ranks in the order: what was known, the newest first, then what was learnt later."""
    order: dict[str, Any] = {
        "partition_by": tuple(d[name] for name in series),
        "order_by": (d.known.desc(), d.occurred_at.desc(), d.position.desc()),
    }
    everything = {**order, "rows": (None, None)}
    known = sa.case((d.known, 1), else_=0)
    return [
        sa.func.row_number().over(**order).label("rank"),
        sa.func.first_value(d.value).over(**order).label("newest_known"),
        sa.func.sum(known).over(**everything).label("known_rows"),
        sa.func.count().over(**everything).label("all_rows"),
    ]


def _chosen(c: Any) -> ColumnElement[Any]:
    """The rank that speaks: the newest known; where that says nothing, the newest learnt later."""
    said = sa.or_(c.newest_known.is_not(None), c.known_rows == c.all_rows)
    one = sa.literal_column("1", sa.Integer())
    return sa.case((said, one), else_=c.known_rows + one)


def speaking_events(events: sa.FromClause) -> sa.Select[Any]:
    """Of each event the traits that it speaks for, as ``bits``, with ``position`` and ``block``.

    Args:
        events: a row for each event and block of traits: ``customer``, ``block``, ``position``,
            ``occurred_at``, ``known`` (1 or 0), and as bits the traits that were ``told``, and of
            these the ``empty`` ones, told to be without a value.
    """
    e = events.c
    apart: dict[str, Any] = {"partition_by": (e.customer, e.block)}
    before = {
        **apart,
        "order_by": (e.known.desc(), e.occurred_at.desc(), e.position.desc()),
        "rows": (None, -1),
    }
    later = bits_if(e.known == 0, e.told)
    ordered = sa.select(
        *(e[name] for name in ("customer", "block", "position", "known", "empty")),
        _without(e.told, sa.func.bit_or(e.told).over(**before)).label("newest"),
        _without(later, sa.func.bit_or(later).over(**before)).label("newest_later"),
        sa.func.bit_or(later).over(**apart).label("told_later"),
    ).subquery("ordered_events")
    o = ordered.c
    # the traits of a customer whose newest known is without a value
    silent = sa.func.bit_or(bits_if(o.known == 1, o.newest.bitwise_and(o.empty)))
    n = sa.select(*o, silent.over(partition_by=(o.customer, o.block)).label("silent"))
    c = n.subquery("newest_events").c
    of_known = _without(c.newest, c.empty.bitwise_and(c.told_later))
    of_later = c.newest_later.bitwise_and(c.newest.bitwise_or(c.silent))
    bits = sa.case((c.known == 1, of_known), else_=of_later)
    return sa.select(c.position, c.block, bits.label("bits"))


def bits_if(condition: ColumnElement[bool], bits: ColumnElement[Any]) -> ColumnElement[Any]:
    """The bits where that is so, else none."""
    return sa.case((condition, bits), else_=NO_BITS)


def _without(bits: ColumnElement[Any], others: ColumnElement[Any]) -> ColumnElement[Any]:
    """The bits that are not among the others, which may be null."""
    return bits.bitwise_and(sa.func.coalesce(others, NO_BITS).bitwise_not())
