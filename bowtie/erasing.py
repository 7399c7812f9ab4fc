"""Forgetting a customer: whose keys are theirs, and what goes with them.

Personal fields lie in the log sealed under a key of the customer's own. Forgetting destroys that
key, and beside it whatever could still be matched with the person: the hashes of what events said,
claims on aliases, snapshots, parked lines. The events stay, and so does every figure.
"""

from __future__ import annotations

import json
import unicodedata
from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import msgspec

from bowtie.codec import Fact
from bowtie.decoding import open_value
from bowtie.sealing import StoreKeys
from bowtie.stores.contract import Store, Writing
from bowtie.stores.rows import StoredState

__all__ = ["Erased", "Erasure", "LinkedKeys", "erase", "forgotten_streams", "linked_keys"]

#: What a link is told by; an unlinked alias was the customer's once, and so its link is there too.
LINKING = ("identity_linked",)


@dataclass(frozen=True, slots=True)
class LinkedKeys:
    """The keys of one customer: the one asked for, and all that were ever linked with it.

    Attributes:
        keys: by name, the one asked for first.
        subjects: the hashes of all of them, of those without a name too.
        unnamed: how many can be told by their hash alone: the key that sealed their name is gone.
        foreign: links of these keys whose alias another store sealed, so that nobody can say here
            which key it is.
        foreign_elsewhere: such links of other customers, which may name one of these keys.
        already: those of the keys that were forgotten before.
        events: how many events each key has, by key.
        parked: how many parked lines are about them.
        position: the links up to here were looked at.
    """

    keys: tuple[str, ...]
    subjects: frozenset[str]
    unnamed: int
    foreign: int
    foreign_elsewhere: int
    already: frozenset[str]
    events: Mapping[str, int]
    parked: int
    position: int


@dataclass(frozen=True, slots=True)
class Erased:
    """What one transaction of erasing took away: keys of streams, claims, parked lines."""

    keys: int = 0
    claims: int = 0
    parked: int = 0

    def __add__(self, more: Erased) -> Erased:
        """What two steps took away together."""
        return Erased(self.keys + more.keys, self.claims + more.claims, self.parked + more.parked)


@dataclass(frozen=True, slots=True)
class Erasure:
    """What forgetting a customer did.

    Attributes:
        keys: the customer's keys, by name.
        unnamed: further keys, known by their hash alone.
        events: events whose personal fields nobody can open any more.
        recorded: how many ``Forgotten`` were recorded.
        erased: what was destroyed beside the log.
        scrubbed: whether the files hold nothing any more of what was destroyed; where not, another
            process was reading, and forgetting again does it.
    """

    keys: tuple[str, ...]
    unnamed: int
    events: int
    recorded: int
    erased: Erased
    scrubbed: bool


class _Link(NamedTuple):
    """One link: whose it is, the hash of the alias, and the alias as it lies sealed."""

    subject: str
    stream: str
    alias: str
    token: str

    @classmethod
    def of(cls, stored: StoredState) -> _Link:
        """The link that an event states, its alias unopened."""
        state = msgspec.json.decode(stored.state)
        token = str(json.loads(state["_sealed"])["alias"])
        return cls(state["_key"], stored.stream, state["_alias"], token)


def linked_keys(
    store: Store,
    key_of: Callable[[str], bytes | None],
    customer: str,
    leave: Iterable[str] = (),
) -> LinkedKeys:
    """The keys that belong to a customer, through links of now or ever, in both directions.

    A link that was retracted or ended counts: it says that the two were one for someone. So this is
    another question than that of :class:`bowtie.identity.Links`, which holds what stands at a
    moment, in memory: here nothing is taken from memory, a key that nobody can name any more is
    found by its hash, and links that another store sealed are counted.

    Args:
        store: the store.
        key_of: a stream's own key, if it has one still.
        customer: any of the customer's keys.
        leave: keys that are somebody else's after all: neither they nor what only they lead to.
    """
    position, secrets = store.head(), store.secrets
    links = [_Link.of(stored) for stored in store.states_of(LINKING)]
    foreign = [link for link in links if secrets.alias_hash(link.token) == link.alias]
    own = [link for link in links if secrets.alias_hash(link.token) != link.alias]
    found = _closure(own, key_of, secrets, customer, leave)
    if None in found.values():
        _name_by_streams(store, secrets, found)
    keys = tuple(name for name in found.values() if name is not None)
    mine = sum(link.subject in keys for link in foreign)
    forgotten = store.forgotten()
    return LinkedKeys(
        keys,
        frozenset(found),
        len(found) - len(keys),
        mine,
        len(foreign) - mine,
        frozenset(name for subject, name in found.items() if name and subject in forgotten),
        {key: count for key in keys if (count := len(store.stream(f"customer/{key}")))},
        sum(line.subject in found for line in store.parked()),
        position,
    )


