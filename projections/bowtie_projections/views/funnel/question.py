"""What can be asked of the funnel, checked before anything runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from bowtie.durations import format_duration
from bowtie.errors import UsageError
from bowtie.stages import STAGES
from bowtie_projections.localtime import check_zone
from bowtie_projections.membership import LOOK_BACK
from bowtie_projections.views.cohorts import check_period, first_moment, last_moment, period
from bowtie_projections.views.funnel.horizons import Estimating, estimating
from bowtie_projections.views.given import length, one_of
from bowtie_projections.views.units import check_look_back, check_unit

__all__ = ["STATES", "Question", "ask"]

#: Where a member of a stage can stand.
STATES = ("pending", "lost", "expired", "reached")
#: How long the next stage is waited for, left and right of the knot.
LEFT, RIGHT = timedelta(days=90), timedelta(days=180)
_KNOT = STAGES.index("commitment")


@dataclass(frozen=True, slots=True)
class Question:
    """What was asked, in the types it is answered with; moments are in UTC without a zone."""

    unit: str
    look_back: timedelta
    by: tuple[str, ...]
    within: timedelta | None
    cohort: str | None
    start: datetime | None
    end: datetime | None
    skipped: str
    cycles: bool
    cohort_stage: str | None
    lost_after: timedelta | None
    top: int
    include_truncated: bool
    data_from: datetime | None
    data_through: datetime | None
    tz: str
    customers: tuple[str, str] | None
    shrink: bool
    estimating: Estimating | None
    written: Mapping[str, Any]

    def window(self, stage: str) -> timedelta:
        """How long the next stage is waited for."""
        if self.within is not None:
            return self.within
        return LEFT if STAGES.index(stage) < _KNOT else RIGHT

    @property
    def imputes(self) -> bool:
        """Whether a skipped stage takes the time of the next one."""
        return self.skipped == "impute"


#: What is asked where nothing is said; the stock asks less than the funnel.
_DEFAULTS: dict[str, Any] = dict.fromkeys(
    ("within", "cohort", "from_", "to", "cohort_stage", "lost_after", "data_from", "data_through",
     "customers")
) | {"unit": "customer", "look_back": LOOK_BACK, "by": (), "skipped": "absent", "cycles": False,
     "top": 10, "include_truncated": False, "shrink": False, "tz": "UTC"}  # fmt: skip


def ask(given: Mapping[str, Any]) -> Question:
    """The question, from the keywords of :func:`~bowtie_projections.views.funnel.funnel`.

    Raises:
        UsageError: a value that can't be asked; the message says which can.
    """
    asked = _DEFAULTS | dict(given)
    tz = check_zone(asked["tz"])
    start = first_moment(asked["from_"], tz)
    end = None if asked["to"] is None else period(asked["to"], tz)[1]
    if start is not None and end is not None and end <= start:
        raise UsageError(f"from {asked['from_']} to {asked['to']}: the end is before the start")
    unit = check_unit(asked["unit"])
    return Question(
        unit=unit,
        look_back=check_look_back(asked["look_back"]),
        by=tuple(_names(asked["by"])),
        within=length("within", asked["within"]),
        cohort=check_period(asked["cohort"]),
        start=start,
        end=end,
        skipped=one_of("skipped", asked["skipped"], ("absent", "impute")),
        cycles=bool(asked["cycles"]) or unit == "cycle",
        cohort_stage=_stage("cohort_stage", asked["cohort_stage"]),
        lost_after=length("lost_after", asked["lost_after"]),
        top=_count("top", asked["top"]),
        include_truncated=bool(asked["include_truncated"]),
        data_from=first_moment(asked["data_from"], tz),
        data_through=last_moment(asked["data_through"], tz),
        tz=tz,
        customers=_cell(asked["customers"]),
        shrink=_shrink(asked),
        estimating=estimating(asked),
        written=_written(given),
    )


def _names(by: str | Sequence[str]) -> list[str]:
    names = [by] if isinstance(by, str) else list(by)
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise UsageError(f"by names {twice[0]!r} twice")
    return names


def _stage(name: str, value: str | None) -> str | None:
    return None if value is None else one_of(name, value, STAGES)


def _count(name: str, value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise UsageError(f"{name} is {value!r}; write a whole number from 1")
    return value


def _shrink(asked: Mapping[str, Any]) -> bool:
    if asked["shrink"] and not asked["by"] and asked["cohort"] is None:
        raise UsageError(
            "shrink draws rates to the mean of several: ask by something, or by cohort"
        )
    return bool(asked["shrink"])


def _cell(written: str | None) -> tuple[str, str] | None:
    """Stage and state of ``STAGE:STATE``."""
    if written is None:
        return None
    stage, _, state = str(written).partition(":")
    if stage not in STAGES or state not in STATES:
        raise UsageError(
            f"customers is {written!r}; write STAGE:STATE with a stage of {', '.join(STAGES)}"
            f" and a state of {', '.join(STATES)}, such as selection:pending"
        )
    if stage == STAGES[-1]:
        raise UsageError(f"{stage} has no next stage: nobody in it is {state}")
    return stage, state


def _written(given: Mapping[str, Any]) -> dict[str, Any]:
    """The parameters as they stand in the answer."""
    shown = dict(given) | {"by": _names(given["by"])}
    for name in {"within", "lost_after"} & set(given):
        asked_for = length(name, given[name])
        shown[name] = None if asked_for is None else format_duration(asked_for)
    if "horizon" in given:
        asked_of_it = estimating(given)
        shown["horizon"] = None if asked_of_it is None else asked_of_it.written
    shown["look_back"] = format_duration(check_look_back(given["look_back"]))
    if "within" in shown and shown["within"] is None:
        shown["within"] = {"left": format_duration(LEFT), "right": format_duration(RIGHT)}
    if "from_" in shown:
        shown["from"] = shown.pop("from_")
    return shown
