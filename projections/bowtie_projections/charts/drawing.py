"""Which view is drawn how."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from bowtie.errors import Refused
from bowtie.stages import STAGES
from bowtie_projections.charts.bowtie import bowtie
from bowtie_projections.charts.forms import bars, grid, labelled, lines, points
from bowtie_projections.charts.look import MUTED, PALETTE, framed

if TYPE_CHECKING:
    from bowtie_projections.results import Result

__all__ = ["draw", "written"]

#: A share of fewer is noise, which a line would make a trend.
_FEWEST = 20
_UNKNOWN = dict.fromkeys(("conversion", "conversion_low", "conversion_high"))
#: What a finding stands out by; all others are there to compare with.
_VERDICTS = {"mark": PALETTE[2], "anti-mark": PALETTE[5]} | dict.fromkeys(
    ("not replicated", "can't tell", "no finding", "insufficient"), MUTED
)


def draw(result: Result) -> Any:
    """The chart of an answer.

    Raises:
        Refused: such an answer has no chart; the message says which have one.
    """
    if result.view not in _DRAWN:
        known = ", ".join(_DRAWN)
        raise Refused(
            f"there is no chart of {result.view}; there is one of {known}. Its rows can be drawn"
            " with any library: to_pandas(), to_polars(), to_arrow()"
        )
    if not len(result):
        raise Refused(f"there is nothing to draw: the answer of {result.view} has no rows")
    return _DRAWN[result.view](result)


def written(chart: Any, kind: str) -> bytes:
    """A chart as the content of a file.

    Args:
        chart: from :func:`draw`.
        kind: ``svg``, ``png``, or ``html``: a page that needs no network.
    """
    if kind == "png":
        picture = io.BytesIO()
        chart.save(picture, format=kind, scale_factor=2)
        return picture.getvalue()
    text = io.StringIO()
    chart.save(text, format=kind, inline=kind == "html")
    return text.getvalue().encode()


def _funnel(result: Result) -> Any:
    """The bowtie; with cohorts, how conversion changes from one to the next."""
    keys = result.columns[: result.columns.index("stage")]
    if "cohort" not in keys:
        return bowtie(result, keys)
    others = [key for key in keys if key != "cohort"]
    rows = labelled([row for row in result if row["stage"] != STAGES[-1]], ["stage", *others])
    rows = [row if (row["mature"] or 0) >= _FEWEST else row | _UNKNOWN for row in rows]
    drawn = lines(
        rows, "cohort", "conversion", color="label", low="conversion_low", high="conversion_high",
        title=f"conversion, where {_FEWEST} or more are mature",
    )  # fmt: skip
    return framed(drawn, "Conversion by cohort", result.sentence)


def _stock(result: Result) -> Any:
    keys = result.columns[: result.columns.index("stage")]
    number = result.columns[len(keys) + 1]
    rows = labelled(result.rows(), keys) if keys else result.rows()
    drawn = bars(rows, "stage", number, title=number, color="label" if keys else None)
    return framed(drawn, "Who stands where", result.sentence)


def _loop(result: Result) -> Any:
    """Each level's lift and its interval, in the order of the findings."""
    rows = labelled([row for row in result if row["lift"]], ["trait", "level"])
    drawn = points(
        rows, "label", "lift", low="lift_low", high="lift_high", color="verdict", format="~r",
        title="lift: how much more often of high value than all", reference=1.0, log=True,
        shades=_VERDICTS,
    )  # fmt: skip
    return framed(drawn, "Traits of customers of high value", result.sentence)


def _attribution(result: Result) -> Any:
    """The share of each source under each model: a row whose cells differ is one they argue of."""
    rows = labelled(result.rows(), result.columns[:1])
    drawn = grid(rows, "model", "label", "share_of_wins", title="share of the wins")
    return framed(drawn, "Credit for commitments, by model", result.sentence)


#: The views that have a chart.
_DRAWN: dict[str, Callable[[Result], Any]] = {
    "funnel": _funnel,
    "stock": _stock,
    "loop": _loop,
    "attribution": _attribution,
}
