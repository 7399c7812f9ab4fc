"""Ways as bands: how many went from where to where, step by step.

At each step the places stand one above the other, each as high as many are there. A band leaves a
place and comes to the next as wide as many take that way. All is drawn on one scale.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import altair as alt

__all__ = ["sankey", "stacked"]

Rows = Sequence[Mapping[str, Any]]
_WIDTH, _HEIGHT = 860, 420
#: Of the height, between two places; and of a step, the width of a place.
_GAP, _BAR = 0.02, 0.03
#: Points of the edge of a band.
_POINTS = 16
#: Ways that fewer than this share take are bands too thin to see, and their names would cover all.
_NAMED = 0.02


def stacked(cells: Mapping[str, Rows]) -> Any:
    """The ways of several, one below the other, each under its name and on its own scale."""
    return alt.vconcat(*(sankey(rows).properties(title=name) for name, rows in cells.items()))


def sankey(rows: Rows) -> Any:
    """The ways of the rows.

    Args:
        rows: ``step``, ``source``, ``target`` and ``customers``.
    """
    places = _places(rows)
    # text stands right of its place: the last one needs room
    last = max((step for step, _ in places), default=0)
    x = alt.X("x:Q", axis=None, scale=alt.Scale(domain=[-0.05, last + 0.6]))
    scale = alt.Scale(domain=[0, 1], reverse=True)
    y = alt.Y("y:Q", axis=None, scale=scale)
    bands = (
        alt.Chart(alt.InlineData(values=_bands(rows, places)))
        .mark_area(opacity=0.45)
        .encode(
            x=x,
            y=y,
            y2=alt.Y2("y2:Q"),
            color=alt.Color("source:N", legend=None, sort=_names(rows)),
            detail="way:N",
            tooltip=[alt.Tooltip(name, type="nominal") for name in _TOLD],
        )
    )
    bars = (
        alt.Chart(alt.InlineData(values=_bars(places)))
        .mark_rect()
        .encode(
            x=x,
            x2=alt.X2("x2:Q"),
            y=y,
            y2=alt.Y2("y2:Q"),
            color=alt.Color("source:N", legend=None, sort=_names(rows)),
        )
    )
    named = [bar | {"says": f"{bar['source']} {bar['customers']:,}"} for bar in _bars(places)]
    shown = [bar for bar in named if bar["y2"] - bar["y"] >= _NAMED]
    text = (
        alt.Chart(alt.InlineData(values=shown))
        .mark_text(align="left", dx=4, fontSize=10)
        .encode(
            x=alt.X("x2:Q", axis=None),
            y=alt.Y("middle:Q", axis=None, scale=scale),
            text="says:N",
        )
    )
    return alt.layer(bands, bars, text).properties(width=_WIDTH, height=_HEIGHT)


_TOLD = ("source", "target", "customers")
#: A place: where it begins and ends, and how much of it the bands have taken on either side.
_Place = dict[str, float]


def _names(rows: Rows) -> list[str]:
    return list(dict.fromkeys(name for row in rows for name in (row["source"], row["target"])))


def _places(rows: Rows) -> dict[tuple[int, str], _Place]:
    """Each name at each step, the ones with the most first."""
    out: dict[tuple[int, str], int] = {}
    into: dict[tuple[int, str], int] = {}
    for row in rows:
        start, end = (row["step"], row["source"]), (row["step"] + 1, row["target"])
        out[start] = out.get(start, 0) + row["customers"]
        into[end] = into.get(end, 0) + row["customers"]
    heights = {there: max(out.get(there, 0), into.get(there, 0)) for there in out | into}
    steps = sorted({step for step, _ in heights})
    columns = {
        step: sorted(
            (there for there in heights if there[0] == step), key=lambda t: (-heights[t], t[1])
        )
        for step in steps
    }
    room = 1 - _GAP * max((len(names) for names in columns.values()), default=0)
    most = max((sum(heights[t] for t in names) for names in columns.values()), default=1) or 1
    places: dict[tuple[int, str], _Place] = {}
    for names in columns.values():
        top = 0.0
        for there in names:
            high = heights[there] / most * room
            places[there] = {"top": top, "high": high, "out": 0.0, "in": 0.0,
                             "scale": room / most, "customers": heights[there]}  # fmt: skip
            top += high + _GAP
    return places


def _bars(places: Mapping[tuple[int, str], _Place]) -> list[dict[str, Any]]:
    return [
        {
            "source": name, "x": step, "x2": step + _BAR, "y": place["top"],
            "y2": place["top"] + place["high"], "middle": place["top"] + place["high"] / 2,
            "customers": int(place["customers"]),
        }
        for (step, name), place in places.items()
    ]  # fmt: skip


def _bands(rows: Rows, places: Mapping[tuple[int, str], _Place]) -> list[dict[str, Any]]:
    points: list[dict[str, Any]] = []
    for number, row in enumerate(sorted(rows, key=lambda r: (r["step"], -r["customers"]))):
        start, end = places[row["step"], row["source"]], places[row["step"] + 1, row["target"]]
        width = row["customers"] * start["scale"]
        left, right = start["top"] + start["out"], end["top"] + end["in"]
        start["out"] += width
        end["in"] += width
        told = {name: row[name] for name in _TOLD} | {"way": number}
        for point in range(_POINTS + 1):
            part = point / _POINTS
            y = left + (right - left) * part * part * (3 - 2 * part)
            x = row["step"] + _BAR + part * (1 - _BAR)
            points.append(told | {"x": x, "y": y, "y2": y + width})
    return points
