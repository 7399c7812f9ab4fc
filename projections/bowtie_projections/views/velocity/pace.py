"""The steps that are timed, and who is looked at for each: relations in SQL, rows of the answer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from sqlalchemy.sql.elements import ColumnElement

from bowtie.durations import format_duration
from bowtie.stages import STAGES
from bowtie_projections.expressions import micros_between, quantiles
from bowtie_projections.views.cohorts import ALL, cohort_label
from bowtie_projections.views.cut import time_before
from bowtie_projections.views.funnel.members import COHORT, Members
from bowtie_projections.views.funnel.question import Question
from bowtie_projections.views.shares import (
    FEWEST,
    cell_order,
    shares,
    spread,
    typed_table,
)
from bowtie_projections.views.velocity.estimate import (
    ESTIMATES,
    estimates_of,
)

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["COLUMNS", "QUANTILES", "Paces", "Step", "counts_of", "steps"]

QUANTILES = {"days_p25": 0.25, "days_p50": 0.5, "days_p75": 0.75, "days_p90": 0.9}
_COUNTS = ("entered", "mature", "moved", "out_of_order")
_SHARE = ("moved_share", "moved_share_low", "moved_share_high")
COLUMNS = ("step", "cohort", "within", *_COUNTS, *_SHARE, *QUANTILES, *ESTIMATES)
_DAY_MICROS = 86_400_000_000
_MICROSECOND = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class Step:
    """From the entry of one stage to that of another.

    Args:
        name: by what it means.
        start, end: the stages.
        window: how long it may take.
    """

    name: str
    start: str
    end: str
    window: timedelta


def steps(question: Question, lead: str) -> list[Step]:
    """Each stage to the next, and the two sides of the bowtie as a whole.

    A side may take as long as its steps together, unless a window is given for all.
    """
    found = [
        Step(f"{start}_to_{end}", start, end, question.window(start))
        for start, end in pairwise(STAGES)
    ]
    for name, start, end in (
        ("lead_to_commitment", lead, "commitment"),
        ("commitment_to_first_impact", "commitment", "utilization"),
    ):
        passed = STAGES[STAGES.index(start) : STAGES.index(end)]
        if passed:
            together = sum((question.window(stage) for stage in passed), timedelta())
            found.append(Step(name, start, end, question.within or together))
    return found


@dataclass(frozen=True, slots=True)
class Paces:
    """The members of a question, and the steps they are looked at for."""

    members: Members
    steps: Sequence[Step]

    def counted(self) -> sa.Select[Any]:
        """By cell and step: how many entered, are old enough and moved, and their quantiles."""
        branches = [self._counts(place) for place in range(len(self.steps))]
        return sa.select(sa.union_all(*branches).subquery("counted"))

    def _counts(self, place: int) -> sa.Select[Any]:
        rows = self.judged(place)
        c = rows.c
        keys = [c[name] for name in self.members.key_names]
        timed = sa.case((sa.and_(c.mature, c.moved, c.waited >= 0), c.waited))
        return sa.select(
            *keys,
            sa.literal_column(str(place), sa.Integer()).label("place"),
            *(sa.func.count().filter(one).label(name) for name, one in counts_of(c).items()),
            quantiles(timed, tuple(QUANTILES.values())).label("waited"),
        ).group_by(*keys)

    def judged(self, place: int) -> sa.Subquery:
        """Who entered a step's first stage: ``mature``, ``moved`` in time, microseconds waited.

        Who had entered the second stage before has moved, and waited for less than nothing.
        """
        step, members = self.steps[place], self.members
        c = members.journeys.c
        at, end = c[f"{step.start}_at"], c[f"{step.end}_at"]
        keys, joined = members.keys_at(at)
        of_period = members.question.cohort_stage is None
        asked = [
            *members.journeys_asked(),
            members.in_period(at) if of_period else at.is_not(None),
            *members.surely_new(),
        ]
        longest = sa.literal_column(str(step.window // _MICROSECOND), sa.BigInteger())
        waited = micros_between(at, end)
        return (
            sa.select(
                c.customer,
                c.cycle,
                at.label("at"),
                end.label("end_at"),
                c.lost_at,
                waited.label("waited"),
                (at <= sa.literal(time_before(members.moment, step.window))).label("mature"),
                sa.func.coalesce(waited <= longest, sa.false()).label("moved"),
                *keys,
            )
            .select_from(joined)
            .where(*asked)
            .subquery(f"step_{place}")
        )

    def spread(self) -> sa.Select[Any]:
        """How the mature are spread over accounts, by cell and step."""
        branches = []
        for place in range(len(self.steps)):
            rows = self.judged(place)
            sums = spread(
                self.members.units, rows, self.members.key_names, rows.c.mature, rows.c.moved
            ).subquery(f"spread_{place}")
            number = sa.literal_column(str(place), sa.Integer()).label("place")
            branches.append(sa.select(*sums.c, number))
        return sa.select(sa.union_all(*branches).subquery("spread"))

    def rows(
        self, counted: Sequence[dict[str, Any]], sums: Sequence[dict[str, Any]]
    ) -> list[dict[str, Any]]:
        """The rows of the answer, in order: cell, step, cohort."""
        by_key = {self._key(group): group for group in sums}
        entered = (group for group in counted if group["entered"])
        ordered = sorted(entered, key=self._order)
        judged = shares(
            [group["moved"] for group in ordered],
            [group["mature"] for group in ordered],
            [by_key.get(self._key(group)) for group in ordered],
        )
        return [
            self._row(group) | dict(zip(_SHARE, share, strict=True))
            for group, share in zip(ordered, judged, strict=True)
        ]

    def estimate(
        self,
        rows: Sequence[dict[str, Any]],
        counted: Sequence[Mapping[str, Any]],
        found: Sequence[Mapping[str, Any]],
        *,
        sees_losses: bool,
    ) -> None:
        """Add the estimates to the rows of the answer, in the order of :meth:`rows`."""
        groups = {self._key(group): group for group in found}
        ordered = sorted((group for group in counted if group["entered"]), key=self._order)
        for row, group in zip(rows, ordered, strict=True):
            window = self.steps[group["place"]].window
            row.update(estimates_of(groups[self._key(group)], window, sees_losses=sees_losses))

    def _row(self, group: Mapping[str, Any]) -> dict[str, Any]:
        step, cohort = self.steps[group["place"]], self.members.question.cohort
        timed = group["moved"] - group["out_of_order"]
        days: dict[str, Any] = dict.fromkeys(QUANTILES)
        if timed >= FEWEST:
            days = {
                name: micros / _DAY_MICROS
                for name, micros in zip(QUANTILES, group["waited"], strict=True)
            }
        mature = group["mature"]
        return {
            **dict(zip(self._columns, self._cell(group), strict=True)),
            "step": step.name,
            COHORT: ALL if cohort is None else cohort_label(group[COHORT], cohort),
            "within": format_duration(step.window),
            "entered": group["entered"],
            "mature": mature,
            "moved": group["moved"] if mature else None,
            "out_of_order": group["out_of_order"] if mature else None,
            **days,
        }

    @property
    def _columns(self) -> list[str]:
        return [one.column for one in self.members.dimensions]

    def _cell(self, group: Mapping[str, Any]) -> tuple[str | None, ...]:
        members = self.members
        return tuple(members.named(one, group[one.column]) for one in members.dimensions)

    def _key(self, group: Mapping[str, Any]) -> tuple[Any, ...]:
        return (*(group[name] for name in self.members.key_names), group["place"])

    def _order(self, group: Mapping[str, Any]) -> tuple[Any, ...]:
        cohort = () if self.members.question.cohort is None else (group[COHORT],)
        return (cell_order(self._cell(group)), group["place"], *cohort)

    def table(self, rows: Sequence[Mapping[str, Any]]) -> pa.Table:
        """The rows, as Arrow."""
        import pyarrow as pa

        dimensions_asked = self.members.dimensions
        kinds: dict[str, Any] = {one.column: pa.string() for one in dimensions_asked}
        kinds |= dict.fromkeys(("step", COHORT, "within"), pa.string())
        kinds |= dict.fromkeys(_COUNTS, pa.int64())
        kinds |= dict.fromkeys((*_SHARE, *QUANTILES), pa.float64())
        if rows and ESTIMATES[0] in rows[0]:
            kinds |= dict.fromkeys(ESTIMATES, pa.float64())
            kinds |= {"estimator": pa.string(), "at_risk": pa.int64()}
        titles = {one.column: one.title(COLUMNS) for one in dimensions_asked}
        return typed_table(rows, kinds, titles | {COHORT: "cohort"})


def counts_of(c: Any) -> dict[str, ColumnElement[bool]]:
    """Whom each count counts, of those who entered a step's first stage."""
    return {
        "entered": sa.true(),
        "mature": c.mature,
        "moved": sa.and_(c.mature, c.moved),
        "out_of_order": sa.and_(c.mature, c.waited < 0),
    }
