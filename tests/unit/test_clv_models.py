"""The models of customer lifetime value against what was published, and against integration."""

from __future__ import annotations

from collections import Counter, defaultdict
from datetime import date, datetime
from typing import Any

import numpy as np
import pytest
from scipy.stats import beta as beta_of
from scipy.stats import gamma as gamma_of

from bowtie_projections.clv.buying import MODELS, BetaGeometric, Buyers, ParetoNBD
from bowtie_projections.clv.fitting import Fit
from bowtie_projections.clv.renewing import ShiftedBetaGeometric
from bowtie_projections.clv.spending import GammaGamma, correlation

END = date(1997, 9, 30)


@pytest.fixture(scope="module")
def cdnow(shared_data):
    """The CDNOW sample to the end of its calibration: buyers in weeks, and what each spent."""
    file = shared_data / "cdnow" / "cdnow_sample.txt"
    if not file.is_file():
        pytest.skip(f"there is no {file}")
    days: defaultdict[str, Any] = defaultdict(Counter)
    for line in file.read_text().splitlines():
        words = line.split()
        days[words[1]][datetime.strptime(words[2], "%Y%m%d").date()] += float(words[4])  # noqa: DTZ007
    figures, spent = [], []
    for own in days.values():
        known = sorted(day for day in own if day <= END)
        figures.append((len(known) - 1, (known[-1] - known[0]).days / 7, (END - known[0]).days / 7))
        spent.append(sum(own[day] for day in known[1:]) / max(len(known) - 1, 1))
    return Buyers.of(*zip(*figures, strict=True)), np.array(spent)


def model_of(name, *values):
    fit = Fit(values, 0.0, True, 1, 1, 1)
    return ParetoNBD(fit) if name == "pareto/nbd" else BetaGeometric(fit, name == "mbg/nbd")


# Fader, Hardie and Lee 2005; BTYDplus for MBG/NBD
@pytest.mark.parametrize(
    ("name", "published", "likelihood"),
    [
        ("bg/nbd", (0.243, 4.414, 0.793, 2.426), -9582.429),
        ("mbg/nbd", (0.525, 6.183, 0.891, 1.614), -9582.136),
        pytest.param(
            "pareto/nbd", (0.553, 10.578, 0.606, 11.669), -9594.976, marks=pytest.mark.slow
        ),
    ],
)
def test_buying_is_fitted_as_published(cdnow, name, published, likelihood):
    buyers, _ = cdnow
    assert (len(buyers.x), buyers.x.sum()) == (2357, 2457)
    found = MODELS[name](buyers)
    assert found.fit.values == pytest.approx(published, abs=1.5e-3)
    assert found.fit.customers == 2357
    assert found.fit.log_likelihood == pytest.approx(likelihood, abs=1e-3)
    assert (found.fit.converged, found.fit.agreed) == (True, 4)


def test_the_unit_of_time_changes_that_of_the_parameters_and_nothing_else(cdnow):
    buyers, _ = cdnow
    found, in_days = (
        MODELS["bg/nbd"](one) for one in (buyers.every(4), buyers.scaled(1 / 7).every(4))
    )
    assert in_days.named()["alpha"] == pytest.approx(7 * found.named()["alpha"], rel=1e-4)
    assert in_days.expected(buyers.scaled(1 / 7), 39 * 7) == pytest.approx(
        found.expected(buyers, 39), rel=1e-3
    )


def test_spend_is_fitted_as_published(cdnow):
    buyers, spent = cdnow
    again = buyers.x > 0
    x, mean = buyers.x[again], spent[again]
    found = GammaGamma.fitted(x, mean)
    assert again.sum() == 946
    assert found.fit.values == pytest.approx((6.25, 3.74, 15.44), abs=5e-3)
    assert found.fit.log_likelihood == pytest.approx(-4055.918, abs=1e-3)
    assert found.mean_of_all() == pytest.approx(35.17, abs=5e-3)
    assert correlation(x, mean) == pytest.approx(0.114, abs=5e-4)
    # of whom nothing is known, the mean of all is expected
    assert found.expected(np.array([0.0]), np.array([np.nan])) == found.mean_of_all()


