"""Links, memberships and opportunities: the views against plain Python, and what links keep."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from bowtie.errors import Refused
from bowtie.events import (
    IdentityLinked,
    IdentityUnlinked,
    MembershipEnded,
    MembershipStarted,
    Noted,
    Retracted,
    Touched,
)
from bowtie.stages import STAGES, Definition, evaluate
from bowtie_projections import identities
from bowtie_projections.cycles import cycles
from bowtie_projections.membership import LOOK_BACK
from bowtie_projections.views.comparison import comparison
from bowtie_projections.views.cut import Cut, utc
from bowtie_projections.views.funnel import funnel
from bowtie_projections.views.loop import loop
from bowtie_projections.views.stock import stock
from bowtie_projections.views.units import UNITS, Units, plural
from tests.histories import DEFINITIONS, START, events, moments
from tests.naive_units import of_accounts, of_customers, of_opportunities, possible
from tests.read_tables import FilledTables, Said

KEYS = "abcd"
keys = st.sampled_from(KEYS)
_links = st.one_of(
    st.builds(IdentityLinked, alias=keys),
    st.builds(IdentityLinked, alias=keys),
    st.builds(IdentityUnlinked, alias=keys),
)
_memberships = st.one_of(
    st.builds(MembershipStarted, account=keys),
    st.builds(MembershipStarted, account=keys),
    st.builds(MembershipEnded, account=keys),
)


@st.composite
def related(draw: st.DrawFn, *, members: bool = True) -> list[Said]:
    """What happened to several keys, some of which are one customer, or members of an account."""
    one = st.tuples(keys, events, moments)
    said = draw(st.lists(one, min_size=10, max_size=25))
    said += draw(st.lists(st.tuples(keys, _links, moments), max_size=6))
    if members:
        said += draw(st.lists(st.tuples(keys, _memberships, moments), max_size=5))
    said = draw(st.permutations(said))
    places = st.integers(1, len(said))
    gone = draw(st.dictionaries(places, places, max_size=3))
    return possible(
        Said(
            customer,
            event,
            at,
            position,
            retracted_position=None if isinstance(event, IdentityUnlinked) else gone.get(position),
        )
        for position, (customer, event, at) in enumerate(said, start=1)
    )


def of_units(
    unit: str,
    facts: list[Said],
    position: int,
    then: datetime | None,
    look_back: timedelta = LOOK_BACK,
) -> list[Said]:
    """The facts, each under the keys of the units that it counts for."""
    if unit == "account":
        return of_accounts(facts, position, then, look_back)
    if unit == "opportunity":
        return of_opportunities(facts, position, then, look_back)
    return of_customers(facts, position)


def _expected(definition: Definition, facts: list[Said], then: datetime | None) -> list[Any]:
    return [
        (
            unit,
            cycle.number,
            [cycle.entries.get(stage) and utc(cycle.entries[stage]) for stage in STAGES],
            cycle.lost_at and utc(cycle.lost_at),
        )
        for unit in sorted({fact.customer for fact in facts})
        for cycle in evaluate(definition, [f for f in facts if f.customer == unit], then)
    ]


def _found(rows: list[dict[str, Any]]) -> list[Any]:
    return sorted(
        (row["customer"], row["cycle"], [row[f"{s}_at"] for s in STAGES], row["lost_at"])
        for row in rows
    )


@given(
    facts=related(),
    definition=st.sampled_from(DEFINITIONS),
    then=st.none() | moments,
    position=st.none() | st.integers(0, 35),
    unit=st.sampled_from(UNITS[:-1]),
    look_back=st.sampled_from([LOOK_BACK, timedelta(days=7), timedelta(0)]),
)
def test_sql_and_python_find_the_same_cycles_of_each_unit(
    *,
    memory: FilledTables,
    facts: list[Said],
    definition: Definition,
    then: datetime | None,
    position: int | None,
    unit: str,
    look_back: timedelta,
) -> None:
    """Links by position, memberships and opportunities by both clocks."""
    memory.load(facts)
    position = memory.position if position is None else position
    right = of_units(unit, facts, position, then, look_back)
    try:
        reader = Units.of(memory, Cut(position, then), unit, look_back).reader
    except Refused:
        assert unit == "account" or not right
        return

    found = reader.fetch(cycles(definition, Cut(position, then))).to_pylist()

    assert _found(found) == _expected(definition, right, then)


@given(facts=related(members=False), definition=st.sampled_from(DEFINITIONS))
def test_journeys_are_of_linked_customers(
    memory: FilledTables, facts: list[Said], definition: Definition
) -> None:
    """The table that views answer from says what the facts say."""
    memory.load(facts, definition)

    found = memory.fetch("SELECT * FROM journeys").to_pylist()

    assert _found(found) == _expected(definition, of_customers(facts, memory.position), None)


@st.composite
def families(draw: st.DrawFn) -> list[Said]:
    """Many words on many keys, some of which have no stream, or only later."""
    names = st.sampled_from("abcdefgh")
    identity = st.one_of(
        st.builds(IdentityLinked, alias=names),
        st.builds(IdentityLinked, alias=names),
        st.builds(IdentityUnlinked, alias=names),
        st.just(Touched(channel="ads", direction="inbound")),
    )
    said = draw(st.lists(st.tuples(names, identity), min_size=8, max_size=25))
    places = st.integers(1, len(said))
    gone = draw(st.dictionaries(places, places, max_size=4))
    return possible(
        Said(customer, event, START, position, retracted_position=gone.get(position))
        for position, (customer, event) in enumerate(said, start=1)
    )


@given(facts=families(), step=st.integers(1, 4), few=st.sampled_from([1_000, 3]))
def test_following_links_in_any_steps_equals_all_at_once(
    memory: FilledTables, facts: list[Said], step: int, few: int
) -> None:
    """However few keys are followed by themselves."""
    memory.load(facts)
    whole = _linked(memory)
    memory.load([])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(identities, "_FEW", few)
        for position in range(0, 30, step):
            memory.follow(facts, position)

    assert _linked(memory) == whole


def _linked(memory: FilledTables) -> list[tuple[Any, ...]]:
    rows = memory.fetch("SELECT * FROM identities").to_pylist()
    return sorted(tuple(str(value) for value in row.values()) for row in rows)


def _answers(memory: FilledTables, definition: Definition, position: int) -> list[Any]:
    cut = Cut(position)
    answers = [
        funnel(memory, cut, definition, by=["channel"], within="7d"),
        stock(memory, cut, definition, by=["trait.plan"]) if _has_plan(memory, position) else None,
        loop(memory, cut, definition, horizon="7d", threshold=1, currency=None)
        if _one_currency(memory)
        else None,
    ]
    return [None if one is None else (one.rows(), one.sentence) for one in answers]


def _has_plan(memory: FilledTables, position: int) -> bool:
    asked = (
        "SELECT count(*) AS n FROM traits_observed WHERE name = 'plan'"
        f" AND position <= {position} AND coalesce(retracted_position, 1000) > {position}"
    )
    return bool(memory.fetch(asked).to_pylist()[0]["n"])


def _one_currency(memory: FilledTables) -> bool:
    asked = "SELECT count(*) AS n FROM order_placed WHERE currency = 'USD'"
    return not memory.fetch(asked).to_pylist()[0]["n"]


@given(
    facts=related(members=False),
    definition=st.sampled_from(DEFINITIONS),
    link=st.tuples(st.integers(0, 20), keys),
    retracts=st.booleans(),
)
def test_an_unlink_restores_every_figure(
    *,
    memory: FilledTables,
    facts: list[Said],
    definition: Definition,
    link: tuple[int, str],
    retracts: bool,
) -> None:
    """And so does the retraction of a link."""
    assume(facts)
    # said where its owner was heard of anyway, for an event is a sign of life of its own
    said, alias = facts[link[0] % len(facts)], link[1]
    last = max(fact.position for fact in facts)
    linked = Said(said.customer, IdentityLinked(alias=alias), said.occurred_at, last + 1)
    assume(possible([*facts, linked])[-1:] == [linked])
    assume(not any(getattr(fact.data, "alias", None) == alias for fact in facts))
    memory.load(facts, definition)
    before = _answers(memory, definition, last)
    if retracts:
        end = Retracted(of_source="test", of_id=str(last + 1))
        undone = [
            replace(linked, retracted_position=last + 2),
            Said(said.customer, end, said.occurred_at, last + 2),
        ]
    else:
        unlinked = IdentityUnlinked(alias=alias)
        undone = [linked, Said(said.customer, unlinked, said.occurred_at, last + 2)]
    assume(said.retracted_position is None)
    memory.load([*facts, *undone], definition)

    right = _expected(definition, of_customers(facts, last), None)
    assert _found(memory.fetch("SELECT * FROM journeys").to_pylist()) == right
    assert _answers(memory, definition, memory.position) == before


@given(
    facts=related(members=False).map(
        lambda found: [f for f in found if not hasattr(f.data, "alias")]
    ),
    definition=st.sampled_from(DEFINITIONS),
    halves=st.lists(st.booleans(), min_size=40, max_size=40),
)
def test_two_halves_of_a_journey_make_the_whole_when_linked(
    memory: FilledTables, facts: list[Said], definition: Definition, halves: list[bool]
) -> None:
    """Wherever it was split: a merge makes no churn, no win-back and no revenue."""
    last = max((fact.position for fact in facts), default=0) + 1
    assume(facts)
    at = facts[0].occurred_at
    link = Said("a", IdentityLinked(alias="web"), at, last)
    memory.load([*facts, link], definition)
    whole = _answers(memory, definition, last)
    split = [
        replace(fact, customer="web") if fact.customer == "a" and half else fact
        for fact, half in zip(facts, halves, strict=False)
    ]
    memory.load([*split, *facts[len(halves) :], link], definition)

    assert _answers(memory, definition, last) == whole


@given(
    facts=related(),
    definition=st.sampled_from(DEFINITIONS),
    then=st.none() | moments,
    unit=st.sampled_from(UNITS),
    by=st.sampled_from([[], ["channel"]]),
)
def test_parts_sum_to_the_whole_for_each_unit(
    *,
    memory: FilledTables,
    facts: list[Said],
    definition: Definition,
    then: datetime | None,
    unit: str,
    by: list[str],
) -> None:
    """entered = reached_next + lost + expired + pending, and intervals hold their share."""
    memory.load(facts, definition)
    cut = Cut(memory.position, then)
    try:
        answer = funnel(memory, cut, definition, unit=unit, by=by, within="30d")
        stands = stock(memory, cut, definition, unit=unit)
    except Refused:
        assert unit in {"account", "opportunity"}
        return

    for row in answer.rows():
        if row["stage"] != STAGES[-1]:
            parts = ("reached_next", "lost", "expired", "pending")
            assert row["entered"] == sum(row[name] or 0 for name in parts)
        if row["conversion"] is not None:
            assert row["conversion_low"] <= row["conversion"] <= row["conversion_high"]
    assert f" {answer.meta['parameters']['unit'][:-1]}" in answer.sentence
    assert stands.columns[1] == {"opportunity": "opportunities"}.get(unit, f"{unit}s")


@pytest.mark.slow
@given(
    facts=related(),
    two=st.tuples(*[st.sampled_from(DEFINITIONS)] * 2),
    then=moments,
    unit=st.sampled_from(UNITS),
)
def test_definitions_are_compared_for_each_unit(
    *,
    memory: FilledTables,
    facts: list[Said],
    two: tuple[Definition, Definition],
    then: datetime,
    unit: str,
) -> None:
    """Where each stands by the one and by the other; who stands elsewhere has a row by name."""
    memory.load(facts)
    cut = Cut(memory.position, then)
    right = of_units(unit, facts, memory.position, then)
    try:
        answer = comparison(memory, cut, two[1], before=two[0], unit=unit)
        movers = comparison(memory, cut, two[1], before=two[0], unit=unit, who=True)
    except Refused:
        assert unit == "account" or not right
        return

    before, after = (_places(definition, right, then, unit) for definition in two)
    found = {
        key: (before.get(key, "no stage"), after.get(key, "no stage")) for key in before | after
    }
    rows = {(row["before"], row["after"]): row[plural(unit)] for row in answer}
    assert rows == Counter(found.values())
    own = {"account": ["account"], "opportunity": ["customer", "opportunity"]}
    keys = own.get(unit, ["customer", "cycle"] if unit == "cycle" else ["customer"])
    assert movers.columns == [*keys, "before", "after"]
    moved = sorted(key for key, (one, other) in found.items() if one != other)
    named = [tuple(row[name] for name in keys) for row in movers]
    assert named == [tuple(key[0].split("\x1f")) + key[1:] for key in moved]


def _places(
    definition: Definition, facts: list[Said], then: datetime, unit: str
) -> dict[tuple[Any, ...], str]:
    """Where each unit stands that has entered a stage."""
    found: dict[tuple[Any, ...], str] = {}
    for key, number, entries, lost in _expected(definition, facts, then):
        entered = [stage for stage, at in zip(STAGES, entries, strict=True) if at is not None]
        own = (key, number) if unit == "cycle" else (key,)
        found[own] = entered[-1] if lost is None else "lost"
    return found


def test_each_unit_has_its_interval(memory: FilledTables) -> None:
    """Two members of one account that go together tell as much as one."""
    said = [
        (f"p{n}", event)
        for n in range(20)
        for event in (
            MembershipStarted(account=f"acme{n // 2}"),
            Touched(channel="ads", direction="inbound"),
            *([Noted(name="lead_created")] if n % 4 < 2 else []),
        )
    ]
    facts = [Said(who, event, START, place) for place, (who, event) in enumerate(said, start=1)]
    later = Said("p0", Noted(name="x"), START.replace(year=2025), len(facts) + 1)
    definition = DEFINITIONS[0]
    memory.load([*facts, later], definition)
    cut = Cut(memory.position)

    persons = funnel(memory, cut, definition).rows()[0]
    accounts = funnel(memory, cut, definition, unit="account").rows()[0]

    assert (persons["mature"], accounts["mature"]) == (20, 10)
    assert persons["conversion"] == accounts["conversion"] == 0.5
    for bound in ("conversion_low", "conversion_high"):
        assert persons[bound] == pytest.approx(accounts[bound])
