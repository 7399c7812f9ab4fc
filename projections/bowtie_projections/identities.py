"""Which keys are one customer, at every position: the links of the log, followed to their roots.

An alias lies sealed in the log, and beside it its hash under the store's key; the key of a stream
lies in plain. They meet here, where that key is at hand: once there is any link, the hash of each
customer's key is kept in ``alias_hashes``, and ``identities`` says of each key that was ever
linked which key it led to, from which position and until which. What a log without links pays is
one question a batch.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

import pyarrow as pa
import sqlalchemy as sa

from bowtie_projections import tables

if TYPE_CHECKING:
    from bowtie_projections.databases.contract import Writing

__all__ = ["Word", "apply_links", "roots"]

_LINKED, _UNLINKED = tables.facts["identity_linked"], tables.facts["identity_unlinked"]
_CUSTOMERS = tables.events.c.kind == "customer"


class Word(NamedTuple):
    """What one event says of an alias; it counts from its position until it is retracted."""

    position: int
    customer: str
    alias: str
    linked: bool
    retracted: int | None


class Root(NamedTuple):
    """Where a key led, from a position (inclusive) until another (exclusive)."""

    customer: str
    canonical: str
    since: int
    until: int | None


def apply_links(writing: Writing, hashed: Callable[[str], str], after: int) -> None:
    """Bring ``alias_hashes`` and ``identities`` to where the facts are.

    Args:
        writing: the tables, facts and retractions in.
        hashed: the hash of an alias, under the store's key.
        after: where they stood before.
    """
    ((any_link,),) = writing.rows(sa.select(sa.func.max(_LINKED.c.position)))
    if any_link is None:
        return
    new = _hash_keys(writing, hashed, after)
    if not _changed(writing, after) and not _meets(writing, new):
        return
    of_hash, known = sa.select(_LINKED.c.alias_hash).distinct(), tables.alias_hashes
    named = writing.rows(sa.select(known).where(known.c.alias_hash.in_(of_hash)))
    found = list(roots(_words(writing), {alias: customer for customer, alias in named}))
    writing.run(sa.delete(tables.identities))
    _insert(writing, tables.identities, found)


def _hash_keys(writing: Writing, hashed: Callable[[str], str], after: int) -> list[str]:
    """Keep the hash of each customer's key that has none yet; these hashes."""
    events, known = tables.events, tables.alias_hashes
    ((before,),) = writing.rows(sa.select(sa.func.count()).select_from(known))
    keys = sa.select(events.c.subject).where(_CUSTOMERS).distinct()
    if before:
        fresh = events.c.subject.not_in(sa.select(known.c.customer))
        keys = keys.where(events.c.position > after, fresh)
    rows = [(key, hashed(key)) for (key,) in writing.rows(keys)]
    _insert(writing, known, rows)
    return [alias for _, alias in rows]


def _changed(writing: Writing, after: int) -> bool:
    """Whether a link or its end came after a position, or was retracted since."""
    for table in (_LINKED, _UNLINKED):
        c = table.c
        lately = sa.or_(c.position > after, c.retracted_position > after)
        if writing.rows(sa.select(c.position).where(lately).limit(1)):
            return True
    return False


def _meets(writing: Writing, hashes: list[str]) -> bool:
    """Whether a link names one of the new keys."""
    if not hashes:
        return False
    linked = {alias for (alias,) in writing.rows(sa.select(_LINKED.c.alias_hash).distinct())}
    return not linked.isdisjoint(hashes)


def _words(writing: Writing) -> list[Word]:
    """All that was ever said of aliases."""
    return [
        Word(position, customer, alias, table is _LINKED, retracted)
        for table in (_LINKED, _UNLINKED)
        for position, customer, alias, retracted in writing.rows(
            sa.select(
                table.c.position, table.c.customer, table.c.alias_hash, table.c.retracted_position
            )
        )
    ]


def _insert(writing: Writing, table: sa.Table, rows: Iterable[tuple[object, ...]]) -> None:
    from bowtie_projections.shapes import arrow_schema

    arrays: list[Any] = [list(column) for column in zip(*rows, strict=True)]
    if arrays:
        writing.insert(table, pa.table(arrays, schema=arrow_schema(table)))


def roots(words: Iterable[Word], keys: dict[str, str]) -> Iterator[Root]:
    """Where each linked key led, over the positions of the log.

    A customer's newest word on an alias that counts says whether it is theirs; the claims of the
    engine see to it that it is no one else's, and that no key leads back to itself.

    Args:
        words: what was said, in any order.
        keys: the key behind an alias's hash, of those that are a customer's.

    >>> said = [Word(2, "acme", "h", True, None), Word(5, "acme", "h", False, None)]
    >>> list(roots(said, {"h": "web-17"}))
    [Root(customer='web-17', canonical='acme', since=2, until=5)]
    """
    steps: list[tuple[int, bool, Word]] = []
    for word in words:
        if word.alias in keys and (word.retracted is None or word.retracted > word.position):
            steps.append((word.position, True, word))
            if word.retracted is not None:
                steps.append((word.retracted, False, word))
    forest = _Forest()
    standing: dict[str, list[Word]] = defaultdict(list)
    for position, counts, word in sorted(steps):
        said = standing[word.alias]
        said.append(word) if counts else said.remove(word)
        yield from forest.place(keys[word.alias], _owner(said), position)
    yield from forest.rest()


def _owner(said: Iterable[Word]) -> str | None:
    """Who has an alias: whose newest word on it is a link; of several, the newest."""
    newest: dict[str, Word] = {}
    for word in sorted(said):
        newest[word.customer] = word
    links = [word for word in newest.values() if word.linked]
    return max(links).customer if links else None


@dataclass(slots=True)
class _Forest:
    """The links at one position, and since when each key has led where it leads."""

    owner: dict[str, str] = field(default_factory=dict)
    below: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    leads: dict[str, tuple[str, int]] = field(default_factory=dict)

    def place(self, key: str, owner: str | None, position: int) -> Iterator[Root]:
        """Hang a key under its owner, or under none; where its keys led until then."""
        before = self.owner.get(key)
        if owner == before or (owner is not None and self._root(owner, key) == key):
            return
        if before is not None:
            del self.owner[key]
            self.below[before].discard(key)
        if owner is not None:
            self.owner[key] = owner
            self.below[owner].add(key)
        root = self._root(key)
        waiting = [key]
        while waiting:
            one = waiting.pop()
            waiting += self.below.get(one, ())
            yield from self._lead(one, root, position)

    def _root(self, key: str, stop: str | None = None) -> str:
        """The key that stands above all; not above ``stop``, if it is met on the way."""
        while key in self.owner and key != stop:
            key = self.owner[key]
        return key

    def _lead(self, key: str, root: str, position: int) -> Iterator[Root]:
        ended = self.leads.pop(key, None)
        if root != key:
            self.leads[key] = (root, position)
        if ended is not None and ended[1] < position:
            yield Root(key, *ended, position)

    def rest(self) -> Iterator[Root]:
        """Where the keys lead that still lead anywhere."""
        for key, (root, since) in self.leads.items():
            yield Root(key, root, since, None)
