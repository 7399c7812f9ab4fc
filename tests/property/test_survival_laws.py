"""Laws of the estimate under censoring, and the estimate read plainly, in fractions."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from bowtie_projections.survival import LOST, REACHED, WATCHED, Incidence, packed

#: A member: age, what ended it, and from which age it was watched.
Member = tuple[int, int, int]
ENDS = st.sampled_from([REACHED, LOST, WATCHED])
plain = st.lists(st.tuples(st.integers(0, 9), ENDS, st.just(0)), min_size=1, max_size=25)
late = st.lists(
    st.tuples(st.integers(0, 9), ENDS, st.integers(0, 9)).filter(lambda one: one[2] <= one[0]),
    min_size=1,
    max_size=25,
)
ages = st.integers(0, 11)


def incidence(members: list[Member], **more) -> Incidence:
    given_ages, ends, starts = np.array(members, dtype=np.int64).T
    return Incidence(packed(given_ages, ends), starts[starts > 0], **more)


def at_risk(members: list[Member], age: float | Fraction) -> int:
    return sum(start <= age <= end for end, _, start in members)


def in_fractions(
    members: list[Member], until: int, weights: list[Fraction] | None = None
) -> tuple[Fraction, Fraction, Fraction]:
    """Reached, lost and neither by an age: age after age, each member looked at."""
    weights = weights or [Fraction(1)] * len(members)
    reached, lost, rest = Fraction(0), Fraction(0), Fraction(1)
    for age in range(until + 1):
        risk = sum(w for w, (end, _, start) in zip(weights, members, strict=True)
                   if start <= age <= end)  # fmt: skip
        ended = [
            sum(w for w, (end, how, _) in zip(weights, members, strict=True)
                if end == age and how == kind)
            for kind in (REACHED, LOST)
        ]  # fmt: skip
        if risk:
            reached += rest * ended[0] / risk
            lost += rest * ended[1] / risk
            rest *= 1 - Fraction(sum(ended)) / risk
    return reached, lost, rest


def is_known(members: list[Member], until: int) -> bool:
    """Whether somebody was watched at every age, or all had ended and nobody came later."""
    for half in range(2 * until + 1):
        age = Fraction(half, 2)
        if at_risk(members, age) == 0:
            over = in_fractions(members, int(age))[2] == 0
            return bool(age and over and all(start <= age for _, _, start in members))
    return True


@given(members=late, age=ages)
def test_it_is_the_plain_reading_with_late_starts_too(members: list[Member], age: int) -> None:
    found = incidence(members).at([age])

    assert found.at_risk[0] == at_risk(members, age)
    if is_known(members, age):
        assert_allclose(found.share[0], float(in_fractions(members, age)[0]), atol=1e-12)
    else:
        assert np.isnan([found.share[0], found.low[0], found.high[0]]).all()


@given(members=plain)
def test_reached_lost_and_neither_are_all(members: list[Member]) -> None:
    found = incidence(members)

    assert_allclose(found.share + found.lost + found.rest, 1, atol=1e-12)
    for step, age in enumerate(found.times.tolist()):
        exact = [float(part) for part in in_fractions(members, age)]
        assert_allclose([found.share[step], found.lost[step], found.rest[step]], exact, atol=1e-12)


@given(members=plain)
def test_taking_the_lost_for_still_watched_never_tells_of_fewer(members: list[Member]) -> None:
    """1 - KM is at least AJ: it speaks of a world without losses."""
    censored = [(age, WATCHED if end == LOST else end, 0) for age, end, _ in members]
    grid = np.arange(10)

    found, other = incidence(members).at(grid).share, incidence(censored).at(grid).share

    both = ~np.isnan(found) & ~np.isnan(other)
    assert (other[both] >= found[both] - 1e-12).all()


@given(members=plain, age=st.integers(0, 9))
def test_without_censoring_it_is_the_plain_proportion(members: list[Member], age: int) -> None:
    """Share, and the variance of a proportion; whoever is still watched is so up to the end."""
    watched = [(9, end, 0) if end == WATCHED else (at, end, 0) for at, end, _ in members]
    number = len(watched)
    share = sum(at <= age for at, end, _ in watched if end == REACHED) / number

    found = incidence(watched)

    assert_allclose(found.at([age]).share[0], share, atol=1e-12)
    index = int(np.searchsorted(found.times, age, "right"))
    variance = found._variances()[index - 1] if index else 0.0
    assert_allclose(variance, share * (1 - share) / number, atol=1e-12)


@given(members=late, age=ages, order=st.randoms(use_true_random=False))
def test_the_order_of_members_is_nothing(members: list[Member], age: int, order) -> None:
    shuffled = [*members]
    order.shuffle(shuffled)

    one, other = incidence(members), incidence(shuffled)

    assert_allclose(one.at([age]).share, other.at([age]).share, atol=0, equal_nan=True)
    assert_allclose(one.at([age]).low, other.at([age]).low, atol=0, equal_nan=True)
    assert one.age_at() == other.age_at()


@given(members=late, age=st.integers(0, 9))
def test_the_variance_is_the_sum_of_its_definition(members: list[Member], age: int) -> None:
    """As it is printed in the books: a double sum over earlier ages."""
    share, total = in_fractions(members, age)[0], Fraction(0)
    for at in range(age + 1):
        risk = at_risk(members, at)
        ended = [sum(m[:2] == (at, kind) for m in members) for kind in (REACHED, LOST)]
        if not sum(ended):
            continue
        grows = share - in_fractions(members, at)[0]
        before = in_fractions(members, at - 1)[2] if at else Fraction(1)
        if risk > sum(ended):
            total += grows**2 * Fraction(sum(ended), risk * (risk - sum(ended)))
        total += before**2 * Fraction(ended[0] * (risk - ended[0]), risk**3)
        total -= 2 * grows * before * Fraction(ended[0], risk**2)

    found = incidence(members)

    index = int(np.searchsorted(found.times, age, "right"))
    assert_allclose(found._variances()[index - 1] if index else 0.0, float(total), atol=1e-12)


@given(members=late, age=st.integers(0, 9), each=st.integers(0, 24))
def test_a_members_influence_is_what_its_weight_does(
    members: list[Member], age: int, each: int
) -> None:
    """The derivative of the estimate by one weight, taken from both sides."""
    each %= len(members)
    step = Fraction(1, 10**6)
    shares = []
    for weight in (1 - step, 1 + step):
        weights = [Fraction(1)] * len(members)
        weights[each] = weight
        shares.append(in_fractions(members, age, weights)[0])
    expected = float((shares[1] - shares[0]) / (2 * step))

    found = incidence(members)
    own, until_start = found._influence(int(np.searchsorted(found.times, age, "right")))

    starts = [start for _, _, start in members]
    place = sum(start > 0 for start in starts[:each])
    total = own[each] + (until_start[place] if starts[each] > 0 else 0.0)
    assert_allclose(total, expected, atol=1e-8)
