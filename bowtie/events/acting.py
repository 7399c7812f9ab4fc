"""What we do about it: target profiles and playbooks."""

from __future__ import annotations

from typing import Literal

from bowtie.events.base import Event
from bowtie.fields import Day, Number, Text


class Targeted(Event):
    """A prospect was chosen (or held out) by a target profile."""

    profile: Text
    version: Text
    arm: Literal["targeted", "holdout"]
    probability: Number | None = None
    score: Number | None = None


class _Action(Event):
    action: Text
    playbook: Text
    until_on: Day | None = None
    outcome: Text | None = None


class ActionDue(_Action):
    """A playbook asks for an action."""


class ActionDone(_Action):
    """An action was carried out."""


class ActionSnoozed(_Action):
    """An action was put off."""
