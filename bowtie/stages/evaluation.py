"""The stages and cycles of one customer, from the facts and a definition.

The views answer the same question in SQL for all customers; this is the reading for one, and what
the SQL is tested against. The rules are on the page "Stages" of the documentation.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from bowtie.fields import Stage
from bowtie.stages.definition import STAGES, Condition, Definition
from bowtie.stages.history import Fact, History, Moment, value_at
from bowtie.stages.losses import standing_closes
from bowtie.stages.paid import Close

__all__ = ["Cycle", "current_stage", "evaluate"]


@dataclass(frozen=True, slots=True)
class Cycle:
    """One pass of a journey through the bowtie.

    Args:
        number: 1 for the first.
        opened_at: the first entry of any stage.
        entries: for each stage entered, when first; in the order of the stages.
        latest: for each stage entered, when last.
        caused_by: for each stage entered, the position of the fact that entered it first.
        lost_at: when it ended; None while it goes on.
        lost_seen_at: when the end could first be known.
        lost_side: ``left`` of the knot or ``right`` of it.
        lost_by: the position of the fact that ended it.
    """

    number: int
    opened_at: datetime
    entries: Mapping[Stage, datetime]
    latest: Mapping[Stage, datetime]
    caused_by: Mapping[Stage, int] = field(repr=False)
    lost_at: datetime | None = None
    lost_seen_at: datetime | None = None
    lost_side: Literal["left", "right"] | None = None
    lost_by: int | None = field(default=None, repr=False)

    @property
    def is_open(self) -> bool:
        """Whether it goes on."""
        return self.lost_at is None

    @property
    def stage(self) -> Stage:
        """The furthest stage entered."""
        return max(self.entries, key=STAGES.index)


def current_stage(cycles: list[Cycle]) -> Stage | None:
    """The stage a customer is in: the furthest of the open cycle; None without one."""
    return cycles[-1].stage if cycles and cycles[-1].is_open else None


def evaluate(
    definition: Definition, facts: Iterable[Fact], as_of: datetime | None = None
) -> list[Cycle]:
    """The cycles of one customer, in order.

    Args:
        definition: what entering a stage means.
        facts: the customer's facts that count (nothing retracted), in any order.
        as_of: the world as it was then: later facts, and ends not yet known then, don't count.
            Without it all facts count and so do ends that lie ahead, such as the last day of a
            contract that runs: give the present moment to learn where a journey stands.

    >>> from datetime import datetime, timezone
    >>> from types import SimpleNamespace
    >>> from bowtie.events import Touched
    >>> from bowtie.stages import load_definition
    >>> fact = SimpleNamespace(
    ...     data=Touched(channel="webinar", direction="inbound"),
    ...     occurred_at=datetime(2026, 1, 5, tzinfo=timezone.utc),
    ...     position=1,
    ... )
    >>> [cycle] = evaluate(load_definition("b2b/1"), [fact])
    >>> cycle.stage, cycle.opened_at.date().isoformat(), cycle.is_open
    ('awareness', '2026-01-05', True)
    """
    history = History(facts, as_of)
    plain = _plain_matches(definition, history)
    closes: list[Close] = []
    if definition.loss == "events":
        closes = standing_closes(
            history,
            sorted(moment.at for moment in plain["commitment"]),
            sorted(moment.at for moments in plain.values() for moment in moments),
            definition.requalify_within,
            as_of,
        )
    groups = _Groups(definition, history, plain, [close.at for close in closes])
    entered = [(number, entries) for number, entries in groups.entries() if entries]
    return [
        _cycle(number, entries, closes[group] if group < len(closes) else None)
        for number, (group, entries) in enumerate(entered, start=1)
    ]


#: For each stage the facts that enter it.
_Matches = dict[Stage, list[Moment]]


def _plain_matches(definition: Definition, history: History) -> _Matches:
    """What enters a stage whatever the cycle it falls in."""
    found: _Matches = {stage: [] for stage in STAGES}
    for moment in history.of_type("stage_entered"):
        found[moment.data.stage].append(moment)
    for stage in STAGES:
        for condition in definition.conditions[stage]:
            if condition.plain:
                found[stage] += history.matching(condition)
    return found


class _Groups:
    """The facts between two closes belong together; a fact at the moment of a close precedes it."""

    def __init__(
        self, definition: Definition, history: History, plain: _Matches, closes: list[datetime]
    ) -> None:
        self.definition = definition
        self.closes = closes
        self.plain = {stage: self._split(moments) for stage, moments in plain.items()}
        self.others = {
            stage: [
                (condition, self._split(history.matching(condition)))
                for condition in definition.conditions[stage]
                if not condition.plain
            ]
            for stage in STAGES
        }

    def _split(self, moments: list[Moment]) -> dict[int, list[Moment]]:
        groups: dict[int, list[Moment]] = defaultdict(list)
        for moment in moments:
            groups[bisect_left(self.closes, moment.at)].append(moment)
        return groups

    def entries(self) -> Iterable[tuple[int, _Matches]]:
        """For each group, by time, the facts that entered each stage entered in it."""
        for group in range(len(self.closes) + 1):
            found: _Matches = {}
            for stage in self.definition.order:
                matches = list(self.plain[stage].get(group, ()))
                for condition, candidates in self.others[stage]:
                    matches += _in_cycle(condition, candidates.get(group, []), found)
                if matches:
                    found[stage] = sorted(matches, key=_place)
            yield group, found


def _place(moment: Moment) -> tuple[datetime, int]:
    return moment.at, moment.position


def _in_cycle(condition: Condition, moments: list[Moment], entered: _Matches) -> list[Moment]:
    """The facts that meet what a condition asks of their cycle; first after, within, then nth."""
    if condition.after:
        moments = _from(condition.after, moments, entered)
    if condition.within:
        of, span = condition.within.of, condition.within.time
        moments = [
            moment
            for moment in _from(of, moments, entered)
            if moment.at - entered[of][0].at <= span
        ]
    return _from_nth(condition, moments) if condition.nth > 1 else moments


def _from(stage: Stage, moments: list[Moment], entered: _Matches) -> list[Moment]:
    """The facts at or after a stage's entry; none if it was not entered."""
    if stage not in entered:
        return []
    entry = entered[stage][0].at
    return [moment for moment in moments if moment.at >= entry]


def _from_nth(condition: Condition, moments: list[Moment]) -> list[Moment]:
    """The facts from the n-th (or from the n-th distinct day or quarter) on."""
    periods: dict[object, set[object]] = defaultdict(set)
    found = []
    for moment in sorted(moments, key=_place):
        value = value_at(moment.data, condition.each) if condition.each else ""
        if value is None:
            continue
        seen = periods[value]
        seen.add(_period(condition, moment))
        if len(seen) >= condition.nth:
            found.append(moment)
    return found


def _period(condition: Condition, moment: Moment) -> object:
    day = moment.at.date()
    if condition.counted_by == "day":
        return day
    if condition.counted_by == "quarter":
        return day.year, (day.month - 1) // 3
    return moment.position


def _cycle(number: int, entered: _Matches, close: Close | None) -> Cycle:
    stages = [stage for stage in STAGES if stage in entered]
    return Cycle(
        number=number,
        opened_at=min(entered[stage][0].at for stage in stages),
        entries={stage: entered[stage][0].at for stage in stages},
        latest={stage: entered[stage][-1].at for stage in stages},
        caused_by={stage: entered[stage][0].position for stage in stages},
        lost_at=close.at if close else None,
        lost_seen_at=close.seen_at if close else None,
        lost_side=close.side if close else None,
        lost_by=close.position if close else None,
    )
