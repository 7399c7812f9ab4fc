"""The rules of docs/stages.md once more: word by word, quadratic, and without a shared trick."""

from __future__ import annotations

from collections import defaultdict
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any

from bowtie.stages import STAGES, Definition
from tests.stages import Happened

DAY = timedelta(days=1)
GRACE = timedelta(days=30)
FOREVER = datetime(9998, 1, 1, tzinfo=UTC)


def naive(definition: Definition, journey: list[Happened], then: datetime | None) -> list[tuple]:
    """Of each cycle: opened, entries, latest, lost at, seen at, side."""
    known = [f for f in journey if then is None or f.occurred_at <= then]
    plain = {s: plain_times(definition, s, known) for s in STAGES}
    ends = closes(definition, known, plain, then) if definition.loss == "events" else {}
    borders = sorted(ends)
    found = []
    for group in range(len(borders) + 1):
        members = [f for f in known if sum(b < f.occurred_at for b in borders) == group]
        times: dict[str, list[datetime]] = {}
        for _ in STAGES:  # as often as one stage can wait for another
            for stage in STAGES:
                times[stage] = [
                    f.occurred_at
                    for condition in definition.conditions[stage]
                    for f in in_cycle(condition, members, known, times)
                ]
                times[stage] += [
                    f.occurred_at
                    for f in members
                    if f.data.type_name == "stage_entered" and f.data.stage == stage
                ]
        entered = {stage: t for stage, t in times.items() if t}
        if entered:
            first = {s: min(entered[s]) for s in STAGES if s in entered}
            last = {s: max(entered[s]) for s in STAGES if s in entered}
            end = borders[group] if group < len(borders) else None
            seen, side = ends[end] if end else (None, None)
            found.append((min(first.values()), first, last, end, seen, side))
    return found


def order(fact: Happened) -> tuple[datetime, int]:
    return fact.occurred_at, fact.position


def plain_times(definition, stage, known) -> list[datetime]:
    named = [
        f.occurred_at
        for f in known
        if f.data.type_name == "stage_entered" and f.data.stage == stage
    ]
    return named + [
        f.occurred_at
        for c in definition.conditions[stage]
        if c.nth == 1 and not c.after and not c.within
        for f in known
        if meets(c, f, known)
    ]


