"""Findings of the closed loop: targets, protected names, numbers, pairs, and what became of them."""

from __future__ import annotations

from decimal import Decimal

import pytest

from bowtie.errors import Refused, UsageError
from bowtie.events import CostIncurred, StageEntered, Touched, TraitsObserved
from bowtie_projections.explaining import explanation
from bowtie_projections.views.cut import Cut
from tests.loops import B2B, DAY, START, World, fill, rows_of, trait_of


@pytest.fixture
def world(memory):
    return World(memory)


def planted(world, count=400, later=True, **more):
    """Customers over a year of whom those with ``good`` are worth more, in both halves."""
    for n in range(count):
        good = n % 3 == 0
        fine = (n * 7919) % 10 < (6 if good and (later or n < count / 2) else 2)
        t0 = START + n * DAY * 0.9
        touch = Touched(
            channel="ads" if n % 2 else "web", campaign=f"c{n % 4}", direction="inbound"
        )
        world.say(f"c{n}", touch, t0 - DAY)
        world.customer(f"c{n}", t0, "500" if fine else "50", good=good, seats=n % 40, **more)


def test_a_finding_has_its_worth_its_sources_and_its_prospects(world):
    planted(world)
    for n in range(10):
        lead = f"lead{n}"
        world.say(lead, TraitsObserved(traits={"good": n < 4}), START + 390 * DAY)
        world.say(lead, StageEntered(stage="education"), START + 391 * DAY)
    answer = world.loop(threshold=400)

    assert rows_of(answer, "good")["true"]["verdict"] == "mark"
    value = rows_of(answer.part("values"), "good")["true"]
    high = rows_of(answer, "good")["true"]["high"]
    mean = (Decimal(high) * 500 + (134 - high) * 50) / 134
    assert value["value_mean"] == mean.quantize(Decimal("0.000001"))
    # each is rounded once
    difference = value["value_mean"] - value["value_mean_others"]
    assert abs(value["difference"] - difference) <= Decimal("0.000001")
    assert value["difference_low"] < value["difference"] < value["difference_high"]
    assert value["value_median"] == 500
    origins = [row for row in answer.part("origins").rows() if row["level"] == "true"]
    for by, sources in (("channel", 2), ("campaign", 4)):
        own = [row for row in origins if row["by"] == by]
        assert len(own) == sources
        assert sum(row["customers"] for row in own) == 134
        assert sum(row["high"] for row in own) == high
        assert sum(row["share"] for row in own) == pytest.approx(1)
    prospect = rows_of(answer.part("prospects"), "good")["true"]
    assert (prospect["prospects"], prospect["share_of_prospects"]) == (4, 0.4)


def test_without_findings_nothing_is_traced(world):
    for n in range(120):
        world.customer(f"c{n}", START + n * DAY, "500" if n % 4 < 2 else "50", half="ab"[n % 2])
    answer = world.loop(threshold=400)

    assert {row["verdict"] for row in answer.rows()} <= {"no finding", "insufficient"}
    assert all(len(answer.part(name)) == 0 for name in ("values", "origins", "prospects"))
    assert "pairs" not in answer.parts


def test_one_customer_who_makes_the_difference_is_pointed_out(world):
    planted(world, 200)
    world.order("c0", START + DAY, "1000000")
    answer = world.loop(threshold=400)

    value = rows_of(answer.part("values"), "good")["true"]
    assert value["difference"] > 5000
    assert value["difference_without_one"] < 1000
    (note,) = [note for note in answer.notes if "on one customer" in note]
    assert note.startswith("The mean value of good = true")


def test_low_value_is_up_to_the_share_of_the_lowest(world):
    for n in range(200):
        world.customer(f"c{n}", START + n * DAY * 0.9, str(100 + n), half="ab"[n % 2])
    answer = world.loop(target="low", top=0.2)

    # the twentieth of the hundred of the older half, from below
    assert answer.meta["threshold"] == 119
    assert answer.meta["low"] == 20
    assert "Low value is 119 EUR or less of revenue: 20 of them." in answer.sentence
    assert answer.notes[0] == "A mark goes with low value here: it says whom not to acquire."
    assert answer.notes[1].startswith("The threshold of 119 EUR is not passed by the lowest 20%")
    assert {"low", "low_rate", "low_rate_high", "share_of_low"} <= set(answer.columns)
    assert "cost_per_low" in answer.part("sources").columns
    assert not any(name.startswith("high") for name in answer.columns)
    assert sum(row["low"] for row in rows_of(answer, "half").values()) == 20


def test_ties_at_the_bottom_are_refused(world):
    for n in range(100):
        world.customer(f"c{n}", START + n * DAY, "100")
    with pytest.raises(Refused, match=r"lowest 20% .* 100% of them do not pass 100 EUR"):
        world.loop(target="low")


def test_unprofitable_is_a_contribution_under_nought(world):
    for n in range(120):
        world.customer(f"c{n}", START + n * DAY, "100", half="ab"[n % 2])
        cost = CostIncurred(activity="serve", amount="130" if n % 4 == 0 else "100", currency="EUR")
        world.say(f"c{n}", cost, START + (n + 1) * DAY)
    answer = world.loop(target="unprofitable")

    assert answer.meta["unprofitable"] == 30
    assert answer.meta["parameters"]["value"] == "contribution"
    assert "Unprofitable is less than 0 of contribution: 30 of them." in answer.sentence
    assert sum(row["unprofitable"] for row in rows_of(answer, "half").values()) == 30


