"""What lies beside the log and follows from it: claims, snapshots, who was forgotten.

Each is worked out anew from the events, to be compared with what the store has.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping

import msgspec

from bowtie.claims import IDENTITY, holders
from bowtie.decoding import data_of_state
from bowtie.erasing import subject_of_stream
from bowtie.ruled import RULED_TOPICS, RuledStream, snapshot_schema
from bowtie.sealing import StoreKeys
from bowtie.stores.auditing import Audit
from bowtie.stores.contract import Store
from bowtie.stores.rows import StoredState

__all__ = ["LinkWords", "unfinished_forgettings", "wrong_snapshots"]


class LinkWords:
    """The newest word on each alias in each stream, gathered event by event."""

    def __init__(self) -> None:
        self._words: dict[str, list[tuple[str, bool, tuple[str, str]]]] = defaultdict(list)
        self._retracted: dict[str, set[tuple[str, str]]] = defaultdict(set)
        #: the streams of customers that were forgotten
        self.forgotten: set[str] = set()

    def take(self, stored: StoredState) -> None:
        """Know one more event; all of a stream's must come in the order of its versions."""
        if stored.topic in IDENTITY:
            state = msgspec.json.decode(stored.state)
            name, linked = (state["_source"], state["_id"]), stored.topic == "identity_linked"
            self._words[state["_alias"]].append((stored.stream, linked, name))
        elif stored.topic == "retracted":
            data = data_of_state(stored)
            self._retracted[stored.stream].add((data["of_source"], data["of_id"]))
        elif stored.topic == "forgotten":
            self.forgotten.add(stored.stream)

    def wrong_claims(
        self, claims: Mapping[str, str], forgotten: Mapping[str, int], secrets: StoreKeys
    ) -> dict[str, str | None]:
        """The aliases whose claim is not what follows from the log, and what it must be.

        Args:
            claims: what the store has.
            forgotten: the hashes of forgotten keys, which claim nothing and are not claimed.
            secrets: the store's keys.
        """
        right: dict[str, set[str]] = {}
        for alias, words in self._words.items():
            linking = holders(
                (stream, linked)
                for stream, linked, name in words
                if name not in self._retracted[stream]
            )
            left = {one for one in linking if subject_of_stream(secrets, one) not in forgotten}
            if left and alias not in forgotten:
                right[alias] = left
        wrong: dict[str, str | None] = {alias: None for alias in claims if alias not in right}
        for alias, streams in right.items():
            # where another store's log left several, the first to come had it
            if claims.get(alias) not in streams and not _circular(alias, streams, claims, secrets):
                wrong[alias] = min(streams)
        return wrong


def _circular(alias: str, streams: set[str], claims: Mapping[str, str], secrets: StoreKeys) -> bool:
    """Whether each of the streams is itself an alias of what it claims, in one or more steps."""
    return all(alias in _above(stream, claims, secrets) for stream in streams)


def _above(stream: str, claims: Mapping[str, str], secrets: StoreKeys) -> set[str]:
    """The hashes of a stream's key and of all that it is an alias of."""
    found: set[str] = set()
    subject = subject_of_stream(secrets, stream)
    while subject not in found:
        found.add(subject)
        owner = claims.get(subject)
        if owner is None:
            break
        subject = subject_of_stream(secrets, owner)
    return found


def wrong_snapshots(store: Store, audit: Audit) -> Iterator[str]:
    """The streams whose snapshot is not what their events come to; stale ones are left alone."""
    for stream, snapshot in audit.snapshots():
        if snapshot.schema != snapshot_schema():
            continue
        ruled = RuledStream()
        events = store.stream(stream)
        ruled.follow(
            event
            for event in events
            if event.version <= snapshot.version and event.topic in RULED_TOPICS
        )
        if ruled.snapshot() != snapshot.state or snapshot.version > len(events):
            yield stream


def unfinished_forgettings(
    store: Store, streams: set[str], forgotten: Mapping[str, int], secrets: StoreKeys
) -> list[str]:
    """The streams that a customer was forgotten under, and that still have a key or no mark.

    A store of the first version recorded that someone was to be forgotten, and did nothing.
    """
    keys = store.keys(sorted(streams)) if streams else {}
    return [
        stream
        for stream in sorted(streams)
        if stream in keys or subject_of_stream(secrets, stream) not in forgotten
    ]
