"""Rates drawn to their mean, and what chance alone would show: formulas, simulations and laws."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose
from statsmodels.stats.meta_analysis import combine_effects
from statsmodels.stats.proportion import confint_proportions_2indep

from bowtie_projections.shrinking import by_chance, shrink, shrink_each, shrink_means
from bowtie_projections.statistics import Interval, difference, wilson
from tests.naive_bottleneck import shrunk as in_plain_python

groups = st.lists(
    st.integers(1, 400).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))),
    min_size=2,
    max_size=12,
)


def between(k1, n1, k2, n2):
    sides = (Interval(np.array(k / n), *wilson(k, n)) for k, n in ((k1, n1), (k2, n2)))
    return difference(*sides)


@pytest.mark.parametrize(
    ("counts", "published"),
    [
        # Newcombe 1998, table II, method 10
        ((56, 70, 48, 80), (0.0524, 0.3339)),
        ((9, 10, 3, 10), (0.1705, 0.8090)),
        ((6, 7, 2, 7), (0.0582, 0.8062)),
        ((5, 56, 0, 29), (-0.0381, 0.1926)),
        ((0, 10, 0, 20), (-0.1611, 0.2775)),
        ((10, 10, 0, 20), (0.6791, 1.0000)),
    ],
)
def test_newcombes_interval_is_the_published_one(counts, published):
    found = between(*counts)
    assert_allclose((found.low, found.high), published, atol=6e-5)


@given(groups)
def test_newcombes_interval_agrees_with_statsmodels(counts):
    (k1, n1), (k2, n2) = counts[:2]
    found = between(k1, n1, k2, n2)
    expected = confint_proportions_2indep(k1, n1, k2, n2, method="newcomb")
    assert_allclose((found.low, found.high), expected, atol=1e-9)
    assert -1 <= found.low <= found.estimate <= found.high <= 1


@given(groups)
def test_rates_are_those_of_the_formula_in_plain_python(counts):
    k, n = zip(*counts, strict=True)
    assert_allclose(shrink(k, n).rates, in_plain_python(counts), atol=1e-9)


@given(groups)
def test_a_rate_stays_between_its_own_and_the_mean(counts):
    k, n = map(np.array, zip(*counts, strict=True))
    found = shrink(k, n)
    own = k / n
    assert (found.rates >= np.minimum(own, found.mean) - 1e-12).all()
    assert (found.rates <= np.maximum(own, found.mean) + 1e-12).all()
    # the larger of two groups of one rate keeps more of it
    assert 0 <= found.rho <= 1


def test_many_sets_at_once_are_each_by_itself():
    n = np.array([[50, 60, 0], [10, 400, 30]])
    k = np.array([[5, 30, 0], [9, 100, 3]])
    mean, rho, rates = shrink_each(k, n)
    for place in range(2):
        one = shrink(k[place], n[place])
        assert (one.mean, one.rho) == (mean[place], rho[place])
        assert_allclose(one.rates, rates[place])


def test_rho_is_that_of_the_beta_binomial_that_made_the_groups():
    draw = np.random.default_rng(3)
    sizes = draw.integers(20, 200, 4000)
    rates = draw.beta(3, 7, 4000)  # rho = 1 / (3 + 7 + 1)
    found = shrink(draw.binomial(sizes, rates), sizes)
    assert found.rho == pytest.approx(1 / 11, rel=0.05)
    error = ((found.rates - rates) ** 2).mean()
    assert error < ((found.mean - rates) ** 2).mean()


def test_shrunk_rates_are_nearer_to_the_truth_than_the_raw_ones():
    draw = np.random.default_rng(4)
    truth = draw.beta(30, 70, 500)
    sizes = np.full(500, 40)
    k = draw.binomial(sizes, truth)
    raw, drawn = ((rates - truth) ** 2 for rates in (k / sizes, shrink(k, sizes).rates))
    assert drawn.mean() < raw.mean() / 2


def test_groups_of_nobody_take_no_part():
    found = shrink([3, 0, 8], [10, 0, 20])
    assert np.isnan(found.rates[1])
    assert_allclose(found.rates[[0, 2]], shrink([3, 8], [10, 20]).rates)
    assert np.isnan(shrink([0], [0]).rates).all()


def test_means_are_drawn_by_the_variance_of_dersimonian_and_laird():
    means, variances = np.array([12.0, 20.0, 31.0, 18.0]), np.array([4.0, 9.0, 25.0, 1.0])
    between_groups = combine_effects(means, variances, method_re="dl").tau2
    weights = 1 / variances
    mean = (weights * means).sum() / weights.sum()
    expected = mean + between_groups / (between_groups + variances) * (means - mean)
    assert_allclose(shrink_means(means, variances), expected)


def test_the_range_by_chance_is_that_of_a_simulation():
    sizes = [12, 40, 7, 80, 25, 33]
    draws = np.random.default_rng(5).binomial(sizes, 0.3, (100_000, 6)) / sizes
    high = np.array(sizes) * 0.3
    found = by_chance(high, sizes)
    assert found is not None
    assert found.groups == 6
    assert_allclose(found.expected, (draws.min(1).mean(), draws.max(1).mean()), atol=0.002)


def test_p_is_that_of_the_test_of_homogeneity():
    k, n = np.array([30, 45, 28]), np.array([100, 110, 90])
    expected = scipy.stats.chi2_contingency([k, n - k], correction=False).pvalue
    found, few = by_chance(k, n), by_chance([1, 2], [8, 9])
    assert found is not None
    assert few is not None
    assert found.p == pytest.approx(expected)
    assert few.p is None  # too few for a chi-square test
    assert by_chance([1], [8]) is None
