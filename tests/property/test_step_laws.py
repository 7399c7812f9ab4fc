"""Step funnels against the enumeration of all sequences, and the laws they keep."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from unittest.mock import patch

from hypothesis import assume, given
from hypothesis import strategies as st

from bowtie.durations import parse_duration
from bowtie.errors import Refused
from bowtie.events import Disqualified, Noted, StageEntered, Touched, TraitsObserved
from bowtie.stages import evaluate, load_definition
from bowtie_projections.views.cohorts import cohort_label, period
from bowtie_projections.views.cut import Cut
from bowtie_projections.views.steps import steps
from tests.naive_steps import (
    EVER,
    NEVER,
    Happened,
    Rules,
    Standing,
    attempts,
    standings,
    standings_of,
)
from tests.read_tables import FilledTables, Said, counted

B2B = load_definition("b2b")
DAY = datetime(2024, 3, 4, tzinfo=UTC)
#: few moments, so that many events are at one
moments = st.integers(0, 30).map(lambda hours: DAY + timedelta(hours=3 * hours))
names = st.sampled_from(["a", "b", "c"])
#: what an event may be asked for, and what it is then
TESTS = ["noted[name=a]", "noted[name=b]", "noted[name=c]", "touched[channel=x]", "noted[name=a|b]"]
EXCLUDED = ["noted[name=c]", "touched[channel=y]", "noted[name=a]", "disqualified"]


def _noted(name: str, value: str | None) -> Noted:
    return Noted(name=name, properties={} if value is None else {"channel": value})


held = st.sampled_from(["x", "y"])
happenings = st.one_of(
    st.builds(_noted, names, held | st.none()),
    st.builds(_noted, names, held),
    st.builds(lambda channel: Touched(channel=channel, direction="inbound"), held),
    st.just(TraitsObserved(traits={"plan": "pro"})) | st.just(TraitsObserved(traits={"plan": "free"})),
    st.sampled_from([Disqualified(), StageEntered(stage="education"), StageEntered(stage="selection")]),
)  # fmt: skip


@st.composite
def logs(draw: st.DrawFn) -> list[Said]:
    """Some customers' events, some of them retracted, at few moments."""
    drawn = draw(
        st.lists(
            st.tuples(st.sampled_from(["k1", "k1", "k2"]), happenings, moments, st.integers(0, 9)),
            min_size=2,
            max_size=14,
        )
    )
    return [
        Said(
            customer, data, at, position, retracted_position=len(drawn) + 1 if chance == 0 else None
        )
        for position, (customer, data, at, chance) in enumerate(drawn, 1)
    ]


@dataclass(frozen=True)
class Asked:
    """A question; what can't be asked together is left out.

    Who has more than ``few`` events of a step is matched in another way, which tells the same.
    """

    parameters: dict[str, Any]
    position: int | None
    as_of: datetime | None
    few: int


@st.composite
def questions(draw: st.DrawFn) -> Asked:
    order = draw(st.sampled_from(["ordered", "ordered", "strict", "any"]))
    count = draw(st.sampled_from(["customers", "customers", "cycles", "conversions"]))
    if order == "any" and count == "conversions":
        count = "customers"
    own = draw(st.lists(st.sampled_from(TESTS), min_size=2, max_size=4))
    hold = draw(st.sampled_from([None, None, "channel"]))
    if hold is None and order != "any" and draw(st.booleans()):
        own[-1] = "stage:selection"
    if order == "ordered":
        for place in range(1, len(own) - 1):
            own[place] += draw(st.sampled_from(["", "?"]))
    asked: dict[str, Any] = {"order": order, "count": count, "hold": hold}
    if order != "any":
        for place in range(1, len(own)):
            own[place] += draw(st.sampled_from(["", "", " within 12h", " after 3h"]))
        asked["within_each"] = draw(st.sampled_from([None, None, "24h"]))
        asked["after_each"] = draw(st.sampled_from([None, None, "6h"]))
    asked["steps"] = own
    required = [n for n, one in enumerate(own, 1) if "?" not in one]
    for what in draw(st.lists(st.sampled_from(EXCLUDED), max_size=2)):
        place = draw(st.integers(0, len(required) - 2))
        before = draw(st.sampled_from(required[place + 1 :]))
        span = "" if order == "any" else f"@{required[place]}-{before}"
        asked.setdefault("exclude", []).append(what + span)
    asked["within"] = draw(st.sampled_from([None, "9h", "24h", "48h"]))
    asked["reentry"] = draw(st.sampled_from(["latest", "first"]))
    asked["by"] = draw(st.sampled_from([[], ["trait.plan"]]))
    asked["cohort"] = draw(st.sampled_from([None, None, "day"]))
    asked["from_"] = draw(st.sampled_from([None, None, "2024-03-05"]))
    asked["to"] = draw(st.sampled_from([None, None, "2024-03-05"]))
    position, as_of = draw(st.none() | st.integers(1, 14)), draw(st.none() | moments)
    return Asked(asked, position, as_of, draw(st.sampled_from([0, 1, 16])))


