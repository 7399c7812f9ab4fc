"""How each view is drawn."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from bowtie.errors import Refused
from bowtie.stages import STAGES
from bowtie_projections.charts import loop, profile
from bowtie_projections.charts.bowtie import bowtie
from bowtie_projections.charts.forms import bars, grid, labelled, lines, points
from bowtie_projections.charts.look import MUTED, PALETTE, framed
from bowtie_projections.charts.revenue import revenue
from bowtie_projections.charts.sankey import sankey, stacked

if TYPE_CHECKING:
    from bowtie_projections.results import Result

__all__ = ["DRAWN"]

#: A share of fewer is noise, which a line would make a trend.
_FEWEST = 20
#: What became of the members of a step, by its column; of the last step none is asked.
_BECAME = {
    "went on": "reached_next", "still in time": "pending", "out of time": "expired",
    "excluded": "excluded",
}  # fmt: skip
_LAST = {"at the end": "entered"}
_SHADES = {
    "went on": PALETTE[0], "at the end": PALETTE[2], "still in time": PALETTE[1],
    "out of time": MUTED, "excluded": PALETTE[5],
}  # fmt: skip


def _keys(result: Result, first: str) -> list[str]:
    """The columns of the breakdowns: those before the view's own."""
    return result.columns[: result.columns.index(first)]


def _funnel(result: Result) -> Any:
    """The bowtie; with cohorts, how conversion changes from one to the next."""
    keys = _keys(result, "stage")
    if "cohort" not in keys:
        return bowtie(result, keys)
    others = [key for key in keys if key != "cohort"]
    rows = labelled([row for row in result if row["stage"] != STAGES[-1]], ["stage", *others])
    drawn = lines(
        _enough(rows, "mature", "conversion"), "cohort", "conversion", color="label",
        low="conversion_low", high="conversion_high",
        title=f"conversion, where {_FEWEST} or more are mature",
    )  # fmt: skip
    return framed(drawn, "Conversion by cohort", result.sentence)


def _enough(rows: list[dict[str, Any]], of: str, share: str) -> list[dict[str, Any]]:
    """The rows, without the shares of too few."""
    unknown = dict.fromkeys((share, f"{share}_low", f"{share}_high"))
    return [row if (row[of] or 0) >= _FEWEST else row | unknown for row in rows]


def _funnel_curve(result: Result) -> Any:
    """The share that has come to the next stage by each age."""
    rows = labelled(result.rows(), _keys(result, "days"))
    drawn = lines(
        rows, "days", "estimate", color="label", low="low", high="high",
        title="estimated share that came to the next stage",
    )  # fmt: skip
    return framed(drawn, "Conversion by age", result.sentence)


def _steps(result: Result) -> Any:
    """What became of those at each step; who is still waiting is not among those who stopped."""
    keys = _keys(result, "step")
    rows = labelled(result.rows(), keys) if keys else [row | {"label": ""} for row in result]
    parts = [
        {"step": ", ".join(filter(None, [row["label"], f"{row['step']}. {row['event']}"])),
         "what": what, "members": row[column]}
        for row in rows
        for what, column in (_BECAME if row["mature"] is not None else _LAST).items()
        if row[column]
    ]  # fmt: skip
    drawn = bars(parts, "step", "members", title="members", color="what", shades=_SHADES)
    return framed(drawn, "Step by step", result.sentence)


def _stock(result: Result) -> Any:
    """Who stands where; of several moments, how many stood in each stage."""
    keys = _keys(result, "stage")
    if "period" in keys:
        return _stocks(result, keys)
    number = result.columns[len(keys) + 1]
    rows = labelled(result.rows(), keys) if keys else result.rows()
    drawn = bars(rows, "stage", number, title=number, color="label" if keys else None)
    return framed(drawn, "Who stands where", result.sentence)


