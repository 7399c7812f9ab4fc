"""What the closed loop takes a trait to be at time zero, where it was told more than once."""

from __future__ import annotations

import pytest

from bowtie.events import TraitsObserved
from tests.loops import DAY, START, World, trait_of
from tests.read_tables import MemoryTables

TIMELESS = {"country": {"kind": "fit", "timeless": True}}


@pytest.fixture(scope="module")
def memory():
    return MemoryTables()


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
