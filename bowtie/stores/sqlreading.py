"""What all stores tell of what they hold, whatever database they lie in."""

from __future__ import annotations

import hashlib
import time
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any

from bowtie.stores.queries import Queries, head_of
from bowtie.stores.rows import CommitRow, DroppedLine, ParkedLine, Snapshot, StateBatch, StoredState
from bowtie.stores.tables import SCHEMA_VERSION
from bowtie.stores.writing import STATE

__all__ = ["SqlReading"]

#: The version that brought snapshots, who was forgotten, and what was dropped.
_SECOND = 2
#: How often a reader that waits for new events looks, in seconds.
_POLL = 0.02


class SqlReading(ABC):
    """The half of a store that is only asked; see :class:`bowtie.stores.contract.Store`."""

    #: the version that its tables had when it was opened, or upgraded
    _found = SCHEMA_VERSION

    @abstractmethod
    def reading(self) -> AbstractContextManager[Queries]:
        """To ask; each query sees one state of the store."""

    def rows(self, sql: str, values: Sequence[object] = ()) -> list[tuple[Any, ...]]:
        """What one query gives."""
        with self.reading() as queries:
            return queries.rows(sql, values)

    def meta(self) -> Mapping[str, bytes | str]:
        """What the store knows of itself."""
        with self.reading() as queries:
            rows = queries.rows("SELECT name, value FROM bowtie_meta")
            return {row[0]: queries.meta_in(row[1]) for row in rows}

    def head(self) -> int:
        """The newest position; 0 when the store is empty."""
        with self.reading() as queries:
            return head_of(queries)

    def count(self, upto: int) -> int:
        """How many events there are through a position."""
        rows = self.rows("SELECT count(*) FROM stored_events WHERE rowid <= ?", (upto,))
        return int(rows[0][0])

    def state_at(self, position: int) -> StoredState:
        """The event at a position that is known to exist."""
        (row,) = self.rows(f"{STATE} WHERE e.rowid = ?", (position,))
        return StoredState(*row)

    def hash_at(self, position: int) -> str:
        """A hash of the event at a position, to recognise it by; "" where there is none."""
        rows = self.rows(
            "SELECT originator_id, originator_version, topic, state FROM stored_events"
            " WHERE rowid = ?",
            (position,),
        )
        if not rows:
            return ""
        stream, version, topic, state = rows[0]
        head = f"{stream}\0{version}\0{topic}\0".encode()
        return hashlib.blake2b(head + state, digest_size=16).hexdigest()

    def batches(self, after: int, upto: int, size: int) -> Iterator[StateBatch]:
        """The events of positions (after, upto] in runs of at most ``size``."""
        while after < upto:
            with self.reading() as queries:
                batch = _read_batch(queries, after, upto, size)
            if batch is None:
                return
            yield batch
            after = batch.positions[-1]

    def states(self, after: int = 0, upto: int | None = None) -> Iterator[StoredState]:
        """Each event of positions (after, upto], in order."""
        end = self.head() if upto is None else upto
        while after < end:
            rows = self.rows(
                f"{STATE} WHERE e.rowid > ? AND e.rowid <= ? ORDER BY e.rowid LIMIT 5000",
                (after, end),
            )
            for row in rows:
                yield StoredState(*row)
            if not rows:
                return
            after = rows[-1][0]

    def states_of(self, topics: Sequence[str], after: int = 0) -> Iterator[StoredState]:
        """Each event of some topics after a position, in order; looks at the whole log."""
        end = self.head()
        while after < end:
            with self.reading() as queries:
                among, values = queries.listed(topics)
                rows = queries.rows(
                    f"{STATE} WHERE e.rowid > ? AND e.topic {among} ORDER BY e.rowid LIMIT 5000",
                    (after, *values),
                )
            yield from (StoredState(*row) for row in rows)
            after = rows[-1][0] if rows else end

    def stream(self, stream: str, after: int = 0) -> list[StoredState]:
        """The events of a stream after a version of it, in the order of its versions."""
        if not _is_text(stream):
            return []
        rows = self.rows(
            f"{STATE} WHERE e.originator_id = ? AND e.originator_version > ?"
            " ORDER BY e.originator_version",
            (stream, after),
        )
        return [StoredState(*row) for row in rows]

    def snapshot(self, stream: str) -> Snapshot | None:
        """The stream's snapshot, if it has one."""
        if self._found < _SECOND:
            return None
        rows = self.rows(
            "SELECT version, schema, state FROM bowtie_snapshots WHERE stream = ?", (stream,)
        )
        return Snapshot(*rows[0]) if rows else None

    def last_commit(self) -> CommitRow | None:
        """The newest transaction's; None in an empty store."""
        rows = self.rows("SELECT * FROM bowtie_commits ORDER BY last_position DESC LIMIT 1")
        return CommitRow(*rows[0]) if rows else None

    def position_recorded_by(self, micros: int) -> int:
        """The last position recorded at or before a moment; 0 when none was."""
        rows = self.rows(
            "SELECT max(last_position) FROM bowtie_commits WHERE recorded_at <= ?", (micros,)
        )
        return rows[0][0] or 0

    def forgotten(self) -> dict[str, int]:
        """When each forgotten subject (its hash) was forgotten, in microseconds."""
        if self._found < _SECOND:
            return {}
        return {row[0]: row[1] for row in self.rows("SELECT * FROM bowtie_forgotten")}

    def parked(self) -> Iterator[ParkedLine]:
        """The parked lines, oldest first."""
        after = 0
        while rows := self.rows(
            "SELECT * FROM bowtie_parked WHERE parked_id > ? ORDER BY parked_id LIMIT 1000",
            (after,),
        ):
            for row in rows:
                yield ParkedLine(*row)
            after = rows[-1][0]

    def parked_line(self, parked_id: int) -> ParkedLine | None:
        """One parked line, if it is there."""
        rows = self.rows("SELECT * FROM bowtie_parked WHERE parked_id = ?", (parked_id,))
        return ParkedLine(*rows[0]) if rows else None

    def parked_counts(self) -> dict[str, int]:
        """How many lines are parked, by reason."""
        return self._counts_by_reason("bowtie_parked")

    def dropped(self) -> Iterator[DroppedLine]:
        """The lines that were dropped, oldest first."""
        if self._found < _SECOND:
            return
        for row in self.rows(
            "SELECT * FROM bowtie_dropped ORDER BY dropped_at, origin, line, digest"
        ):
            yield DroppedLine(*row)

    def dropped_counts(self) -> dict[str, int]:
        """How many lines were dropped, by the reason that they were parked for."""
        return {} if self._found < _SECOND else self._counts_by_reason("bowtie_dropped")

    def _counts_by_reason(self, table: str) -> dict[str, int]:
        rows = self.rows(f"SELECT reason, count(*) FROM {table} GROUP BY reason")
        return {row[0]: row[1] for row in sorted(rows)}

    def changed(self, after: int, timeout: float) -> bool:
        """Wait until there are events after a position; whether there are."""
        end = time.monotonic() + timeout
        while self.head() <= after:
            left = end - time.monotonic()
            if left <= 0:
                return False
            time.sleep(min(_POLL, left))
        return True

    def keys(self, streams: Iterable[str] | None = None) -> dict[str, bytes]:
        """The wrapped keys of the streams named, or of all."""
        sql = "SELECT stream, wrapped FROM bowtie_keys"
        with self.reading() as queries:
            if streams is None:
                rows = queries.rows(sql)
            else:
                named, names = queries.listed([one for one in streams if _is_text(one)])
                rows = queries.rows(f"{sql} WHERE stream {named}", names)
        return {row[0]: row[1] for row in rows}


