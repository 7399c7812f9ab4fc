"""Numeric traits, and what is asked of findings alone, against a reading of the facts in Python."""

from __future__ import annotations

import random
from collections import Counter, defaultdict
from datetime import timedelta
from decimal import Decimal
from math import ceil
from statistics import median
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from bowtie.events import OrderPlaced, StageEntered, Touched, TraitsObserved
from bowtie_projections.known import Observed
from bowtie_projections.traits import read_traits
from bowtie_projections.views.cut import Cut
from bowtie_projections.views.loop.bins import find_bins
from bowtie_projections.views.loop.counts import read_levels, read_totals
from bowtie_projections.views.loop.population import Population
from bowtie_projections.views.loop.question import ask
from bowtie_projections.views.loop.tally import judged, tally
from bowtie_projections.views.loop.traced import BLOCKS, Leveling, Traced
from bowtie_projections.views.loop.tracing import prospect_rows
from bowtie_projections.views.units import Units
from tests.loops import B2B, DAY, START
from tests.read_tables import Said

HORIZON = timedelta(days=30)
RULES = {"seats": {"bins": 3}, "size": {"bins": [10, 50.5]}}
ASKED = {
    "time_zero": "commitment", "horizon": "30d", "top": 0.2, "threshold": 20, "value": "revenue",
    "currency": None, "costs_complete": False, "backfill_gap": "7d", "strict_known": False,
    "data_from": None, "data_through": None, "include_truncated": False, "tz": "UTC",
}  # fmt: skip
NUMBERS = ("1", "2", "7.5", "10", "50.5", "1e2", "-3", "many", 7, 20, 60.25, True)


def a_log(rng: random.Random, customers: int) -> tuple[list[Said], list[dict]]:
    """The facts, and of each customer what is true of them."""
    facts: list[Said] = []
    people: list[dict] = []

    def say(customer, data, at):
        facts.append(Said(customer, data, at, len(facts) + 1, at))

    for number in range(customers):
        name, t0 = f"c{number}", START + timedelta(hours=rng.randrange(24 * 200))
        person: dict[str, Any] = {
            "t0": t0,
            "worth": 0,
            "source": None,
            "campaign": None,
            "committed": False,
        }
        traits = {"seats": rng.choice(NUMBERS), "size": rng.choice((*NUMBERS, None))}
        traits["fit"] = rng.choice(("a", "b", "other", "(missing)"))
        if rng.random() < 0.8:
            person["source"], person["campaign"] = rng.choice("xy"), rng.choice("pq")
            touch = Touched(
                channel=person["source"], direction="inbound", campaign=person["campaign"]
            )
            say(name, touch, t0 - 2 * DAY)
        say(name, TraitsObserved(traits=traits), t0 - DAY)
        if rng.random() < 0.3:  # said again: the newer counts
            traits["seats"] = rng.choice(NUMBERS)
            say(name, TraitsObserved(traits={"seats": traits["seats"]}), t0 - DAY / 2)
        person["traits"] = {key: _text(value) for key, value in traits.items()}
        say(name, StageEntered(stage="education"), t0)
        if rng.random() < 0.7:
            person["committed"] = True
            say(name, StageEntered(stage="commitment"), t0)
            for _ in range(rng.randrange(3)):
                amount, day = rng.randrange(1, 30), rng.randrange(45)
                order = OrderPlaced(order="o", kind="order", amount=amount, currency="EUR")
                say(name, order, t0 + day * DAY)
                person["worth"] += amount if day < 30 else 0
        people.append(person)
    return facts, people


def _text(value):
    return str(value).lower() if isinstance(value, bool) else None if value is None else str(value)


def _number(text):
    try:
        return float(text)
    except (TypeError, ValueError):
        return None


def level_by_hand(value, cuts):
    """The level of a numeric trait."""
    if value is None:
        return "(missing)"
    if (number := _number(value)) is None:
        return "(no number)"
    told = [f"{cut:.15g}" for cut in cuts]
    place = sum(number >= cut for cut in cuts)
    if place == 0:
        return f"under {told[0]}" if told else "any number"
    return (
        f"{told[-1]} or more" if place == len(cuts) else f"{told[place - 1]} to under {told[place]}"
    )


def cuts_by_hand(values, bins):
    numbers = sorted(number for number in map(_number, values) if number is not None)
    found = {numbers[ceil(len(numbers) * place / bins) - 1] for place in range(1, bins) if numbers}
    return tuple(sorted(cut for cut in found if cut > numbers[0]))


