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
    "LoopAsked",
    "MetricsAsked",
    "Moment",
    "NarrowedAsked",
    "PathsAsked",
    "PipelineAsked",
    "RepeatAsked",
    "RetentionAsked",
    "SegmentAsked",
    "StatusAsked",
    "StepsAsked",
    "StockAsked",
    "TouchpointsAsked",
    "VelocityAsked",
]

#: A time with its zone, or a day; text of either.
Moment = str | date | datetime


class CutAsked(TypedDict, total=False):
    """Up to where: ``known_at`` and ``position`` exclude each other."""

    known_at: Moment | None
    position: int | None


class StatusAsked(CutAsked, total=False):
    """What :meth:`bowtie_projections.Views.status` takes."""

    unit: Literal["customer", "account", "opportunity"]
    look_back: str | timedelta
    tz: str


class NarrowedAsked(TypedDict, total=False):
    """To whom every view can be narrowed, and which touch its breakdowns read.

    ``segment`` is the name of one that was published, a file, TOML text or a dictionary; ``where``
    tests such as ``plan=pro``; ``segment_as_of`` when both are judged, if not as of the question's
    own moment; ``touch`` goes with breakdowns by ``channel`` and the like.
    """

    segment: str | Path | Mapping[str, Any] | Segment | None
    where: str | Sequence[str]
    segment_as_of: Moment | None
    touch: Literal["first", "last", "step"]


class _Defined(CutAsked, NarrowedAsked, total=False):
    as_of: Moment | None
    definition: str | Path | Definition | None


class DefinitionAsked(CutAsked, total=False):
    """What :meth:`bowtie_projections.Views.definition_check` takes beside the definition."""

    as_of: Moment | None
    unit: Literal["customer", "account", "opportunity", "cycle"]
    look_back: str | timedelta


class DefinitionDiffAsked(DefinitionAsked, total=False):
    """What :meth:`bowtie_projections.Views.definition_diff` takes beside the two definitions."""

    who: bool


class SegmentAsked(CutAsked, total=False):
    """What :meth:`bowtie_projections.Views.segment` takes beside the segment."""

    as_of: Moment | None
    definition: str | Path | Definition | None
    unit: Literal["customer", "account", "opportunity"]
    look_back: str | timedelta
    who: bool
    tz: str


class StockAsked(_Defined, total=False):
    """What :meth:`bowtie_projections.Views.stock` takes."""

    unit: Literal["customer", "account", "opportunity", "cycle"]
    look_back: str | timedelta
    by: str | Sequence[str]
    within: str | timedelta | None
    lost_after: str | timedelta | None
    top: int
    customers: str | None
    data_from: Moment | None
    data_through: Moment | None
    tz: str


class PathsAsked(_Defined, total=False):
    """What :meth:`bowtie_projections.Views.paths` takes."""

    of: str | Sequence[str]
    steps: int
    starts: Stage | None
    ends: Stage | None
    collapse: bool
    unit: Literal["customer", "account", "opportunity", "cycle"]
    look_back: str | timedelta
    cycles: bool
    from_: str | None
    to: str | None
    lost_after: str | timedelta | None
    top: int
    data_from: Moment | None
    data_through: Moment | None
    tz: str


class PipelineAsked(_Defined, total=False):
    """What :meth:`bowtie_projections.Views.pipeline` takes."""

    unit: Literal["customer", "account"]
    look_back: str | timedelta
    by: str | Sequence[str]
    lost_after: str | timedelta | None
    top: int
    opportunities: str | None
    data_from: Moment | None
    data_through: Moment | None
    tz: str


class TouchpointsAsked(_Defined, total=False):
    """What :meth:`bowtie_projections.Views.touchpoints` takes."""

    of: Literal["touchpoint", "channel", "campaign", "medium", "content"]
    unit: Literal["customer", "account", "opportunity"]
    look_back: str | timedelta
    by: str | Sequence[str]
    from_: str | None
    to: str | None
    no_stages: bool
    top: int
    data_from: Moment | None
    data_through: Moment | None
    tz: str


class FunnelAsked(_Defined, total=False):
    """What :meth:`bowtie_projections.Views.funnel` takes."""

    unit: Literal["customer", "account", "opportunity", "cycle"]
    look_back: str | timedelta
    by: str | Sequence[str]
    within: str | timedelta | None
    cohort: Literal["day", "week", "month", "quarter", "year"] | None
    from_: str | None
    to: str | None
    skipped: Literal["absent", "impute"]
    cycles: bool
    cohort_stage: Stage | None
    lost_after: str | timedelta | None
    top: int
    include_truncated: bool
    data_from: Moment | None
    data_through: Moment | None
    tz: str
    customers: str | None
    estimate: bool
    horizon: str | timedelta | Sequence[str | timedelta] | None
    entry_age: bool
    shrink: bool
    compare: Literal["previous", "year"] | None
    targets: str | Path | None


