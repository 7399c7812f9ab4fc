"""The fields of facts as JSON, read from the tables: what is sealed never came into them."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Collection, Mapping
from datetime import date, datetime
from decimal import Decimal
from typing import Any

import sqlalchemy as sa

from bowtie_projections import tables
from bowtie_projections.views.cut import Reader

__all__ = ["data_of"]

#: Columns that are of the log, not of the fact.
_ENVELOPE = {
    "position", "customer", "subject", "occurred_at", "recorded_at", "known_from",
    "time_precision", "retracted_position", "alias_hash",
}  # fmt: skip
#: Fields that hold a map, kept as JSON.
_MAPS = {"properties", "extensions"}


def data_of(reader: Reader, found: sa.Select[Any], types: Collection[str]) -> dict[int, str]:
    """The fields that facts have a value for, as JSON text by position.

    Args:
        reader: the read tables.
        found: a statement with a column ``position``, of the facts wanted.
        types: of which types they are.
    """
    data: dict[int, dict[str, Any]] = defaultdict(dict)
    for name in sorted(types):
        table = tables.facts[name]
        wanted = sa.select(found.subquery("wanted").c.position)
        own = [column for column in table.c if column.name not in _ENVELOPE]
        rows = sa.select(table.c.position, *own).where(table.c.position.in_(wanted))
        for row in reader.fetch(rows).to_pylist():
            said = data[row.pop("position")]
            if name == "traits_observed":
                said.setdefault("traits", {})[row["name"]] = row["value"]
            else:
                said |= {key: _plain(key, value) for key, value in row.items() if value is not None}
    return {at: json.dumps(said, ensure_ascii=False) for at, said in data.items()}


def _plain(name: str, value: Any) -> Any:
    match value:
        case Decimal():
            return format(value.normalize(), "f")
        case datetime() | date():
            return value.isoformat()
        case str() if name in _MAPS:
            found: Mapping[str, Any] = json.loads(value)
            return found
    return value