def _plain(moment: datetime) -> datetime:
    return moment.replace(tzinfo=None)


def _fits(test: str, data: Any) -> bool:
    """The few tests that are drawn here, read by hand."""
    if test.startswith("noted"):
        wanted = test.removeprefix("noted[name=").partition("]")[0].split("|")
        return isinstance(data, Noted) and data.name in wanted
    if test.startswith("touched"):
        return isinstance(data, Touched) and data.channel == test[-2:-1]
    return test == "disqualified" and isinstance(data, Disqualified)


def _bare(step: str) -> str:
    return step.partition(" ")[0].rstrip("?")


def _rules(asked: dict[str, Any]) -> Rules:
    own = asked["steps"]
    least, most = {}, {}
    for number, step in enumerate(own, 1):
        words = step.split()
        said = dict(zip(words[1::2], words[2::2], strict=True))
        gaps = {
            "after": said.get("after", asked.get("after_each")),
            "within": said.get("within", asked.get("within_each")),
        }
        if number > 1 and gaps["after"]:
            least[number] = parse_duration(gaps["after"])
        if number > 1 and gaps["within"]:
            most[number] = parse_duration(gaps["within"])
    limited = asked["order"] != "any" and len(most) == len(own) - 1
    within = asked["within"] or (None if limited else "90d")
    spans = [one.partition("@")[2] or f"1-{len(own)}" for one in asked.get("exclude", ())]
    return Rules(
        steps=len(own),
        order=asked["order"],
        optional=frozenset(n for n, step in enumerate(own, 1) if "?" in step),
        within=None if within is None else parse_duration(within),
        least=least,
        most=most,
        exclusions=tuple((int(a), int(b)) for a, _, b in (one.partition("-") for one in spans)),
        hold=asked["hold"] is not None,
        reentry=asked["reentry"],
        start=EVER if asked["from_"] is None else period(asked["from_"])[0],
        end=NEVER if asked["to"] is None else period(asked["to"])[1],
    )


def _happened(
    facts: list[Said], asked: dict[str, Any], now: datetime, journey: list[Any]
) -> list[Happened]:
    """One customer's events, and entries of stages as events of their own."""
    own = [_bare(step) for step in asked["steps"]]
    excluded = [one.partition("@")[0] for one in asked.get("exclude", ())]
    spans = _rules(asked).exclusions
    found = []
    for fact in facts:
        fits = frozenset(n for n, test in enumerate(own, 1) if _fits(test, fact.data))
        value = fact.data.channel if isinstance(fact.data, Touched) else None
        if isinstance(fact.data, Noted):
            value = fact.data.properties.get("channel")  # type: ignore[assignment]
        marks = frozenset(
            number
            for number, (test, (after, before)) in enumerate(zip(excluded, spans, strict=True))
            if _fits(test, fact.data) and not any(after < step < before for step in fits)
        )
        if asked["hold"] is not None and value is None:
            fits = frozenset()
        found.append(
            Happened(
                _plain(fact.occurred_at), fact.position, fits, marks, value,
                counts=not isinstance(fact.data, TraitsObserved),
            )
        )  # fmt: skip
    for number, test in enumerate(own, 1):
        for cycle in journey if test.startswith("stage:") else ():
            at = cycle.entries.get(test.removeprefix("stage:"))
            if at is not None:
                found.append(
                    Happened(_plain(at), 0, frozenset({number}), frozenset(), counts=False)
                )
    return found


