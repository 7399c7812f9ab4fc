"""Paths against a reading of the events in plain Python."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import groupby, pairwise
from statistics import median
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bowtie.events import Touched
from bowtie.stages import STAGES, Cycle, Definition, evaluate
from bowtie_projections.views.cohorts import period
from bowtie_projections.views.cut import Cut
from bowtie_projections.views.paths import paths
from tests.histories import DEFINITIONS, logs, moments
from tests.read_tables import FilledTables, Said, counted

touches = st.builds(
    Touched,
    channel=st.sampled_from(["ads", "mail", "web"]),
    direction=st.sampled_from(["inbound", "outbound"]),
    touchpoint=st.sampled_from(["x", "y", "z", "selection", None]),
)


@st.composite
def histories(draw: st.DrawFn) -> list[Said]:
    """A log with more touches, and of somebody who has nothing else."""
    facts = draw(logs())
    more = st.lists(st.tuples(st.sampled_from("abc"), touches, moments), max_size=12)
    for customer, event, at in draw(more):
        facts.append(Said(customer, event, at, len(facts) + 1))
    return facts


questions = st.fixed_dictionaries(
    {
        "of": st.sampled_from(["stages", "touchpoints", ["stages", "channels"]]),
        "steps": st.integers(1, 4),
        "starts": st.sampled_from([None, None, "awareness", "selection"]),
        "ends": st.sampled_from([None, None, "commitment", "growth"]),
        "collapse": st.booleans(),
        "cycles": st.booleans(),
        "from_": st.sampled_from([None, None, "2024-01-15"]),
        "to": st.sampled_from([None, None, "2024-Q1"]),
        "top": st.sampled_from([1, 2, 50]),
    }
)

Node = tuple[datetime, int, int, str]


def _values(facts: list[Said], asked: dict[str, Any]) -> dict[str | None, str]:
    """What each touchpoint (or channel) is called, the most frequent apart."""
    field = _field(asked)
    if field is None:
        return {}
    number = Counter(getattr(f.data, field) for f in facts if isinstance(f.data, Touched))
    ranked = sorted(filter(None, number), key=lambda value: (-number[value], value))
    names: dict[str | None, str] = dict.fromkeys(number, "other")
    for value in ranked[: asked["top"]]:
        clash = "stages" in asked["of"] and value in STAGES
        names[value] = f"{value} (value)" if clash else value
    return names | {None: "(none)"}


def _field(asked: dict[str, Any]) -> str | None:
    if "touchpoints" in asked["of"]:
        return "touchpoint"
    return "channel" if "channels" in asked["of"] else None


def _walk(
    own: list[Said], cycle: Cycle | None, asked: dict[str, Any], names: dict[str | None, str]
) -> list[Node] | None:
    """The nodes of a cycle in order; none where it is not looked at."""
    entries = {} if cycle is None else {str(s): at for s, at in cycle.entries.items()}
    starts, ends = asked["starts"], asked["ends"]
    if any(stage and stage not in entries for stage in (starts, ends)):
        return None
    if starts and ends and entries[starts] > entries[ends]:
        return None
    nodes = [(at, 1, STAGES.index(s), s) for s, at in entries.items()]
    if "stages" not in asked["of"]:
        nodes = [node for node in nodes if node[3] in (starts, ends)]
    field = _field(asked)
    for fact in own if field else []:
        if not isinstance(fact.data, Touched) or not _within(fact.occurred_at, cycle):
            continue
        name = names[getattr(fact.data, str(field))]
        nodes.append((fact.occurred_at, 0, fact.position, name))
    nodes.sort()
    if starts:
        nodes = [node for node in nodes if node >= (entries[starts], 1, STAGES.index(starts))]
    if ends:
        last = (entries[ends], 1, STAGES.index(ends), ends)
        nodes = [node for node in nodes if node <= last]
    if asked["collapse"]:
        nodes = [next(group) for _, group in groupby(nodes, key=lambda node: node[3])]
    bound = entries[ends] if ends else entries[starts] if starts else nodes[0][0] if nodes else None
    return nodes if bound is not None and _asked_for(bound, asked) else None


def _within(at: datetime, cycle: Cycle | None) -> bool:
    if cycle is None:
        return True
    opened = min(cycle.entries.values())
    return (cycle.number == 1 or at >= opened) and (cycle.lost_at is None or at <= cycle.lost_at)


def _asked_for(at: datetime, asked: dict[str, Any]) -> bool:
    plain = at.replace(tzinfo=None)
    start, end = asked["from_"], asked["to"]
    return (start is None or plain >= period(start)[0]) and (end is None or plain < period(end)[1])


def _walks(
    facts: list[Said], definition: Definition, now: datetime, asked: dict[str, Any]
) -> list[tuple[str, list[Node], Cycle | None]]:
    names, found = _values(facts, asked), []
    for customer in sorted({fact.customer for fact in facts}):
        own = [fact for fact in facts if fact.customer == customer]
        cycles: list[Cycle | None] = list(evaluate(definition, own, now))
        if not asked["cycles"]:
            cycles = cycles[:1]
        for cycle in cycles or [None]:
            nodes = _walk(own, cycle, asked, names)
            if nodes:
                found.append((customer, nodes, cycle))
    return found


def _told(
    nodes: list[Node], cycle: Cycle | None, asked: dict[str, Any]
) -> tuple[list[str], list[Node]]:
    """The names from the first to the last told, with what stands at the ends; and the nodes."""
    steps, starts, ends = asked["steps"], asked["starts"], asked["ends"]
    if ends and not starts:
        kept = nodes[-steps:]
        return ["(more)" if len(nodes) > steps else "(start)", *(n[3] for n in kept)], kept
    kept = nodes[:steps]
    names = [*([] if starts else ["(start)"]), *(node[3] for node in kept)]
    if len(nodes) > steps:
        names.append("(more)")
    elif not ends:
        names.append("(lost)" if cycle is not None and cycle.lost_at else "(open)")
    return names, kept


def _check(result: Any, walks: list[Any], asked: dict[str, Any]) -> None:
    steps: Counter[tuple[int, str, str]] = Counter()
    sequences: Counter[str] = Counter()
    committed: Counter[str] = Counter()
    moves: dict[tuple[str, str], list[str]] = defaultdict(list)
    for customer, nodes, cycle in walks:
        names, _ = _told(nodes, cycle, asked)
        first = 0 if names[0] == "(start)" else 1
        if asked["ends"] and not asked["starts"]:
            first = 1 - len(names)
        for place, pair in enumerate(pairwise(names)):
            steps[first + place, *pair] += 1
        sequences[" > ".join(names)] += 1
        committed[" > ".join(names)] += cycle is not None and "commitment" in cycle.entries
        for one, other in pairwise(nodes):
            moves[one[3], other[3]].append(customer)
    rows = result.rows()
    assert {(r["step"], r["source"], r["target"]): r["customers"] for r in rows} == steps
    for row in rows:
        source = sum(
            n for (step, at, _), n in steps.items() if (step, at) == (row["step"], row["source"])
        )
        assert row["share"] == pytest.approx(row["customers"] / source)
    found = {(r["source"], r["target"]): r for r in result.part("moves")}
    assert {key: (r["moves"], r["customers"]) for key, r in found.items()} == {
        key: (len(whose), len(set(whose))) for key, whose in moves.items()
    }
    told = result.part("sequences").rows()
    assert sum(row["customers"] for row in told) == len(walks)
    assert sum(row["committed"] for row in told) == sum(committed.values())
    assert sum(row["open"] for row in told) == sum(
        number for text, number in sequences.items() if text.endswith("(open)")
    )
    for row in told[: asked["top"]]:
        assert sequences[row["sequence"]] == row["customers"]
        assert committed[row["sequence"]] == row["committed"]


@given(
    facts=histories(),
    definition=st.sampled_from(DEFINITIONS[:2]),
    as_of=st.none() | moments,
    asked=questions,
)
def test_the_paths_are_those_of_a_plain_reading(
    memory: FilledTables,
    facts: list[Said],
    definition: Definition,
    as_of: datetime | None,
    asked: dict[str, Any],
) -> None:
    """Steps, moves and sequences, forward and backward, ties and repeats included."""
    memory.load(facts, definition)
    known = counted(facts, len(facts))
    now = as_of or max((fact.occurred_at for fact in known), default=None)
    result = paths(memory, Cut(memory.position, as_of), definition, **asked)
    if now is None:
        assert not result.rows()
        return
    known = [fact for fact in known if fact.occurred_at <= now]
    _check(result, _walks(known, definition, now, asked), asked)


class _Of:
    """The rows of one cell of an answer."""

    def __init__(self, result: Any, channel: str | None) -> None:
        self.result, self.channel = result, channel

    def rows(self) -> list[dict[str, Any]]:
        return [row for row in self.result if row["channel"] == self.channel]

    def part(self, name: str) -> _OfPart:
        return _OfPart(self.result.part(name), self.channel)


class _OfPart(_Of):
    def __iter__(self) -> Iterator[dict[str, Any]]:
        return iter(self.rows())


def _came_by(facts: list[Said], customer: str, moment: datetime) -> str | None:
    """The channel of a customer's first touch, if that was by a moment."""
    own = [
        (fact.occurred_at, fact.position, fact.data.channel)
        for fact in facts
        if fact.customer == customer and isinstance(fact.data, Touched)
    ]
    at, _, channel = min(own, default=(moment, 0, None))
    return channel if at <= moment else None


