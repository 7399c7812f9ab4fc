"""Spans of time as people write them: ``90d``, ``36h``, ``2w``.

>>> parse_duration("2w")
datetime.timedelta(days=14)
>>> format_duration(parse_duration("36h"))
'36h'
"""

from __future__ import annotations

import re
from datetime import timedelta

from bowtie.errors import UsageError

__all__ = ["LONGEST", "format_duration", "parse_duration"]

_UNITS = {
    "w": timedelta(weeks=1),
    "d": timedelta(days=1),
    "h": timedelta(hours=1),
    "min": timedelta(minutes=1),
    "s": timedelta(seconds=1),
}
_PATTERN = re.compile(r"([0-9]{1,12})(w|d|h|min|s)")

#: No span is longer: a date plus a span must still be a date.
LONGEST = timedelta(days=36_500)


def parse_duration(text: str) -> timedelta:
    """The span a text names: a whole number and a unit (``w``, ``d``, ``h``, ``min``, ``s``).

    Months and years are not units: they have no fixed length.

    Raises:
        UsageError: the text is no such span, or longer than 36500 days.

    >>> parse_duration("90d")
    datetime.timedelta(days=90)
    """
    found = _PATTERN.fullmatch(text.strip())
    if found is None:
        raise UsageError(
            f"{text!r} is not a span of time: write a whole number and a unit,"
            ' such as "90d", "36h", "2w", "30min" or "45s"'
        )
    number, unit = int(found[1]), _UNITS[found[2]]
    if number > LONGEST // unit:
        raise UsageError(f"{text!r} is too long a span of time: write at most 36500d")
    return number * unit


def format_duration(span: timedelta) -> str:
    """The span as a text that :func:`parse_duration` reads, in days where they are whole.

    Fractions of a second, which no text names, are cut off.

    >>> format_duration(timedelta(days=14)), format_duration(timedelta(minutes=90))
    ('14d', '90min')
    """
    for name in ("d", "h", "min"):
        if not span % _UNITS[name]:
            return f"{span // _UNITS[name]}{name}"
    return f"{span // _UNITS['s']}s"
