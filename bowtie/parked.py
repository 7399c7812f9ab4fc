"""Parked lines: what was refused, kept sealed, and tried again when asked."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

import msgspec
from cryptography.exceptions import InvalidTag

from bowtie.appending import Appender
from bowtie.codec import Fact
from bowtie.deciding import Mode, Outcome
from bowtie.errors import EventRejected, StoreError
from bowtie.ingest import IngestReport
from bowtie.logs import Mapping, Unmapped
from bowtie.reader import Reader
from bowtie.sealing import unwrap
from bowtie.stores.contract import ParkedLine, Store, Writing
from bowtie.times import from_micros

__all__ = ["Parked", "list_parked", "retry_parked"]


@dataclass(frozen=True, slots=True)
class Parked:
    """A line that was refused: where it stood, why it was refused, and its text."""

    parked_id: int
    reason: str
    problem: str
    origin: str
    line: int
    parked_at: datetime
    raw: bytes


def list_parked(store: Store) -> Iterator[Parked]:
    """The parked lines, oldest first, opened."""
    for line in store.parked():
        yield Parked(
            line.parked_id,
            line.reason,
            line.problem,
            line.origin,
            line.line,
            from_micros(line.parked_at),
            _opened(store, line),
        )


def _opened(store: Store, line: ParkedLine) -> bytes:
    try:
        return unwrap(store.secrets.parked, line.sealed, "parked")
    except InvalidTag:
        raise StoreError(
            f"{store.url}: the parked line {line.parked_id} is damaged and can't be opened:"
            " restore the store from a backup"
        ) from None


def retry_parked(
    store: Store, appender: Appender, reader: Reader, mode: Mode, mapping: Mapping | None
) -> IngestReport:
    """Try each parked line again; see :meth:`bowtie.engine.Bowtie.retry_parked`."""
    report = IngestReport()
    for line in list(store.parked()):
        if not line.sealed:
            continue  # a forgotten customer's: there is nothing to try
        raw = _opened(store, line)
        try:
            facts = [reader.line(one) for one in _events_of(raw, mapping)]
            if facts:
                _take(appender, facts, mode, line, report)
                continue
            report.unused_rows += 1  # the mapping makes nothing of it: it stays parked
            error = EventRejected(line.reason, line.problem)
        except EventRejected as refused:
            error = refused.bare()
        report.read += 1
        report.count_parked(line.origin, line.line, error)
    return report


def _take(
    appender: Appender, facts: list[Fact], mode: Mode, line: ParkedLine, report: IngestReport
) -> None:
    def unpark(tx: Writing, outcome: Outcome) -> None:
        if outcome.rejected:  # the transaction must not commit half a line
            raise outcome.rejected[0].error
        tx.unpark(line.parked_id)

    outcome = appender.append(facts, mode, unpark)
    report.read += len(facts)
    report.appended += outcome.appended
    report.duplicates += outcome.duplicates
    report.corrected += outcome.corrected
    report.out_of_sequence += len(outcome.out_of_sequence)


def _events_of(raw: bytes, mapping: Mapping | None) -> list[bytes]:
    """The line itself, or what a mapping now makes of a foreign row."""
    if mapping is None or not raw.startswith(b'{"bowtie_row"'):
        return [raw]
    made = mapping.retry(raw)
    for one in made:
        if isinstance(one, Unmapped):
            raise EventRejected(one.reason, one.problem)
    return [msgspec.json.encode(one) for one in made]
