"""The parameters of the views, typed: what an editor offers and a type checker holds.

Their meaning is told by the views themselves; all are optional.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, Literal, TypedDict

from bowtie.fields import Stage
from bowtie.policies import Policy
from bowtie.segments import Segment
from bowtie.stages import Definition

__all__ = [
    "AttributionAsked",
    "BottleneckAsked",
    "CutAsked",
    "DefinitionAsked",
    "DefinitionDiffAsked",
    "FlowAsked",
    "FunnelAsked",
    "InPeriod",
    "LoopAsked",
    "MembersAsked",
    "MetricsAsked",
    "Moment",
    "NarrowedAsked",
    "OfData",
    "PathsAsked",
    "PipelineAsked",
    "ProspectsAsked",
    "RepeatAsked",
    "RetentionAsked",
    "RevenueAsked",
    "SegmentAsked",
    "StatusAsked",
    "StepsAsked",
    "StockAsked",
    "TouchpointsAsked",
    "VelocityAsked",
]

#: A time with its zone, or a day; text of either.
Moment = str | date | datetime
#: What is counted.
Unit = Literal["customer", "account", "opportunity"]
AnyUnit = Literal[Unit, "cycle"]
Period = Literal["day", "week", "month", "quarter", "year"]


class CutAsked(TypedDict, total=False):
    """Up to where: ``known_at`` and ``position`` exclude each other."""

    known_at: Moment | None
    position: int | None


class StatusAsked(CutAsked, total=False):
    """What :meth:`bowtie_projections.Views.status` takes."""

    unit: Unit
    look_back: str | timedelta
    tz: str


class NarrowedAsked(TypedDict, total=False):
    """To whom every view can be narrowed, and which touch its breakdowns read.

    ``segment`` is the name of one that was published, a file, TOML text or a dictionary; ``where``
    tests such as ``plan=pro``; ``segment_as_of`` when both are judged, if not as of the question's
    own moment, or ``entry``: each customer when they entered the stage of cohorts; ``touch`` goes
    with breakdowns by ``channel`` and the like.
    """

    segment: str | Path | Mapping[str, Any] | Segment | None
    where: str | Sequence[str]
    segment_as_of: Moment | None
    touch: Literal["first", "last", "step"]


class _Defined(CutAsked, NarrowedAsked, total=False):
    as_of: Moment | None
    definition: str | Path | Definition | None


class OfData(_Defined, total=False):
    """Over which data, and in which zone."""

    look_back: str | timedelta
    data_from: Moment | None
    data_through: Moment | None
    tz: str


class InPeriod(TypedDict, total=False):
    """From when to when."""

    from_: str | None
    to: str | None


class _BrokenDown(TypedDict, total=False):
    by: str | Sequence[str]
    top: int


class _Compared(TypedDict, total=False):
    compare: Literal["previous", "year"] | None
    targets: str | Path | None


class DefinitionAsked(CutAsked, total=False):
    """What :meth:`bowtie_projections.Views.definition_check` takes beside the definition."""

    as_of: Moment | None
    unit: AnyUnit
    look_back: str | timedelta


class DefinitionDiffAsked(DefinitionAsked, total=False):
    """What :meth:`bowtie_projections.Views.definition_diff` takes beside the two definitions."""

    who: bool


class SegmentAsked(CutAsked, total=False):
    """What :meth:`bowtie_projections.Views.segment` takes beside the segment."""

    as_of: Moment | None
    definition: str | Path | Definition | None
    unit: Unit
    look_back: str | timedelta
    who: bool
    tz: str


class MembersAsked(_Defined, total=False):
    """What :meth:`bowtie_projections.Views.members` takes."""

    of: Literal["everybody", "customers", "lost", "tier", "profile", "held_out", "withdrew"]
    tier: str | None
    profile: str | None
    horizon: str | timedelta
    top: float | Decimal | str
    threshold: Decimal | int | str | None
    value: Literal["revenue", "contribution"]
    costs_complete: bool
    currency: str | None
    policy: str | Path | Policy | None


class StockAsked(InPeriod, _BrokenDown, OfData, total=False):
    """What :meth:`bowtie_projections.Views.stock` takes."""

    unit: AnyUnit
    within: str | timedelta | None
    lost_after: str | timedelta | None
    customers: str | None
    every: Period | None


class PathsAsked(InPeriod, _BrokenDown, OfData, total=False):
    """What :meth:`bowtie_projections.Views.paths` takes."""

    of: str | Sequence[str]
    steps: int
    starts: Stage | None
    ends: Stage | None
    collapse: bool
    unit: AnyUnit
    cycles: bool
    lost_after: str | timedelta | None


class PipelineAsked(_BrokenDown, OfData, total=False):
    """What :meth:`bowtie_projections.Views.pipeline` takes."""

    unit: Literal["customer", "account"]
    lost_after: str | timedelta | None
    opportunities: str | None


class TouchpointsAsked(InPeriod, _BrokenDown, OfData, total=False):
    """What :meth:`bowtie_projections.Views.touchpoints` takes."""

    of: Literal["touchpoint", "channel", "campaign", "medium", "content"]
    unit: Unit
    no_stages: bool


class FunnelAsked(InPeriod, _BrokenDown, _Compared, OfData, total=False):
    """What :meth:`bowtie_projections.Views.funnel` takes."""

    unit: AnyUnit
    within: str | timedelta | None
    cohort: Period | None
    skipped: Literal["absent", "impute"]
    cycles: bool
    cohort_stage: Stage | None
    lost_after: str | timedelta | None
    include_truncated: bool
    customers: str | None
    estimate: bool
    horizon: str | timedelta | Sequence[str | timedelta] | None
    entry_age: bool
    shrink: bool


class StepsAsked(InPeriod, _BrokenDown, _Defined, total=False):
    """What :meth:`bowtie_projections.Views.steps` takes beside the steps."""

    order: Literal["ordered", "strict", "any"]
    within: str | timedelta | None
    within_each: str | timedelta | None
    after_each: str | timedelta | None
    exclude: str | Sequence[str]
    hold: str | None
    count: Literal["customers", "cycles", "conversions"]
    reentry: Literal["latest", "first"]
    unit: AnyUnit
    look_back: str | timedelta
    cohort: Period | None
    data_through: Moment | None
    tz: str
    customers: str | None


class BottleneckAsked(InPeriod, _BrokenDown, OfData, total=False):
    """What :meth:`bowtie_projections.Views.bottleneck` takes."""

    unit: Unit
    within: str | timedelta | None
    cohort: Period
    horizon: str | timedelta
    benchmark: str | Path | None
    currency: str | None
    skipped: Literal["absent", "impute"]
    lost_after: str | timedelta | None
    include_truncated: bool


class FlowAsked(InPeriod, _BrokenDown, OfData, total=False):
    """What :meth:`bowtie_projections.Views.flow` takes."""

    period: Period
    unit: AnyUnit
    cycles: bool
    lost_after: str | timedelta | None
    include_truncated: bool
    compare: Literal["previous", "year"] | None


class VelocityAsked(InPeriod, _BrokenDown, _Compared, OfData, total=False):
    """What :meth:`bowtie_projections.Views.velocity` takes."""

    unit: AnyUnit
    within: str | timedelta | None
    cohort: Literal[Period, "all"]
    cycles: bool
    cohort_stage: Stage | None
    include_truncated: bool
    estimate: bool


class RetentionAsked(InPeriod, _BrokenDown, OfData, total=False):
    """What :meth:`bowtie_projections.Views.retention` takes."""

    active: str | None
    age: Literal["day", "week", "month"]
    ages: int | None
    cohort: Period
    currency: str | None
    wide: Literal["retention", "active", "grr", "nrr"] | None
    unit: Unit
    include_truncated: bool


class RevenueAsked(InPeriod, _BrokenDown, OfData, total=False):
    """What :meth:`bowtie_projections.Views.revenue` takes."""

    every: Literal["month", "quarter", "year"]
    per: Literal["month", "year"]
    movements: Literal["net", "daily"]
    changes: bool
    targets: str | Path | None
    currency: str | None
    unit: Literal["customer", "account"]


class RepeatAsked(InPeriod, _BrokenDown, _Compared, OfData, total=False):
    """What :meth:`bowtie_projections.Views.repeat` takes."""

    within: str | timedelta | Sequence[str | timedelta]
    cohort: Literal[Period, "all"]
    unit: Unit
    include_truncated: bool


class AttributionAsked(OfData, total=False):
    """What :meth:`bowtie_projections.Views.attribution` takes."""

    unit: Unit
    models: str | Sequence[str]
    by: Literal["channel", "campaign", "medium", "touchpoint", "content"]
    window: str | timedelta
    half_life: str | timedelta
    order: Literal[1, 2, 3]
    direction: Literal["any", "inbound", "outbound"]
    horizon: str | timedelta
    top: float | Decimal | str
    threshold: str | int | Decimal | None
    value: Literal["revenue", "contribution"]
    currency: str | None
    include_truncated: bool
    policy: str | Path | Policy | None


class MetricsAsked(InPeriod, OfData, total=False):
    """What :meth:`bowtie_projections.Views.metrics` takes."""

    edition: Literal["wbd-2022", "wbd-2026"]
    unit: AnyUnit
    within: str | timedelta | None
    lost_after: str | timedelta | None
    include_truncated: bool


class LoopAsked(OfData, total=False):
    """What :meth:`bowtie_projections.Views.loop` takes."""

    unit: Unit
    time_zero: Literal["commitment", "lead"]
    horizon: str | timedelta
    top: float | Decimal | str
    threshold: str | int | Decimal | None
    value: Literal["revenue", "contribution"]
    currency: str | None
    costs_complete: bool
    traits: str | Path | Mapping[str, Any] | None
    backfill_gap: str | timedelta
    strict_known: bool
    include_truncated: bool
    policy: str | Path | Policy | None
    target: Literal["high", "low", "unprofitable"]
    pairs: bool
    least_gain: float | Decimal | str
    rank: Literal["lift", "shrunk"]


class ProspectsAsked(OfData, total=False):
    """What :meth:`bowtie_projections.Views.prospects` takes."""

    most: int
    within: str | timedelta
    looks: int
    seed: int
    model: bool
    unit: Unit
    horizon: str | timedelta
    top: float | Decimal | str
    threshold: str | int | Decimal | None
    value: Literal["revenue", "contribution"]
    currency: str | None
    costs_complete: bool
    traits: str | Path | Mapping[str, Any] | None
    backfill_gap: str | timedelta
    include_truncated: bool
    policy: str | Path | Policy | None
