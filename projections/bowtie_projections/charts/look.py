"""How all charts look: colours that the colour-blind tell apart, and ways to write figures."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import Any

import altair as alt

__all__ = ["LEFT", "MUTED", "PALETTE", "RIGHT", "brief", "days", "framed", "percent"]

#: Okabe and Ito (2008), without the yellow that is lost on white.
PALETTE = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#555555", "#999999")
#: The two halves of the bowtie, and what is there for comparison only.
LEFT, RIGHT, MUTED = PALETTE[0], PALETTE[2], "#888888"
#: How many characters of a sentence fit above a chart of the usual width.
_LINE = 110


def framed(chart: Any, title: str, sentence: str, *, width: int = 640) -> Any:
    """The chart under its title, and the sentence that says who is counted.

    Args:
        chart: any Altair chart.
        title: what is drawn.
        sentence: who is counted; wrapped.
        width: of the chart, to wrap by.
    """
    lines = textwrap.wrap(sentence, max(40, _LINE * width // 640))
    return (
        chart.properties(
            title=alt.TitleParams(
                title, subtitle=lines, anchor="start", fontSize=15, subtitleColor="#555555"
            )
        )
        .configure(background="white", padding=12)
        .configure_view(strokeWidth=0)
        .configure_axis(labelFontSize=11, titleFontSize=11, grid=False, labelLimit=240)
        .configure_range(category=list(PALETTE))
        .configure_legend(labelFontSize=11, titleFontSize=11, labelLimit=240)
    )


def percent(share: float | None) -> str:
    """A share for a label.

    >>> percent(0.7725), percent(0.004), percent(1.0), percent(None)
    ('77%', '0.4%', '100%', 'n/a')
    """
    if share is None:
        return "n/a"
    return f"{share:.1%}" if 0 < share < 0.01 else f"{share:.0%}"


def days(length: float | None) -> str:
    """Days for a label; nothing where they are not known.

    >>> days(8.66), days(0.4), days(None)
    ('9 days', '0.4 days', '')
    """
    if length is None:
        return ""
    return f"{length:.0f} days" if length >= 2 else f"{length:.1f} days"


def brief(parts: Sequence[str]) -> str:
    """What there is of some parts.

    >>> brief(["77%", "", "9 days"])
    '77% · 9 days'
    """
    return " · ".join(part for part in parts if part)
