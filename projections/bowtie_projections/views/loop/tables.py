"""The closed loop's tables as Arrow: their columns have their types even where they are empty."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from bowtie_projections.views.loop import findings as loop_findings
from bowtie_projections.views.loop import sources as loop_sources
from bowtie_projections.views.loop.traits import Standing

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["findings_table", "sources_table", "traits_table"]

_TEXT = {"trait", "level", "verdict", "source", "reason", "kind", "use", "test"}
_WHOLE = {
    "customers", "high", "mature", "months", "levels", "known", "ever", "assumed", "undated",
}  # fmt: skip
_FLAG = {"sign_change", "replicated", "timeless"}
_MONEY = {"spend", "value", "cost_per_customer", "cost_per_high", "spend_mature"}
_TRAITS = (
    "trait", "kind", "timeless", "use", "reason", "levels", "known", "ever", "assumed", "undated",
    "test", "p", "p_crude", "q",
)  # fmt: skip


def findings_table(rows: Sequence[Mapping[str, Any]]) -> pa.Table:
    """A row for each level of each trait."""
    return _table(loop_findings.COLUMNS, rows)


def sources_table(rows: Sequence[Mapping[str, Any]]) -> pa.Table:
    """A row for each source."""
    return _table(loop_sources.COLUMNS, rows)


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
