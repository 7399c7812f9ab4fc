"""How the states of one type of event are read, and what rows of its table they make."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from functools import cache
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import sqlalchemy as sa

from bowtie.events import CATALOGUE, Event, personal_fields
from bowtie_projections.lifting import NOT_ONE, VERSIONS, Lifting, Unreadable, parsing, read_json
from bowtie_projections.lines import Lines
from bowtie_projections.tables import ALIAS_EVENTS, facts, metadata

__all__ = ["NO_ROWS", "Shape", "arrow_schema", "shape_of"]

#: The keys of the envelope that a state begins with; those that no table holds are not read.
_ENVELOPE: list[Any] = [
    pa.field("_kind", pa.string()),
    pa.field("_key", pa.string()),
    pa.field("_at", pa.int64()),
    pa.field("_known", pa.int64()),
    pa.field("_day", pa.bool_()),
    pa.field("_source", pa.string()),
    pa.field("_id", pa.string()),
    pa.field("_correlation", pa.string()),
    pa.field("_causation", pa.string()),
    pa.field("_oos", pa.bool_()),
    pa.field("_v", pa.int64()),
]
_REQUIRED = ("_key", "_at", "_source", "_id")
_TRAIT = pa.struct([("name", pa.string()), ("value", pa.string())])
_MAP = msgspec.json.Decoder(dict[str, msgspec.Raw])
_TEXT = msgspec.json.Decoder(str)


_ARROW_TYPES: dict[type, pa.DataType] = {
    Decimal: pa.decimal128(38, 6),
    date: pa.date32(),
    bool: pa.bool_(),
    int: pa.int64(),
    str: pa.string(),
}


def _arrow_type(column: sa.Column[Any]) -> pa.DataType:
    if isinstance(column.type, sa.DateTime):
        return pa.timestamp("us")
    return _ARROW_TYPES[column.type.python_type]


def arrow_schema(table: sa.Table) -> pa.Schema:
    """The columns of a read table as Arrow has them.

    >>> arrow_schema(facts["score_given"]).field("score").type
    Decimal128Type(decimal128(38, 6))
    """
    return pa.schema([(column.name, _arrow_type(column)) for column in table.columns])


#: An empty Arrow table in the shape of each read table.
NO_ROWS: dict[str, pa.Table] = {
    table.name: pa.Table.from_batches([], arrow_schema(table)) for table in metadata.sorted_tables
}


class Shape:
    """The fields that the states of one type have, and the columns they go to."""

    def __init__(self, model: type[Event]) -> None:
        self.model = model
        self.table = facts[model.type_name]
        self._target = NO_ROWS[model.type_name].schema
        self._envelope_columns = 7
        self._own = list(self._target)[self._envelope_columns :]
        self._days = [field.name for field in self._own if pa.types.is_date(field.type)]
        personal = personal_fields(model)
        self._required = [
            *_REQUIRED,
            *(n for n, f in model.model_fields.items() if f.is_required() and n not in personal),
        ]
        if model.type_name in ALIAS_EVENTS:
            self._required.append("_alias")
        self._parse = parsing(self._schema())
        self._liftings: dict[int, Lifting] = {}
        self.empty = self._converted(pa.Table.from_batches([], self._schema()))

    @property
    def _has_traits(self) -> bool:
        return "traits" in self.model.model_fields

    def _schema(self) -> pa.Schema:
        """What pyarrow is told to look for; it reads days as numbers only, so they come as text."""
        if self._has_traits:
            return pa.schema([*_ENVELOPE, pa.field("traits", pa.string())])
        fields: list[Any] = [
            pa.field(self._key_of(field.name), pa.string())
            if pa.types.is_date(field.type) or field.name == "alias_hash"
            else field
            for field in self._own
        ]
        return pa.schema([*_ENVELOPE, *fields])

    def _key_of(self, column: str) -> str:
        return "_alias" if column == "alias_hash" else column

    def read(self, lines: Lines) -> pa.Table:
        """The columns that lines of JSON hold, in order; those of an older version are lifted.

        Raises:
            pa.ArrowException, msgspec.MsgspecError, Unreadable: one of the lines is wrong.
        """
        if not self.model.lifts:
            read = read_json(lines, self._parse)
            self._refuse_newer(read["_v"])
            return self._checked(read)
        newest: pa.Table | None = None
        try:
            newest = read_json(lines, self._parse)
        except pa.ArrowException:  # older data need not look like the newest
            found: Any = read_json(lines, VERSIONS)["_v"]
        else:
            found = newest["_v"]
        self._refuse_newer(found)
        versions = found.fill_null(1).to_numpy()
        if newest is not None and (versions == self.model.data_version).all():
            return self._checked(newest)
        return self._checked(self._lifted(lines, versions))

    def _refuse_newer(self, versions: Any) -> None:
        newest = pc.max(versions).as_py()
        if newest is not None and newest > self.model.data_version:
            raise Unreadable(
                f"its data is of version {newest}, this bowtie knows {self.model.data_version}"
            )

    def _checked(self, read: pa.Table) -> pa.Table:
        """The columns typed, where none lacks that must be there."""
        for name in self._required:
            if read[name].null_count:
                raise Unreadable(f"the state has no {name}")
        return self._converted(read)

    def _lifted(self, lines: Lines, versions: npt.NDArray[np.int64]) -> pa.Table:
        """The columns of lines of several versions, each read and lifted as its own asks for."""
        if len(versions) != len(lines):
            raise Unreadable(NOT_ONE)
        order, parts = [], []
        for version in np.unique(versions):
            rows = np.flatnonzero(versions == version)
            order.append(rows)
            parts.append(self._lifting(int(version))(lines.take(rows)))
        back: Any = pa.array(np.argsort(np.concatenate(order)))
        return pa.concat_tables(parts).take(back)

    def _lifting(self, version: int) -> Lifting:
        if version not in self._liftings:
            self._liftings[version] = Lifting(self.model, version, self._schema())
        return self._liftings[version]

    def _converted(self, read: pa.Table) -> pa.Table:
        for name in self._days:
            read = read.set_column(
                read.schema.get_field_index(name), name, read[name].cast(pa.date32())
            )
        if self._has_traits:
            traits = _traits(read["traits"].to_pylist())
            read = read.set_column(read.schema.get_field_index("traits"), "traits", traits)
        return read

    def rows(self, read: pa.Table, head: dict[str, Any]) -> pa.Table:
        """The rows of the type's table.

        Args:
            read: what :meth:`read` gave.
            head: the columns that all tables share; ``key`` is the stream's key.
        """
        names = self._target.names
        shared = [
            head["key"] if name in ("customer", "subject") else head[name]
            for name in names[: self._envelope_columns]
        ]
        if not self._has_traits:
            own = [read[self._key_of(field.name)] for field in self._own]
            return pa.table([*shared, *own], schema=self._target)
        table = pa.table(shared, names=names[: self._envelope_columns])
        traits: Any = read["traits"].combine_chunks()
        unnested = table.take(pc.list_parent_indices(traits))
        name, value = traits.flatten().flatten()
        return pa.table([*unnested.columns, name, value], schema=self._target)


def _traits(texts: list[Any]) -> Any:
    """The traits of each text: strings as they are, numbers and booleans as JSON writes them."""
    offsets: list[int] = [0]
    names: list[str] = []
    values: list[str | None] = []
    for text in texts:
        for name, raw in _MAP.decode(text or "{}").items():
            value = bytes(raw)
            names.append(name)
            if value[:1] == b'"':
                values.append(_TEXT.decode(value))
            else:
                values.append(None if value == b"null" else value.decode())
        offsets.append(len(names))
    pairs = pa.StructArray.from_arrays(
        [pa.array(names, pa.string()), pa.array(values, pa.string())], fields=list(_TRAIT)
    )
    return pa.ListArray.from_arrays(pa.array(offsets, pa.int32()), pairs)


@cache
def shape_of(type_name: str) -> Shape | None:
    """The shape of a type's states, or None where the catalogue has no such type."""
    model = CATALOGUE.get(type_name)
    return None if model is None else Shape(model)
