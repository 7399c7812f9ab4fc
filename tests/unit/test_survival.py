"""The estimate under censoring: by hand, against other libraries, and against known truths."""

from __future__ import annotations

import math

import numpy as np
import pytest
from lifelines import AalenJohansenFitter, KaplanMeierFitter
from numpy.testing import assert_allclose
from statsmodels.duration.survfunc import CumIncidenceRight

from bowtie_projections.statistics import design_effect
from bowtie_projections.survival import LOST, REACHED, WATCHED, Incidence, packed

R, L, W = REACHED, LOST, WATCHED


def test_by_hand_with_a_loss_and_a_tie():
    # 5 at risk at 1, 4 at 2 (one reaches it while another's watching ends there), 2 at 4
    found = Incidence(packed([1, 2, 2, 4, 4], [L, R, W, R, L]))

    assert found.times.tolist() == [1, 2, 4]
    assert_allclose(found.share, [0, 4 / 5 / 4, 1 / 5 + 3 / 5 / 2])
    assert_allclose(found.lost, [1 / 5, 1 / 5, 1 / 2])
    assert_allclose(found.rest, [4 / 5, 3 / 5, 0], atol=1e-15)


def test_who_is_watched_up_to_an_age_is_at_risk_at_it():
    """Events come before the end of the watching, at equal times."""
    assert Incidence(packed([3, 3], [R, W])).at([3]).share[0] == 0.5


def test_what_nobody_was_watched_for_is_not_known():
    young = Incidence(packed([1, 5, 6], [R, W, W])).at([6, 7])
    assert young.share[0] == pytest.approx(1 / 3)
    assert math.isnan(young.share[1])
    assert young.at_risk.tolist() == [1, 0]

    ended = Incidence(packed([1, 5, 6], [R, L, R])).at([7])
    assert ended.share[0] == pytest.approx(2 / 3), "nobody is left to watch"


def test_nobody_is_known_of_nobody():
    found = Incidence(packed([], []))
    assert math.isnan(found.at([0]).share[0])
    assert found.age_at() is None


def test_a_share_of_none_or_all_has_no_interval():
    none, every = Incidence(packed([5, 5], [W, W])), Incidence(packed([2, 2], [R, R]))
    for found, share in ((none.at([3]), 0), (every.at([3]), 1)):
        assert found.share[0] == share
        assert np.isnan([found.low[0], found.high[0]]).all()


@pytest.mark.parametrize(
    ("ends", "expected"),
    [([R, R, W, W], 2), ([R, L, W, W], None), ([R, L, R, W], 3), ([W, W, W, W], None)],
)
def test_half_is_of_all_members(ends, expected):
    assert Incidence(packed([1, 2, 3, 4], ends)).age_at() == expected


def test_half_that_a_sum_of_shares_just_misses():
    ends = [R] * 7 + [L] * 7
    found = Incidence(packed(range(1, 15), ends))
    assert found.age_at() == 7


def test_late_starts_join_those_at_risk_at_their_age():
    # one is watched from 0 to 4; two from 3 on, up to 3 (it reaches) and to 5
    found = Incidence(packed([4, 3, 5], [W, R, W]), np.array([3, 3]))
    assert found.at([2, 3]).at_risk.tolist() == [1, 3]
    assert found.at([3]).share[0] == pytest.approx(1 / 3)


def test_ages_that_nobody_is_watched_at_end_what_is_known():
    gap = Incidence(packed([2, 9], [W, R]), np.array([5]))
    assert gap.known_through == 2
    assert np.isnan(gap.at([9]).share[0])
    assert gap.age_at() is None
    late = Incidence(packed([9, 9], [R, W]), np.array([5, 5]))
    assert np.isnan(late.at([0, 9]).share).all(), "nobody is watched from the beginning"
    over = Incidence(packed([1, 9], [R, W]), np.array([5]))
    assert np.isnan(over.at([9]).share[0]), "what was all is not all any more"


