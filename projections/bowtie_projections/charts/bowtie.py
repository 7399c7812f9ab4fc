"""The bowtie itself: both halves, as wide as the stages are full, with what passes the joints.

The width of a stage is the number that entered it, all on one scale: a chart whose halves had a
scale each would show a growth that nobody saw. The joints say the share of the mature that went on
in time, and after how many days half of these had.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import altair as alt

from bowtie.stages import STAGES
from bowtie_projections.charts.look import LEFT, RIGHT, brief, days, framed, percent

if TYPE_CHECKING:
    from bowtie_projections.results import Result

__all__ = ["bowtie"]

_KNOT = STAGES.index("commitment")
_WIDTH, _HEIGHT = 820, 300
#: Of a bowtie among several.
_SMALL = (400, 130)
#: Points of the outline between two stages: enough for the eye to see a curve.
_STEPS = 24


def bowtie(result: Result, keys: Sequence[str]) -> Any:
    """The funnel as a bowtie; one for each cell of a breakdown.

    Args:
        result: of the funnel, without cohorts.
        keys: the columns of its breakdowns.
    """
    cells: dict[tuple[Any, ...], list[dict[str, Any]]] = {}
    for row in result.rows():
        cells.setdefault(tuple(row[key] for key in keys), []).append(row)
    widest = max((row["entered"] for row in result.rows()), default=0) or 1
    if not keys:
        (rows,) = cells.values() or [[]]
        chart = _drawn(rows, widest, (_WIDTH, _HEIGHT))
        return framed(chart, "Bowtie", result.sentence, width=_WIDTH)
    drawn = [
        _drawn(rows, widest, _SMALL, brief=True).properties(
            title=", ".join("(none)" if part is None else str(part) for part in cell)
        )
        for cell, rows in cells.items()
    ]
    title = f"Bowtie by {', '.join(keys)}"
    return framed(alt.concat(*drawn, columns=2), title, result.sentence, width=2 * _SMALL[0])


def _drawn(
    rows: Sequence[Mapping[str, Any]], widest: int, size: tuple[int, int], *, brief: bool = False
) -> Any:
    """One bowtie: its outline, its stages and its joints."""
    # on the axis there is place for the names beside the first and the last stage
    x = alt.X("x:Q", axis=None, scale=alt.Scale(domain=[-0.45, len(rows) - 0.55]))
    y = alt.Y("y:Q", axis=None, scale=alt.Scale(domain=[-1.45, 1.45]))
    outline = (
        alt.Chart(alt.InlineData(values=_outline(rows, widest)))
        .mark_area(opacity=0.85)
        .encode(
            x=x,
            y=y,
            y2=alt.Y2("y2:Q"),
            color=alt.Color(
                "half:N",
                scale=alt.Scale(domain=["narrows", "widens"], range=[LEFT, RIGHT]),
                legend=None,
            ),
        )
    )
    stages = alt.Chart(alt.InlineData(values=_stages(rows, widest)))
    joints = alt.Chart(alt.InlineData(values=_joints(rows)))
    lines = stages.mark_rule(color="white", strokeWidth=1.5).encode(x=x, y=y, y2=alt.Y2("y2:Q"))
    font = 9 if brief else 12
    names = stages.mark_text(fontSize=font, fontWeight="bold", baseline="bottom").encode(
        x=x, y=alt.Y("above:Q", axis=None), text="stage:N", tooltip=_tips(rows)
    )
    numbers = stages.mark_text(fontSize=font, baseline="top", color="#333333").encode(
        x=x, y=alt.Y("below:Q", axis=None), text=alt.Text("entered:Q", format=",")
    )
    passes = joints.mark_text(fontSize=font - 1, color="#333333", lineBreak="\n").encode(
        x=x, y=alt.datum(-1.32), text="says:N"
    )
    return alt.layer(outline, lines, names, numbers, passes).properties(
        width=size[0], height=size[1]
    )


def _outline(rows: Sequence[Mapping[str, Any]], widest: int) -> list[dict[str, Any]]:
    """Points of both edges, each half in its colour; they meet in the knot."""
    points: list[dict[str, Any]] = []
    for number, (here, following) in enumerate(pairwise(rows)):
        half = "narrows" if number < _KNOT else "widens"
        start, end = here["entered"] / widest, following["entered"] / widest
        for step in range(_STEPS + 1):
            part = step / _STEPS
            # a curve without a corner at the stages
            width = start + (end - start) * part * part * (3 - 2 * part)
            points.append({"x": number + part, "y": width, "y2": -width, "half": half})
    return points


def _stages(rows: Sequence[Mapping[str, Any]], widest: int) -> list[dict[str, Any]]:
    found = []
    for number, row in enumerate(rows):
        width = row["entered"] / widest
        place = {"x": number, "y": width, "y2": -width, "above": width + 0.05}
        found.append({**row, **place, "below": -width - 0.05})
    return found


def _joints(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """What is written between two stages: on mature members alone."""
    return [
        {
            "x": number + 0.5,
            "says": brief([percent(row["conversion"]), days(row["days_p50"])]).replace(" · ", "\n"),
        }
        for number, row in enumerate(rows[:-1])
    ]


def _tips(rows: Sequence[Mapping[str, Any]]) -> list[Any]:
    """All figures of a stage, for a reader with a mouse."""
    shown = rows[0] if rows else {}
    return [
        alt.Tooltip(name, type="nominal" if isinstance(value, str) else "quantitative")
        for name, value in shown.items()
    ]
