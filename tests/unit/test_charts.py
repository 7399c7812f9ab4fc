"""Charts: the figures of the answer are those in the picture, and files need no network."""

from __future__ import annotations

import json
import re
import sys
from datetime import date
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest

from bowtie.errors import Refused, UsageError
from bowtie.stages import STAGES
from bowtie_projections import Result
from bowtie_projections.charts import draw, written
from bowtie_projections.charts.forms import bars, grid, lines, points

ENTERED = (100, 80, 50, 20, 18, 15, 12)


def funnel(**more: Any) -> Result:
    """A funnel that halves, with one column of keys where asked for."""
    rows = [
        {name: value for name, value in more.items() if not isinstance(value, dict)}
        | {
            "stage": stage,
            "entered": entered,
            "mature": None if stage == "growth" else entered,
            "conversion": None if stage == "growth" else 0.5,
            "conversion_low": 0.4,
            "conversion_high": 0.6,
            "days_p50": 12.0 if stage == "selection" else None,
        }
        for stage, entered in zip(STAGES, ENTERED, strict=True)
    ]
    return Result("funnel", pa.Table.from_pylist(rows), sentence="100 customers are counted.")


def data_of(chart: Any) -> list[dict[str, Any]]:
    """All rows of data in a chart."""
    found: list[dict[str, Any]] = []

    def look(node: Any) -> None:
        if isinstance(node, dict):
            data = node.get("data")
            if isinstance(data, dict):
                found.extend(data.get("values", []))
            found.extend(row for rows in node.get("datasets", {}).values() for row in rows)
            for inner in node.values():
                look(inner)
        elif isinstance(node, list):
            for inner in node:
                look(inner)

    look(chart.to_dict())
    return found


def test_the_bowtie_is_as_wide_as_its_stages_are_full():
    rows = data_of(draw(funnel()))
    edges = {row["x"]: (row["y"], row["y2"], row["half"]) for row in rows if "half" in row}
    for number, entered in enumerate(ENTERED):
        width, other, half = edges[float(number)]
        assert width == pytest.approx(entered / 100)
        assert other == -width
        assert half == ("narrows" if number < STAGES.index("commitment") else "widens")


def test_the_joints_say_conversion_and_days_and_nothing_where_neither_is_known():
    says = [row["says"] for row in data_of(draw(funnel())) if "says" in row]
    assert says == ["50%", "50%", "50%\n12 days", "50%", "50%", "50%"]


def test_a_bowtie_for_each_cell_on_one_scale():
    chart = draw(Result("funnel", pa.concat_tables([
        funnel(channel="web").to_arrow(),
        funnel(channel="fair").to_arrow(),
    ])))  # fmt: skip
    assert [one["title"] for one in chart.to_dict()["concat"]] == ["web", "fair"]


def test_a_share_of_few_is_not_drawn():
    rows = data_of(draw(funnel(cohort="2026-Q1")))
    shown = {row["stage"]: row["conversion"] for row in rows}
    assert shown["commitment"] == 0.5
    assert shown["onboarding"] is None


@pytest.mark.parametrize("kind", ["svg", "png", "html"])
def test_files_need_no_network(kind, monkeypatch):
    monkeypatch.setattr("socket.socket.connect", None)
    content = written(draw(funnel()), kind)
    if kind == "png":
        assert content.startswith(b"\x89PNG")
        return
    text = content.decode()
    assert "commitment" in text
    assert "100 customers are counted." in text
    assert re.findall(r"<(?:script|link|image)[^>]+(?:src|href)=\"?http", text) == []


def test_what_no_drawing_can_hold_is_spelled_out():
    """The renderer would end this process."""
    nasty = "a\x1b[31m\x00\ufffe"
    chart = draw(funnel(**{"trait.plan": nasty}))
    text = written(chart, "svg").decode()
    assert r"a\x1b[31m\x00\ufffe" in text


def test_who_has_no_chart_is_told_who_has():
    with pytest.raises(Refused, match=r"no chart of sql.*funnel"):
        Result("sql", pa.table({"a": [1]})).chart()
    with pytest.raises(Refused, match="no rows"):
        draw(Result("stock", pa.table({"stage": pa.array([], pa.string())})))


def test_without_the_extra_the_message_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "altair", None)
    with pytest.raises(UsageError, match=r"bowtie-journeys\[charts\]"):
        funnel().chart()


ROWS = [
    {"trait.a[0]": "x", "day": date(2026, 1, 5), "share": Decimal("0.25"), "low": 0.1, "high": 0.5},
    {"trait.a[0]": "y", "day": date(2026, 1, 6), "share": None, "low": None, "high": None},
]


@pytest.mark.parametrize(
    "chart",
    [
        bars(ROWS, "trait.a[0]", "share", title="share"),
        points(ROWS, "trait.a[0]", "share", low="low", high="high", title="share", reference=0.2),
        lines(ROWS, "day", "share", title="share", color="trait.a[0]", low="low", high="high"),
        grid(ROWS, "day", "trait.a[0]", "share", title="share"),
    ],
)
def test_any_name_and_any_value_can_be_drawn(chart):
    assert {row["share"] for row in data_of(chart) if "share" in row} <= {0.25, None}
    assert "trait\\\\.a\\\\[0\\\\]" in json.dumps(chart.to_dict())
    svg = written(chart, "svg").decode()
    assert "NaN" not in svg
    assert "undefined" not in svg
