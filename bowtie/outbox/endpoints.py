"""Endpoints: where messages go, and what each of them wants to be told."""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import SplitResult, urlsplit

from bowtie.errors import Conflict, UnknownName, UsageError
from bowtie.outbox.crossings import CrossingRule
from bowtie.outbox.messages import TOPICS
from bowtie.outbox.secrets import drop_secrets, make_secret
from bowtie.stores.tables import SCHEMA_VERSION
from bowtie.times import from_micros

if TYPE_CHECKING:
    from bowtie import Bowtie

__all__ = [
    "Endpoint",
    "add_endpoint",
    "checked_url",
    "endpoint_named",
    "endpoints",
    "remove_endpoint",
    "start_endpoint",
]

_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}")
_LOCAL = {"localhost", "127.0.0.1", "::1"}
_COLUMNS = "endpoint, url, topics, rule, nonce, upto, scored, stopped, scored_as_of"


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where messages go.

    Args:
        name: what it is called.
        url: the address; its query may be a secret, so it is not shown: see :attr:`shown`.
        topics: what it is told, of :data:`~bowtie.outbox.TOPICS`.
        rule: when a prospect crosses; None where it isn't told of them.
        nonce: what makes ids of messages that no other endpoint has.
        upto: up to which position of the log messages were made.
        scored: at which position prospects were scored last; -1 where they never were.
        stopped: why nothing is sent there any more; None while it is.
        scored_as_of: as of when prospects were scored last; None where they never were.
    """

    name: str
    url: str
    topics: tuple[str, ...]
    rule: CrossingRule | None
    nonce: str
    upto: int
    scored: int
    stopped: str | None
    scored_as_of: datetime | None

    @property
    def shown(self) -> str:
        """The address without its query."""
        return urlsplit(self.url)._replace(query="").geturl()


def checked_url(url: str, *, insecure: bool = False) -> SplitResult:
    """An address that messages may be sent to.

    >>> checked_url("https://hooks.example.org/bowtie").hostname
    'hooks.example.org'

    Args:
        url: the address.
        insecure: plain http will do, wherever it is.

    Raises:
        UsageError: it is none; or not https, and not this machine's own.
    """
    try:
        parts = urlsplit(url)
        host = parts.hostname
        _ = parts.port
    except ValueError:
        host, parts = None, SplitResult("", "", "", "", "")
    if not host or parts.scheme not in {"http", "https"} or re.search(r"[\s\x00-\x1f]", url):
        raise UsageError(f"{url!r} is no address: write https://HOST/PATH")
    if parts.username is not None or parts.fragment:
        raise UsageError("write the address without user, password and #fragment")
    if parts.scheme == "http" and host not in _LOCAL and not insecure:
        raise UsageError(
            f"{host} would be told in plain text: write https://, or add --insecure to allow it"
        )
    return parts


def add_endpoint(
    engine: Bowtie,
    url: str,
    topics: Iterable[str],
    *,
    name: str | None = None,
    rule: CrossingRule | None = None,
    insecure: bool = False,
) -> Endpoint:
    """Add an endpoint, which is told of what is recorded from now on; and make its secret.

    Args:
        engine: the store.
        url: the address: https, but for this machine's own.
        topics: what it is told.
        name: what it is called; as its host, unless said.
        rule: when a prospect crosses, for ``prospect_crossed``.
        insecure: plain http will do.

    Raises:
        UsageError: the address or the name is none, or a topic is not there.
        Conflict: the name is taken.
    """
    host = checked_url(url, insecure=insecure).hostname or ""
    called = re.sub(r"[^a-z0-9_-]", "-", host).strip("-_") if name is None else name
    if not _NAME.fullmatch(called):
        raise UsageError(f"{called!r} is no name: write small letters, digits, - and _")
    wanted = tuple(dict.fromkeys(topics))
    if not wanted or not set(wanted) <= TOPICS.keys():
        raise UsageError(f"say what the webhook is told: {', '.join(TOPICS)}")
    if (rule is not None) != ("prospect_crossed" in wanted):
        raise UsageError("a threshold goes with prospect_crossed, and that with a threshold")
    if called in {one.name for one in endpoints(engine)}:
        raise Conflict(f"there is a webhook {called} already: give this one a --name")
    make_secret(engine.store, called)
    with engine.store.writing() as tx:
        head = tx.head
        tx.run(
            f"INSERT INTO bowtie_endpoints ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, -1, NULL, NULL)",
            (
                called, url, json.dumps(wanted), None if rule is None else rule.text,
                secrets.token_hex(8), head,
            ),
        )  # fmt: skip
    return endpoint_named(engine, called)


def endpoints(engine: Bowtie) -> list[Endpoint]:
    """The endpoints of a store, by name; none in a store that an older version made."""
    if engine.store.version < SCHEMA_VERSION:
        return []
    rows = engine.store.rows(f"SELECT {_COLUMNS} FROM bowtie_endpoints ORDER BY endpoint")
    return list(map(_of_row, rows))


def _of_row(row: tuple[Any, ...]) -> Endpoint:
    name, url, topics, rule, nonce, upto, scored, stopped, as_of = row
    return Endpoint(
        name,
        url,
        tuple(json.loads(topics)),
        None if rule is None else CrossingRule.read(rule),
        nonce,
        upto,
        scored,
        stopped,
        None if as_of is None else from_micros(as_of),
    )


def endpoint_named(engine: Bowtie, name: str) -> Endpoint:
    """The endpoint of a name.

    Raises:
        UnknownName: there is none.
    """
    found = endpoints(engine)
    for one in found:
        if one.name == name:
            return one
    known = ", ".join(one.name for one in found) or "none: bowtie webhook add URL"
    raise UnknownName(f"there is no webhook {name}; there is {known}")


def remove_endpoint(engine: Bowtie, name: str) -> int:
    """Remove an endpoint with its secret and all its messages; how many of these still waited.

    Raises:
        UnknownName: there is none.
    """
    found = endpoint_named(engine, name)
    with engine.store.writing() as tx:
        ((waiting,),) = tx.rows(
            "SELECT count(*) FROM bowtie_outbox WHERE endpoint = ? AND state = 'waiting'", (name,)
        )
        for table in ("bowtie_outbox", "bowtie_crossings", "bowtie_endpoints"):
            tx.run(f"DELETE FROM {table} WHERE endpoint = ?", (found.name,))
    drop_secrets(engine.store, name)
    return int(waiting)


def start_endpoint(engine: Bowtie, name: str) -> None:
    """Send to an endpoint again that had said it is gone.

    Raises:
        UnknownName: there is none.
    """
    endpoint_named(engine, name)
    with engine.store.writing() as tx:
        tx.run("UPDATE bowtie_endpoints SET stopped = NULL WHERE endpoint = ?", (name,))
