"""What can be asked of a step funnel, checked before anything runs."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

from bowtie.durations import format_duration
from bowtie.errors import Refused, UsageError
from bowtie.events import CATALOGUE, personal_fields
from bowtie.stages.fields import near
from bowtie_projections.views.breakdown import CONTRACT
from bowtie_projections.views.funnel import question as shared
from bowtie_projections.views.given import length, one_of
from bowtie_projections.views.steps.language import (
    Exclusion,
    Step,
    Wanted,
    parse_exclusion,
    parse_step,
)

__all__ = ["COUNTS", "ORDERS", "REENTRIES", "STATES", "WINDOW", "Gap", "Question", "Row", "ask"]

ORDERS = ("ordered", "strict", "any")
REENTRIES = ("latest", "first")
COUNTS = ("customers", "cycles", "conversions")
#: Where a member of a step can stand.
STATES = ("reached", "excluded", "expired", "pending")
#: How long the steps may take together, if nothing is said of time.
WINDOW = timedelta(days=90)


@dataclass(frozen=True, slots=True)
class Gap:
    """How long it takes from one step to the next: at least, at most."""

    least: timedelta | None = None
    most: timedelta | None = None


@dataclass(frozen=True, slots=True)
class Row:
    """A row of the answer: one step, what came before it and what comes after, from 1.

    Args:
        step: which.
        before: the step it is reached from; None of the first.
        after: the step that is next; None of the last.
    """

    step: int
    before: int | None
    after: int | None


@dataclass(frozen=True, slots=True)
class Question:
    """What was asked, in the types it is answered with.

    Args:
        asked: what all funnels are asked: unit, breakdowns, cohort, period, top, zone.
        steps: in order.
        order: one of :data:`ORDERS`.
        within: the longest from the first step; None where only gaps are limited.
        gaps: what is asked between consecutive steps, unless a step says its own.
        exclusions: what may not come between.
        hold: the field whose value is the same in all steps.
        count: one of :data:`COUNTS`.
        reentry: one of :data:`REENTRIES`.
        customers: a step and a state: instead of counts, who is behind them.
        written: the parameters as they stand in the answer.
    """

    asked: shared.Question
    steps: tuple[Wanted, ...]
    order: str
    within: timedelta | None
    gaps: Gap
    exclusions: tuple[Exclusion, ...]
    hold: str | None
    count: str
    reentry: str
    customers: tuple[int, str] | None
    written: Mapping[str, Any]

    @property
    def required(self) -> list[int]:
        """The steps that nobody goes on without."""
        return [number for number, step in enumerate(self.steps, 1) if not step.optional]

    @property
    def rows(self) -> list[Row]:
        """The rows of the answer: a row for each step."""
        required = self.required
        found = []
        for number in range(1, len(self.steps) + 1):
            before = [one for one in required if one < number]
            after = [one for one in required if one > number]
            found.append(Row(number, before[-1] if before else None, after[0] if after else None))
        return found

    def gap(self, step: int) -> Gap:
        """How long after the step before it a step may come."""
        own = self.steps[step - 1]
        return Gap(own.after or self.gaps.least, own.within or self.gaps.most)

    @property
    def longest(self) -> timedelta | None:
        """How long all the steps may take together; None where there is no limit."""
        if self.order == "any":
            return self.within
        gaps = [self.gap(step).most for step in self.required[1:]]
        total = sum((gap for gap in gaps if gap is not None), timedelta())
        limits = [] if None in gaps else [total]
        return min([*limits, *([] if self.within is None else [self.within])], default=None)

    def label(self, step: int) -> str:
        """What a row is called."""
        if self.order == "any":
            return f"any {step} of {len(self.steps)}"
        return self.steps[step - 1].label

    def between(self, before: int, step: int) -> list[Exclusion]:
        """The exclusions that hold from one step to another."""
        return [one for one in self.exclusions if one.after <= before and step <= one.before]


def ask(
    given: Mapping[str, Any], cut_names: Mapping[str, Any], personal_names: Collection[str]
) -> Question:
    """The question, from the keywords of :func:`~bowtie_projections.views.steps.steps`.

    Raises:
        UsageError: a value that can't be asked, or two that exclude each other.
        Refused: what would mislead.
    """
    asked = shared.ask(cut_names)
    for name in asked.by:
        if name in CONTRACT:
            raise Refused(
                f"{name} is a field of contracts, and the first step need not be one: who signed"
                f" would stand under a value and all others under none. Ask by trait.{name} if it"
                f" is a trait, or make it a condition: contract_signed[{name}=...]"
            )
    steps = _steps(given["steps"], personal_names)
    count = one_of("count", given["count"], COUNTS)
    if asked.unit == "cycle":
        count = "cycles" if count == "customers" else count
    question = Question(
        asked=asked,
        steps=steps,
        order=one_of("order", given["order"], ORDERS),
        within=None,
        gaps=Gap(
            length("after_each", given["after_each"]), length("within_each", given["within_each"])
        ),
        exclusions=tuple(
            parse_exclusion(one, steps, personal_names)
            for one in _texts("exclude", given["exclude"])
        ),
        hold=_hold(given["hold"], steps, personal_names),
        count=count,
        reentry=one_of("reentry", given["reentry"], REENTRIES),
        customers=_cell(given["customers"], steps),
        written={},
    )
    question = _windowed(question, length("within", given["within"]))
    _check(question)
    return replace(question, written=_written(question))


def _steps(given: Any, personal_names: Collection[str]) -> tuple[Wanted, ...]:
    if isinstance(given, (str, Mapping, Step)) or not isinstance(given, Sequence):
        raise UsageError('steps is a list: write steps=["touched", "order_placed"]')
    if len(given) < 2:
        raise UsageError("a funnel has at least two steps: name what comes after")
    found = tuple(parse_step(one, number, personal_names) for number, one in enumerate(given, 1))
    for name, one in (("first", found[0]), ("last", found[-1])):
        if one.optional:
            raise UsageError(f"the {name} step can't be optional: leave it out, or the ? after it")
    if found[0].after is not None or found[0].within is not None:
        raise UsageError("step 1 has no step before it: leave its after and within out")
    return found


def _windowed(question: Question, within: timedelta | None) -> Question:
    """With a limit of time, for nothing is waited for without end."""
    limited = question.order != "any" and all(
        question.gap(step).most is not None for step in range(2, len(question.steps) + 1)
    )
    return replace(question, within=within or (None if limited else WINDOW))


def _check(question: Question) -> None:
    """Refuse what can't be asked together."""
    gaps = [question.gap(step) for step in range(2, len(question.steps) + 1)]
    if any(gap.least and gap.most and gap.least > gap.most for gap in gaps):
        raise UsageError(
            "a step may come at the earliest after it may come at the latest: see after_each and"
            " within_each, and after and within of the steps"
        )
    if question.order == "any":
        _check_any(question, gaps)
    if question.order == "strict" and any(one.optional for one in question.steps):
        raise UsageError(
            "order=strict has nothing between two steps, so none can be optional: ask with"
            " order=ordered, or leave the optional step out"
        )
    if question.count == "conversions" and question.customers is not None:
        raise UsageError(
            "customers= lists who is behind a cell, each once: leave count=conversions out"
        )


