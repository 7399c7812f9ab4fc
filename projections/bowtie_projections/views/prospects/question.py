"""What can be asked of the score of prospects, checked before anything runs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from bowtie.durations import format_duration
from bowtie.errors import UsageError
from bowtie.stages import Definition
from bowtie_projections.traits import TraitRule, read_traits
from bowtie_projections.views.given import span
from bowtie_projections.views.loop import question as of_value

__all__ = ["Question", "ask"]

#: So often a lead is looked at, at most: more tell little more, and cost as much again.
MOST_LOOKS = 10


@dataclass(frozen=True, slots=True)
class Question:
    """What was asked, in the types it is answered with.

    Args:
        lead: the stage whose first entry makes a lead.
        within: a lead is won if it commits within so long after it was looked at.
        looks: how often each lead is looked at, at random ages.
        seed: of what is random.
        most: how many prospects are listed; all, if it is 0.
        model: whether the scorecards are told too.
        rules: what the traits file says of each trait.
        value: what value is, when it is high, and whose facts are counted how.
    """

    lead: str
    within: timedelta
    looks: int
    seed: int
    most: int
    model: bool
    rules: Mapping[str, TraitRule]
    value: of_value.Question

    def parameters(self) -> dict[str, Any]:
        """What stands in the answer as its parameters."""
        asked = self.value.parameters()
        del asked["time_zero"]
        own = {"within": format_duration(self.within), "looks": self.looks, "seed": self.seed}
        return own | asked | {"most": self.most, "model": self.model}


def ask(definition: Definition, asked: Mapping[str, Any]) -> Question:
    """The question, from the keywords of :func:`~bowtie_projections.views.prospects.prospects`.

    Raises:
        UsageError: a value that can't be asked; the message says which can.
    """
    shared = {
        name: given for name, given in asked.items()
        if name not in {"within", "looks", "seed", "most", "model", "traits"}
    }  # fmt: skip
    return Question(
        lead=definition.lead,
        within=span("within", asked["within"]),
        looks=_whole("looks", asked["looks"], 1, MOST_LOOKS),
        seed=_whole("seed", asked["seed"], 0),
        most=_whole("most", asked["most"], 0),
        model=bool(asked["model"]),
        rules=read_traits(asked["traits"]),
        value=of_value.ask(definition, {**shared, "time_zero": "commitment"}),
    )


def _whole(name: str, value: object, least: int, most: int | None = None) -> int:
    if isinstance(value, int) and not isinstance(value, bool):
        number = int(value)
        if number >= least and (most is None or number <= most):
            return number
    to = "" if most is None else f" to {most}"
    raise UsageError(f"{name} is {value!r}; write a whole number from {least}{to}")
