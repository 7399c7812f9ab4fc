"""One transaction of a store, under the writer's lock."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache

from bowtie.stores.about import About, StreamHead
from bowtie.stores.queries import Asking, Queries, Row
from bowtie.stores.rows import CommitRow, IdRow, Snapshot, StoredState
from bowtie.times import now_micros

__all__ = ["SECRETS", "STATE", "SqlWriting"]

#: The tables that hold keys and personal text.
SECRETS = ("bowtie_keys", "bowtie_parked", "bowtie_meta")
#: Selects the columns of a StoredState.
STATE = (
    "SELECT e.rowid, e.originator_id, e.originator_version, e.topic, e.state,"
    " (SELECT recorded_at FROM bowtie_commits WHERE last_position >= e.rowid"
    "  ORDER BY last_position LIMIT 1) FROM stored_events e"
)
_AT_ONCE = 10_000
#: A version that no stream reaches.
_NEVER = 2**62
_NEWEST = "FROM bowtie_commits ORDER BY last_position DESC LIMIT 1"
#: Of the stream named by ``value``.
_VERSION = "(SELECT max(originator_version) FROM stored_events WHERE originator_id = value)"
_KEY = "(SELECT wrapped FROM bowtie_keys WHERE stream = value)"
#: What each transaction needs to know, and of each stream that it is about.
_BEGINNING = (
    "(SELECT max(rowid) FROM stored_events),"
    f" (SELECT recorded_at {_NEWEST}), (SELECT seal {_NEWEST}),"
    " (SELECT value FROM bowtie_meta WHERE name = 'store_key'),"
    f" (SELECT 1 FROM bowtie_forgotten LIMIT 1), value, {_VERSION}, {_KEY}"
)
_NO_STREAM: Asking = ("(SELECT NULL AS value) AS given", ())


class SqlWriting:
    """One transaction; see :class:`bowtie.stores.contract.Writing`."""

    def __init__(self, queries: Queries, about: About) -> None:
        self._queries = queries
        streams, names = queries.each(about.streams) if about.streams else _NO_STREAM
        ahead = [self._asking_ids(about.hashes)] if about.hashes else []
        if about.part is not None:
            ahead.append(self._asking_streams(*about.part))
        rows = queries.first(_beginning(queries.VERSION, streams), names, ahead)
        version, head, last, seal, store_key, forgotten, *_ = rows[0]
        #: the version of the tables
        self.version = int(version)
        #: the newest position, this transaction's events included
        self.head: int = head or 0
        self.last_recorded_at: int = last or 0
        self.last_seal: bytes | None = seal
        self.store_key: bytes | str | None = (
            None if store_key is None else queries.meta_in(store_key)
        )
        self.stream_heads: Mapping[str, StreamHead] = (
            {row[6]: StreamHead(row[7] or 0, row[8]) for row in rows} if about.streams else {}
        )
        self._any_forgotten = forgotten is not None
        #: this store's clock, one value a transaction, never falling
        self.recorded_at = max(now_micros(), self.last_recorded_at)

    # -- events -------------------------------------------------------------------------------

    def versions(self, streams: Sequence[str]) -> dict[str, int]:
        """The newest version of each stream that exists."""
        table, values = self._queries.each(streams)
        rows = self._queries.rows(f"SELECT value, {_VERSION} FROM {table}", values)
        return {row[0]: row[1] for row in rows if row[1] is not None}

    def state_at(self, position: int) -> StoredState:
        """The event at a position that is known to exist."""
        (row,) = self._queries.rows(f"{STATE} WHERE e.rowid = ?", (position,))
        return self._dated(StoredState(*row))

    def streams(
        self, streams: Sequence[str], topics: Sequence[str], after: int = 0, upto: int | None = None
    ) -> list[StoredState]:
        """The events of some topics in some streams, each stream's in the order of versions."""
        rows = self._queries.rows(*self._asking_streams(streams, topics, after, upto))
        return [self._dated(StoredState(*row)) for row in rows]

    def _asking_streams(
        self, streams: Sequence[str], topics: Sequence[str], after: int, upto: int | None
    ) -> Asking:
        named, names = self._queries.listed(streams)
        typed, types = self._queries.listed(topics)
        return (
            _part(named, typed),
            (*names, *types, after, _NEVER if upto is None else upto),
        )

    def states_of(self, topics: Sequence[str], after: int) -> list[StoredState]:
        """The events of some topics after a position, in order."""
        among, values = self._queries.listed(topics)
        rows = self._queries.rows(
            f"{STATE} WHERE e.rowid > ? AND e.topic {among} ORDER BY e.rowid", (after, *values)
        )
        return [self._dated(StoredState(*row)) for row in rows]

    def _dated(self, state: StoredState) -> StoredState:
        """Events of this transaction are dated when it ends."""
        if state.recorded_at is not None:
            return state
        return state._replace(recorded_at=self.recorded_at)

    def insert_events(self, rows: Sequence[tuple[str, int, str, bytes]]) -> None:
        """Append (stream, version, topic, state) rows; positions follow the head without gaps."""
        self._queries.insert_events(self.head, rows)
        self.head += len(rows)

    def insert_commits(self, rows: Sequence[CommitRow]) -> None:
        """Date and seal events."""
        self._queries.insert("bowtie_commits", rows)

    # -- ids ----------------------------------------------------------------------------------

    def _asking_ids(self, hashes: Sequence[bytes]) -> Asking:
        among, values = self._queries.listed(sorted(hashes))
        return f"SELECT hash, position, content FROM bowtie_ids WHERE hash {among}", values

    def ids(self, hashes: Sequence[bytes]) -> dict[bytes, IdRow]:
        """Those of the ids that are taken."""
        found: dict[bytes, IdRow] = {}
        for start in range(0, len(hashes), _AT_ONCE):
            rows = self._queries.rows(*self._asking_ids(hashes[start : start + _AT_ONCE]))
            found.update({row[0]: IdRow(row[1], row[2]) for row in rows})
        return found

    def insert_ids(self, rows: Mapping[bytes, tuple[int, bytes]]) -> None:
        """Take ids: position and content by hash; ``Taken`` where one is taken."""
        # sorted: neighbours in the tree are written together
        self._queries.insert("bowtie_ids", [(one, *rows[one]) for one in sorted(rows)])

    def set_ids(self, rows: Mapping[bytes, IdRow]) -> None:
        """Put the rows of ids right, whether they are taken or not."""
        self._queries.run_many(
            "INSERT INTO bowtie_ids VALUES (?, ?, ?) ON CONFLICT (hash) DO UPDATE SET"
            " position = excluded.position, content = excluded.content",
            [(hashed, *row) for hashed, row in rows.items()],
        )

    def delete_ids(self, hashes: Sequence[bytes]) -> None:
        """Give ids free that no event has."""
        self._queries.run_many(
            "DELETE FROM bowtie_ids WHERE hash = ?", [(hashed,) for hashed in hashes]
        )

    def clear_contents(self, streams: Sequence[str]) -> None:
        """Let the ids of these streams' events no longer say what the events said."""
        named, names = self._queries.listed(streams)
        self._queries.run(
            "UPDATE bowtie_ids SET content = NULL WHERE position IN"
            f" (SELECT rowid FROM stored_events WHERE originator_id {named})",
            names,
        )

    # -- claims, keys, who is forgotten -------------------------------------------------------

    def claim(self, alias: str) -> str | None:
        """The stream that an alias (its hash) belongs to."""
        rows = self._queries.rows("SELECT stream FROM bowtie_claims WHERE alias = ?", (alias,))
        return rows[0][0] if rows else None

    def set_claim(self, alias: str, stream: str | None) -> None:
        """Give an alias to a stream, or to none."""
        if stream is None:
            self._queries.run("DELETE FROM bowtie_claims WHERE alias = ?", (alias,))
        else:
            self._queries.run(
                "INSERT INTO bowtie_claims VALUES (?, ?)"
                " ON CONFLICT (alias) DO UPDATE SET stream = excluded.stream",
                (alias, stream),
            )

    def delete_claims(self, aliases: Sequence[str], streams: Sequence[str]) -> int:
        """Drop the claims on these aliases (their hashes) and of these streams; how many."""
        named, names = self._queries.listed(aliases)
        theirs, owners = self._queries.listed(streams)
        return self._queries.run(
            f"DELETE FROM bowtie_claims WHERE alias {named} OR stream {theirs}", (*names, *owners)
        )

    def keys(self, streams: Sequence[str]) -> dict[str, bytes]:
        """The wrapped keys of those streams that have one."""
        named, names = self._queries.listed(streams)
        rows = self._queries.rows(f"SELECT * FROM bowtie_keys WHERE stream {named}", names)
        return {row[0]: row[1] for row in rows}

    def insert_keys(self, rows: Sequence[tuple[str, bytes]]) -> None:
        """Keep streams' wrapped keys; a new one takes the place of the old."""
        if not rows:
            return
        self._queries.run_many(
            "INSERT INTO bowtie_keys VALUES (?, ?)"
            " ON CONFLICT (stream) DO UPDATE SET wrapped = excluded.wrapped",
            rows,
        )

    def all_keys(self) -> dict[str, bytes]:
        """The wrapped keys of all streams."""
        return dict(self._queries.rows("SELECT stream, wrapped FROM bowtie_keys"))

    def delete_keys(self, streams: Sequence[str]) -> int:
        """Destroy streams' keys for ever; how many there were."""
        named, names = self._queries.listed(streams)
        return self._queries.run(f"DELETE FROM bowtie_keys WHERE stream {named}", names)

    def rewrite_secrets(self) -> None:
        """Write the keys and the parked lines left anew, so that no copy of one deleted stays.

        Pages that were split or merged long ago may still hold one where no row is. The store's
        ``scrub`` completes it after the commit.
        """
        for table in SECRETS:
            self._queries.rewrite(table)

    def any_forgotten(self) -> bool:
        """Whether anyone was forgotten."""
        return self._any_forgotten

    def forgotten(self, subjects: Sequence[str]) -> set[str]:
        """Those of the subjects (their hashes) that were forgotten."""
        named, names = self._queries.listed(subjects)
        rows = self._queries.rows(
            f"SELECT subject FROM bowtie_forgotten WHERE subject {named}", names
        )
        return {row[0] for row in rows}

    def insert_forgotten(self, subjects: Sequence[str]) -> None:
        """Note that subjects (their hashes) are forgotten."""
        self._queries.run_many(
            "INSERT INTO bowtie_forgotten VALUES (?, ?) ON CONFLICT DO NOTHING",
            [(subject, self.recorded_at) for subject in subjects],
        )
        self._any_forgotten = self._any_forgotten or bool(subjects)

    # -- snapshots ----------------------------------------------------------------------------

    def snapshot(self, stream: str) -> Snapshot | None:
        """The stream's snapshot, if it has one."""
        rows = self._queries.rows(
            "SELECT version, schema, state FROM bowtie_snapshots WHERE stream = ?", (stream,)
        )
        return Snapshot(*rows[0]) if rows else None

    def set_snapshot(self, stream: str, snapshot: Snapshot) -> None:
        """Keep a stream's snapshot instead of the one before."""
        self._queries.run(
            "INSERT INTO bowtie_snapshots VALUES (?, ?, ?, ?) ON CONFLICT (stream) DO UPDATE SET"
            " version = excluded.version, schema = excluded.schema, state = excluded.state",
            (stream, *snapshot),
        )

    def drop_snapshots(self, streams: Sequence[str] | None = None) -> None:
        """Drop the snapshots of these streams, or all."""
        if streams is None:
            self._queries.run("DELETE FROM bowtie_snapshots")
        else:
            named, names = self._queries.listed(streams)
            self._queries.run(f"DELETE FROM bowtie_snapshots WHERE stream {named}", names)

    # -- parked lines -------------------------------------------------------------------------

    def park(self, rows: Sequence[tuple[object, ...]]) -> None:
        """Keep refused lines; one that is parked or was dropped already stays as it is."""
        self._queries.run_many(
            "INSERT INTO bowtie_parked (digest, reason, problem, origin, line, parked_at, subject,"
            " sealed) SELECT ?, ?, ?, ?, ?, ?, ?, ? WHERE NOT EXISTS"
            " (SELECT 1 FROM bowtie_dropped WHERE digest = ?) ON CONFLICT DO NOTHING",
            [(*map(_storable, row), row[0]) for row in rows],
        )

    def unpark(self, parked_id: int) -> None:
        """Drop a parked line."""
        self._queries.run("DELETE FROM bowtie_parked WHERE parked_id = ?", (parked_id,))

    def unpark_subjects(self, subjects: Sequence[str]) -> int:
        """Drop the parked lines of subjects (their hashes); how many there were."""
        named, names = self._queries.listed(subjects)
        return self._queries.run(f"DELETE FROM bowtie_parked WHERE subject {named}", names)

    def drop_parked(self, parked_ids: Sequence[int], note: bytes) -> int:
        """Drop parked lines for a reason, which is kept; how many there were."""
        among, ids = self._queries.listed(parked_ids)
        which = f"FROM bowtie_parked WHERE parked_id {among}"
        self._queries.run(
            f"INSERT INTO bowtie_dropped SELECT digest, reason, origin, line, ?, ? {which}",
            (self.recorded_at, note, *ids),
        )
        return self._queries.run(f"DELETE {which}", ids)

    # -- the tables beside the log ------------------------------------------------------------

    def rows(self, sql: str, values: Sequence[object] = ()) -> list[Row]:
        """What a query gives, as nobody else can change it before the commit."""
        return self._queries.rows(sql, values)

    def run(self, sql: str, values: Sequence[object] = ()) -> int:
        """Run a statement; how many rows it changed."""
        return self._queries.run(sql, values)

    def run_many(self, sql: str, rows: Sequence[Sequence[object]]) -> None:
        """Run a statement for each row."""
        if rows:
            self._queries.run_many(sql, rows)

    # -- what the store knows of itself -------------------------------------------------------

    def meta(self, name: str) -> bytes | str | None:
        """What was noted under a name."""
        rows = self._queries.rows("SELECT value FROM bowtie_meta WHERE name = ?", (name,))
        return self._queries.meta_in(rows[0][0]) if rows else None

    def set_meta(self, name: str, value: bytes | str | None) -> None:
        """Note something about the store; None takes it away."""
        if value is None:
            self._queries.run("DELETE FROM bowtie_meta WHERE name = ?", (name,))
        else:
            self._queries.run(
                "INSERT INTO bowtie_meta VALUES (?, ?)"
                " ON CONFLICT (name) DO UPDATE SET value = excluded.value",
                (name, self._queries.meta_out(value)),
            )


# The two long statements of each command, written once: databases know a statement by its text.


@lru_cache(64)
def _beginning(version: str, streams: str) -> str:
    return f"SELECT {version}, {_BEGINNING} FROM {streams}"


@lru_cache(64)
def _part(named: str, typed: str) -> str:
    return (
        f"{STATE} WHERE e.originator_id {named} AND e.topic {typed}"
        " AND e.originator_version > ? AND e.originator_version <= ?"
        " ORDER BY e.originator_id, e.originator_version"
    )


def _storable(value: object) -> object:
    """A text without what no database keeps: NUL, and halves of characters (of odd file names)."""
    if not isinstance(value, str):
        return value
    return value.replace("\0", "\N{REPLACEMENT CHARACTER}").encode("utf-8", "replace").decode()
