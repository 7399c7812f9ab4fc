"""What may be compared: the kinds of an event's fields, and the values a definition gives them."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import date, datetime
from decimal import Decimal
from difflib import get_close_matches
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from bowtie.currencies import ISO_4217
from bowtie.events import Event
from bowtie.fields import DECIMAL_PATTERN
from bowtie.stages.definition import NUMBER_PATTERN, Kind, Value

__all__ = ["decimal_of", "field_kind", "near", "value_of"]

_KINDS: dict[object, Kind] = {
    str: "text",
    Decimal: "decimal",
    int: "whole",
    date: "day",
    bool: "flag",
    dict: "map",
}
_DAY = re.compile(r"\d{4}-\d{2}-\d{2}")


def field_kind(model: type[Event], name: str) -> tuple[Kind, tuple[str, ...]]:
    """The kind of a field, and the values it is limited to (none: not limited).

    >>> from bowtie.events import CATALOGUE
    >>> field_kind(CATALOGUE["contract_signed"], "per")
    ('text', ('month', 'quarter', 'year'))
    """
    annotation: Any = model.model_fields[name].annotation
    while True:
        origin = get_origin(annotation)
        if origin in (Union, UnionType):
            annotation = next(a for a in get_args(annotation) if a is not type(None))
        elif origin is Annotated:
            annotation = get_args(annotation)[0]
        elif origin is Literal:
            return "text", get_args(annotation)
        else:
            return _KINDS[origin or annotation], ()


def near(word: str, known: Iterable[str]) -> str:
    """What to write instead of an unknown word: the nearest known one, or all of them.

    >>> near("evnt", ["event", "where"])
    'did you mean "event"?'
    """
    known = list(known)
    found = get_close_matches(word, known, n=1)
    return f'did you mean "{found[0]}"?' if found else f"it is one of {', '.join(known)}"


def value_of(given: object, kind: Kind, field: str, literals: tuple[str, ...]) -> Value:
    """A value from the document as the field's type.

    Raises:
        ValueError: it is of another type; the message says what to write.
    """
    if kind == "decimal":
        return decimal_of(given, field)
    if kind == "day":
        return _day_of(given, field)
    if kind == "flag":
        if isinstance(given, bool):
            return given
        raise ValueError(f'"{field}" is true or false, not {_shown(given)}')
    if kind == "whole":
        if isinstance(given, int) and not isinstance(given, bool):
            return given
        raise ValueError(f'"{field}" is a whole number: write it as 12, not {_shown(given)}')
    if kind == "map":
        return _map_value_of(given, field)
    return _text_of(given, field, literals)


def decimal_of(given: object, field: str) -> Decimal:
    """A number, or a text of one, as an exact decimal."""
    if isinstance(given, (int, Decimal)) and not isinstance(given, bool):
        given = format(given, "f") if isinstance(given, Decimal) else str(given)
    if isinstance(given, str) and re.fullmatch(DECIMAL_PATTERN, given):
        return Decimal(given)
    raise ValueError(
        f'"{field}" is a decimal number: write it as "120.00" or 120'
        f" (at most 6 decimals), not {_shown(given)}"
    )


def _day_of(given: object, field: str) -> date:
    if isinstance(given, date) and not isinstance(given, datetime):
        return given
    if isinstance(given, str) and _DAY.fullmatch(given):
        try:
            return date.fromisoformat(given)
        except ValueError:
            pass
    raise ValueError(f'"{field}" is a day: write it as 2026-01-31, not {_shown(given)}')


def _map_value_of(given: object, field: str) -> Value:
    if isinstance(given, (str, bool)):
        return given
    if isinstance(given, (int, Decimal)) and re.fullmatch(NUMBER_PATTERN, str(given)):
        return Decimal(given)
    raise ValueError(
        f'"{field}" is compared with a text, a number, true or false, not with {_shown(given)}'
    )


def _text_of(given: object, field: str, literals: tuple[str, ...]) -> str:
    if isinstance(given, str):
        if literals and given not in literals:
            raise ValueError(f'"{field}" is never "{given}": {near(given, literals)}')
        if field == "currency" and given not in ISO_4217:
            raise ValueError(f'"{given}" is no currency: write an ISO 4217 code such as "EUR"')
        return given
    raise ValueError(f'"{field}" is a text: write it in quotes, not as {_shown(given)}')


def _shown(given: object) -> str:
    """A value as a document writes it, roughly, for a message."""
    if isinstance(given, bool):
        return str(given).lower()
    if isinstance(given, str):
        return f'"{given}"'
    if isinstance(given, dict):
        return "a table"
    return "a list" if isinstance(given, list) else str(given)
