"""Values that were given, checked: what all questions are refused in the same words."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from bowtie.durations import parse_duration
from bowtie.errors import UsageError

__all__ = ["length", "one_of", "span"]


def one_of(name: str, value: object, words: Sequence[str]) -> str:
    """A value that is one of some words.

    Raises:
        UsageError: it is none of them; the message names them all.
    """
    if value not in words:
        raise UsageError(f"{name} is {value!r}; write {' or '.join(words)}")
    return str(value)


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