def random_members(number, *, seed, ties=False):
    draw = np.random.default_rng(seed)
    ages = draw.integers(1, 40, number) if ties else draw.permutation(10 * number)[:number] + 1
    return ages, draw.choice([R, L, W], number, p=[0.4, 0.3, 0.3])


@pytest.mark.parametrize("ties", [False, True])
def test_without_losses_it_is_lifelines_kaplan_meier(ties):
    ages, ends = random_members(300, seed=4, ties=ties)
    ends[ends == L] = W
    fitted = KaplanMeierFitter().fit(ages, ends == R)
    at = fitted.survival_function_.index.to_numpy()[1:].astype(int)

    found = Incidence(packed(ages, ends), competing=False).at(at)

    assert_allclose(found.share, 1 - fitted.survival_function_.iloc[1:, 0], atol=1e-12)
    bounds = 1 - fitted.confidence_interval_.iloc[1:].to_numpy()
    inside = ~np.isnan(found.low)
    assert inside.sum() >= 30
    assert_allclose(found.high[inside], bounds[inside, 0], rtol=1e-6)
    assert_allclose(found.low[inside], bounds[inside, 1], rtol=1e-6)


def test_with_losses_it_is_lifelines_aalen_johansen():
    """Of distinct times: lifelines moves ties apart at random."""
    ages, ends = random_members(300, seed=5)
    events = np.select([ends == R, ends == L], [1, 2], 0)
    fitted = AalenJohansenFitter().fit(ages, events, event_of_interest=1)
    at = np.sort(ages)[:-10]

    found = Incidence(packed(ages, ends)).at(at)

    expected = fitted.cumulative_density_.loc[at].iloc[:, 0].to_numpy()
    assert_allclose(found.share, expected, atol=1e-12)
    bounds = fitted.confidence_interval_.loc[at].to_numpy()
    inside = ~np.isnan(found.low)
    assert inside.sum() >= 250
    assert_allclose(found.low[inside], bounds[inside, 0], rtol=1e-6)
    assert_allclose(found.high[inside], bounds[inside, 1], rtol=1e-6)


def test_ties_of_both_kinds_are_as_statsmodels_has_them():
    ages, ends = random_members(300, seed=6, ties=True)
    other = CumIncidenceRight(ages, np.select([ends == R, ends == L], [1, 2], 0))

    found = Incidence(packed(ages, ends)).at(other.times.astype(int))

    assert_allclose(found.share, other.cinc[0], atol=1e-12)


def test_late_starts_are_as_lifelines_has_them():
    """Its starts are exclusive: who starts at an age is at risk after it."""
    ages, ends = random_members(300, seed=7)
    ends[ends == L] = W
    starts = np.minimum(np.random.default_rng(8).integers(0, 1500, 300), ages)
    starts[:150] = 0
    fitted = KaplanMeierFitter().fit(ages, ends == R, entry=starts - 0.5)
    at = np.sort(ages)[:-1]

    found = Incidence(packed(ages, ends), starts[starts > 0], competing=False).at(at)

    assert_allclose(found.share, 1 - fitted.survival_function_.loc[at].iloc[:, 0], atol=1e-12)


def lagged(number, seed, *, loses):
    """The reference's simulation: entries over 180 days, asked about 90, at the end of the 180.

    A lag of 90/1.6 days for the 39% who ever convert makes 31.1% within 90 days. With losses, both
    happen at constant rates, 0.9014 and 1.803 in 90 days: again 31.1%.
    """
    draw = np.random.default_rng(seed)
    entered = draw.uniform(0, 180, number)
    if loses:
        reached = draw.exponential(90 / 0.9014, number)
        lost = draw.exponential(90 / 1.803, number)
    else:
        reached = draw.exponential(90 / 1.6, number)
        reached[draw.random(number) > 0.39] = np.inf
        lost = np.full(number, np.inf)
    return entered, reached, lost


