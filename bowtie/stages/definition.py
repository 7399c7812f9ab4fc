"""What a stage definition is: for each stage, the conditions that mean it was entered.

A definition is data. :mod:`bowtie.stages.loading` reads one from TOML,
:mod:`bowtie.stages.evaluation` applies it to one customer's facts in Python, and the views
translate it into SQL. The rules that both follow are on the page "Stages" of the documentation.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta
from decimal import Decimal
from functools import cached_property
from typing import Literal, get_args

from bowtie.events import CATALOGUE, Event
from bowtie.fields import Stage

__all__ = [
    "MILESTONES",
    "NUMBER_PATTERN",
    "STAGES",
    "Comparison",
    "Condition",
    "DayTotal",
    "Definition",
    "Kind",
    "Milestone",
    "Operator",
    "Value",
    "Within",
]

#: The seven stages, from the first awareness to growth; commitment is the knot between the halves.
STAGES: tuple[Stage, ...] = get_args(Stage)

#: The text of a map's value that can be compared with a number. RE2 and Python read it alike.
NUMBER_PATTERN = r"-?[0-9]{1,30}(\.[0-9]{1,30})?([eE][+-]?[0-9]{1,2})?"

Operator = Literal["in", "ne", "gt", "ge", "lt", "le"]
Kind = Literal["text", "decimal", "whole", "day", "flag", "map"]
Value = str | bool | int | Decimal | date


@dataclass(frozen=True, slots=True)
class Comparison:
    """One field against one value, or for ``in`` against any of several.

    Args:
        field: the event's field, or ``properties.NAME`` or ``traits.NAME``.
        op: ``in`` (equal to one of the values), ``ne``, ``gt``, ``ge``, ``lt`` or ``le``.
        values: what it is compared with, in the field's type; a number for a map is a Decimal.
        kind: the type of the field; ``map`` for a value inside a map.
    """

    field: str
    op: Operator
    values: tuple[Value, ...]
    kind: Kind

    @property
    def map_name(self) -> str:
        """The map, such as ``properties``; without a map, the field itself."""
        return self.field.partition(".")[0]

    @property
    def key(self) -> str:
        """The name inside the map; empty without a map."""
        return self.field.partition(".")[2]


@dataclass(frozen=True, slots=True)
class DayTotal:
    """The sum of a field over one UTC day (and one currency) against a value."""

    field: str
    op: Operator
    value: Decimal


@dataclass(frozen=True, slots=True)
class Within:
    """At or after the entry of another stage of the cycle, and at most so long after it."""

    of: Stage
    time: timedelta


@dataclass(frozen=True, slots=True)
class Condition:
    """What an event must be for its stage to be entered; each part that is given must hold.

    Args:
        event: the ``type_name`` of the event.
        where: comparisons on its fields.
        rises: a field above its last value for the same contract; ``falls``: below it.
        day_total: what the facts of one day must add up to.
        nth: which match enters the stage (and each later one), within the cycle.
        counted_by: what ``nth`` counts: matches, or the distinct days or quarters they fall in.
        each: ``nth`` counts separately for each value of this field.
        after: only at or after the entry of that stage in the same cycle.
        within: only within a time of another stage's entry in the same cycle.
        milestone: what those who meet it have reached, where that has a name of its own.
        line: where it begins in the definition's text.
    """

    event: str
    where: tuple[Comparison, ...] = ()
    rises: str | None = None
    falls: str | None = None
    day_total: DayTotal | None = None
    nth: int = 1
    counted_by: Literal["event", "day", "quarter"] = "event"
    each: str | None = None
    after: Stage | None = None
    within: Within | None = None
    milestone: str | None = field(default=None, compare=False)
    line: int | None = field(default=None, compare=False)

    @property
    def plain(self) -> bool:
        """Whether it can be judged without knowing the cycle the event falls in."""
        return self.nth == 1 and self.after is None and self.within is None

    @property
    def refers_to(self) -> frozenset[Stage]:
        """The stages whose entry it needs."""
        others = {self.after} if self.after else set()
        return frozenset(others | {self.within.of} if self.within else others)

    @property
    def model(self) -> type[Event]:
        """The event's class."""
        return CATALOGUE[self.event]


@dataclass(frozen=True, slots=True)
class Milestone:
    """A named point on the way to the knot: the entry of a stage, or by some of its rules alone.

    Args:
        name: what it is called, such as ``sql``.
        stage: whose rules reach it.
        rule: only the rules of this milestone; None for all of the stage.
    """

    name: str
    stage: Stage
    rule: str | None = None


#: The milestones of a definition that names none.
MILESTONES = (
    Milestone("prospect", "awareness"),
    Milestone("mql", "education"),
    Milestone("sql", "selection"),
    Milestone("win", "commitment"),
)


@dataclass(frozen=True)
class Definition:
    """Which events mean that a stage was entered, and when a journey counts as lost.

    Two definitions are equal when their name, version and text are.

    Args:
        name: what it is called; with ``version`` it stands beside each figure.
        version: counted up with each change.
        title: one line for people.
        conditions: for each of the seven stages its conditions; a stage without any is entered
            by a ``StageEntered`` only.
        requalify_within: how soon a stage-entering event undoes a loss left of the knot.
        loss: ``events`` if the log can show a loss, ``none`` if it can't.
        burn_in: a customer first seen so soon after the data begin may be older than the data.
        lead: the stage whose entry makes a lead.
        milestones: the named points up to the knot, in their order.
        text: the TOML it was read from.
        sha256: the hash of the text, in hex.
    """

    name: str
    version: int
    title: str = field(compare=False)
    conditions: Mapping[Stage, tuple[Condition, ...]] = field(compare=False, repr=False)
    requalify_within: timedelta = field(compare=False)
    loss: Literal["events", "none"] = field(compare=False)
    burn_in: timedelta = field(compare=False)
    lead: Stage = field(compare=False)
    milestones: tuple[Milestone, ...] = field(compare=False, repr=False)
    text: str = field(compare=False, repr=False)
    sha256: str = field(repr=False)

    @property
    def label(self) -> str:
        """Name and version, such as ``b2b/1``."""
        return f"{self.name}/{self.version}"

    @cached_property
    def order(self) -> tuple[Stage, ...]:
        """The stages in an order in which each follows those its conditions refer to."""
        return resolve({stage: references(self.conditions[stage]) for stage in STAGES})


def references(conditions: tuple[Condition, ...]) -> frozenset[Stage]:
    """The stages whose entry any of the conditions needs."""
    return frozenset().union(*(condition.refers_to for condition in conditions))


def resolve(needs: Mapping[Stage, frozenset[Stage]]) -> tuple[Stage, ...]:
    """The stages, each after those it needs; shorter where some need each other in a circle."""
    done: list[Stage] = []
    while ready := [s for s in STAGES if s not in done and needs[s] <= set(done)]:
        done.append(ready[0])
    return tuple(done)