@given(st.randoms(use_true_random=False), st.integers(3, 30))
def test_levels_of_numbers_and_all_that_stands_on_them(memory, rng, customers):
    log, people = a_log(rng, customers)
    memory.load(log, B2B)
    as_of = START + 260 * DAY
    cut, question = Cut(memory.position, as_of), ask(B2B, ASKED)
    bought = [one for one in people if one["committed"]]
    if not bought:
        return
    population = Population.of(Units.of(memory, cut, "customer"), cut, B2B, question)
    observed = Observed.of(memory, cut, question.gap, read_traits(RULES))
    bins = find_bins(memory, judged(population), observed)

    assert bins["size"].cuts == (10.0, 50.5)
    assert bins["seats"].cuts == cuts_by_hand([one["traits"]["seats"] for one in bought], 3)

    table = memory.fetch(tally(population, observed, bins))
    rows = table.to_pylist()
    totals = read_totals(table.filter([row["name"] is None for row in rows]))
    counts = read_levels(table.filter([row["name"] is not None for row in rows]), totals, bins)
    for one in people:
        levels = one["levels"] = {"fit": one["traits"]["fit"]}
        if levels["fit"] in {"other", "(missing)"}:
            levels["fit"] += " (value)"
        for name in ("seats", "size"):
            levels[name] = level_by_hand(one["traits"][name], bins[name].cuts)
    own = [trait for trait in counts if trait.name in RULES or trait.name == "fit"]
    for trait in own:
        expected = Counter(one["levels"][trait.name] for one in bought)
        assert dict(zip(trait.levels, trait.sizes.tolist(), strict=True)) == expected
        assert trait.counts.sum() == len(bought)

    leveling = Leveling(observed, bins, own)
    traced = Traced.of(population, leveling)
    check_worths(traced, bought)
    check_sources(traced, bought)
    check_pairs(traced.pairs(totals), bought)
    check_prospects(population, leveling, people)


def check_worths(traced, bought):
    by_level = defaultdict(list)
    for one in bought:
        for place, trait in enumerate(traced.traits):
            by_level[place, one["levels"][trait.name]].append(one["worth"])
    found = {(row["place"], row["level"]): row for row in traced.worths()}
    assert found.keys() == by_level.keys()
    for key, worths in by_level.items():
        row = found[key]
        assert row["customers"] == len(worths)
        assert [row[name] / 365 for name in ("worth", "largest", "middles")] == [
            Decimal(sum(worths)), Decimal(max(worths)), 2 * Decimal(median(worths)),
        ]  # fmt: skip
    for place, (trait, sums) in enumerate(zip(traced.traits, traced.blocks(), strict=True)):
        assert sums.shape == (2, len(trait.levels), BLOCKS)
        for at, level in enumerate(trait.levels):
            worths = by_level[place, level]
            assert sums[:, at].sum(axis=1).tolist() == [sum(worths) * 365, len(worths)]


def check_sources(traced, bought):
    for by, key in (("channel", "source"), ("campaign", "campaign")):
        expected: Counter = Counter()
        high: Counter = Counter()
        for one in bought:
            for place, trait in enumerate(traced.traits):
                at = (place, one["levels"][trait.name], one[key])
                expected[at] += 1
                high[at] += one["worth"] >= 20
        found = {(r["place"], r["level"], r["source"]): r for r in traced.origins(by)}
        assert {at: row["customers"] for at, row in found.items()} == expected
        assert {at: row["high"] for at, row in found.items()} == high


def check_pairs(pairs, bought):
    assert len(pairs) == 3
    for pair in pairs:
        first, second = pair.names
        expected = Counter((one["levels"][first], one["levels"][second]) for one in bought)
        sizes = pair.counts.sum(axis=(2, 3, 4))
        for at, level in enumerate(pair.levels[0]):
            for other, level_2 in enumerate(pair.levels[1]):
                assert sizes[at, other] == expected[level, level_2]
        assert pair.counts[..., 1].sum() == sum(one["worth"] >= 20 for one in bought)


def check_prospects(population, leveling, people):
    leads = [one for one in people if not one["committed"]]
    asked = [
        {"trait": trait.name, "level": level, "verdict": "mark", "share_of_customers": 0.5}
        for trait in leveling.traits
        for level in trait.levels
    ]
    for row in prospect_rows(population, leveling, "education", asked):
        has = sum(one["levels"][row["trait"]] == row["level"] for one in leads)
        assert row["prospects"] == has
        assert row["share_of_prospects"] == (has / len(leads) if leads else None)
        assert (row["reason"] is None) == bool(leads)
