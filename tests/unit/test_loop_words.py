"""The closed loop in sentences: numbers, money, and what is in no row."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest

from bowtie.errors import Refused
from bowtie.events import CostIncurred, SpendRecorded, Touched, TraitsObserved
from bowtie_projections.views.cut import utc
from bowtie_projections.views.loop.population import Arrived
from bowtie_projections.views.loop.question import ask
from bowtie_projections.views.loop.words import Said
from tests.loops import B2B, DAY, START, World, fill, source_of

DEFAULTS = {
    "time_zero": "commitment", "horizon": "90d", "top": 0.2, "threshold": None, "value": "revenue",
    "currency": None, "costs_complete": False, "backfill_gap": "7d", "strict_known": False,
    "data_from": None, "data_through": None, "include_truncated": False, "tz": "UTC",
}  # fmt: skip


@pytest.fixture
def world(memory):
    return World(memory)


def said(arrived, longest=None, **asked):
    question = ask(B2B, DEFAULTS | asked)
    end = utc(datetime(2011, 12, 9, tzinfo=UTC))
    return Said(question, arrived, end, longest, {}, None, None, [])


def test_thousands_are_separated_and_one_is_one():
    many = said(Arrived(entered=4338, truncated=1723, kept=2615, mature=1654))
    assert many.sentence() == (
        "2,615 customers by 2011-12-09: 1,654 are counted, each over the first 90d; 961 are too"
        " young for 90d and are left out; 1,723 more may be older than the data and are left out."
        " Every finding is an association, not a cause."
    )
    one = said(Arrived(entered=3, truncated=1, kept=2, mature=1))
    assert "1 is counted" in one.sentence()
    assert "1 is too young for 90d and is left out; 1 more" in one.sentence()


@pytest.mark.parametrize(
    ("arrived", "longest", "note"),
    [
        (
            Arrived(kept=2615),
            276,
            (
                "Only 0 are old enough for 90d, fewer than 100. Ask with horizon=276d, the longest that"
                " leaves 100."
            ),
        ),
        (
            Arrived(kept=60, mature=1),
            None,
            (
                "Only 1 is old enough for 90d, fewer than 100; no horizon leaves 100, for there are"
                " only 60."
            ),
        ),
        (
            Arrived(kept=4000),
            None,
            (
                "Only 0 are old enough for 90d, fewer than 100; no horizon of a day or more leaves 100"
                " yet."
            ),
        ),
    ],
)
def test_too_few_who_are_old_enough(arrived, longest, note):
    assert said(arrived, longest).notes() == [note]


def test_money_has_two_decimals_in_words_and_all_of_them_in_the_figures(world):
    for n in range(120):
        world.customer(f"c{n}", START + n * DAY, f"{15000 + n}.657534")
    answer = world.loop()

    # the twelfth of the sixty of the older half, from above
    assert answer.meta["threshold"] == Decimal("15048.657534")
    assert "High value is 15,048.66 EUR or more of revenue: 72 of them." in answer.sentence
    assert answer.notes[0].startswith(
        "The threshold of 15,048.66 EUR is reached by the top 20% of the 60 paying customers of"
    )
    assert "High value is 0.0004 EUR or more" in world.loop(threshold="0.0004").sentence


def test_ties_are_told_with_their_value(world):
    for n in range(1200):
        world.customer(f"c{n}", START + n * timedelta(hours=1), "1234.5")
    with pytest.raises(
        Refused, match=r"600 paying customers .* 100% of them reach 1,234\.50 EUR\."
    ):
        world.loop()


def test_how_many_tests_were_run(world):
    fill(world, 120)
    (one,) = [note for note in world.loop(threshold=400).notes if "Benjamini" in note]
    assert one.startswith(
        "1 test was run, within acquisition quarter (4 quarters), with no other to correct it for"
    )
    fill(world, 120, size="big")
    world.say("c0", TraitsObserved(traits={"half": None}), START + 500 * DAY)
    for n in range(120):
        observed = TraitsObserved(traits={"third": "xyz"[n % 3]})
        world.say(f"c{n}", observed, START + (n * 3 - 1) * DAY)
    (two,) = [note for note in world.loop(threshold=400).notes if "Benjamini" in note]
    assert two.startswith("2 tests were run, one for each trait, within acquisition quarter")
    assert "and corrected together (Benjamini-Hochberg, m = 2)" in two


def test_no_test_at_all(world):
    fill(world, 20)
    notes = world.loop(threshold=400).notes

    assert "No test was run: no trait has two levels of 30 customers to compare." in notes


def test_the_later_cohorts_begin_at_a_moment_with_a_zone(world):
    fill(world, 40)

    after = world.loop(threshold=400).meta["later_cohorts_after"]
    assert after == START + 19 * 3 * DAY
    assert after.tzinfo is UTC


def test_costs_of_acquiring_that_name_no_channel_are_told(world):
    fill(world, 40)
    for activity, amount in (("acquire", "1000.25"), ("sell", "500.25"), ("serve", "7")):
        cost = CostIncurred(activity=activity, amount=amount, currency="EUR")
        world.say("c0", cost, START + DAY)
    abroad = CostIncurred(activity="sell", amount="12", currency="USD")
    world.say("c1", abroad, START + DAY)
    named = CostIncurred(activity="sell", amount="3", currency="EUR", channel="ads")
    world.say("c1", named, START + DAY)
    early = CostIncurred(activity="sell", amount="9", currency="EUR")
    world.say("c1", early, START - 40 * DAY)
    answer = world.loop(threshold=400, as_of=START + 200 * DAY)

    assert answer.notes[-1] == (
        "1,500.50 EUR and 12 USD of acquiring and selling from 2023-01-01 to 2023-07-20 name no"
        " channel, and are in no row of the sources."
    )
    assert source_of(answer, "ads")["spend"] == 3
    assert not any("name no channel" in note for note in World(world.memory).loop().notes)


def test_one_customer_of_one_month_without_spend(world):
    for n in range(2):
        world.say(f"c{n}", Touched(channel="ads", direction="inbound"), START + n * 31 * DAY)
        world.customer(f"c{n}", START + n * 31 * DAY)
    spend = SpendRecorded(
        activity="acquire", channel="ads", amount="100", currency="EUR", includes_touch_cost=False,
        from_on=date(2023, 1, 1), to_on=date(2023, 1, 31),
    )  # fmt: skip
    world.say("ads", spend, START)

    assert source_of(world.loop(threshold=1), "ads")["reason"] == (
        "1 customer was acquired in 1 month without spend on record, and is not in this row"
    )
