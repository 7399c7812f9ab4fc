"""Parked lines: what was refused, kept sealed, and tried again when asked."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime

import msgspec
from cryptography.exceptions import InvalidTag

from bowtie.appending import Appender
from bowtie.codec import Fact
from bowtie.errors import EventRejected, StoreError, UnknownName, UsageError
from bowtie.ingest import IngestReport
from bowtie.logs import Mapping as RowMapping
from bowtie.logs import Unmapped
from bowtie.outcome import Mode, Outcome
from bowtie.reader import Reader
from bowtie.sealing import unwrap, wrap
from bowtie.stores.contract import Store, Writing
from bowtie.stores.rows import ParkedLine
from bowtie.times import from_micros

__all__ = [
    "Dropped",
    "Parked",
    "drop_parked",
    "list_dropped",
    "list_parked",
    "refuse_unknown_reason",
    "retry_parked",
    "show_parked",
]

#: What a note on a dropped line is bound to.
_DROPPED = "dropped"


@dataclass(frozen=True, slots=True)
class Parked:
    """A line that was refused: where it stood, why it was refused, and its text.

    Of a forgotten customer's line nothing is kept but the fact that it came: ``raw`` is empty.
    """

    parked_id: int
    reason: str
    problem: str
    origin: str
    line: int
    parked_at: datetime
    raw: bytes


@dataclass(frozen=True, slots=True)
class Dropped:
    """A parked line that someone dropped: when, who and why."""

    reason: str
    origin: str
    line: int
    dropped_at: datetime
    by: str
    why: str


def list_parked(store: Store) -> Iterator[Parked]:
    """The parked lines, oldest first, opened."""
    return (_parked(store, line) for line in store.parked())


def show_parked(store: Store, parked_id: int) -> Parked:
    """One parked line, opened.

    Raises:
        UnknownName: no line is parked under that number.
    """
    line = store.parked_line(parked_id)
    if line is None:
        raise UnknownName(f"no line is parked under {parked_id}: see bowtie parked list")
    return _parked(store, line)


def drop_parked(
    store: Store, parked_ids: Collection[int], why: str, by: str, reason: str | None = None
) -> int:
    """Drop parked lines for ever; see :meth:`bowtie.Bowtie.drop_parked`."""
    if not why.strip():
        raise UsageError("say why: the reason is all that will be left of them")
    chosen = set(parked_ids)
    if reason is not None:
        refuse_unknown_reason(reason, store.parked_counts())
        chosen |= {line.parked_id for line in store.parked() if line.reason == reason}
    for parked_id in sorted(parked_ids):
        show_parked(store, parked_id)
    note = wrap(store.secrets.parked, json.dumps({"by": by, "why": why}).encode(), _DROPPED)
    with store.writing() as tx:
        dropped = tx.drop_parked(sorted(chosen), note)
        tx.rewrite_secrets()
    store.scrub()
    return dropped


def refuse_unknown_reason(reason: str, counts: Mapping[str, int]) -> None:
    """See that lines are there that were refused for a reason.

    Raises:
        UnknownName: there are none.
    """
    if reason not in counts:
        known = ", ".join(counts) or "nothing at all"
        raise UnknownName(f"no line is parked for the reason {reason!r}; there are: {known}")


def list_dropped(store: Store) -> Iterator[Dropped]:
    """The lines that were dropped, oldest first."""
    for line in store.dropped():
        try:
            note = json.loads(unwrap(store.secrets.parked, line.note, _DROPPED))
        except InvalidTag:
            raise StoreError(
                f"{store.url}: why {line.origin}:{line.line} was dropped can't be opened: the"
                " store is damaged; restore it from a backup"
            ) from None
        when = from_micros(line.dropped_at)
        yield Dropped(line.reason, line.origin, line.line, when, note["by"], note["why"])


def _parked(store: Store, line: ParkedLine) -> Parked:
    return Parked(
        line.parked_id,
        line.reason,
        line.problem,
        line.origin,
        line.line,
        from_micros(line.parked_at),
        _opened(store, line),
    )


def _opened(store: Store, line: ParkedLine) -> bytes:
    if not line.sealed:
        return b""
    try:
        return unwrap(store.secrets.parked, line.sealed, "parked")
    except InvalidTag:
        raise StoreError(
            f"{store.url}: the parked line {line.parked_id} is damaged and can't be opened:"
            " restore the store from a backup"
        ) from None


def retry_parked(
    store: Store, appender: Appender, reader: Reader, mode: Mode, mapping: RowMapping | None
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


def _events_of(raw: bytes, mapping: RowMapping | None) -> list[bytes]:
    """The line itself, or what a mapping now makes of a foreign row."""
    if mapping is None or not raw.startswith(b'{"bowtie_row"'):
        return [raw]
    made = mapping.retry(raw)
    for one in made:
        if isinstance(one, Unmapped):
            raise EventRejected(one.reason, one.problem)
    return [msgspec.json.encode(one) for one in made]
