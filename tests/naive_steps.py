"""Step funnels by trying out every sequence: what the SQL is tested against.

Nothing here is clever: sequences are enumerated, and the words of docs/views/steps.md are read off.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import combinations, permutations

#: Before and after all moments, which are in UTC without a zone.
EVER, NEVER = datetime.min, datetime.max  # noqa: DTZ901 - see above


@dataclass(frozen=True)
class Happened:
    """An event as the oracle sees it: which steps it fits, which exclusions, and where it stands."""

    at: datetime
    position: int
    fits: frozenset[int]
    marks: frozenset[int]
    held: str | None = None
    counts: bool = True
    """Whether in strict order it comes between."""

    @property
    def order(self) -> tuple[datetime, int, int]:
        return (self.at, min(self.fits), self.position)


@dataclass(frozen=True)
class Rules:
    """A question, in plain values. Steps and exclusions are counted from 1 and 0."""

    steps: int
    order: str = "ordered"
    optional: frozenset[int] = frozenset()
    within: timedelta | None = None
    least: dict[int, timedelta] = field(default_factory=dict)
    most: dict[int, timedelta] = field(default_factory=dict)
    exclusions: tuple[tuple[int, int], ...] = ()
    hold: bool = False
    reentry: str = "latest"
    start: datetime = EVER
    end: datetime = NEVER
    #: for order=any: which step each is a copy of
    same: tuple[int, ...] = ()

    @property
    def required(self) -> list[int]:
        return [step for step in range(1, self.steps + 1) if step not in self.optional]

    def after(self, step: int) -> int | None:
        later = [one for one in self.required if one > step]
        return later[0] if later else None

    @property
    def longest(self) -> timedelta | None:
        if self.order == "any":
            return self.within
        found = [] if self.within is None else [self.within]
        if all(step in self.most for step in self.required[1:]):
            found.append(sum((self.most[step] for step in self.required[1:]), timedelta()))
        return min(found, default=None)


@dataclass
class Standing:
    """Where a member stands as to a step that it reached."""

    t: datetime
    start: datetime
    prev: datetime
    next_t: datetime | None = None
    next_start: datetime | None = None
    next_prev: datetime | None = None
    pending: bool = False
    excluded: bool = False
    mature: bool = False


Sequence_ = tuple[Happened, ...]


def standings(
    events: Sequence[Happened], rules: Rules, now: datetime
) -> tuple[dict[int, Standing], datetime | None, bool]:
    """Where one member stands at each step, when it began, and whether its time is over."""
    values = sorted({one.held for one in events if one.held is not None}) if rules.hold else [None]
    found: dict[int, list[Standing]] = {}
    ripe, begins = [], []
    for value in values:
        own = [one for one in events if one.fits and (not rules.hold or one.held == value)]
        entries = _entries(events, own, rules)
        begins += entries
        judged, over = _of_value(own, entries, events, rules, now)
        for step, standing in judged.items():
            found.setdefault(step, []).append(standing)
        ripe += [over] if judged else []
    merged = {step: _merged(several) for step, several in found.items()}
    first = min((one.at for one in begins), default=None)
    return merged, first, bool(ripe) and all(ripe)


def _entries(events: Sequence[Happened], own: Sequence[Happened], rules: Rules) -> list[Happened]:
    def begins(one: Happened) -> bool:
        fits = bool(one.fits) if rules.order == "any" else 1 in one.fits
        held = not rules.hold or one.held is not None
        return fits and held and rules.start <= one.at < rules.end

    first = min((one.at for one in events if begins(one)), default=None)
    if rules.reentry == "latest":
        return [one for one in own if begins(one)]
    return [one for one in own if begins(one) and one.at == first]


def _merged(several: list[Standing]) -> Standing:
    one = min(several, key=lambda standing: (standing.t, standing.start, standing.prev))
    return Standing(
        one.t,
        one.start,
        one.prev,
        *_best_next(several),
        pending=any(s.pending for s in several),
        excluded=any(s.excluded for s in several),
        mature=all(s.mature for s in several),
    )


def _best_next(
    several: list[Standing],
) -> tuple[datetime | None, datetime | None, datetime | None]:
    found = [
        (s.next_t, s.next_start, s.next_prev)
        for s in several
        if s.next_t is not None and s.next_start is not None and s.next_prev is not None
    ]
    return min(found, default=(None, None, None))


def _of_value(
    own: Sequence[Happened],
    entries: Sequence[Happened],
    events: Sequence[Happened],
    rules: Rules,
    now: datetime,
) -> tuple[dict[int, Standing], bool]:
    if rules.order == "any":
        return _in_any_order(own, entries, events, rules, now)
    found = {}
    for step in range(1, rules.steps + 1):
        path = (*(one for one in rules.required if one < step), step)
        ends = sequences(own, entries, path, events, rules)
        if not ends:
            continue
        standing = _standing(ends)
        after = rules.after(step)
        if after is not None:
            way = (*path, after) if step in rules.optional else (*path[:-1], step, after)
            over, stopped = _latest(ends, path, after, events, rules)
            standing.pending, standing.excluded = over > now and not stopped, stopped
            standing.mature = over <= now
            later = sequences(own, entries, way, events, rules)
            if later:
                onward = _standing(later)
                standing.next_t, standing.next_prev = onward.t, onward.prev
                standing.next_start = onward.start
        found[step] = standing
    last = max((one.at for one in entries), default=None)
    return found, last is not None and _over(last, rules, now)


def _over(start: datetime, rules: Rules, now: datetime) -> bool:
    return rules.longest is None or start + rules.longest <= now


def sequences(
    own: Sequence[Happened],
    entries: Sequence[Happened],
    path: tuple[int, ...],
    events: Sequence[Happened],
    rules: Rules,
) -> list[Sequence_]:
    """Every sequence along a path of steps."""
    return [
        one
        for one in _ordered(sorted(own, key=lambda e: e.order), path)
        if one[0] in entries and _holds(one, path, events, rules)
    ]


def _ordered(own: Sequence[Happened], path: tuple[int, ...]) -> Iterator[Sequence_]:
    for chosen in combinations(own, len(path)):
        if all(step in one.fits for step, one in zip(path, chosen, strict=True)):
            yield chosen


def _holds(
    chosen: Sequence_, path: tuple[int, ...], events: Sequence[Happened], rules: Rules
) -> bool:
    if rules.within is not None and chosen[-1].at - chosen[0].at > rules.within:
        return False
    for one, other, step in zip(chosen, chosen[1:], path[1:], strict=False):
        gap = other.at - one.at
        if gap < rules.least.get(step, timedelta()) or gap > rules.most.get(step, gap):
            return False
        if rules.order == "strict" and _any_between(one.at, other.at, events):
            return False
    at = dict(zip(path, (one.at for one in chosen), strict=True))
    for number, (after, before) in enumerate(rules.exclusions):
        if after not in at or path[-1] <= after:
            continue
        upto = at[max(step for step in path if step <= before)]
        if any(at[after] < one.at < upto for one in events if number in one.marks):
            return False
    return True


def _any_between(one: datetime, other: datetime, events: Sequence[Happened]) -> bool:
    return any(one < event.at < other for event in events if event.counts)


def _standing(found: Sequence[Sequence_]) -> Standing:
    """By the earliest event that ends a sequence, of these the latest."""
    end = min((one[-1] for one in found), key=lambda event: event.order)
    own = [one for one in found if one[-1] is end]
    return Standing(end.at, max(one[0].at for one in own), max(_before(one) for one in own))


def _before(sequence: Sequence_) -> datetime:
    return sequence[-2].at if len(sequence) > 1 else sequence[-1].at


def until(sequence: Sequence_, after: int, rules: Rules) -> datetime:
    """Up to when a sequence can reach its next step."""
    limits = [] if rules.within is None else [sequence[0].at + rules.within]
    if after in rules.most:
        limits.append(sequence[-1].at + rules.most[after])
    return min(limits, default=NEVER)


def stop(
    sequence: Sequence_,
    path: tuple[int, ...],
    after: int,
    events: Sequence[Happened],
    rules: Rules,
) -> datetime:
    """When a sequence is first met by what may not come before its next step."""
    found = []
    for number, (since, before) in enumerate(rules.exclusions):
        if since <= path[-1] and after <= before:
            at = sequence[path.index(since)].at
            found += [one.at for one in events if number in one.marks and one.at > at]
    if rules.order == "strict":
        found += [one.at for one in events if one.counts and one.at > sequence[-1].at]
    return min(found, default=NEVER)


def _latest(
    ends: Sequence[Sequence_],
    path: tuple[int, ...],
    after: int,
    events: Sequence[Happened],
    rules: Rules,
) -> tuple[datetime, bool]:
    """Of the latest sequence: up to when it can go on, and whether it was stopped before.

    The latest is that which no other is later than in any place.
    """
    latest = tuple(
        max((one[place] for one in ends), key=lambda event: event.order)
        for place in range(len(path))
    )
    assert latest in ends, "the latest events of all sequences are one themselves"
    over = until(latest, after, rules)
    return over, stop(latest, path, after, events, rules) <= over


def _in_any_order(
    own: Sequence[Happened],
    entries: Sequence[Happened],
    events: Sequence[Happened],
    rules: Rules,
    now: datetime,
) -> tuple[dict[int, Standing], bool]:
    assert rules.within is not None
    found: dict[int, Standing] = {}
    done: dict[int, dict[Happened, datetime]] = {}
    stops = {
        entry: min((e.at for e in events if e.marks and e.at > entry.at), default=NEVER)
        for entry in entries
    }
    for number in range(1, rules.steps + 1):
        done[number] = {}
        for entry in entries:
            later = [one for one in own if one.order > entry.order]
            ends = [
                max([entry, *more], key=lambda e: e.order).at
                for more in combinations(later, number - 1)
                if _assignable((entry, *more), rules)
            ]
            limit = min(entry.at + rules.within, stops[entry])
            if ends and min(ends) <= limit:
                done[number][entry] = min(ends)
        if not done[number]:
            continue
        first = min(done[number], key=lambda e: e.order)
        last = max(done[number], key=lambda e: e.order)
        over = last.at + rules.within
        stopped = stops[last] <= over
        before = done[max(number - 1, 1)][first]
        found[number] = Standing(
            done[number][first], first.at, before,
            pending=over > now and not stopped, excluded=stopped, mature=over <= now,
        )  # fmt: skip
        if number > 1:
            found[number - 1].next_t = found[number].t
            found[number - 1].next_prev = before
            found[number - 1].next_start = first.at
    if rules.steps in found:
        last_one = found[rules.steps]
        last_one.pending = last_one.excluded = last_one.mature = False
    last_entry = max((one.at for one in entries), default=None)
    return found, last_entry is not None and _over(last_entry, rules, now)


def _assignable(chosen: Sequence_, rules: Rules) -> bool:
    """Whether the events can stand for as many different steps."""
    steps = range(1, rules.steps + 1)
    return any(
        all(step in one.fits for step, one in zip(order, chosen, strict=True))
        for order in permutations(steps, len(chosen))
    )


@dataclass
class Attempt:
    """One attempt: its entries, and the events up to its end."""

    entries: list[Happened]
    own: list[Happened]
    is_open: bool = True


def attempts(events: Sequence[Happened], rules: Rules) -> list[Attempt]:
    """Every attempt of one member and one held value."""
    own = sorted((one for one in events if one.fits), key=lambda e: e.order)
    full = tuple(rules.required)
    found: list[Attempt] = []
    for event in own:
        attempt = found[-1] if found and found[-1].is_open else None
        if attempt is not None:
            attempt.own.append(event)
            if any(
                one[-1] is event
                for one in sequences(attempt.own, attempt.entries, full, events, rules)
            ):
                attempt.is_open = False
                continue
        if not (1 in event.fits and rules.start <= event.at < rules.end):
            continue
        if attempt is not None and not _alive(attempt, event, events, rules):
            attempt.own.pop()
            attempt.is_open, attempt = False, None
        if attempt is None:
            found.append(Attempt([event], [event]))
        elif rules.reentry == "latest":
            attempt.entries.append(event)
    return found


def _alive(attempt: Attempt, event: Happened, events: Sequence[Happened], rules: Rules) -> bool:
    before = [one for one in attempt.own if one is not event]
    for place in range(len(rules.required) - 1):
        path, after = tuple(rules.required[: place + 1]), rules.required[place + 1]
        for one in sequences(before, attempt.entries, path, events, rules):
            if event.at <= min(until(one, after, rules), stop(one, path, after, events, rules)):
                return True
    return False


def standings_of(
    attempt: Attempt, events: Sequence[Happened], rules: Rules, now: datetime
) -> tuple[dict[int, Standing], datetime, bool]:
    """Where an attempt stands at each step."""
    judged, ripe = _of_value(attempt.own, attempt.entries, events, rules, now)
    for standing in judged.values():
        standing.pending = standing.pending and attempt.is_open
    return judged, attempt.entries[0].at, ripe