def _nfc(key: str) -> str:
    return unicodedata.normalize("NFC", key)


def _closure(
    links: Sequence[_Link],
    key_of: Callable[[str], bytes | None],
    secrets: StoreKeys,
    customer: str,
    leave: Iterable[str],
) -> dict[str, str | None]:
    """The hashes that links lead to, in order, each with its name where it can be read."""
    owners, aliases = defaultdict(list), defaultdict(list)
    for link in links:
        owners[link.alias].append(link)
        aliases[secrets.alias_hash(link.subject)].append(link)
    left = {secrets.alias_hash(_nfc(key)) for key in leave}
    first = secrets.alias_hash(_nfc(customer))
    found: dict[str, str | None] = {first: _nfc(customer)}
    queue = deque([first])
    while queue:
        subject = queue.popleft()
        near: list[tuple[str, str | None]] = [
            (secrets.alias_hash(link.subject), link.subject) for link in owners[subject]
        ]
        near += [(link.alias, _opened(link, key_of)) for link in aliases[subject]]
        for other, name in near:
            if other in left:
                continue
            if other not in found:
                queue.append(other)
            found[other] = found.get(other) or name
    return found


def _opened(link: _Link, key_of: Callable[[str], bytes | None]) -> str | None:
    """The alias of a link; None where the key that sealed it is gone."""
    alias = open_value(key_of(link.stream), link.token, link.stream, "alias")
    return None if alias == link.token else str(alias)


def _name_by_streams(store: Store, secrets: StoreKeys, found: dict[str, str | None]) -> None:
    """Name what can't be opened by the streams that have a key still: theirs must be destroyed."""
    for stream in sorted(store.keys()):
        kind, _, key = stream.partition("/")
        subject = secrets.alias_hash(key)
        if kind == "customer" and subject in found:
            found[subject] = key


def erase(
    tx: Writing, secrets: StoreKeys, streams: Sequence[str], more: Iterable[str] = ()
) -> Erased:
    """Take away, in one transaction, all that still tells of these customers' personal data.

    Args:
        tx: the transaction.
        secrets: the store's keys.
        streams: of the customers.
        more: hashes of further keys of theirs, which have no stream.
    """
    subjects = sorted({*more, *(subject_of_stream(secrets, stream) for stream in streams)})
    keys = tx.delete_keys(streams)
    tx.clear_contents(streams)
    tx.drop_snapshots(streams)
    claims = tx.delete_claims(subjects, streams)
    parked = tx.unpark_subjects(subjects)
    tx.insert_forgotten(subjects)
    if keys or parked:
        tx.rewrite_secrets()
    return Erased(keys, claims, parked)


def subject_of_stream(secrets: StoreKeys, stream: str) -> str:
    """The hash of the key of a stream."""
    return secrets.alias_hash(stream.partition("/")[2])


def forgotten_streams(tx: Writing, secrets: StoreKeys, facts: Iterable[Fact]) -> set[str]:
    """Those of the facts' streams whose customers were forgotten."""
    if not tx.any_forgotten():
        return set()
    streams = {fact.stream for fact in facts if fact.kind == "customer"}
    by_subject = {subject_of_stream(secrets, stream): stream for stream in streams}
    return {by_subject[subject] for subject in tx.forgotten(list(by_subject))}
