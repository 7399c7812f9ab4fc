"""How often the loop finds something where there is nothing, and whether it finds what there is."""

from __future__ import annotations

import numpy as np

from bowtie_projections.views.loop.counts import Totals, TraitCounts
from bowtie_projections.views.loop.findings import findings, judge_traits

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
