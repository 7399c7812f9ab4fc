"""Laws of the statistics: what must hold for every table."""

from __future__ import annotations

import math

import numpy as np
import pytest
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from bowtie_projections.statistics import benjamini_hochberg, lift, risk_ratio, wilson
from bowtie_projections.stratified import Strata, omnibus


@st.composite
def cells(draw, most=30):
    """The four counts of a table."""
    return tuple(draw(st.integers(0, most)) for _ in range(4))


tables = st.lists(cells(), min_size=1, max_size=6)


def strata(counts):
    a, b, c, d = np.array(counts).T
    return Strata(a, a + b, a + c, a + b + c + d)


@given(tables)
def test_p_does_not_care_which_side_is_called_the_level_or_high(counts):
    p = strata(counts).p()

    assert strata([(c, d, a, b) for a, b, c, d in counts]).p() == pytest.approx(p, rel=1e-6)
    assert strata([(b, a, d, c) for a, b, c, d in counts]).p() == pytest.approx(p, rel=1e-6)
    assert strata([(a, c, b, d) for a, b, c, d in counts]).p() == pytest.approx(p, rel=1e-6)


@given(tables)
def test_p_does_not_care_about_the_order_of_strata(counts):
    assert strata(counts[::-1]).p() == pytest.approx(strata(counts).p(), rel=1e-6)


@given(cells())
def test_one_stratum_is_fisher(counts):
    a, b, c, d = counts
    expected = scipy.stats.fisher_exact([[a, b], [c, d]]).pvalue

    assert strata([counts]).p() == pytest.approx(expected, rel=1e-6)


@given(tables)
def test_tails_and_score_agree(counts):
    table = strata(counts)
    greater, less = table.p("greater"), table.p("less")

    assert greater + less >= 1 - 1e-9
    if table.information > 0:
        ratio = table.odds_ratio
        assert math.isnan(ratio) or abs(table.score) < 1e-9 or (ratio > 1) == (table.score > 0)


@given(cells())
def test_lift_is_symmetric(counts):
    """P(high | level) / P(high) is P(level | high) / P(level)."""
    a, b, c, d = counts
    forth = lift(a, a + b, c, c + d).estimate
    back = lift(a, a + c, b, b + d).estimate

    assert_allclose(forth, back, rtol=1e-12)


@given(cells())
def test_intervals_hold_their_estimate(counts):
    a, b, c, d = counts
    for interval in (risk_ratio(a, a + b, c, c + d), lift(a, a + b, c, c + d)):
        if not math.isnan(interval.low):
            assert interval.low <= interval.estimate * (1 + 1e-9)
            assert interval.estimate <= interval.high * (1 + 1e-9)
    low, high = wilson(a, a + b)
    if a + b:
        assert 0 <= low <= a / (a + b) <= high <= 1


@given(cells())
def test_lift_of_a_level_and_of_the_rest_weigh_to_one(counts):
    a, b, c, d = counts
    inside, outside = lift(a, a + b, c, c + d).estimate, lift(c, c + d, a, a + b).estimate
    if not math.isnan(inside) and not math.isnan(outside):
        share = (a + b) / (a + b + c + d)
        assert share * inside + (1 - share) * outside == pytest.approx(1)


@given(st.lists(st.floats(0, 1), max_size=40))
def test_q_is_monotone_in_p_never_under_it_and_at_most_one(p):
    q = benjamini_hochberg(p)
    order = np.argsort(p, kind="stable")

    assert (q >= np.array(p) - 1e-15).all()
    assert (q <= 1).all()
    assert (np.diff(q[order]) >= -1e-15).all()


@given(st.lists(cells(12), min_size=2, max_size=5), st.randoms(use_true_random=False))
def test_omnibus_does_not_care_about_the_order_of_levels(rows, random):
    """Two strata of each level: the first two and the last two counts."""
    high = [[a, c] for a, _, c, _ in rows]
    n = [[a + b, c + d] for a, b, c, d in rows]
    order = list(range(len(rows)))
    random.shuffle(order)
    p = omnibus(high, n)

    assert 0 <= p <= 1
    assert omnibus([high[i] for i in order], [n[i] for i in order]) == pytest.approx(p, rel=1e-6)


def test_p_of_levels_without_meaning_is_no_smaller_than_chance():
    """Permuting who is high within strata: p <= x happens at most x of the time."""
    rng = np.random.default_rng(1)
    n = np.array([[40, 25], [30, 60], [35, 30], [31, 45]])
    total, high_all = n.sum(axis=0), np.array([30, 50])
    draws = [
        np.stack([rng.multivariate_hypergeometric(n[:, s], high_all[s]) for s in (0, 1)], axis=1)
        for _ in range(2000)
    ]
    whole = np.array([omnibus(high, n) for high in draws])
    single = np.array([Strata(high[0], n[0], high_all, total).p() for high in draws])

    for level in (0.2, 0.05, 0.01):
        error = 3 * (level * (1 - level) / 2000) ** 0.5
        assert (whole <= level).mean() <= level + error
        assert (single <= level).mean() <= level + error
