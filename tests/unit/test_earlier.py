"""Which period one is compared with, by the calendar."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bowtie.errors import UsageError
from bowtie_projections.views.cohorts import PERIODS, cohort_label, days_of
from bowtie_projections.views.earlier import check_compare, earlier, earlier_cohort


@pytest.mark.parametrize(
    ("compare", "asked", "expected"),
    [
        ("previous", ("2026-03", "2026-03"), ("2026-02", "2026-02")),
        ("previous", ("2026-Q1", "2026-Q2"), ("2025-Q3", "2025-Q4")),
        ("previous", ("2026", "2026"), ("2025", "2025")),
        ("previous", ("2026-03-11", "2026-03-20"), ("2026-03-01", "2026-03-10")),
        ("previous", ("2026-W01", "2026-W02"), ("2025-12-15", "2025-12-28")),
        ("year", ("2024-02", "2024-02"), ("2023-02", "2023-02")),
        ("year", ("2025-02", "2025-02"), ("2024-02", "2024-02")),
        ("year", ("2024-02-29", "2024-02-29"), ("2023-02-28", "2023-02-28")),
        ("year", ("2024-02-10", "2024-02-28"), ("2023-02-10", "2023-02-28")),
        ("year", ("2026-W07", "2026-W08"), ("2025-W07", "2025-W08")),
    ],
)
def test_the_period_compared_with(compare, asked, expected):
    assert earlier(compare, *asked) == expected


def test_moments_are_moved_by_the_time_between_them():
    noon = datetime(2026, 3, 1, 12, tzinfo=UTC)
    first, last = earlier("previous", noon, noon + timedelta(hours=6))
    assert last == noon - timedelta(microseconds=1)
    assert last - first == timedelta(hours=6)
    assert earlier("year", noon, noon)[0] == datetime(2025, 3, 1, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("compare", "asked", "problem"),
    [
        ("year", ("2026-W53", "2026-W53"), "no such week"),
        ("previous", ("2026-02", "2026-01"), "the end is before the start"),
        ("previous", (datetime(2026, 1, 1, tzinfo=UTC), "2026-01"), "of one kind"),
    ],
)
def test_what_has_nothing_before_it_is_refused(compare, asked, problem):
    with pytest.raises(UsageError, match=problem):
        earlier(compare, *asked)


def test_only_two_words_compare():
    assert check_compare("year") == "year"
    with pytest.raises(UsageError, match="write previous or year"):
        check_compare("month")


@given(st.dates(date(1990, 1, 1), date(2060, 1, 1)), st.sampled_from(PERIODS))
def test_the_cohort_before_ends_where_one_begins(day, cohort):
    start = day - timedelta(days=day.weekday()) if cohort == "week" else day
    label = cohort_label(start, cohort)
    before = earlier_cohort("previous", label, cohort)
    assert days_of(before)[1] == days_of(label)[0]


@given(st.dates(date(1990, 1, 1), date(2060, 1, 1)), st.sampled_from(PERIODS))
def test_the_cohort_of_a_year_earlier_has_the_same_place_in_it(day, cohort):
    start = day - timedelta(days=day.weekday()) if cohort == "week" else day
    label = cohort_label(start, cohort)
    before = earlier_cohort("year", label, cohort)
    if before is None:
        assert label.endswith(("-W53", "-02-29"))
    else:
        assert (int(before[:4]) + 1, before[4:]) == (int(label[:4]), label[4:])


@given(
    st.dates(date(1990, 1, 1), date(2060, 1, 1)),
    st.integers(0, 800),
)
def test_the_period_before_is_of_equal_length_and_ends_where_one_begins(first, days):
    last = first + timedelta(days=days)
    before = [days_of(written) for written in earlier("previous", first, last)]
    assert before[1][1] == first
    whole = first.day == 1 == (last + timedelta(days=1)).day
    if not whole:
        assert before[1][1] - before[0][0] == last + timedelta(days=1) - first
    else:
        assert before[0][0].day == 1