@given(
    facts=histories(),
    definition=st.sampled_from(DEFINITIONS[:2]),
    as_of=st.none() | moments,
    asked=questions,
)
def test_each_part_is_a_plain_reading_of_its_own(
    memory: FilledTables,
    facts: list[Said],
    definition: Definition,
    as_of: datetime | None,
    asked: dict[str, Any],
) -> None:
    """By how they came, as known when the path begins (or ends, where that is named)."""
    memory.load(facts, definition)
    known = counted(facts, len(facts))
    now = as_of or max((fact.occurred_at for fact in known), default=None)
    cut = Cut(memory.position, as_of)
    result = paths(memory, cut, definition, by=["channel"], **asked)
    if now is None:
        assert not result.rows()
        return
    known = [fact for fact in known if fact.occurred_at <= now]
    cells: dict[str | None, list[Any]] = defaultdict(list)
    for customer, nodes, cycle in _walks(known, definition, now, asked):
        moment = nodes[-1 if asked["ends"] else 0][0]
        cells[_came_by(known, customer, moment)].append((customer, nodes, cycle))
    whole = paths(memory, cut, definition, **asked)
    _check_sums(result, whole)
    if len({value for value in cells if value}) <= asked["top"]:
        assert {row["channel"] for row in result.part("sequences")} == cells.keys()
        for channel, walks in cells.items():
            _check(_Of(result, channel), walks, asked)


