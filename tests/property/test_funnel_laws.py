"""The funnel's figures against a reading of the events in plain Python, and the laws they keep."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import assume, given
from hypothesis import strategies as st

from bowtie.durations import parse_duration
from bowtie.events import Touched, TraitsObserved
from bowtie.stages import STAGES, Definition, evaluate
from bowtie_projections.views.cohorts import cohort_label, period
from bowtie_projections.views.cut import Cut
from bowtie_projections.views.funnel import funnel
from bowtie_projections.views.stock import stock
from tests.histories import DEFINITIONS, logs, moments
from tests.read_tables import FilledTables, Said, counted

COUNTS = ("reached_next", "out_of_order", "lost", "expired", "reached_late", "pending", "mature")


@dataclass(frozen=True)
class Asked:
    """A question, and the cut it is asked at."""

    position: int | None
    as_of: datetime | None
    parameters: dict[str, Any]

    def of(self, memory: FilledTables, definition: Definition, **more: Any) -> Any:
        position = memory.position if self.position is None else self.position
        cut = Cut(position, self.as_of)
        return funnel(memory, cut, definition, **(self.parameters | more))


questions = st.builds(
    Asked,
    position=st.none() | st.integers(0, 35),
    as_of=st.none() | moments,
    parameters=st.fixed_dictionaries(
        {
            "by": st.sampled_from([[], ["channel"], ["trait.plan"], ["channel", "trait.plan"]]),
            "within": st.sampled_from([None, "7d", "30d"]),
            "cohort": st.sampled_from([None, None, "month", "week"]),
            "from_": st.sampled_from([None, None, "2024-01-15", "2024-02"]),
            "to": st.sampled_from([None, None, "2024-Q1"]),
            "skipped": st.sampled_from(["absent", "impute"]),
            "cycles": st.booleans(),
            "cohort_stage": st.sampled_from([None, None, "selection", "commitment"]),
            "lost_after": st.sampled_from([None, None, "10d", "60d"]),
            "include_truncated": st.booleans(),
            "data_from": st.sampled_from([None, None, "2024-01-10"]),
        }
    ),
)


@dataclass
class Journey:
    """One cycle, read in Python."""

    customer: str
    number: int
    entries: dict[str, datetime]
    lost_at: datetime | None
    facts: list[Said]
    imputed: set[str] = field(default_factory=set)


def _journeys(
    facts: list[Said], definition: Definition, now: datetime, parameters: dict[str, Any]
) -> list[Journey]:
    found = []
    since = _seen_since(facts, definition, now, parameters)
    for customer in sorted({fact.customer for fact in facts}):
        own = [fact for fact in facts if fact.customer == customer and fact.occurred_at <= now]
        last = max((fact.occurred_at for fact in own), default=None)
        if since and own and min(fact.occurred_at for fact in own) < since:
            continue
        for cycle in evaluate(definition, own, now):
            lost = cycle.lost_at
            silence = parameters["lost_after"]
            if lost is None and silence is not None and last is not None:
                declared = last + parse_duration(silence)
                lost = declared if declared <= now else None
            entries: dict[str, datetime] = {str(s): at for s, at in cycle.entries.items()}
            journey = Journey(customer, cycle.number, entries, lost, own)
            if parameters["skipped"] == "impute":
                _impute(journey)
            if parameters["cycles"] or cycle.number == 1:
                found.append(journey)
    return found


def _seen_since(
    facts: list[Said], definition: Definition, now: datetime, parameters: dict[str, Any]
) -> datetime | None:
    """Customers first seen before may be older than the data."""
    told = [fact.occurred_at for fact in facts if fact.occurred_at <= now]
    given = parameters["data_from"]
    if parameters["include_truncated"] or not told or not (given or definition.burn_in):
        return None
    start = period(given)[0].replace(tzinfo=UTC) if given else min(told)
    return start + definition.burn_in


def _impute(journey: Journey) -> None:
    later = None
    for stage in reversed(STAGES):
        if stage in journey.entries:
            later = journey.entries[stage]
        elif later is not None:
            journey.entries[stage] = later
            journey.imputed.add(stage)


def _value(journey: Journey, name: str, at: datetime) -> str | None:
    """A breakdown's value as it was known at a moment."""
    if name == "channel":
        touches = [(f.occurred_at, f.position, f.data) for f in journey.facts]
        told = [(at, n, data) for at, n, data in touches if isinstance(data, Touched)]
        first = min(told, key=lambda one: one[:2], default=None)
        return first[2].channel if first and first[0] <= at else None
    key = name.removeprefix("trait.")
    known = [
        (fact.occurred_at, fact.position, fact.data.traits[key])
        for fact in journey.facts
        if isinstance(fact.data, TraitsObserved)
        and key in fact.data.traits
        and (fact.known_from or fact.occurred_at) <= at
    ]
    value: Any = max(known, key=lambda told: told[:2], default=(None, None, None))[2]
    return "true" if value is True else value


