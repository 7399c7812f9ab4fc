"""Two arms of a trial: against statsmodels, scipy, and published figures."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.oneway import anova_oneway
from statsmodels.stats.power import NormalIndPower
from statsmodels.stats.proportion import proportion_effectsize

from bowtie_projections.arms import (
    Contrast,
    clustered_bounds,
    clustered_gap,
    detectable_mean,
    detectable_share,
    interaction_p,
    mean_bounds,
    mean_contrast,
    mean_gap,
    split_p,
)


def gap_of(arms: Any, seed: int = 1, gap: Any = mean_gap) -> Any:
    """The difference of two arms."""
    return gap(*arms, seed)


@pytest.mark.parametrize(
    ("base", "first", "second"), [(0.3, 400, 100), (0.05, 1000, 1000), (0.5, 90, 210), (0, 50, 60)]
)
def test_the_rise_is_the_one_that_statsmodels_sees(base, first, second):
    rise: Any = detectable_share(base, first, second)
    effect = proportion_effectsize(base + rise, base)
    power = NormalIndPower().power(effect, nobs1=first, ratio=second / first, alpha=0.05)
    assert power == pytest.approx(0.8, abs=1e-4)


def test_published_sample_sizes_show_what_they_are_for():
    # Cohen 1988, table 6.4.1: h = .20 takes 392 in each arm, h = .50 takes 63 (alpha .05, power .80)
    for size, angle in ((392, 0.20), (63, 0.50)):
        rise: Any = detectable_share(0.5, size, size)
        assert proportion_effectsize(0.5 + rise, 0.5) == pytest.approx(angle, abs=0.0015)
    # table 2.4.1: d = .20 takes 393, d = .50 takes 64
    assert detectable_mean(1, 393, 393) == pytest.approx(0.2, abs=0.0005)
    assert detectable_mean(1, 64, 64) == pytest.approx(0.5, abs=0.006)


def test_whether_effects_differ_is_welchs_test_of_means():
    """Each effect as if it were a group's mean: statsmodels has that test."""
    random = np.random.default_rng(8)
    groups = [
        random.normal(shift, scale, n) for shift, scale, n in ((0, 1, 30), (1, 2, 25), (0, 3, 60))
    ]
    effects = [Contrast(g.mean(), g.var(ddof=1) / g.size, g.size - 1) for g in groups]
    known = anova_oneway(groups, use_var="unequal", welch_correction=True)
    assert interaction_p(effects) == pytest.approx(known.pvalue)
    pair: Any = interaction_p(effects[:2])
    assert pair == pytest.approx(stats.ttest_ind(*groups[:2], equal_var=False).pvalue)
    assert interaction_p(effects[:1]) is None
    assert interaction_p([*effects, Contrast(1, 0, 9)]) is None


def test_a_contrast_is_that_of_scipy():
    random = np.random.default_rng(9)
    arms = random.lognormal(0, 1, 40), random.lognormal(0.5, 1, 25)
    known = stats.ttest_ind(*arms, equal_var=False)
    found = mean_contrast(*arms)
    assert found.freedom == pytest.approx(known.df)
    assert found.bounds(0.99) == pytest.approx([*known.confidence_interval(0.99)])
    assert Contrast(1, 0, 9).bounds(0.95) is None


def test_the_interval_of_one_arm_is_that_of_scipy():
    random = np.random.default_rng(4)
    arm = np.where(random.random(300) < 0.3, random.lognormal(3, 1, 300), 0)
    known = stats.bootstrap([arm], np.mean, method="percentile", n_resamples=4000, rng=3)
    spread = known.standard_error
    assert mean_bounds(arm, 1) == pytest.approx([*known.confidence_interval], abs=0.25 * spread)
    alone = clustered_bounds(arm, np.ones(300), 1)  # clusters of one are members
    assert alone == pytest.approx([*known.confidence_interval], abs=0.25 * spread)
    assert mean_bounds(arm, 2) != mean_bounds(arm, 1) == mean_bounds(arm, 1)
    assert mean_bounds([1.0], 1) is None
    assert clustered_bounds([5.0], [2], 1) is None
    many = random.normal(10, 2, 30_000)
    half = 1.959964 * many.std(ddof=1) / many.size**0.5
    assert mean_bounds(many, 1) == pytest.approx([many.mean() - half, many.mean() + half])


def test_what_can_not_be_seen_is_not_told():
    assert detectable_share(0.95, 10, 10) is None
    assert detectable_share(0.5, 0, 10) is None
    assert detectable_mean(3, 10, 0) is None


def test_the_interval_is_that_of_scipy():
    random = np.random.default_rng(4)
    arms = [np.where(random.random(n) < 0.3, random.lognormal(3, 1, n), 0) for n in (400, 150)]
    gap = gap_of(arms)
    known = stats.bootstrap(
        arms, lambda a, b, axis: a.mean(axis=axis) - b.mean(axis=axis), method="percentile",
        n_resamples=4000, rng=3, vectorized=True,
    ).confidence_interval  # fmt: skip
    width = known.high - known.low
    assert gap.estimate == pytest.approx(arms[0].mean() - arms[1].mean())
    assert gap.low == pytest.approx(known.low, abs=0.06 * width)
    assert gap.high == pytest.approx(known.high, abs=0.06 * width)
    assert gap_of(arms) == gap
    welch = stats.ttest_ind(*arms, equal_var=False).confidence_interval()
    assert gap.low == pytest.approx(welch.low, abs=0.2 * width)


def test_many_amounts_need_no_draw():
    random = np.random.default_rng(5)
    arms = [random.lognormal(3, 1, 30_000), random.lognormal(3, 1, 25_000)]
    gap, known = gap_of(arms), stats.ttest_ind(*arms, equal_var=False)
    assert gap.method == "normal"
    assert gap.low == pytest.approx(known.confidence_interval().low, abs=1e-4)


def test_small_arms_have_no_bounds():
    assert mean_gap([], [1.0], seed=1) is None
    assert gap_of(([5.0], [1.0, 2.0])).low is None
    assert gap_of(([0.0, 0.0], [0.0, 0.0])).high == 0
    assert clustered_gap(([], []), ([1.0], [2.0]), seed=1) is None
    assert gap_of((([4.0], [2.0]), ([1.0, 1.0], [2.0, 1.0])), gap=clustered_gap).low is None


def test_clusters_that_differ_widen_the_interval():
    random = np.random.default_rng(6)
    means = random.normal(10, 5, 40)
    members = random.normal(means[:, None], 1, (40, 30))
    first, second = members[:20], members[20:]
    alone = gap_of((first.ravel(), second.ravel()), 2)
    sums = [(arm.sum(axis=1), np.full(20, 30)) for arm in (first, second)]
    drawn = gap_of(sums, 2, clustered_gap)
    assert drawn.estimate == pytest.approx(alone.estimate)
    assert drawn.high - drawn.low > 3 * (alone.high - alone.low)
    known = stats.ttest_ind(first.mean(axis=1), second.mean(axis=1)).confidence_interval()
    assert drawn.low == pytest.approx(known.low, abs=0.15 * (known.high - known.low))


def test_the_split_is_tested_as_scipy_does():
    for targeted, held, share in ((800, 260, 0.2), (70, 30, 0.25), (5, 5, 0.5)):
        n = targeted + held
        known = stats.chisquare([targeted, held], [n * (1 - share), n * share]).pvalue
        assert split_p(targeted, held, share) == pytest.approx(known)
    assert split_p(0, 0, 0.2) is None