def _is_text(text: str) -> bool:
    """Whether it could be stored: without NUL, and without halves of characters."""
    return "\0" not in text and not any("\ud800" <= one <= "\udfff" for one in text)


def _read_batch(queries: Queries, after: int, upto: int, size: int) -> StateBatch | None:
    """States concatenated in SQL: one value instead of one row an event."""
    rows = "SELECT rowid AS position, topic, state FROM stored_events"
    within = "WHERE rowid > ? AND rowid <= ? ORDER BY rowid LIMIT ?"
    bounds = (after, upto, size)
    ((count, first, last, topics, states),) = queries.rows(
        f"SELECT count(*), min(position), max(position), {queries.CONCATENATED}"
        f" FROM ({rows} {within}) AS batch",
        bounds,
    )
    if not count:
        return None
    positions: Sequence[int] = range(first, last + 1)
    if len(positions) != count:
        found = queries.rows(f"SELECT rowid FROM stored_events {within}", bounds)
        positions = [row[0] for row in found]
    commits = queries.rows(
        "SELECT last_position, recorded_at FROM bowtie_commits WHERE last_position >= ?"
        " AND last_position <= coalesce("
        "  (SELECT min(last_position) FROM bowtie_commits WHERE last_position >= ?), ?)"
        " ORDER BY last_position",
        (first, last, last),
    )
    return StateBatch(positions, topics + b"\n", states, [(row[0], row[1]) for row in commits])
