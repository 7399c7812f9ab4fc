"""One transaction of a SQLite store, under the writer's lock."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping, Sequence

from bowtie.stores.contract import IdRow, StoredState
from bowtie.stores.recorder import insert_many
from bowtie.times import now_micros

__all__ = ["STATE", "SqliteWriting", "head_of"]

#: Selects the columns of a StoredState.
STATE = (
    "SELECT e.rowid, e.originator_id, e.originator_version, e.topic, e.state,"
    " (SELECT recorded_at FROM bowtie_commits WHERE last_position >= e.rowid"
    "  ORDER BY last_position LIMIT 1) FROM stored_events e"
)


class SqliteWriting:
    """One transaction; see :class:`bowtie.stores.contract.Writing`."""

    def __init__(self, cursor: sqlite3.Cursor) -> None:
        self._cursor = cursor
        self.head = head_of(cursor)
        row = cursor.execute(
            "SELECT recorded_at FROM bowtie_commits ORDER BY last_position DESC LIMIT 1"
        ).fetchone()
        self.last_recorded_at: int = row[0] if row else 0
        #: this store's clock, one value a transaction, never falling
        self.recorded_at = max(now_micros(), self.last_recorded_at)

    def versions(self, streams: Sequence[str]) -> dict[str, int]:
        """The newest version of each stream that exists."""
        rows = self._cursor.execute(
            "SELECT value, (SELECT max(originator_version) FROM stored_events"
            " WHERE originator_id = value) FROM json_each(?)",
            (json.dumps(list(streams), ensure_ascii=False),),
        )
        return {row[0]: row[1] for row in rows if row[1] is not None}

    def ids(self, hashes: Sequence[bytes]) -> dict[bytes, IdRow]:
        """Those of the ids that are taken."""
        found: dict[bytes, IdRow] = {}
        for start in range(0, len(hashes), 10_000):
            part = sorted(hashes[start : start + 10_000])
            rows = self._cursor.execute(
                "SELECT hash, position, content FROM bowtie_ids"
                f" WHERE hash IN ({','.join('?' * len(part))})",
                part,
            )
            found.update({row[0]: IdRow(row[1], row[2]) for row in rows})
        return found

    def state_at(self, position: int) -> StoredState:
        """The event at a position that is known to exist."""
        row = self._cursor.execute(f"{STATE} WHERE e.rowid = ?", (position,)).fetchone()
        return self._dated(StoredState(*row))

    def streams(self, streams: Sequence[str], topics: Sequence[str]) -> list[StoredState]:
        """The events of some topics in some streams, each stream's in the order of versions."""
        rows = self._cursor.execute(
            f"{STATE} WHERE e.originator_id IN (SELECT value FROM json_each(?))"
            f" AND e.topic IN ({','.join('?' * len(topics))})"
            " ORDER BY e.originator_id, e.originator_version",
            (json.dumps(streams, ensure_ascii=False), *topics),
        )
        return [self._dated(StoredState(*row)) for row in rows]

    def _dated(self, state: StoredState) -> StoredState:
        """Events of this transaction are dated when it ends."""
        if state.recorded_at is not None:
            return state
        return state._replace(recorded_at=self.recorded_at)

    def insert_events(self, rows: Sequence[tuple[str, int, str, bytes]]) -> None:
        """Append (stream, version, topic, state) rows; positions follow the head without gaps."""
        insert_many(self._cursor, "stored_events", rows)
        self.head += len(rows)

    def insert_ids(self, rows: Mapping[bytes, tuple[int, bytes]]) -> None:
        """Take ids: position and content by hash; ``IntegrityError`` where one is taken."""
        # sorted: neighbours in the tree are written together
        insert_many(self._cursor, "bowtie_ids", [(one, *rows[one]) for one in sorted(rows)])

    def insert_commits(self, rows: Sequence[tuple[int, int]]) -> None:
        """Date events: (last position, recorded_at) rows."""
        insert_many(self._cursor, "bowtie_commits", rows)

    def claim(self, alias: str) -> str | None:
        """The stream that an alias (its hash) belongs to."""
        row = self._cursor.execute(
            "SELECT stream FROM bowtie_claims WHERE alias = ?", (alias,)
        ).fetchone()
        return row[0] if row else None

    def set_claim(self, alias: str, stream: str | None) -> None:
        """Give an alias to a stream, or to none."""
        if stream is None:
            self._cursor.execute("DELETE FROM bowtie_claims WHERE alias = ?", (alias,))
        else:
            self._cursor.execute("REPLACE INTO bowtie_claims VALUES (?, ?)", (alias, stream))

    def keys(self, streams: Sequence[str]) -> dict[str, bytes]:
        """The wrapped keys of those streams that have one."""
        rows = self._cursor.execute(
            "SELECT stream, wrapped FROM bowtie_keys"
            " WHERE stream IN (SELECT value FROM json_each(?))",
            (json.dumps(streams, ensure_ascii=False),),
        )
        return {row[0]: row[1] for row in rows}

    def insert_keys(self, rows: Sequence[tuple[str, bytes]]) -> None:
        """Keep streams' wrapped keys."""
        insert_many(self._cursor, "bowtie_keys", rows)

    def park(self, rows: Sequence[tuple[object, ...]]) -> None:
        """Keep refused lines; one that is parked already stays as it is."""
        self._cursor.executemany(
            "INSERT OR IGNORE INTO bowtie_parked VALUES (NULL, ?, ?, ?, ?, ?, ?, ?, ?)", rows
        )

    def unpark(self, parked_id: int) -> None:
        """Drop a parked line that has been recorded."""
        self._cursor.execute("DELETE FROM bowtie_parked WHERE parked_id = ?", (parked_id,))

    def meta(self, name: str) -> bytes | str | None:
        """What was noted under a name."""
        row = self._cursor.execute(
            "SELECT value FROM bowtie_meta WHERE name = ?", (name,)
        ).fetchone()
        return row[0] if row else None

    def set_meta(self, name: str, value: bytes | str | None) -> None:
        """Note something about the store; None takes it away."""
        if value is None:
            self._cursor.execute("DELETE FROM bowtie_meta WHERE name = ?", (name,))
        else:
            self._cursor.execute("REPLACE INTO bowtie_meta VALUES (?, ?)", (name, value))


def head_of(cursor: sqlite3.Cursor) -> int:
    """The newest position; 0 when the store is empty."""
    return cursor.execute("SELECT max(rowid) FROM stored_events").fetchone()[0] or 0