def _check_any(question: Question, gaps: Sequence[Gap]) -> None:
    if any(gap != Gap() for gap in gaps):
        raise UsageError(
            "in any order no step comes before another, so nothing is asked of the time between"
            " two: limit the time of all with within="
        )
    if question.count == "conversions":
        raise UsageError(
            "in any order an attempt has no first step to begin with, so attempts can't be told"
            " apart: leave count=conversions out, or ask with order=ordered"
        )
    if any(one.optional for one in question.steps):
        raise UsageError(
            "in any order step k means k of them, so each may be missing already: leave the ? out"
        )
    last = len(question.steps)
    if any((one.after, one.before) != (1, last) for one in question.exclusions):
        raise UsageError(
            "in any order no step is known to come before another: an exclusion is between the"
            " first and the last of them; leave its @A-B out"
        )


def _hold(given: Any, steps: Sequence[Wanted], personal_names: Collection[str]) -> str | None:
    """The field that is held, which every step must have."""
    if given is None:
        return None
    name = str(given)
    if name.removeprefix("properties.").lower() in {one.lower() for one in personal_names}:
        raise UsageError(f"hold: {name} is a personal name: it is sealed, so it is in no table")
    for number, step in enumerate(steps, 1):
        for test in step.tests:
            if test.event is None:
                raise UsageError(
                    f"hold={name}: step {number} is a stage, whose entry has no fields; write the"
                    " event that enters it"
                )
            _check_field(name, test.event, number)
    return name


def _check_field(name: str, event: str, number: int) -> None:
    model = CATALOGUE[event]
    if name in personal_fields(model):
        raise UsageError(f"hold={name}: it is personal and sealed, so it is in no table")
    fields = [one for one in model.model_fields if one not in ("traits", "properties")]
    if name in fields or "properties" in model.model_fields:
        return
    hint = near(name, fields) if fields else "it has none"
    raise UsageError(f"hold={name}: step {number}, {event}, has no such field: {hint}")


def _cell(given: Any, steps: Sequence[Wanted]) -> tuple[int, str] | None:
    """Step and state of ``STEP:STATE``."""
    if given is None:
        return None
    number, _, state = str(given).partition(":")
    if not (number.isdecimal() and 1 <= int(number) <= len(steps) and state in STATES):
        raise UsageError(
            f"customers is {given!r}; write STEP:STATE with a step from 1 to {len(steps)} and a"
            f" state of {', '.join(STATES)}, such as 1:expired"
        )
    if int(number) == len(steps):
        raise UsageError(f"step {number} is the last: nobody in it is {state} of a next one")
    return int(number), state


def _texts(name: str, given: Any) -> list[str]:
    found = [given] if isinstance(given, str) else list(given)
    if not all(isinstance(one, str) for one in found):
        raise UsageError(f'{name} is a list of texts: write {name}=["refund@1-2"]')
    return found


def _written(question: Question) -> dict[str, Any]:
    """The parameters as they stand in the answer."""

    def shown(span: timedelta | None) -> str | None:
        return None if span is None else format_duration(span)

    own = {
        "steps": [_step_written(one) for one in question.steps],
        "order": question.order,
        "within": shown(question.within),
        "within_each": shown(question.gaps.most),
        "after_each": shown(question.gaps.least),
        "exclude": [f"{one.label}@{one.after}-{one.before}" for one in question.exclusions],
        "hold": question.hold,
        "count": question.count,
        "reentry": question.reentry,
        "customers": None if question.customers is None else ":".join(map(str, question.customers)),
    }
    return {**own, **{n: v for n, v in question.asked.written.items() if n not in own}}


def _step_written(step: Wanted) -> str:
    said = step.label + ("?" if step.optional else "")
    for name, span in (("after", step.after), ("within", step.within)):
        said += "" if span is None else f" {name} {format_duration(span)}"
    return said
