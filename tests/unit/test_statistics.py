"""Intervals, ratios, corrections and stratified tests, against published figures and oracles."""

from __future__ import annotations

import itertools
import math
import time

import numpy as np
import pytest
import scipy.stats
from numpy.testing import assert_allclose
from statsmodels.stats.contingency_tables import StratifiedTable, Table2x2
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.proportion import proportion_confint

from bowtie_projections.statistics import (
    benjamini_hochberg,
    benjamini_hochberg_within,
    bootstrap_difference,
    lift,
    odds_ratio,
    replication_power,
    risk_ratio,
    wilson,
)
from bowtie_projections.stratified import Strata, fisher, omnibus


@pytest.mark.parametrize(("k", "n"), [(0, 10), (3, 10), (10, 10), (1, 1000), (412, 1000)])
def test_wilson_agrees_with_statsmodels(k, n):
    low, high = wilson(k, n)

    assert_allclose((low, high), proportion_confint(k, n, method="wilson"), atol=1e-12)


def test_wilson_of_nobody_is_nan():
    low, high = wilson([0, 1], [0, 2])

    assert np.isnan([low[0], high[0]]).all()
    assert not np.isnan([low[1], high[1]]).any()


def test_risk_ratio_agrees_with_statsmodels():
    table = Table2x2([[30, 70], [20, 180]])
    ratio = risk_ratio(30, 100, 20, 200)

    assert_allclose(ratio.estimate, table.riskratio)
    assert_allclose((ratio.low, ratio.high), table.riskratio_confint())


def test_odds_ratio_adds_a_half_to_each_count():
    assert_allclose(odds_ratio(30, 100, 20, 200), 30.5 * 180.5 / (70.5 * 20.5))


@pytest.mark.parametrize(
    ("cells", "expected"),
    [
        ((0, 10, 5, 10), 0.0),
        ((5, 10, 0, 10), math.inf),
        ((10, 10, 10, 10), 1.0),
        ((0, 10, 0, 10), math.nan),
        ((3, 10, 0, 0), math.nan),
        ((0, 0, 3, 10), math.nan),
    ],
)
def test_risk_ratio_of_degenerate_tables(cells, expected):
    ratio = risk_ratio(*cells)

    assert_allclose(ratio.estimate, expected)
    if math.isnan(expected):
        assert math.isnan(ratio.low)
        assert math.isnan(ratio.high)
    else:
        assert ratio.low <= ratio.estimate <= ratio.high
        assert ratio.low < ratio.high


def test_lift_is_the_rate_over_the_rate_of_all():
    found = lift(30, 100, 20, 200)

    assert_allclose(found.estimate, 0.3 / (50 / 300))
    assert_allclose(found.estimate, 3 / (3 / 3 + 1 - 1 / 3))


def test_lift_at_the_ends():
    only = lift(5, 10, 0, 10)
    everybody = lift(5, 10, 0, 0)

    assert_allclose((only.estimate, only.high), (2.0, 2.0))
    assert everybody.estimate == 1
    assert math.isnan(everybody.low)


def test_simpson_vector_of_the_literature():
    """Tables (18, 2, 160, 20) and (20, 180, 1, 9): crude OR .038, within 1.125 and 1.0."""
    both = Strata([18, 20], [20, 200], [178, 21], [200, 210])
    first, second = Strata(18, 20, 178, 200), Strata(20, 200, 21, 210)

    assert both.crude_odds_ratio == pytest.approx(0.0376, abs=1e-4)
    assert first.odds_ratio == pytest.approx(1.125)
    assert second.odds_ratio == pytest.approx(1.0)
    assert both.odds_ratio == pytest.approx(1.0814, abs=1e-4)
    assert both.sign_change
    assert both.p() > 0.5
    assert both.pooled().p() < 1e-40


def test_pooled_ratios_agree_with_statsmodels():
    tables = [[[18, 2], [160, 20]], [[20, 180], [1, 9]], [[7, 5], [9, 30]]]
    ours = Strata([18, 20, 7], [20, 200, 12], [178, 21, 16], [200, 210, 51])
    theirs = StratifiedTable([np.array(table) for table in tables])

    assert ours.odds_ratio == pytest.approx(theirs.oddsratio_pooled)
    assert ours.risk_ratio == pytest.approx(theirs.riskratio_pooled)


def test_large_tables_take_the_mantel_haenszel_approximation():
    tables = [[[300, 700], [400, 1600]], [[500, 500], [900, 1100]]]
    ours = Strata([300, 500], [1000, 1000], [700, 1400], [3000, 3000])
    theirs = StratifiedTable([np.array(table) for table in tables]).test_null_odds(correction=True)

    assert ours.information > 100
    assert ours.p() == pytest.approx(theirs.pvalue, rel=1e-6)


def test_exact_and_approximate_meet():
    """Just under and just over the size at which the approximation takes over."""
    strata = Strata(420, 799, 799, 1598)

    assert 99.5 < strata.information < 100
    for alternative in ("two-sided", "greater", "less"):
        assert strata.p(alternative) == pytest.approx(strata._normal(alternative), rel=0.01)


