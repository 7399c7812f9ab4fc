"""Which keys are one customer, at every position: the links of the log, followed to their roots.

An alias lies sealed in the log, and beside it its hash under the store's key; the key of a stream
lies in plain. They meet here, where that key is at hand: once there is any link, the hash of each
customer's key is kept in ``alias_hashes``, and ``identities`` says of each key that was ever
linked which key it led to, from which position and until which. What a log without links pays is
one question a batch.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

import pyarrow as pa
import sqlalchemy as sa

from bowtie.claims import holders
from bowtie_projections import tables

if TYPE_CHECKING:
    from bowtie_projections.databases.contract import Writing

__all__ = ["Word", "apply_links", "roots"]

_LINKED, _UNLINKED = tables.facts["identity_linked"], tables.facts["identity_unlinked"]
_SAYING = (_LINKED, _UNLINKED)
_CUSTOMERS = tables.events.c.kind == "customer"
#: More keys than these, or keys joined in more steps, are followed together with all others.
_FEW, _STEPS = 1_000, 8


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
    concerned = _spoken_of(writing, after) | _linked(writing, new)
    if not concerned:
        return
    known = tables.identities
    if (found := _around(writing, hashed, concerned)) is not None:
        words, names = found
        writing.run(sa.delete(known).where(known.c.customer.in_(sorted(names.values()))))
    else:
        words, names = _words(writing), _names(writing)
        writing.run(sa.delete(known))
    _insert(writing, known, list(roots(words, names)))


def _hash_keys(writing: Writing, hashed: Callable[[str], str], after: int) -> list[str]:
    """Keep the hash of each customer's key that has none yet; these hashes."""
    events, known = tables.events, tables.alias_hashes
    ((before,),) = writing.rows(sa.select(sa.func.count()).select_from(known))
    keys = sa.select(events.c.subject).where(_CUSTOMERS).distinct()
    if before:
        kept = sa.exists().where(known.c.customer == events.c.subject)
        keys = keys.where(events.c.position > after, ~kept)
    rows = [(key, hashed(key)) for (key,) in writing.rows(keys)]
    _insert(writing, known, rows)
    return [alias for _, alias in rows]


def _spoken_of(writing: Writing, after: int) -> set[str]:
    """The aliases of which a word came after a position, or was retracted since."""
    found = set()
    for table in _SAYING:
        c = table.c
        lately = sa.or_(c.position > after, c.retracted_position > after)
        found |= {alias for (alias,) in writing.rows(sa.select(c.alias_hash).where(lately))}
    return found


def _linked(writing: Writing, hashes: Collection[str]) -> set[str]:
    """Those of some keys that a link names."""
    if not hashes:
        return set()
    alias = _LINKED.c.alias_hash
    links = sa.select(alias).distinct()
    if len(hashes) <= _FEW:
        links = links.where(alias.in_(sorted(hashes)))
    return {alias for (alias,) in writing.rows(links)}.intersection(hashes)


def _around(
    writing: Writing, hashed: Callable[[str], str], aliases: set[str]
) -> tuple[list[Word], dict[str, str]] | None:
    """All that was ever said of some keys and of those that any word joins them with.

    No other word bears on where they lead, and these on no other key.

    Returns:
        The words, and the key behind each hash; None where there are so many that reading all is
        quicker.
    """
    words: dict[int, Word] = {}
    names: dict[str, str] = {}
    seen: set[str] = set()
    for _ in range(_STEPS):
        if len(seen) + len(aliases) > _FEW:
            return None
        named = _names(writing, aliases)
        found = _words(writing, aliases, named.values())
        words |= {word.position: word for word in found}
        names |= named
        seen |= aliases
        aliases = {word.alias for word in found} | {hashed(word.customer) for word in found}
        aliases -= seen
        if not aliases:
            return list(words.values()), names
    return None


def _names(writing: Writing, aliases: Collection[str] | None = None) -> dict[str, str]:
    """The key behind the hash of each alias, or of some, that is a customer's."""
    known = tables.alias_hashes.c
    those = known.alias_hash.in_(
        sa.select(_LINKED.c.alias_hash).distinct() if aliases is None else sorted(aliases)
    )
    asked = sa.select(known.alias_hash, known.customer).where(those)
    return dict(writing.rows(asked))


def _words(
    writing: Writing,
    aliases: Collection[str] | None = None,
    customers: Collection[str] = (),
) -> list[Word]:
    """All that was ever said of aliases; or of some aliases, and by some customers."""
    found = []
    for table in _SAYING:
        c = table.c
        asked = sa.select(c.position, c.customer, c.alias_hash, c.retracted_position)
        if aliases is not None:
            about = c.alias_hash.in_(sorted(aliases))
            asked = asked.where(sa.or_(about, c.customer.in_(sorted(customers))))
        found += [
            Word(position, customer, alias, table is _LINKED, retracted)
            for position, customer, alias, retracted in writing.rows(asked)
        ]
    return found


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
    """Who has an alias, by the words that count."""
    held = holders((word.customer, word.linked) for word in sorted(said))
    return held[-1] if held else None


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
