"""The demo log: a seeded, believable business with known truths in it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from os import PathLike
from pathlib import Path
from random import Random
from typing import BinaryIO

from bowtie.demo import market
from bowtie.demo.accounts import Account
from bowtie.demo.buying import first_contact
from bowtie.demo.clock import DAY, Clock
from bowtie.demo.flaws import Flaws
from bowtie.demo.introductions import Introductions
from bowtie.demo.ledger import Ledger, Reacts
from bowtie.demo.spend import record_spend
from bowtie.demo.truth import Tally, Truth
from bowtie.errors import FileError, UsageError

__all__ = ["Demo", "arrivals_of", "history"]

#: The first touch of the last account is known by the end: fairs are written down next morning.
_LAST_ARRIVAL = 2 * DAY


@dataclass(frozen=True, slots=True)
class Demo:
    """A log of some three and a half years of a business that sells subscriptions.

    The same arguments give the same bytes. The lines come in the order in which they became known,
    and only what is still to come is held in memory.

    Args:
        customers: how many accounts appear; each makes about 20 events.
        seed: which of the possible histories.
        until: the last day; nothing in the log is later.

    >>> demo = Demo(customers=50, seed=1)
    >>> lines = list(demo.lines())
    >>> truth = demo.truth()
    >>> len(lines) == truth.lines == truth.events + truth.duplicates + sum(truth.parked.values())
    True
    """

    customers: int = 5_000
    seed: int = 7
    until: date = date(2026, 6, 30)

    def __post_init__(self) -> None:
        if self.customers < 1:
            raise UsageError(f"{self.customers} customers: ask for at least one")
        if not 1975 <= self.until.year <= 2190:
            raise UsageError(f"until {self.until}: name a day from 1975 through 2190")

    def lines(self) -> Iterator[bytes]:
        """The log, a line at a time, each ended by a newline."""
        for batch in self._batches(Tally()):
            yield from batch

    def truth(self) -> Truth:
        """What is in the log. It is lived through once to count it."""
        tally = Tally()
        for _ in self._batches(tally):
            pass
        return self._truth(tally)

    def write(self, target: str | PathLike[str] | BinaryIO) -> Truth:
        """Write the log to a file or a binary stream; what is in it.

        Raises:
            FileError: the file can't be written.
        """
        tally = Tally()
        if not isinstance(target, (str, PathLike)):
            self._write(target, tally)
            return self._truth(tally)
        try:
            with Path(target).open("wb") as file:
                self._write(file, tally)
        except OSError as error:
            raise FileError(str(target), f"can't be written: {error.strerror}") from error
        return self._truth(tally)

    def _write(self, stream: BinaryIO, tally: Tally) -> None:
        for batch in self._batches(tally):
            stream.writelines(batch)

    def _truth(self, tally: Tally) -> Truth:
        first = Clock(self.until, market.HISTORY_MONTHS).first
        return Truth.of(tally, self.customers, self.seed, first, self.until)

    def _batches(self, tally: Tally) -> Iterator[list[bytes]]:
        """The lines of each month, in the order in which they became known."""
        clock = Clock(self.until, market.HISTORY_MONTHS)
        return history(clock, self.seed, arrivals_of(clock, self.customers), tally)


def arrivals_of(clock: Clock, customers: int) -> list[int]:
    """How many accounts appear in each month: as many on one day as on another."""
    last = clock.end - _LAST_ARRIVAL
    by_end = [customers * min(end, last) // last for _, end in clock.month_spans()]
    return [now - before for now, before in zip(by_end, [0, *by_end], strict=False)]


def history(
    clock: Clock,
    seed: int,
    arrivals: list[int],
    tally: Tally,
    *,
    reaction: Reacts | None = None,
    channels: Callable[[int], Sequence[market.Channel]] = lambda _: market.CHANNELS,
) -> Iterator[list[bytes]]:
    """The lines of each month, in the order in which they became known.

    What is drawn in a month depends on nothing that comes after it.

    Args:
        clock: the days of the history.
        seed: which of the possible ones.
        arrivals: how many accounts appear in each month.
        tally: counts what is written.
        reaction: what the business does about those it meets.
        channels: the ways in which accounts come in a month.
    """
    introductions = Introductions(Random(f"{seed}/referrals"))
    ledger = Ledger(clock, Random(f"{seed}/business"), introductions, tally, reaction)
    flaws = Flaws(clock, Random(f"{seed}/flaws"), tally)
    record_spend(ledger, arrivals, channels)
    number = 0
    for month, (span, count) in enumerate(zip(clock.month_spans(), arrivals, strict=True)):
        _arrive(ledger, span, range(number + 1, number + 1 + count), channels(month))
        number += count
        lines = ledger.live(month)
        planted = flaws.planted(month, lines)
        yield [line for _, line in sorted(lines + planted)]
    brought = introductions.brought
    tally.brought = len(brought)
    tally.referred = Counter(one.referrals_before for one in brought if one.paying)


def _arrive(
    ledger: Ledger, span: tuple[int, int], numbers: range, channels: Sequence[market.Channel]
) -> None:
    clock, random = ledger.clock, ledger.random
    start, end = span[0], min(span[1], clock.end - _LAST_ARRIVAL)
    moments = sorted(start + int(random() * (end - start)) for _ in numbers)
    for at, number in zip(moments, numbers, strict=True):
        first_contact(ledger, Account(number, at / clock.end, random, channels), at)
