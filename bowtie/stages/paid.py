"""When a customer was paying: intervals of paid contracts, and the moments they came to an end."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Literal

from bowtie.stages.history import History, Moment

__all__ = ["GRACE", "Close", "PaidInterval", "paid_intervals", "right_closes"]

#: How long a contract that passes its last day without an event still counts as active.
GRACE = timedelta(days=30)
#: A last day from here on means that there is none.
_NEVER = date(9999, 1, 1)
_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Close:
    """A moment at which a cycle ends.

    Args:
        at: the moment.
        seen_at: when it can first be known to have ended.
        side: ``left`` of the knot (disqualified) or ``right`` of it (the last contract ended).
        position: the fact that brought it about.
    """

    at: datetime
    seen_at: datetime
    side: Literal["left", "right"]
    position: int


@dataclass(frozen=True, slots=True)
class PaidInterval:
    """The days that one paid contract covers.

    Args:
        contract: its id.
        start: the first day.
        last: the last day of service; None while there is no end.
        lapsed: it ends only because its term ran out.
        ended_by: the fact that gives the last day.
    """

    contract: str
    start: date
    last: date | None
    lapsed: bool
    ended_by: Moment

    @property
    def active_through(self) -> date | None:
        """The last day on which it still counts as active: with the grace if it lapsed."""
        if self.last is None:
            return None
        return self.last + GRACE if self.lapsed else self.last

    @property
    def close(self) -> Close | None:
        """The moment after its last day."""
        if self.last is None:
            return None
        at = datetime.combine(self.last + _DAY, time(), UTC)
        seen_at = max(at + GRACE if self.lapsed else at, self.ended_by.at)
        return Close(at, seen_at, "right", self.ended_by.position)


#: A last day, and the fact that gives it.
_End = tuple[date, Moment]


def paid_intervals(history: History) -> list[PaidInterval]:
    """Each paid contract's days, by first day, then id."""
    signings: dict[str, Moment] = {}
    for moment in history.of_type("contract_signed"):
        if moment.data.kind == "paid" and moment.data.amount > 0:
            signings.setdefault(moment.data.contract, moment)
    renewals = {m.data.contract: m for m in history.of_type("contract_renewed")}
    ended = _earliest(
        (m.data.contract, (m.data.effective_on or m.at.date(), m))
        for m in history.of_type("contract_ended")
    )
    replaced = _earliest(
        (m.data.replaces, (_day_before(m.data.starts_on), m))
        for m in history.of_type("contract_signed")
        if m.data.replaces not in (None, m.data.contract)
    )
    intervals = [
        _interval(signing, renewals.get(contract), ended.get(contract), replaced.get(contract))
        for contract, signing in signings.items()
    ]
    return sorted(intervals, key=lambda interval: (interval.start, interval.contract))


def _earliest(ends: Iterable[tuple[str, _End]]) -> dict[str, _End]:
    """The earliest end of each contract; of two alike, the first one told."""
    found: dict[str, _End] = {}
    for contract, end in ends:
        if contract not in found or end[0] < found[contract][0]:
            found[contract] = end
    return found


def _day_before(day: date) -> date:
    return day - _DAY if day > date.min else day


def _interval(
    signing: Moment, renewal: Moment | None, ended: _End | None, replaced: _End | None
) -> PaidInterval:
    terms = renewal or signing
    term_end = None if signing.data.auto_renews else terms.data.ends_on
    if ended and replaced:
        end: _End | None = min(ended, replaced, key=lambda candidate: candidate[0])
    elif replaced and term_end and term_end < replaced[0]:
        end = None  # it ran out before it was replaced
    else:
        end = ended or replaced
    last, ended_by = end or (term_end, terms)
    if last is not None and last >= _NEVER:
        last = None
    lapsed = end is None and last is not None
    return PaidInterval(signing.data.contract, signing.data.starts_on, last, lapsed, ended_by)


def right_closes(history: History) -> list[Close]:
    """The moments at which the last of the contracts that follow on each other had ended."""
    return [close for island in _islands(paid_intervals(history)) if (close := _end_of(island))]


def _islands(intervals: Iterable[PaidInterval]) -> Iterator[list[PaidInterval]]:
    """Contracts that overlap or touch, grace included, by first day."""
    island: list[PaidInterval] = []
    reach: date | None = None
    for interval in intervals:
        if island and reach is not None and interval.start > reach + _DAY:
            yield island
            island = []
        through = interval.active_through
        if not island:
            reach = through
        elif reach is not None:
            reach = None if through is None else max(reach, through)
        island.append(interval)
    if island:
        yield island


def _end_of(island: list[PaidInterval]) -> Close | None:
    """The close of the contract that lasted longest; of several, the one known last."""
    closes = [interval.close for interval in island]
    known = [close for close in closes if close is not None]
    if len(known) < len(closes):
        return None
    return max(known, key=lambda close: (close.at, close.seen_at, close.position))