def _check_sums(result: Any, whole: Any) -> None:
    """Parts sum to the whole."""
    for name, keys, figure in (
        (None, ("step", "source", "target"), "customers"),
        ("moves", ("source", "target"), "moves"),
    ):
        sums: Counter[tuple[Any, ...]] = Counter()
        for row in result if name is None else result.part(name):
            sums[tuple(row[key] for key in keys)] += row[figure]
        rows = whole if name is None else whole.part(name)
        assert {tuple(row[key] for key in keys): row[figure] for row in rows} == sums
    for figure in ("customers", "committed", "open"):
        totals = [sum(row[figure] for row in one.part("sequences")) for one in (result, whole)]
        assert totals[0] == totals[1]
    assert result.sentence == whole.sentence


@given(waits=st.lists(st.integers(1, 40), min_size=15, max_size=30))
def test_days_are_medians_of_at_least_twenty(memory: FilledTables, waits: list[int]) -> None:
    """From one node to the next, and from the first to the last."""
    start = datetime(2024, 1, 1, tzinfo=UTC)
    facts: list[Said] = []
    for number, wait in enumerate(waits):
        for channel, hours in (("ads", 0), ("web", 24 * wait)):
            at = datetime.fromtimestamp(start.timestamp() + 3600 * hours, UTC)
            touch = Touched(channel=channel, direction="inbound")
            facts.append(Said(f"c{number:02}", touch, at, len(facts) + 1))
    memory.load(facts, DEFINITIONS[0])
    result = paths(memory, Cut(memory.position), DEFINITIONS[0], of="channels")
    wanted = pytest.approx(median(waits)) if len(waits) >= 20 else None
    (step,) = [row for row in result if row["source"] == "ads"]
    (move,) = result.part("moves").rows()
    (sequence,) = result.part("sequences").rows()
    assert [row["days_p50"] for row in (step, move, sequence)] == [wanted] * 3