class StepsAsked(_Defined, total=False):
    """What :meth:`bowtie_projections.Views.steps` takes beside the steps."""

    order: Literal["ordered", "strict", "any"]
    within: str | timedelta | None
    within_each: str | timedelta | None
    after_each: str | timedelta | None
    exclude: str | Sequence[str]
    hold: str | None
    count: Literal["customers", "cycles", "conversions"]
    reentry: Literal["latest", "first"]
    unit: Literal["customer", "account", "opportunity", "cycle"]
    look_back: str | timedelta
    by: str | Sequence[str]
    cohort: Literal["day", "week", "month", "quarter", "year"] | None
    from_: str | None
    to: str | None
    top: int
    data_through: Moment | None
    tz: str
    customers: str | None


class BottleneckAsked(_Defined, total=False):
    """What :meth:`bowtie_projections.Views.bottleneck` takes."""

    unit: Literal["customer", "account", "opportunity"]
    look_back: str | timedelta
    by: str | Sequence[str]
    within: str | timedelta | None
    cohort: Literal["day", "week", "month", "quarter", "year"]
    from_: str | None
    to: str | None
    horizon: str | timedelta
    benchmark: str | Path | None
    currency: str | None
    skipped: Literal["absent", "impute"]
    lost_after: str | timedelta | None
    top: int
    include_truncated: bool
    data_from: Moment | None
    data_through: Moment | None
    tz: str


class FlowAsked(_Defined, total=False):
    """What :meth:`bowtie_projections.Views.flow` takes."""

    period: Literal["day", "week", "month", "quarter", "year"]
    unit: Literal["customer", "account", "opportunity", "cycle"]
    look_back: str | timedelta
    by: str | Sequence[str]
    cycles: bool
    from_: str | None
    to: str | None
    lost_after: str | timedelta | None
    top: int
    include_truncated: bool
    data_from: Moment | None
    data_through: Moment | None
    tz: str


class VelocityAsked(_Defined, total=False):
    """What :meth:`bowtie_projections.Views.velocity` takes."""

    unit: Literal["customer", "account", "opportunity", "cycle"]
    look_back: str | timedelta
    by: str | Sequence[str]
    within: str | timedelta | None
    cohort: Literal["day", "week", "month", "quarter", "year", "all"]
    from_: str | None
    to: str | None
    cycles: bool
    cohort_stage: Stage | None
    top: int
    include_truncated: bool
    data_from: Moment | None
    data_through: Moment | None
    tz: str
    compare: Literal["previous", "year"] | None
    targets: str | Path | None


class RetentionAsked(_Defined, total=False):
    """What :meth:`bowtie_projections.Views.retention` takes."""

    active: str | None
    age: Literal["day", "week", "month"]
    ages: int | None
    cohort: Literal["day", "week", "month", "quarter", "year"]
    currency: str | None
    wide: Literal["retention", "active", "grr", "nrr"] | None
    unit: Literal["customer", "account", "opportunity"]
    look_back: str | timedelta
    by: str | Sequence[str]
    from_: str | None
    to: str | None
    top: int
    include_truncated: bool
    data_from: Moment | None
    data_through: Moment | None
    tz: str


class RepeatAsked(_Defined, total=False):
    """What :meth:`bowtie_projections.Views.repeat` takes."""

    within: str | timedelta | Sequence[str | timedelta]
    cohort: Literal["day", "week", "month", "quarter", "year", "all"]
    unit: Literal["customer", "account", "opportunity"]
    look_back: str | timedelta
    by: str | Sequence[str]
    from_: str | None
    to: str | None
    top: int
    include_truncated: bool
    data_from: Moment | None
    data_through: Moment | None
    tz: str
    compare: Literal["previous", "year"] | None
    targets: str | Path | None


class AttributionAsked(_Defined, total=False):
    """What :meth:`bowtie_projections.Views.attribution` takes."""

    unit: Literal["customer", "account", "opportunity"]
    look_back: str | timedelta
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
    data_from: Moment | None
    data_through: Moment | None
    include_truncated: bool
    policy: str | Path | Policy | None
    tz: str


class MetricsAsked(_Defined, total=False):
    """What :meth:`bowtie_projections.Views.metrics` takes."""

    edition: Literal["wbd-2022", "wbd-2026"]
    unit: Literal["customer", "account", "opportunity", "cycle"]
    look_back: str | timedelta
    within: str | timedelta | None
    from_: str | None
    to: str | None
    lost_after: str | timedelta | None
    include_truncated: bool
    data_from: Moment | None
    data_through: Moment | None
    tz: str


class LoopAsked(_Defined, total=False):
    """What :meth:`bowtie_projections.Views.loop` takes."""

    unit: Literal["customer", "account", "opportunity"]
    look_back: str | timedelta
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
    data_from: Moment | None
    data_through: Moment | None
    include_truncated: bool
    policy: str | Path | Policy | None
    tz: str
