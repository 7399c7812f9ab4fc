"""The velocity: how many days a step takes, of cohorts that are old enough to tell."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from sqlalchemy.sql.elements import ColumnElement

from bowtie.durations import format_duration
from bowtie.errors import UsageError
from bowtie.events import PERSONAL_NAMES
from bowtie.stages import STAGES, Definition
from bowtie_projections.expressions import micros_between, quantiles
from bowtie_projections.membership import LOOK_BACK
from bowtie_projections.results import Result
from bowtie_projections.views.cohorts import PERIODS, cohort_label
from bowtie_projections.views.cut import Cut, Reader, time_before
from bowtie_projections.views.funnel.members import COHORT, Members
from bowtie_projections.views.funnel.question import Question, ask
from bowtie_projections.views.funnel.view import asked_members
from bowtie_projections.views.shares import (
    FEWEST,
    cell_order,
    shares,
    spread,
    standing,
    typed_table,
)
from bowtie_projections.views.velocity_estimate import (
    ESTIMATES,
    estimates_of,
    estimates_say,
    watched,
)

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = [
    "ALL", "COLUMNS", "QUANTILES", "Paces", "Step", "counts_of", "paces", "steps", "velocity",
]  # fmt: skip

#: All cohorts together.
ALL = "all"
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


def velocity(
    reader: Reader,
    cut: Cut,
    definition: Definition,
    *,
    unit: str = "customer",
    look_back: str | timedelta = LOOK_BACK,
    by: str | Sequence[str] = (),
    within: str | timedelta | None = None,
    cohort: str = "quarter",
    from_: Any = None,
    to: Any = None,
    cycles: bool = False,
    cohort_stage: str | None = None,
    top: int = 10,
    include_truncated: bool = False,
    estimate: bool = False,
    data_from: Any = None,
    data_through: Any = None,
    tz: str = "UTC",
    kept: Mapping[str, Sequence[str]] | None = None,
    personal_names: Collection[str] = PERSONAL_NAMES,
) -> Result:
    """How many days each step takes, by cohort of its first stage's entry.

    Args:
        reader: the read tables.
        cut: the position and the moment it is asked as of.
        definition: what entering a stage means, and which stage makes a lead.
        unit: what is counted: ``customer``, ``account``, ``opportunity`` or ``cycle``.
        look_back: touches of a member count for the account from so long before the membership.
        by: breakdowns, as known when the first stage was entered.
        within: how long each step may take; by default as the funnel waits, 90d left of the knot
            and 180d right of it, and for a whole side its steps together.
        cohort: a line for each ``day``, ``week``, ``month``, ``quarter`` or ``year`` of entry, or
            ``all`` of them together.
        from_: entries from the start of that period on.
        to: entries up to the end of that period, inclusive.
        cycles: count every cycle, not the first of each customer only.
        cohort_stage: count those who entered that stage in the period; cohorts and breakdowns are
            taken at that entry.
        top: how many values of a breakdown stand apart; the rest are ``other``.
        include_truncated: count customers who may be older than the data.
        estimate: add the days of all who began a step, those who still wait too, by Aalen-Johansen
            (Kaplan-Meier where no loss can be seen).
        data_from: where the data begins.
        data_through: up to when the data is complete; asked as of then.
        tz: the zone of days and months.
        kept: of a breakdown, the values that stand apart instead of the top ones.
        personal_names: traits that are sealed.

    Returns:
        A row for each step and cohort of each cell that anybody entered. ``moved`` of the
        ``mature`` made the step within the window; the quantiles of their days are null under 20,
        and all is null of a cohort that is too young. With ``estimate`` also
        ``days_p50_estimate`` (when half had moved of those who move within the window),
        ``days_to_half`` (when half of all had), the ``estimator``, and how many are ``at_risk`` at
        the window's end.

    Raises:
        UsageError: a value that can't be asked.
        UnknownName: a breakdown that is not there.
        Refused: a breakdown that only later stages can carry, or that is sealed.
    """
    asked = {
        name: given for name, given in locals().items()
        if name not in {"reader", "cut", "definition"}
    }  # fmt: skip
    asked_of = paces(reader, cut, definition, asked)
    members = asked_of.members
    units, reader = members.units, members.units.reader
    counted = reader.fetch(asked_of.counted()).to_pylist()
    sums = reader.fetch(asked_of.spread()).to_pylist() if units.clustered else []
    totals = reader.fetch(members.totals()).to_pylist()[0]
    rows, sees_losses = asked_of.rows(counted, sums), definition.loss == "events"
    if estimate:
        found = reader.fetch(watched(asked_of)).to_pylist()
        asked_of.estimate(rows, counted, found, sees_losses=sees_losses)
    written = {**members.question.written, "cohort": cohort, "estimate": estimate}
    return Result(
        "velocity",
        asked_of.table(rows),
        sentence=_sentence(rows, members, totals),
        notes=[
            *_notes(members, totals),
            *(estimates_say(sees_losses=sees_losses) if estimate else ()),
        ],
        sql=reader.statements,
        meta=standing(definition, written, members.cut, units),
    )


def paces(reader: Reader, cut: Cut, definition: Definition, asked: Mapping[str, Any]) -> Paces:
    """Who is looked at and for which steps, by all parameters of :func:`velocity`."""
    given = dict(asked)
    personal_names, kept = given.pop("personal_names"), given.pop("kept", None)
    given.pop("estimate", None)
    if given["cohort"] not in (*PERIODS, ALL):
        words = ", ".join((*PERIODS, ALL))
        raise UsageError(f"cohort is {given['cohort']!r}; write one of {words}")
    question = ask(given | {"cohort": None if given["cohort"] == ALL else given["cohort"]})
    members = asked_members(reader, cut, definition, question, personal_names, kept=kept)
    return Paces(members, steps(question, definition.lead))


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


def _sentence(
    rows: Sequence[Mapping[str, Any]], members: Members, totals: Mapping[str, Any]
) -> str:
    entered, mature = (sum(row[name] for row in rows) for name in ("entered", "mature"))
    begun = f"{entered:,} step{'' if entered == 1 else 's'} begun"
    sentence = f"{members.units.count(totals['members'])}, {begun}"
    young = entered - mature
    if young:
        sentence += f"; {young:,} {'is' if young == 1 else 'are'} too young and left out"
    sentence += ". Days are of those who made the step within its time; moved_share says how many."
    if totals["older"] and not members.question.include_truncated:
        older = members.units.count(totals["older"])
        verb = "is" if totals["older"] == 1 else "are"
        sentence += f" {older} may be older than the data and {verb} left out."
    return sentence


def _notes(members: Members, totals: Mapping[str, Any]) -> list[str]:
    question, notes = members.question, []
    if members.units.clustered:
        notes.append(members.units.note)
    if totals["older"] and question.include_truncated:
        notes.append(
            f"{members.units.count(totals['older'])} first seen so early that they may be older"
            " than the data are counted."
        )
    if question.cohort_stage not in (None, STAGES[0]):
        notes.append(
            f"All counted here entered {question.cohort_stage}: the steps before it say how those"
            " who got there came, not how long all take."
        )
    notes += [
        f"{name}: the {len(kept)} values of the most customers stand apart, the rest are other."
        for name, kept in members.kept.items()
    ]
    return notes
