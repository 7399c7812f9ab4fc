"""How often the loop finds something where there is nothing, and whether it finds what there is."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from bowtie_projections.statistics import benjamini_hochberg, lift
from bowtie_projections.stratified import fisher
from bowtie_projections.views.loop.bins import best_split
from bowtie_projections.views.loop.counts import Totals, TraitCounts
from bowtie_projections.views.loop.findings import correct, findings, judge_traits
from bowtie_projections.views.loop.pairs import PairCounts, Pairs, assess_pair, pair_rows

QUARTERS, LATER = 8, np.repeat([0, 1], 4)
MEANING = {"mark", "anti-mark", "not replicated", "can't tell"}


def cells(quarter, high, chosen):
    """The chosen customers, by quarter, part and high."""
    counts = np.zeros((QUARTERS, 2, 2), np.int64)
    np.add.at(counts, (quarter[chosen], LATER[quarter[chosen]], high[chosen]), 1)
    return counts


def trait_of(name, values, quarter, high):
    levels = sorted(set(values.tolist()))
    counts = np.stack([cells(quarter, high, values == level) for level in levels])
    size = len(values)
    costed = np.zeros(len(levels), np.int64)
    return TraitCounts(
        name=name,
        levels=[str(level) for level in levels],
        counts=counts,
        costed=costed,
        distinct=len(levels),
        known=size,
        ever=size,
        assumed=0,
        undated=0,
    )


def answer(traits, quarter, high):
    totals = Totals(
        {(q, ""): q for q in range(QUARTERS)}, cells(quarter, high, quarter >= 0), costed=0
    )
    return findings(judge_traits(traits, totals), totals)


def population(rng, size=800):
    """Customers whose chance of high value falls from quarter to quarter."""
    quarter = rng.integers(0, QUARTERS, size)
    high = (rng.random(size) < 0.35 - 0.03 * quarter).astype(np.int64)
    return quarter, high


def test_false_findings_are_as_rare_as_promised():
    """Twenty traits without meaning, half of them more common among the older customers."""
    rng = np.random.default_rng(42)
    runs, with_findings = 200, 0
    for _ in range(runs):
        quarter, high = population(rng)
        size = len(quarter)
        traits = []
        for number in range(20):
            kinds = 2 if number % 2 else 6
            values = rng.integers(0, kinds, size)
            if number % 4 < 2:  # older customers have level 0 more often
                values = np.where(rng.random(size) < 0.5 - 0.06 * quarter, 0, values)
            traits.append(trait_of(f"t{number}", values, quarter, high))
        rows = answer(traits, quarter, high)
        with_findings += any(row["verdict"] in MEANING for row in rows)

    # with nothing to find, any finding at all is false: 5% of runs, and 3 standard errors
    assert with_findings / runs <= 0.05 + 3 * (0.05 * 0.95 / runs) ** 0.5


def test_what_there_is_is_found_and_the_false_among_the_found_are_few():
    """Five traits with meaning among twenty-five."""
    rng = np.random.default_rng(43)
    shares, found = [], 0
    for _ in range(60):
        quarter, _ = population(rng, 1500)
        size = len(quarter)
        values = rng.integers(0, 2, (25, size))
        chance = 0.1 + 0.09 * values[:5].sum(axis=0) - 0.01 * quarter
        high = (rng.random(size) < chance).astype(np.int64)
        traits = [trait_of(f"t{n}", values[n], quarter, high) for n in range(25)]
        seen = {row["trait"] for row in answer(traits, quarter, high) if row["q"] <= 0.05}
        true = {f"t{n}" for n in range(5)}
        found += len(seen & true)
        shares.append(len(seen - true) / max(len(seen), 1))

    assert np.mean(shares) <= 0.07
    assert found / (60 * 5) > 0.8


def test_one_level_with_meaning_is_told_from_its_neighbours():
    rng = np.random.default_rng(44)
    quarter, _ = population(rng, 3000)
    values = rng.integers(0, 8, 3000)
    high = (rng.random(3000) < np.where(values == 3, 0.45, 0.15)).astype(np.int64)
    rows = {
        row["level"]: row for row in answer([trait_of("t", values, quarter, high)], quarter, high)
    }

    assert rows["3"]["verdict"] == "mark"
    assert rows["3"]["replicated"] is True
    assert not any(row["verdict"] == "mark" for level, row in rows.items() if level != "3")


def test_a_trait_that_is_only_older_changes_sign_or_shows_nothing():
    """Crude it looks good; within quarters there is nothing."""
    rng = np.random.default_rng(45)
    quarter = rng.integers(0, QUARTERS, 4000)
    high = (rng.random(4000) < np.where(quarter < 4, 0.5, 0.1)).astype(np.int64)
    values = (rng.random(4000) < np.where(quarter < 4, 0.8, 0.2)).astype(np.int64)
    trait = trait_of("old", values, quarter, high)
    totals = Totals({(q, ""): q for q in range(QUARTERS)}, trait.counts.sum(axis=0), costed=0)
    (tested,) = judge_traits([trait], totals)
    rows = findings([tested], totals)

    assert tested.p is not None
    assert tested.p_crude is not None
    assert tested.p_crude < 1e-20
    assert tested.p > 0.05
    assert rows[0]["lift"] > 1.2
    assert {row["verdict"] for row in rows} == {"no finding"}


def test_an_effect_that_is_gone_is_not_replicated():
    rng = np.random.default_rng(46)
    quarter = rng.integers(0, QUARTERS, 4000)
    values = rng.integers(0, 2, 4000)
    high = (rng.random(4000) < np.where((values == 1) & (quarter < 4), 0.5, 0.2)).astype(np.int64)
    rows = answer([trait_of("t", values, quarter, high)], quarter, high)

    assert [row["verdict"] for row in rows] == ["not replicated"] * 2
    assert [row["replicated"] for row in rows] == [False, False]


def test_too_few_later_customers_can_not_tell():
    rng = np.random.default_rng(47)
    quarter = np.repeat([1, 5], [1000, 30])
    values = np.concatenate([rng.integers(0, 2, 1000), np.tile([0, 1], 15)])
    high = (rng.random(1030) < np.where(values == 1, 0.35, 0.2)).astype(np.int64)
    high[1000:] = np.tile([0, 0, 1, 1, 0, 0], 5)
    rows = answer([trait_of("t", values, quarter, high)], quarter, high)

    assert rows[0]["q"] <= 0.05
    assert [row["verdict"] for row in rows] == ["can't tell"] * 2
    assert [row["replicated"] for row in rows] == [None, None]


def test_few_customers_are_insufficient_and_cost_no_test():
    rng = np.random.default_rng(48)
    quarter, high = population(rng)
    few = np.where(np.arange(800) < 29, 1, 0)
    noise = rng.integers(0, 2, 800)
    traits = [trait_of("few", few, quarter, high), trait_of("noise", noise, quarter, high)]
    rows = answer(traits, quarter, high)

    assert {row["verdict"] for row in rows if row["trait"] == "few"} == {"insufficient"}
    (p,) = {row["p"] for row in rows if row["trait"] == "noise"}
    assert {row["q"] for row in rows if row["trait"] == "noise"} == {p}


def test_small_levels_count_together_and_nobody_high_finds_nothing():
    quarter, high = np.repeat(np.arange(8), 50), np.zeros(400, np.int64)
    values = np.repeat([0, 1, 2, 3], [180, 180, 20, 20])
    rows = answer([trait_of("t", values, quarter, high)], quarter, high)

    verdicts = {row["level"]: row["verdict"] for row in rows}
    assert verdicts == {
        "0": "no finding", "1": "no finding", "2": "insufficient", "3": "insufficient",
    }  # fmt: skip
    assert all(row["share_of_high"] is None for row in rows)


def numbers_of(name, values, quarter, high):
    """A numeric trait at the best split of the older half, as the view seeks it."""
    older = LATER[quarter] == 0
    tried = np.unique(np.quantile(values[older], np.arange(1, 32) / 32))
    bins = np.searchsorted(tried, values, "right")
    counts = np.zeros((len(tried) + 1, QUARTERS, 2), np.int64)
    np.add.at(counts, (bins[older], quarter[older], high[older]), 1)
    above = (values >= tried[best_split(counts)]).astype(np.int64)
    return replace(trait_of(name, above, quarter, high), split=True)


def test_a_split_without_meaning_is_found_no_more_often_than_promised():
    rng = np.random.default_rng(49)
    runs, with_findings = 80, 0
    for _ in range(runs):
        quarter, high = population(rng, 1000)
        traits = [numbers_of(f"n{n}", rng.random(1000), quarter, high) for n in range(10)]
        with_findings += any(row["verdict"] in MEANING for row in answer(traits, quarter, high))

    assert with_findings / runs <= 0.05 + 3 * (0.05 * 0.95 / runs) ** 0.5


def test_a_split_with_meaning_is_found_and_others_are_not():
    rng = np.random.default_rng(50)
    quarter, _ = population(rng, 3000)
    values = rng.random((2, 3000))
    high = (rng.random(3000) < 0.15 + 0.2 * (values[0] > 0.6)).astype(np.int64)
    rows = answer([numbers_of(f"n{n}", values[n], quarter, high) for n in range(2)], quarter, high)

    assert {row["verdict"] for row in rows if row["trait"] == "n0"} == {"mark", "anti-mark"}
    assert {row["verdict"] for row in rows if row["trait"] == "n1"} == {"no finding"}
    assert sum(row["customers"] for row in rows if row["trait"] == "n0") == (quarter >= 4).sum()


def pair_of(one, two, quarter, high):
    """The counts of two traits of two levels."""
    counts = np.zeros((2, 2, QUARTERS, 2, 2), np.int64)
    np.add.at(counts, (one, two, quarter, LATER[quarter], high), 1)
    return PairCounts(("one", "two"), (["0", "1"], ["0", "1"]), counts)


def test_two_marks_that_merely_add_up_are_no_more_than_each_where_one_means_nothing():
    """Whatever one trait means alone, a pair with one that means nothing is found too seldom."""
    rng = np.random.default_rng(51)
    runs, found = 100, 0
    for _ in range(runs):
        quarter, _ = population(rng, 2000)
        one, two = rng.integers(0, 2, (2, 2000))
        high = (rng.random(2000) < 0.1 + 0.3 * one).astype(np.int64)
        found += (assess_pair(pair_of(one, two, quarter, high), 1.0).p or 1) <= 0.05

    assert found / runs <= 0.05 + 3 * (0.05 * 0.95 / runs) ** 0.5


def test_a_pair_that_tells_more_than_both_levels_is_found():
    rng = np.random.default_rng(52)
    quarter, _ = population(rng, 3000)
    one, two = rng.integers(0, 2, (2, 3000))
    high = (rng.random(3000) < 0.15 + 0.25 * one * two).astype(np.int64)
    tested = assess_pair(pair_of(one, two, quarter, high), 1.2)
    totals = Totals({(q, ""): q for q in range(QUARTERS)}, cells(quarter, high, quarter >= 0), 0)
    pairs = Pairs([tested], left_out=9, least_gain=1.2)
    correct([], pairs, totals)
    rows = pair_rows(pairs, totals)

    assert tested.p is not None
    assert tested.q == pytest.approx(10 * tested.p)
    assert (rows[0]["level"], rows[0]["level_2"], rows[0]["verdict"]) == ("1", "1", "mark")
    assert rows[0]["gain"] == pytest.approx(
        rows[0]["high_rate"] / max(high[one == 1].mean(), high[two == 1].mean())
    )


def test_many_traits_looked_at_one_by_one_seem_to_tell_much():
    """What tools that correct nothing would show of 300 traits without any meaning."""
    rng = np.random.default_rng(53)
    size = 800
    high = rng.random(size) < 0.2
    p, odds = [], []
    for _ in range(300):
        has = rng.random(size) < rng.uniform(0.025, 0.13)
        k, n, wins = int((has & high).sum()), int(has.sum()), int(high.sum())
        if n >= 16:
            f, losses = n - k, size - wins
            odds.append((k + 1) * (losses - f + 1) / ((wins - k + 1) * (f + 1)))
            p.append(fisher(k, n, wins, size))
    ratios = np.array(odds)

    # one in five beyond an odds ratio of 1.5, some under .05, the best ten over 2 on average
    assert (np.maximum(ratios, 1 / ratios) > 1.5).sum() > 50
    assert (np.array(p) < 0.05).sum() >= 5
    assert np.sort(ratios)[-10:].mean() > 2
    assert (benjamini_hochberg(p) <= 0.05).sum() == 0


def test_value_to_date_and_the_immature_make_the_young_look_bad():
    """A trait without meaning that is usual among the young, by what value is counted over."""
    rng = np.random.default_rng(54)
    age = rng.uniform(0, 36, 20_000)
    recent = rng.random(20_000) < 0.5 - 0.4 * (age - 18) / 18
    rate, life = rng.gamma(2.0, 50.0, 20_000), rng.exponential(24.0, 20_000)
    theta = np.quantile(rate * np.minimum(12, life), 0.8)
    to_date, year = rate * np.minimum(age, life), rate * np.minimum(np.minimum(12, age), life)

    def lift_of(high, among):
        h, has = high[among], recent[among]
        return float(lift((h & has).sum(), has.sum(), (h & ~has).sum(), (~has).sum()).estimate)

    assert lift_of(to_date >= np.quantile(to_date, 0.8), age >= 0) == pytest.approx(0.72, abs=0.05)
    assert lift_of(year >= theta, age >= 0) == pytest.approx(0.83, abs=0.05)
    assert lift_of(year >= theta, age >= 12) == pytest.approx(1, abs=0.05)
