"""The types of the catalogue's fields: how each is written, and what is refused."""

from __future__ import annotations

import re
from datetime import date
from decimal import Decimal
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, PlainSerializer, StringConstraints
from pydantic_core import PydanticCustomError

from bowtie.currencies import ISO_4217

__all__ = [
    "DECIMAL_PATTERN",
    "PERSONAL",
    "Currency",
    "Day",
    "Flag",
    "MaybePersonal",
    "Money",
    "Number",
    "Per",
    "Personal",
    "ScalarMap",
    "Stage",
    "Text",
    "Whole",
]

#: A decimal as the wire writes it: no exponent, no plus, no leading zeros, at most 6 decimals.
#: At most 18 digits before them, so that sums and products of many stay within DECIMAL(38,6).
#: Python's ``$`` would let a line end follow.
DECIMAL_PATTERN = r"^-?(0|[1-9][0-9]{0,17})(\.[0-9]{1,6})?(?!\n)$"
_DECIMAL = re.compile(DECIMAL_PATTERN)


def _decimal(value: object, *, floats: bool) -> Decimal:
    if isinstance(value, bool) or not isinstance(value, (str, int, Decimal, float)):
        raise PydanticCustomError("decimal", 'write it as a string of digits, such as "120.00"')
    if isinstance(value, float) and not floats:
        raise PydanticCustomError(
            "decimal", 'write money as a string, such as "120.00": a binary float loses cents'
        )
    text = (
        value
        if isinstance(value, str)
        else format(Decimal(repr(value)) if isinstance(value, float) else Decimal(value), "f")
    )
    if not _DECIMAL.match(text):
        raise PydanticCustomError(
            "decimal",
            "write it as plain digits, at most 18 and 6 decimals, such as 1234.50"
            " (no exponent, thousands separator, sign + or leading zeros)",
        )
    return Decimal(text)


def _money(value: object) -> Decimal:
    return _decimal(value, floats=False)


def _number(value: object) -> Decimal:
    return _decimal(value, floats=True)


def _currency(value: object) -> object:
    if isinstance(value, str) and value not in ISO_4217:
        raise PydanticCustomError("currency", "write an ISO 4217 code in capitals, such as EUR")
    return value


def _date(value: object) -> object:
    if isinstance(value, str) and not re.match(r"^\d{4}-\d{2}-\d{2}$", value):
        raise PydanticCustomError("date", "write a day as YYYY-MM-DD")
    return value


def _plain(value: Decimal) -> str:
    return format(value, "f")


#: Marks a field that is personal: it is sealed under the customer's own key.
PERSONAL = "personal"

Text = Annotated[str, StringConstraints(min_length=1, strict=True, pattern=r"^[^\x00]*$")]
Personal = Annotated[Text, PERSONAL]
MaybePersonal = Annotated[Text | None, PERSONAL]
Money = Annotated[Decimal, BeforeValidator(_money), PlainSerializer(_plain, when_used="json")]
Number = Annotated[Decimal, BeforeValidator(_number), PlainSerializer(_plain, when_used="json")]
Currency = Annotated[Text, BeforeValidator(_currency)]
Day = Annotated[date, BeforeValidator(_date)]
Flag = Annotated[bool, Field(strict=True)]
Whole = Annotated[int, Field(strict=True, ge=0, le=2**53)]
Scalar = Annotated[str, Field(strict=True)] | Flag | Annotated[int, Field(strict=True)] | float
ScalarMap = dict[Text, Scalar | None]
Per = Literal["month", "quarter", "year"]
Stage = Literal[
    "awareness", "education", "selection", "commitment", "onboarding", "utilization", "growth"
]