def test_what_the_published_model_expects():
    model = model_of("bg/nbd", 0.2426, 4.4136, 0.7929, 2.4259)
    found = [model.expected_of_new(t) for t in (1 / 7, 1, 3, 31 + 6 / 7, 32, 78)]
    assert found == pytest.approx([0.0078, 0.0532, 0.1506, 1.0405, 1.0437, 1.858], abs=1e-4)
    known = Buyers.of([2, 0], [30.43, 0], [38.86, 38.86])
    assert model.expected(known, 39) == pytest.approx([1.226, 0.195], abs=5e-4)
    assert model.alive(known) == pytest.approx([0.7266, 1], abs=5e-5)


REGULAR = (63.1, 46.8, 38.2, 32.6, 28.9, 26.2, 24.1)
HIGH_END = (86.9, 74.3, 65.3, 59.3, 55.1, 51.7, 49.1)


# Fader and Hardie 2007, of 1,000 customers
@pytest.mark.parametrize(
    ("kept", "published", "likelihood", "after_12", "worth"),
    [
        (REGULAR, (0.704, 1.182), -1680.265, 0.170, 3.69491),
        (HIGH_END, (0.668, 3.806), -1611.158, 0.378, 5.92225),
    ],
)
def test_renewing_is_fitted_as_published(kept, published, likelihood, after_12, worth):
    stayed = np.array([1000, *(10 * one for one in kept)])
    lost = np.append(-np.diff(stayed), 0)
    open_still = np.where(np.arange(8) == 7, stayed, 0)
    found = ShiftedBetaGeometric.fitted(np.arange(8.0), lost, open_still)
    assert found.fit.values == pytest.approx(published, abs=5e-4)
    assert found.fit.log_likelihood == pytest.approx(likelihood, abs=1e-3)
    assert (found.fit.converged, found.fit.at_border, found.fit.agreed) == (True, False, 4)
    assert float(found.surviving(12)) == pytest.approx(after_12, abs=5e-4)
    assert found.lifetime_of_new(0.1) == pytest.approx(worth, abs=5e-5)


def test_the_closed_forms_of_lifetimes_are_their_sums():
    model = ShiftedBetaGeometric(Fit((0.70408, 1.18204), 0, True, 1, 1, 1))
    rates = [float(one) for one in model.renewing(np.arange(1.0, 5.0))]
    assert rates == pytest.approx([0.627, 0.756, 0.819, 0.856], abs=5e-4)
    before = [model.lifetime_before(n, 0.1) for n in (1, 2, 3)]
    assert before == pytest.approx([2.96440, 4.10314, 4.86981], abs=5e-5)
    terms = np.arange(3000.0)
    surviving, discounted = model.surviving(terms), 1.1**-terms
    assert model.lifetime_of_new(0.1) == pytest.approx(surviving @ discounted, rel=1e-9)
    later = model.surviving(terms + 2) / model.surviving(1)
    assert model.lifetime_before(2, 0.1) == pytest.approx(later @ discounted, rel=1e-9)
    # a constant first-year rate understates it by 37%
    assert 1.1 / (1.1 - rates[0]) == pytest.approx(2.324, abs=1e-3)


def integrals(name, values, buyer, time):
    """(P(alive), expected purchases) by integrating over what customers are like."""
    (r, alpha, one, other), (x, recency, age) = values, buyer
    nodes, weights = np.polynomial.legendre.leggauss(400)
    top = 12.0 if name == "pareto/nbd" else 1.0
    rate, leaving = np.meshgrid(3.5 * (nodes + 1), top / 2 * (nodes + 1))
    prior = gamma_of.pdf(rate, r, scale=1 / alpha) * np.outer(weights, weights)
    if name == "pareto/nbd":
        prior *= gamma_of.pdf(leaving, one, scale=1 / other)
        total = rate + leaving
        active = np.exp(-total * age)
        gone = leaving / total * (np.exp(-total * recency) - active)
        going = leaving
    else:
        prior *= beta_of.pdf(leaving, one, other)
        after_first = name == "mbg/nbd"
        active = (1 - leaving) ** (x + after_first) * np.exp(-rate * age)
        gone = leaving * (1 - leaving) ** (x - 1 + after_first) * np.exp(-rate * recency)
        if not x and not after_first:
            gone = 0 * gone
        going = rate * leaving
    active, gone = (part * rate**x * prior for part in (active, gone))
    to_come = active * rate / going * -np.expm1(-going * time)
    return active.sum() / (active + gone).sum(), to_come.sum() / (active + gone).sum()


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize(("x", "recency", "age"), [(0, 0.0, 9.0), (3, 4.0, 20.0)])
def test_what_is_told_of_a_customer_is_the_integral(name, x, recency, age):
    values = (2.5, 8.0, 2.2, 3.1)
    model = model_of(name, *values)
    buyer = Buyers.of([x], [recency], [age])
    alive, expected = integrals(name, values, (x, recency, age), 12.0)
    assert model.alive(buyer)[0] == pytest.approx(alive, rel=1e-5)
    assert model.expected(buyer, 12.0)[0] == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize(("name", "place"), [("bg/nbd", 2), ("mbg/nbd", 2), ("pareto/nbd", 2)])
