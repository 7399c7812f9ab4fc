"""A profile version after version: whether the loop makes acquisition better."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from sqlalchemy.sql.elements import ColumnElement

from bowtie.stages import Definition
from bowtie_projections.results import Result
from bowtie_projections.views.cut import Cut, Reader
from bowtie_projections.views.profile.evaluation import not_yet
from bowtie_projections.views.profile.outlook import Came, outlook_by
from bowtie_projections.views.profile.question import Asked, versions_at
from bowtie_projections.views.profile.trial import Trial, trial_of
from bowtie_projections.views.shares import typed_table

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["profile_history"]

_COLUMNS = (
    "profile", "starts_on", "ends_on", "fitting_share_before", "fitting_share",
    "value_per_prospect_before", "value_per_prospect", "assigned", "mature", "conversion_effect",
    "conversion_effect_low", "conversion_effect_high", "value_effect", "value_effect_low",
    "value_effect_high", "cost_effect", "cost_effect_low", "cost_effect_high", "reason",
)  # fmt: skip
_EFFECTS = {"conversion": "conversions", "value": "amounts", "cost": "outlays"}


def profile_history(
    reader: Reader,
    cut: Cut,
    definition: Definition,
    *,
    profile: str,
    data_through: Any = None,
    tz: str = "UTC",
) -> Result:
    """What each version of a profile did, and how prospects were while it ran and before.

    Args:
        reader: the read tables.
        cut: the position and the moment it is asked as of.
        definition: what the entry of a stage is.
        profile: its name, without a version.
        data_through: up to when the data is complete, if not up to the moment asked of.
        tz: the zone of the profiles' days.

    Returns:
        A row for each version, the oldest first: the share of prospects that fitted it and the
        worth of these, of those who came while it ran and in as many days ``before`` (a trend);
        whom it ``assigned``; and the effects with 95% intervals, of targeted less held out.

    Raises:
        UnknownName: no profile of that name was published.
        Refused: amounts are in several currencies, or costs are missing for too many.
    """
    rows, statements, notes = [], [], []
    name = str(profile).partition("/")[0]
    asked = None
    for version in versions_at(reader, cut, name):
        asked = Asked.of(reader, cut, definition, version, data_through=data_through, tz=tz)
        rows.append(_row(asked))
        notes.append(f"{version.label}: {version}.")
        statements = asked.reader.statements
    assert asked is not None  # noqa: S101 - a name without versions is refused
    judged = sum(row["reason"] is None for row in rows)
    meta = asked.meta()
    meta["parameters"] = {"profile": name, "tz": tz}
    del meta["profile"]
    return Result(
        "profile_history",
        _table(rows),
        sentence=f"{name} was published in {len(rows)} version{'s' if len(rows) > 1 else ''};"
        f" {judged} can be judged. An effect is of targeted less held out; what was before and"
        " during is a trend, and no effect.",
        notes=notes,
        sql=statements,
        meta=meta,
    )


def _row(asked: Asked) -> dict[str, Any]:
    trial = trial_of(asked)
    during, before = _around(asked)
    row: dict[str, Any] = dict.fromkeys(_COLUMNS) | {
        "profile": asked.profile.label,
        "starts_on": asked.profile.starts_on.isoformat(),
        "ends_on": asked.profile.ends_on.isoformat(),
        "fitting_share_before": _share(before),
        "fitting_share": _share(during),
        "value_per_prospect_before": before.per_prospect,
        "value_per_prospect": during.per_prospect,
        "assigned": trial.assigned,
        "mature": trial.mature,
        "reason": not_yet(trial),
    }
    return row | (_effects(trial) if row["reason"] is None else {})


def _effects(trial: Trial) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, what in _EFFECTS.items():
        gap = trial.gap(what)
        if gap is not None:
            found |= {
                f"{name}_effect": gap.estimate,
                f"{name}_effect_low": gap.low,
                f"{name}_effect_high": gap.high,
            }
    return found


def _around(asked: Asked) -> tuple[Came, Came]:
    """Who came while the profile ran, and in as many days before."""
    if asked.cut.moment is None:
        return Came(), Came()
    length = asked.profile.ends_on - asked.profile.starts_on + timedelta(days=1)

    def period_of(seen: ColumnElement[Any]) -> ColumnElement[Any]:
        starts, ends = (sa.literal(one, sa.DateTime()) for one in (asked.starts, asked.ends))
        earlier = sa.literal(asked.starts - length, sa.DateTime())
        return sa.case(
            (sa.and_(seen >= starts, seen < ends), "during"),
            (sa.and_(seen >= earlier, seen < starts), "before"),
            else_="other",
        )

    found = outlook_by(asked, period_of)
    return found.get("during", Came()), found.get("before", Came())


def _share(came: Came) -> float | None:
    return came.fitting / came.prospects if came.prospects else None


def _table(rows: list[dict[str, Any]]) -> pa.Table:
    import pyarrow as pa

    kinds: dict[str, Any] = dict.fromkeys(_COLUMNS, pa.float64())
    kinds |= dict.fromkeys(("profile", "starts_on", "ends_on", "reason"), pa.string())
    kinds |= dict.fromkeys(("assigned", "mature"), pa.int64())
    amounts = ("value_per_prospect_before", "value_per_prospect")
    kinds |= dict.fromkeys(amounts, pa.decimal128(38, 6))
    return typed_table(rows, kinds, {})