def _members(
    facts: list[Said], asked: dict[str, Any], now: datetime
) -> list[tuple[str, list[Happened], list[Happened]]]:
    """Each customer or pass: the events of its steps, and all that may come between."""
    found = []
    for customer in sorted({fact.customer for fact in facts}):
        own = [f for f in facts if f.customer == customer and f.occurred_at <= now]
        journey = list(evaluate(B2B, own, now))
        events = _happened(own, asked, now, journey)
        if asked["count"] != "cycles":
            found.append((customer, events, events))
            continue
        since = EVER
        for cycle in journey:
            upto = NEVER if cycle.lost_at is None else _plain(cycle.lost_at)
            inside = [one if since < one.at <= upto else _outside(one) for one in events]
            found.append((customer, inside, events))
            since = upto
    return found


def _outside(one: Happened) -> Happened:
    """What happened in another pass: it fits no step, and still comes between."""
    return Happened(one.at, one.position, frozenset(), one.marks, one.held, one.counts)


def _judged(
    events: list[Happened], rules: Rules, now: datetime, count: str
) -> list[tuple[dict[int, Standing], datetime, bool]]:
    if count != "conversions":
        found, first, ripe = standings(events, rules, now)
        return [] if first is None else [(found, first, ripe)]
    values = sorted({one.held for one in events if one.held}) if rules.hold else [None]
    judged = []
    for value in values:
        own = [one if not rules.hold or one.held == value else _outside(one) for one in events]
        judged += [standings_of(one, own, rules, now) for one in attempts(own, rules)]
    return judged


def _plan(facts: list[Said], customer: str, at: datetime) -> str | None:
    known = [
        (fact.occurred_at, fact.position, fact.data.traits["plan"])
        for fact in facts
        if fact.customer == customer
        and isinstance(fact.data, TraitsObserved)
        and _plain(fact.occurred_at) <= at
    ]
    value: Any = max(known, default=(None, None, None))[2]
    return value


def _in_python(
    facts: list[Said], asked: dict[str, Any], now: datetime
) -> dict[tuple[Any, ...], Counter[str]]:
    """The counts of each cell and step that anybody reached."""
    rules, plain = _rules(asked), _plain(now)
    cells: dict[tuple[Any, ...], Counter[str]] = defaultdict(Counter)
    for customer, events, _ in _members(facts, asked, now):
        for found, first, ripe in _judged(events, rules, plain, asked["count"]):
            cell: list[Any] = [_plan(facts, customer, first)] if asked["by"] else []
            if asked["cohort"]:
                cell.append(cohort_label(first.date(), "day"))
            for step, one in found.items():
                _add(cells[*cell, step], one, ripe=ripe, last=step == rules.steps)
    return cells


def _add(counts: Counter[str], one: Standing, *, ripe: bool, last: bool) -> None:
    counts["entered"] += 1
    counts["ripe"] += ripe
    counts["since_first"] += int((one.t - one.start).total_seconds())
    if last:
        return
    state = (
        "reached_next"
        if one.next_t is not None
        else "pending"
        if one.pending
        else "excluded"
        if one.excluded
        else "expired"
    )
    counts[state] += 1
    counts["mature"] += one.mature
    counts["mature_reached"] += one.mature and one.next_t is not None
    if one.next_t is not None and one.next_prev is not None:
        counts["waited"] += int((one.next_t - one.next_prev).total_seconds())


def _answer(memory: FilledTables, asked: Asked, **more: Any) -> Any:
    position = memory.position if asked.position is None else min(asked.position, memory.position)
    with patch("bowtie_projections.views.steps.chains.FEW", asked.few):
        return steps(memory, Cut(position, asked.as_of), B2B, **(asked.parameters | more))


def _now(facts: list[Said], asked: Asked) -> tuple[list[Said], datetime]:
    position = len(facts) if asked.position is None else min(asked.position, len(facts))
    known = counted(facts, position)
    newest = max((fact.occurred_at for fact in known), default=datetime(1, 1, 1, tzinfo=UTC))
    return known, asked.as_of or newest


def _can_tell(facts: list[Said], asked: Asked) -> bool:
    return not (
        asked.parameters["by"] and not any(isinstance(f.data, TraitsObserved) for f in facts)
    )