def text_of(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return text == text.strip()


def compares(op: str, value: Any, wanted: Any) -> bool:
    return {
        "in": value == wanted,
        "ne": value != wanted,
        "gt": op == "gt" and value > wanted,
        "ge": op == "ge" and value >= wanted,
        "lt": op == "lt" and value < wanted,
        "le": op == "le" and value <= wanted,
    }[op]


def holds(comparison, data) -> bool:
    if comparison.kind != "map":
        value = getattr(data, comparison.field)
        return value is not None and any(
            compares(comparison.op, value, w) for w in comparison.values
        )
    value = getattr(data, comparison.map_name).get(comparison.key)
    if value is None:
        return False
    text = text_of(value)
    return any(
        is_number(text) and compares(comparison.op, float(text), float(w))
        if isinstance(w, Decimal)
        else compares(comparison.op, text, text_of(w))
        for w in comparison.values
    )


def yearly(data) -> Decimal:
    return data.amount * {"month": 12, "quarter": 4, "year": 1}[data.per]


def meets(condition, fact, known) -> bool:
    def basics(f) -> bool:
        if f.data.type_name != condition.event:
            return False
        if not all(holds(c, f.data) for c in condition.where):
            return False
        if not (condition.rises or condition.falls):
            return True
        before = [
            o
            for o in known
            if o.data.type_name in {"contract_signed", "contract_changed", "contract_renewed"}
            and o.data.contract == f.data.contract
            and order(o) < order(f)
        ]
        if not before:
            return False
        last = yearly(max(before, key=order).data)
        return yearly(f.data) > last if condition.rises else yearly(f.data) < last

    if not basics(fact) or not condition.day_total:
        return basics(fact)
    peers = [
        o
        for o in known
        if basics(o)
        and o.occurred_at.date() == fact.occurred_at.date()
        and o.data.currency == fact.data.currency
    ]
    total = sum(getattr(o.data, condition.day_total.field) for o in peers)
    return min(peers, key=order) == fact and compares(
        condition.day_total.op, total, condition.day_total.value
    )


def in_cycle(condition, members, known, times) -> list[Happened]:
    left = [f for f in members if meets(condition, f, known)]
    if condition.after:
        entry = min(times.get(condition.after) or [FOREVER])
        left = [f for f in left if f.occurred_at >= entry]
    if condition.within:
        entry = min(times.get(condition.within.of) or [FOREVER])
        left = [f for f in left if entry <= f.occurred_at <= entry + condition.within.time]

    def period(f) -> object:
        day = f.occurred_at.date()
        return {"event": f.position, "day": day, "quarter": (day.year, (day.month + 2) // 3)}[
            condition.counted_by
        ]

    return [
        f
        for f in left
        if condition.nth == 1
        or len(
            {
                period(o)
                for o in left
                if order(o) <= order(f)
                and (
                    condition.each is None
                    or getattr(o.data, condition.each) == getattr(f.data, condition.each)
                )
            }
        )
        >= condition.nth
    ]


def closes(definition, known, plain, then) -> dict[datetime, tuple[datetime, str]]:
    seen_by_then = [end for end in right_ends(known) if then is None or end[1] <= then]
    right = dict(sorted(seen_by_then))
    entering = [t for times in plain.values() for t in times]
    found: dict[datetime, tuple[datetime, str]] = {}
    for d in known:
        t = d.occurred_at
        if d.data.type_name != "disqualified" or not leaves_none_open(d, known):
            continue
        since = max((r for r in right if r <= t), default=datetime.min.replace(tzinfo=UTC))
        committed = any(since < c <= t for c in plain["commitment"])
        undone = any(t < e <= t + definition.requalify_within for e in entering)
        if not committed and not undone:
            found[t] = (t, "left")
    return found | {t: (seen, "right") for t, seen in right.items()}


def names(fact) -> str | None:
    if fact.data.type_name == "noted":
        value = fact.data.properties.get("opportunity")
        return None if value in (None, "") and not isinstance(value, bool) else text_of(value)
    return getattr(fact.data, "opportunity", None)


def leaves_none_open(d, known) -> bool:
    first: dict[str, Happened] = {}
    for f in sorted(known, key=order):
        name = names(f)
        if name is not None:
            first.setdefault(name, f)
    for name, opening in first.items():
        closed = any(
            order(opening) <= order(f) <= order(d)
            and (
                (f.data.type_name == "disqualified" and names(f) in (None, name))
                or (f.data.type_name == "contract_signed" and names(f) == name)
            )
            for f in known
        )
        if order(opening) <= order(d) and not closed:
            return False
    return True


def right_ends(known) -> list[tuple[datetime, datetime]]:
    """Islands grown by joining any two that touch, until none do."""
    islands = [[contract] for contract in paid(known)]
    joined = True
    while joined:
        joined = False
        for one in islands:
            for other in islands:
                if one is not other and touch(one, other):
                    one.extend(other)
                    islands.remove(other)
                    joined = True
                    break
            if joined:
                break
    found = []
    for island in islands:
        if all(hard is not None for _, hard, _, _ in island):
            last = max(hard for _, hard, _, _ in island)
            close = datetime.combine(last + DAY, time(), UTC)
            seen = max(
                max(close + GRACE if lapsed else close, told)
                for _, hard, lapsed, told in island
                if hard == last
            )
            found.append((close, seen))
    return found


def touch(one, other) -> bool:
    """Whether the later of two stretches begins by the day after the earlier one's soft end."""

    def soft(island) -> date | None:
        ends = [hard + GRACE if hard and lapsed else hard for _, hard, lapsed, _ in island]
        return None if None in ends else max(ends)

    starts = sorted([one, other], key=lambda island: min(start for start, *_ in island))
    end = soft(starts[0])
    return end is None or min(start for start, *_ in starts[1]) <= end + DAY


def paid(known) -> list[tuple]:
    by_type: dict[str, list[Happened]] = defaultdict(list)
    for f in sorted(known, key=order):
        by_type[f.data.type_name].append(f)
    signed = [f for f in by_type["contract_signed"] if f.data.kind == "paid" and f.data.amount > 0]
    found = []
    for contract in {f.data.contract for f in signed}:
        signing = next(f for f in signed if f.data.contract == contract)
        terms = [f for f in by_type["contract_renewed"] if f.data.contract == contract]
        term_fact = terms[-1] if terms else signing
        term = None if signing.data.auto_renews else term_fact.data.ends_on
        ended = [
            (f.data.effective_on or f.occurred_at.date(), order(f), f.occurred_at)
            for f in by_type["contract_ended"]
            if f.data.contract == contract
        ]
        replaced = [
            (f.data.starts_on - DAY, order(f), f.occurred_at)
            for f in by_type["contract_signed"]
            if f.data.replaces == contract != f.data.contract
        ]
        told = [*ended, *replaced] if ended else [r for r in replaced if not term or r[0] <= term]
        # each kind's earliest first; the end that is told in so many words wins a tie
        told.sort(key=lambda end: (end[0], end not in ended, end[1]))
        start = signing.data.starts_on
        if told:
            found.append((start, told[0][0], False, told[0][2]))
        elif term:
            found.append((start, term, True, term_fact.occurred_at))
        else:
            found.append((start, None, False, signing.occurred_at))
    return found
