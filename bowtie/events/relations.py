"""How it goes with customers: help, judgements, risks, recommendations; and all else."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from bowtie.events.base import Costed, Event
from bowtie.fields import Currency, MaybePersonal, Money, Number, ScalarMap, Text


class SupportContacted(Event):
    """The customer asked for help."""

    case: Text
    channel: Text | None = None
    minutes: Number | None = None
    severity: Text | None = None


class SupportResolved(Event):
    """The customer was helped."""

    case: Text
    channel: Text | None = None
    minutes: Number | None = None
    severity: Text | None = None


class ScoreGiven(Event):
    """The customer's own judgement."""

    instrument: Literal["nps", "csat", "ces"]
    score: Number
    touchpoint: Text | None = None
    comment: MaybePersonal = None


class RiskSignalled(Event):
    """A sign that the customer may leave, such as ``intention_to_leave`` or ``champion_left``."""

    kind: Text
    note: MaybePersonal = None


class Referred(Costed):
    """The customer brought another, ``referred`` is its key; ``referrer`` is who did it.

    The referrer is the customer's own key, or a person's.
    """

    referrer: Text
    reward: Money | None = None
    currency: Currency | None = None
    referred: Text | None = None


class PartnerInvolved(Event):
    """A partner took part."""

    partner: Text
    role: Literal["source", "reseller", "supplier", "financier"]
    share: Number | None = None


class Noted(Event):
    """All else; stage definitions may refer to it by name."""

    name: Text
    properties: ScalarMap = Field(default_factory=dict)