def _in_period(at: datetime | None, parameters: dict[str, Any]) -> bool:
    if at is None:
        return False
    plain = at.replace(tzinfo=None)
    start, end = parameters["from_"], parameters["to"]
    after = start is None or plain >= period(start)[0]
    return after and (end is None or plain < period(end)[1])


def _cell(journey: Journey, at: datetime, parameters: dict[str, Any]) -> tuple[Any, ...]:
    cell: list[Any] = [_value(journey, name, at) for name in parameters["by"]]
    cohort = parameters["cohort"]
    if cohort == "week":
        cell.append(cohort_label(at.date() - timedelta(days=at.weekday()), "week"))
    elif cohort is not None:
        cell.append(cohort_label(at.date(), cohort))
    return tuple(cell)


def _window(stage: str, parameters: dict[str, Any]) -> timedelta:
    if parameters["within"]:
        return parse_duration(parameters["within"])
    return timedelta(days=90 if STAGES.index(stage) < 3 else 180)


def _judge(journey: Journey, stage: str, now: datetime, window: timedelta) -> dict[str, Any]:
    """What one member of a stage adds to the counts."""
    at = journey.entries[stage]
    following = journey.entries.get(STAGES[STAGES.index(stage) + 1])
    over = at + window
    came = None if following is None else max(following, at)
    lost = journey.lost_at
    told = {"mature": over <= now}
    if came is not None and came <= over and (lost is None or lost >= came):
        told["reached_next"] = True
        told["out_of_order"] = came == at and came != following
        told["mature_reached"] = told["mature"]
    elif lost is not None and lost <= over:
        told["lost"] = True
    elif told["mature"]:
        told["expired"] = True
        told["reached_late"] = came is not None
    else:
        told["pending"] = True
    return told


def _in_python(
    facts: list[Said], definition: Definition, now: datetime, parameters: dict[str, Any]
) -> dict[tuple[Any, ...], Counter[str]]:
    """The counts of each cell and stage that anybody entered."""
    cells: dict[tuple[Any, ...], Counter[str]] = defaultdict(Counter)
    for journey in _journeys(facts, definition, now, parameters):
        chosen = parameters["cohort_stage"]
        if chosen and not _in_period(journey.entries.get(chosen), parameters):
            continue
        for stage, at in journey.entries.items():
            if not chosen and not _in_period(at, parameters):
                continue
            key = journey.entries[chosen] if chosen else at
            counts = cells[(*_cell(journey, key, parameters), stage)]
            counts["entered"] += 1
            counts["imputed"] += stage in journey.imputed
            if stage != STAGES[-1]:
                window = _window(stage, parameters)
                counts.update({n: int(v) for n, v in _judge(journey, stage, now, window).items()})
    return cells


def _now(facts: list[Said], asked: Asked) -> datetime | None:
    if asked.as_of is not None:
        return asked.as_of
    return max((fact.occurred_at for fact in facts), default=None)


def _key(row: dict[str, Any], parameters: dict[str, Any]) -> tuple[Any, ...]:
    names = [*parameters["by"], *(["cohort"] if parameters["cohort"] else []), "stage"]
    return tuple(row[name] for name in names)


def _loaded(
    memory: FilledTables, facts: list[Said], definition: Definition, asked: Asked
) -> list[Said]:
    """Fill the tables; the facts that count. Traits that nobody has are another test's matter."""
    position = len(facts) if asked.position is None else asked.position
    known = counted(facts, position)
    traits = [fact for fact in known if isinstance(fact.data, TraitsObserved)]
    plans = [fact for fact in traits if "plan" in fact.data.model_dump()["traits"]]
    now = _now(known, asked)
    told = [fact for fact in plans if now is not None and fact.occurred_at <= now]
    assume(told or "trait.plan" not in asked.parameters["by"])
    memory.load(facts, definition)
    return known