@pytest.mark.parametrize(
    ("loses", "naive", "kaplan_meier"), [(False, 0.253, 0.312), (True, None, 0.594)]
)
def test_the_truth_of_a_simulation_is_found(loses, naive, kaplan_meier):
    number, truth = 200_000, 0.311
    entered, reached, lost = lagged(number, 1, loses=loses)
    age = 180 - entered
    ends = np.select([reached <= np.minimum(lost, age), lost <= age], [R, L], W)
    micros = (np.minimum(np.minimum(reached, lost), age) * 86_400e6).astype(np.int64)
    at = [int(90 * 86_400e6)]
    so_far = (ends == R) & (reached <= 90)
    mature = age >= 90
    error = 4 * math.sqrt(truth * (1 - truth) / mature.sum())

    found = Incidence(packed(micros, ends)).at(at)
    losses_censored = Incidence(packed(micros, np.where(ends == L, W, ends))).at(at)

    assert found.share[0] == pytest.approx(truth, abs=error)
    assert found.low[0] < truth < found.high[0]
    assert so_far[mature].mean() == pytest.approx(truth, abs=error)
    assert losses_censored.share[0] == pytest.approx(kaplan_meier, abs=2 * error)
    if naive is not None:
        assert so_far.mean() == pytest.approx(naive, abs=error)


def test_the_interval_holds_the_truth_as_often_as_it_says():
    covered, rate = 0, 0.9014 + 1.803
    truth = 0.9014 / rate * (1 - math.exp(-rate))
    for seed in range(1_000, 1_400):
        entered, reached, lost = lagged(300, seed, loses=True)
        age = 180 - entered
        ends = np.select([reached <= np.minimum(lost, age), lost <= age], [R, L], W)
        micros = (np.minimum(np.minimum(reached, lost), age) * 1e6).astype(np.int64)
        found = Incidence(packed(micros, ends)).at([90_000_000])
        covered += bool(found.low[0] <= truth <= found.high[0])
    # 95% of 400, and three standard deviations
    assert 367 <= covered <= 393


def pairs(number, seed):
    """Two members each of some accounts, always alike, and what is seen of them."""
    ages, ends = random_members(number, seed=seed, ties=True)
    return np.repeat(ages, 2), np.repeat(ends, 2), np.repeat(np.arange(number), 2)


def test_twins_tell_as_much_as_one():
    ages, ends, accounts = pairs(200, 3)
    one = Incidence(packed(ages[::2], ends[::2])).at([20])
    both = Incidence(packed(ages, ends), clusters=accounts).at([20])

    assert both.share == one.share
    assert_allclose([both.low, both.high], [one.low, one.high], rtol=0.01)


def test_without_censoring_the_design_effect_is_that_of_a_proportion():
    draw = np.random.default_rng(9)
    accounts = draw.integers(0, 60, 200)
    accounts = np.unique(accounts, return_inverse=True)[1]
    tends = draw.random(60)
    ends = np.where(draw.random(200) < tends[accounts], R, W)
    ages = np.where(ends == R, draw.integers(1, 10, 200), 10)
    of, high = np.bincount(accounts), np.bincount(accounts, ends == R)
    sums = (float((high**2).sum()), float((high * of).sum()), float((of**2).sum()))
    effect = design_effect(high.sum(), 200, of.size, sums)

    plain = Incidence(packed(ages, ends))._variances()[-1]
    found = Incidence(packed(ages, ends), clusters=accounts)
    index = np.array([found.times.size])

    assert effect > 1.2
    assert_allclose(found._effects(np.array([10]), index, np.array([plain])), [effect], rtol=1e-9)


def test_one_account_tells_as_little_as_one_member():
    ages, ends = random_members(50, seed=2, ties=True)
    plain = Incidence(packed(ages, ends)).at([20])
    one = Incidence(packed(ages, ends), clusters=np.zeros(50, dtype=np.int64)).at([20])

    assert one.share == plain.share
    assert one.low[0] < plain.low[0] / 10
    assert one.high[0] > 2 * plain.high[0]
