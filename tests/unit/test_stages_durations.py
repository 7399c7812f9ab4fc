"""Spans of time are read and written alike."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bowtie.durations import LONGEST, format_duration, parse_duration
from bowtie.errors import UsageError


@pytest.mark.parametrize(
    ("text", "span"),
    [
        ("90d", timedelta(days=90)),
        ("36h", timedelta(hours=36)),
        ("2w", timedelta(days=14)),
        ("30min", timedelta(minutes=30)),
        ("45s", timedelta(seconds=45)),
        (" 0d ", timedelta()),
        ("36500d", LONGEST),
    ],
)
def test_a_span_is_a_number_and_a_unit(text, span):
    assert parse_duration(text) == span


@pytest.mark.parametrize("text", ["", "90", "d", "-1d", "1.5d", "3m", "1y", "90 d", "9٠d", "1d2h"])
def test_anything_else_is_refused_with_examples(text):
    with pytest.raises(UsageError, match='"90d"'):
        parse_duration(text)


@pytest.mark.parametrize("text", ["36501d", "999999999999w"])
def test_too_long_a_span_is_refused(text):
    with pytest.raises(UsageError, match="at most 36500d"):
        parse_duration(text)


def test_spans_are_written_in_days_where_they_are_whole():
    written = ["0d", "14d", "36h", "90min", "45s"]
    assert [format_duration(parse_duration(text)) for text in written] == written
    assert format_duration(timedelta(weeks=2)) == "14d"


@given(st.timedeltas(timedelta(), LONGEST).map(lambda span: timedelta(span.days, span.seconds)))
def test_what_is_written_is_read_back(span):
    assert parse_duration(format_duration(span)) == span
