"""Numbers of foreign files, read strictly and computed exactly."""

from __future__ import annotations

import re
from collections.abc import Callable
from decimal import ROUND_HALF_EVEN, Context, Decimal, Inexact, InvalidOperation, Overflow
from typing import Any

from bowtie.errors import EventRejected
from bowtie.fields import DECIMAL_PATTERN

__all__ = ["EXACT", "Parse", "as_decimal", "number_parser", "rounded", "wire_number"]

Parse = Callable[[Any], Decimal]

#: Wide enough for the product of several amounts; what doesn't fit is an error, never rounded.
EXACT = Context(prec=120, traps=[InvalidOperation, Overflow, Inexact])
_ROUNDING = Context(prec=120, rounding=ROUND_HALF_EVEN, traps=[InvalidOperation, Overflow])
_PLAIN = re.compile(r"[+-]?(\d{1,32}(\.\d{0,30})?|\.\d{1,30})")
_is_wire = re.compile(DECIMAL_PATTERN).match


def as_decimal(value: Any) -> Decimal:
    """A cell as an exact number; a float means its shortest text, 2.55 and not 2.5499999...

    >>> as_decimal(2.55), as_decimal("-6"), as_decimal(17850.0)
    (Decimal('2.55'), Decimal('-6'), Decimal('17850.0'))

    Raises:
        EventRejected: it is no number.
    """
    if isinstance(value, str):
        text = value.strip()
        if _PLAIN.fullmatch(text):
            return Decimal(text)
    elif isinstance(value, float):
        number = Decimal(repr(value))
        if number.is_finite():
            return number
    elif isinstance(value, int | Decimal) and not isinstance(value, bool):
        return Decimal(value)
    raise _no_number(value)


def _no_number(value: Any) -> EventRejected:
    return EventRejected("invalid", f"{str(value)[:40]!r} is no number")


def number_parser(decimal: str, thousands: str, remove: list[str]) -> Parse:
    """The function that reads numbers written in one way.

    >>> number_parser(",", ".", ["€", " "])("1.234,50 €")
    Decimal('1234.50')

    A thousands mark must stand before three digits: ``1,5`` is no number where the comma is one,
    rather than fifteen.
    """
    if decimal == "." and not thousands and not remove:
        return as_decimal
    point, mark = re.escape(decimal), re.escape(thousands)
    whole = rf"(\d{{1,3}}(?:{mark}\d{{3}})+|\d{{1,32}})" if thousands else r"(\d{1,32})"
    pattern = re.compile(rf"([+-]?){whole}(?:{point}(\d{{0,30}}))?")

    def parse(value: Any) -> Decimal:
        if not isinstance(value, str):
            return as_decimal(value)
        text = value
        for piece in remove:
            text = text.replace(piece, "")
        match = pattern.fullmatch(text.strip())
        if match is None:
            raise _no_number(value)
        sign, digits, fraction = match.groups()
        digits = digits.replace(thousands, "") if thousands else digits
        return Decimal(f"{sign}{digits}.{fraction or '0'}" if fraction else f"{sign}{digits}")

    return parse


def rounded(number: Decimal, places: int) -> Decimal:
    """To so many places, half to even."""
    return number.quantize(Decimal(1).scaleb(-places), context=_ROUNDING)


def wire_number(number: Decimal) -> str:
    """A number as the wire writes it, without trailing zeros: equal amounts are equal texts.

    >>> wire_number(Decimal("6.0") * Decimal("2.550")), wire_number(Decimal("-0.00"))
    ('15.3', '0')

    Raises:
        EventRejected: it has more than 6 decimals, or more digits than fit.
    """
    if not number:
        return "0"
    text = format(number, "f")
    if "." in text:
        text = text.rstrip("0").rstrip(".")
    if not _is_wire(text):
        raise EventRejected(
            "invalid", f"{text[:40]} has more than 6 decimals or 32 digits: round it (round = 2)"
        )
    return text
