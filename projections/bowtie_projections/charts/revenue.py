"""Recurring revenue, drawn: what moved it in each period, and how much of it was kept."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import altair as alt

from bowtie_projections.charts.forms import bars, labelled, lines
from bowtie_projections.charts.look import PALETTE, framed

if TYPE_CHECKING:
    from bowtie_projections.results import Result

__all__ = ["revenue"]

#: What is more lies right of nought, what is less left of it.
_SHADES = {
    "new": PALETTE[0], "expansion": PALETTE[2], "reactivated": PALETTE[4],
    "contraction": PALETTE[1], "churned": PALETTE[5],
}  # fmt: skip
_KEPT = {"nrr_12m": "net, of a year ago", "grr_12m": "gross, of a year ago"}
_NOT_A_YEAR = {"nrr": "net, of the start", "grr": "gross, of the start"}


def revenue(result: Result) -> Any:
    """The movements of each period as a bar, and below it gross and net retention as lines.

    Retention is that over twelve months; that of the periods where no year has passed.
    """
    keys = result.columns[: result.columns.index("period")]
    several = len({row["currency"] for row in result}) > 1
    of = [*keys, *(["currency"] if several else [])]
    rows = labelled(
        [row | {"when": row["period"] + ("" if row["complete"] else " so far")} for row in result],
        ["when", *of],
    )
    moved = [
        {"label": row["label"], "what": what, "amount": row[what]}
        for row in rows
        for what in _SHADES
    ]
    drawn = bars(moved, "label", "amount", title="what moved it", color="what", shades=_SHADES)
    told = _KEPT if any(row["grr_12m"] is not None for row in rows) else _NOT_A_YEAR
    shares = [
        {"period": row["period"], "of": ", ".join([called, *_names(row, of)]), "kept": row[name]}
        for name, called in told.items()
        for row in rows
    ]
    if any(row["kept"] is not None for row in shares):
        kept = lines(shares, "period", "kept", color="of", title="revenue kept")
        drawn = alt.vconcat(drawn, kept).resolve_scale(color="independent")
    return framed(drawn, "Recurring revenue: movements, and what was kept", result.sentence)


def _names(row: dict[str, Any], of: list[str]) -> list[str]:
    return ["(none)" if row[name] is None else str(row[name]) for name in of]
