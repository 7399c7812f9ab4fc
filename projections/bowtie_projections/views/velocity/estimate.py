"""How long steps take of all who began them: those who still wait too, each up to their age.

The quantiles of :func:`~bowtie_projections.views.velocity.velocity` are of mature cohorts, and so
of the past. Here everybody counts for as long as they were watched, by Aalen-Johansen (Kaplan-Meier
where no loss can be seen; see :mod:`bowtie_projections.survival`).
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import numpy as np
import sqlalchemy as sa
from numpy.typing import NDArray

from bowtie_projections.survival import REACHED, Incidence, packed
from bowtie_projections.views.funnel.watched import Span
from bowtie_projections.views.shares import FEWEST

if TYPE_CHECKING:
    from bowtie_projections.views.velocity.pace import Paces

__all__ = ["ESTIMATES", "estimates_of", "estimates_say", "watched"]

#: The columns that an estimate adds.
ESTIMATES = ("days_p50_estimate", "days_to_half", "estimator", "at_risk")
_MICROSECOND = timedelta(microseconds=1)
_DAY_MICROS = timedelta(days=1) // _MICROSECOND
_Ints = NDArray[np.int64]


def watched(paces: Paces) -> sa.Select[Any]:
    """By cell and step, how long each was watched and what ended it.

    ``ages`` are of those who had not made the step before they began it, ``before`` is how many
    had.
    """
    branches = []
    for place in range(len(paces.steps)):
        judged = paces.judged(place)
        rows = sa.select(judged, judged.c.end_at.label("next_at")).subquery(f"seen_{place}")
        keys = [rows.c[name] for name in paces.members.key_names]
        span, ahead = Span.of(rows, paces.members), sa.func.coalesce(rows.c.waited >= 0, sa.true())
        branches.append(
            sa.select(
                *keys,
                sa.literal_column(str(place), sa.Integer()).label("place"),
                sa.func.array_agg(span.packed).filter(ahead).label("ages"),
                sa.func.count().filter(sa.not_(ahead)).label("before"),
            ).group_by(*keys)
        )
    return sa.select(sa.union_all(*branches).subquery("watched"))


def estimates_of(
    group: Mapping[str, Any], window: timedelta, *, sees_losses: bool
) -> dict[str, Any]:
    """The estimates of one cell and step.

    Args:
        group: a row of :func:`watched`.
        window: how long the step may take.
        sees_losses: whether a loss can be seen at all.

    Returns:
        ``days_to_half``: the age by which half of all who began the step have made it, those who
        never do at infinity; who had made it before made it at 0, as in the funnel.
        ``days_p50_estimate``: the age by which half of those have made it who make it within the
        window, in order: what ``days_p50`` is of the mature. Null where the data can't say, or
        fewer than 20 made it. ``at_risk``: who was still watched at the window's end.
    """
    ages: _Ints = np.asarray(group["ages"] or [], dtype=np.int64)
    at_once = packed(np.zeros(group["before"]), np.full(group["before"], REACHED))
    everybody = Incidence(np.concatenate([ages, at_once]), competing=sees_losses)
    in_order = Incidence(ages, competing=sees_losses)
    longest = window // _MICROSECOND
    at_end = in_order.at([longest])
    half = None
    if in_order.reached_by(longest) >= FEWEST and np.isfinite(at_end.share[0]):
        half = in_order.age_at(float(at_end.share[0]) / 2)
    return {
        "days_p50_estimate": _days(half),
        "days_to_half": _days(everybody.age_at(0.5)),
        "estimator": "aalen-johansen" if sees_losses else "kaplan-meier",
        "at_risk": int(at_end.at_risk[0]),
    }


def estimates_say(*, sees_losses: bool) -> list[str]:
    """What to bear in mind of estimates."""
    said = (
        "days_p50_estimate and days_to_half count who still waits, each up to the age they have:"
        " they hold where newer entries go on as older ones did."
    )
    if not sees_losses:
        said += " No loss can be seen here: who left in silence counts as still waiting."
    return [said]


def _days(micros: int | None) -> float | None:
    return None if micros is None else micros / _DAY_MICROS
