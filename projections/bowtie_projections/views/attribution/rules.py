"""The rules that share out the credit of a commitment: conventions, none of them a measurement.

Each rule gives a touch its share from what it is to its path; the shares of a path sum to 1. Where
a milestone of a rule is missing, or no touch is left for those in between, the weights that are
there are stretched to sum to 1.

Sources: HubSpot's and Google Analytics' published rules (first, last, linear, position, W, full
path, J); what others call U is either of the two ``position`` rules.

>>> middle = Touch(touches=4)
>>> RULES["linear"](middle), RULES["position"](middle)
(Fraction(1, 4), Fraction(1, 10))
>>> RULES["position"](Touch(touches=2, is_first=1)), RULES["position"](Touch(is_first=1, is_last=1))
(Fraction(1, 2), Fraction(1, 1))
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from fractions import Fraction
from typing import NamedTuple

__all__ = ["READS", "RULES", "Touch"]


class Touch(NamedTuple):
    """What a touch is to its path.

    Attributes:
        touches: how many the path has.
        is_first, is_last: by its place.
        is_lead, is_opportunity: the last one before that milestone.
        has_lead, has_opportunity: whether the path has a touch before that milestone.
        milestones_u, milestones_w, milestones_z: how many different touches are the first or of the
            lead; or of the opportunity; or the last.
        is_fresh: the first one of its source.
        sources: how many different ones the path has.
    """

    touches: int = 1
    is_first: int = 0
    is_last: int = 0
    is_lead: int = 0
    is_opportunity: int = 0
    has_lead: int = 0
    has_opportunity: int = 0
    milestones_u: int = 1
    milestones_w: int = 1
    milestones_z: int = 1
    is_fresh: int = 1
    sources: int = 1


Rule = Callable[[Touch], Fraction]


def _milestones(own: Mapping[str, Fraction], count: Callable[[Touch], int]) -> Rule:
    """A rule that gives each milestone's touch a weight, and the rest to all others in equal parts.

    Args:
        own: the weight of each milestone.
        count: how many different touches the milestones are, in the path of a touch.
    """
    rest = 1 - sum(own.values(), Fraction(0))

    def share(touch: Touch) -> Fraction:
        there = {"lead": touch.has_lead, "opportunity": touch.has_opportunity}
        others = touch.touches - count(touch)
        present = [weight for name, weight in own.items() if there.get(name, 1)]
        total = sum(present, rest if others else Fraction(0))
        roles = [weight for name, weight in own.items() if getattr(touch, f"is_{name}")]
        return (sum(roles, Fraction(0)) if roles else rest / others) / total

    return share


def _weights(**percents: str) -> dict[str, Fraction]:
    return {name: Fraction(text) for name, text in percents.items()}


def _ends(touch: Touch) -> int:
    return 1 if touch.touches == 1 else 2


#: The rules by name. Shapley's value is among them: of the game it is asked for here, in which some
#: sources bring the commitments whose paths hold no other, it is an equal split over the sources.
RULES: dict[str, Rule] = {
    "first": lambda touch: Fraction(touch.is_first),
    "last": lambda touch: Fraction(touch.is_last),
    "linear": lambda touch: Fraction(1, touch.touches),
    "position": _milestones(_weights(first="0.4", last="0.4"), _ends),
    "position_lead": _milestones(_weights(first="0.4", lead="0.4"), lambda t: t.milestones_u),
    "w": _milestones(
        _weights(first="0.3", lead="0.3", opportunity="0.3"), lambda t: t.milestones_w
    ),
    "full_path": _milestones(
        _weights(first="0.225", lead="0.225", opportunity="0.225", last="0.225"),
        lambda t: t.milestones_z,
    ),
    "j": _milestones(_weights(first="0.2", last="0.6"), _ends),
    "inverse_j": _milestones(_weights(first="0.6", last="0.2"), _ends),
    "shapley": lambda touch: Fraction(touch.is_fresh, touch.sources),
}
_HALVES = ("touches", "is_first", "is_last")
_LEAD = ("touches", "is_first", "is_lead", "has_lead")
_OPPORTUNITY = (*_LEAD, "is_opportunity", "has_opportunity")
#: What each rule looks at: nothing else of a touch need be known.
READS: dict[str, tuple[str, ...]] = {
    "first": ("is_first",),
    "last": ("is_last",),
    "linear": ("touches",),
    "position": _HALVES,
    "position_lead": (*_LEAD, "milestones_u"),
    "w": (*_OPPORTUNITY, "milestones_w"),
    "full_path": (*_OPPORTUNITY, "is_last", "milestones_z"),
    "j": _HALVES,
    "inverse_j": _HALVES,
    "shapley": ("is_fresh", "sources"),
}