@given(facts=logs(), definition=st.sampled_from(DEFINITIONS), asked=questions)
def test_the_counts_are_those_of_a_plain_reading(
    memory: FilledTables, facts: list[Said], definition: Definition, asked: Asked
) -> None:
    """Each figure of each cell, whatever was asked, at whatever cut."""
    known = _loaded(memory, facts, definition, asked)
    now = _now(known, asked)

    rows = asked.of(memory, definition).rows()

    expected = {} if now is None else _in_python(known, definition, now, asked.parameters)
    found = {_key(row, asked.parameters): row for row in rows}
    assert set(expected) <= set(found)
    for key, row in found.items():
        counts = expected.get(key, Counter())
        assert counts["entered"] == row["entered"]
        assert counts["imputed"] == row["imputed"]
        if row["stage"] == STAGES[-1]:
            assert {row[name] for name in COUNTS} == {None}
            continue
        seen = definition.loss == "events" or asked.parameters["lost_after"]
        for name in COUNTS:
            wanted = None if name == "lost" and not seen else counts[name]
            assert wanted == row[name], (key, name)
        rate = counts["mature_reached"] / counts["mature"] if counts["mature"] else None
        assert rate == row["conversion"]


@given(facts=logs(), definition=st.sampled_from(DEFINITIONS), asked=questions)
def test_every_member_stands_in_one_state_and_parts_sum_to_the_total(
    memory: FilledTables, facts: list[Said], definition: Definition, asked: Asked
) -> None:
    """entered = reached_next + lost + expired + pending, in each cell and over all of them."""
    _loaded(memory, facts, definition, asked)

    rows = asked.of(memory, definition, top=1).rows()
    total = {row["stage"]: row for row in asked.of(memory, definition, by=[], cohort=None).rows()}

    summed: dict[str, Counter[str]] = defaultdict(Counter)
    for row in rows:
        for name in ("entered", "imputed", *COUNTS):
            summed[row["stage"]][name] += row[name] or 0
        if row["stage"] != STAGES[-1]:
            parts = ("reached_next", "lost", "expired", "pending")
            assert row["entered"] == sum(row[name] or 0 for name in parts)
    for stage, row in total.items():
        for name in ("entered", "imputed", *COUNTS):
            assert (row[name] or 0) == summed[stage][name]


@given(
    facts=logs(),
    definition=st.sampled_from(DEFINITIONS),
    asked=questions,
    cell=st.tuples(
        st.sampled_from(STAGES[:-1]), st.sampled_from(["pending", "lost", "expired", "reached"])
    ),
)
def test_the_customers_behind_a_cell_are_as_many_as_it_says(
    memory: FilledTables,
    facts: list[Said],
    definition: Definition,
    asked: Asked,
    cell: tuple[str, str],
) -> None:
    """Whatever the breakdown and the filters."""
    _loaded(memory, facts, definition, asked)
    stage, state = cell

    rows = [row for row in asked.of(memory, definition, top=1).rows() if row["stage"] == stage]
    behind = asked.of(memory, definition, top=1, customers=f"{stage}:{state}").rows()

    names = [*asked.parameters["by"], *(["cohort"] if asked.parameters["cohort"] else [])]
    listed = Counter(tuple(row[name] for name in names) for row in behind)
    column = "reached_next" if state == "reached" else state
    counts = Counter({tuple(row[name] for name in names): row[column] or 0 for row in rows})
    assert +counts == listed


@given(facts=logs(), asked=questions)
def test_the_journeys_table_and_the_facts_give_one_answer(
    memory: FilledTables, facts: list[Said], asked: Asked
) -> None:
    """A definition that is the default is read from the table; under another name from the facts."""
    definition = DEFINITIONS[0]
    now = Asked(None, None, asked.parameters)
    _loaded(memory, facts, definition, now)

    from_table = now.of(memory, definition).rows()
    memory.definition = "another/1"
    from_facts = now.of(memory, definition).rows()

    assert from_table == from_facts


@given(facts=logs(), definition=st.sampled_from(DEFINITIONS), as_of=st.none() | moments)
def test_the_stock_is_where_each_customer_stands(
    memory: FilledTables, facts: list[Said], definition: Definition, as_of: datetime | None
) -> None:
    """The furthest stage of the open cycle, lost, or none."""
    memory.load(facts, definition)
    known = counted(facts, len(facts))
    now = as_of or max((fact.occurred_at for fact in known), default=datetime(1, 1, 1, tzinfo=UTC))

    rows = stock(memory, Cut(memory.position, as_of), definition).rows()

    expected: Counter[str] = Counter()
    for customer in {fact.customer for fact in known if fact.occurred_at <= now}:
        cycles = evaluate(definition, [f for f in known if f.customer == customer], now)
        last = cycles[-1] if cycles else None
        place = "no stage" if last is None else last.stage if last.is_open else "lost"
        expected[place] += 1
    assert expected == +Counter({row["stage"]: row["customers"] for row in rows})
