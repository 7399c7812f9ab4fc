"""The attempts at a funnel, by columns: the sequences of :mod:`.chains`, one after the other.

An attempt begins with an event of the first step, and lasts until it has converted, or until none
of its sequences can go on: the time is over, or what is excluded came. The next event of the first
step begins another. While an attempt lasts, a further event of the first step belongs to it
(``reentry="latest"``) or counts for nothing (``"first"``). No event is used twice.

How: of each event the latest sequence that ends there is found over all events, whatever attempt
they are of. If any sequence of an attempt ends at an event, the latest one begins in that attempt
too: so the attempts are told apart afterwards, in one pass over the entries and conversions that
only compares where sequences began.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from bowtie_projections.views.steps.first_entries import first_entries
from bowtie_projections.views.steps.occurrences import NEVER, Flags, Numbers, Occurrences
from bowtie_projections.views.steps.question import Row
from bowtie_projections.views.steps.rules import Rules

__all__ = ["Attempts", "Standing"]

_NONE = -1


@dataclass(frozen=True, slots=True)
class _Ended:
    """The latest sequences along a path, one for each event that ends one; by place.

    Args:
        at: the events, in order.
        start, prev: the first event of each sequence, and the last before its end.
        anchors: by step, the event that passed it.
    """

    at: Numbers
    start: Numbers
    prev: Numbers
    anchors: Mapping[int, Numbers]


@dataclass(frozen=True, slots=True)
class Standing:
    """Where the attempts that reached a step stand as to the next; times in microseconds.

    Args:
        attempt: their numbers.
        waited: how long the next step took, of the ``reached``.
        since_first: how long the step took from the first.
    """

    attempt: Numbers
    reached: Flags
    pending: Flags
    excluded: Flags
    mature: Flags
    waited: Numbers
    since_first: Numbers


@dataclass(frozen=True, slots=True)
class Attempts:
    """All attempts.

    Args:
        events: the events of the steps.
        rules: what was asked.
        ended: the sequences, by path.
        starts: the event that begins each, in order.
        ends: the event that ended each, by converting or by beginning another; of those that
            nothing ended the number of events, or the first event of the next member.
        converted: whether it converted.
    """

    events: Occurrences
    rules: Rules
    ended: Mapping[tuple[int, ...], _Ended]
    starts: Numbers
    ends: Numbers
    converted: Flags

    @classmethod
    def of(cls, events: Occurrences, rules: Rules) -> Attempts:
        """Those of all members."""
        first = rules.question.reentry == "first"
        entries = first_entries(events, rules) if first else events.fits[1]
        ended = _sequences(events, rules, entries)
        starts, ends, converted = _told_apart(events, rules, ended)
        return cls(events, rules, ended, starts, ends, converted)

    @property
    def ripe(self) -> Flags:
        """Whether the time of the whole funnel is over for each."""
        _, last = self._within((1,))
        newest = self.events.t[self.ended[1,].at[last]]
        over: Flags = newest + self.rules.longest <= self.rules.now
        return over

    def standing(self, row: Row) -> Standing:
        """Where those that reached a step stand."""
        t, ended, rules = self.events.t, self.ended[row.step,], self.rules
        firsts, lasts = self._within((row.step,))
        attempt = np.flatnonzero(firsts != _NONE)
        first, last = firsts[attempt], lasts[attempt]
        since_first = t[ended.at[first]] - t[ended.start[first]]
        if row.after is None:
            no = np.zeros(len(attempt), dtype=bool)
            return Standing(attempt, no, no, no, no, np.zeros_like(attempt), since_first)
        until, stop = _limits(self.events, rules, ended, row.step, row.after)
        running, stopped = until[last] > rules.now, stop[last] <= until[last]
        path = (row.step, row.after) if rules.optional(row.step) else (row.after,)
        after, next_ones = self.ended[path], self._within(path)[0][attempt]
        reached = next_ones != _NONE
        waited = np.zeros_like(attempt)
        at = next_ones[reached]
        waited[reached] = t[after.at[at]] - t[after.prev[at]]
        return Standing(
            attempt=attempt,
            reached=reached,
            pending=~reached & running & ~stopped & self._is_open[attempt],
            excluded=~reached & stopped,
            mature=~running,
            waited=waited,
            since_first=since_first,
        )

    @property
    def _is_open(self) -> Flags:
        """Whether nothing ended an attempt."""
        group = np.append(self.events.group, _NONE)
        is_open: Flags = ~self.converted & (group[self.ends] != group[self.starts])
        return is_open

    def _within(self, path: tuple[int, ...]) -> tuple[Numbers, Numbers]:
        """Of each attempt its first and its last sequence along a path; -1 if it has none."""
        ended = self.ended[path]
        attempt = np.searchsorted(self.starts, ended.start, "right") - 1
        own = ended.at <= self.ends[attempt]
        if path == (1,):  # what converts begins nothing
            own &= (ended.at < self.ends[attempt]) | ~self.converted[attempt]
        places = np.flatnonzero(own)
        attempt = attempt[places]
        first, last = (np.full(len(self.starts), _NONE, dtype=np.int64) for _ in range(2))
        first[attempt[::-1]] = places[::-1]
        last[attempt] = places
        return first, last


def _sequences(
    events: Occurrences, rules: Rules, entries: Numbers
) -> dict[tuple[int, ...], _Ended]:
    """The latest sequence that ends at each event, by path."""
    found: dict[tuple[int, ...], _Ended] = {
        (1,): _Ended(entries, entries, entries, {1: entries}),
    }
    for before, step, path in rules.ways:
        own, at = found[before,], events.fits[step]
        if rules.least[step]:
            last = np.searchsorted(own.at, events.upto(at, rules.least[step]), "right") - 1
        else:
            last = np.searchsorted(own.at, at, "left") - 1
        # a sequence is there, is of the same member, and can go on so late
        there = last != _NONE
        at, last = at[there], last[there]
        until = np.minimum(*_limits(events, rules, own, before, step))
        kept = (events.group[own.at[last]] == events.group[at]) & (events.t[at] <= until[last])
        at, last = at[kept], last[kept]
        anchors = {after: places[last] for after, places in own.anchors.items()} | {step: at}
        found[path] = _Ended(at, own.start[last], own.at[last], anchors)
    return found


def _limits(
    events: Occurrences, rules: Rules, ended: _Ended, before: int, after: int
) -> tuple[Numbers, Numbers]:
    """Up to when sequences can go on to a step, and when each is stopped by what is excluded."""
    until = np.minimum(events.t[ended.start] + rules.window, events.t[ended.at] + rules.most[after])
    stop = np.full(len(ended.at), NEVER)
    for number, since in rules.between(before, after):
        np.minimum(stop, events.stops[number][ended.anchors[since]], out=stop)
    return until, stop


def _told_apart(
    events: Occurrences, rules: Rules, ended: Mapping[tuple[int, ...], _Ended]
) -> tuple[Numbers, Numbers, Flags]:
    """Where attempts begin and end, and which of them converted.

    An attempt ends with the first conversion whose sequence began in it, or with the first entry at
    which no sequence that began in it can go on.
    """
    entries, last = ended[1,].at, ended[rules.required[-1],]
    nowhere = len(events.t)
    living = np.full(nowhere, nowhere)
    living[entries] = _living(events, rules, ended, entries)
    began = np.full(nowhere, _NONE)
    began[last.at] = last.start
    places = np.union1d(entries, last.at)
    starts: list[int] = []
    ends: list[int] = []
    converted: list[bool] = []
    start = nowhere  # no attempt lasts
    for place, alive, since in zip(
        places.tolist(), living[places].tolist(), began[places].tolist(), strict=True
    ):
        if since >= start:
            ends.append(place)
            converted.append(True)
            start = nowhere
        elif alive < start:
            if start != nowhere:
                ends.append(place)
                converted.append(False)
            starts.append(place)
            start = place
    if start != nowhere:
        ends.append(nowhere)
        converted.append(False)
    return (
        np.asarray(starts, dtype=np.int64),
        np.asarray(ends, dtype=np.int64),
        np.asarray(converted, dtype=bool),
    )


def _living(
    events: Occurrences,
    rules: Rules,
    ended: Mapping[tuple[int, ...], _Ended],
    entries: Numbers,
) -> Numbers:
    """Where the latest sequence began that can go on at each entry; -1 if none can."""
    found = np.full(len(entries), _NONE, dtype=np.int64)
    for before, after in zip(rules.required[:-1], rules.required[1:], strict=True):
        own = ended[before,]
        if not len(own.at):
            continue
        until = np.minimum(*_limits(events, rules, own, before, after))
        # an entry lengthens what there is before it begins anything
        last = np.searchsorted(own.at, entries, "left" if before == 1 else "right") - 1
        alive = (
            (last != _NONE)
            & (events.group[own.at[last]] == events.group[entries])
            & (events.t[entries] <= until[last])
        )
        np.maximum(found, np.where(alive, own.start[last], _NONE), out=found)
    return found
