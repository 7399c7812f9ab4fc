"""The parameters of the views of what customers were worth, typed; all are optional."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Literal

from bowtie.policies import Policy
from bowtie.stages import Definition
from bowtie_projections.parameters import CutAsked, Moment, NarrowedAsked

__all__ = ["RfmAsked", "ValueAsked"]


class RfmAsked(CutAsked, NarrowedAsked, total=False):
    """What :meth:`bowtie_projections.Views.rfm` takes."""

    as_of: Moment | None
    definition: str | Path | Definition | None
    since: Moment | None
    unit: Literal["customer", "account", "opportunity"]
    look_back: str | timedelta
    currency: str | None
    data_from: Moment | None
    data_through: Moment | None
    tz: str


class ValueAsked(CutAsked, NarrowedAsked, total=False):
    """What :meth:`bowtie_projections.Views.value` takes."""

    as_of: Moment | None
    definition: str | Path | Definition | None
    unit: Literal["customer", "account", "opportunity"]
    look_back: str | timedelta
    by: str | Sequence[str]
    cohort: Literal["day", "week", "month", "quarter", "year", "all"]
    from_: str | None
    to: str | None
    most: int
    time_zero: Literal["commitment", "lead"]
    horizon: str | timedelta
    value: Literal["revenue", "contribution"]
    top: float | Decimal | str
    threshold: str | int | Decimal | None
    currency: str | None
    costs_complete: bool
    data_from: Moment | None
    data_through: Moment | None
    include_truncated: bool
    policy: str | Path | Policy | None
    tz: str
