"""Aliases: each belongs to one customer at a time, and links form a forest.

A claim is kept beside the log and follows from it: from the newest word on the alias, linked or
unlinked, that was not retracted.

>>> holders([("acme", True), ("web-17", True), ("acme", False), ("acme", True)])
['web-17', 'acme']
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from bowtie.codec import Fact
from bowtie.decoding import data_of_state
from bowtie.errors import EventRejected
from bowtie.sealing import StoreKeys
from bowtie.stores.contract import Writing

__all__ = ["IDENTITY", "Claims", "holders"]

#: The types that say something of an alias.
IDENTITY = frozenset({"identity_linked", "identity_unlinked"})


def holders(said: Iterable[tuple[str, bool]]) -> list[str]:
    """Those whose newest word on an alias is a link, by when they said it; the last has it.

    More than one has linked it only where what another store decided was taken over.

    Args:
        said: who said something of it, and whether that was a link, in the order of the log.
    """
    newest: dict[str, bool] = {}
    for customer, linked in said:
        newest.pop(customer, None)
        newest[customer] = linked
    return [customer for customer, linked in newest.items() if linked]


class Claims:
    """The claims of a store, in one transaction."""

    def __init__(self, tx: Writing, secrets: StoreKeys) -> None:
        self._tx, self._secrets = tx, secrets

    def check(self, fact: Fact, *, released_by: str | None = None) -> None:
        """See that a link is possible.

        Args:
            fact: an identity event.
            released_by: a stream whose own claim on the alias is about to be corrected.

        Raises:
            EventRejected: ``alias_claimed`` where another customer holds the alias, or where this
                customer is an alias of it already; ``invalid`` where it is the customer itself.
        """
        if fact.type != "identity_linked":
            return
        alias = self._alias(fact)
        hashed = self._secrets.alias_hash(alias)
        if self._tx.forgotten([hashed]):
            raise EventRejected(
                "customer_forgotten",
                "alias: is a key of a customer who was forgotten: nothing may lead to it again",
            )
        owner = self._tx.claim(hashed)
        if owner not in (None, fact.stream, released_by):
            raise EventRejected(
                "alias_claimed",
                f"alias: it already belongs to {str(owner).partition('/')[2]!r};"
                " unlink it there first",
            )
        if self._secrets.alias_hash(fact.subject) == hashed:
            raise EventRejected(
                "invalid", "alias: is this very customer; name another key of theirs"
            )
        if self._leads_to(fact.subject, hashed):
            raise EventRejected(
                "alias_claimed",
                "alias: this customer is an alias of it already, and links form a tree: unlink that"
                " one first, or leave it at that",
            )

    def take(self, fact: Fact) -> None:
        """Let an identity event count, unless it was retracted before it came."""
        if (fact.source, fact.id) in self._retracted(fact.stream):
            return
        alias = self._secrets.alias_hash(self._alias(fact))
        if fact.type == "identity_linked":
            self._tx.set_claim(alias, fact.stream)
        elif self._tx.claim(alias) == fact.stream:
            self._tx.set_claim(alias, None)

    def retract(self, position: int, retracted: tuple[str, str], *, decided: bool) -> None:
        """Let the identity event at a position count no more.

        Args:
            position: where it is.
            retracted: its source and id.
            decided: another store has decided about the retraction already.

        Raises:
            EventRejected: ``alias_claimed`` where an alias would come back to a customer that can't
                have it any more.
        """
        target = self._tx.state_at(position)
        alias, stream = msgspec.json.decode(target.state)["_alias"], target.stream
        gone = self._retracted(stream) | {retracted}
        said = [
            (stream, stored.topic == "identity_linked")
            for stored in self._tx.streams([stream], sorted(IDENTITY))
            if (state := msgspec.json.decode(stored.state))["_alias"] == alias
            and (state["_source"], state["_id"]) not in gone
        ]
        linked, owner = bool(holders(said)), self._tx.claim(alias)
        if linked and owner != stream:
            free = owner is None and not self._leads_to(stream.partition("/")[2], alias)
            if not free and not decided:
                raise EventRejected(
                    "alias_claimed",
                    "of_id: the alias would come back to this customer, but it has found its place"
                    " with another since: unlink it there first",
                )
            if free:
                self._tx.set_claim(alias, stream)
        elif not linked and owner == stream:
            self._tx.set_claim(alias, None)

    @staticmethod
    def _alias(fact: Fact) -> str:
        return str((fact.personal or {})["alias"])

    def _retracted(self, stream: str) -> set[tuple[str, str]]:
        retractions = map(data_of_state, self._tx.streams([stream], ["retracted"]))
        return {(data["of_source"], data["of_id"]) for data in retractions}

    def _leads_to(self, subject: str, alias: str) -> bool:
        """Whether the alias (its hash) is the customer itself, or stands above it."""
        seen: set[str] = set()  # damaged claims may lead in a circle
        while (hashed := self._secrets.alias_hash(subject)) != alias:
            owner = self._tx.claim(hashed)
            if owner is None or hashed in seen:
                return False
            seen.add(hashed)
            subject = owner.partition("/")[2]
        return True
