"""The metrics of a named edition: volumes, conversions and days by milestone, and money."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from itertools import pairwise
from typing import Any

import sqlalchemy as sa

from bowtie.events import PERSONAL_NAMES
from bowtie.stages import STAGES, Definition, Milestone
from bowtie_projections import tables
from bowtie_projections.membership import LOOK_BACK
from bowtie_projections.results import Result
from bowtie_projections.views.cut import Cut, Reader, counts
from bowtie_projections.views.funnel import funnel
from bowtie_projections.views.metrics.editions import EDITIONS, check_edition, numbered
from bowtie_projections.views.metrics.pairs import pair_of
from bowtie_projections.views.metrics.right import Right
from bowtie_projections.views.metrics.rows import Row, days_row, row_of, table_of
from bowtie_projections.views.units import plural

__all__ = ["NAMES", "metrics"]

#: What all call the fourth step, from the last milestone to the win.
NAMES = {"CR4": "win_rate", "dt4": "sales_cycle_days"}


def metrics(
    reader: Reader,
    cut: Cut,
    definition: Definition,
    *,
    edition: str = "wbd-2026",
    unit: str = "customer",
    look_back: str | timedelta = LOOK_BACK,
    within: str | timedelta | None = None,
    from_: Any = None,
    to: Any = None,
    lost_after: str | timedelta | None = None,
    include_truncated: bool = False,
    data_from: Any = None,
    data_through: Any = None,
    tz: str = "UTC",
    personal_names: Collection[str] = PERSONAL_NAMES,
) -> Result:
    """The metrics of an edition, each by what it means, with its number there.

    Left of the knot: how many reached each milestone of the definition, which share of the mature
    went on to the next, and in how many days half of those did; all of it from the funnel. Right of
    the knot: what was committed, what of it outlasted onboarding, and the recurring revenue at the
    end with what was kept of it over a year and what it grew by. What can't be told is empty, with
    the reason.

    Args:
        reader: the read tables.
        cut: the position and the moment it is asked as of.
        definition: what entering a stage means, and which milestones there are.
        edition: ``wbd-2022`` or ``wbd-2026``.
        unit, look_back, within, from_, to, lost_after, include_truncated: as for the funnel.
        data_from, data_through, tz, personal_names: as for the funnel.

    Returns:
        A row for each metric: ``number`` (empty where the edition has none), ``metric``, ``unit``,
        ``value``, of a share its interval and ``of`` how many it is, of money its ``currency``, a
        row for each, and the ``reason`` where there is no value.

    Raises:
        UsageError: a value that can't be asked.
    """
    asked = {
        name: given for name, given in locals().items()
        if name not in {"reader", "cut", "definition", "edition"}
    }  # fmt: skip
    telling = _Telling(reader, cut, definition, asked)
    later, whole = EDITIONS[check_edition(edition)], telling.funnel(definition)
    stages = {row["stage"]: row for row in whole.rows()}
    right = Right(reader, cut, definition, asked, stages)
    rows = [*telling.left(), *right.rows(later)]
    return Result(
        "metrics",
        table_of(rows),
        sentence=f"{edition}: {whole.sentence}",
        notes=[*whole.notes, *right.notes()],
        sql=reader.statements,
        meta={**whole.meta, "parameters": {**whole.meta["parameters"], "edition": edition}},
    )


@dataclass(frozen=True, slots=True)
class _Telling:
    """The figures of one question."""

    reader: Reader
    cut: Cut
    definition: Definition
    asked: Mapping[str, Any]

    @property
    def counted(self) -> str:
        """What is counted, several of them."""
        return plural(str(self.asked["unit"]))

    def funnel(self, definition: Definition) -> Result:
        """The stage funnel by a definition."""
        return funnel(self.reader, self.cut, definition, **self.asked)

    def left(self) -> Iterator[Row]:
        """Volumes, conversions and days, in the order of the milestones."""
        order = numbered(self.definition)
        own = {one.name: one for one in self.definition.milestones}
        volumes: dict[str, int] = {}
        steps: list[tuple[str, str, Row]] = []
        told: dict[str, dict[str, Row]] = {}
        for first, second in pairwise(self.definition.milestones):
            found = self._step(first, second, told)
            steps.append((first.name, second.name, found))
            volumes |= found.get("volumes", {})
        for place, name in enumerate(order, start=1):
            missing = "" if name in own else self._missing(name)
            value = volumes.get(name)
            reason = missing or ("" if value is not None else "it can't be told apart")
            yield row_of(f"VM{place}", f"{name}s", self.counted, value=value, reason=reason)
        for name in own:
            if name not in order:
                yield row_of("", f"{name}s", self.counted, value=volumes.get(name))
        yield from self._between(order, steps, "CR")
        yield from self._between(order, steps, "dt")

    def _missing(self, name: str) -> str:
        return f"{self.definition.label} names no milestone {name}: give it one in [milestones]"

    def _step(self, first: Milestone, second: Milestone, told: dict[str, dict[str, Row]]) -> Row:
        """The funnel's figures from one milestone to the next."""
        pair = pair_of(self.definition, first, second)
        if not isinstance(pair, str) and pair[0] != self.definition and self._said():
            pair = (
                "the log says itself that a stage left of the knot was entered (stage_entered), and"
                " not which milestone"
            )
        if isinstance(pair, str):
            return {"reason": pair}
        dealt, start, end = pair
        if dealt.sha256 not in told:
            told[dealt.sha256] = {row["stage"]: row for row in self.funnel(dealt).rows()}
        rows = told[dealt.sha256]
        entered = {first.name: rows[start]["entered"], second.name: rows[end]["entered"]}
        return {**rows[start], "volumes": entered, "reason": ""}

    def _said(self) -> bool:
        """Whether any event says that a stage left of the knot was entered, whatever the rules."""
        table = tables.facts["stage_entered"]
        left = STAGES[: STAGES.index("commitment")]
        said = sa.select(sa.func.count()).where(counts(table, self.cut), table.c.stage.in_(left))
        return bool(self.reader.fetch(said).column(0)[0].as_py())

    def _between(
        self, order: list[str], steps: list[tuple[str, str, Row]], kind: str
    ) -> Iterator[Row]:
        """The conversions, or the days, from each milestone to the next; numbered ones first."""
        found = {(first, second): row for first, second, row in steps}
        for place, (first, second) in enumerate(pairwise(order), start=1):
            row = found.pop((first, second), None)
            if row is None:
                lacking = [name for name in (first, second) if not self._has(name)]
                reason = self._missing(lacking[0]) if lacking else "another milestone lies between"
                row = {"reason": reason}
            yield _step(kind, f"{kind}{place}", (first, second), row)
        for pair, row in found.items():
            yield _step(kind, "", pair, row)

    def _has(self, name: str) -> bool:
        return any(one.name == name for one in self.definition.milestones)


def _step(kind: str, number: str, pair: tuple[str, str], row: Row) -> Row:
    """From one milestone to the next: the share that went on, or the days."""
    name = NAMES.get(number, "_to_".join(pair) + ("" if kind == "CR" else "_days"))
    if row["reason"]:
        return row_of(number, name, "share" if kind == "CR" else "days", reason=row["reason"])
    if kind == "dt":
        return days_row(number, name, row)
    if not row["mature"]:
        return row_of(number, name, "share", of=0, reason="nobody who entered is old enough")
    low, high = row["conversion_low"], row["conversion_high"]
    return row_of(
        number, name, "share", value=row["conversion"], low=low, high=high, of=row["mature"]
    )
