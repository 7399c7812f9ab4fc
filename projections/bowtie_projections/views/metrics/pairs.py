"""Two milestones in a row, as two stages in a row: so that the funnel tells of them.

The funnel counts who entered a stage and reached the next. To ask it of milestones, the rules of
the left half are dealt anew among its stages: those of the first milestone to one stage, those of
the second to the next, and the rest where they do no harm. The rules are the same ones, so the same
events enter, and cycles begin and end as they did.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import replace

from bowtie.fields import Stage
from bowtie.stages import STAGES, Condition, Definition, Milestone

__all__ = ["Pair", "pair_of", "rules_of"]

_KNOT: Stage = "commitment"
_LEFT = STAGES[: STAGES.index(_KNOT)]

#: A definition, and the two stages in it that stand for the milestones.
Pair = tuple[Definition, Stage, Stage]


def pair_of(definition: Definition, first: Milestone, second: Milestone) -> Pair | str:
    """The definition by which the funnel tells of two milestones; or why there is none."""
    own = STAGES.index(first.stage), STAGES.index(second.stage)
    if first.rule is None and second.rule is None and own[1] == own[0] + 1:
        return definition, first.stage, second.stage
    if any(one.refers_to & {*_LEFT} for one in _all(definition)):
        return (
            f"{definition.label} has rules that wait for the entry of a stage left of the knot, so"
            " its milestones can't be told apart"
        )
    start, end = (_LEFT[-1], _KNOT) if second.stage == _KNOT else (_LEFT[-2], _LEFT[-1])
    dealt = {start: rules_of(definition, first), end: rules_of(definition, second)}
    rest = [one for stage in _LEFT for one in definition.conditions[stage]]
    conditions = {
        **definition.conditions,
        **dict.fromkeys(_LEFT, ()),
        _LEFT[0]: tuple(one for one in rest if one not in {*dealt[start], *dealt[end]}),
        **dealt,
    }
    text = f"{definition.sha256} {first.name} {second.name}"
    dealt_anew = replace(
        definition, conditions=conditions, sha256=hashlib.sha256(text.encode()).hexdigest()
    )
    return dealt_anew, start, end


def _all(definition: Definition) -> Iterator[Condition]:
    for conditions in definition.conditions.values():
        yield from conditions


def rules_of(definition: Definition, milestone: Milestone) -> tuple[Condition, ...]:
    """The rules that reach a milestone."""
    return tuple(
        one
        for one in definition.conditions[milestone.stage]
        if milestone.rule is None or one.milestone == milestone.rule
    )
