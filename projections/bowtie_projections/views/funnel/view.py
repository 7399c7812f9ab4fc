"""The stage funnel: who entered each stage, and what became of them within a time."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from bowtie.events import PERSONAL_NAMES
from bowtie.stages import Definition
from bowtie_projections import tables
from bowtie_projections.membership import LOOK_BACK
from bowtie_projections.results import Result
from bowtie_projections.scope import of_everybody
from bowtie_projections.views.breakdown import Dimension, dimensions, distinct_values
from bowtie_projections.views.cut import Cut, Reader, counts
from bowtie_projections.views.funnel import words as funnel_words
from bowtie_projections.views.funnel.estimate import counted_and_estimated
from bowtie_projections.views.funnel.members import Members
from bowtie_projections.views.funnel.question import Question, ask
from bowtie_projections.views.funnel.table import funnel_table, members_table
from bowtie_projections.views.journey_source import (
    Needs,
    journeys_at,
    oldest_fact,
    settled_through,
)
from bowtie_projections.views.units import Units

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["asked_members", "funnel", "members_of", "motions", "seen_since"]


def funnel(
    reader: Reader,
    cut: Cut,
    definition: Definition,
    *,
    unit: str = "customer",
    look_back: str | timedelta = LOOK_BACK,
    by: str | Sequence[str] = (),
    within: str | timedelta | None = None,
    cohort: str | None = None,
    from_: Any = None,
    to: Any = None,
    skipped: str = "absent",
    cycles: bool = False,
    cohort_stage: str | None = None,
    lost_after: str | timedelta | None = None,
    top: int = 10,
    include_truncated: bool = False,
    data_from: Any = None,
    data_through: Any = None,
    tz: str = "UTC",
    customers: str | None = None,
    estimate: bool = False,
    horizon: str | timedelta | Sequence[str | timedelta] | None = None,
    entry_age: bool = False,
    shrink: bool = False,
    kept: Mapping[str, Sequence[str]] | None = None,
    personal_names: Collection[str] = PERSONAL_NAMES,
) -> Result:
    """How customers pass through the stages.

    Args:
        reader: the read tables.
        cut: the position and the moment it is asked as of.
        definition: what entering a stage means.
        unit: what is counted: ``customer``, ``account``, ``opportunity``, or ``cycle``: each
            pass of each customer.
        look_back: touches of a member count for the account from so long before the membership.
        by: breakdowns: the first touch's ``channel``, ``campaign``, ``medium``, ``touchpoint`` or
            ``content``; any trait; with ``cohort_stage`` from commitment on also the contract's
            ``motion``, ``offering`` and ``partner``. Values as known when the stage was entered.
        within: how long the next stage is waited for; 90d left of the knot and 180d right of it.
        cohort: a line for each ``day``, ``week``, ``month``, ``quarter`` or ``year`` of entry.
        from_: count entries from the start of that period: 2024, 2024-Q1, 2024-01, 2024-01-15.
        to: count entries up to the end of that period, inclusive.
        skipped: ``absent``, or ``impute``: a skipped stage takes the time of the next one.
        cycles: count every cycle, not the first of each customer only.
        cohort_stage: count those who entered that stage in the period; cohorts and breakdowns are
            taken at that entry.
        lost_after: silence so long is a loss.
        top: how many values of a breakdown stand apart; the rest are ``other``.
        include_truncated: count customers who may be older than the data.
        data_from: where the data begins, if its first fact doesn't say so.
        data_through: up to when the data is complete; asked as of then.
        tz: the zone of days and months.
        customers: ``STAGE:pending|lost|expired|reached``: instead of counts, who is behind them.
        estimate: add the share that reaches the next stage of all who entered, those who still wait
            too, by Aalen-Johansen (Kaplan-Meier where no loss can be seen), with its log-log
            interval, who is still at risk at the window's end, and when half had reached it.
        horizon: the estimate at these ages too, in the part ``curve``: ``30d,60d,90d``, a list, or
            ``curve`` for even steps up to the window's end.
        entry_age: who is older than the data takes part in the estimate from the age at which the
            data begin, instead of being left out.
        shrink: add ``conversion_shrunk``: each rate drawn to the mean of its stage by as much as
            it may be chance.
        kept: of a breakdown, the values that stand apart instead of the top ones.
        personal_names: traits that are sealed.

    Raises:
        UsageError: a value that can't be asked.
        UnknownName: a breakdown that is not there.
        Refused: a breakdown that only later stages can carry, or that is sealed.
    """
    asked = {
        name: given for name, given in locals().items()
        if name not in {"reader", "cut", "definition", "kept", "personal_names"}
    }  # fmt: skip
    question = ask(asked)
    members = asked_members(reader, cut, definition, question, personal_names, kept=kept)
    reader = members.units.reader
    if question.customers is None:
        return _counted(reader, definition, members)
    return _behind(reader, definition, members)


def asked_members(
    reader: Reader,
    cut: Cut,
    definition: Definition,
    question: Question,
    personal_names: Collection[str],
    *,
    kept: Mapping[str, Sequence[str]] | None = None,
    journeys_of: Callable[[Cut, Needs], sa.FromClause] | None = None,
) -> Members:
    """Whom a question is about, for the view and for whatever explains or compares its figures.

    Args:
        reader: the read tables.
        cut: where it is asked.
        definition: what entering a stage means.
        question: what was asked; its breakdowns are known as of its stage of cohorts.
        personal_names: traits that are sealed.
        kept: of a breakdown, the values that stand apart instead of the top ones.
        journeys_of: gives other rows in the shape of journeys, at the settled cut.

    Raises:
        UnknownName: a breakdown that is not there.
        Refused: a breakdown that only later stages can carry, or that is sealed.
    """
    found = dimensions(
        reader, cut, question.by,
        cohort_stage=question.cohort_stage, personal_names=personal_names,
    )  # fmt: skip
    cut = settled_through(reader, cut, question.data_through)
    units = Units.of(reader, cut, question.unit, question.look_back)
    source = None if journeys_of is None else partial(journeys_of, cut)
    return members_of(units, cut, definition, question, found, kept=kept, journeys_of=source)


def members_of(
    units: Units,
    cut: Cut,
    definition: Definition,
    question: Question,
    found: Sequence[Dimension],
    *,
    kept: Mapping[str, Sequence[str]] | None = None,
    journeys_of: Callable[[Needs], sa.FromClause] | None = None,
) -> Members:
    """The members of the stages, for the funnel and for whatever else counts those who entered.

    Args:
        units: what is counted, with the reader of their facts.
        cut: settled.
        definition: what entering a stage means.
        question: what was asked.
        found: the breakdowns.
        kept: of a breakdown, the values that stand apart instead of the top ones.
        journeys_of: gives other rows in the shape of journeys, with what is needed of them.
    """
    reader = units.reader
    since = seen_since(reader, cut, definition, question)
    needs = Needs(
        touch=any(one.kind == "touch" for one in found),
        activity=since is not None or question.lost_after is not None,
    )
    if journeys_of is None:
        journeys = journeys_at(reader, cut, definition, needs, question.lost_after)
    else:
        journeys = journeys_of(needs)
    sources = {one.name: source for one in found if (source := one.source(cut)) is not None}
    members = Members(journeys, cut, question, found, units, since, sources=sources)
    many = [one for one in found if distinct_values(reader, cut, one) > question.top]
    given = kept or {}
    apart = {
        one.name: given[one.name]
        if one.name in given
        else _values(reader.fetch(members.ranked(one)))
        for one in many
    }
    return replace(members, kept=apart)


def seen_since(
    reader: Reader, cut: Cut, definition: Definition, question: Question
) -> datetime | None:
    """The moment before which a first fact says that its customer may be older than the data."""
    start = question.data_from
    if start is None and definition.burn_in:
        start = oldest_fact(of_everybody(reader), cut)
    return None if start is None else start + definition.burn_in


def _counted(reader: Reader, definition: Definition, members: Members) -> Result:
    sees_losses = definition.loss == "events" or members.question.lost_after is not None
    counted, estimates = counted_and_estimated(reader, members, sees_losses=sees_losses)
    spread = reader.fetch(members.spread()) if members.units.clustered else None
    table, totals = funnel_table(counted, spread, members, sees_losses=sees_losses)
    said = funnel_words.Said(members, definition, totals, table)
    notes = said.notes(blended=motions(reader, members) > 1)
    parts = {}
    if estimates is not None:
        table = estimates.beside(table)
        notes += estimates.notes(table)
        parts = estimates.parts(table)
    return _result(reader, definition, members, table, said.sentence(), *notes, parts=parts)


def _behind(reader: Reader, definition: Definition, members: Members) -> Result:
    assert members.question.customers is not None  # noqa: S101 - for the type checker
    stage, state = members.question.customers
    table = members_table(reader.fetch(members.behind(stage, state)), members)
    sentence = funnel_words.members_sentence(members, stage, state, table.num_rows)
    return _result(reader, definition, members, table, sentence)


def motions(reader: Reader, members: Members) -> int:
    """How many motions are mixed in the figures."""
    if "motion" in members.question.by:
        return 0
    table = tables.facts["contract_signed"]
    number = sa.select(sa.func.count(table.c.motion.distinct())).where(counts(table, members.cut))
    return int(reader.fetch(number).column(0)[0].as_py())


def _result(
    reader: Reader,
    definition: Definition,
    members: Members,
    table: pa.Table,
    *said: str,
    parts: Mapping[str, pa.Table] | None = None,
) -> Result:
    moment = members.cut.moment
    return Result(
        "funnel",
        table,
        sentence=said[0],
        notes=said[1:],
        sql=reader.statements,
        meta={
            "definition": definition.label,
            "parameters": dict(members.question.written),
            "clustered": members.units.clustered,
            "position": members.cut.position,
            "as_of": None if moment is None else moment.replace(tzinfo=UTC),
            "known_at": None,
        },
        parts=parts,
    )


def _values(found: pa.Table) -> list[str]:
    return [str(value) for value in found.column(0).to_pylist()]
