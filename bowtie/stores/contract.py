"""What every store gives, whatever database it lies in.

A store keeps states (see :mod:`bowtie.codec`) in streams, in one total order, and beside them the
tables that hold across streams: ids, claims, keys, parked lines. It knows nothing of journeys.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Protocol

from bowtie.sealing import StoreKeys
from bowtie.stores.about import NOTHING, About, StreamHead
from bowtie.stores.queries import Queries
from bowtie.stores.rows import (
    CommitRow,
    DroppedLine,
    IdRow,
    ParkedLine,
    Snapshot,
    StateBatch,
    StoredState,
)

__all__ = [
    "Store",
    "Taken",
    "Writing",
]


class Taken(Exception):
    """An id, or a version of a stream, is in the store already: nothing was written."""


class Writing(Protocol):
    """One transaction under the writer's lock. What is read here can't change before the commit."""

    #: the newest position, this transaction's events included
    head: int
    #: this store's clock, one value a transaction, never falling
    recorded_at: int
    #: the newest recorded_at before this transaction
    last_recorded_at: int
    #: the seal of the transaction before this one; None in an empty store, or where there is none
    last_seal: bytes | None
    #: the store's own key, as it was wrapped when this began
    store_key: bytes | str | None
    #: of the streams that the transaction is about, as they were when it began
    stream_heads: Mapping[str, StreamHead]

    def versions(self, streams: Sequence[str]) -> dict[str, int]:
        """The newest version of each stream that exists."""

    def ids(self, hashes: Sequence[bytes]) -> dict[bytes, IdRow]:
        """Those of the ids that are taken."""

    def state_at(self, position: int) -> StoredState:
        """The event at a position that is known to exist."""

    def streams(
        self, streams: Sequence[str], topics: Sequence[str], after: int = 0, upto: int | None = None
    ) -> list[StoredState]:
        """The events of some topics in some streams, each stream's in the order of versions.

        Args:
            streams, topics: of which.
            after, upto: of the versions (after, upto].
        """

    def states_of(self, topics: Sequence[str], after: int) -> list[StoredState]:
        """The events of some topics after a position, in order."""

    def insert_events(self, rows: Sequence[tuple[str, int, str, bytes]]) -> None:
        """Append (stream, version, topic, state) rows; positions follow the head without gaps.

        Raises:
            Taken: a version is there already; the transaction can only be rolled back. Raised here,
                or at the latest when the transaction ends.
        """

    def insert_ids(self, rows: Mapping[bytes, tuple[int, bytes]]) -> None:
        """Take ids: position and content by hash.

        Raises:
            Taken: one of them is taken; the transaction can only be rolled back. Raised here, or at
                the latest when the transaction ends.
        """

    def set_ids(self, rows: Mapping[bytes, IdRow]) -> None:
        """Put the rows of ids right, whether they are taken or not."""

    def delete_ids(self, hashes: Sequence[bytes]) -> None:
        """Give ids free that no event has."""

    def clear_contents(self, streams: Sequence[str]) -> None:
        """Let the ids of these streams' events no longer say what the events said."""

    def insert_commits(self, rows: Sequence[CommitRow]) -> None:
        """Date and seal events."""

    def claim(self, alias: str) -> str | None:
        """The stream that an alias (its hash) belongs to."""

    def set_claim(self, alias: str, stream: str | None) -> None:
        """Give an alias to a stream, or to none."""

    def delete_claims(self, aliases: Sequence[str], streams: Sequence[str]) -> int:
        """Drop the claims on these aliases (their hashes) and of these streams; how many."""

    def keys(self, streams: Sequence[str]) -> dict[str, bytes]:
        """The wrapped keys of those streams that have one."""

    def insert_keys(self, rows: Sequence[tuple[str, bytes]]) -> None:
        """Keep streams' wrapped keys; a new one takes the place of the old."""

    def all_keys(self) -> dict[str, bytes]:
        """The wrapped keys of all streams."""

    def delete_keys(self, streams: Sequence[str]) -> int:
        """Destroy streams' keys for ever; how many there were."""

    def rewrite_secrets(self) -> None:
        """Write the keys and the parked lines left anew, so that no copy of one deleted stays."""

    def any_forgotten(self) -> bool:
        """Whether anyone was forgotten."""

    def forgotten(self, subjects: Sequence[str]) -> set[str]:
        """Those of the subjects (their hashes) that were forgotten."""

    def insert_forgotten(self, subjects: Sequence[str]) -> None:
        """Note that subjects (their hashes) are forgotten."""

    def snapshot(self, stream: str) -> Snapshot | None:
        """The stream's snapshot, if it has one."""

    def set_snapshot(self, stream: str, snapshot: Snapshot) -> None:
        """Keep a stream's snapshot instead of the one before."""

    def drop_snapshots(self, streams: Sequence[str] | None = None) -> None:
        """Drop the snapshots of these streams, or all."""

    def park(self, rows: Sequence[tuple[object, ...]]) -> None:
        """Keep refused lines; one that is parked or was dropped already stays as it is."""

    def unpark(self, parked_id: int) -> None:
        """Drop a parked line."""

    def unpark_subjects(self, subjects: Sequence[str]) -> int:
        """Drop the parked lines of subjects (their hashes); how many there were."""

    def drop_parked(self, parked_ids: Sequence[int], note: bytes) -> int:
        """Drop parked lines for a reason, which is kept; how many there were."""

    def rows(self, sql: str, values: Sequence[object] = ()) -> list[tuple[Any, ...]]:
        """What a query of the tables beside the log gives."""

    def run(self, sql: str, values: Sequence[object] = ()) -> int:
        """Run a statement on the tables beside the log; how many rows it changed."""

    def run_many(self, sql: str, rows: Sequence[Sequence[object]]) -> None:
        """Run a statement on the tables beside the log for each row."""

    def meta(self, name: str) -> bytes | str | None:
        """What was noted under a name."""

    def set_meta(self, name: str, value: bytes | str | None) -> None:
        """Note something about the store; None takes it away."""


