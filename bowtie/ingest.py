"""Ingesting a log: read, check, decide, append, a batch at a time; nothing lost, nothing silent.

The next batch is read and checked while the store writes the one before; what is decided is
decided in order, in one thread.
"""

from __future__ import annotations

import gc
import hashlib
import time
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import msgspec

from bowtie import telemetry
from bowtie.appending import Appender
from bowtie.checking import Line, Prepared, ahead, checked
from bowtie.codec import Fact
from bowtie.deciding import FORGOTTEN
from bowtie.errors import EventRejected, FileError
from bowtie.outcome import Mode, Outcome
from bowtie.reader import Reader
from bowtie.sealing import StoreKeys, wrap
from bowtie.stores.contract import Writing

__all__ = ["IngestReport", "Ingesting"]

#: How many parked lines and broken rules a report shows.
_EXAMPLES, _EXAMPLES_A_REASON = 20, 3


@dataclass(slots=True)
class ParkedExample:
    """One of the first lines that were parked."""

    origin: str
    line: int
    reason: str
    problem: str


@dataclass(slots=True)
class IngestReport:
    """What an ingest did.

    Attributes:
        read: events read (with a mapping: events that the rows became).
        appended: events now in the log that were not before; a correction appends two.
        duplicates: events that were there already, with the same content.
        corrected: events that replaced one of other content.
        parked: events refused, kept aside with their reason.
        out_of_sequence: events recorded although they break a rule of sequence.
        position: the newest position of the store.
        parked_by_reason, parked_amounts: the parked by reason, and their sums by currency.
        unused_rows: rows of a foreign file for which the mapping makes no event.
        unchanged_events: events that the mapping left out because they say nothing, or what the
            customer's last one said.
        keys_like_addresses: customers' keys with an ``@`` in them, which should be pseudonyms.
        undated: events that don't say when a store recorded them.
        examples: the first parked lines, a few for each reason.
        violations: the first broken rules.

    ``read = appended - corrected + duplicates + parked`` always holds.
    """

    read: int = 0
    appended: int = 0
    duplicates: int = 0
    corrected: int = 0
    parked: int = 0
    out_of_sequence: int = 0
    position: int = 0
    seconds: float = 0.0
    parked_by_reason: Counter[str] = field(default_factory=Counter)
    parked_amounts: dict[tuple[str, str], Decimal] = field(default_factory=dict)
    unused_rows: int = 0
    unchanged_events: int = 0
    keys_like_addresses: int = 0
    undated: int = 0
    examples: list[ParkedExample] = field(default_factory=list)
    violations: list[str] = field(default_factory=list)

    def count_parked(self, origin: str, line: int, error: EventRejected) -> None:
        """Count a refused line, and keep the first of each reason to show."""
        self.parked += 1
        telemetry.parked(error.reason)
        self.parked_by_reason[error.reason] += 1
        if (
            self.parked_by_reason[error.reason] <= _EXAMPLES_A_REASON
            and len(self.examples) < _EXAMPLES
        ):
            self.examples.append(ParkedExample(origin, line, error.reason, error.problem))

    def as_dict(self) -> dict[str, Any]:
        """The report as one JSON object."""
        amounts: dict[str, dict[str, str]] = {}
        for (reason, currency), amount in sorted(self.parked_amounts.items()):
            amounts.setdefault(reason, {})[currency] = format(amount, "f")
        return {
            "read": self.read,
            "appended": self.appended,
            "duplicates": self.duplicates,
            "corrected": self.corrected,
            "parked": self.parked,
            "out_of_sequence": self.out_of_sequence,
            "position": self.position,
            "parked_by_reason": dict(sorted(self.parked_by_reason.items())),
            "parked_amounts": amounts,
            "unused_rows": self.unused_rows,
            "unchanged_events": self.unchanged_events,
            "keys_like_addresses": self.keys_like_addresses,
            "seconds": round(self.seconds, 3),
        }


@contextmanager
def _collector_off() -> Iterator[None]:
    """Batches make many objects and no cycles: the collector would only walk them."""
    if not gc.isenabled():
        yield
        return
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