def test_protected_names_are_listed_and_not_asked_unless_declared(world):
    fill(world, 60, Gender="x", age=3)
    answer = world.loop(threshold=400)
    for name in ("Gender", "age"):
        assert (trait_of(answer, name)["use"], trait_of(answer, name)["kind"]) == (
            "refused", "protected",
        )  # fmt: skip
        assert not rows_of(answer, name)
    assert "Gender, age: refused, for they are protected by default" in "\n".join(answer.notes)

    answer = world.loop(threshold=400, traits={"age": {"kind": "fit"}})
    assert trait_of(answer, "age")["use"] != "refused"
    assert trait_of(answer, "Gender")["use"] == "refused"


def test_numbers_are_cut_as_the_file_says(world):
    for n in range(120):
        world.customer(f"c{n}", START + n * DAY, "500" if n % 4 < 2 else "50", seats=n % 40)
    rows = rows_of(world.loop(threshold=400, traits={"seats": {"bins": [10, 25]}}), "seats")
    assert {level: row["customers"] for level, row in rows.items()} == {
        "under 10": 30, "10 to under 25": 45, "25 or more": 45,
    }  # fmt: skip

    answer = world.loop(threshold=400, traits={"seats": {"bins": 4}})
    sizes = [row["customers"] for row in rows_of(answer, "seats").values()]
    assert sorted(sizes) == [27, 30, 30, 33]
    assert trait_of(answer, "seats")["reason"] == "cut at 9, 19, 29"
    assert "its values are numbers" in trait_of(world.loop(threshold=400), "seats")["reason"]


def test_a_split_is_sought_in_the_older_half_and_tested_in_the_newer(world):
    for n in range(500):
        seats = (n * 7919) % 50
        fine = (n * 104729) % 10 < (7 if seats >= 30 else 2)
        world.customer(f"c{n}", START + n * DAY * 0.72, "500" if fine else "50", seats=seats)
    answer = world.loop(threshold=400, traits={"seats": {"split": True}})
    rows = rows_of(answer, "seats")

    assert sum(row["customers"] for row in rows.values()) == 250
    (best,) = [level for level, row in rows.items() if row["verdict"] == "mark"]
    assert best in {"29 or more", "30 or more", "31 or more"}
    assert rows[best]["replicated"] is True
    cut = best.split()[0]
    assert trait_of(answer, "seats")["reason"] == (
        f"split at {cut}, sought in the older half and tested in the newer alone"
    )
    told = explanation(
        world.memory, Cut(world.memory.position, START + 400 * DAY), B2B, view="loop",
        cell={"trait": "seats", "level": best}, column="high", horizon="30d", threshold=400,
        traits={"seats": {"split": True}},
    )  # fmt: skip
    assert told.meta["members"] == rows[best]["high"]


def test_a_split_that_turns_is_not_replicated(world):
    for n in range(500):
        seats = (n * 7919) % 50
        good = (seats >= 25) == (n < 250)
        fine = (n * 104729) % 10 < (8 if good else 2)
        world.customer(f"c{n}", START + n * DAY * 0.72, "500" if fine else "50", seats=seats)
    answer = world.loop(threshold=400, traits={"seats": {"split": True}})

    assert {row["verdict"] for row in rows_of(answer, "seats").values()} == {"not replicated"}


def test_a_pair_that_tells_more_than_both_is_found(world):
    for n in range(600):
        one, two = n % 2 == 0, n // 2 % 2 == 0
        fine = (n * 104729) % 100 < (75 if one and two else 20)
        amount = "500" if fine else "50"
        world.customer(f"c{n}", START + n * DAY * 0.6, amount, one=one, two=two, noise=n % 3)
    answer = world.loop(threshold=400, pairs=True)

    assert answer.meta["tests"] == 6
    (note,) = [note for note in answer.notes if "Benjamini" in note]
    assert "6 tests were run, 3 traits and 3 pairs" in note
    rows = answer.part("pairs").rows()
    best = rows[0]
    assert {(best["trait"], best["level"]), (best["trait_2"], best["level_2"])} == {
        ("one", "true"), ("two", "true"),
    }  # fmt: skip
    assert (best["verdict"], best["customers"]) == ("mark", 150)
    assert best["gain"] > 1.4
    assert not any("noise" in {row["trait"], row["trait_2"]} for row in rows)
    assert not len(world.loop(threshold=400, pairs=True, least_gain=3).part("pairs"))


def test_rows_may_come_by_the_shrunk_rate(world):
    planted(world)
    answer = world.loop(threshold=400, rank="shrunk")
    rates = [row["high_rate_shrunk"] for row in answer.rows() if row["verdict"] == "no finding"]

    assert rates == sorted(rates, reverse=True)
    for row in answer.rows():
        base = answer.meta["high"] / answer.meta["mature"]
        assert abs(row["high_rate_shrunk"] - base) <= abs(row["high_rate"] - base) + 1e-12


@pytest.mark.parametrize(
    ("asked", "error"),
    [
        ({"target": "bad"}, "target is 'bad'"),
        ({"target": "unprofitable", "threshold": 5}, "has no other threshold"),
        ({"pairs": True, "least_gain": 0.5}, "least_gain is 0.5; write a factor from 1 on"),
        ({"rank": "p"}, "rank is 'p'"),
        ({"traits": {"seats": {"bins": 1}}}, r"\[seats\]: bins is 1; write how many \(2 to 20\)"),
        ({"traits": {"seats": {"bins": [5, 5]}}}, "each above the one before"),
        ({"traits": {"seats": {"bins": 3, "split": True}}}, "say one of them"),
        ({"traits": {"seats": {"split": 1}}}, "split is true or false"),
    ],
)
def test_what_can_not_be_asked_of_findings_says_so(world, asked, error):
    fill(world, 8)
    with pytest.raises(UsageError, match=error):
        world.loop(**{"threshold": 400} | asked)
