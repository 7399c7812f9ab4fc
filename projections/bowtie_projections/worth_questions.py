"""What can be asked of what customers are worth, and of who brings them: a method for each view."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Literal, Unpack

from bowtie.policies import Policy
from bowtie_projections.answering import Answering
from bowtie_projections.parameters import InPeriod, Moment, OfData, Period, Unit
from bowtie_projections.results import Result
from bowtie_projections.views.clv import clv
from bowtie_projections.views.referrals import partners, referrals
from bowtie_projections.views.rfm import rfm
from bowtie_projections.views.value import value

__all__ = [
    "ClvAsked", "PartnersAsked", "ReferralsAsked", "RfmAsked", "ValueAsked", "WorthQuestions",
]  # fmt: skip


class ValueAsked(InPeriod, OfData, total=False):
    """What :meth:`bowtie_projections.Views.value` takes."""

    since: Moment | None
    unit: Unit
    by: str | Sequence[str]
    cohort: Literal[Period, "all"]
    most: int
    time_zero: Literal["commitment", "lead"]
    horizon: str | timedelta
    value: Literal["revenue", "contribution"]
    top: float | Decimal | str
    threshold: str | int | Decimal | None
    currency: str | None
    costs_complete: bool
    include_truncated: bool
    policy: str | Path | Policy | None


class ClvAsked(OfData, total=False):
    """What :meth:`bowtie_projections.Views.clv` takes."""

    of: Literal["orders", "contracts"] | None
    model: Literal["bg/nbd", "mbg/nbd", "pareto/nbd"]
    horizon: str | timedelta
    discount: float | Decimal | str | None
    holdout: str | timedelta | None
    term: Literal["month", "quarter", "year"] | None
    cohort: Literal[Period, "all"]
    by: str | Sequence[str]
    top: int
    who: bool
    currency: str | None
    unit: Unit


class RfmAsked(OfData, total=False):
    """What :meth:`bowtie_projections.Views.rfm` takes."""

    since: Moment | None
    unit: Unit
    by: str | Sequence[str]
    top: int
    currency: str | None


class _Brought(OfData, total=False):
    most: int
    horizon: str | timedelta
    value: Literal["revenue", "contribution"]
    currency: str | None
    costs_complete: bool
    include_truncated: bool
    policy: str | Path | Policy | None


class ReferralsAsked(_Brought, total=False):
    """What :meth:`bowtie_projections.Views.referrals` takes."""


class PartnersAsked(_Brought, total=False):
    """What :meth:`bowtie_projections.Views.partners` takes."""

    unit: Unit


class WorthQuestions(Answering):
    """The views of what customers were worth, may be worth, and by whom they came."""

    def value(self, **asked: Unpack[ValueAsked]) -> Result:
        """What customers were worth over a fixed time of their own, and which tier each is in.

        Args:
            asked: the parameters of :func:`bowtie_projections.views.value.value`, and ``as_of``,
                ``known_at``, ``position`` and ``definition``.
        """
        return self._answer(value, asked, personal=True)

    def clv(self, **asked: Unpack[ClvAsked]) -> Result:
        """What models expect of customers ahead: purchases, value, and who is still there.

        Args:
            asked: the parameters of :func:`bowtie_projections.views.clv.clv`, and ``as_of``,
                ``known_at``, ``position`` and ``definition``.
        """
        return self._answer(clv, asked, personal=True)

    def rfm(self, **asked: Unpack[RfmAsked]) -> Result:
        """Customers by how lately, how often and for how much they ordered, and how they move.

        Args:
            asked: the parameters of :func:`bowtie_projections.views.rfm.rfm`, and ``as_of``,
                ``known_at``, ``position`` and ``definition``.
        """
        return self._answer(rfm, asked, personal=True)

    def referrals(self, **asked: Unpack[ReferralsAsked]) -> Result:
        """The customers and the value that each customer brought, through chains too.

        Args:
            asked: the parameters of :func:`bowtie_projections.views.referrals.referrals`, and
                ``as_of``, ``known_at``, ``position`` and ``definition``.
        """
        return self._answer(referrals, asked)

    def partners(self, **asked: Unpack[PartnersAsked]) -> Result:
        """The customers and the value that partners brought, or had a part in.

        Args:
            asked: the parameters of :func:`bowtie_projections.views.referrals.partners`, and
                ``as_of``, ``known_at``, ``position`` and ``definition``.
        """
        return self._answer(partners, asked)
