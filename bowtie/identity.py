"""Which keys are one customer: the links of the log, as a forest.

An alias lies sealed under the key of the customer that it was linked to, and beside it its hash
under the store's key, by which it is told from others whether it can be opened or not.
"""

from __future__ import annotations

import threading
import unicodedata
from collections import defaultdict
from collections.abc import Callable, Iterable
from typing import NamedTuple

from bowtie.claims import IDENTITY
from bowtie.decoding import Decoder
from bowtie.envelope import Recorded
from bowtie.events import IdentityLinked, IdentityUnlinked, Retracted
from bowtie.stores.contract import Store

__all__ = ["Links"]

_TOPICS = (*sorted(IDENTITY), "retracted")


class _Word(NamedTuple):
    """What one event says of an alias."""

    position: int
    recorded_at: int
    customer: str
    alias: str
    linked: bool
    name: tuple[str, str]


class Links:
    """The links of a store, read once and then only as far as it has grown.

    Args:
        store: the store.
        decoder: a decoder that opens what the keys of some streams open.
    """

    def __init__(self, store: Store, decoder: Callable[[set[str]], Decoder]) -> None:
        self._store, self._decoder = store, decoder
        self._lock = threading.Lock()
        self._position = 0
        self._words: list[_Word] = []
        self._retracted: dict[tuple[str, str, str], int] = {}
        self._names: dict[str, str] = {}

    def keys(self, customer: str, known_at: int | None = None) -> tuple[str, ...]:
        """The keys of a customer: the root of all, then what hangs below it.

        Args:
            customer: any of them.
            known_at: only what was recorded by then, in microseconds, counts.
        """
        with self._lock:
            self._catch_up()
            if not self._words:
                return (customer,)
            owners = self._owners(known_at)
            hashed = self._store.secrets.alias_hash
            root, seen = customer, {customer}
            while (above := owners.get(hashed(root))) is not None and above not in seen:
                root = above
                seen.add(root)
            below: dict[str, list[str]] = defaultdict(list)
            for alias, owner in owners.items():
                # a name that can't be opened any more is known where it is asked for
                name = customer if alias == hashed(customer) else self._names.get(alias)
                if name is not None:
                    below[owner].append(name)
            return tuple(_tree(root, below))

    def _catch_up(self) -> None:
        head = self._store.head()
        if head == self._position:
            return
        for stored in self._store.states_of(_TOPICS, self._position):
            event = self._decoder({stored.stream})(stored)
            self._position = max(self._position, stored.position)
            if event.kind == "customer":
                self._take(event, stored.recorded_at or 0)
        self._position = max(self._position, head)

    def _take(self, event: Recorded, recorded_at: int) -> None:
        match event.data:
            case IdentityLinked(alias=alias) | IdentityUnlinked(alias=alias):
                linked = isinstance(event.data, IdentityLinked)
                hashed, name = self._store.secrets.alias_hash(alias), (event.source, event.id)
                self._names[hashed] = unicodedata.normalize("NFC", alias)
                self._words.append(
                    _Word(event.position, recorded_at, event.subject, hashed, linked, name)
                )
            case Retracted(of_source=source, of_id=event_id):
                self._retracted.setdefault((event.subject, source, event_id), recorded_at)
            case _:
                pass

    def _owners(self, known_at: int | None) -> dict[str, str]:
        """Whose each alias is: whose newest word on it that counts is a link."""
        owners: dict[str, str] = {}
        for word in self._counting(known_at):
            if word.linked:
                owners[word.alias] = word.customer
            elif owners.get(word.alias) == word.customer:
                del owners[word.alias]
        return owners

    def _counting(self, known_at: int | None) -> Iterable[_Word]:
        for word in self._words:
            gone = self._retracted.get((word.customer, *word.name))
            if known_at is None:
                if gone is None:
                    yield word
            elif word.recorded_at <= known_at and (gone is None or gone > known_at):
                yield word


def _tree(root: str, below: dict[str, list[str]]) -> Iterable[str]:
    waiting, seen = [root], set()
    while waiting:
        key = waiting.pop(0)
        if key not in seen:
            seen.add(key)
            yield key
            waiting += sorted(below.get(key, ()))
