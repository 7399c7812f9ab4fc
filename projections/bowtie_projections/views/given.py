"""Values that were given, checked: what all questions are refused in the same words."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from bowtie.currencies import ISO_4217
from bowtie.durations import parse_duration
from bowtie.errors import UsageError

__all__ = ["currency_among", "currency_code", "length", "one_of", "span"]


def one_of(name: str, value: object, words: Sequence[str]) -> str:
    """A value that is one of some words.

    Raises:
        UsageError: it is none of them; the message names them all.
    """
    if value not in words:
        raise UsageError(f"{name} is {value!r}; write {' or '.join(words)}")
    return str(value)


def currency_code(value: object) -> str | None:
    """The code of a currency, or None where none was asked for.

    Raises:
        UsageError: there is no such currency.
    """
    if value is not None and value not in ISO_4217:
        raise UsageError(f"currency {value!r} is no ISO 4217 code in capitals, such as EUR")
    return None if value is None else str(value)


def currency_among(asked: object, known: Sequence[str]) -> str | None:
    """The only currency of some contracts; None where they are in several.

    Args:
        asked: the one that was asked for, if one was.
        known: those that they are in.

    Raises:
        UsageError: they are in none of that name.
    """
    if asked is not None and asked not in known:
        raise UsageError(
            f"currency is {asked!r}, and contracts are in: {', '.join(known) or 'none'}"
        )
    return known[0] if len(known) == 1 else None


def span(name: str, value: Any) -> timedelta:
    """A time that is longer than none.

    >>> span("window", "90d")
    datetime.timedelta(days=90)

    Raises:
        UsageError: it is no length of time, or none at all.
    """
    try:
        found = value if isinstance(value, timedelta) else parse_duration(str(value))
    except UsageError as error:
        raise UsageError(f"{name}: {error}") from None
    if found <= timedelta(0):
        raise UsageError(f"{name} is {value}: write a time longer than none")
    return found


def length(name: str, value: Any) -> timedelta | None:
    """The same, where nothing may be given: then it is None."""
    return None if value is None else span(name, value)
