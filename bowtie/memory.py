"""What is remembered of streams between the batches of one writer, so as not to read it again."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from bowtie.codec import Fact, codec_for
from bowtie.decoding import unwrap_key, wrap_key
from bowtie.errors import RuleViolation, SealedKeyMissing
from bowtie.ruled import RULED_TOPICS, SNAPSHOT_EVERY, RuledStream, ruled_stream
from bowtie.rules import SEQUENCED, broken_rule
from bowtie.sealing import new_key
from bowtie.stores.about import NOTHING, About, Part
from bowtie.stores.contract import Writing
from bowtie.stores.rows import StoredState
from bowtie.times import from_micros

__all__ = ["StreamMemory"]

_MAX_STREAMS = 1_000_000
_MAX_JOURNEYS = 100_000
_MAX_KEYS = 200_000
_A_FEW = 20


class StreamMemory:
    """Versions, keys and contracts of the streams that were written lately.

    It holds only while nobody else appends: the head that was left must be the head that is found.
    """

    def __init__(self, master_key_for: Callable[[bytes | str | None], bytes]) -> None:
        self._master_key_for = master_key_for
        self._master_key = b""
        self._versions: dict[str, int] = {}
        self._ruled: dict[str, RuledStream] = {}
        self._keys: dict[str, bytes] = {}
        self._new_keys: dict[str, bytes] = {}
        self._head = -1
        #: every stream of the store is in _versions
        self._complete = False

    def forget(self) -> None:
        """Trust nothing of it: a transaction failed."""
        self._versions.clear()
        self._ruled.clear()
        self._keys.clear()
        self._new_keys.clear()
        self._complete = False
        self._head = -1

    def about(self, facts: Sequence[Fact], look_up: Sequence[bytes]) -> About:
        """What a transaction is to ask first, to decide about a few facts."""
        if len(facts) > _A_FEW:
            return NOTHING
        ruled = sorted(
            {fact.stream for fact in facts if fact.type in SEQUENCED} - self._ruled.keys()
        )
        return About(
            sorted({fact.stream for fact in facts}),
            look_up,
            Part(ruled, RULED_TOPICS, upto=SNAPSHOT_EVERY) if ruled else None,
        )

    def begin(self, tx: Writing, facts: Sequence[Fact]) -> None:
        """Get ready for a batch."""
        if tx.head != self._head:
            self.forget()
            self._complete = tx.head == 0
        if len(self._versions) > _MAX_STREAMS:
            self._versions.clear()
            self._complete = False
        if len(self._ruled) > _MAX_JOURNEYS:
            self._ruled.clear()
        if len(self._keys) > _MAX_KEYS:
            self._keys.clear()
        if tx.stream_heads:
            self._versions.update({name: one.version for name, one in tx.stream_heads.items()})
        elif not self._complete:
            unknown = {fact.stream for fact in facts}.difference(self._versions)
            if unknown:
                found = tx.versions(sorted(unknown))
                self._versions |= {stream: found.get(stream, 0) for stream in unknown}
        self._learn_keys(tx, facts)
        self._learn_rules(tx, facts)

    def _learn_keys(self, tx: Writing, facts: Sequence[Fact]) -> None:
        streams = {fact.stream for fact in facts if fact.personal is not None}
        if not streams:
            return
        # another process may have changed the master key
        self._master_key = self._master_key_for(tx.store_key)
        unknown = [stream for stream in streams.difference(self._keys) if not self.is_new(stream)]
        for stream, wrapped in _wrapped_keys(tx, unknown):
            key = unwrap_key(self._master_key, wrapped, stream)
            if key is None:
                raise SealedKeyMissing(
                    "a customer's own key can't be opened by the store's master key: the store is"
                    " damaged; restore it from a backup"
                )
            self._keys[stream] = key

    def _learn_rules(self, tx: Writing, facts: Sequence[Fact]) -> None:
        """Read, at once, what the rules need of the streams they are about in this batch."""
        streams = {fact.stream for fact in facts if fact.type in SEQUENCED}.difference(self._ruled)
        known = [stream for stream in streams if not self.is_new(stream)]
        upto = None
        if len(known) <= _A_FEW:  # snapshots are read one by one
            long = [one for one in known if self._versions[one] >= SNAPSHOT_EVERY]
            for stream in long:
                self._ruled[stream] = ruled_stream(tx, stream, self._versions[stream])
            streams = streams.difference(long)
            known, upto = [one for one in known if one in streams], SNAPSHOT_EVERY
        stored: dict[str, list[StoredState]] = {stream: [] for stream in streams}
        for state in tx.streams(sorted(known), RULED_TOPICS, upto=upto) if known else ():
            stored[state.stream].append(state)
        for stream, states in stored.items():
            ruled = self._ruled[stream] = RuledStream()
            ruled.follow(states)

    def committed(self, head: int) -> None:
        """The batch is in the store."""
        self._head = head

    def version(self, tx: Writing, stream: str) -> int:
        """The newest version of a stream; 0 where it has no event."""
        version = self._versions.get(stream)
        if version is None:
            version = 0 if self._complete else tx.versions([stream]).get(stream, 0)
            self._versions[stream] = version
        return version

    def next_version(self, tx: Writing, stream: str) -> int:
        """The version of the stream's next event, counted up."""
        version = self._versions[stream] = self.version(tx, stream) + 1
        return version

    def key(self, stream: str) -> bytes:
        """The stream's own key; a new one must be kept with :meth:`new_keys`."""
        key = self._keys.get(stream)
        if key is None:
            key = self._keys[stream] = new_key()
            self._new_keys[stream] = key
        return key

    def known_key(self, stream: str) -> bytes | None:
        """The stream's own key, if it has one."""
        return self._keys.get(stream)

    def new_keys(self) -> list[tuple[str, bytes]]:
        """The keys made since this was last asked, wrapped."""
        made, self._new_keys = self._new_keys, {}
        return [(stream, wrap_key(self._master_key, key, stream)) for stream, key in made.items()]

    def follow(self, fact: Fact) -> RuleViolation | None:
        """Which rule the fact breaks; its stream then goes on with it."""
        ruled = self._ruled[fact.stream]
        data, when = codec_for(fact.type).decode(fact.whole), from_micros(fact.at)
        violation = broken_rule(fact.type, data, ruled.signing(data.contract), when)
        if fact.type == "contract_signed":
            ruled.sign(fact.source, fact.id, data, when)
        return violation

    def is_new(self, stream: str) -> bool:
        """Whether the stream has no event yet."""
        return self._versions.get(stream, 0) == 0

    def retract(self, stream: str, named: tuple[str, str]) -> None:
        """An event of the stream, there already or still to come, counts no more."""
        if stream in self._ruled:
            self._ruled[stream].retract(*named)


def _wrapped_keys(tx: Writing, streams: Sequence[str]) -> Iterable[tuple[str, bytes]]:
    if not tx.stream_heads:
        return tx.keys(sorted(streams)).items() if streams else ()
    asked = [(stream, tx.stream_heads[stream].key) for stream in streams]
    return [(stream, key) for stream, key in asked if key is not None]
