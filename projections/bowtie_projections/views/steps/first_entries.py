"""Which entries begin an attempt where those that come while one lasts count for nothing."""

from __future__ import annotations

from bisect import bisect_right
from itertools import pairwise
from operator import itemgetter

import numpy as np

from bowtie_projections.views.steps.occurrences import Flags, Numbers, Occurrences
from bowtie_projections.views.steps.rules import Rules

__all__ = ["first_entries"]

#: When it ended, until when it can go on, and its events, one for each required step.
_Sequence = tuple[int, int, tuple[int, ...]]


def first_entries(events: Occurrences, rules: Rules) -> Numbers:
    """The places of the entries that begin an attempt.

    Who has no two entries within the time of the whole funnel begins one with each. Of all others
    what an entry counts for depends on how the attempt before it ended, so their events are gone
    through one by one: once each, and only they.
    """
    entries = events.fits[1]
    t, group = events.t[entries], events.group[entries]
    near = (group[1:] == group[:-1]) & (t[1:] - t[:-1] <= rules.longest)
    crowded = np.isin(group, group[1:][near])
    if not crowded.any():
        return entries
    among = np.isin(events.group, np.unique(group[crowded]))
    found = _OneByOne(events, rules).begun(among)
    return np.sort(np.concatenate([entries[~crowded], np.asarray(found, dtype=np.int64)]))


class _OneByOne:
    """Goes through events; optional steps neither lengthen an attempt nor end it."""

    def __init__(self, events: Occurrences, rules: Rules) -> None:
        self.events, self.rules = events, rules
        required = rules.required
        self.times: list[int] = events.t.tolist()
        self.stops: list[list[int]] = [one.tolist() for one in events.stops]
        self.least = [0, *(rules.least[step] for step in required[1:])]
        self.most = [rules.most[step] for step in required[1:]]
        index = {step: place for place, step in enumerate(required)}
        self.excluded = [
            [(number, index[after]) for number, after in rules.between(before, step)]
            for before, step in pairwise(required)
        ]

    def begun(self, among: Flags) -> list[int]:
        """The entries that begin an attempt, of the events at some places."""
        groups, fits = self.events.group.tolist(), self._fits()
        nothing: list[int] = []
        found: list[int] = []
        current = -1
        # the sequences of the attempt that lasts, by required step, in order
        ended: list[list[_Sequence]] = []
        for place in np.flatnonzero(among).tolist():
            steps = fits.get(place, nothing)
            if groups[place] != current:
                current, ended = groups[place], []
            if ended:
                for step in steps:
                    if step:
                        self._lengthen(ended, place, step)
                if ended[-1]:
                    ended = []
                    continue
            if 0 not in steps or self._can_go_on(ended, self.times[place]):
                continue
            found.append(place)
            ended = [[] for _ in self.least]
            ended[0].append(self._sequence((place,)))
        return found

    def _fits(self) -> dict[int, list[int]]:
        """The required steps that each event fits, the last first, counted from 0."""
        fits: dict[int, list[int]] = {}
        for step in range(len(self.rules.required) - 1, -1, -1):
            for place in self.events.fits[self.rules.required[step]].tolist():
                fits.setdefault(place, []).append(step)
        return fits

    @staticmethod
    def _can_go_on(ended: list[list[_Sequence]], t: int) -> bool:
        """Whether any sequence can: of those to one step the last can for longest."""
        for own in ended:  # noqa: SIM110 - any() of so few takes twice as long
            if own and own[-1][1] >= t:
                return True
        return False

    def _lengthen(self, ended: list[list[_Sequence]], place: int, step: int) -> None:
        """Lengthen the last sequence of an attempt that an event may lengthen, if it may any."""
        own, t, last = ended[step - 1], self.times[place], -1
        if self.least[step]:
            last = bisect_right(own, t - self.least[step], key=itemgetter(0)) - 1
            if last < 0:
                return
        if own and t <= own[last][1]:
            ended[step].append(self._sequence((*own[last][2], place)))

    def _sequence(self, places: tuple[int, ...]) -> _Sequence:
        step, t = len(places) - 1, self.times[places[-1]]
        if step == len(self.most):
            return t, t, places
        until = min(self.times[places[0]] + self.rules.window, t + self.most[step])
        for number, after in self.excluded[step]:
            until = min(until, self.stops[number][places[after]])
        return t, until, places