class Ingesting:
    """One ingest of one log.

    Args:
        appender: where the events go.
        reader: what checks the lines.
        keys: what parked lines are sealed with.
        origin: the log's name, for parked lines.
        mode: how facts are taken.
        report: what to count in, where several logs are one.
    """

    def __init__(
        self,
        appender: Appender,
        reader: Reader,
        keys: StoreKeys,
        origin: str,
        mode: Mode,
        *,
        report: IngestReport | None = None,
    ) -> None:
        self.report = IngestReport() if report is None else report
        self._appender, self._reader, self._keys = appender, reader, keys
        self._origin, self._mode = origin, mode
        self._addresses: set[str] = set()

    def run(
        self, chunks: Iterator[list[Line]], progress: Callable[[IngestReport], None] | None = None
    ) -> IngestReport:
        """Append all chunks.

        Raises:
            FileError: the log is damaged; what was good before is kept, and is in ``report``.
        """
        started = time.perf_counter()
        stamp = self._appender.stamp
        with _collector_off():
            try:
                with (
                    closing(checked(self._reader, stamp, chunks)) as batches,
                    closing(ahead(batches)) as batches_ahead,
                ):
                    for prepared in batches_ahead:
                        self._append(prepared)
                        if progress is not None:
                            progress(self.report)
            except FileError as error:
                error.report = self.report
                raise
            finally:
                self.report.seconds += time.perf_counter() - started
        return self.report

    def _append(self, prepared: Prepared) -> None:
        refused: list[tuple[Line, EventRejected]] = []

        def park(tx: Writing, outcome: Outcome) -> None:
            late = ((prepared.lines[one.index], one.error) for one in outcome.rejected)
            refused[:] = self._of_forgotten(tx, [*prepared.rejected, *late])
            tx.park([self._parked_row(tx, line, error) for line, error in refused])

        outcome = self._appender.append(prepared.facts, self._mode, park)
        self._count_parked(refused)
        report = self.report
        report.read += len(prepared.facts) + len(prepared.rejected)
        report.appended += outcome.appended
        report.duplicates += outcome.duplicates
        report.corrected += outcome.corrected
        report.out_of_sequence += len(outcome.out_of_sequence)
        report.violations += [
            str(one) for one in outcome.out_of_sequence[: _EXAMPLES - len(report.violations)]
        ]
        report.undated += sum(fact.stored is None for fact in prepared.facts)
        self._note_addresses(prepared.facts)

    def _note_addresses(self, facts: Iterable[Fact]) -> None:
        self._addresses.update(fact.subject for fact in facts if "@" in fact.subject)
        self.report.keys_like_addresses = len(self._addresses)

    def _of_forgotten(
        self, tx: Writing, refused: list[tuple[Line, EventRejected]]
    ) -> list[tuple[Line, EventRejected]]:
        """The refused lines; a forgotten customer's for that reason, whatever else is wrong."""
        if not refused or not tx.any_forgotten():
            return refused
        subjects = [self._subject(line) for line, _ in refused]
        gone = tx.forgotten([subject for subject in subjects if subject is not None])
        return [
            (line, EventRejected("customer_forgotten", FORGOTTEN) if subject in gone else error)
            for (line, error), subject in zip(refused, subjects, strict=True)
        ]

    def _subject(self, line: Line) -> str | None:
        """The hash of whom a line is about, where that can be read."""
        subject = line.subject or subject_of(line.raw)
        if subject is None:
            return None
        return self._keys.alias_hash(unicodedata.normalize("NFC", subject))

    def _parked_row(self, tx: Writing, line: Line, error: EventRejected) -> tuple[object, ...]:
        """A line as it is kept; of a forgotten customer's only the hash, to know it by."""
        key = self._keys.parked
        digest = hashlib.blake2b(line.raw, key=key, digest_size=16).digest()
        hashed, sealed = None, b""
        if error.reason != "customer_forgotten":
            hashed, sealed = self._subject(line), wrap(key, line.raw, "parked")
        return (
            digest,
            error.reason,
            error.problem,
            self._origin,
            line.number,
            tx.recorded_at,
            hashed,
            sealed,
        )

    def _count_parked(self, refused: list[tuple[Line, EventRejected]]) -> None:
        report = self.report
        for line, error in refused:
            report.count_parked(self._origin, line.number, error)
            amount = _amount_of(line.raw) if error.reason == "no_customer" else None
            if amount is not None:
                kept = (error.reason, amount[0])
                report.parked_amounts[kept] = (
                    report.parked_amounts.get(kept, Decimal(0)) + amount[1]
                )


class _Subject(msgspec.Struct):
    subject: str | None = None


_DECODE_SUBJECT = msgspec.json.Decoder(_Subject).decode


def subject_of(raw: bytes) -> str | None:
    """The subject of a line, where it can be read."""
    try:
        return _DECODE_SUBJECT(raw).subject
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None


class _Amounts(msgspec.Struct):
    amount: str
    currency: str
    kind: str = ""


class _Amounted(msgspec.Struct):
    data: _Amounts


_DECODE_AMOUNT = msgspec.json.Decoder(_Amounted).decode


def _amount_of(raw: bytes) -> tuple[str, Decimal] | None:
    """Currency and signed amount of a line; a return's is subtracted."""
    try:
        data = _DECODE_AMOUNT(raw).data
        amount = Decimal(data.amount)
    except (msgspec.MsgspecError, UnicodeDecodeError, ArithmeticError, RecursionError):
        return None
    return data.currency, -amount if data.kind == "return" else amount
