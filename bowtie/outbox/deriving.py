"""Messages made of the log: each is of one event, by its position.

They are made after the event, not with it: whatever recorded it (a command, an ingest, a restore,
an application in its own transaction, an older process), the log has it, and positions become
visible in their order. An endpoint's own position moves in the transaction that keeps its
messages, so each event is taken exactly once.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from bowtie.decoding import Decoder
from bowtie.events import ProfilePublished, Retracted
from bowtie.outbox.endpoints import endpoints
from bowtie.outbox.messages import body_of, insert_message, message_id

if TYPE_CHECKING:
    from bowtie import Bowtie
    from bowtie.envelope import Recorded
    from bowtie.stores.contract import Writing

__all__ = ["derive_messages"]

_TOPIC = "profile_published"


def derive_messages(engine: Bowtie) -> int:
    """Make the messages of what was recorded since they were last made; how many.

    A profile that was retracted before its message was made is not told.
    """
    told = [one for one in endpoints(engine) if _TOPIC in one.topics]
    if not told or min(one.upto for one in told) >= engine.store.head():
        return 0
    with engine.store.writing() as tx:
        # as they stand under the lock: another process may have made some meanwhile
        rows = tx.rows("SELECT endpoint, topics, nonce, upto FROM bowtie_endpoints")
        places = {
            name: (nonce, upto)
            for name, topics, nonce, upto in rows
            if _TOPIC in json.loads(topics)
        }
        if not places:
            return 0
        events = _published(tx, min(upto for _, upto in places.values()))
        made = 0
        for name, (nonce, upto) in places.items():
            for event in events:
                if event.position > upto:
                    message = message_id(engine.store.store_id, nonce, _TOPIC, str(event.position))
                    made += insert_message(tx, message, name, _TOPIC, _body(event))
            tx.run("UPDATE bowtie_endpoints SET upto = ? WHERE endpoint = ?", (tx.head, name))
        return made


def _published(tx: Writing, after: int) -> list[Recorded]:
    """The profiles published after a position that still count."""
    decode = Decoder()
    events = [decode(one) for one in tx.states_of([_TOPIC], after)]
    streams = sorted({f"{one.kind}/{one.subject}" for one in events})
    if not streams:
        return []
    words = [decode(one).data for one in tx.streams(streams, ["retracted"])]
    gone = {(one.of_source, one.of_id) for one in words if isinstance(one, Retracted)}
    return [one for one in events if (one.source, one.id) not in gone]


def _body(event: Recorded) -> str:
    data = event.data
    assert isinstance(data, ProfilePublished)  # noqa: S101 - no other was asked for
    said = {
        "profile": data.name,
        "version": data.version,
        "sha256": data.sha256,
        "position": event.position,
    }
    return body_of(_TOPIC, event.occurred_at, said)
