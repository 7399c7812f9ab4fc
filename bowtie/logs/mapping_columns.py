"""Columns of a row: found by name, or by a dotted path into nested JSON; and their text."""

from __future__ import annotations

from collections.abc import Callable, Collection
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from bowtie.errors import EventRejected
from bowtie.logs.mapping_document import Table

__all__ = ["Columns", "Get", "as_text"]

#: What a column holds in a row; None where it is empty or not there.
Get = Callable[[dict[str, Any]], Any]


class Columns:
    """Makes the functions that read columns, and remembers which columns the mapping reads.

    Args:
        missing: texts that mean that a cell is empty.
    """

    def __init__(self, missing: Collection[str] = ("",)) -> None:
        self._missing = frozenset(missing) | {""}
        #: each column read, with the line of the mapping that names it first
        self.read: dict[str, int] = {}

    def get(self, name: str, table: Table, key: str | None = None) -> Get:
        """The function that reads a column.

        Raises:
            MappingError: the name is empty.
        """
        if not name:
            raise table.error("a column must have a name", key)
        self.read.setdefault(name, table.line(key))
        missing = self._missing

        def plain(row: dict[str, Any]) -> Any:
            value = row.get(name)
            if value.__class__ is str and (value in missing or value.isspace()):
                return None
            return value

        if "." not in name:
            return plain
        parts = name.split(".")

        def nested(row: dict[str, Any]) -> Any:
            if name in row:
                return plain(row)
            value = _inside(row, parts)
            if value.__class__ is str and (value in missing or value.isspace()):
                return None
            return value

        return nested

    def required(self, name: str, table: Table, key: str, use: str) -> Get:
        """As :meth:`get`, but an empty cell refuses the event."""
        get = self.get(name, table, key)

        def value(row: dict[str, Any]) -> Any:
            found = get(row)
            if found is None:
                raise EventRejected("invalid", f"{use}: column {name} is empty")
            return found

        return value


def _inside(value: Any, parts: list[str]) -> Any:
    for part in parts:
        if isinstance(value, dict):
            value = value.get(part)
        elif isinstance(value, list) and part.isdigit() and int(part) < len(value):
            value = value[int(part)]
        else:
            return None
    return value


def as_text(value: Any) -> str:
    """A cell as text: whole numbers without ``.0``, times as ISO.

    >>> as_text(17850.0), as_text(True), as_text(Decimal("1.50"))
    ('17850', 'true', '1.50')

    Raises:
        EventRejected: the cell holds other cells.
    """
    if value.__class__ is str:
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() else repr(value)
    if isinstance(value, Decimal):
        whole = value == value.to_integral_value()
        return format(value.to_integral_value() if whole else value, "f")
    if isinstance(value, datetime | date):
        return value.isoformat()
    if isinstance(value, dict | list | bytes):
        raise EventRejected("invalid", "it holds several values: name one inside, such as a.b")
    return str(value)