class Store(Protocol):
    """A store of states."""

    def rows(self, sql: str, values: Sequence[object] = ()) -> list[tuple[Any, ...]]:
        """What one query gives; see :mod:`bowtie.stores.queries` for how it is written."""

    def reading(self) -> AbstractContextManager[Queries]:
        """To ask what :meth:`rows` can't; each query sees one state of the store."""

    @property
    def url(self) -> str:
        """How it was named."""

    @property
    def address(self) -> str:
        """The URL to connect by; it may hold a password, so it is in no message."""

    @property
    def path(self) -> Path | None:
        """Its file, where it is one."""

    @property
    def store_id(self) -> str:
        """Random, from when it was made."""

    @property
    def version(self) -> int:
        """The version of its tables: an older store can be read, but not written."""

    @property
    def key_place(self) -> Path | None:
        """The master key lies beside it, in a file of that name and ``.key``."""

    @property
    def master_key(self) -> bytes:
        """The key that wraps the others; not to be asked for while a transaction is open."""

    def master_key_for(self, wrapped: bytes | str | None) -> bytes:
        """The master key that wraps the store's own key so; read again where it was changed."""

    def use_master_key(self, master: bytes, wrapped: bytes) -> None:
        """Go on with another master key, which now wraps the store's own key so."""

    @property
    def secrets(self) -> StoreKeys:
        """The keys derived from the store's own key."""

    def close(self) -> None:
        """Release it."""

    def head(self) -> int:
        """The newest position; 0 when the store is empty."""

    def count(self, upto: int) -> int:
        """How many events there are through a position."""

    def hash_at(self, position: int) -> str:
        """A hash of the event at a position, to recognise it by; "" where there is none."""

    def meta(self) -> Mapping[str, bytes | str]:
        """What the store knows of itself."""

    def upgrade(self) -> bool:
        """Bring the tables to the version of this code; whether they were older.

        Raises:
            StoreReadOnly: it can't be written.
        """

    def writing(
        self, connection: Any = None, timeout: float | None = None, about: About = NOTHING
    ) -> AbstractContextManager[Writing]:
        """A transaction under the writer's lock.

        Args:
            connection: the caller's own, on the same file or database (an SQLAlchemy
                ``Connection``, or the driver's): all is written in its open transaction, which the
                caller commits or rolls back. What fails here leaves the caller's own rows as they
                were before. The writer's lock is held until the caller ends the transaction.
            timeout: how long to wait for the writer's lock, in seconds (30).
            about: what will be asked for, as far as it is little.

        Raises:
            StoreBusy: another writer held the lock all that time.
            StoreOlder: the store must be upgraded first.
            Taken: an id or a version is in the store already.
            UsageError: the connection is no transaction's, or another database's.
        """

    def changed(self, after: int, timeout: float) -> bool:
        """Wait until there are events after a position; whether there are, when the time is over.

        Args:
            timeout: how long to wait, in seconds.
        """

    def batches(self, after: int, upto: int, size: int) -> Iterator[StateBatch]:
        """The events of positions (after, upto] in runs of at most ``size``."""

    def states(self, after: int = 0, upto: int | None = None) -> Iterator[StoredState]:
        """Each event of positions (after, upto], in order."""

    def state_at(self, position: int) -> StoredState:
        """The event at a position that is known to exist."""

    def states_of(self, topics: Sequence[str], after: int = 0) -> Iterator[StoredState]:
        """Each event of some topics after a position, in order; looks at the whole log."""

    def stream(self, stream: str, after: int = 0) -> list[StoredState]:
        """The events of a stream after a version of it, in the order of its versions."""

    def snapshot(self, stream: str) -> Snapshot | None:
        """The stream's snapshot, if it has one."""

    def last_commit(self) -> CommitRow | None:
        """The newest transaction's; None in an empty store."""

    def position_recorded_by(self, micros: int) -> int:
        """The last position recorded at or before a moment; 0 when none was."""

    def keys(self, streams: Iterable[str] | None = None) -> dict[str, bytes]:
        """The wrapped keys of the streams named, or of all."""

    def forgotten(self) -> dict[str, int]:
        """When each forgotten subject (its hash) was forgotten, in microseconds."""

    def scrub(self) -> bool:
        """See that nothing deleted stays in the files; False where a reader keeps it there."""

    def parked(self) -> Iterator[ParkedLine]:
        """The parked lines, oldest first."""

    def parked_line(self, parked_id: int) -> ParkedLine | None:
        """One parked line, if it is there."""

    def parked_counts(self) -> dict[str, int]:
        """How many lines are parked, by reason."""

    def dropped(self) -> Iterator[DroppedLine]:
        """The lines that were dropped, oldest first."""

    def dropped_counts(self) -> dict[str, int]:
        """How many lines were dropped, by the reason that they were parked for."""