@pytest.mark.parametrize("alternative", ["two-sided", "greater", "less"])
@pytest.mark.parametrize("cells", [(8, 10, 9, 20), (0, 5, 3, 9), (3, 3, 3, 30), (12, 40, 30, 90)])
def test_one_stratum_is_fishers_test(cells, alternative):
    a, n, k, total = cells
    table = [[a, n - a], [k - a, total - n - k + a]]
    expected = scipy.stats.fisher_exact(table, alternative=alternative).pvalue

    assert Strata(a, n, k, total).p(alternative) == pytest.approx(expected, rel=1e-6)


def test_fisher_of_one_table():
    assert fisher(8, 10, 9, 20) == pytest.approx(scipy.stats.fisher_exact([[8, 2], [1, 9]]).pvalue)


def test_exact_p_is_that_of_listing_every_table():
    strata = Strata([3, 1, 4], [4, 3, 5], [4, 2, 6], [9, 7, 11])
    chances: dict[int, float] = {}
    ranges = [range(5), range(4), range(6)]
    for counts in itertools.product(*ranges):
        chance = 1.0
        for x, n, k, total in zip(counts, strata.n, strata.high_all, strata.n_all, strict=True):
            chance *= scipy.stats.hypergeom.pmf(x, total, n, k)
        chances[sum(counts)] = chances.get(sum(counts), 0.0) + chance
    seen = chances[8]

    assert strata.p() == pytest.approx(sum(c for c in chances.values() if c <= seen * (1 + 1e-9)))
    assert strata.p("greater") == pytest.approx(sum(c for s, c in chances.items() if s >= 8))
    assert strata.p("less") == pytest.approx(sum(c for s, c in chances.items() if s <= 8))


@pytest.mark.parametrize(
    "strata",
    [
        Strata([5, 2], [5, 2], [5, 2], [10, 4]),  # all high are in the level
        Strata([0], [4], [0], [10]),  # none high
        Strata([4], [4], [10], [10]),  # all high
        Strata([3], [10], [3], [10]),  # everybody in the level
        Strata([0, 0], [0, 0], [3, 1], [10, 5]),  # nobody in the level
        Strata([], [], [], []),  # nobody at all
    ],
)
def test_degenerate_strata_have_a_p(strata):
    for alternative in ("two-sided", "greater", "less"):
        assert 0 <= strata.p(alternative) <= 1
    if strata.information == 0:
        assert strata.p() == 1
        assert not strata.sign_change


def test_pooled_odds_ratio_at_the_ends():
    assert Strata(5, 5, 5, 10).odds_ratio == math.inf
    assert Strata(0, 5, 5, 10).odds_ratio == 0
    assert math.isnan(Strata(0, 5, 0, 10).odds_ratio)


def test_a_stratum_of_one_kind_adds_nothing():
    alone = Strata(8, 10, 9, 20)
    beside = Strata([8, 7, 0], [10, 7, 4], [9, 7, 0], [20, 7, 9])

    assert beside.p() == pytest.approx(alone.p())
    assert beside.odds_ratio == pytest.approx(alone.odds_ratio)


def test_omnibus_of_one_stratum_is_pearsons_chi_square():
    high, n = np.array([10, 20, 30, 25]), np.array([50, 60, 55, 70])
    pearson = scipy.stats.chi2_contingency([high, n - high], correction=False).statistic
    total = n.sum()

    expected = scipy.stats.chi2.sf(pearson * (total - 1) / total, 3)
    assert omnibus(high[:, None], n[:, None]) == pytest.approx(expected)


def test_omnibus_of_two_levels_is_the_binary_test():
    high, n = [[8, 3], [1, 6]], [[10, 12], [10, 14]]

    assert omnibus(high, n) == pytest.approx(Strata([8, 3], [10, 12], [9, 9], [20, 26]).p())


def test_omnibus_of_small_counts_is_exact_and_conservative():
    high, n = [[3], [0], [0], [0]], [[5], [30], [30], [30]]
    single = [fisher(h[0], m[0], 3, 95) for h, m in zip(high, n, strict=True)]

    assert omnibus(high, n) == pytest.approx(min(1.0, 4 * min(single)))


def test_omnibus_of_strata_that_share_no_levels():
    high = [[10, 0], [20, 0], [0, 15], [0, 30]]
    n = [[50, 0], [50, 0], [0, 50], [0, 50]]
    within = [
        scipy.stats.chi2_contingency([[a, b], [50 - a, 50 - b]], correction=False).statistic
        for a, b in ((10, 20), (15, 30))
    ]

    expected = scipy.stats.chi2.sf(sum(within) * 99 / 100, 2)
    assert omnibus(high, n) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("high", "n"), [([[3]], [[9]]), ([[0], [0], [0]], [[40], [40], [40]]), ([[0], [0]], [[0], [0]])]
)
def test_omnibus_without_anything_to_compare_is_one(high, n):
    assert omnibus(high, n) == 1


