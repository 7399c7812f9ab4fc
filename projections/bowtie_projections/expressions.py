"""The few SQL expressions that databases write differently, each in one place."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.elements import ColumnElement
from sqlalchemy.sql.functions import FunctionElement

__all__ = [
    "BEGINNING",
    "END",
    "happened",
    "hashed_share",
    "known_since",
    "map_text",
    "micros_between",
    "nth_least",
    "null",
    "number_in",
    "packed_field",
    "packed_max",
    "packed_min",
    "quantiles",
    "rows_given",
    "span",
    "stored",
]

#: Before and after all times; for comparing only, never handed out.
BEGINNING: ColumnElement[Any] = sa.literal_column("TIMESTAMP '-infinity'", sa.DateTime())
END: ColumnElement[Any] = sa.literal_column("TIMESTAMP 'infinity'", sa.DateTime())


def null(kind: Any) -> ColumnElement[Any]:
    """Nothing, of a kind: databases take a bare null for a text.

    >>> print(null(sa.Integer()))
    CAST(NULL AS INTEGER)
    """
    return sa.cast(sa.null(), kind)


def span(length: timedelta) -> ColumnElement[Any]:
    """An exact length of time.

    >>> print(span(timedelta(days=1)))
    INTERVAL '86400000000 microseconds'
    """
    micros = length // timedelta(microseconds=1)
    return sa.literal_column(f"INTERVAL '{micros} microseconds'", sa.Interval())


def happened(facts: Any) -> ColumnElement[Any]:
    """When a fact of a table was surely over, by its columns: nobody can know it before.

    Where only the day is known, that is the end of the day. Such a fact is written at the
    beginning of its sender's day, in whatever zone that is, so the end is one day on; a day of
    UTC would be another one.
    """
    end_of_day = facts.occurred_at + span(timedelta(days=1))
    return sa.case((facts.time_precision == "day", end_of_day), else_=facts.occurred_at)


class hashed_share(FunctionElement[float]):  # noqa: N801 - read as a function
    """A number from 0 up to 1, drawn by the hash of a text: 32 bits of its MD5."""

    type = sa.Double()
    inherit_cache = True
    name = "hashed_share"


@compiles(hashed_share)
def _hashed_share(element: hashed_share, compiler: SQLCompiler, **options: Any) -> str:
    text = compiler.process(element.clauses, **options)
    return f"(CAST('0x' || substr(md5({text}), 1, 8) AS BIGINT) / CAST(4294967296 AS DOUBLE))"


@compiles(hashed_share, "postgresql")
def _hashed_share_in_postgres(element: hashed_share, compiler: SQLCompiler, **options: Any) -> str:
    text = compiler.process(element.clauses, **options)
    bits = f"CAST(CAST('x' || substr(md5({text}), 1, 8) AS BIT(32)) AS BIGINT)"
    return f"({bits} / CAST(4294967296 AS DOUBLE PRECISION))"


def known_since(facts: Any, gap: timedelta) -> ColumnElement[Any]:
    """From when a fact of a table was known, by its columns.

    From when its sender knew it, where that is said; else from when it was recorded. What was
    recorded long after it happened is history loaded later: then the time it happened counts.

    Args:
        facts: the columns of the table.
        gap: how long after is long.
    """
    loaded_later = facts.recorded_at - facts.occurred_at > span(gap)
    recorded = sa.case(
        (sa.or_(facts.recorded_at.is_(None), loaded_later), happened(facts)),
        else_=sa.func.greatest(facts.recorded_at, happened(facts)),
    )
    return sa.func.greatest(facts.occurred_at, sa.func.coalesce(facts.known_from, recorded))


class map_text(FunctionElement[str]):  # noqa: N801 - read as a function
    """The text of one key of a map: strings as they are, numbers and booleans as JSON text."""

    type = sa.String()
    inherit_cache = False
    name = "map_text"

    def __init__(self, column: ColumnElement[Any], key: str) -> None:
        self.wanted = key
        super().__init__(column)


@compiles(map_text)
def _map_text(element: map_text, compiler: SQLCompiler, **options: Any) -> str:
    # A JSON pointer takes any key; a JSON path can't quote a quote.
    pointer = "/" + element.wanted.replace("~", "~0").replace("/", "~1")
    column = compiler.process(element.clauses, **options)
    return f"json_extract_string({column}, {_quoted(pointer)})"


@compiles(map_text, "postgresql")
def _map_text_in_postgres(element: map_text, compiler: SQLCompiler, **options: Any) -> str:
    # json, not jsonb: numbers stay as they were written
    column = compiler.process(element.clauses, **options)
    return f'((({column})::json ->> {_quoted(element.wanted)}) COLLATE "C")'


class packed_min(FunctionElement[Any]):  # noqa: N801 - read as a function
    """The least row of (first, second, ...): fields are compared in their order.

    One pass and a third of the time of a window; :func:`packed_field` unpacks it.
    """

    type = sa.types.NullType()
    inherit_cache = True
    name = "packed_min"


class packed_max(FunctionElement[Any]):  # noqa: N801 - read as a function
    """The greatest row of (first, second, ...), packed alike."""

    type = sa.types.NullType()
    inherit_cache = True
    name = "packed_max"


def _packed(element: FunctionElement[Any], compiler: SQLCompiler, **options: Any) -> str:
    fields = ", ".join(
        f"f{index} := {compiler.process(column, **options)}"
        for index, column in enumerate(element.clauses)
    )
    return f"struct_pack({fields})"


def _packed_in_postgres(
    element: FunctionElement[Any], compiler: SQLCompiler, **options: Any
) -> str:
    # A row has no least one there, and its fields no names; an array of texts has both.
    first, *others = (_sortable(column, compiler, **options) for column in element.clauses)
    fields = ", ".join([f'{first} COLLATE "C"', *others])
    return f"ARRAY[{fields}]"


@compiles(packed_min)
def _packed_min(element: packed_min, compiler: SQLCompiler, **options: Any) -> str:
    return f"min({_packed(element, compiler, **options)})"


@compiles(packed_min, "postgresql")
def _packed_min_in_postgres(element: packed_min, compiler: SQLCompiler, **options: Any) -> str:
    return f"min({_packed_in_postgres(element, compiler, **options)})"


@compiles(packed_max)
def _packed_max(element: packed_max, compiler: SQLCompiler, **options: Any) -> str:
    return f"max({_packed(element, compiler, **options)})"


@compiles(packed_max, "postgresql")
def _packed_max_in_postgres(element: packed_max, compiler: SQLCompiler, **options: Any) -> str:
    return f"max({_packed_in_postgres(element, compiler, **options)})"


def _sortable(column: ColumnElement[Any], compiler: SQLCompiler, **options: Any) -> str:
    """The text of a value, which sorts by code point as the value does."""
    text = f"CAST({compiler.process(column, **options)} AS TEXT)"
    return f"lpad({text}, 19, '0')" if isinstance(column.type, sa.Integer) else text


class packed_field(FunctionElement[Any]):  # noqa: N801 - read as a function
    """A field of a packed row, counted from 0."""

    inherit_cache = False
    name = "packed_field"

    def __init__(self, packed: ColumnElement[Any], index: int, type_: Any) -> None:
        self.index, self.type = index, type_
        super().__init__(packed)


@compiles(packed_field)
def _packed_field(element: packed_field, compiler: SQLCompiler, **options: Any) -> str:
    return f"struct_extract({compiler.process(element.clauses, **options)}, 'f{element.index}')"


@compiles(packed_field, "postgresql")
def _packed_field_in_postgres(element: packed_field, compiler: SQLCompiler, **options: Any) -> str:
    kind = compiler.dialect.type_compiler_instance.process(element.type)
    packed = compiler.process(element.clauses, **options)
    return f"CAST(({packed})[{element.index + 1}] AS {kind})"


class micros_between(FunctionElement[int]):  # noqa: N801 - read as a function
    """The microseconds from one moment to another."""

    type = sa.BigInteger()
    inherit_cache = True
    name = "micros_between"


@compiles(micros_between)
def _micros_between(element: micros_between, compiler: SQLCompiler, **options: Any) -> str:
    start, end = (compiler.process(side, **options) for side in element.clauses)
    return f"(epoch_us({end}) - epoch_us({start}))"


@compiles(micros_between, "postgresql")
def _micros_in_postgres(element: micros_between, compiler: SQLCompiler, **options: Any) -> str:
    start, end = (compiler.process(side, **options) for side in element.clauses)
    return f"CAST(extract(epoch FROM {end} - {start}) * 1000000 AS BIGINT)"


class quantiles(FunctionElement[Any]):  # noqa: N801 - read as a function
    """A list of quantiles, each interpolated between the two nearest values."""

    type = sa.types.NullType()
    inherit_cache = False
    name = "quantiles"

    def __init__(self, value: ColumnElement[Any], shares: Sequence[float]) -> None:
        self.shares = tuple(shares)
        super().__init__(value)


@compiles(quantiles)
def _quantiles(element: quantiles, compiler: SQLCompiler, **options: Any) -> str:
    value = compiler.process(element.clauses, **options)
    return f"quantile_cont({value}, {list(element.shares)})"


@compiles(quantiles, "postgresql")
def _quantiles_in_postgres(element: quantiles, compiler: SQLCompiler, **options: Any) -> str:
    value = compiler.process(element.clauses, **options)
    return f"percentile_cont(ARRAY{list(element.shares)}) WITHIN GROUP (ORDER BY {value})"


class nth_least(FunctionElement[Any]):  # noqa: N801 - read as a function
    """The n-th least value of a group, counted from 1; null where there are fewer.

    Without the window that would tell the same in thrice the time.
    """

    inherit_cache = False
    name = "nth_least"

    def __init__(self, value: ColumnElement[Any], place: int) -> None:
        self.place, self.type = place, value.type
        super().__init__(value)


@compiles(nth_least)
def _nth_least(element: nth_least, compiler: SQLCompiler, **options: Any) -> str:
    value = compiler.process(element.clauses, **options)
    return f"min({value}, {element.place})[{element.place}]"


@compiles(nth_least, "postgresql")
def _nth_least_in_postgres(element: nth_least, compiler: SQLCompiler, **options: Any) -> str:
    value = compiler.process(element.clauses, **options)
    return f"(array_agg({value} ORDER BY {value}))[{element.place}]"


class number_in(FunctionElement[float]):  # noqa: N801 - read as a function
    """The number that a text is; null where it is none."""

    type = sa.Double()
    inherit_cache = True
    name = "number_in"


#: What every database reads as a number: no infinity, and none that is too large for a double.
_NUMBER = "^[+-]?[0-9]{1,200}([.][0-9]{1,200})?([eE][+-]?[0-9]{1,2})?$"


@compiles(number_in)
def _number_in(element: number_in, compiler: SQLCompiler, **options: Any) -> str:
    text = compiler.process(element.clauses, **options)
    return f"CASE WHEN regexp_matches({text}, '{_NUMBER}') THEN CAST({text} AS DOUBLE) END"


@compiles(number_in, "postgresql")
def _number_in_postgres(element: number_in, compiler: SQLCompiler, **options: Any) -> str:
    text = compiler.process(element.clauses, **options)
    return f"CASE WHEN {text} ~ '{_NUMBER}' THEN CAST({text} AS DOUBLE PRECISION) END"


class stored(sa.TableClause):  # noqa: N801 - read as a function
    """A read table itself, where a statement has given its name to other rows."""

    inherit_cache = True

    def __init__(self, table: sa.Table) -> None:
        super().__init__(table.name, *(sa.column(c.name, c.type) for c in table.c))


@compiles(stored)
def _stored(element: stored, compiler: SQLCompiler, *, asfrom: bool = False, **options: Any) -> str:
    name: str = compiler.visit_table(element, asfrom=asfrom, **options)  # type: ignore[no-untyped-call]
    # elsewhere a name in its own definition is the table's; DuckDB takes it for a circle
    return f"main.{name}" if asfrom and compiler.dialect.name == "duckdb" else name


class rows_given(sa.TableClause):  # noqa: N801 - read as a function
    """Rows that Python found, for SQL to join: one text, however many they are.

    A list of values would be read value by value, which takes minutes where they are a million.

    Args:
        name: what they are called in the statement.
        kinds: the columns, each with its type: text, whole numbers or doubles.
        rows: with a value for each column, None where there is none.
    """

    inherit_cache = False

    def __init__(self, name: str, kinds: Mapping[str, Any], rows: Iterable[Sequence[Any]]) -> None:
        super().__init__(name, *(sa.column(column, kind) for column, kind in kinds.items()))
        named = [dict(zip(kinds, row, strict=True)) for row in rows]
        self.text = json.dumps(named, ensure_ascii=False, allow_nan=False, separators=(",", ":"))

    def once(self) -> sa.CTE:
        """The rows as a part of a statement."""
        return sa.select(*self.c).cte(self.name).prefix_with("MATERIALIZED")


@compiles(rows_given)
def _rows_given(
    element: rows_given, compiler: SQLCompiler, *, asfrom: bool = False, **options: Any
) -> str:
    name: str = compiler.visit_table(element, asfrom=asfrom, **options)  # type: ignore[no-untyped-call]
    if not asfrom:
        return name
    kinds = {c.name: c.type.compile(compiler.dialect) for c in element.columns}
    if compiler.dialect.name == "postgresql":
        typed = ", ".join(f"{column} {kind}" for column, kind in kinds.items())
        # text of a function is ordered as the database likes, that of the tables by code point
        sorts = {c.name: ' COLLATE "C"' for c in element.columns if isinstance(c.type, sa.String)}
        columns = ", ".join(f"{column}{sorts.get(column, '')} AS {column}" for column in kinds)
        given = f"json_to_recordset({_quoted(element.text)}) AS given({typed})"
        return f"(SELECT {columns} FROM {given}) AS {name}"
    shape = _quoted(json.dumps([kinds]))
    given = f"from_json({_quoted(element.text)}, {shape})"
    return f"(SELECT unnest({given}, recursive := true)) AS {name}"


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
