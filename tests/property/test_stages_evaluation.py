"""Laws of the stages of one customer, over made-up journeys full of ties and edges."""

from __future__ import annotations

from datetime import timedelta, timezone
from itertools import pairwise

import pytest
from hypothesis import Phase, find, given, settings
from hypothesis import strategies as st

from bowtie.events import StageEntered
from bowtie.stages import STAGES, evaluate
from tests.naive_stages import FOREVER, naive
from tests.stages import EVERY_KIND, Happened, definitions, journeys, moments

ZONES = st.sampled_from([timezone(timedelta(hours=h)) for h in (-11, 0, 5, 14)])


@given(definitions, journeys(), st.randoms(use_true_random=False), ZONES)
def test_neither_order_nor_zone_matter(definition, journey, random, zone):
    mixed = [Happened(f.data, f.occurred_at.astimezone(zone), f.position) for f in journey]
    random.shuffle(mixed)
    assert evaluate(definition, mixed) == evaluate(definition, journey)


@given(definitions, journeys(), moments)
def test_what_happens_later_changes_nothing_of_then(definition, journey, then):
    by_then = [fact for fact in journey if fact.occurred_at <= then]
    assert evaluate(definition, journey, then) == evaluate(definition, by_then, then)


@given(definitions, journeys(), moments)
def test_an_end_that_is_seen_is_the_same_with_and_without_a_moment(definition, journey, then):
    by_then = [fact for fact in journey if fact.occurred_at <= then]
    told = evaluate(definition, by_then)
    if all(c.lost_seen_at is None or c.lost_seen_at <= then for c in told):
        assert evaluate(definition, journey, then) == told
    assert all(
        not c.lost_at or not c.lost_seen_at or c.lost_at <= c.lost_seen_at <= then
        for c in evaluate(definition, journey, then)
    )


@given(definitions, journeys())
def test_the_far_future_knows_all(definition, journey):
    assert evaluate(definition, journey, FOREVER) == evaluate(definition, journey)


@given(definitions, journeys())
def test_cycles_follow_on_each_other(definition, journey):
    cycles = evaluate(definition, journey)
    assert [c.number for c in cycles] == list(range(1, len(cycles) + 1))
    by_position = {fact.position: fact for fact in journey}
    for cycle in cycles:
        assert cycle.opened_at == min(cycle.entries.values())
        assert set(cycle.entries) == set(cycle.latest) == set(cycle.caused_by)
        assert list(cycle.entries) == [stage for stage in STAGES if stage in cycle.entries]
        assert all(cycle.entries[s] <= cycle.latest[s] for s in cycle.entries)
        assert all(
            by_position[p].occurred_at == cycle.entries[s] for s, p in cycle.caused_by.items()
        )
        assert cycle.lost_at is None or max(cycle.latest.values()) <= cycle.lost_at
    for earlier, later in pairwise(cycles):
        assert earlier.lost_at is not None
        assert earlier.lost_at < later.opened_at


@given(definitions, journeys(), st.sampled_from(STAGES), moments)
def test_a_stage_the_sender_names_is_entered(definition, journey, stage, when):
    named = Happened(StageEntered(stage=stage), when, len(journey) + 1)
    cycles = evaluate(definition, [*journey, named])
    assert any(c.entries[stage] <= when <= c.latest[stage] for c in cycles if stage in c.entries)


@given(definitions, journeys(), st.none() | moments)
def test_the_rules_read_naively_say_the_same(definition, journey, then):
    found = [
        (
            c.opened_at,
            dict(c.entries),
            dict(c.latest),
            c.lost_at,
            c.lost_seen_at,
            c.lost_side,
        )
        for c in evaluate(definition, journey, then)
    ]
    assert found == naive(definition, journey, then)


@pytest.mark.parametrize(
    "wanted",
    [
        lambda cycles: any(cycle.lost_side == "left" for cycle in cycles),
        lambda cycles: any(cycle.lost_side == "right" for cycle in cycles),
        lambda cycles: any(len(cycle.entries) >= 5 for cycle in cycles),
        lambda cycles: len(cycles) >= 2,
    ],
    ids=["lost on the left", "lost on the right", "five stages", "win-back"],
)
def test_the_journeys_made_up_reach_what_the_rules_are_about(wanted):
    settled = settings(database=None, phases=[Phase.generate], max_examples=1000)
    assert find(journeys(), lambda j: wanted(evaluate(EVERY_KIND, j)), settings=settled)
