"""The counts of SQL as arrays, by cell, stage and cohort; and what the waits are held against."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bowtie_projections.views.bottleneck.benchmarks import Benchmark
from bowtie_projections.views.bottleneck.levers import MEMBERS, STEPS, Cell, fast_quartile
from bowtie_projections.views.bottleneck.question import Question
from bowtie_projections.views.funnel.members import COHORT, Members
from bowtie_projections.views.shares import FEWEST as FEWEST_WAITS
from bowtie_projections.views.shares import cell_order

__all__ = ["Cells", "Wait"]

Floats = NDArray[np.float64]
_Row = Mapping[str, Any]
_Key = tuple[Any, ...]
_DAY_MICROS = 86_400_000_000


@dataclass(frozen=True, slots=True)
class Wait:
    """How long the next stage takes: the median now, and what it could be, in days."""

    now: float | None
    goal: float | None

    @property
    def longer(self) -> float | None:
        """How many times as long a wait may be today, to fall within the window were all faster.

        At most 1 where there is nothing to gain.
        """
        return None if self.now is None or self.goal is None else self.now / self.goal


@dataclass
class Cells:
    """The counts of one question.

    Args:
        members: of its stages.
        question: what was asked.
        counted: by cell, stage and cohort, from :meth:`Counting.counted`.
        pooled: the same of all cohorts together.
        worth: from :meth:`Counting.worth`.
        sooner: from :meth:`Counting.sooner`, once the longer windows are known.
    """

    members: Members
    question: Question
    counted: Sequence[_Row]
    pooled: Sequence[_Row]
    worth: Sequence[_Row]
    sooner: Sequence[_Row] = field(default_factory=list)

    @property
    def currencies(self) -> set[str]:
        """In what money the customers were worth something."""
        return {row[end] for row in self.worth for end in ("low", "high")} - {None}

    @property
    def currency(self) -> str | None:
        """The one there is, if any."""
        return next(iter(self.currencies), None)

    @cached_property
    def keys(self) -> list[_Key]:
        """The cells, in the order of their names."""
        found = {self._key(row) for row in self.pooled}
        return sorted(found, key=lambda key: cell_order(self.named(key)))

    def named(self, key: _Key) -> tuple[str | None, ...]:
        """The values of a cell as the answer names them."""
        pairs = zip(self.members.dimensions, key, strict=True)
        return tuple(self.members.named(one, value) for one, value in pairs)

    def entered(self) -> tuple[int, int]:
        """How many entries there are, and how many are mature."""
        return sum(row["entered"] for row in self.pooled), sum(row["mature"] for row in self.pooled)

    def cohorts(self, key: _Key) -> list[Any]:
        """The cohorts of a cell, in order."""
        return sorted({row[COHORT] for row in self.counted if self._key(row) == key})

    def large(self, key: _Key, stage: str) -> int:
        """How many cohorts have so many members that they can be a benchmark."""
        return sum(row["mature"] >= MEMBERS for row in self._cohorts_of(key, stage))

    def benchmark(self, key: _Key, stage: str) -> Benchmark:
        """What the file says of a stage; nothing where there is no file."""
        if self.question.benchmarks is None:
            return Benchmark()
        names = [one.name for one in self.members.dimensions]
        return self.question.benchmarks.of(stage, dict(zip(names, self.named(key), strict=True)))

    def wait(self, key: _Key, stage: str) -> Wait:
        """The median wait, and its benchmark."""
        now = next(iter(self._of_stage["pooled"].get((key, stage), ())), None)
        if now is None or now["timed"] < FEWEST_WAITS:
            return Wait(None, None)
        low, median, high = (micros / _DAY_MICROS for micros in now["waited"])
        if self.question.benchmarks is not None:
            return Wait(median, self.benchmark(key, stage).days)
        cohorts = [
            row
            for row in self._cohorts_of(key, stage)
            if row["mature"] >= MEMBERS and row["timed"] >= FEWEST_WAITS
        ]
        medians = np.array([row["waited"][1] / _DAY_MICROS for row in cohorts])
        counts = np.array([row["timed"] for row in cohorts], np.float64)
        return Wait(median, fast_quartile(medians, counts, high - low))

    def longer_windows(self) -> dict[_Key, timedelta]:
        """By cell and stage, the window that a faster wait makes of the one there is."""
        windows = {}
        for key in self.keys:
            for stage in STEPS:
                longer = self.wait(key, stage).longer
                if longer is not None and longer > 1:
                    windows[*key, stage] = self.question.funnel.window(stage) * longer
        return windows

    def arrays(self, key: _Key) -> Cell:
        """The counts of a cell."""
        places = {cohort: place for place, cohort in enumerate(self.cohorts(key))}

        def laid(rows: Sequence[_Row], column: str, *, went_on: int | None = None) -> Floats:
            found = np.zeros((len(STEPS), len(places)))
            for row in rows:
                if self._key(row) != key or (went_on is not None and row["went_on"] != went_on):
                    continue
                # money is carried 365 times, exactly up to here
                value = row[column] / 365 if column == "by_365" else row[column]
                found[STEPS.index(row["stage"]), places[row[COHORT]]] = float(value)
            return found

        counts = {"n": laid(self.counted, "mature"), "k": laid(self.counted, "reached")}
        old, in_time, sooner = (laid(self.sooner, name) for name in ("mature", "reached", "sooner"))
        for place, stage in enumerate(STEPS):
            longer = self.wait(key, stage).longer
            if longer is not None and longer <= 1:  # as fast as the benchmark: nothing to gain
                old[place] = counts["n"][place]
        goals = None
        if self.question.benchmarks is not None:
            goals = np.array(
                [
                    np.nan if (share := self.benchmark(key, stage).conversion) is None else share
                    for stage in STEPS
                ]
            )
        return Cell(
            **counts,
            old=old,
            in_time=in_time,
            sooner=sooner,
            went_on=laid(self.worth, "members", went_on=1),
            stayed=laid(self.worth, "members", went_on=0),
            worth_on=laid(self.worth, "by_365", went_on=1),
            worth_stayed=laid(self.worth, "by_365", went_on=0),
            goals=goals,
        )

    def _cohorts_of(self, key: _Key, stage: str) -> Sequence[_Row]:
        return self._of_stage["counted"].get((key, stage), ())

    @cached_property
    def _of_stage(self) -> dict[str, dict[tuple[_Key, str], list[_Row]]]:
        """The rows of each statement, by cell and stage."""
        found: dict[str, dict[tuple[_Key, str], list[_Row]]] = {}
        for name in ("counted", "pooled"):
            of_stage = found[name] = defaultdict(list)
            for row in getattr(self, name):
                of_stage[self._key(row), row["stage"]].append(row)
        return found

    def _key(self, row: _Row) -> _Key:
        return tuple(row[one.column] for one in self.members.dimensions)
