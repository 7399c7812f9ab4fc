"""Where the lines of a demo log wait until the month in which they became known.

The history is lived month by month, so only what is still to come is held: the lines of events
known in later months, and the steps that customers take there. That is what keeps the memory
bounded, whatever the number of customers.
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Any, NamedTuple, Protocol, TypeAlias

from bowtie.demo import facts
from bowtie.demo.accounts import Account
from bowtie.demo.clock import DAY, HOUR, MINUTE, Clock
from bowtie.demo.introductions import Introductions
from bowtie.demo.luck import Luck
from bowtie.demo.truth import Tally

__all__ = ["Ledger", "Line", "Reacts", "Subject"]

#: When it became known (the order of the log), and the line itself.
Line: TypeAlias = "tuple[int, bytes]"

_SHARE_LATE = 0.015
_REWARD_CENTS = 25_000
#: An event known more than this after it happened is called late.
_LATE_AFTER = 3 * DAY


class _Referral(NamedTuple):
    """A recommendation of which it is not known yet who came."""

    known: int
    head: str
    account: Account


class Subject(Protocol):
    """Who an event is about; counts its events, so that each gets an id of its own."""

    key: str
    number: str
    events: int


class Reacts(Protocol):
    """What the business does about an account it has met, by a published profile."""

    def meet(self, ledger: Ledger, account: Any, seen: int, at: int, *, looked_up: bool) -> None:
        """Assign an account at the night after it was met, and act by its arm."""


class Ledger:
    """Takes events as they happen and gives them back as they became known, month by month."""

    def __init__(
        self,
        clock: Clock,
        dice: Random,
        introductions: Introductions,
        tally: Tally,
        reaction: Reacts | None = None,
    ) -> None:
        self.clock = clock
        self._reaction = reaction
        self.random = dice.random
        self.luck = Luck(dice)
        self.introductions = introductions
        self.tally = tally
        self._lines: list[list[Line]] = [[] for _ in range(clock.months)]
        self._referrals: list[list[_Referral]] = [[] for _ in range(clock.months)]
        self._steps: list[list[Callable[[], None]]] = [[] for _ in range(clock.months)]

    def write(
        self,
        subject: Subject,
        source: str,
        kind: str,
        data: str,
        *,
        at: int,
        known: int,
        extensions: str = "",
        id: str = "",
    ) -> bool:
        """Write an event, unless the log ends before it is known; says whether it did.

        Args:
            subject: who it is about.
            source, kind, data: of the event.
            at, known: when it happened, and when its source knew.
            extensions: further fields of the envelope, as the inside of a JSON object.
            id: if not the next one of the subject.
        """
        clock = self.clock
        if known >= clock.end:
            return False
        head = self._head(subject, source, kind, at=at, known=known, extensions=extensions, id=id)
        line = f'{head}"data":{data}}}\n'
        self._lines[clock.month_of_day[known // DAY]].append((known, line.encode()))
        return True

    def _head(
        self,
        subject: Subject,
        source: str,
        kind: str,
        *,
        at: int,
        known: int,
        extensions: str,
        id: str,
    ) -> str:
        """A line up to its data; it is counted."""
        stamp = self.clock.stamp
        subject.events += 1
        own = id or f"{subject.number}-{subject.events}"
        self.tally.events_by_type[kind] += 1
        if known - at > _LATE_AFTER:
            self.tally.late += 1
        return (
            f'{{"specversion":"1.0","id":"{own}","source":"{source}",'
            f'"type":"bowtie.{kind}","subject":"{subject.key}","time":"{stamp(at)}",'
            f'"recordedtime":"{stamp(known)}",{extensions}'
        )

    def web(self, subject: Subject, kind: str, at: int, data: str) -> bool:
        """The web site and the campaign tools: known within a minute."""
        known = at + 1 + int(self.random() * MINUTE)
        return self.write(subject, "web", kind, data, at=at, known=known)

    def crm(self, subject: Subject, kind: str, at: int, data: str) -> bool:
        """People write into the CRM: known within hours, mostly soon."""
        return self.write(subject, "crm", kind, data, at=at, known=self._typed_in(at))

    def _typed_in(self, at: int) -> int:
        typed = self.random()
        return at + MINUTE + int(typed * typed * 4 * HOUR)

    def refer(self, account: Account, at: int) -> None:
        """A recommendation; who came by it is known once they have arrived."""
        known = self._typed_in(at)
        if known >= self.clock.end:
            return
        head = self._head(account, "crm", "referred", at=at, known=known, extensions="", id="")
        self._referrals[self.clock.month(known)].append(_Referral(known, head, account))

    def nightly(self, source: str, subject: Subject, kind: str, at: int, data: str) -> bool:
        """Systems that send once a night; sometimes they fail, and weeks go by."""
        known = (at // DAY + 1) * DAY + 2 * HOUR + int(self.random() * HOUR)
        if self.random() < _SHARE_LATE:
            known += int((4 + self.random() * 50) * DAY)
        return self.write(subject, source, kind, data, at=at, known=known)

    def by_day(self, source: str, subject: Subject, kind: str, at: int, data: str) -> bool:
        """A fact of which only the day is known; typed in that evening or the next morning."""
        day = at - at % DAY
        known = day + 18 * HOUR + int(self.random() * 16 * HOUR)
        extensions = '"timeprecision":"day",'
        return self.write(subject, source, kind, data, at=day, known=known, extensions=extensions)

    def react(self, account: Any, seen: int, at: int, *, looked_up: bool) -> None:
        """Let the business do what it does about an account that it has met.

        Args:
            account: which.
            seen: when it was first seen.
            at: when all was known of it that is known at first.
            looked_up: an enrichment service was asked.
        """
        if self._reaction is not None:
            self._reaction.meet(self, account, seen, at, looked_up=looked_up)

    def later(self, at: int, step: Callable[[], None]) -> None:
        """Take a step in the month of ``at``, if the log lasts that long."""
        if at < self.clock.end:
            self._steps[self.clock.month(at)].append(step)

    def live(self, month: int) -> list[Line]:
        """Take the steps due in a month, and give up the lines known in it, in their order."""
        steps = self._steps[month]
        for step in steps:
            step()
        steps.clear()
        for one in sorted(self._referrals[month], key=lambda one: (one.known, one.head)):
            came = self.introductions.who_came(one.account, one.known)
            data = facts.referred(one.account.key, _REWARD_CENTS, came.key if came else None)
            self._lines[month].append((one.known, f'{one.head}"data":{data}}}\n'.encode()))
        self._referrals[month].clear()
        self.introductions.next_month()
        lines, self._lines[month] = self._lines[month], []
        lines.sort()
        return lines
