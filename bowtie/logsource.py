"""Log files read as one log, without a store: what ``replay LOG...`` replays."""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO

from bowtie.appending import Appender
from bowtie.checking import Line
from bowtie.ingest import Ingesting, IngestReport
from bowtie.logs import Mapping
from bowtie.outcome import Mode
from bowtie.reader import Reader
from bowtie.sealing import StoreKeys
from bowtie.sources import LogLines, open_lines
from bowtie.stores import open_store
from bowtie.stores.contract import Store
from bowtie.stores.rows import StateBatch

__all__ = ["LogSource", "log_source"]


class LogSource:
    """Log files as one source of states; positions are the ordinals of their events.

    Attributes:
        store_id: a hash of the files' lines: the same files in the same order give the same.
        report: what was read; ``parked`` are the lines that are wrong, kept nowhere.
        dated: whether every event says when a store recorded it; if not, the times of recording
            are unknown.
    """

    def __init__(self, store: Store, store_id: str, report: IngestReport, *, dated: bool) -> None:
        self._store, self.store_id = store, store_id
        self.report, self.dated = report, dated

    @property
    def secrets(self) -> StoreKeys:
        """Made for these files alone."""
        return self._store.secrets

    def head(self) -> int:
        """How many events there are."""
        return self._store.head()

    def hash_at(self, position: int) -> str:
        """A hash of the event at a position."""
        return self._store.hash_at(position)

    def batches(self, after: int, upto: int, size: int) -> Iterator[StateBatch]:
        """The events of positions (after, upto] in runs of at most ``size``."""
        for batch in self._store.batches(after, upto, size):
            yield batch if self.dated else replace(batch, recorded=[(batch.positions[-1], None)])


@contextmanager
def log_source(
    logs: Sequence[str | os.PathLike[str] | BinaryIO],
    mapping: Mapping | None = None,
    progress: Callable[[IngestReport], None] | None = None,
) -> Iterator[LogSource]:
    """Read log files, in order, as one log; nothing of them is kept afterwards.

    They pass the same checks as an ingest, but are not decided about: what is in a log has
    happened. Duplicates count once.

    Raises:
        FileError: a file can't be read.
    """
    with tempfile.TemporaryDirectory(prefix="bowtie-") as folder:
        store = open_store(str(Path(folder) / "log.db"), create=True)
        try:
            reader = Reader()
            appender, digest = Appender(store, reader), hashlib.blake2b(digest_size=16)
            report = IngestReport()
            for log in logs:
                with open_lines(log, mapping, None) as lines:
                    one = Ingesting(
                        appender, reader, store.secrets, lines.name, _TAKE, report=report
                    )
                    one.run(_hashed(lines, digest), progress)
                    report.unused_rows += lines.unused
                    report.unchanged_events += lines.unchanged
            report.position = store.head()
            yield LogSource(store, digest.hexdigest(), report, dated=not report.undated)
        finally:
            store.close()


_TAKE = Mode(restore=True)


def _hashed(lines: LogLines, digest: hashlib.blake2b) -> Iterator[list[Line]]:
    for chunk in lines.chunks():
        for line in chunk:
            digest.update(line.raw + b"\n")
        yield chunk
