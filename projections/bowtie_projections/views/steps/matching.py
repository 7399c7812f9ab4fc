"""Every attempt of one member at a funnel: the sequences of :mod:`.chains`, one after the other.

An attempt begins with an event of the first step, and lasts until it has converted, or until none
of its sequences can go on: the time is over, or what is excluded came. The next event of the first
step begins another. While an attempt lasts, a further event of the first step belongs to it
(``reentry="latest"``) or counts for nothing (``"first"``). No event is used twice.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from bowtie_projections.views.steps.question import Question
from bowtie_projections.views.steps.windows import micros

__all__ = ["Attempt", "Event", "Matcher", "Standing"]

#: Later than all times, in microseconds.
_NEVER = 1 << 62


@dataclass(slots=True)
class Event:
    """An event in its place: its moment, the steps it fits, and its cell if it may begin one."""

    t: int
    steps: set[int]
    cell: tuple[Any, ...] | None = None


@dataclass(frozen=True, slots=True)
class _Chain:
    """The latest sequence that ends at an event."""

    start: int
    t: int
    prev: int
    anchors: Mapping[int, int]


@dataclass(slots=True)
class Attempt:
    """One attempt.

    Args:
        cell: by what its first entry is broken down.
        chains: for each path, which is a step and maybe an optional one before it, the sequences
            to it in order.
    """

    cell: tuple[Any, ...]
    chains: dict[tuple[int, ...], list[_Chain]] = field(default_factory=dict)
    is_open: bool = True


@dataclass(frozen=True, slots=True)
class Standing:
    """Where an attempt stands as to a step that it reached; times in microseconds."""

    reached: bool
    pending: bool
    excluded: bool
    mature: bool
    waited: int | None
    since_first: int


class Matcher:
    """Finds the attempts of members.

    Args:
        question: what was asked.
        now: the moment it is asked as of, in microseconds.
    """

    def __init__(self, question: Question, now: int) -> None:
        self.question, self.now = question, now
        self.required = question.required
        self.window = _NEVER if question.within is None else micros(question.within)
        longest = question.longest
        self.longest = _NEVER if longest is None else micros(longest)
        gaps = {step: question.gap(step) for step in range(2, len(question.steps) + 1)}
        self.least = {step: micros(gap.least) if gap.least else 0 for step, gap in gaps.items()}
        self.most = {step: micros(gap.most) if gap.most else _NEVER for step, gap in gaps.items()}
        self.ways = self._ways()

    def _ways(self) -> list[tuple[int, int, tuple[int, ...]]]:
        """From which step to which, and under what path what gets there is kept."""
        found: list[tuple[int, int, tuple[int, ...]]] = []
        for row in self.question.rows:
            if row.before is not None:
                found.append((row.before, row.step, (row.step,)))
            if row.after is not None and self.question.steps[row.step - 1].optional:
                found.append((row.step, row.after, (row.step, row.after)))
        return found

    def attempts(self, events: Iterable[Event], marks: Sequence[Sequence[int]]) -> list[Attempt]:
        """The attempts of one member.

        Args:
            events: in order.
            marks: the moments of each exclusion in order; last, in strict order, of anything.
        """
        found: list[Attempt] = []
        for event in events:
            attempt = found[-1] if found and found[-1].is_open else None
            if attempt is not None:
                self._advance(attempt, event, marks)
                if self.required[-1] in event.steps and (self.required[-1],) in attempt.chains:
                    attempt.is_open = False
                    continue
            if event.cell is None:
                continue
            if attempt is not None and not self._alive(attempt, event.t, marks):
                attempt.is_open, attempt = False, None
            if attempt is None:
                attempt = Attempt(event.cell)
                found.append(attempt)
            elif self.question.reentry == "first":
                continue
            chain = _Chain(event.t, event.t, event.t, {1: event.t})
            attempt.chains.setdefault((1,), []).append(chain)
        return found

    def _advance(self, attempt: Attempt, event: Event, marks: Sequence[Sequence[int]]) -> None:
        """Lengthen the sequences there were before an event by it."""
        longer = []
        for before, step, path in self.ways:
            if step not in event.steps:
                continue
            own = attempt.chains.get((before,), [])
            upto = event.t - self.least[step]
            last = next((one for one in reversed(own) if one.t <= upto), None)
            if last is not None and self._allowed(last, before, step, event.t, marks):
                anchors = {**last.anchors, step: event.t}
                longer.append((path, _Chain(last.start, event.t, last.t, anchors)))
        for path, chain in longer:
            attempt.chains.setdefault(path, []).append(chain)

    def _allowed(
        self, chain: _Chain, before: int, step: int, t: int, marks: Sequence[Sequence[int]]
    ) -> bool:
        if t - chain.start > self.window or t - chain.t > self.most[step]:
            return False
        return self._stop(chain, before, step, marks) >= t

    def _stop(self, chain: _Chain, before: int, step: int, marks: Sequence[Sequence[int]]) -> int:
        """When a sequence is first met by what may not come before the next step."""
        found = [
            _first_after(marks[number], chain.anchors[one.after])
            for number, one in enumerate(self.question.exclusions)
            if one.after <= before and step <= one.before
        ]
        if self.question.order == "strict":
            found.append(_first_after(marks[-1], chain.t))
        return min(found, default=_NEVER)

    def _until(self, chain: _Chain, after: int) -> int:
        return min(chain.start + self.window, chain.t + self.most[after])

    def _alive(self, attempt: Attempt, t: int, marks: Sequence[Sequence[int]]) -> bool:
        """Whether any sequence of an attempt can go on at a moment."""
        for place, step in enumerate(self.required[:-1]):
            after = self.required[place + 1]
            for chain in attempt.chains.get((step,), [])[-1:]:
                stop = self._stop(chain, step, after, marks)
                if t <= min(self._until(chain, after), stop):
                    return True
        return False

    def ripe(self, attempt: Attempt) -> bool:
        """Whether the time of the whole funnel is over for an attempt."""
        return attempt.chains[1,][-1].start + self.longest <= self.now

    def standings(self, attempt: Attempt, marks: Sequence[Sequence[int]]) -> dict[int, Standing]:
        """Where an attempt stands, by step that it reached."""
        found = {}
        for row in self.question.rows:
            own = attempt.chains.get((row.step,))
            if own is None:
                continue
            since_first = own[0].t - own[0].start
            if row.after is None:
                found[row.step] = Standing(False, False, False, False, None, since_first)
                continue
            optional = self.question.steps[row.step - 1].optional
            reached = attempt.chains.get((row.step, row.after) if optional else (row.after,))
            until = self._until(own[-1], row.after)
            stopped = self._stop(own[-1], row.step, row.after, marks) <= until
            found[row.step] = Standing(
                reached=reached is not None,
                pending=reached is None and until > self.now and not stopped and attempt.is_open,
                excluded=reached is None and stopped,
                mature=until <= self.now,
                waited=None if reached is None else reached[0].t - reached[0].prev,
                since_first=since_first,
            )
        return found


def _first_after(times: Sequence[int], moment: int) -> int:
    place = bisect_right(times, moment)
    return times[place] if place < len(times) else _NEVER
