"""What each platform takes: the names of its columns, and how an identifier is written and hashed.

All take the SHA-256, in hex, of an e-mail address in small letters without white space around it.
They differ in how a phone number is written before: see the page "Audiences" for the sources.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

__all__ = [
    "PLATFORMS",
    "Columns",
    "Platform",
    "Row",
    "hashed",
    "normal_email",
    "normal_phone",
    "written_csv",
    "written_json",
]

#: An e-mail address and a phone number, or what is known of a company: made uniform, and empty
#: where nothing is known.
Row = tuple[str, ...]

_EMAIL = re.compile(r"[^@\s,;<>\"]+@[^@\s,;<>\"]+\.[^@\s,;<>\".]+")
#: E.164: a country code without a zero before it, and at most 15 digits in all.
_E164 = re.compile(r"[1-9][0-9]{6,14}")
_PUNCTUATION = re.compile(r"[\s().\-/\u2010-\u2015\u00a0]+")


class Columns(Protocol):
    """What a file needs to know of a platform."""

    def columns(self, *, plain: bool = False) -> tuple[str, ...]:
        """The names of the columns."""

    def cells(self, row: Row, *, plain: bool = False) -> Row:
        """A row as the platform takes it."""


@dataclass(frozen=True, slots=True)
class Platform:
    """How a platform takes people.

    Args:
        name: what it is called here.
        email: the column of e-mail addresses.
        phone: that of phone numbers; None where it takes none.
        plus: a phone number is written with a plus before it.
        plain: the columns where nothing is hashed, if they have other names.
        empty: further columns of its template, which must be there and may be empty.
        least: how many rows or people it asks for.
    """

    name: str
    email: str
    phone: str | None
    plus: bool = False
    plain: tuple[str, str] | None = None
    empty: tuple[str, ...] = ()
    least: int = 0

    def columns(self, *, plain: bool = False) -> tuple[str, ...]:
        """The names of the columns."""
        if plain and self.plain is not None:
            return self.plain
        return (self.email, *(() if self.phone is None else (self.phone,)), *self.empty)

    def cells(self, row: Row, *, plain: bool = False) -> tuple[str, ...]:
        """A row as the platform takes it.

        >>> PLATFORMS["google"].cells(("ada@example.org", "4915123456789"), plain=True)
        ('ada@example.org', '+4915123456789')
        >>> PLATFORMS["meta"].cells(("ada@example.org", ""))[0][:12]
        'cfe00dde46ef'
        """
        email, phone = row
        written = "+" + phone if phone and self.plus else phone
        values = (email,) if self.phone is None else (email, written)
        told = values if plain else tuple(hashed(one) for one in values)
        return (*told, *("" for _ in self.empty))


#: The columns of LinkedIn's contact list after the address. They stay empty: a name beside a hash
#: would tell whose it is.
_OF_CONTACTS = ("firstname", "lastname", "jobtitle", "employeecompany", "country", "googleaid")

PLATFORMS = {
    one.name: one
    for one in (
        Platform("generic", "email_sha256", "phone_sha256", plus=True, plain=("email", "phone")),
        Platform("google", "Email", "Phone", plus=True),
        Platform("meta", "email", "phone", least=100),
        Platform("linkedin", "email", None, empty=_OF_CONTACTS, least=300),
        Platform(
            "tiktok",
            "Email_SHA256",
            "Phone_SHA256",
            plus=True,
            plain=("Email", "Phone"),
            least=1000,
        ),
    )
}


def hashed(text: str) -> str:
    """The SHA-256 of a text in hex; of nothing, nothing.

    >>> hashed("test@example.com")
    '973dfe463ec85785f5f95af5ba3906eedb2d931c24e69824a89ea65dba4e813b'
    """
    return hashlib.sha256(text.encode()).hexdigest() if text else ""


def normal_email(text: object) -> str | None:
    """An e-mail address in small letters without white space around it; None where it is none.

    >>> normal_email(" Ada@Example.org "), normal_email("ada at example")
    ('ada@example.org', None)
    """
    email = text.strip().lower() if isinstance(text, str) else ""
    return email if _EMAIL.fullmatch(email) else None


def normal_phone(text: object, calling_code: str = "") -> str | None:
    """The digits of a phone number from its country code on, or None where that isn't known.

    Args:
        text: the number: with its country code after ``+`` or ``00``; or without, where
            ``calling_code`` says which it is, and one zero before the number is left out.
        calling_code: of numbers without one, such as ``49``.

    >>> normal_phone("+49 (151) 234-56789"), normal_phone("0049 151 23456789")
    ('4915123456789', '4915123456789')
    >>> normal_phone("0151 23456789"), normal_phone("0151 23456789", "49")
    (None, '4915123456789')
    """
    written = _PUNCTUATION.sub("", str(text)) if isinstance(text, str | int) else ""
    if written.startswith("+"):
        digits = written[1:]
    elif written.startswith("00"):
        digits = written[2:]
    else:
        digits = calling_code + written.removeprefix("0") if calling_code and written else ""
    return digits if _E164.fullmatch(digits) else None


def written_csv(platform: Columns, rows: Sequence[Row], *, plain: bool = False) -> bytes:
    """A file of rows: UTF-8, a header, commas."""
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(platform.columns(plain=plain))
    writer.writerows(platform.cells(row, plain=plain) for row in rows)
    return text.getvalue().encode()


def written_json(platform: Columns, rows: Sequence[Row], *, plain: bool = False) -> bytes:
    """The same as a list of objects; what is missing is left out."""
    columns = platform.columns(plain=plain)
    objects = [
        {name: value for name, value in zip(columns, cells, strict=True) if value}
        for cells in (platform.cells(row, plain=plain) for row in rows)
    ]
    lines = ",\n".join(json.dumps(one, ensure_ascii=False) for one in objects)
    return f"[\n{lines}\n]\n".encode()
