"""What a score of prospects is made of: levels, weights, penalties, and how it is judged."""

from __future__ import annotations

import math

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from bowtie_projections.views.prospects.features import RARE, Feature, learnt_levels
from bowtie_projections.views.prospects.model import chosen_penalty, fitted
from bowtie_projections.views.prospects.quality import auc, deciles, judged


def codes_of(*counts: int) -> np.ndarray:
    """So many looks of each level, in order; of level -1 first."""
    return np.repeat(np.arange(-1, len(counts) - 1), counts)


def test_rare_levels_are_together_and_missing_is_one_of_its_own():
    codes = codes_of(5, RARE, RARE - 1, 3, 40)
    found = learnt_levels(Feature("size", ["a", "b", "c", "d"], codes), np.arange(codes.size))
    assert found.levels == ["a", "d", "other", "(missing)"]
    assert np.bincount(found.codes).tolist() == [RARE, 40, RARE - 1 + 3, 5]


def test_a_level_that_nobody_learnt_from_had_is_no_level():
    codes = codes_of(0, 50, 50, 1)
    rows = np.arange(100)
    found = learnt_levels(Feature("size", ["a", "b", "new"], codes), rows)
    assert (found.levels, found.codes[-1]) == (["a", "b"], -1)
    model = fitted([Feature("size", ["a", "b", "new"], codes)], rows, rows % 3 == 0, 1.0)
    assert model.parts(np.array([100])).tolist() == [[0.0]]
    assert model.chances(np.array([100]))[0] == pytest.approx(1 / 3, abs=0.01)


def test_numbers_are_cut_into_fifths_of_those_learnt_from():
    numbers = np.array([*range(200), math.nan, 1000.0])
    found = learnt_levels(Feature("amount", numbers=numbers), np.arange(200))
    assert found.levels == ["under 39", "39 to 79", "79 to 119", "119 to 159", "159 or more"]
    assert np.bincount(found.codes[:200]).tolist() == [39, 40, 40, 40, 41]
    assert found.codes[200:].tolist() == [-1, 4]


def test_a_rare_part_of_numbers_joins_its_neighbour():
    """So who is beyond all that was learnt from is like the nearest, not like the average."""
    numbers = np.repeat([1.0, 5.0, 15.0, 25.0, 99.0], [RARE, RARE + 5, RARE - 1, RARE - 5, 1])
    feature = Feature("days", numbers=numbers, borders=(2.0, 10.0, 20.0, 50.0))
    found = learnt_levels(feature, np.arange(numbers.size - 1))
    assert found.levels == ["under 2", "2 to 10", "10 or more"]
    assert np.bincount(found.codes).tolist() == [RARE, RARE + 5, 2 * RARE - 5]
    few = learnt_levels(feature, np.arange(RARE + 1))
    assert (few.levels, set(few.codes)) == (["any"], {0})


def test_weights_are_those_of_the_population_and_average_to_nothing():
    """Without much of a penalty a scorecard of one feature gives back the shares."""
    codes = np.repeat([0, 1], [4000, 1000])
    happened = np.arange(5000) % 10 < np.where(codes == 0, 2, 6)
    model = fitted([Feature("half", ["a", "b"], codes)], np.arange(5000), happened, 1e6)
    assert model.chances(np.array([0, 4999])) == pytest.approx([0.2, 0.6], abs=1e-3)
    assert float(model.weights[0] @ model.counts[0]) == pytest.approx(0, abs=1e-9)


def test_noise_is_shrunk_away_and_a_signal_is_not():
    rng = np.random.default_rng(1)
    size, t0 = 800, np.arange(800)
    noise = [Feature(f"n{n}", list("abcdefgh"), rng.integers(0, 8, size)) for n in range(8)]
    real = Feature("real", ["a", "b"], rng.integers(0, 2, size))
    nothing = rng.random(size) < 0.3
    told = rng.random(size) < np.where(real.codes == 0, 0.1, 0.6)
    rows = np.arange(size)
    assert chosen_penalty(noise, rows, nothing, t0) <= 0.01
    assert chosen_penalty([real], rows, told, t0) >= 0.1


