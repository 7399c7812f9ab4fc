"""How a schema of a PostgreSQL database is named, for a store and for read tables.

>>> url = PostgresUrl.parse("postgresql+psycopg://ada:secret@db.example/app?schema=t1&sslmode=require")
>>> url.schema, url.shown
('t1', 'postgresql://ada@db.example/app?schema=t1&sslmode=require')
>>> url.conninfo
'postgresql://ada:secret@db.example/app?sslmode=require'
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, quote, urlencode, urlsplit

from bowtie.errors import UsageError

__all__ = ["Apart", "PostgresUrl", "is_postgres", "patience", "take_apart", "with_schema"]

_SCHEME = re.compile(r"postgres(?:ql)?(?:\+psycopg)?://")
_SCHEMA = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,39}")
_SECRET = ("password", "sslpassword")
_FORM = (
    "write postgresql://USER:PASSWORD@HOST/DATABASE?schema=NAME, with signs such as @, / and : of"
    " a password as %40, %2F and %3A"
)
#: Seconds that a server has to answer at the door, for each of its addresses.
_CONNECT_TIMEOUT = 10


def is_postgres(url: str) -> bool:
    """Whether a URL names a PostgreSQL database."""
    return _SCHEME.match(url) is not None


def patience(conninfo: str) -> dict[str, Any]:
    """How long to wait for a connection, unless the URL says.

    >>> patience("postgresql://db/app"), patience("postgresql://db/app?connect_timeout=3")
    ({'connect_timeout': 10}, {})
    """
    return {} if "connect_timeout=" in conninfo else {"connect_timeout": _CONNECT_TIMEOUT}


@dataclass(frozen=True, slots=True)
class Apart:
    """What a URL says.

    Attributes:
        conninfo: the database, as the driver takes it.
        schema: the schema's name, where the URL has one.
        shown: the URL without a password, for people.
    """

    conninfo: str = field(repr=False)
    schema: str | None
    shown: str


def take_apart(url: str) -> Apart:
    """Read a URL; all of its parameters but ``schema`` go to the driver.

    Raises:
        UsageError: it is no such URL; never says the password.
    """
    try:
        parts = urlsplit(url)
        query = parse_qsl(parts.query, keep_blank_values=True, strict_parsing=bool(parts.query))
        parts.port  # noqa: B018  # raises where it is no number: a password with a / in it
    except ValueError:
        raise UsageError(f"that is no PostgreSQL URL: {_FORM}") from None
    if parts.fragment or "@" in parts.path:
        raise UsageError(f"that is no PostgreSQL URL: {_FORM}")
    user, _, host = parts.netloc.rpartition("@")
    name = user.partition(":")[0]
    return Apart(
        conninfo=_url(parts.netloc, parts.path, [one for one in query if one[0] != "schema"]),
        schema=dict(query).get("schema"),
        shown=_url(
            f"{name}@{host}" if name else host,
            parts.path,
            [one for one in query if one[0] not in _SECRET],
        ),
    )


def with_schema(url: str, schema: str) -> str:
    """A URL that names no schema, with one.

    >>> with_schema("postgresql://db/app?sslmode=require", "t1")
    'postgresql://db/app?sslmode=require&schema=t1'
    """
    return f"{url}{'&' if '?' in url else '?'}schema={quote(schema)}"


@dataclass(frozen=True, slots=True)
class PostgresUrl:
    """Where a store is: a schema of a PostgreSQL database.

    Attributes:
        conninfo: the database, as the driver takes it.
        schema: the schema's name, ``public`` unless the URL says.
        shown: the URL without a password, for people.
    """

    conninfo: str = field(repr=False)
    schema: str
    shown: str

    @classmethod
    def parse(cls, url: str) -> PostgresUrl:
        """The place that a URL names.

        Raises:
            UsageError: it is no such URL, or the schema's name can't be used; never says the
                password.
        """
        found = take_apart(url)
        schema = "public" if found.schema is None else found.schema
        if not _SCHEMA.fullmatch(schema) or schema.startswith("pg_"):
            raise UsageError(
                f"schema={schema!r}: a schema's name has letters, digits and _, at most 40 of them,"
                " and doesn't begin with pg_"
            )
        if schema == "bowtie" or schema.endswith("_views"):
            raise UsageError(f"schema={schema!r}: read tables go by such names; name it otherwise")
        return cls(found.conninfo, schema, found.shown)

    @property
    def address(self) -> str:
        """The URL to connect by, with its password; the schema, where it is not ``public``."""
        return self.conninfo if self.schema == "public" else with_schema(self.conninfo, self.schema)


def _url(netloc: str, path: str, query: list[tuple[str, str]]) -> str:
    asked = f"?{urlencode(query, quote_via=quote, safe='/')}" if query else ""
    return f"postgresql://{netloc}{path}{asked}"
