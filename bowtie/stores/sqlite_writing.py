"""One transaction of a SQLite store, under the writer's lock."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

from bowtie.stores.contract import CommitRow, IdRow, Snapshot, StoredState, Taken
from bowtie.stores.recorder import insert_many
from bowtie.times import now_micros

__all__ = ["STATE", "SqliteWriting", "head_of"]

#: Selects the columns of a StoredState.
STATE = (
    "SELECT e.rowid, e.originator_id, e.originator_version, e.topic, e.state,"
    " (SELECT recorded_at FROM bowtie_commits WHERE last_position >= e.rowid"
    "  ORDER BY last_position LIMIT 1) FROM stored_events e"
)


#: Those of a list of texts, given as :func:`_listed` writes them.
_LISTED = "(SELECT value FROM json_each(?))"


def _listed(texts: Sequence[str]) -> str:
    return json.dumps(list(texts), ensure_ascii=False)


@contextmanager
def _taken() -> Iterator[None]:
    try:
        yield
    except sqlite3.IntegrityError as error:
        raise Taken(str(error)) from error


class SqliteWriting:
    """One transaction; see :class:`bowtie.stores.contract.Writing`."""

    def __init__(self, cursor: sqlite3.Cursor) -> None:
        self._cursor = cursor
        self.head = head_of(cursor)
        row = cursor.execute(
            "SELECT recorded_at, seal FROM bowtie_commits ORDER BY last_position DESC LIMIT 1"
        ).fetchone()
        self.last_recorded_at: int
        self.last_seal: bytes | None
        self.last_recorded_at, self.last_seal = row or (0, None)
        #: this store's clock, one value a transaction, never falling
        self.recorded_at = max(now_micros(), self.last_recorded_at)

    def versions(self, streams: Sequence[str]) -> dict[str, int]:
        """The newest version of each stream that exists."""
        rows = self._cursor.execute(
            "SELECT value, (SELECT max(originator_version) FROM stored_events"
            " WHERE originator_id = value) FROM json_each(?)",
            (_listed(streams),),
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
            f"{STATE} WHERE e.originator_id IN {_LISTED}"
            f" AND e.topic IN ({','.join('?' * len(topics))})"
            " ORDER BY e.originator_id, e.originator_version",
            (_listed(streams), *topics),
        )
        return [self._dated(StoredState(*row)) for row in rows]

    def _dated(self, state: StoredState) -> StoredState:
        """Events of this transaction are dated when it ends."""
        if state.recorded_at is not None:
            return state
        return state._replace(recorded_at=self.recorded_at)

    def insert_events(self, rows: Sequence[tuple[str, int, str, bytes]]) -> None:
        """Append (stream, version, topic, state) rows; positions follow the head without gaps."""
        with _taken():
            insert_many(self._cursor, "stored_events", rows)
        self.head += len(rows)

    def insert_ids(self, rows: Mapping[bytes, tuple[int, bytes]]) -> None:
        """Take ids: position and content by hash; ``Taken`` where one is taken."""
        # sorted: neighbours in the tree are written together
        with _taken():
            insert_many(self._cursor, "bowtie_ids", [(one, *rows[one]) for one in sorted(rows)])

    def clear_contents(self, streams: Sequence[str]) -> None:
        """Let the ids of these streams' events no longer say what the events said."""
        self._cursor.execute(
            "UPDATE bowtie_ids SET content = NULL WHERE position IN (SELECT rowid"
            f" FROM stored_events WHERE originator_id IN {_LISTED})",
            (_listed(streams),),
        )

    def insert_commits(self, rows: Sequence[CommitRow]) -> None:
        """Date and seal events."""
        insert_many(self._cursor, "bowtie_commits", [CommitRow(*row) for row in rows])

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

    def delete_claims(self, aliases: Sequence[str], streams: Sequence[str]) -> int:
        """Drop the claims on these aliases (their hashes) and of these streams; how many."""
        return self._cursor.execute(
            f"DELETE FROM bowtie_claims WHERE alias IN {_LISTED} OR stream IN {_LISTED}",
            (_listed(aliases), _listed(streams)),
        ).rowcount

    def keys(self, streams: Sequence[str]) -> dict[str, bytes]:
        """The wrapped keys of those streams that have one."""
        rows = self._cursor.execute(
            f"SELECT stream, wrapped FROM bowtie_keys WHERE stream IN {_LISTED}",
            (_listed(streams),),
        )
        return {row[0]: row[1] for row in rows}

    def insert_keys(self, rows: Sequence[tuple[str, bytes]]) -> None:
        """Keep streams' wrapped keys; a new one takes the place of the old."""
        self._cursor.executemany("REPLACE INTO bowtie_keys VALUES (?, ?)", rows)

    def delete_keys(self, streams: Sequence[str]) -> int:
        """Destroy streams' keys for ever; how many there were."""
        return self._cursor.execute(
            f"DELETE FROM bowtie_keys WHERE stream IN {_LISTED}", (_listed(streams),)
        ).rowcount

    def rewrite_secrets(self) -> None:
        """Write the keys and the parked lines left anew, so that no copy of one deleted stays.

        Pages that were split or merged long ago may still hold one where no row is.
        """
        for table in ("bowtie_keys", "bowtie_parked"):
            (made_by,) = self._cursor.execute(
                "SELECT sql FROM sqlite_master WHERE name = ?", (table,)
            ).fetchone()
            self._cursor.execute(made_by.replace(table, f"{table}_anew", 1))
            self._cursor.execute(f"INSERT INTO {table}_anew SELECT * FROM {table}")
            self._cursor.execute(f"DROP TABLE {table}")
            self._cursor.execute(f"ALTER TABLE {table}_anew RENAME TO {table}")

    def any_forgotten(self) -> bool:
        """Whether anyone was forgotten."""
        return self._cursor.execute("SELECT 1 FROM bowtie_forgotten LIMIT 1").fetchone() is not None

    def forgotten(self, subjects: Sequence[str]) -> set[str]:
        """Those of the subjects (their hashes) that were forgotten."""
        rows = self._cursor.execute(
            f"SELECT subject FROM bowtie_forgotten WHERE subject IN {_LISTED}",
            (_listed(subjects),),
        )
        return {row[0] for row in rows}

    def insert_forgotten(self, subjects: Sequence[str]) -> None:
        """Note that subjects (their hashes) are forgotten."""
        self._cursor.executemany(
            "INSERT INTO bowtie_forgotten VALUES (?, ?) ON CONFLICT DO NOTHING",
            [(subject, self.recorded_at) for subject in subjects],
        )

    def set_snapshot(self, stream: str, snapshot: Snapshot) -> None:
        """Keep a stream's snapshot instead of the one before."""
        self._cursor.execute(
            "REPLACE INTO bowtie_snapshots VALUES (?, ?, ?, ?)", (stream, *snapshot)
        )

    def drop_snapshots(self, streams: Sequence[str] | None = None) -> None:
        """Drop the snapshots of these streams, or all."""
        if streams is None:
            self._cursor.execute("DELETE FROM bowtie_snapshots")
        else:
            self._cursor.execute(
                f"DELETE FROM bowtie_snapshots WHERE stream IN {_LISTED}", (_listed(streams),)
            )

    def park(self, rows: Sequence[tuple[object, ...]]) -> None:
        """Keep refused lines; one that is parked or was dropped already stays as it is."""
        self._cursor.executemany(
            "INSERT OR IGNORE INTO bowtie_parked SELECT NULL, ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8"
            " WHERE NOT EXISTS (SELECT 1 FROM bowtie_dropped WHERE digest = ?1)",
            rows,
        )

    def unpark(self, parked_id: int) -> None:
        """Drop a parked line."""
        self._cursor.execute("DELETE FROM bowtie_parked WHERE parked_id = ?", (parked_id,))

    def unpark_subjects(self, subjects: Sequence[str]) -> int:
        """Drop the parked lines of subjects (their hashes); how many there were."""
        return self._cursor.execute(
            f"DELETE FROM bowtie_parked WHERE subject IN {_LISTED}", (_listed(subjects),)
        ).rowcount

    def drop_parked(self, parked_ids: Sequence[int], note: bytes) -> int:
        """Drop parked lines for a reason, which is kept; how many there were."""
        which = f"FROM bowtie_parked WHERE parked_id IN {_LISTED}"
        self._cursor.execute(
            f"INSERT INTO bowtie_dropped SELECT digest, reason, origin, line, ?, ? {which}",
            (self.recorded_at, note, json.dumps(list(parked_ids))),
        )
        return self._cursor.execute(f"DELETE {which}", (json.dumps(list(parked_ids)),)).rowcount

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