def _stocks(result: Result, keys: list[str]) -> Any:
    number = result.columns[len(keys) + 1]
    others = [key for key in keys if key not in {"period", "as_of", "complete"}]
    rows = [row for row in result if row["stage"] in STAGES]
    drawn = lines(
        labelled(rows, ["stage", *others]), "period", number, color="label",
        title=f"{number} in it at its end", format="~s",
    )  # fmt: skip
    return framed(drawn, "Who stood where, by period", result.sentence)


def _flow(result: Result) -> Any:
    keys = _keys(result, "period")
    rows = labelled([row for row in result if row["complete"]], ["stage", *keys])
    drawn = lines(rows, "period", "entered", color="label", title="entered in it", format="~s")
    return framed(drawn, "Entries by period, while it is over", result.sentence)


def _velocity(result: Result) -> Any:
    rows = labelled(result.rows(), [*_keys(result, "step"), "step"])
    drawn = lines(
        rows, "cohort", "days_p50", color="label", low="days_p25", high="days_p75", format="~s",
        title="days, median and middle half",
    )  # fmt: skip
    return framed(drawn, "Days of each step, of mature cohorts", result.sentence)


def _retention(result: Result) -> Any:
    keys = _keys(result, "cohort")
    rows = labelled(result.rows(), [*keys, "cohort"])
    return framed(
        grid(rows, "age", "label", "retention", title="still active"),
        "Who is still active, by cohort and age", result.sentence, width=900,
    )  # fmt: skip


def _retention_curve(result: Result) -> Any:
    keys = _keys(result, "age")
    rows = labelled(result.rows(), keys)
    drawn = lines(
        _enough(rows, "at_risk", "retention"), "age", "retention", color="label" if keys else None,
        low="retention_low", high="retention_high",
        title=f"still active, where {_FEWEST} or more are old enough",
    )  # fmt: skip
    return framed(drawn, "Who is still active, by age", result.sentence)


def _repeat(result: Result) -> Any:
    rows = labelled(result.rows(), ["within", *_keys(result, "cohort")])
    drawn = lines(
        _enough(rows, "mature", "repeat_rate"), "cohort", "repeat_rate", color="label",
        low="repeat_rate_low", high="repeat_rate_high",
        title=f"share with a second order, where {_FEWEST} or more are mature",
    )  # fmt: skip
    return framed(drawn, "Second orders, by cohort of the first", result.sentence)


def _paths(result: Result) -> Any:
    """The ways of all; of a breakdown, those of each value below the other's."""
    keys = _keys(result, "step")
    number = result.columns[len(keys) + 3]
    rows = [row | {"customers": row[number]} for row in result]
    if not keys:
        return framed(sankey(rows), "Ways", result.sentence, width=860)
    cells: dict[str, list[dict[str, Any]]] = {}
    for row in labelled(rows, keys):
        cells.setdefault(row["label"], []).append(row)
    return framed(stacked(cells), f"Ways by {', '.join(keys)}", result.sentence, width=860)


def _touchpoints(result: Result) -> Any:
    drawn = bars(result.rows(), result.columns[0], "touches", title="touches", color="stage")
    return framed(drawn, "Touches, by where the customer stood", result.sentence)


def _pipeline(result: Result) -> Any:
    """Amounts, one currency below the other: they are never added."""
    keys = _keys(result, "opportunities")
    rows = labelled([row for row in result if row["amount"] is not None], keys)
    drawn = bars(rows, "label", "amount", title="amount of open opportunities", mark="expected")
    return framed(drawn, "Open amounts; the line is what is expected", result.sentence)


def _bottleneck(result: Result) -> Any:
    keys = [key for key in ("stage", "lever") if key in result.columns]
    rows = labelled(result.rows(), keys)
    drawn = points(
        rows, "label", "added_revenue", low="added_revenue_low", high="added_revenue_high",
        title="revenue it would add, if downstream rates hold", format="~s",
    )  # fmt: skip
    return framed(drawn, "Where the most is to be won", result.sentence)


