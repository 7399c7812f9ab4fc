"""The forms most views are drawn in: bars, lines with their intervals, points, and a grid.

Each takes rows and the names of columns, so that the data in the picture is the data of the answer.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Any, Literal

import altair as alt

from bowtie_projections.charts.look import MUTED, PALETTE

__all__ = ["bars", "grid", "labelled", "lines", "points", "values"]

Rows = Sequence[Mapping[str, Any]]
#: Of one line of a chart of bars or points, and of a chart of lines.
_STEP, _WIDTH, _HEIGHT = 20, 560, 280
_EDGE, _TICK = 12, 60
#: The column by which the parts of a bar follow each other.
_PLACE = "place of the part"


def values(rows: Rows) -> Any:
    """The rows as a chart holds them: numbers as numbers, times and days as text."""
    return alt.InlineData(
        values=[{name: _plain(value) for name, value in row.items()} for row in rows]
    )


def labelled(rows: Rows, keys: Sequence[str], name: str = "label") -> list[dict[str, Any]]:
    """The rows with what they are of, in one text; none has no value."""
    return [
        {**row, name: ", ".join("(none)" if row[key] is None else str(row[key]) for key in keys)}
        for row in rows
    ]


def bars(
    rows: Rows,
    y: str,
    x: str,
    *,
    title: str,
    color: str | None = None,
    shades: Mapping[str, str] | None = None,
    mark: str | None = None,
) -> Any:
    """A bar for each row, in the order of the rows, with its number behind it.

    Args:
        rows: what is drawn.
        y: the column that names the bars.
        x: the column of their lengths.
        title: of the axis.
        color: a column, whose values are stacked.
        shades: the colours of its values.
        mark: a column whose figure is a line across the bar.
    """
    order = _in_order(rows, y)
    if color is not None:
        places = {value: place for place, value in enumerate(_in_order(rows, color))}
        rows = [{**row, _PLACE: places[_plain(row[color])]} for row in rows]
    # fonts differ: numbers that just fit in one may touch in another
    axis = alt.Axis(format="~s", labelOverlap="greedy", labelSeparation=8)
    base = alt.Chart(values(rows)).encode(
        y=alt.Y(f"{_field(y)}:N", sort=order, title=None),
        x=alt.X(f"{_field(x)}:Q", title=title, axis=axis),
        tooltip=_tips(rows),
    )
    if color is not None:
        drawn = base.mark_bar().encode(
            color=_colours(rows, color, shades), order=alt.Order(f"{_PLACE}:Q")
        )
    else:
        text = base.mark_text(align="left", dx=4).encode(
            text=alt.Text(f"{_field(x)}:Q", format=",")
        )
        drawn = base.mark_bar(color=PALETTE[0]) + text
    if mark is not None:
        tick = base.mark_tick(color=PALETTE[5], thickness=3).encode(x=alt.X(f"{_field(mark)}:Q"))
        drawn += tick
    return drawn.properties(width=_WIDTH, height=alt.Step(_STEP))


def points(
    rows: Rows,
    y: str,
    x: str,
    *,
    low: str,
    high: str,
    title: str,
    color: str | None = None,
    shades: Mapping[str, str] | None = None,
    format: str = "%",
    reference: float | None = None,
    log: bool = False,
    width: int = _WIDTH,
    empty: bool = False,
) -> Any:
    """A point with its interval for each row, in the order of the rows.

    Args:
        rows: what is drawn; those without a figure are left out, unless ``empty``.
        y: the column that names the points.
        x, low, high: the columns of the figure and its interval.
        title: of the axis.
        color: a column.
        shades: the colours of its values.
        format: of the figures.
        reference: a line to compare with, such as no difference.
        log: whether equal ratios are equally far apart.
        width: of the field.
        empty: rows without a figure keep their line.
    """
    shown = [row for row in rows if empty or row[x] is not None]
    kind: Literal["log", "linear"] = "log" if log else "linear"
    # so that a line to compare with does not lie on the edge
    edge = alt.Undefined if log or reference is None else _EDGE
    scale = alt.Scale(type=kind, zero=not log, nice=not log, padding=edge)
    base = alt.Chart(values(shown)).encode(
        y=alt.Y(f"{_field(y)}:N", sort=_in_order(shown, y), title=None), tooltip=_tips(shown)
    )
    if color is not None:
        base = base.encode(color=_colours(shown, color, shades))
    axis = alt.Axis(format=format, grid=True, tickCount=width // _TICK)
    spans = base.mark_rule(strokeWidth=2).encode(
        x=alt.X(f"{_field(low)}:Q", title=title, axis=axis, scale=scale),
        x2=alt.X2(f"{_field(high)}:Q"),
    )
    dots = base.mark_point(filled=True, size=60, opacity=1).encode(
        x=alt.X(f"{_field(x)}:Q", scale=scale)
    )
    layers = [spans, dots]
    if reference is not None:
        rule = alt.Chart(alt.InlineData(values=[{"reference": reference}])).mark_rule(
            strokeDash=[4, 3], color=MUTED
        )
        layers.insert(0, rule.encode(x=alt.X("reference:Q", scale=scale)))
    return alt.layer(*layers).properties(width=width, height=alt.Step(_STEP))


def lines(
    rows: Rows,
    x: str,
    y: str,
    *,
    title: str,
    color: str | None = None,
    low: str | None = None,
    high: str | None = None,
    format: str = "%",
    step: bool = False,
) -> Any:
    """A line, or one for each value of a column, each with its interval as a band.

    Args:
        rows: what is drawn; where there is no figure the line is broken.
        x: the column along which it goes: days, times, or a number.
        y: the figure.
        title: of its axis.
        color: a column; a line for each value.
        low, high: the columns of the interval.
        format: of the figures.
        step: whether the figure stays until the next point.
    """
    across = alt.X(f"{_field(x)}:{_kind(rows, x)}", title=x)
    base = alt.Chart(values(rows)).encode(x=across, tooltip=_tips(rows))
    if color is not None:
        base = base.encode(color=_colours(rows, color, None))
    axis = alt.Axis(format=format, grid=True)
    shape: Literal["step-after", "linear"] = "step-after" if step else "linear"
    drawn = base.mark_line(point=not step, interpolate=shape).encode(
        y=alt.Y(f"{_field(y)}:Q", title=title, axis=axis)
    )
    if low is not None and high is not None:
        pale = base
        if color is not None:
            pale = base.encode(color=_colours(rows, color, None).legend(None))
        band = pale.mark_area(opacity=0.15, interpolate=shape).encode(
            y=alt.Y(f"{_field(low)}:Q", title=title, axis=axis), y2=alt.Y2(f"{_field(high)}:Q")
        )
        # one legend, in the colours of the lines
        drawn = alt.layer(band, drawn).resolve_legend(color="independent")
    return drawn.properties(width=_WIDTH, height=_HEIGHT)


def grid(rows: Rows, x: str, y: str, value: str, *, title: str, format: str = ".0%") -> Any:
    """A field of cells, each with its figure; what is not known yet stays empty.

    Args:
        rows: one for each cell.
        x, y: the columns that name its place.
        value: the figure.
        title: of the figures.
        format: of the figures.
    """
    shown = [row for row in rows if row[value] is not None]
    base = alt.Chart(values(shown)).encode(
        x=alt.X(f"{_field(x)}:O", sort=_in_order(shown, x), title=x),
        y=alt.Y(f"{_field(y)}:O", sort=_in_order(shown, y), title=None),
        tooltip=_tips(shown),
    )
    shades = alt.Scale(scheme="blues", zero=True)
    cells = base.mark_rect().encode(
        color=alt.Color(f"{_field(value)}:Q", scale=shades, title=title, legend=None)
    )
    most = max((float(row[value]) for row in shown), default=0.0)
    text = base.mark_text(fontSize=10).encode(
        text=alt.Text(f"{_field(value)}:Q", format=format),
        # dark figures on light cells, light ones on dark
        color=alt.condition(
            f"datum[{value!r}] > {most * 0.6}", alt.value("white"), alt.value("black")
        ),
    )
    return (cells + text).properties(width=alt.Step(46), height=alt.Step(22))


def _colours(rows: Rows, column: str, shades: Mapping[str, str] | None) -> Any:
    """The colours of a column's values: in the order of the rows, or as given for those there."""
    found = _in_order(rows, column)
    if shades is None:
        return alt.Color(f"{_field(column)}:N", sort=found, title=None)
    there = {value: shade for value, shade in shades.items() if value in found}
    scale = alt.Scale(domain=list(there), range=list(there.values()))
    return alt.Color(f"{_field(column)}:N", title=None, scale=scale)


def _in_order(rows: Rows, name: str) -> list[Any]:
    return list(dict.fromkeys(_plain(row[name]) for row in rows))


def _kind(rows: Rows, name: str) -> str:
    """How a column is laid out: along time, along a number, or name by name."""
    found = next((row[name] for row in rows if row[name] is not None), "")
    if isinstance(found, date | datetime):
        return "T"
    return "Q" if isinstance(found, int | float | Decimal) else "N"


def _tips(rows: Rows) -> list[Any]:
    """All figures of a row, for a reader with a mouse."""
    shown = rows[0] if rows else {}
    return [
        alt.Tooltip(_field(name), type="nominal", title=name) for name in shown if name != _PLACE
    ]


def _field(name: str) -> str:
    r"""A column's name as Vega-Lite reads it: a dot or a bracket is part of the name.

    >>> _field("trait.plan"), _field("a:b")
    ('trait\\.plan', 'a\\:b')
    """
    return "".join(f"\\{sign}" if sign in ".[]:\\'\"" else sign for sign in name)


def _plain(value: Any) -> Any:
    match value:
        case Decimal():
            return float(value)
        case datetime() | date():
            return value.isoformat()
    return value