def test_benjamini_hochberg_agrees_with_statsmodels():
    p = np.random.default_rng(3).uniform(size=200) ** 2

    assert_allclose(benjamini_hochberg(p), multipletests(p, method="fdr_bh")[1])


def test_benjamini_hochberg_of_nothing_and_of_one():
    assert benjamini_hochberg([]).size == 0
    assert benjamini_hochberg([0.3]).tolist() == [0.3]


def test_levels_of_a_selected_trait_pay_for_the_selection():
    inside = benjamini_hochberg_within([0.001, 0.2], families=20, selected=2)

    assert_allclose(inside, [0.02, 1.0])


def test_power_agrees_with_simulation():
    """The chance that the later cohorts reject, at the odds ratio found, is what is promised."""
    rng = np.random.default_rng(11)
    n1, n0, base, odds = 300, 700, 0.2, 1.6
    raised = odds * base / (1 - base + odds * base)
    expected = Strata(round(n1 * raised), n1, round(n1 * raised + n0 * base), n1 + n0)
    a, c = rng.binomial(n1, raised, 3000), rng.binomial(n0, base, 3000)
    rejected = np.mean(
        [Strata(x, n1, x + y, n1 + n0).p("greater") <= 0.05 for x, y in zip(a, c, strict=True)]
    )

    promised = replication_power(expected.score, expected.information, expected.information)
    assert promised == pytest.approx(rejected, abs=0.04)


def test_power_without_information_is_nought():
    assert replication_power(3.0, 2.0, 0.0) == 0
    assert replication_power(0.0, 0.0, 0.0) == 0


def test_fifty_levels_of_fifty_traits_in_forty_strata_are_quick():
    rng = np.random.default_rng(5)
    n = rng.multinomial(20_000, rng.dirichlet(np.ones(2000))).reshape(50, 40)
    high = rng.binomial(n, 0.2)
    started = time.process_time()
    for _ in range(50):
        omnibus(high, n)
    for row, of in zip(high, n, strict=True):
        Strata(row, of, high.sum(axis=0), n.sum(axis=0)).p()

    assert time.process_time() - started < 2


@pytest.mark.parametrize("seed", range(5))
def test_homogeneity_agrees_with_statsmodels(seed):
    rng = np.random.default_rng(seed)
    n, m = rng.integers(40, 100, (2, 6))
    high, high_out = rng.binomial(n, 0.3), rng.binomial(m, 0.2)
    tables = [
        np.array([[a, of - a], [c, out - c]])
        for a, of, c, out in zip(high, n, high_out, m, strict=True)
    ]
    expected = StratifiedTable(tables).test_equal_odds(adjust=True).pvalue

    assert Strata(high, n, high + high_out, n + m).homogeneity == pytest.approx(expected, rel=1e-9)


def test_homogeneity_of_the_same_odds_everywhere_and_of_too_few():
    even = Strata([20, 40], [40, 80], [40, 80], [80, 160])
    assert even.homogeneity == pytest.approx(1)
    assert np.isnan(Strata([20], [40], [40], [80]).homogeneity)
    assert np.isnan(Strata([1, 20], [2, 40], [2, 40], [4, 80]).homogeneity)
    assert np.isnan(Strata([0, 0], [40, 40], [20, 20], [80, 80]).homogeneity)


def test_the_bootstrap_agrees_with_scipy():
    rng = np.random.default_rng(8)
    own, others = rng.gamma(2, 50, 300), rng.gamma(2, 40, 700)
    one = np.concatenate([own, np.zeros(700)])
    other = np.concatenate([np.zeros(300), others])
    is_own = np.arange(1000) < 300
    low, high = bootstrap_difference(one, is_own, other, ~is_own)
    expected = scipy.stats.bootstrap(
        (own, others), lambda a, b, axis: a.mean(axis=axis) - b.mean(axis=axis),
        method="percentile", n_resamples=2000, rng=np.random.default_rng(1),
    ).confidence_interval  # fmt: skip

    assert (low, high) == pytest.approx((expected.low, expected.high), rel=0.1)
    assert (low, high) == bootstrap_difference(one, is_own, other, ~is_own)


def test_members_put_together_by_chance_are_drawn_as_single_ones():
    rng = np.random.default_rng(9)
    worth, level, block = (
        rng.pareto(3, 20_000),
        rng.random(20_000) < 0.4,
        rng.integers(0, 1000, 20_000),
    )

    def sums(values):
        return np.bincount(block, values, 1000)

    low, high = bootstrap_difference(
        sums(worth * level), sums(level * 1.0), sums(worth * ~level), sums(~level * 1.0)
    )
    own, others = worth[level], worth[~level]
    error = (own.var() / own.size + others.var() / others.size) ** 0.5
    assert high - low == pytest.approx(2 * 1.96 * error, rel=0.1)


def test_a_bootstrap_without_two_blocks_has_no_bounds():
    assert np.isnan(bootstrap_difference([1], [1], [2], [1])).all()
    assert np.isnan(bootstrap_difference([1, 1], [1, 1], [0, 0], [0, 0])).all()
