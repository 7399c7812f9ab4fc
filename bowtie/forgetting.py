"""The command that forgets a customer: under every key of theirs, in one transaction."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from bowtie.appending import Appender
from bowtie.erasing import LINKING, Erased, Erasure, LinkedKeys, erase, linked_keys
from bowtie.errors import Conflict, UnknownName
from bowtie.events import Forgotten
from bowtie.outcome import Mode, Outcome
from bowtie.reader import Reader
from bowtie.recording import command_facts
from bowtie.stores.contract import Store, Writing

__all__ = ["forget_customer", "keys_of_customer"]

_TRIES = 5
KeyOf = Callable[[str], bytes | None]


class _Changed(Exception):
    """Events came between the look at the links and the writer's lock."""


def keys_of_customer(
    store: Store, key_of: KeyOf, customer: str, leave: Iterable[str] = ()
) -> LinkedKeys:
    """The keys to forget a customer under; see :meth:`bowtie.engine.Bowtie.linked_keys`."""
    linked = linked_keys(store, key_of, customer, leave)
    if not (linked.events or linked.parked or linked.already or len(linked.subjects) > 1):
        raise UnknownName(f"no customer {customer!r} in this store: check the key (case counts)")
    return linked


def forget_customer(
    store: Store,
    appender: Appender,
    reader: Reader,
    keys: Callable[[], LinkedKeys],
    agreed: LinkedKeys | None,
) -> Erasure:
    """Forget a customer under the keys that ``keys`` finds; see :meth:`bowtie.Bowtie.forget`."""
    for _ in range(_TRIES):
        linked = keys()
        if agreed is not None and linked.subjects != agreed.subjects:
            break
        try:
            return _forget(store, appender, reader, linked)
        except _Changed:
            continue
    raise Conflict("the keys linked with this customer changed meanwhile: look at them again")


def _forget(store: Store, appender: Appender, reader: Reader, linked: LinkedKeys) -> Erasure:
    facts = [
        fact
        for key in linked.events
        if key not in linked.already
        for fact in command_facts(reader, key, [Forgotten()])
    ]
    streams = [f"customer/{key}" for key in linked.keys]
    erased = Erased()

    def take_the_rest(tx: Writing, outcome: Outcome) -> None:
        """Keys without events, and those forgotten before, of which something may be left."""
        nonlocal erased
        quiet = [stream for stream in streams if stream.partition("/")[2] not in linked.events]
        if tx.versions(quiet) or tx.states_of(LINKING, linked.position):
            raise _Changed
        rest = erase(tx, store.secrets, streams, linked.subjects)
        erased = rest if outcome.erased is None else outcome.erased + rest
        outcome.erased = erased

    outcome = appender.append(facts, Mode(command=True), take_the_rest)
    return Erasure(
        linked.keys,
        linked.unnamed,
        sum(linked.events.values()),
        len(facts),
        erased,
        outcome.scrubbed,
    )
