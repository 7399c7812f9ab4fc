"""What the closed loop takes a trait to be at time zero, where it was told more than once."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from bowtie.errors import Refused
from bowtie.events import Touched, TraitsObserved
from bowtie_projections.views.cut import Cut
from bowtie_projections.views.loop import loop
from tests.loops import B2B, DAY, START, World, rows_of, source_of, trait_of

TIMELESS = {"country": {"kind": "fit", "timeless": True}}


@pytest.fixture
def world(memory):
    return World(memory)


def test_a_timeless_trait_seen_again_was_known_all_the_same(world):
    for n in range(80):
        country = {"country": "de" if n % 2 else "fr"}
        world.customer(f"c{n}", START + n * DAY, **country)
        for days in (5, 9):
            world.say(f"c{n}", TraitsObserved(traits=country), START + (n + days) * DAY)
    answer = world.loop(threshold=1, traits=TIMELESS)

    country = trait_of(answer, "country")
    assert (country["known"], country["ever"], country["reason"]) == (80, 80, None)


@pytest.mark.parametrize(
    ("before", "after", "level", "known"),
    [
        (["de"], ["fr"], "de", 1),
        (["de", None], ["fr"], "fr", 0),
        ([None], ["fr", "de"], "de", 0),
        (["de"], [None], "de", 1),
        (["de", None], [None], "(missing)", 0),
        ([None], [], "(missing)", 0),
        ([], ["fr", None], "(missing)", 0),
    ],
)
def test_of_a_timeless_trait_the_newest_known_counts_then_the_newest_of_all(
    world, before, after, level, known
):
    t0 = START + 20 * DAY
    world.customer("a", t0)
    for n, value in enumerate(before):
        world.say("a", TraitsObserved(traits={"country": value}), t0 - (9 - n) * DAY)
    for n, value in enumerate(after):
        world.say("a", TraitsObserved(traits={"country": value}), t0 + (1 + n) * DAY)
    answer = world.loop(threshold=1, traits=TIMELESS)

    assert [row["level"] for row in answer.rows() if row["trait"] == "country"] == [level]
    country = trait_of(answer, "country")
    assert (country["known"], country["ever"]) == (known, int(level != "(missing)"))


def test_a_trait_first_told_to_be_unknown_and_learnt_later_is_a_leak(world):
    world.customer("a", START + 20 * DAY, tier=None)
    world.say("a", TraitsObserved(traits={"tier": "gold"}), START + 30 * DAY)
    answer = world.loop(threshold=1)

    tier = trait_of(answer, "tier")
    assert (tier["use"], tier["known"], tier["ever"]) == ("leak", 0, 1)


def loop_of_days(world, **asked):
    """The loop over a log in which only the days of touches and traits are known."""
    world.memory.load(world.facts, B2B)
    for table in ("traits_observed", "touched"):
        world.memory.execute(f"update {table} set time_precision = 'day'")
    cut = Cut(world.memory.position, START + 400 * DAY)
    return loop(world.memory, cut, B2B, horizon="30d", threshold=1, **asked)


@pytest.mark.parametrize("zone", ["Europe/Berlin", "America/New_York", "Asia/Kolkata", "UTC"])
def test_a_fact_of_a_day_is_known_from_the_end_of_its_senders_day(world, zone):
    day = datetime(2023, 1, 5, tzinfo=ZoneInfo(zone))
    end = datetime(2023, 1, 6, tzinfo=ZoneInfo(zone)).astimezone(UTC)
    touch = Touched(channel="fair", direction="inbound", campaign="spring")
    for name, t0 in (("early", end - timedelta(microseconds=1)), ("late", end)):
        world.say(name, TraitsObserved(traits={"size": "big"}), day, recorded=day)
        world.say(name, touch, day, recorded=day)
        world.customer(name, t0)
    answer = loop_of_days(world)

    for trait, level in (("size", "big"), ("channel", "fair"), ("campaign", "spring")):
        customers = {name: row["customers"] for name, row in rows_of(answer, trait).items()}
        assert customers == {level: 1, "(missing)": 1}


@pytest.mark.parametrize(
    ("recorded", "known", "seen"),
    [
        (-1, None, True),
        (1, None, False),  # told after the sale
        (90, None, True),  # history loaded later
        (1, -1, True),
        (-1, 1, False),
        (90, 1, False),
    ],
)
def test_a_first_touch_is_known_as_any_trait_is(world, recorded, known, seen):
    t0 = START + 20 * DAY
    touch = Touched(channel="fair", direction="inbound", campaign="spring")
    known_from = known and t0 + known * DAY
    world.say("a", touch, t0 - 2 * DAY, recorded=t0 + recorded * DAY, known=known_from)
    world.customer("a", t0)
    answer = world.loop(threshold=1)

    for name, value in (("channel", "fair"), ("campaign", "spring")):
        trait = trait_of(answer, name)
        assert (trait["known"], trait["ever"]) == (int(seen), 1)
        assert (trait["use"] == "leak") is not seen
        assert list(rows_of(answer, name)) == [value if seen else None]
    assert source_of(answer, "fair")["mature"] == 1


def test_what_is_learnt_of_earlier_touches_takes_no_place_of_the_one_known(world):
    t0 = START + 20 * DAY
    known = Touched(channel="ads", direction="inbound")
    learnt = Touched(channel="fair", direction="inbound", campaign="spring")
    world.say("a", known, t0 - 2 * DAY)
    world.say("a", learnt, t0 - 5 * DAY, recorded=t0 + DAY)
    world.customer("a", t0)
    answer = world.loop(threshold=1)

    assert list(rows_of(answer, "channel")) == ["ads"]
    assert (trait_of(answer, "channel")["known"], trait_of(answer, "campaign")["use"]) == (
        1,
        "leak",
    )
    assert source_of(answer, "fair")["mature"] == 1


def test_first_touches_loaded_later_are_counted_as_assumed(world):
    world.say("a", Touched(channel="fair", direction="inbound"), START, recorded=START + 90 * DAY)
    world.customer("a", START + 20 * DAY)

    assert trait_of(world.loop(threshold=1), "channel")["assumed"] == 1
    assert trait_of(world.loop(threshold=1, backfill_gap="100d"), "channel")["use"] == "leak"
    with pytest.raises(Refused, match="strict_known"):
        world.loop(threshold=1, strict_known=True)
