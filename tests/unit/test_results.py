"""Results: rows, frames, JSON and the notebook's view of an answer."""

from __future__ import annotations

import json
import sys
from datetime import UTC, datetime
from decimal import Decimal

import pyarrow as pa
import pytest

from bowtie.errors import UnknownName, UsageError
from bowtie_projections import Result


def make(**more) -> Result:
    table = pa.table(
        {
            "channel": pa.array(["<b>ads</b>", None]),
            "worth": pa.array([Decimal("1.50"), None], pa.decimal128(38, 6)),
            "share": [0.5, float("nan")],
            "at": pa.array([1767571200000000, None], pa.timestamp("us")),
        }
    )
    return Result("loop", table, sentence="1 < 2 customers.", notes=["mind & care"], **more)


def test_rows_have_python_values_with_zones_and_no_nan():
    first, second = make().rows()

    assert {
        "channel": "<b>ads</b>",
        "worth": Decimal("1.500000"),
        "share": 0.5,
        "at": datetime(2026, 1, 5, tzinfo=UTC),
    } == first
    assert set(second.values()) == {None}


def test_json_is_one_object_with_decimals_as_text_and_times_in_utc():
    meta = {"definition": "b2b/1", "parameters": {"top": 0.2}, "position": 7, "high": 3}

    found = json.loads(make(meta=meta).to_json())

    assert [*found][:7] == [
        "view", "definition", "parameters", "position", "as_of", "known_at", "high",
    ]  # fmt: skip
    assert found["columns"] == ["channel", "worth", "share", "at"]
    assert found["rows"][0]["worth"] == "1.500000"
    assert found["rows"][0]["at"] == "2026-01-05T00:00:00Z"
    assert found["rows"][1]["share"] is None


def test_a_notebook_shows_it_escaped_with_numbers_to_the_right():
    html = make()._repr_html_()

    assert "<b>ads</b>" not in html
    assert "&lt;b&gt;ads" in html
    assert "1 &lt; 2 customers." in html
    assert "mind &amp; care" in html
    assert '<th style="text-align:right">share</th>' in html
    assert '<th style="text-align:left">channel</th>' in html


def test_frames_hold_the_same_rows():
    assert make().to_pandas()["share"].iloc[0] == 0.5
    assert make().to_polars()["channel"].to_list() == ["<b>ads</b>", None]
    assert make().to_arrow().num_rows == len(make()) == 2


@pytest.mark.parametrize("frame", ["pandas", "polars"])
def test_a_missing_library_names_the_extra(monkeypatch, frame):
    monkeypatch.setitem(sys.modules, frame, None)  # as Python marks what can't be imported
    with pytest.raises(UsageError, match=rf"pip install 'bowtie-journeys\[{frame}\]'"):
        getattr(make(), f"to_{frame}")()


def test_parts_are_results_of_their_own():
    result = make(parts={"sources": pa.table({"channel": ["ads"]})})

    assert result.part("sources").rows() == [{"channel": "ads"}]
    assert result.parts["sources"].view == "loop.sources"
    assert json.loads(result.to_json())["parts"]["sources"]["columns"] == ["channel"]
    with pytest.raises(UnknownName, match="it has: sources"):
        result.part("spend")


def test_no_columns_are_no_rows():
    assert Result("sql", pa.table({})).rows() == []
