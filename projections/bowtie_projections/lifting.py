"""Columns of an older version of an event, lifted to the newest.

What a step does to columns follows from the step itself (:mod:`bowtie.lifting`). What only a
function can say is done event by event, before the lines become columns.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from functools import singledispatch
from typing import Any, Literal, get_args, get_origin, get_type_hints

import msgspec
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.json

from bowtie.codec import MAPS
from bowtie.currencies import ISO_4217
from bowtie.events import Event
from bowtie.fields import Currency
from bowtie.lifting import Add, By, Drop, Remap, Rename, Scale, Step, lift, steps_from
from bowtie_projections.lines import Lines

__all__ = ["NOT_ONE", "VERSIONS", "Lifting", "Unreadable", "parsing", "read_json"]

NOT_ONE = "the state is not one JSON object"

_LEAST_BLOCK = 1 << 20
_MONEY = pa.decimal128(38, 6)
#: Wide enough for the product of an amount and a factor.
_WIDE = pa.decimal256(44, 6)
#: The catalogue's amounts have at most 18 digits before the point.
_TOO_LARGE = Decimal(10**18)

#: The fields of a version by name, and their types.
Fields = dict[str, pa.DataType]
Forward = Callable[[pa.Table], pa.Table]


class Unreadable(ValueError):
    """A state that can't become a row; the message says why."""


def parsing(schema: pa.Schema) -> Any:
    """How lines are parsed that hold these fields, and others that nobody asks for."""
    return pa.json.ParseOptions(explicit_schema=schema, unexpected_field_behavior="ignore")


#: How lines are parsed of which only the version is asked.
VERSIONS = parsing(pa.schema([pa.field("_v", pa.int64())]))


def read_json(lines: Lines, parse: Any) -> pa.Table:
    """The columns that lines of JSON hold.

    Raises:
        pa.ArrowException: one of them is none.
    """
    source: Any = pa.BufferReader(lines.data)
    return pa.json.read_json(
        source,
        # a line that is longer than a block can't be read
        read_options=pa.json.ReadOptions(block_size=max(_LEAST_BLOCK, lines.longest)),
        parse_options=parse,
    )


class Lifting:
    """From lines of one older version to columns of the newest.

    Args:
        model: the event.
        version: the lines'.
        newest: the columns that lines of the newest version are read as.

    Raises:
        Unliftable: there is no such version.
    """

    def __init__(self, model: type[Event], version: int, newest: pa.Schema) -> None:
        self._model, self._version, self._newest = model, version, newest
        steps = steps_from(model, version)
        self._by_function = any(isinstance(step, By) for step in steps)
        fields: Fields = {field.name: field.type for field in newest}
        self._forward: list[Forward] = []
        if not self._by_function:
            self._forward = [_unlifted(step, fields) for step in reversed(steps)][::-1]
        self._parse = parsing(pa.schema(list(fields.items())))
        self._choices = _choices(model, newest.names)

    def __call__(self, lines: Lines) -> pa.Table:
        """The columns of some lines.

        Raises:
            pa.ArrowException, msgspec.MsgspecError, Unliftable, Unreadable: one of them is wrong.
        """
        table = read_json(self._rewritten(lines) if self._by_function else lines, self._parse)
        if table.num_rows != len(lines):
            raise Unreadable(NOT_ONE)
        for forward in self._forward:
            table = forward(table)
        for name, words in self._choices.items():
            column = table[name].drop_null()
            if not pc.all(pc.is_in(column, words), min_count=0).as_py():
                raise Unreadable(f"{name}: is none of the words that it may be")
        return table.select(self._newest.names)

    def _rewritten(self, lines: Lines) -> Lines:
        """The lines as if they had been written in the newest version."""
        return Lines.split(
            b"".join(self._rewritten_line(line) for line in lines.array().to_pylist())
        )

    def _rewritten_line(self, line: bytes) -> bytes:
        state: dict[str, Any] = msgspec.json.decode(line)
        head = {name: value for name, value in state.items() if name.startswith("_")}
        data = {name: value for name, value in state.items() if name not in head}
        for name in MAPS:
            if name in data:
                data[name] = msgspec.json.decode(data[name])
        data = lift(self._model, self._version, data)
        for name in MAPS:
            if name in data:
                data[name] = msgspec.json.encode(data[name], order="sorted").decode()
        return msgspec.json.encode(head | data) + b"\n"


def _choices(model: type[Event], names: list[str]) -> dict[str, Any]:
    """The fields that hold one of some words, and these."""
    found = {}
    for name, hint in get_type_hints(model, include_extras=True).items():
        parts = (hint, *get_args(hint))
        literals = [get_args(part) for part in parts if get_origin(part) is Literal]
        if Currency in parts:
            literals.append(tuple(ISO_4217))
        if literals and name in names:
            found[name] = pa.array(literals[0])
    return found


@singledispatch
def _unlifted(step: Step, fields: Fields) -> Forward:  # noqa: ARG001 - what the forms below take
    """Turn the fields after a step into those before it; returns what the step does to columns.

    A field that no column holds (a personal one, or one that a later step drops) is none of its
    business.
    """
    raise TypeError(f"{step} has no form for columns")


def _nothing(table: pa.Table) -> pa.Table:
    return table


@_unlifted.register
def _(step: Rename, fields: Fields) -> Forward:
    if step.new not in fields:
        return _nothing
    fields[step.old] = fields.pop(step.new)
    return lambda table: table.rename_columns(
        [step.new if name == step.old else name for name in table.column_names]
    )


@_unlifted.register
def _(step: Add, fields: Fields) -> Forward:
    if step.name not in fields:
        return _nothing
    kind = fields.pop(step.name)
    plain = Decimal(step.value) if pa.types.is_decimal(kind) else step.value
    value: Any = pa.scalar(plain, kind)
    return lambda table: table.append_column(step.name, pa.repeat(value, table.num_rows))


@_unlifted.register
def _(step: Drop, fields: Fields) -> Forward:
    del step, fields  # what is not asked for is not read
    return _nothing


@_unlifted.register
def _(step: Remap, fields: Fields) -> Forward:
    if step.name not in fields:
        return _nothing
    old, new = pa.array(list(step.words)), pa.array(list(step.words.values()))

    def forward(table: pa.Table) -> pa.Table:
        words: Any = table[step.name].combine_chunks()
        changed = new.take(pc.index_in(words, old))
        return _with(table, step.name, pc.coalesce(changed, words))

    return forward


@_unlifted.register
def _(step: Scale, fields: Fields) -> Forward:
    if step.name not in fields:
        return _nothing
    if step.whole:
        fields[step.name] = pa.int64()
    factor: Any = pa.scalar(Decimal(step.by))
    factor = factor.cast(pa.decimal256(factor.type.precision, factor.type.scale))

    def forward(table: pa.Table) -> pa.Table:
        numbers = table[step.name].cast(_MONEY).cast(_WIDE)
        scaled: Any = pc.round(pc.multiply(numbers, factor), 6, "half_to_even")
        if pc.any(pc.greater_equal(pc.abs(scaled), pa.scalar(_TOO_LARGE))).as_py():
            raise Unreadable(f"{step.name}: has more than 18 digits")
        return _with(table, step.name, scaled.cast(_MONEY))

    return forward


def _with(table: pa.Table, name: str, column: Any) -> pa.Table:
    return table.set_column(table.column_names.index(name), name, column)