def _value(result: Result) -> Any:
    keys = _keys(result, "cohort")
    if "predicted_mean" in result.columns:
        drawn = lines(
            result.rows(), "cohort", "predicted_mean", color="label" if keys else None, format="~s",
            title="mean predicted value",
        )  # fmt: skip
        return framed(drawn, "What a customer is expected to bring, by cohort", result.sentence)
    rows = labelled([row for row in result if (row["mature"] or 0) >= _FEWEST], keys)
    drawn = lines(
        rows, "cohort", "value_mean", color="label" if keys else None, format="~s",
        title=f"mean value, where {_FEWEST} or more are mature",
    )  # fmt: skip
    return framed(drawn, "What a customer was worth, by cohort", result.sentence)


def _clv(result: Result) -> Any:
    first = "cohort" if "customers" in result.columns else result.columns[0]
    keys = _keys(result, first)
    drawn = bars(
        labelled(result.rows(), keys), first, "predicted_value",
        color="label" if keys else None, title="predicted value",
    )  # fmt: skip
    return framed(drawn, "What customers are expected to bring, by cohort", result.sentence)


def _rfm(result: Result) -> Any:
    keys = _keys(result, "segment")
    rows = labelled(result.rows(), keys)
    drawn = bars(rows, "segment", "customers", color="label" if keys else None, title="customers")
    return framed(drawn, "Who ordered lately, often and much", result.sentence)


def _prospects(result: Result) -> Any:
    """Tested scores in tenths, against what came: do they tell apart, and do they hold."""
    tenths = result.rows() if "decile" in result.columns[:2] else result.part("deciles").rows()
    if not tenths:
        raise Refused("no score could be tested, so there is nothing to draw: see the sentence")
    score = tenths[-1]["score"]
    tenths = [row for row in tenths if row["score"] == score]
    overall = sum(row["observed"] for row in tenths) / sum(row["looks"] for row in tenths)
    came = ("observed_rate", "observed_rate_low", "observed_rate_high")
    rows = [
        {"decile": f"{row['decile']:2}", "what": what, "share": share, "low": low, "high": high}
        for row in tenths
        for what, share, low, high in (
            ("came", *(row[name] for name in came)),
            ("foretold", row["predicted_rate"], None, None),
            ("of all", overall, None, None),
        )
    ]
    drawn = lines(
        rows, "decile", "share", color="what", low="low", high="high",
        title=f"share: {score}",
    )  # fmt: skip
    return framed(drawn, "Newer leads by tenths of their score, the best first", result.sentence)


def _attribution(result: Result) -> Any:
    """The share of each source under each model: a row whose cells differ is one they argue of."""
    rows = labelled(result.rows(), result.columns[:1])
    drawn = grid(rows, "model", "label", "share_of_wins", title="share of the wins")
    return framed(drawn, "Credit for commitments, by model", result.sentence)


#: The views that have a chart, and the parts of answers that have one of their own.
DRAWN: dict[str, Callable[[Result], Any]] = {
    "funnel": _funnel,
    "funnel.curve": _funnel_curve,
    "steps": _steps,
    "stock": _stock,
    "flow": _flow,
    "velocity": _velocity,
    "retention": _retention,
    "retention.curve": _retention_curve,
    "revenue": revenue,
    "repeat": _repeat,
    "paths": _paths,
    "touchpoints": _touchpoints,
    "pipeline": _pipeline,
    "bottleneck": _bottleneck,
    "value": _value,
    "clv": _clv,
    "rfm": _rfm,
    "loop": loop.levels,
    "loop.pairs": loop.pairs,
    "loop.values": loop.values,
    "prospects": _prospects,
    "prospects.deciles": _prospects,
    "attribution": _attribution,
    "profile_evaluation": profile.evaluation,
    "profile_evaluation.subgroups": profile.subgroups,
    "profile_history": profile.history,
}
