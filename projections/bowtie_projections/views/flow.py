"""The flow: how many entered each stage, and how many were lost from it, in each period."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from sqlalchemy.sql.elements import ColumnElement

from bowtie.errors import Refused, UsageError
from bowtie.events import PERSONAL_NAMES
from bowtie.stages import STAGES, Definition
from bowtie_projections.localtime import day_of
from bowtie_projections.membership import LOOK_BACK
from bowtie_projections.results import Result
from bowtie_projections.scope import of_everybody
from bowtie_projections.views.breakdown import CONTRACT
from bowtie_projections.views.cohorts import (
    PERIODS,
    cohort_label,
    starts_between,
)
from bowtie_projections.views.cohorts import (
    period as bounds_of,
)
from bowtie_projections.views.cut import Cut, Reader
from bowtie_projections.views.funnel.members import COHORT, Members
from bowtie_projections.views.funnel.question import ask
from bowtie_projections.views.funnel.view import asked_members
from bowtie_projections.views.journey_source import oldest_fact
from bowtie_projections.views.shares import cell_order, covered_until, standing, typed_table
from bowtie_projections.views.units import plural

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["COLUMNS", "flow", "flowing", "losses"]

COLUMNS = ("period", "stage", "entered", "lost", "entered_next", "flow_ratio", "complete")
_INSTANT = timedelta(microseconds=1)
_NEXT = dict(pairwise(STAGES))

_Cell = tuple[str | None, ...]


def flow(
    reader: Reader,
    cut: Cut,
    definition: Definition,
    *,
    period: str = "month",
    unit: str = "customer",
    look_back: str | timedelta = LOOK_BACK,
    by: str | Sequence[str] = (),
    cycles: bool = False,
    from_: Any = None,
    to: Any = None,
    lost_after: str | timedelta | None = None,
    top: int = 10,
    include_truncated: bool = False,
    data_from: Any = None,
    data_through: Any = None,
    tz: str = "UTC",
    kept: Mapping[str, Sequence[str]] | None = None,
    personal_names: Collection[str] = PERSONAL_NAMES,
) -> Result:
    """How many entered each stage, and how many were lost from it, in each period.

    Args:
        reader: the read tables.
        cut: the position and the moment it is asked as of.
        definition: what entering a stage means.
        period: how long a period is: ``day``, ``week``, ``month``, ``quarter`` or ``year``.
        unit: what is counted: ``customer``, ``account``, ``opportunity`` or ``cycle``.
        look_back: touches of a member count for the account from so long before the membership.
        by: breakdowns: fields of the first touch, or traits, as known at the entry or the loss.
        cycles: count every cycle, not the first of each customer only.
        from_: from the start of that period on: 2024, 2024-Q1, 2024-01, 2024-01-15.
        to: up to the end of that period, inclusive.
        lost_after: silence so long is a loss.
        top: how many values of a breakdown stand apart; the rest are ``other``.
        include_truncated: count customers who may be older than the data.
        data_from: where the data begins.
        data_through: up to when the data is complete; asked as of then.
        tz: the zone of days and months.
        kept: of a breakdown, the values that stand apart instead of the top ones.
        personal_names: traits that are sealed.

    Returns:
        A row for each stage of each period of each cell, from the first entry to the moment asked
        of: ``entered``; ``lost`` (the furthest stage of cycles that were lost in the period, null
        where the definition sees no losses); ``entered_next``, who entered the next stage in the
        same period, and ``flow_ratio``, these over ``entered``: other people, and no conversion.
        ``complete`` is false for a period that is not covered as a whole.

    Raises:
        UsageError: a value that can't be asked.
        UnknownName: a breakdown that is not there.
        Refused: a breakdown that only later stages can carry, or that is sealed.
    """
    asked = {
        name: given for name, given in locals().items()
        if name not in {"reader", "cut", "definition"}
    }  # fmt: skip
    members = flowing(reader, cut, definition, asked)
    question, units, reader = members.question, members.units, members.units.reader
    sees_losses = definition.loss == "events" or question.lost_after is not None
    counted = reader.fetch(_counted(members, sees_losses=sees_losses)).to_pylist()
    totals = reader.fetch(members.totals()).to_pylist()[0]
    spans = _Spans.of(reader, members, period, counted)
    rows = _rows(counted, spans, members, sees_losses=sees_losses)
    parameters = {name: one for name, one in question.written.items() if name != "cohort"}
    return Result(
        "flow",
        _table(rows, members),
        sentence=_sentence(rows, spans, members, sees_losses=sees_losses),
        notes=_notes(spans, members, definition, totals, sees_losses=sees_losses),
        sql=reader.statements,
        meta=standing(definition, {**parameters, "period": period}, members.cut, units),
    )


def flowing(reader: Reader, cut: Cut, definition: Definition, asked: Mapping[str, Any]) -> Members:
    """The members whose entries and losses are counted, by all parameters of :func:`flow`."""
    given = dict(asked)
    personal_names, length = given.pop("personal_names"), given.pop("period")
    kept = given.pop("kept", None)
    if length not in PERIODS:
        raise UsageError(f"period is {length!r}; write one of {', '.join(PERIODS)}")
    question = ask(given | {"cohort": length})
    _refuse_contracts(question.by)
    return asked_members(reader, cut, definition, question, personal_names, kept=kept)


def _refuse_contracts(by: Sequence[str]) -> None:
    for name in by:
        if name in CONTRACT:
            raise Refused(
                f"{name} is known only of those who signed, and the flow is of all stages: ask the"
                f" funnel with cohort_stage=commitment, or by trait.{name} if it is a trait"
            )


def _counted(members: Members, *, sees_losses: bool) -> sa.Select[Any]:
    """How many entered each stage and were lost from it, by cell and period."""
    branches = []
    for place, stage in enumerate(STAGES):
        rows = members.entered(stage)
        branches.append(_branch(rows, members, sa.literal_column(str(place)), "entered"))
    if sees_losses:
        rows = losses(members)
        branches.append(_branch(rows, members, rows.c.place, "lost"))
    c = sa.union_all(*branches).subquery("counted").c
    keys = [c[name] for name in members.key_names]
    sums = [sa.cast(sa.func.sum(c[name]), sa.BigInteger()).label(name) for name in _COUNTS]
    return sa.select(*keys, c.place, *sums).group_by(*keys, c.place)


_COUNTS = ("entered", "lost")


def _branch(
    rows: sa.FromClause, members: Members, place: ColumnElement[Any], counted: str
) -> sa.Select[Any]:
    keys = [rows.c[name] for name in members.key_names]
    number: ColumnElement[Any] = sa.func.count()
    numbers = [
        (number if name == counted else sa.literal_column("0", sa.BigInteger())).label(name)
        for name in _COUNTS
    ]
    groups = keys if counted == "entered" else [*keys, place]
    return sa.select(*keys, place.label("place"), *numbers).group_by(*groups)


def losses(members: Members) -> sa.Subquery:
    """The cycles that were lost, each under the furthest stage that it had entered."""
    c = members.journeys.c
    keys, joined = members.keys_at(c.lost_at)
    furthest = sa.case(
        *(
            (c[f"{stage}_at"].is_not(None), sa.literal_column(str(place), sa.Integer()))
            for place, stage in reversed(list(enumerate(STAGES)))
        )
    )
    asked = [*members.journeys_asked(), members.in_period(c.lost_at), *members.surely_new()]
    told = [c.lost_inferred, *([c.last_activity_at] if "last_activity_at" in c else [])]
    found = sa.select(
        c.customer, c.cycle, c.lost_at.label("at"), furthest.label("place"), *told, *keys
    )
    return found.select_from(joined).where(*asked).subquery("losses")


@dataclass(frozen=True, slots=True)
class _Spans:
    """The periods of an answer, without a hole, and what of time is covered.

    Args:
        length: of each.
        starts: their first days.
        since: nothing before it is counted; None where nobody said.
        until: nothing from it on is counted.
        tz: the zone of the days.
    """

    length: str
    starts: Sequence[date]
    since: datetime | None
    until: datetime
    tz: str

    @classmethod
    def of(
        cls, reader: Reader, members: Members, length: str, counted: Sequence[Mapping[str, Any]]
    ) -> _Spans:
        """From the first entry, or as asked for, to the moment asked of."""
        question, moment = members.question, members.cut.moment
        since = max(filter(None, (question.data_from, question.start)), default=None)
        if moment is None:  # there is no fact
            return cls(length, (), since, members.moment, question.tz)
        until = covered_until(members.cut, moment, question.data_through)
        until = min(filter(None, (until, question.end)))
        last = day_of(min(until - _INSTANT, moment), question.tz)
        first = min((row[COHORT] for row in counted), default=None)
        if question.start is not None:
            begin = question.data_from or oldest_fact(of_everybody(reader), members.cut) or moment
            first = day_of(max(begin, question.start), question.tz)
        starts = [] if first is None else starts_between(first, last, length)
        return cls(length, starts, since, until, question.tz)

    def label(self, start: date) -> str:
        """What a period is called."""
        return cohort_label(start, self.length)

    def complete(self, start: date) -> bool:
        """Whether all of a period is counted."""
        begin, end = bounds_of(self.label(start), self.tz)
        return end <= self.until and (self.since is None or begin >= self.since)


def _rows(
    counted: Sequence[Mapping[str, Any]], spans: _Spans, members: Members, *, sees_losses: bool
) -> list[dict[str, Any]]:
    """A row for each cell, period and stage, also where nothing happened."""
    keys = [one.column for one in members.dimensions]
    cells: dict[_Cell, dict[tuple[date, int], Mapping[str, Any]]] = {} if keys else {(): {}}
    for group in counted:
        cell = tuple(members.named(one, group[one.column]) for one in members.dimensions)
        cells.setdefault(cell, {})[group[COHORT], group["place"]] = group
    rows = []
    for cell in sorted(cells, key=cell_order):
        named, found = dict(zip(keys, cell, strict=True)), cells[cell]
        for start in spans.starts:
            complete, label = spans.complete(start), spans.label(start)
            of_stage = [found.get((start, place), _NOBODY) for place in range(len(STAGES))]
            for stage, group, following in zip(
                STAGES, of_stage, (*of_stage[1:], None), strict=True
            ):
                entered = group["entered"]
                on = None if following is None else following["entered"]
                rows.append(
                    named
                    | {
                        COHORT: label,
                        "stage": stage,
                        "entered": entered,
                        "lost": group["lost"] if sees_losses else None,
                        "entered_next": on,
                        "flow_ratio": None if on is None or not entered else on / entered,
                        "complete": complete,
                    }
                )
    return rows


_NOBODY = {"entered": 0, "lost": 0}


def _table(rows: Sequence[Mapping[str, Any]], members: Members) -> pa.Table:
    import pyarrow as pa

    kinds: dict[str, Any] = {one.column: pa.string() for one in members.dimensions}
    kinds |= {COHORT: pa.string(), "stage": pa.string()}
    kinds |= dict.fromkeys(("entered", "lost", "entered_next"), pa.int64())
    kinds |= {"flow_ratio": pa.float64(), "complete": pa.bool_()}
    titles = {one.column: one.title(COLUMNS) for one in members.dimensions}
    return typed_table(rows, kinds, titles | {COHORT: "period"})


def _sentence(
    rows: Sequence[Mapping[str, Any]], spans: _Spans, members: Members, *, sees_losses: bool
) -> str:
    if not spans.starts:
        return f"No {members.units.name} entered a stage in the time asked for."
    entries = sum(row["entered"] for row in rows)
    first, last = (spans.label(spans.starts[place]) for place in (0, -1))
    when = first if first == last else f"{first} to {last}"
    sentence = f"{entries:,} {'entry' if entries == 1 else 'entries'} into stages"
    if sees_losses:
        losses = sum(row["lost"] for row in rows)
        sentence += f" and {losses:,} {'loss' if losses == 1 else 'losses'}"
    return (
        f"{sentence} of {plural(members.units.name)} in {when}, by {spans.length};"
        " who enters two stages in one period are different people, so flow_ratio is no conversion."
    )


def _notes(
    spans: _Spans,
    members: Members,
    definition: Definition,
    totals: Mapping[str, Any],
    *,
    sees_losses: bool,
) -> list[str]:
    notes = []
    partial = [spans.label(start) for start in spans.starts if not spans.complete(start)]
    if partial:
        which = ", ".join(partial)
        notes.append(
            f"{which} {'is' if len(partial) == 1 else 'are'} not covered as a whole: fewer entered"
            " for that alone."
        )
    if totals["older"]:
        older = members.units.count(totals["older"])
        what = "counted" if members.question.include_truncated else "left out"
        notes.append(f"{older} may be older than the data and {_are(totals['older'])} {what}.")
    if totals["inferred"]:
        notes.append("Losses are inferred from silence, not from an event (lost_after).")
    if not sees_losses:
        notes.append(
            f"{definition.label} sees no losses: lost is empty (lost_after declares silence a"
            " loss)."
        )
    return [*notes, *members.folded_notes]


def _are(number: int) -> str:
    return "is" if number == 1 else "are"
