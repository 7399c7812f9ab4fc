"""Tiers of value: each customer is in exactly one, the first whose condition it meets."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import sqlalchemy as sa
from sqlalchemy.sql.elements import ColumnElement

from bowtie_projections.value import money_by_365
from bowtie_projections.views.loop.numbers import amount, percent
from bowtie_projections.views.loop.question import Question

__all__ = ["Tier", "tiers_of"]

_NOUGHT = sa.literal_column("0", sa.Integer())
#: Shares of revenue that part A, B and C of an ABC analysis.
_ABC = (("A", Decimal("0.8")), ("B", Decimal("0.95")), ("C", Decimal(1)))


@dataclass(frozen=True, slots=True)
class Tier:
    """A tier: from a value on, or up to a share of all value, or the rest.

    Args:
        name: what it is called.
        least: the least value in it.
        share: it takes in those who, the most valuable first, bring this share of all value.
    """

    name: str
    least: Decimal | None = None
    share: Decimal | None = None

    def reached(self, c: Any) -> ColumnElement[bool]:
        """Whether a row is at least of this tier: by ``worth``, ``before`` and ``total``."""
        if self.least is not None:
            return sa.and_(c.worth >= money_by_365(self.least))
        if self.share is None:
            return sa.true()
        million = sa.literal_column("1000000", sa.BigInteger())
        part = sa.literal_column(str(int(self.share * 1_000_000)), sa.BigInteger())
        return sa.and_(c.worth > _NOUGHT, c.before * million < c.total * part)

    def words(self, currency: str | None) -> str:
        """What puts a customer into it."""
        if self.least is not None:
            return f"{amount(self.least, currency)} or more"
        if self.share is None:
            return "all others"
        if self.share == 1:
            return "the rest of those over 0"
        return f"those who bring the first {percent(self.share)}"


def tiers_of(question: Question, threshold: Decimal | None) -> Sequence[Tier]:
    """The tiers of a policy; else by profit where costs are counted, and by revenue where not.

    None where profit is to be parted by a threshold that nobody reaches.
    """
    if question.policy is not None and question.policy.tiers:
        return [Tier(one.name, one.least, one.share) for one in question.policy.tiers]
    if question.value == "revenue":
        return [*(Tier(name, share=share) for name, share in _ABC), Tier("none")]
    if threshold is None:
        return []
    # at a threshold of 0 high is what is over it
    least = max(threshold, Decimal("0.000001"))
    return [
        Tier("highly profitable", least),
        Tier("break-even", Decimal(0)),
        Tier("unprofitable"),
    ]