def test_a_penalty_is_chosen_by_what_comes_later_only():
    """A level that meant one thing in the first half and the contrary in the second is no help."""
    codes = np.tile([0, 1], 1000)
    late = np.arange(2000) >= 1000
    happened = np.arange(2000) % 20 < np.where((codes == 0) ^ late, 15, 5)
    feature = Feature("turned", ["a", "b"], codes)
    assert chosen_penalty([feature], np.arange(2000), happened, np.arange(2000)) == 0.001


def test_who_all_had_the_event_leave_nothing_to_learn():
    feature = Feature("half", ["a", "b"], np.tile([0, 1], 50))
    model = fitted([feature], np.arange(100), np.ones(100, bool), 1.0)
    assert model.chances(np.array([0]))[0] == pytest.approx(100.5 / 101)


def naive_variance(scores, happened, leads):
    """DeLong's variance by leaving out each lead's placements in turn, as its formula says."""
    ones, noughts = np.flatnonzero(happened), np.flatnonzero(~happened)
    over = (scores[ones][:, None] > scores[noughts]) + 0.5 * (
        scores[ones][:, None] == scores[noughts]
    )
    area = over.mean()
    m, n = ones.size, noughts.size
    up = dict.fromkeys(leads, 0.0)
    down = dict(up)
    for place, row in enumerate(ones):
        up[leads[row]] += over[place].mean() - area
    for place, row in enumerate(noughts):
        down[leads[row]] += over[:, place].mean() - area
    i10, i01, i = len({*leads[ones]}), len({*leads[noughts]}), len({*leads})
    return (
        i10 / (i10 - 1) * sum(u * u for u in up.values()) / m**2
        + i01 / (i01 - 1) * sum(d * d for d in down.values()) / n**2
        + 2 * i / (i - 1) * sum(up[lead] * down[lead] for lead in up) / (m * n)
    )


def test_the_area_is_scikit_learns_and_its_interval_delongs_by_lead():
    rng = np.random.default_rng(2)
    happened = rng.random(300) < 0.3
    scores: np.ndarray = np.round(rng.random(300) + 0.4 * happened, 1)  # with ties
    for leads in (np.arange(300), np.arange(300) // 3):
        area, low, high = auc(scores, happened, leads)
        assert area == pytest.approx(roc_auc_score(happened, scores))
        half = 1.959964 * math.sqrt(naive_variance(scores, happened, leads)) / (area * (1 - area))
        middle = math.log(area / (1 - area))
        expected = [1 / (1 + math.exp(-(middle + side * half))) for side in (-1, 1)]
        assert [low, high] == pytest.approx(expected)


def test_looks_twice_at_the_same_tell_no_more_than_once():
    rng = np.random.default_rng(3)
    happened = rng.random(200) < 0.4
    scores = rng.random(200) + 0.3 * happened
    once = auc(scores, happened, np.arange(200))
    twice = auc(np.repeat(scores, 2), np.repeat(happened, 2), np.repeat(np.arange(200), 2))
    assert twice == pytest.approx(once)
    one, other = (
        deciles(np.repeat(scores, n), np.repeat(happened, n), np.repeat(np.arange(200), n))
        for n in (1, 2)
    )
    for bound in ("rate_low", "rate_high"):
        bounds = [[getattr(decile, bound) for decile in found] for found in (one, other)]
        assert bounds[0] == pytest.approx(bounds[1])


def test_deciles_hold_all_looks_and_all_events():
    scores, happened = np.arange(100) / 100, np.arange(100) >= 90
    found = deciles(scores, happened, np.arange(100))
    assert [one.looks for one in found] == [10] * 10
    assert (found[0].observed, found[0].lift, found[0].captured) == (10, 10.0, 1.0)
    assert found[-1].captured == 1.0
    assert found[0].predicted == pytest.approx(0.945)


def test_scores_are_set_against_what_happened():
    quality = judged(np.array([0.5, 0.5, 1.0]), np.array([True, False, True]), np.arange(3), 0.5)
    assert (quality.expected, quality.observed, quality.looks) == (2.0, 2, 3)
    assert quality.brier == pytest.approx(0.5 / 3)
    assert quality.brier_base == 0.25


def test_where_all_had_the_event_no_area_can_be_told():
    assert all(map(math.isnan, auc(np.arange(3.0), np.ones(3, bool), np.arange(3))))
