"""Segments in plain Python: a dictionary of tests, read word by word over one customer's facts."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from hypothesis import strategies as st

from bowtie.durations import parse_duration
from bowtie.segments.reading import segment_of
from bowtie.stages import Definition, evaluate
from tests.naive_stages import is_number, meets, text_of
from tests.read_tables import Said

_KINDS = {
    "all", "any", "not", "traits", "first_touch", "entered", "stands_in", "not_yet", "event",
}  # fmt: skip
_SIGNS = {
    "ge": lambda one, other: one >= other,
    "gt": lambda one, other: one > other,
    "le": lambda one, other: one <= other,
    "lt": lambda one, other: one < other,
}


def belongs(
    content: Mapping[str, Any], facts: Sequence[Said], now: datetime, definition: Definition
) -> bool:
    """Whether a customer is in the segment, by their facts up to the moment."""
    known = sorted(
        (f for f in facts if f.occurred_at <= now), key=lambda f: (f.occurred_at, f.position)
    )
    if not any(f.data.type_name not in {"retracted", "forgotten"} for f in known):
        return False

    def every(key: str, given: Sequence[Mapping[str, Any]]) -> bool:
        held = [test(one) for one in given]
        return {"all": all(held), "any": any(held), "not": not any(held)}[key]

    def test(one: Mapping[str, Any]) -> bool:
        kind = next(key for key in one if key in _KINDS)
        wanted = one[kind]
        if kind in {"all", "any", "not"}:
            return every(kind, wanted)
        if kind == "traits":
            return all(_fits(_trait(known, name, now), how) for name, how in wanted.items())
        if kind == "first_touch":
            touches = [f.data for f in known if f.data.type_name == "touched"]
            return bool(touches) and all(
                _fits(getattr(touches[0], name), how) for name, how in wanted.items()
            )
        if kind == "event":
            return _did(one, known, now, definition)
        return _stands(kind, one, known, now, definition)

    return all(every(key, content[key]) for key in ("all", "any", "not") if key in content)


def _trait(known: Sequence[Said], name: str, now: datetime) -> Any:
    told = [
        f.data.traits[name]  # type: ignore[attr-defined]
        for f in known
        if f.data.type_name == "traits_observed"
        and name in f.data.traits  # type: ignore[attr-defined]
        and (f.known_from or f.occurred_at) <= now
    ]
    return told[-1] if told else None


def _fits(value: Any, wanted: Any) -> bool:
    if value is None:
        return False
    text = text_of(value)

    def same(one: Any) -> bool:
        if isinstance(one, str | bool):
            return text == text_of(one)
        return is_number(text) and float(text) == float(one)

    if isinstance(wanted, Mapping):
        return all(
            not same(one) if op == "ne" else is_number(text) and _SIGNS[op](float(text), float(one))
            for op, one in wanted.items()
        )
    return any(same(one) for one in (wanted if isinstance(wanted, list) else [wanted]))


def _stands(
    kind: str, one: Mapping[str, Any], known: Sequence[Said], now: datetime, definition: Definition
) -> bool:
    stages = one[kind] if isinstance(one[kind], list) else [one[kind]]
    found = evaluate(definition, known, now)
    if kind == "stands_in":
        return any(cycle.is_open and cycle.stage in stages for cycle in found)
    since = now - parse_duration(one["last"]) if "last" in one else None
    entries = [at for c in found for stage, at in c.entries.items() if stage in stages]
    entered = any(since is None or at > since for at in entries)
    return not entered if kind == "not_yet" else entered


def _did(
    one: Mapping[str, Any], known: Sequence[Said], now: datetime, definition: Definition
) -> bool:
    own = {key: value for key, value in one.items() if key not in {"last", "span"}}
    condition = segment_of({"all": [own]}).test.condition  # type: ignore[union-attr]
    since = now - parse_duration(one["last"]) if "last" in one else None
    found = [f for f in known if meets(condition, f, known)]
    found = [f for f in found if since is None or f.occurred_at > since]
    heaps: dict[Any, list[Said]] = defaultdict(list)
    for place, cycle in enumerate([None, *evaluate(definition, known, now)]):
        if (cycle is None) != (not condition.refers_to):
            continue
        for fact in found:
            at = fact.occurred_at
            if cycle is not None:
                entries, within = cycle.entries, condition.within
                if cycle.lost_at is not None and at > cycle.lost_at:
                    continue
                if condition.after and not entries.get(condition.after, now + _LONG) <= at:
                    continue
                if within and not (
                    entries.get(within.of, now + _LONG)
                    <= at
                    <= entries.get(within.of, now) + within.time
                ):
                    continue
            each = getattr(fact.data, condition.each) if condition.each else ""
            if each is not None:
                heaps[place, each].append(fact)
    if "span" in one:
        longest, n = parse_duration(one["span"]), condition.nth
        return any(
            heap[i].occurred_at - heap[i - n + 1].occurred_at <= longest
            for heap in heaps.values()
            for i in range(n - 1, len(heap))
        )
    return any(_number(heap, condition.counted_by) >= condition.nth for heap in heaps.values())


_LONG = timedelta(days=9999)


def _number(heap: list[Said], counted_by: str) -> int:
    days = [f.occurred_at.date() for f in heap]
    if counted_by == "event":
        return len(heap)
    return len(
        Counter(days if counted_by == "day" else [(d.year, (d.month - 1) // 3) for d in days])
    )


_stages = st.sampled_from(["awareness", "education", "selection", "commitment", "growth"])
#: Tests of every kind, over what :mod:`tests.histories` makes up.
tests: st.SearchStrategy[dict[str, Any]] = st.one_of(
    st.fixed_dictionaries(
        {"traits": st.sampled_from([{"plan": "a"}, {"plan": ["b", True]}, {"plan": {"ne": "a"}}])}
    ),
    st.fixed_dictionaries(
        {
            "traits": st.sampled_from(
                [
                    {"size": 6},
                    {"size": ["7x", 4]},
                    {"size": {"gt": 4}},
                    {"size": {"ge": 4, "lt": 6}, "plan": "a"},
                ]
            )
        }
    ),
    st.fixed_dictionaries(
        {
            "first_touch": st.sampled_from(
                [{"channel": "ads"}, {"channel": ["mail", "web"]}, {"channel": {"ne": "ads"}}]
            )
        }
    ),
    st.fixed_dictionaries(
        {"entered": _stages | st.just(["selection", "growth"])},
        optional={"last": st.sampled_from(["7d", "30d"])},
    ),
    st.fixed_dictionaries({"stands_in": _stages | st.just(["awareness", "commitment"])}),
    st.fixed_dictionaries({"not_yet": _stages}),
    st.sampled_from(
        [
            {"event": "touched"},
            {"event": "touched", "where": {"direction": "inbound"}, "nth": 2},
            {"event": "touched", "nth": 2, "each": "channel", "last": "30d"},
            {"event": "touched", "nth": 2, "span": "7d"},
            {"event": "touched", "nth": 3, "span": "30d", "each": "channel"},
            {"event": "noted", "where": {"properties.plan": ["a", 5]}},
            {"event": "noted", "nth": 2, "counted_by": "day", "last": "20d"},
            {"event": "noted", "after": "awareness"},
            {"event": "usage_metered", "nth": 2, "after": "awareness"},
            {"event": "touched", "nth": 2, "within": {"of": "awareness", "time": "30d"}},
            {"event": "order_placed", "day_total": {"field": "amount", "ge": "10"}},
            {"event": "contract_changed", "rises": "amount"},
            {
                "event": "contract_signed",
                "where": {"kind": "paid"},
                "nth": 2,
                "counted_by": "quarter",
            },
            {"event": "traits_observed", "where": {"traits.plan": "a"}, "nth": 2},
            {"event": "disqualified", "last": "14d"},
        ]
    ),
)
_lists = st.lists(tests, min_size=1, max_size=2)
#: Whole segments, some of them nested.
contents: st.SearchStrategy[dict[str, Any]] = st.one_of(
    st.fixed_dictionaries({"all": st.lists(tests, min_size=1, max_size=1)}),
    st.fixed_dictionaries({"all": _lists, "any": _lists}),
    st.fixed_dictionaries({"not": _lists}),
    st.fixed_dictionaries(
        {
            "any": st.lists(
                tests
                | st.fixed_dictionaries({"all": _lists})
                | st.fixed_dictionaries({"not": _lists}),
                min_size=1,
                max_size=3,
            )
        }
    ),
)