def test_holes_of_the_formulas_are_closed(name, place):
    """At a parameter of 1 both parts of a fraction vanish."""
    buyers = Buyers.of([0, 4, 400], [0, 11, 99], [20, 20, 100])
    values = [0.9, 3.0, 1.0, 2.0]
    at = model_of(name, *values)
    values[place] += 1e-3
    beside = model_of(name, *values)
    assert at.expected(buyers, 52) == pytest.approx(beside.expected(buyers, 52), rel=5e-3)
    assert at.expected_of_new(52) == pytest.approx(beside.expected_of_new(52), rel=5e-3)
    assert np.all(np.isfinite(at.alive(buyers)))


@pytest.mark.parametrize("name", ["bg/nbd", "mbg/nbd"])
def test_large_parameters_are_told_by_quadrature_alike(name):
    """On both sides of where 2F1 is left, and far beyond, where all leave alike."""
    buyers = Buyers.of([0, 4, 30], [0, 11, 19], [20, 20, 20])
    below, above = (model_of(name, 0.9, 3.0, 2.0, b) for b in (29.9, 30.1))
    far = model_of(name, 0.9, 3.0, 400.0, 2400.0)
    assert above.expected(buyers, 52) == pytest.approx(below.expected(buyers, 52), rel=5e-3)
    rate, chance = (0.9 + buyers.x) / (3.0 + buyers.age), 400 / 2800
    most = rate * 52 * far.alive(buyers)
    assert np.all(far.expected(buyers, 52) < most)
    assert far.expected(buyers, 1e6) == pytest.approx(far.alive(buyers) / chance, rel=0.05)


def test_where_nothing_tells_of_leaving_the_search_says_that_it_ran_to_the_border():
    """All bought on their last day: nobody has left, and no parameter of leaving is best."""
    rng = np.random.default_rng(4)
    age = rng.uniform(20, 60, 300)
    x = rng.poisson(rng.gamma(5, 0.02, 300) * age) + 1
    assert BetaGeometric.fitted(Buyers.of(x, age, age)).fit.at_border


def test_spend_of_a_heavy_tail_has_no_mean():
    model = GammaGamma(Fit((1.0, 0.9, 5.0), 0, True, 1, 1, 1))
    assert np.isnan(model.mean_of_all())
    assert np.isfinite(model.expected(np.array([2.0]), np.array([10.0]))).all()


@pytest.mark.slow
def test_many_are_fitted_by_what_they_were_made_from():
    """Twenty thousand made-up customers, of whom only a part tries the starts."""
    rng = np.random.default_rng(1)
    size, truth = 20_000, (0.8, 6.0, 0.9, 2.5)
    rate, leaving = rng.gamma(0.8, 1 / 6, size), rng.beta(0.9, 2.5, size)
    age, x, recency, clock = rng.uniform(20, 120, size), *np.zeros((3, size))
    active = np.ones(size, bool)
    while active.any():
        clock = clock + rng.exponential(1, size) / rate
        active &= clock < age
        x[active], recency[active] = x[active] + 1, clock[active]
        active &= rng.random(size) >= leaving
    found = BetaGeometric.fitted(Buyers.of(x, recency, age))
    assert found.fit.converged
    assert found.fit.values == pytest.approx(truth, rel=0.1)
