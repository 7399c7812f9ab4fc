"""Conditions on a row: the ``when`` of a mapping's events, compiled to plain functions."""

from __future__ import annotations

import re
from collections.abc import Callable
from decimal import Decimal
from typing import Any

from bowtie.errors import EventRejected
from bowtie.logs.mapping_columns import Columns, Get, as_text
from bowtie.logs.mapping_document import Table
from bowtie.logs.mapping_numbers import as_decimal

__all__ = ["Applies", "compile_when"]

Applies = Callable[[dict[str, Any]], bool]
_Test = Callable[[Any], bool]

_OPERATORS = (
    "is",
    "in",
    "not",
    "present",
    "gt",
    "ge",
    "lt",
    "le",
    "starts_with",
    "ends_with",
    "matches",
)


def compile_when(event: Table, columns: Columns) -> Applies | None:
    """The function that says whether an event applies to a row; None: always.

    A list of tables means that any of them may hold; within a table all must.
    """
    if "when" not in event.values:
        return None
    options = [_all(table, columns) for table in event.tables("when")]
    if not options:
        raise event.error("`when` is empty: leave it out, or name a column", "when")
    if len(options) == 1:
        return options[0]
    return lambda row: any(applies(row) for applies in options)


def _all(when: Table, columns: Columns) -> Applies:
    tests = []
    for name, condition in when.values.items():
        get = columns.get(name, when, name)
        tests.append(_on(get, _test(when, name, condition)))
    if not tests:
        raise when.error("`when` is empty: leave it out, or name a column")
    if len(tests) == 1:
        return tests[0]
    if len(tests) == 2:
        first, second = tests
        return lambda row: first(row) and second(row)
    return lambda row: all(test(row) for test in tests)


def _on(get: Get, test: _Test) -> Applies:
    return lambda row: test(get(row))


def _test(when: Table, name: str, condition: Any) -> _Test:
    """A value means equal to it, a list any of them, a table of operators all of them."""
    if isinstance(condition, list):
        return _equals_any(when, name, condition)
    if not isinstance(condition, dict):
        return _equals(when, name, condition)
    inner = when.table(name)
    inner.only(_OPERATORS)
    if not inner.values:
        raise when.error(f"the condition on `{name}` is empty", name)
    tests = [_operator(inner, name, key, value) for key, value in inner.values.items()]
    return tests[0] if len(tests) == 1 else lambda value: all(test(value) for test in tests)


def _operator(inner: Table, name: str, key: str, value: Any) -> _Test:
    if key == "present":
        return (lambda cell: cell is not None) if inner.flag(key) else (lambda cell: cell is None)
    if key == "is":
        return _equals(inner, key, value)
    if key == "in":
        return _equals_any(inner, key, value if isinstance(value, list) else [value])
    if key == "not":  # the opposite of any condition: an empty cell is not "x" either
        same = _test(inner, key, value)
        return lambda cell: not same(cell)
    if key in ("gt", "ge", "lt", "le"):
        return _compares(inner, name, key, value)
    return _text_test(inner, key)


def _text_test(inner: Table, key: str) -> _Test:
    wanted = inner.text(key)
    if key == "starts_with":
        return lambda cell: cell is not None and as_text(cell).startswith(wanted)
    if key == "ends_with":
        return lambda cell: cell is not None and as_text(cell).endswith(wanted)
    try:
        search = re.compile(wanted).search
    except re.error as error:
        raise inner.error(f"`matches` is no regular expression: {error}", key) from None
    return lambda cell: cell is not None and search(as_text(cell)) is not None


def _equals_any(table: Table, key: str, values: list[Any]) -> _Test:
    if values and all(isinstance(value, str) for value in values):
        wanted = frozenset(values)
        return lambda cell: (
            cell in wanted
            if cell.__class__ is str
            else cell is not None and as_text(cell) in wanted
        )
    tests = [_equals(table, key, value) for value in values]
    if not tests:
        raise table.error(f"`{key}` lists nothing", key)
    return lambda cell: any(test(cell) for test in tests)


def _equals(table: Table, key: str, value: Any) -> _Test:
    if isinstance(value, str):
        return lambda cell: (
            cell == value if cell.__class__ is str else cell is not None and as_text(cell) == value
        )
    if isinstance(value, bool):
        word = "true" if value else "false"
        return lambda cell: cell is not None and as_text(cell).lower() == word
    if isinstance(value, int | Decimal):
        number = Decimal(value)
        return lambda cell: cell is not None and _is_number(cell, number)
    raise table.error(f"`{key}` must be compared with a text, a number, or true or false", key)


def _is_number(cell: Any, wanted: Decimal) -> bool:
    try:
        return as_decimal(cell) == wanted
    except EventRejected:
        return False


def _compares(inner: Table, name: str, key: str, value: Any) -> _Test:
    """Greater or less: as numbers against a number, as texts against a text (such as a day)."""
    compare = _COMPARISONS[key]
    if isinstance(value, str):
        return lambda cell: cell is not None and compare(as_text(cell), value)
    if isinstance(value, bool) or not isinstance(value, int | Decimal):
        raise inner.error(f"`{key}` needs a number, or a text such as a day", key)
    limit = Decimal(value)

    def test(cell: Any) -> bool:
        if cell is None:
            return False
        try:
            return compare(as_decimal(cell), limit)
        except EventRejected as error:
            raise EventRejected("invalid", f"when, column {name}: {error.problem}") from None

    return test


_COMPARISONS: dict[str, Callable[[Any, Any], bool]] = {
    "gt": lambda a, b: bool(a > b),
    "ge": lambda a, b: bool(a >= b),
    "lt": lambda a, b: bool(a < b),
    "le": lambda a, b: bool(a <= b),
}
