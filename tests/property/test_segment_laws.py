"""Who is in a segment, against plain Python; and views of it, against views of nobody else."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bowtie.errors import Refused
from bowtie.segments.reading import segment_of
from bowtie.stages import STAGES, Definition, evaluate
from bowtie_projections.scope import Entry, Scope, Scoped
from bowtie_projections.segments import Judging
from bowtie_projections.value import money
from bowtie_projections.views.cut import Cut
from bowtie_projections.views.funnel import funnel
from bowtie_projections.views.journey_source import settled
from bowtie_projections.views.loop import loop
from bowtie_projections.views.stock import stock
from bowtie_projections.views.units import UNITS, Units
from tests.histories import DEFINITIONS, logs, moments
from tests.naive_segments import belongs, contents
from tests.property import test_loop_value
from tests.property.test_identity_laws import of_units, related
from tests.read_tables import FilledTables, Said, counted

NEVER = datetime(1, 1, 1, tzinfo=UTC)


def _known_late(facts: list[Said]) -> list[Said]:
    """Some of what is observed is known only days later."""
    return [
        replace(fact, known_from=fact.occurred_at + timedelta(days=10))
        if fact.position % 3 == 0 and fact.data.type_name == "traits_observed"
        else fact
        for fact in facts
    ]


def _inside(
    content: dict[str, Any], facts: list[Said], then: datetime | None, definition: Definition
) -> set[str]:
    now = then or max((fact.occurred_at for fact in facts), default=NEVER)
    return {
        customer
        for customer in {fact.customer for fact in facts}
        if belongs(content, [f for f in facts if f.customer == customer], now, definition)
    }


def _scoped(
    memory: FilledTables, content: dict[str, Any], definition: Definition, **more: Any
) -> Scoped:
    return Scoped(memory, Scope(definition, segment_of(content), **more))


@given(
    facts=related(),
    definition=st.sampled_from(DEFINITIONS),
    then=st.none() | moments,
    position=st.none() | st.integers(5, 35),
    unit=st.sampled_from(UNITS[:-1]),
    content=contents,
)
def test_who_is_in_it_is_who_the_facts_say(
    *,
    memory: FilledTables,
    facts: list[Said],
    definition: Definition,
    then: datetime | None,
    position: int | None,
    unit: str,
    content: dict[str, Any],
) -> None:
    """By both clocks, for each unit, whatever is linked."""
    facts = _known_late(facts)
    memory.load(facts, definition)
    position = memory.position if position is None else position
    scope = Scope(definition, segment_of(content))
    try:
        Units.of(Scoped(memory, scope), Cut(position, then), unit)
    except Refused:
        assert unit != "customer"
        return

    right = of_units(unit, facts, position, then)

    outside = scope.outside
    assert outside is not None
    found = outside.judging.reader.fetch(outside.judging.members(segment_of(content).test))
    keys = found.column(0).to_pylist()
    # an account's newest fact, of which it is asked, is one that counts for an account
    newest = outside.moment or NEVER
    now = then or newest.replace(tzinfo=UTC)
    assert Counter(keys) == Counter(_inside(content, right, now, definition))
    assert outside.inside == len(keys)


@given(
    facts=related(),
    definition=st.sampled_from(DEFINITIONS),
    then=st.none() | moments,
    unit=st.sampled_from(UNITS[:-1]),
    content=contents,
    stage=st.sampled_from(STAGES[:2]),
)
def test_who_is_in_it_as_of_an_entry_is_who_their_facts_said_then(
    *,
    memory: FilledTables,
    facts: list[Said],
    definition: Definition,
    then: datetime | None,
    unit: str,
    content: dict[str, Any],
    stage: str,
) -> None:
    """Each by what had happened, and was known, by a moment of their own."""
    facts = _known_late(facts)
    memory.load(facts, definition)
    scope = Scope(definition, segment_of(content), entry=Entry.into(stage))
    try:
        Units.of(Scoped(memory, scope), Cut(memory.position, then), unit)
    except Refused:
        return

    outside = scope.outside
    assert outside is not None
    judging = outside.judging
    found = judging.reader.fetch(judging.members(segment_of(content).test)).column(0).to_pylist()
    right = of_units(unit, facts, memory.position, then)
    now = then or (outside.moment or NEVER).replace(tzinfo=UTC)
    assert Counter(found) == Counter(_at_entries(content, right, now, definition, stage))
    assert outside.inside == len(found)


def _at_entries(
    content: dict[str, Any],
    facts: list[Said],
    now: datetime,
    definition: Definition,
    stage: str,
) -> set[str]:
    """Who belonged to a segment when they entered a stage first."""
    found = set()
    for customer in {fact.customer for fact in facts}:
        own = [fact for fact in facts if fact.customer == customer and fact.occurred_at <= now]
        first = next(iter(evaluate(definition, own, now)), None)
        entries = {} if first is None else {str(name): at for name, at in first.entries.items()}
        entered = entries.get(stage)
        if entered is not None:
            known = [fact for fact in own if fact.occurred_at <= entered]
            if belongs(content, known, entered, definition):
                found.add(customer)
    return found


@pytest.mark.slow
@given(
    facts=logs(),
    definition=st.sampled_from(DEFINITIONS),
    then=st.none() | moments,
    judged=st.none() | moments,
    content=contents,
    asked=st.sampled_from(
        [
            (funnel, {"by": ["channel"], "data_from": "2024-01-10"}),
            (funnel, {"cycles": True, "cohort": "month", "include_truncated": True}),
            (funnel, {"lost_after": "10d", "by": ["trait.size"], "include_truncated": True}),
            (funnel, {"unit": "cycle", "include_truncated": True}),
            (stock, {"lost_after": "60d"}),
            (stock, {"unit": "cycle"}),
            (loop, {"horizon": "30d", "threshold": "1", "include_truncated": True}),
        ]
    ),
)
def test_a_view_of_a_segment_is_the_view_of_a_log_without_all_others(
    *,
    memory: FilledTables,
    facts: list[Said],
    definition: Definition,
    then: datetime | None,
    judged: datetime | None,
    content: dict[str, Any],
    asked: tuple[Any, dict[str, Any]],
) -> None:
    """From the journeys of the table or from facts, as of another moment or its own."""
    view, parameters = asked
    known = counted(facts, len(facts))
    now = then or max((fact.occurred_at for fact in known), default=NEVER)
    memory.load(facts, definition)
    cut = Cut(memory.position, now)
    found = _answer(
        view, _scoped(memory, content, definition, as_of=judged), cut, definition, parameters
    )

    inside = _inside(content, known, judged or now, definition)
    others = [fact for fact in facts if fact.customer in inside]
    memory.load(others, definition)
    right = _answer(view, memory, cut, definition, parameters)
    if right == "UnknownName":
        return  # a log in which nobody has a trait knows of none; a segment of one that does, does

    assert found == right


def _answer(
    view: Any, reader: Any, cut: Cut, definition: Definition, parameters: dict[str, Any]
) -> Any:
    try:
        answer = view(reader, cut, definition, **parameters)
    except Exception as error:  # noqa: BLE001 - whatever it says of one log it says of the other
        return type(error).__name__
    return [answer.rows(), *(part.rows() for part in answer.parts.values())]


@pytest.mark.slow
@given(
    facts=logs(),
    definition=st.sampled_from(DEFINITIONS),
    then=st.none() | moments,
    content=contents,
    unit=st.sampled_from(["customer", "cycle"]),
)
def test_a_breakdown_by_a_segment_tells_its_customers_from_the_others(
    *,
    memory: FilledTables,
    facts: list[Said],
    definition: Definition,
    then: datetime | None,
    content: dict[str, Any],
    unit: str,
) -> None:
    """One part is what a view narrowed to it says; with the other it is the total."""
    memory.load(facts, definition)
    cut = settled(memory, Cut(memory.position, then))
    segment = segment_of(content)
    scope = Scope(definition, find={"mine": segment}.__getitem__)
    asked: dict[str, Any] = {"unit": unit, "include_truncated": True}
    broken = funnel(Scoped(memory, scope), cut, definition, by=["segment:mine"], **asked).rows()
    total = funnel(memory, cut, definition, **asked).rows()

    narrowed = funnel(_scoped(memory, content, definition), cut, definition, **asked).rows()
    inside = {row["stage"]: row for row in broken if row["segment:mine"] == "in"}
    for row in narrowed:
        assert inside.get(row["stage"], {}).get("entered", 0) == row["entered"]
        assert inside.get(row["stage"], {}).get("conversion") == row["conversion"]
    for row in total:
        parts = [one["entered"] for one in broken if one["stage"] == row["stage"]]
        assert sum(parts) == row["entered"]


@pytest.mark.slow
@given(
    log=test_loop_value.logs(),
    then=test_loop_value.moments,
    last=st.sampled_from([None, "1d", "30d", "400d"]),
    amount=st.sampled_from(["0", "0.5", "100", "-3"]),
    op=st.sampled_from(["gt", "ge", "lt", "le"]),
)
def test_revenue_is_that_of_the_loop(
    *,
    memory: FilledTables,
    log: list[Said],
    then: datetime,
    last: str | None,
    amount: str,
    op: str,
) -> None:
    """Of so long before the moment, or of all times; of several currencies none is compared."""
    memory.load(log)
    test = {"value": {op: amount}} | ({"last": last} if last else {})
    cut, definition = Cut(memory.position, then), DEFINITIONS[0]
    segment = segment_of({"all": [test, {"value": {op: amount}}]})
    facts = [fact for fact in counted(log, memory.position) if fact.occurred_at <= then]
    used = {
        fact.data.currency  # type: ignore[attr-defined]
        for fact in facts
        if fact.data.type_name in {"contract_signed", "order_placed", "invoiced"}
        and getattr(fact.data, "kind", "") != "trial"
    }
    judging = Judging(memory, (), settled(memory, cut), definition)
    try:
        found = memory.fetch(judging.members(segment.test)).column(0).to_pylist()
    except Refused:
        assert len(used) > 1
        return

    def holds(own: list[Said], days: int) -> bool:
        t0 = then - timedelta(days=days) + timedelta(microseconds=1)
        revenue = money(test_loop_value.worth(own, t0, days, then.date())[0])
        wanted = money(365 * Decimal(amount))
        return {
            "gt": revenue > wanted,
            "ge": revenue >= wanted,
            "lt": revenue < wanted,
            "le": revenue <= wanted,
        }[op]

    spans = [int(last[:-1]) if last else 2500, 2500]
    expected = {
        customer
        for customer in {fact.customer for fact in facts}
        if all(holds([f for f in facts if f.customer == customer], days) for days in spans)
    }
    assert Counter(found) == Counter(expected)
