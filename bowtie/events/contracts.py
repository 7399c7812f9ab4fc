"""What was agreed, and how it is used."""

from __future__ import annotations

from typing import Any, Literal

from bowtie.events.base import Event, out_of_order
from bowtie.fields import Currency, Day, Flag, MaybePersonal, Money, Number, Per, Text, Whole


class ContractSigned(Event):
    """A contract was agreed. Only kind ``paid`` is revenue."""

    contract: Text
    kind: Literal["paid", "trial", "free", "pilot"]
    offering: Text | None = None
    motion: Text | None = None
    opportunity: Text | None = None
    partner: Text | None = None
    amount: Money
    list_amount: Money | None = None
    per: Per
    currency: Currency
    starts_on: Day
    ends_on: Day | None = None
    auto_renews: Flag | None = None
    notice_days: Whole | None = None
    quantity: Number | None = None
    minimum: Money | None = None
    replaces: Text | None = None

    @staticmethod
    def problem(data: Any) -> str | None:
        """A contract ends on or after its start."""
        return out_of_order(data.starts_on, data.ends_on, "starts_on", "ends_on")


class ContractChanged(Event):
    """A contract's amount became another."""

    contract: Text
    kind: Literal["quantity", "price", "plan", "discount", "contracted_step"]
    amount: Money
    per: Per
    list_amount: Money | None = None
    effective_on: Day | None = None
    reason: MaybePersonal = None


class ContractRenewed(Event):
    """A contract was extended by another term."""

    contract: Text
    amount: Money
    per: Per
    list_amount: Money | None = None
    starts_on: Day | None = None
    ends_on: Day | None = None

    @staticmethod
    def problem(data: Any) -> str | None:
        """A term ends on or after its start."""
        return out_of_order(data.starts_on, data.ends_on, "starts_on", "ends_on")


class CancellationRequested(Event):
    """The customer said that the contract shall end."""

    contract: Text
    effective_on: Day | None = None
    reason_code: Text | None = None
    reason: MaybePersonal = None


class ContractEnded(Event):
    """A contract ended; ``effective_on`` is the last day of service (default: that day)."""

    contract: Text
    effective_on: Day | None = None
    reason_code: Text | None = None
    reason: MaybePersonal = None


class EntitlementSet(Event):
    """What a contract allows."""

    contract: Text
    metric: Text
    quantity: Number
    per: Text


class Onboarded(Event):
    """First impact was reached."""


class UsageMetered(Event):
    """How much the customer used."""

    metric: Text
    quantity: Number
    unit: Text | None = None
    contract: Text | None = None
