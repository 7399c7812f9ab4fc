"""Orders, invoices and payments, and what it all cost."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

from bowtie.events.base import Event, out_of_order
from bowtie.fields import Currency, Day, Flag, MaybePersonal, Money, Number, Text, Whole


class OrderPlaced(Event):
    """An order or one of its lines; a return's amount is what was given back."""

    order: Text
    line: Text | None = None
    kind: Literal["order", "return", "exchange"]
    amount: Money
    currency: Currency
    offering: Text | None = None
    cost: Money | None = None
    returns: Text | None = None

    @staticmethod
    def problem(data: Any) -> str | None:
        """A return's amount is not signed."""
        if data.kind == "return" and str(data.amount).startswith("-"):
            return "amount: a return's is what was given back, not below 0; it is subtracted"
        return None


class Invoiced(Event):
    """One line of an invoice, net of tax."""

    invoice: Text
    line: Text | None = None
    kind: Literal["recurring", "usage", "one_time", "service", "outcome", "discount"]
    amount: Money
    tax: Money | None = None
    currency: Currency
    offering: Text | None = None
    quantity: Number | None = None
    due_on: Day | None = None
    service_from: Day | None = None
    service_to: Day | None = None
    contract: Text | None = None


class _OnInvoice(Event):
    invoice: Text
    line: Text | None = None
    amount: Money
    currency: Currency
    attempt: Whole | None = None
    reason: MaybePersonal = None


class Credited(_OnInvoice):
    """Part of an invoice was taken back."""


class Refunded(_OnInvoice):
    """Money was returned."""


class WrittenOff(_OnInvoice):
    """Money that will not come."""


class Paid(_OnInvoice):
    """Money that came."""


class PaymentFailed(_OnInvoice):
    """A payment that was tried and failed."""


class CostIncurred(Event):
    """What a customer cost us."""

    activity: Literal["acquire", "sell", "onboard", "serve"]
    driver: Text | None = None
    channel: Text | None = None
    campaign: Text | None = None
    quantity: Number | None = None
    amount: Money
    currency: Currency


class SpendRecorded(Event):
    """What a channel cost over a span of days (stream ``spend``, key: the channel)."""

    stream_kind: ClassVar[str] = "spend"

    activity: Literal["acquire", "sell", "onboard", "serve"]
    channel: Text
    campaign: Text | None = None
    amount: Money
    currency: Currency
    from_on: Day
    to_on: Day
    includes_touch_cost: Flag

    @staticmethod
    def problem(data: Any) -> str | None:
        """A span ends on or after its start."""
        return out_of_order(data.from_on, data.to_on, "from_on", "to_on")
