"""The messages of a store's outbox: made, listed, tried again, dropped."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from bowtie.errors import UnknownName, UsageError
from bowtie.times import from_micros, iso, now_micros, to_micros

if TYPE_CHECKING:
    from bowtie import Bowtie
    from bowtie.stores.contract import Writing

__all__ = [
    "STATES",
    "TOPICS",
    "Message",
    "body_of",
    "counted_by_state",
    "drop_messages",
    "insert_message",
    "message_id",
    "messages",
    "retry_messages",
]

#: What an endpoint can be told, and the ``type`` that the message then has.
TOPICS = {"profile_published": "profile.published", "prospect_crossed": "prospect.crossed"}
#: What a message can be: to be sent (again), taken, or given up.
STATES = ("waiting", "delivered", "dead")

_COLUMNS = (
    "message, endpoint, topic, body, state, attempts, created_at, due_at, held_until, ended_at,"
    " reason"
)


@dataclass(frozen=True, slots=True)
class Message:
    """A message of the outbox.

    Args:
        id: the same however often it is sent: the idempotency key, ``webhook-id``.
        endpoint: where to, by name.
        topic: of :data:`TOPICS`.
        body: what is sent, to the byte.
        state: of :data:`STATES`.
        attempts: how often it was sent since it began to wait.
        created_at: when it was made.
        due_at: when it is sent next, while it waits.
        held_until: up to when a process that sends it has it for itself.
        ended_at: when it was taken or given up.
        reason: why the last attempt failed.
    """

    id: str
    endpoint: str
    topic: str
    body: str
    state: str
    attempts: int
    created_at: datetime
    due_at: datetime
    held_until: datetime
    ended_at: datetime | None
    reason: str | None

    @classmethod
    def of_row(cls, row: Sequence[Any]) -> Message:
        """The message of a row of the table."""
        message, endpoint, topic, body, state, attempts, created, due, held, ended, reason = row
        return cls(
            message, endpoint, topic, body, state, attempts,
            created_at=from_micros(created),
            due_at=from_micros(due),
            held_until=from_micros(held),
            ended_at=None if ended is None else from_micros(ended),
            reason=reason,
        )  # fmt: skip


def message_id(store_id: str, nonce: str, topic: str, what: str) -> str:
    """The id of a message: made of what it tells, so that telling it again makes no second one.

    >>> message_id("s", "n", "profile_published", "7") == message_id(
    ...     "s", "n", "profile_published", "7"
    ... )
    True
    """
    key = f"{store_id}\0{nonce}\0{topic}\0{what}".encode()
    return f"msg_{hashlib.blake2b(key, digest_size=16).hexdigest()}"


def body_of(topic: str, when: datetime, data: Mapping[str, Any]) -> str:
    """The text that is signed and sent.

    >>> from datetime import UTC, datetime
    >>> body_of("profile_published", datetime(2026, 1, 5, tzinfo=UTC), {"name": "lookalike"})
    '{"type":"profile.published","timestamp":"2026-01-05T00:00:00Z","data":{"name":"lookalike"}}'
    """
    whole = {"type": TOPICS.get(topic, topic), "timestamp": iso(when), "data": data}
    return json.dumps(whole, ensure_ascii=False, separators=(",", ":"), allow_nan=False)


def insert_message(tx: Writing, message: str, endpoint: str, topic: str, body: str) -> int:
    """Put a message into the outbox, unless it is there; how many were put."""
    now = now_micros()
    return tx.run(
        "INSERT INTO bowtie_outbox (message, endpoint, topic, body, state, attempts, created_at,"
        " due_at, held_until) VALUES (?, ?, ?, ?, 'waiting', 0, ?, ?, 0) ON CONFLICT DO NOTHING",
        (message, endpoint, topic, body, now, now),
    )


def messages(
    engine: Bowtie, state: str | None = None, endpoint: str | None = None, limit: int | None = None
) -> list[Message]:
    """The messages of the outbox, oldest first.

    Args:
        engine: the store.
        state: only those in it.
        endpoint: only those for it.
        limit: at most so many.

    Raises:
        UnknownName: there is no such endpoint.
    """
    where, values = _where(state=state, endpoint=endpoint)
    if limit is not None:
        where, values = f"{where} ORDER BY seq LIMIT ?", [*values, limit]
    else:
        where += " ORDER BY seq"
    _check_tables(engine, endpoint)
    rows = engine.store.rows(f"SELECT {_COLUMNS} FROM bowtie_outbox{where}", values)
    return [Message.of_row(row) for row in rows]


def counted_by_state(engine: Bowtie, endpoint: str | None = None) -> dict[str, int]:
    """How many messages are in each state, none left out.

    Args:
        engine: the store.
        endpoint: of those for it.

    Raises:
        UnknownName: there is no such endpoint.
    """
    _check_tables(engine, endpoint)
    where, values = _where(endpoint=endpoint)
    rows = engine.store.rows(
        f"SELECT state, count(*) FROM bowtie_outbox{where} GROUP BY state", values
    )
    return dict.fromkeys(STATES, 0) | {state: int(count) for state, count in rows}


def retry_messages(engine: Bowtie, *ids: str, endpoint: str | None = None) -> int:
    """Send messages that were given up again, from their first attempt on, with the id they had.

    Args:
        engine: the store.
        ids: which; all that were given up, if none is named.
        endpoint: of those only the ones for it.

    Returns:
        How many wait again. One that waits already is sent at the next round.

    Raises:
        UnknownName: there is no such message, or no such endpoint.
        UsageError: it was delivered.
    """
    _check_tables(engine, endpoint)
    now = now_micros()
    with engine.store.writing() as tx:
        found = _named(tx, ids)
        if done := [one for one, state in found.items() if state == "delivered"]:
            raise UsageError(f"{done[0]} was delivered: there is nothing to try again")
        where, values = _where(endpoint=endpoint, **({} if ids else {"state": "dead"}))
        sql = (
            "UPDATE bowtie_outbox SET state = 'waiting', attempts = 0, due_at = ?, ended_at = NULL,"
            " reason = NULL"
        )
        if not ids:
            return tx.run(f"{sql}{where}", (now, *values))
        joined = f"{where} AND" if where else " WHERE"
        return sum(tx.run(f"{sql}{joined} message = ?", (now, *values, one)) for one in ids)


def drop_messages(
    engine: Bowtie,
    *ids: str,
    state: str | None = None,
    endpoint: str | None = None,
    before: datetime | None = None,
) -> int:
    """Take messages out of the outbox for ever; how many there were.

    Args:
        engine: the store.
        ids: which.
        state: or all in that state; with ``endpoint``, of those the ones for it; with ``before``,
            those that were made before.

    Raises:
        UnknownName: there is no such message, or no such endpoint.
        UsageError: neither ids nor a state is said.
    """
    if not ids and state is None:
        raise UsageError("say which messages to drop: ids, or all in a state")
    _check_tables(engine, endpoint)
    with engine.store.writing() as tx:
        _named(tx, ids)
        where, values = _where(state=state, endpoint=endpoint)
        if before is not None:
            where += " AND created_at < ?" if where else " WHERE created_at < ?"
            values.append(to_micros(before))
        if not ids:
            return tx.run(f"DELETE FROM bowtie_outbox{where}", values)
        joined = f"{where} AND" if where else " WHERE"
        sql = f"DELETE FROM bowtie_outbox{joined} message = ?"
        return sum(tx.run(sql, (*values, one)) for one in ids)


def _where(**equal: str | None) -> tuple[str, list[Any]]:
    given = {name: value for name, value in equal.items() if value is not None}
    tests = " AND ".join(f"{name} = ?" for name in given)
    return f" WHERE {tests}" if tests else "", list(given.values())


def _named(tx: Writing, ids: Sequence[str]) -> dict[str, str]:
    """The states of some messages."""
    found = {}
    for one in ids:
        rows = tx.rows("SELECT state FROM bowtie_outbox WHERE message = ?", (one,))
        if not rows:
            raise UnknownName(f"there is no message {one}: see bowtie outbox list")
        found[one] = str(rows[0][0])
    return found


def _check_tables(engine: Bowtie, endpoint: str | None) -> None:
    """An older store has no outbox yet; and no message is for an endpoint that is not there."""
    from bowtie.outbox.endpoints import endpoint_named
    from bowtie.stores.tables import SCHEMA_VERSION, too_old

    if engine.store.version < SCHEMA_VERSION:
        raise too_old(engine.store.url)
    if endpoint is not None:
        endpoint_named(engine, endpoint)
