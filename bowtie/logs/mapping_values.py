"""Values of an event's fields, taken from a row: each compiled once to a plain function."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any, Literal, cast, get_args

from bowtie.errors import EventRejected
from bowtie.logs.mapping_columns import Columns, Get, as_text
from bowtie.logs.mapping_document import Table
from bowtie.logs.mapping_numbers import EXACT, Parse, number_parser, rounded, wire_number
from bowtie.logs.mapping_text import SOURCE_KEYS, TIDY_KEYS, compile_source, tidier
from bowtie.logs.mapping_times import day_reader

__all__ = ["Field", "Kind", "Take", "ValueCompiler", "constant"]

#: What a field holds. ``found``: a trait or property, as it stands in the cell.
Kind = Literal["text", "number", "whole", "flag", "day", "found"]
#: Takes a value from a row; None where there is none.
Take = Callable[[dict[str, Any]], Any]
_Convert = Callable[[Any, dict[str, Any]], Any]

_MAP_KEYS = ("map", "unmapped", "otherwise", "default")
_NUMBER_KEYS = ("decimal", "thousands", "remove", "times", "scale", "negate", "abs", "round")
_KEYS = (*SOURCE_KEYS, "const", *TIDY_KEYS, *_MAP_KEYS, *_NUMBER_KEYS, "as", "format")
_FLAGS = {
    **dict.fromkeys(("true", "t", "yes", "y", "1"), True),
    **dict.fromkeys(("false", "f", "no", "n", "0"), False),
}


@dataclass(frozen=True, slots=True)
class Field:
    """A field to be filled.

    ``problem`` says what is wrong with a value that the mapping itself writes, if anything.
    ``scalar``: a trait or property, whose numbers are JSON numbers and not texts.
    """

    name: str
    kind: Kind
    required: bool = False
    scalar: bool = False
    problem: Callable[[Any], str | None] = lambda value: None


class ValueCompiler:
    """Compiles what a mapping says about its events' fields.

    Args:
        columns: where columns are looked up.
        format_table: the mapping's ``[format]``: how the file writes numbers.
        maps: the mapping's named value maps.
    """

    def __init__(self, columns: Columns, format_table: Table, maps: Table) -> None:
        self.columns, self._maps = columns, maps
        self._decimal = format_table.text("decimal", ".")
        self._thousands = format_table.text("thousands", "")
        self._parser(format_table)

    def compile(self, parent: Table, key: str, field: Field) -> Take:
        """The function that takes one field; ``parent[key]`` says from where.

        Raises:
            MappingError: what it says makes no sense for the field.
        """
        value = parent.values[key]
        if isinstance(value, str):
            spec = parent.of(key, {"column": value})
        elif isinstance(value, dict):
            spec = parent.table(key)
        else:
            raise parent.error(f"`{key}` must be a column's name in quotes, or a table", key)
        spec.only(_KEYS)
        if "const" in spec.values:
            if len(spec.values) > 1:
                raise spec.error("`const` stands alone")
            fixed = constant(spec, "const", field)
            return lambda row: fixed
        return self._from_row(spec, field)

    def _from_row(self, spec: Table, field: Field) -> Take:
        get, place = compile_source(spec, self.columns)
        kind = self._kind(spec, field)
        convert = self._mapped(spec, field, self._converter(spec, kind, scalar=field.scalar))
        if tidy := tidier(spec):
            get = _tidied(get, tidy)
        default = constant(spec, "default", field) if "default" in spec.values else None
        simple = set(spec.values) <= {"column", "columns", "join", "template"}
        if simple and kind == "text" and not field.required:
            return _text_taker(get, f"{field.name}: {place}")
        return _taker(get, convert, f"{field.name}: {place}", default, required=field.required)

    def _kind(self, spec: Table, field: Field) -> Kind:
        kind: Kind = field.kind
        if "as" in spec.values:
            if kind != "found":
                raise spec.error(f"`as` is for maps; {field.name} is a {kind} already", "as")
            kind = cast(Kind, spec.choice("as", get_args(Kind)[:-1], "text"))
        elif kind == "found" and any(key in spec.values for key in _NUMBER_KEYS):
            kind = "number"
        for key in spec.values:
            if key in _NUMBER_KEYS and kind not in ("number", "whole"):
                raise spec.error(f"`{key}` is for numbers; {field.name} is a {kind}", key)
            if key == "format" and kind != "day":
                raise spec.error(f"`format` is for days; {field.name} is a {kind}", key)
        return kind

    def _converter(self, spec: Table, kind: Kind, *, scalar: bool) -> _Convert:
        if kind in ("number", "whole"):
            number = self._number(spec)
            finish: Callable[[Decimal], Any] = wire_number
            if kind == "whole":
                finish = _whole
            elif scalar:
                finish = _json_number
            return lambda value, row: finish(number(value, row))
        if kind == "day":
            day = day_reader(spec)
            return lambda value, row: day(value)
        convert = {"text": as_text, "flag": _flag, "found": _found}[kind]
        return lambda value, row: convert(value)

    def _parser(self, spec: Table) -> Parse:
        decimal = spec.text("decimal", self._decimal)
        thousands = spec.text("thousands", self._thousands)
        if len(decimal) != 1 or decimal == thousands:
            raise spec.error("`decimal` and `thousands` must be two different marks", "decimal")
        return number_parser(decimal, thousands, spec.texts("remove"))

    def _number(self, spec: Table) -> Callable[[Any, dict[str, Any]], Decimal]:
        """Reading and arithmetic: the column, times others, scaled, its sign changed, rounded."""
        parse, scale = self._parser(spec), spec.values.get("scale", 1)
        if isinstance(scale, bool) or not isinstance(scale, int | Decimal):
            raise spec.error("`scale` must be a number, such as 0.01", "scale")
        factor = EXACT.multiply(Decimal(scale), Decimal(-1 if spec.flag("negate") else 1))
        columns = [
            self.columns.required(name, spec, "times", "times") for name in spec.texts("times")
        ]
        places, positive = spec.values.get("round"), spec.flag("abs")
        if places is not None and (places.__class__ is not int or not 0 <= places <= 6):
            raise spec.error("`round` must be a number of decimals, 0 to 6", "round")
        if not columns and factor == 1 and not positive and places is None:
            return lambda value, row: parse(value)

        def number(value: Any, row: dict[str, Any]) -> Decimal:
            result = parse(value)
            for column in columns:
                result = EXACT.multiply(result, parse(column(row)))
            if positive:
                result = EXACT.abs(result)
            if factor != 1:
                result = EXACT.multiply(result, factor)
            return result if places is None else rounded(result, places)

        return number

    def _mapped(self, spec: Table, field: Field, convert: _Convert) -> _Convert:
        """The conversion, behind the value map of the spec, if it has one."""
        if "map" not in spec.values:
            for key in ("unmapped", "otherwise"):
                if key in spec.values:
                    raise spec.error(f"`{key}` goes with `map`", key)
            return convert
        table = self._map_table(spec)
        values = {key: constant(table, key, field) for key in table.values}
        policy = spec.choice("unmapped", ("park", "keep", "drop"), "park")
        otherwise = constant(spec, "otherwise", field) if "otherwise" in spec.values else None

        def look_up(value: Any, row: dict[str, Any]) -> Any:
            text = as_text(value)
            if text in values:
                return values[text]
            if otherwise is not None:
                return otherwise
            if policy == "park":
                raise EventRejected(
                    "invalid", f"{text[:40]!r} is not in the value map: add it, or say `otherwise`"
                )
            return convert(value, row) if policy == "keep" else None

        return look_up

    def _map_table(self, spec: Table) -> Table:
        if not isinstance(spec.values["map"], str):
            return spec.table("map")
        name = spec.text("map")
        if name not in self._maps.values:
            raise spec.error(f"there is no [maps.{name}] in this mapping", "map")
        return self._maps.table(name)


def _text_taker(get: Get, place: str) -> Take:
    """The commonest case, kept short: an optional text."""

    def take(row: dict[str, Any]) -> Any:
        try:
            value = get(row)
            return value if value is None or value.__class__ is str else as_text(value)
        except EventRejected as error:
            raise EventRejected(error.reason, f"{place}: {error.problem}") from None

    return take


def _taker(get: Get, convert: _Convert, place: str, default: Any, *, required: bool) -> Take:
    def take(row: dict[str, Any]) -> Any:
        try:
            value = get(row)
            if value is not None:
                value = convert(value, row)
        except EventRejected as error:
            raise EventRejected(error.reason, f"{place}: {error.problem}") from None
        except ArithmeticError:
            raise EventRejected("invalid", f"{place}: the number has too many digits") from None
        if value is not None:
            return value
        if default is None and required:
            raise EventRejected("invalid", f"{place} is empty, and the event needs it")
        return default

    return take


def _tidied(get: Get, tidy: Callable[[Any], Any]) -> Get:
    def tidied(row: dict[str, Any]) -> Any:
        value = get(row)
        return None if value is None else tidy(value) or None

    return tidied


def constant(table: Table, key: str, field: Field) -> Any:
    """A value that the mapping itself writes, as the wire has it.

    Raises:
        MappingError: the field can't hold it.
    """
    value = table.values[key]
    if isinstance(value, datetime | date):
        value = value.isoformat()
    if isinstance(value, int | Decimal) and not isinstance(value, bool):
        if field.scalar:
            value = _json_number(Decimal(value))
        elif field.kind == "number":
            value = wire_number(Decimal(value))
    problem = field.problem(value)
    if problem:
        raise table.error(f"{field.name} can't be {value!r}: {problem}", key)
    return value


def _json_number(number: Decimal) -> int | float:
    return int(number) if number == number.to_integral_value() else float(number)


def _whole(number: Decimal) -> int:
    if number != number.to_integral_value():
        raise EventRejected("invalid", f"{number} is no whole number")
    return int(number)


def _flag(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    word = as_text(value).strip().lower()
    if word not in _FLAGS:
        raise EventRejected("invalid", f"{word[:40]!r} is neither true nor false: map it")
    return _FLAGS[word]


def _found(value: Any) -> Any:
    if value.__class__ is str:
        return value
    if isinstance(value, Decimal):
        return _json_number(value)
    return value if isinstance(value, (bool, int, float)) else as_text(value)
