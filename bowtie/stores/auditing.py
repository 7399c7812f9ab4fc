"""What a check of a store reads, beyond what its work needs.

Each question is one short read, so that writers are never kept waiting.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from bowtie.stores.contract import Store
from bowtie.stores.rows import CommitRow, IdRow, Snapshot

__all__ = ["Audit"]

_STEP = 10_000


class Audit:
    """The tables of a store as they lie, through a position.

    Args:
        store: the store.
        upto: what was recorded later is left out.
    """

    def __init__(self, store: Store, upto: int) -> None:
        self._store, self._rows = store, store.rows
        #: the first version of stores had neither seals nor snapshots
        self.has_seals = store.version > 1
        self.upto = upto

    def broken_streams(self) -> list[tuple[str, int, int, int]]:
        """Streams whose versions are not 1, 2, 3, ...: stream, events, first and last version."""
        return self._rows(
            "SELECT originator_id, count(*), min(originator_version), max(originator_version)"
            " FROM stored_events WHERE rowid <= ? GROUP BY originator_id"
            " HAVING min(originator_version) <> 1 OR max(originator_version) <> count(*)",
            (self.upto,),
        )

    def ids(self) -> int:
        """How many ids are taken."""
        return int(
            self._rows("SELECT count(*) FROM bowtie_ids WHERE position <= ?", (self.upto,))[0][0]
        )

    def places(self, hashes: Sequence[bytes]) -> dict[bytes, IdRow]:
        """Where the events of these ids are said to be, and what they are said to say."""
        with self._store.reading() as queries:
            among, values = queries.listed(hashes)
            rows = queries.rows(
                f"SELECT hash, position, content FROM bowtie_ids WHERE hash {among}", values
            )
        return {row[0]: IdRow(row[1], row[2]) for row in rows}

    def commits(self) -> Iterator[CommitRow]:
        """What dates and seals each transaction, by position."""
        after = -1
        while True:
            rows = self._rows(
                "SELECT * FROM bowtie_commits"
                " WHERE last_position > ? ORDER BY last_position LIMIT ?",
                (after, _STEP),
            )
            yield from (CommitRow(*row) for row in rows)
            if not rows or after >= self.upto:
                return
            after = rows[-1][0]

    def claims(self) -> dict[str, str]:
        """Whom each alias (its hash) belongs to."""
        return dict(self._rows("SELECT alias, stream FROM bowtie_claims", ()))

    def id_rows(self) -> Iterator[list[tuple[bytes, int]]]:
        """(hash, position) of the ids that are taken, some at a time."""
        after = b""
        while rows := self._rows(
            "SELECT hash, position FROM bowtie_ids WHERE hash > ? ORDER BY hash LIMIT ?",
            (after, _STEP),
        ):
            yield [(row[0], row[1]) for row in rows]
            after = rows[-1][0]

    def snapshots(self) -> Iterator[tuple[str, Snapshot]]:
        """The snapshots, by stream."""
        after = ""
        while self.has_seals:
            rows = self._rows(
                "SELECT * FROM bowtie_snapshots WHERE stream > ? ORDER BY stream LIMIT 1000",
                (after,),
            )
            yield from ((row[0], Snapshot(*row[1:])) for row in rows)
            if not rows:
                return
            after = rows[-1][0]
