"""Messages out to other systems: kept in the store, signed, delivered at least once.

An endpoint is a URL and what it wants to be told. Messages for it are made of the log, by position,
so that none is lost and none is made up; they lie in the store's outbox until the endpoint has
taken them. Each has an id that stays the same however often it is sent. The form and the signatures
are those of Standard Webhooks (https://www.standardwebhooks.com).

Needs the extra ``[webhooks]`` to sign and to send; all else works without.
"""

from bowtie.outbox.crossings import CrossingRule, Scored, note_scores
from bowtie.outbox.delivering import Delivered, Schedule, deliver, follow_outbox
from bowtie.outbox.deriving import derive_messages
from bowtie.outbox.endpoints import (
    Endpoint,
    add_endpoint,
    endpoint_named,
    endpoints,
    remove_endpoint,
    start_endpoint,
)
from bowtie.outbox.messages import (
    STATES,
    TOPICS,
    Message,
    counted_by_state,
    drop_messages,
    messages,
    retry_messages,
)
from bowtie.outbox.secrets import rotate_secret, secret_place, secrets_of
from bowtie.outbox.sending import Answered, Sender, try_endpoint

__all__ = [
    "STATES",
    "TOPICS",
    "Answered",
    "CrossingRule",
    "Delivered",
    "Endpoint",
    "Message",
    "Schedule",
    "Scored",
    "Sender",
    "add_endpoint",
    "counted_by_state",
    "deliver",
    "derive_messages",
    "drop_messages",
    "endpoint_named",
    "endpoints",
    "follow_outbox",
    "messages",
    "note_scores",
    "remove_endpoint",
    "retry_messages",
    "rotate_secret",
    "secret_place",
    "secrets_of",
    "start_endpoint",
    "try_endpoint",
]
