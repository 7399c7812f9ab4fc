"""The closed loop's tables as Arrow: their columns have their types even where they are empty."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from bowtie_projections.views.loop.traits import Standing

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["renamed", "told_table", "traits_table"]

_TEXT = {
    "trait", "level", "trait_2", "level_2", "verdict", "by", "source", "reason", "kind", "use",
    "test",
}  # fmt: skip
_WHOLE = {
    "customers", "high", "mature", "months", "levels", "known", "ever", "assumed", "undated",
    "prospects",
}  # fmt: skip
_FLAG = {"sign_change", "replicated", "timeless"}
_MONEY = {
    "spend", "value", "cost_per_customer", "cost_per_high", "spend_mature", "value_mean",
    "value_mean_others", "difference", "difference_low", "difference_high",
    "difference_without_one", "value_median",
}  # fmt: skip
#: Columns that are called after whom is looked for.
_OF_TARGET = {
    "high", "high_rate", "high_rate_low", "high_rate_high", "high_rate_shrunk", "share_of_high",
    "cost_per_high",
}  # fmt: skip
_TRAITS = (
    "trait", "kind", "timeless", "use", "reason", "levels", "known", "ever", "assumed", "undated",
    "test", "p", "p_crude", "q",
)  # fmt: skip


def renamed(column: str, target: str) -> str:
    """The name of a column where others than those of high value are looked for.

    >>> renamed("high_rate_high", "low"), renamed("share_of_high", "unprofitable")
    ('low_rate_high', 'share_of_unprofitable')
    >>> renamed("lift_high", "low")
    'lift_high'
    """
    if column not in _OF_TARGET:
        return column
    return target.join(column.split("high", 1))


def told_table(columns: Sequence[str], rows: Sequence[Mapping[str, Any]], target: str) -> pa.Table:
    """The rows of one of the loop's tables.

    Args:
        columns: of the rows.
        rows: what they lack is null.
        target: whom is looked for; columns of ``high`` are called after them.
    """
    return _table(columns, rows).rename_columns([renamed(name, target) for name in columns])


def traits_table(standings: Sequence[Standing]) -> pa.Table:
    """A row for each trait: what became of it, and its test."""
    return _table(_TRAITS, [asdict(one) for one in standings])


def _table(columns: Sequence[str], rows: Sequence[Mapping[str, Any]]) -> pa.Table:
    import pyarrow as pa

    schema = pa.schema([(name, _kind(name)) for name in columns])
    values = {
        name: pa.array([row.get(name) for row in rows], schema.field(name).type) for name in columns
    }
    return pa.table(values, schema=schema)


def _kind(name: str) -> Any:
    import pyarrow as pa

    if name in _TEXT:
        return pa.string()
    if name in _WHOLE:
        return pa.int64()
    if name in _FLAG:
        return pa.bool_()
    return pa.decimal128(38, 6) if name in _MONEY else pa.float64()
