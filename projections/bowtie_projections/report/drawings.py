"""An answer's chart as a part of the page: an SVG that takes the page's type and colours.

What is written is built anew from the drawing's shapes and texts alone: no script, link, style or
id of it reaches the page, whatever a value in it may say.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree as ET

from markupsafe import Markup

from bowtie.errors import Refused
from bowtie_projections.charts import draw, written
from bowtie_projections.results import Result

if TYPE_CHECKING:
    from bowtie_projections.report.sections import Drawn

__all__ = ["Picture", "picture"]

_SVG = "{http://www.w3.org/2000/svg}"
_SHAPES = {"g", "path", "line", "rect", "text", "tspan"}
_LOOK = {
    "d", "transform", "x", "y", "x1", "x2", "y1", "y2", "dx", "dy", "width", "height", "fill",
    "fill-opacity", "stroke", "stroke-width", "stroke-opacity", "stroke-dasharray", "opacity",
    "text-anchor", "font-size", "font-weight",
}  # fmt: skip
#: A drawing of more rows is one that nobody can read, and larger than the rest of the page.
_MOST = 1000
#: More digits than a screen has points.
_LONG = re.compile(r"(\d+\.\d{2})\d+")


@dataclass(frozen=True, slots=True)
class Picture:
    """A chart on the page: what it shows, the same for who can't see it, and whether it is a grid.

    The cells of a grid keep their figures' colours, which are chosen to be read on them.
    """

    caption: str
    svg: Markup
    grid: bool


def picture(result: Result, drawn: Drawn) -> Picture | None:
    """The chart of an answer; None where there is nothing to draw, or too much."""
    part = result if drawn.part is None else result.part(drawn.part)
    if drawn.most is not None:
        first = part.to_arrow().slice(0, drawn.most)
        part = Result(part.view, first, sentence=part.sentence, meta=part.meta)
    if len(part) > _MOST:
        return None
    try:
        chart = draw(part)
    except Refused:
        return None
    caption = str(chart.title.text)
    chart.title = ""  # the page says who is counted above it
    drawing = ET.fromstring(written(chart, "svg"))  # noqa: S314 - of our own renderer
    if not any(len(group) for group in drawing.iter(f"{_SVG}g") if _is_of_marks(group)):
        return None
    svg = _clean(drawing)
    svg.set("role", "img")
    svg.set("aria-label", f"{caption}. {_said(part)}")
    text = ET.tostring(svg, encoding="unicode")
    grid = any(one.get("fill") == "white" for one in svg.iter("text"))
    # shapes and escaped texts
    return Picture(caption, Markup(text), grid)  # noqa: S704


def _said(part: Result) -> str:
    """What the drawing shows, in words, where they are few; else where its figures stand."""
    if part.columns[:2] != ["stage", "entered"]:
        return "Its figures are in the table."
    return "Entered: " + ", ".join(f"{row['stage']} {row['entered']:,}" for row in part) + "."


def _is_of_marks(group: ET.Element) -> bool:
    """Whether it holds what is drawn of rows, and neither an axis nor other groups."""
    words = group.get("class", "").split()
    return "role-mark" in words and "mark-group" not in words


def _clean(svg: ET.Element) -> ET.Element:
    """The drawing without what only its own file needs."""
    root = ET.Element("svg", {"viewBox": svg.get("viewBox", ""), "width": svg.get("width", "")})
    for child in svg:
        if child.tag != f"{_SVG}rect":  # the background is the page's
            _copied(child, root)
    return root


def _copied(element: ET.Element, parent: ET.Element) -> None:
    tag = element.tag.removeprefix(_SVG)
    if tag not in _SHAPES or element.get("display") == "none":
        return
    copy = ET.SubElement(parent, tag, _attributes(element.attrib))
    copy.text = element.text
    for child in element:
        _copied(child, copy)


def _attributes(given: Mapping[str, Any]) -> dict[str, str]:
    return {name: _LONG.sub(r"\1", value) for name, value in given.items() if name in _LOOK}
