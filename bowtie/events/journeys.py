"""How customers come nearer: touches, stages, opportunities, and the impact they want and reach."""

from __future__ import annotations

from typing import Literal

from bowtie.events.base import Costed, Event
from bowtie.fields import Currency, Day, MaybePersonal, Money, Number, Stage, Text


class Touched(Costed):
    """One contact at one touchpoint, in either direction."""

    channel: Text
    direction: Literal["inbound", "outbound"]
    touchpoint: Text | None = None
    campaign: Text | None = None
    content: Text | None = None
    medium: Text | None = None
    opportunity: Text | None = None
    cost: Money | None = None
    currency: Currency | None = None


class StageEntered(Event):
    """The sender says that a stage was entered; always counts, whatever the definition."""

    stage: Stage
    opportunity: Text | None = None
    motion: Text | None = None
    reason: MaybePersonal = None


class OpportunityValued(Event):
    """An opportunity's expected amount."""

    opportunity: Text
    amount: Money
    currency: Currency
    close_on: Day | None = None


class Disqualified(Event):
    """An opportunity, or without one all of them, came to nothing."""

    opportunity: Text | None = None
    reason_code: Text | None = None
    competitor: Text | None = None
    reason: MaybePersonal = None


class AlternativeWeighed(Costed):
    """The customer compared us with an alternative."""

    name: Text
    price: Money | None = None
    value: Money | None = None
    currency: Currency | None = None


class _Impact(Event):
    kind: Literal["rational", "emotional"]
    metric: Text
    amount: Number | None = None
    unit: Text | None = None
    by_on: Day | None = None
    validated_by: Text | None = None


class ImpactSought(_Impact):
    """The impact the customer wants, written down."""


class ImpactAchieved(_Impact):
    """An impact the customer reached."""
