"""The events of a log and their customers, by type, source and month, in two passes.

Counting the different customers of each month would keep each customer of each month apart. So a
customer's types, sources and months are bits of whole numbers, which are as many as customers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from sqlalchemy.sql.elements import ColumnElement

from bowtie_projections import tables
from bowtie_projections.localtime import local_month
from bowtie_projections.views.cut import Cut, Reader

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["LogCounts", "log_counts"]

#: Bits of a whole number, its sign aside.
_BITS = 62
_NO_BITS: ColumnElement[Any] = sa.literal_column("0", sa.BigInteger())
_EVERYTHING = "all"
_KINDS: dict[str, sa.types.TypeEngine[Any]] = {
    "type": sa.String(),
    "source": sa.String(),
    "month": sa.Integer(),
}

_Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class LogCounts:
    """What a log holds.

    Args:
        total: ``events``, ``customers`` (how many different ones), ``first_at``, ``last_at``,
            ``out_of_sequence`` and ``retracted`` of all.
        types, sources, months: the same by ``type``, ``source`` and ``month``, such as 2026-03.
    """

    total: _Row
    types: pa.Table
    sources: pa.Table
    months: pa.Table


def log_counts(reader: Reader, cut: Cut, tz: str) -> LogCounts:
    """The events up to the cut's position.

    Args:
        reader: the read tables.
        cut: only its position counts.
        tz: the zone of months.
    """
    c = tables.events.c
    keys = {"type": c.type, "source": c.source, "month": local_month(c.occurred_at, tz)}
    cells = reader.fetch(_cells(keys, cut)).to_pylist()
    values = {name: sorted({row[name] for row in cells}) for name in keys}
    customers: dict[tuple[str, int], int] = {}
    if cells:
        found = reader.fetch(_customers(keys, values, cut)).to_pylist()
        customers = {(row["part"], row["place"]): row["customers"] for row in found}
    parts: dict[str, list[_Row]] = {}
    for name, own in values.items():
        rows: dict[Any, list[_Row]] = {}
        for row in cells:
            rows.setdefault(row[name], []).append(row)
        parts[name] = [
            {name: value} | _added(rows[value], customers.get((name, place), 0))
            for place, value in enumerate(own)
        ]
    for row in parts["month"]:
        row["month"] = f"{row['month'] // 12:04}-{row['month'] % 12 + 1:02}"
    total = _added(cells, customers.get((_EVERYTHING, 0), 0))
    return LogCounts(total, *(_table(name, rows) for name, rows in parts.items()))


def _cells(keys: Mapping[str, ColumnElement[Any]], cut: Cut) -> sa.Select[Any]:
    """The events by type, source and month together."""
    c = tables.events.c
    return (
        sa.select(
            *(key.label(name) for name, key in keys.items()),
            sa.func.count().label("events"),
            sa.func.min(c.occurred_at).label("first_at"),
            sa.func.max(c.occurred_at).label("last_at"),
            sa.func.count().filter(c.out_of_sequence).label("out_of_sequence"),
            sa.func.count().filter(c.retracted_position <= cut.position).label("retracted"),
        )
        .where(c.position <= cut.position)
        .group_by(*keys.values())
    )


def _customers(
    keys: Mapping[str, ColumnElement[Any]], values: Mapping[str, Sequence[Any]], cut: Cut
) -> sa.Select[Any]:
    """How many ``customers`` have each value (its ``place`` among those of its ``part``)."""
    masks = _masks(keys, values, cut).cte("masks").prefix_with("MATERIALIZED")
    patterns = sa.union_all(
        *(
            sa.select(
                sa.literal_column(f"'{part}'", sa.String()).label("part"),
                sa.literal_column(str(block), sa.Integer()).label("block"),
                bits.label("bits"),
                sa.func.count().label("customers"),
            ).group_by(bits)
            for part, block, bits in _masks_of(masks, values)
        )
    ).subquery("patterns")
    places = [(_EVERYTHING, 0, 0, 1)] + [
        (part, place, place // _BITS, 1 << place % _BITS)
        for part, own in values.items()
        for place in range(len(own))
    ]
    told = sa.values(
        sa.column("part", sa.String()),
        sa.column("place", sa.Integer()),
        sa.column("block", sa.Integer()),
        sa.column("bit", sa.BigInteger()),
        name="places",
        literal_binds=True,
    ).data(places)
    t, p = told.c, patterns.c
    has = sa.and_(p.part == t.part, p.block == t.block, p.bits.bitwise_and(t.bit) != _NO_BITS)
    number = sa.cast(sa.func.sum(p.customers), sa.BigInteger()).label("customers")
    return (
        sa.select(t.part, t.place, number)
        .select_from(told.join(patterns, has))
        .group_by(t.part, t.place)
    )


def _masks(
    keys: Mapping[str, ColumnElement[Any]], values: Mapping[str, Sequence[Any]], cut: Cut
) -> sa.Select[Any]:
    """Of each customer the types, sources and months, as bits."""
    c = tables.events.c
    source: sa.FromClause = tables.events
    columns: list[ColumnElement[Any]] = []
    for name, own in values.items():
        numbered = sa.values(
            sa.column("key", _KINDS[name]),
            sa.column("block", sa.Integer()),
            sa.column("bit", sa.BigInteger()),
            name=f"{name}_bits",
            literal_binds=True,
        ).data([(key, place // _BITS, 1 << place % _BITS) for place, key in enumerate(own)])
        source = source.join(numbered, numbered.c.key == keys[name])
        for block in range(_blocks(own)):
            bit = sa.case((numbered.c.block == block, numbered.c.bit), else_=_NO_BITS)
            columns.append(sa.func.bit_or(bit).label(f"{name}_{block}"))
    return (
        sa.select(*columns)
        .select_from(source)
        .where(c.position <= cut.position, c.kind == "customer")
        .group_by(c.subject)
    )


def _masks_of(
    masks: sa.CTE, values: Mapping[str, Sequence[Any]]
) -> list[tuple[str, int, ColumnElement[Any]]]:
    """The columns of the masks by part and block; of everything each customer has a bit."""
    own = [
        (name, block, masks.c[f"{name}_{block}"])
        for name in values
        for block in range(_blocks(values[name]))
    ]
    first = masks.c[f"{next(iter(values))}_0"]
    one = sa.case((first.is_not(None), sa.literal_column("1", sa.BigInteger())))
    return [(_EVERYTHING, 0, one), *own]


def _blocks(values: Sequence[Any]) -> int:
    return (len(values) + _BITS - 1) // _BITS


def _added(rows: Sequence[_Row], customers: int) -> _Row:
    return {
        "events": sum(row["events"] for row in rows),
        "customers": customers,
        "first_at": min((row["first_at"] for row in rows), default=None),
        "last_at": max((row["last_at"] for row in rows), default=None),
        "out_of_sequence": sum(row["out_of_sequence"] for row in rows),
        "retracted": sum(row["retracted"] for row in rows),
    }


def _table(name: str, rows: Sequence[_Row]) -> pa.Table:
    import pyarrow as pa

    fields: list[tuple[str, pa.DataType]] = [(name, pa.string())]
    fields += [(one, pa.int64()) for one in ("events", "customers")]
    fields += [(one, pa.timestamp("us")) for one in ("first_at", "last_at")]
    fields += [(one, pa.int64()) for one in ("out_of_sequence", "retracted")]
    return pa.Table.from_pylist(list(rows), pa.schema(fields))
