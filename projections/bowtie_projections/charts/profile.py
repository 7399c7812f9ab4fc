"""What a target profile did: its arms, what sets them apart, and that version after version.

A difference is drawn with its interval and the line of no difference. Where it can't be told yet,
the picture says so, and shows how many are old enough.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import altair as alt

from bowtie.errors import Refused
from bowtie_projections.charts.forms import bars, labelled, points
from bowtie_projections.charts.look import MUTED, PALETTE, framed

if TYPE_CHECKING:
    from bowtie_projections.results import Result

__all__ = ["evaluation", "history", "subgroups"]

#: What is compared: the column of an arm, of an effect, what it is called, and how it is written.
_MEASURES = (
    ("conversion", "conversion", "share that committed", ".0%"),
    ("value_per_prospect", "value", "value of a prospect", "~s"),
    ("cost_per_prospect", "cost", "cost of a prospect", "~s"),
)
_ARMS = {"targeted": PALETTE[2], "holdout": MUTED}
_AGES = {"old enough": PALETTE[0], "too young": PALETTE[1]}
#: Of each of two charts side by side, and of one alone.
_HALF, _WHOLE = 300, 560

Rows = Sequence[Mapping[str, Any]]


def evaluation(result: Result) -> Any:
    """The arms on the left, what sets them apart on the right; before its time, only counts."""
    *arms, apart = result.rows()
    if apart["reason"] is not None:
        return _not_yet(result, arms, "arm")
    panels = []
    for column, _, title, written in _MEASURES:
        sides = [(arms, title, None), ([apart], f"{title}: targeted less held out", 0.0)]
        panels.append(
            alt.hconcat(
                *(
                    points(
                        rows, "arm", column, low=f"{column}_low", high=f"{column}_high",
                        title=said, format=written, reference=zero, width=_HALF,
                        color="arm" if zero is None else None, shades=_ARMS,
                    )
                    for rows, said, zero in sides
                )
            )
        )  # fmt: skip
    drawn = alt.vconcat(*panels).resolve_scale(color="shared")
    return framed(drawn, _titled(result), result.sentence, width=820)


def history(result: Result) -> Any:
    """The effect of each version with its interval; one that can't be judged says why."""
    rows = result.rows()
    if all(row["reason"] is not None for row in rows):
        return _not_yet(result, rows, "profile")
    said = [row | {"version": _version(row)} for row in rows]
    panels = [
        points(
            said, "version", f"{effect}_effect", low=f"{effect}_effect_low",
            high=f"{effect}_effect_high", title=f"{title}: targeted less held out",
            format=written, reference=0.0, width=_WHOLE, empty=True,
        )
        for _, effect, title, written in _MEASURES
    ]  # fmt: skip
    return framed(alt.vconcat(*panels), _titled(result), result.sentence, width=860)


def subgroups(result: Result) -> Any:
    """The effects within groups, each with an interval that allows for all of them."""
    rows = labelled([row for row in result if row["reason"] is None], ["trait", "level"])
    if not rows:
        why = "; ".join(dict.fromkeys(row["reason"] for row in result))
        raise Refused(f"no effect within a group can be told, so there is nothing to draw: {why}")
    panels = [
        points(
            rows, "label", f"{effect}_effect", low=f"{effect}_effect_low",
            high=f"{effect}_effect_high", title=f"{title}: targeted less held out",
            format=written, reference=0.0, width=_WHOLE,
        )
        for _, effect, title, written in _MEASURES[:2]
    ]  # fmt: skip
    title = f"{_titled(result)}: within groups; intervals allow for all {len(rows)}"
    return framed(alt.vconcat(*panels), title, result.sentence, width=860)


def _version(row: Mapping[str, Any]) -> str:
    reason = row["reason"]
    return row["profile"] if reason is None else f"{row['profile']} ({reason})"


def _not_yet(result: Result, rows: Rows, of: str) -> Any:
    """How many were assigned, and how many of them are old enough."""
    reasons = dict.fromkeys(row["reason"] for row in rows)
    if not any(row["assigned"] for row in rows):
        raise Refused(f"there is nothing to draw: {'; '.join(reasons)}")
    parts = [
        {of: row[of] if of == "arm" else _version(row), "prospects": number, "age": age}
        for row in rows
        for age, number in (
            ("old enough", row["mature"]), ("too young", row["assigned"] - row["mature"])
        )
    ]  # fmt: skip
    drawn = bars(parts, of, "prospects", title="assigned", color="age", shades=_AGES)
    title = f"{_titled(result)}: {'; '.join(reasons)}"
    return framed(drawn, title, result.sentence)


def _titled(result: Result) -> str:
    return f"What {result.meta['parameters']['profile']} did"
