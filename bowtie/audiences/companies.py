"""Lists of companies, to reach whoever works there: by what traits of the account tell.

Such a list names companies and nobody who works there, so nothing in it is hashed.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from bowtie.audiences.platforms import Row

__all__ = ["COMPANY_FIELDS", "COMPANY_LISTS", "IDENTIFYING", "Companies", "company_row"]

#: What a list may tell of a company; each is the trait of that name, unless another is named.
COMPANY_FIELDS = (
    "company", "website", "email_domain", "linkedin_page", "stock_symbol", "industry", "city",
    "state", "country", "zip",
)  # fmt: skip
#: Without one of these nobody can tell which company is meant.
IDENTIFYING = COMPANY_FIELDS[:4]
_HOST = re.compile(r"(?:[a-z0-9](?:[a-z0-9-]*[a-z0-9])?\.)+[a-z][a-z0-9-]*[a-z0-9]")
_PAGE = re.compile(r"(?:https?://)?(?:[a-z]+\.)?linkedin\.com/company/([^/?#\s]+)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Companies:
    """How a platform takes companies.

    Args:
        name: what it is called here.
        header: its column of each of :data:`COMPANY_FIELDS`.
        least: how many people must work there for it to be of use.
    """

    name: str
    header: tuple[str, ...] = COMPANY_FIELDS
    least: int = 0

    def columns(self, *, plain: bool = False) -> tuple[str, ...]:
        """The names of the columns, which nothing is hashed in."""
        del plain
        return self.header

    def cells(self, row: Row, *, plain: bool = False) -> Row:
        """A row as the platform takes it."""
        del plain
        return row


COMPANY_LISTS = {
    one.name: one
    for one in (
        Companies("generic"),
        Companies(
            "linkedin",
            (
                "companyname", "companywebsite", "companyemaildomain", "linkedincompanypageurl",
                "stocksymbol", "industry", "city", "state", "companycountry", "zipcode",
            ),
            least=300,
        ),
    )
}  # fmt: skip


def company_row(traits: Mapping[str, str], names: Mapping[str, str]) -> tuple[Row, int]:
    """What traits tell of a company, made uniform; and how many of them can't be used.

    A web site is its host in small letters without ``www.``; so is the domain of addresses, of
    which what stands before an ``@`` is left out. A country of two letters is in capitals.

    Args:
        traits: what is known.
        names: of fields, the trait that holds them, where it is called otherwise.

    >>> told = {"company": " Acme  Ltd", "website": "https://www.Acme.example/en", "country": "de"}
    >>> row, unusable = company_row(told, {})
    >>> row[:4], row[8], unusable
    (('Acme Ltd', 'acme.example', '', ''), 'DE', 0)
    >>> company_row({"land": "Germany", "site": "none"}, {"country": "land", "website": "site"})
    (('', '', '', '', '', '', '', '', 'Germany', ''), 1)
    """
    cells, unusable = [], 0
    for field in COMPANY_FIELDS:
        text = " ".join(traits.get(names.get(field, field), "").split())
        cell = _UNIFORM[field](text) if text and field in _UNIFORM else text
        unusable += bool(text) and not cell
        cells.append(cell)
    return tuple(cells), unusable


def _website(text: str) -> str:
    try:
        host = urlsplit(text if "//" in text else f"//{text}").hostname or ""
    except ValueError:
        return ""
    return _host(host.removeprefix("www."))


def _domain(text: str) -> str:
    return _host(text.rpartition("@")[2].lower())


def _host(text: str) -> str:
    """A host, in the letters that names on the network have; nothing where it is none."""
    try:
        found = text.rstrip(".").encode("idna").decode().lower()
    except UnicodeError:
        return ""
    return found if _HOST.fullmatch(found) else ""


def _page(text: str) -> str:
    found = _PAGE.match(text)
    return f"https://www.linkedin.com/company/{found[1].lower()}" if found else ""


def _country(text: str) -> str:
    return text.upper() if len(text) == 2 else text


_UNIFORM = {
    "website": _website,
    "email_domain": _domain,
    "linkedin_page": _page,
    "country": _country,
}
