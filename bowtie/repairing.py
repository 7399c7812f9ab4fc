"""Mending what lies beside the log and follows from it. Events are never touched."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import islice

import msgspec

from bowtie.derived import LinkWords, unfinished_forgettings, wrong_snapshots
from bowtie.erasing import erase
from bowtie.errors import Conflict
from bowtie.stores.auditing import Audit
from bowtie.stores.contract import Store
from bowtie.stores.rows import IdRow
from bowtie.verifying import id_rows_of

__all__ = ["Repair", "repair_log"]

_CHUNK = 5_000


@dataclass(slots=True)
class Repair:
    """What must be put right.

    Attributes:
        ids: rows of the ids' index that are missing or wrong.
        strangers: ids that are taken by no event.
        claims: aliases, by hash, and whose they must be.
        snapshots: streams whose snapshot is dropped; the next reader makes a new one.
        forgotten: streams whose forgetting was never finished.
    """

    ids: dict[bytes, IdRow] = field(default_factory=dict)
    strangers: list[bytes] = field(default_factory=list)
    claims: dict[str, str | None] = field(default_factory=dict)
    snapshots: list[str] = field(default_factory=list)
    forgotten: list[str] = field(default_factory=list)

    def words(self) -> list[str]:
        """What was done, in words."""
        counted = [
            (len(self.ids) + len(self.strangers), "ids"),
            (len(self.claims), "claims"),
            (len(self.snapshots), "snapshots"),
            (len(self.forgotten), "forgettings"),
        ]
        return [
            f"{count:,} {name if count > 1 else name[:-1]} put right"
            for count, name in counted
            if count
        ]


def repair_log(store: Store) -> list[str]:
    """Put right what follows from the log; says what was done, in words.

    Raises:
        Conflict: events came meanwhile.
        SealedKeyMissing: the master key is not at hand: claims can't be worked out without it.
    """
    head = store.head()
    audit = Audit(store, head)
    found, words = Repair(), LinkWords()
    _find_ids(store, audit, found, words)
    forgotten, secrets = store.forgotten(), store.secrets
    found.claims = words.wrong_claims(audit.claims(), forgotten, secrets)
    found.snapshots = list(wrong_snapshots(store, audit))
    found.forgotten = unfinished_forgettings(store, words.forgotten, forgotten, secrets)
    done = found.words()
    if not done:
        return done
    with store.writing() as tx:
        if tx.head != head:
            raise Conflict("events came while the store was looked through: repair it again")
        tx.delete_ids(found.strangers)
        tx.set_ids(found.ids)
        for alias, stream in found.claims.items():
            tx.set_claim(alias, stream)
        tx.drop_snapshots(found.snapshots)
        if found.forgotten:
            erase(tx, secrets, found.forgotten)
    if found.forgotten:
        store.scrub()
    return done


def _find_ids(store: Store, audit: Audit, found: Repair, words: LinkWords) -> None:
    """Look at each event once: its id's row, and what it says of aliases."""
    row_of = id_rows_of(store)
    taken: set[bytes] = set()
    states = store.states(0, audit.upto)
    unread = 0
    while chunk := list(islice(states, _CHUNK)):
        rows = [row_of(stored) for stored in chunk]
        unread += rows.count(None)
        right = dict(row for row in rows if row is not None)
        taken.update(right)
        places = audit.places(list(right))
        found.ids |= {
            hashed: row for hashed, row in right.items() if _is_wrong(places.get(hashed), row)
        }
        for stored in chunk:
            try:
                words.take(stored)
            except (msgspec.MsgspecError, ValueError, KeyError, TypeError):
                continue
    if not unread:  # an event that can't be read may own any of them
        for some in audit.id_rows():
            found.strangers += [hashed for hashed, _ in some if hashed not in taken]


def _is_wrong(found: IdRow | None, right: IdRow) -> bool:
    """Whether an id's row is missing, names another event, or lacks the hash of what it said."""
    if found is None or found.position != right.position:
        return True
    return found.content is None and right.content is not None
