"""Which keys are one customer: the links of the log, as a forest.

An alias lies sealed under the key of the customer that it was linked to, and beside it its hash
under the store's key, by which it is told from others whether it can be opened or not. One that can
be opened no more, for its customer was forgotten, is named by the stream of its own, if it has one:
so a journey is of the same events before and after.
"""

from __future__ import annotations

import threading
import unicodedata
from collections import defaultdict
from collections.abc import Callable, Iterable
from itertools import islice
from typing import NamedTuple

import msgspec

from bowtie.claims import IDENTITY, holders
from bowtie.decoding import Decoder
from bowtie.envelope import Recorded
from bowtie.events import Forgotten, IdentityLinked, IdentityUnlinked, Retracted
from bowtie.sealing import is_sealed
from bowtie.stores.contract import Store
from bowtie.stores.rows import StoredState

__all__ = ["Links"]

_TOPICS = (*sorted(IDENTITY), "retracted", "forgotten")
#: Events opened at a time: the keys of their customers are fetched together.
_AT_ONCE = 500


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
        #: the aliases that each customer's links name, until the customer is forgotten
        self._named_by: dict[str, set[str]] = defaultdict(set)
        #: up to where, and at how many words, streams were looked through for names
        self._looked = (0, 0)

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
            own = hashed(customer)  # known, where it is asked for
            keys = self._tree(root, owners, {own: customer})
            if any(owner in keys and alias not in self._names for alias, owner in owners.items()):
                self._name_by_streams()
                keys = self._tree(root, owners, {own: customer})
            return keys

    def families(self) -> dict[str, tuple[str, ...]]:
        """By each key that is linked with others: all keys of that customer, the root first.

        An alias of a forgotten customer that has no stream of its own has no name any more.
        """
        with self._lock:
            self._catch_up()
            if not self._words:
                return {}
            self._name_by_streams()
            owners = self._owners(None)
            below: dict[str, list[str]] = defaultdict(list)
            for alias, owner in owners.items():
                if alias in self._names:
                    below[owner].append(self._names[alias])
            hung = {one for names in below.values() for one in names}
            found: dict[str, tuple[str, ...]] = {}
            for root in below.keys() - hung:
                keys, waiting = {root: None}, [root]
                while waiting:
                    more = [one for one in sorted(below.get(waiting.pop(0), ())) if one not in keys]
                    keys |= dict.fromkeys(more)
                    waiting += more
                found |= dict.fromkeys(keys, tuple(keys))
            return found

    def _tree(self, root: str, owners: dict[str, str], known: dict[str, str]) -> tuple[str, ...]:
        """The keys below a root, itself first, as far as their names are known."""
        below: dict[str, list[str]] = defaultdict(list)
        for alias, owner in owners.items():
            name = known.get(alias) or self._names.get(alias)
            if name is not None:
                below[owner].append(name)
        keys, waiting = {root: None}, [root]
        while waiting:
            more = [one for one in sorted(below.get(waiting.pop(0), ())) if one not in keys]
            keys |= dict.fromkeys(more)
            waiting += more
        return tuple(keys)

    def _catch_up(self) -> None:
        head = self._store.head()
        if head == self._position:
            return
        found = self._store.states_of(_TOPICS, self._position)
        while some := list(islice(found, _AT_ONCE)):
            decode = self._decoder({stored.stream for stored in some})
            for stored in some:
                event = decode(stored)
                self._position = max(self._position, stored.position)
                if event.kind == "customer":
                    self._take(event, stored)
        self._position = max(self._position, head)

    def _take(self, event: Recorded, stored: StoredState) -> None:
        recorded_at = stored.recorded_at or 0
        match event.data:
            case IdentityLinked(alias=alias) | IdentityUnlinked(alias=alias):
                linked = isinstance(event.data, IdentityLinked)
                hashed = msgspec.json.decode(stored.state)["_alias"]
                if not is_sealed(alias):
                    self._names[hashed] = unicodedata.normalize("NFC", alias)
                    self._named_by[event.subject].add(hashed)
                name = (event.source, event.id)
                self._words.append(
                    _Word(event.position, recorded_at, event.subject, hashed, linked, name)
                )
            case Retracted(of_source=source, of_id=event_id):
                self._retracted.setdefault((event.subject, source, event_id), recorded_at)
            case Forgotten():
                for alias_hash in self._named_by.pop(event.subject, ()):
                    self._names.pop(alias_hash, None)
            case _:
                pass

    def _name_by_streams(self) -> None:
        """Name aliases by the streams that were begun since this was last done."""
        since, words = self._looked
        begun = self._store.rows(
            "SELECT originator_id FROM stored_events WHERE rowid > ? AND rowid <= ?"
            " AND originator_version = 1",
            (since if words == len(self._words) else 0, self._position),
        )
        aliases, hashed = {word.alias for word in self._words}, self._store.secrets.alias_hash
        for (stream,) in begun:
            kind, _, key = stream.partition("/")
            if kind == "customer" and hashed(key) in aliases:
                self._names[hashed(key)] = key
        self._looked = (self._position, len(self._words))

    def _owners(self, known_at: int | None) -> dict[str, str]:
        """Whose each alias is, by the words that count."""
        said: dict[str, list[tuple[str, bool]]] = defaultdict(list)
        for word in self._counting(known_at):
            said[word.alias].append((word.customer, word.linked))
        found = {alias: holders(words) for alias, words in said.items()}
        return {alias: held[-1] for alias, held in found.items() if held}

    def _counting(self, known_at: int | None) -> Iterable[_Word]:
        for word in self._words:
            gone = self._retracted.get((word.customer, *word.name))
            if known_at is None:
                if gone is None:
                    yield word
            elif word.recorded_at <= known_at and (gone is None or gone > known_at):
                yield word
