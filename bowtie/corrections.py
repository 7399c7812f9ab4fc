"""Corrections: a retraction of the old event and the right one, appended together.

The n-th correction of the event ``OLD`` has the id ``OLD~n``, and its retraction ``OLD~n.r``.
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from bowtie.codec import Fact, id_hash
from bowtie.stores.rows import IdRow

__all__ = ["corrected", "newest_version", "retraction_of"]


def newest_version(
    source: str,
    event_id: str,
    first: IdRow,
    look_up: Callable[[bytes], IdRow | None],
    state_at: Callable[[int], bytes],
) -> tuple[int, str, IdRow]:
    """The last number taken of OLD~1, OLD~2, ..., and id and row of the newest version of OLD.

    A sender may have used such an id for another event: that is no version, but takes the number.
    """
    number, name, row = 0, event_id, first
    while True:
        following = f"{event_id}~{number + 1}"
        found = look_up(id_hash(source, following))
        if found is None:
            return number, name, row
        number += 1
        if _is_correction(following, state_at(found.position)):
            name, row = following, found


def _is_correction(event_id: str, state: bytes) -> bool:
    """Whether an event is the right one of a correction: then a retraction is its cause."""
    return bool(msgspec.json.decode(state).get("_causation") == f"{event_id}.r")


def corrected(fact: Fact, number: int) -> Fact:
    """The fact under the id of its n-th correction, caused by the retraction."""
    right = msgspec.structs.replace(fact, id=f"{fact.id}~{number}")
    right.causation = f"{right.id}.r"
    return right


def retraction_of(old_id: str, right: Fact, stream: tuple[str, str]) -> Fact:
    """The retraction of an event, in that event's own stream, known when the right one was."""
    body = msgspec.json.encode({"of_source": right.source, "of_id": old_id})
    kind, subject = stream
    return Fact(
        "retracted",
        kind,
        subject,
        right.source,
        f"{right.id}.r",
        right.at,
        body,
        body,
        known=right.known,
    )
