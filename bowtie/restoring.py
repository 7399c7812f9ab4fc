"""Putting an export back into an empty store; a killed restore goes on where it stopped."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator

from bowtie.checking import Line
from bowtie.errors import FileError, UsageError
from bowtie.ingest import Ingesting, IngestReport
from bowtie.sources import LogLines
from bowtie.stores.contract import Store

__all__ = ["restore_log"]

_RESTORING = "restoring"


def restore_log(
    store: Store,
    ingesting: Ingesting,
    lines: LogLines,
    progress: Callable[[IngestReport], None] | None,
) -> IngestReport:
    """Restore an export; see :meth:`bowtie.engine.Bowtie.restore`."""
    chunks = lines.chunks()
    first = next(chunks, [])
    header = lines.header
    if header is None:
        raise UsageError(
            f"{lines.name} is no export: it has no header line; take it in with plain ingest"
        )
    mark = hashlib.blake2b(json.dumps(header, sort_keys=True).encode(), digest_size=16).hexdigest()
    done = _begin(store, mark)
    report = ingesting.run(_after(done, first, chunks), progress)
    if report.parked:
        raise FileError(
            lines.name,
            f"{report.parked} of its events could not be restored (see parked list):"
            " the export is damaged, or another program changed it",
        )
    held = store.count(store.head())
    if held != header.get("count"):
        raise FileError(
            lines.name, f"says that it holds {header.get('count')} events, but ends after {held}"
        )
    with store.writing() as tx:
        tx.set_meta(_RESTORING, None)
    return report


def _begin(store: Store, mark: str) -> int:
    """How many events an earlier try has restored already."""
    with store.writing() as tx:
        if tx.head == 0:
            tx.set_meta(_RESTORING, mark)
        elif tx.meta(_RESTORING) != mark:
            raise UsageError(
                f"{store.url} is not empty: restore into a new store, or ingest without --restore"
                " to add the events that it lacks"
            )
    return store.count(store.head())


def _after(done: int, first: list[Line], chunks: Iterator[list[Line]]) -> Iterator[list[Line]]:
    """The lines without the first ``done``."""
    skip = done
    for chunk in _chain(first, chunks):
        yield chunk[skip:]
        skip = max(0, skip - len(chunk))


def _chain(first: list[Line], chunks: Iterator[list[Line]]) -> Iterator[list[Line]]:
    yield first
    yield from chunks
