"""The findings of the closed loop as a forest of points, each with its interval."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from bowtie_projections.charts.forms import labelled, points
from bowtie_projections.charts.look import MUTED, PALETTE, framed

if TYPE_CHECKING:
    from bowtie_projections.results import Result

__all__ = ["levels", "pairs", "values"]

#: So many lines can still be read; the answer's order puts what matters first.
_MOST = 60
#: What a finding stands out by; all others are there to compare with.
_VERDICTS = {
    "mark": PALETTE[2], "anti-mark": PALETTE[5], "not replicated": PALETTE[1],
    "can't tell": PALETTE[3], "no finding": MUTED, "insufficient": "#CCCCCC",
}  # fmt: skip


def levels(result: Result) -> Any:
    """Each level's lift and its interval, in the order of the findings."""
    return _lifts(result, ["trait", "level"], "Traits")


def pairs(result: Result) -> Any:
    """Each pair's lift and its interval."""
    return _lifts(result, ["trait", "level", "trait_2", "level_2"], "Pairs of traits")


def _lifts(result: Result, keys: Sequence[str], what: str) -> Any:
    target = result.meta["parameters"]["target"]
    who = "unprofitable" if target == "unprofitable" else f"of {target} value"
    # nought has no place on a scale of ratios
    rows = labelled([row for row in result if row["lift"]], keys)
    drawn = points(
        rows[:_MOST], "label", "lift", low="lift_low", high="lift_high", color="verdict",
        format="~r", title=f"lift: how much more often {who} than all", reference=1.0, log=True,
        shades=_VERDICTS,
    )  # fmt: skip
    return framed(drawn, f"{what} of customers who are {who}{_first(rows)}", result.sentence)


def values(result: Result) -> Any:
    """By how much the mean value of each finding's customers differs from that of all others."""
    rows = labelled(result.rows(), ["trait", "level"])
    drawn = points(
        rows[:_MOST], "label", "difference", low="difference_low", high="difference_high",
        color="verdict", format="~s", title="mean value, less that of all others", reference=0.0,
        shades=_VERDICTS,
    )  # fmt: skip
    return framed(drawn, f"What findings are worth{_first(rows)}", result.sentence)


def _first(rows: Sequence[Any]) -> str:
    return f", the first {_MOST} of {len(rows):,}" if len(rows) > _MOST else ""