@given(facts=logs(), asked=questions())
def test_the_counts_are_those_of_all_sequences(
    memory: FilledTables, facts: list[Said], asked: Asked
) -> None:
    """Every mode and combination, as of any moment and position."""
    memory.load(facts)
    known, now = _now(facts, asked)
    assume(_can_tell(known, asked))
    assume(
        not asked.parameters["by"]
        or any(isinstance(f.data, TraitsObserved) and f.occurred_at <= now for f in known)
    )

    try:
        result = _answer(memory, asked)
    except Refused as refused:
        assert asked.parameters["order"] == "any", refused  # noqa: PT017
        assume(condition=False)
    rows = {}
    for row in result.rows():
        cell = [row[name] for name in ("trait.plan", "cohort") if name in row]
        rows[*cell, row["step"]] = row

    expected = _in_python(known, asked.parameters, now)
    last = len(asked.parameters["steps"])
    assert {key for key, row in rows.items() if row["entered"]} == set(expected)
    for key, row in rows.items():
        counts = expected.get(key, Counter())
        assert row["entered"] == counts["entered"], key
        first = expected.get((*key[:-1], 1), Counter())
        assert row["first_mature"] == first["ripe"], key
        shown = None if key[-1] == 1 or not first["ripe"] else counts["ripe"] / first["ripe"]
        assert row["share_of_first"] == shown, key
        if key[-1] == last:
            assert row["reached_next"] is None
            continue
        for name in ("reached_next", "excluded", "expired", "pending", "mature"):
            assert row[name] == counts[name], (key, name)
        rate = counts["mature_reached"] / counts["mature"] if counts["mature"] else None
        assert row["conversion"] == rate, key


@given(facts=logs(), asked=questions())
def test_who_is_listed_behind_a_cell_has_the_times_of_the_sequences(
    memory: FilledTables, facts: list[Said], asked: Asked
) -> None:
    """There are as many as the cell says, and their days are those of the enumeration."""
    assume(asked.parameters["count"] != "conversions" and not asked.parameters["by"])
    memory.load(facts)
    known, now = _now(facts, asked)
    asked.parameters.pop("cohort")

    try:
        found = _answer(memory, asked, customers="1:reached").rows()
    except Refused:
        assume(condition=False)
    expected = []
    parameters = asked.parameters | {"cohort": None}
    for customer, events, _ in _members(known, parameters, now):
        judged = _judged(events, _rules(parameters), _plain(now), parameters["count"])
        for standing, first, _ in judged:
            one = standing.get(1)
            if one is not None and one.next_t is not None and one.next_prev is not None:
                days = (one.next_t - one.next_prev) / timedelta(days=1)
                expected.append((customer, first, one.next_t, days))

    shown = [
        (row["customer"], _plain(row["first_at"]), _plain(row["next_at"]), row["days"])
        for row in found
    ]
    assert Counter(shown) == Counter(expected)


@given(facts=logs(), asked=questions())
def test_parts_add_up_to_the_whole(memory: FilledTables, facts: list[Said], asked: Asked) -> None:
    """By a trait with one value apart and by day, each count is that of all."""
    memory.load(facts)
    known, now = _now(facts, asked)
    assume(any(isinstance(f.data, TraitsObserved) and f.occurred_at <= now for f in known))

    try:
        whole = _answer(memory, asked, by=[], cohort=None).rows()
    except Refused:
        assume(condition=False)
    parts = _answer(memory, asked, by=["trait.plan"], cohort="day", top=1).rows()

    for row in whole:
        for name in ("entered", "reached_next", "excluded", "expired", "pending", "mature"):
            told = [part[name] for part in parts if part["step"] == row["step"]]
            assert sum(one or 0 for one in told) == (row[name] or 0), name


@given(facts=logs(), asked=questions())
def test_whoever_reached_the_last_step_has_a_conversion(
    memory: FilledTables, facts: list[Said], asked: Asked
) -> None:
    """Counted once or every time, nobody converts in one and not in the other."""
    assume(asked.parameters["order"] != "any")
    memory.load(facts)
    known, now = _now(facts, asked)
    assume(_can_tell(known, asked))
    asked.parameters.update(by=[], cohort=None, reentry="latest", hold=None)
    known_ones = {fact.customer for fact in known if fact.occurred_at <= now}

    once = _answer(memory, asked, count="customers").rows()[-1]["entered"]
    every = _answer(memory, asked, count="conversions").rows()[-1]["entered"]

    assert (once > 0) == (every > 0)
    assert once <= every
    assert once <= len(known_ones)
