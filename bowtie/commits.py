"""Checking the transactions of a log: when they were recorded, and the chain of their seals."""

from __future__ import annotations

from collections.abc import Iterator

from bowtie.problems import Problem
from bowtie.seals import first_seal, next_seal
from bowtie.stores.auditing import Audit
from bowtie.stores.rows import CommitRow, StoredState
from bowtie.times import from_micros, iso

__all__ = ["SealedCommits", "wrong_dates"]


def wrong_dates(audit: Audit) -> Iterator[Problem]:
    """Each position is dated, and dates never fall."""
    before, covered = 0, 0
    for position, recorded_at, _ in audit.commits():
        if _when(recorded_at) is None:
            yield Problem("commit", "was recorded at what is no time", position)
        elif recorded_at < before:
            yield Problem("commit", "was recorded before the events before it", position)
        else:
            before = recorded_at
        covered = position
    if covered < audit.upto:
        yield Problem("commit", f"events after {covered} have no time of recording", audit.upto)


class SealedCommits:
    """Compares the seals of transactions with their rows, read again as they lie.

    After a seal that is not right, the chain goes on from the one that is stored: so each
    transaction that was changed is named, and no other.
    """

    def __init__(self, store_id: str, audit: Audit) -> None:
        self._commits = audit.commits()
        self._upto, self._unsealed = audit.upto, not audit.has_seals
        self._seal = first_seal(store_id)
        self._rows: list[StoredState] = []
        self._commit = next(self._commits, None)

    def take(self, stored: StoredState) -> Iterator[Problem]:
        """Go on with the next event."""
        while self._commit is not None and stored.position > self._commit.last_position:
            yield from self._close(self._commit)
        self._rows.append(stored)

    def finish(self) -> Iterator[Problem]:
        """Compare what is left."""
        while self._commit is not None and self._commit.last_position <= self._upto:
            yield from self._close(self._commit)

    def _close(self, commit: CommitRow) -> Iterator[Problem]:
        last, recorded_at, stored = commit
        positions = [row.position for row in self._rows]
        rows = [row[1:5] for row in self._rows]
        try:
            right = next_seal(self._seal, last, recorded_at, positions, rows)
        except (TypeError, ValueError, OverflowError):  # SQLite keeps text where a number was
            right = b""
        first = positions[0] if positions else last
        if stored is None and self._unsealed:
            yield Problem(
                "seal", f"positions {first:,} to {last:,} are not sealed: run bowtie init",
                last, note=True,
            )  # fmt: skip
        elif stored != right:
            yield Problem(
                "seal",
                f"the transaction recorded at {_when(recorded_at) or 'no time'}, positions"
                f" {first:,} to {last:,}, is not as it was sealed: an event, its time of recording"
                " or the seal was changed, added or removed; restore the store from a backup",
                last,
            )
        self._seal, self._rows = stored or right, []
        self._commit = next(self._commits, None)


def _when(recorded_at: object) -> str | None:
    """A time of recording as people write it; None where it is no time."""
    try:
        return iso(from_micros(recorded_at))  # type: ignore[arg-type]  # SQLite keeps anything
    except (TypeError, ValueError, OverflowError):
        return None
