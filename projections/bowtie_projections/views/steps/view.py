"""The step funnel: asked, counted and put in words."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from bowtie.errors import Refused
from bowtie.events import PERSONAL_NAMES
from bowtie.stages import Definition
from bowtie_projections.membership import LOOK_BACK
from bowtie_projections.results import Result
from bowtie_projections.views.breakdown import dimensions, distinct_values
from bowtie_projections.views.cut import Cut, Reader
from bowtie_projections.views.funnel.members import Members
from bowtie_projections.views.journey_source import Needs, journeys_at, settled_through
from bowtie_projections.views.shares import standing
from bowtie_projections.views.steps.any_order import AnyOrder
from bowtie_projections.views.steps.chains import Chains
from bowtie_projections.views.steps.conversions import attempts
from bowtie_projections.views.steps.language import Step
from bowtie_projections.views.steps.members import StepMembers, base_of
from bowtie_projections.views.steps.question import Question, ask
from bowtie_projections.views.steps.rows import StepRows
from bowtie_projections.views.steps.table import behind_table, step_rows, step_table
from bowtie_projections.views.steps.windows import micros
from bowtie_projections.views.steps.words import Said
from bowtie_projections.views.units import Units

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["members_of", "steps"]

#: What all funnels are asked.
_SHARED = ("unit", "look_back", "by", "cohort", "from_", "to", "top", "data_through", "tz")

_EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001 - in UTC without a zone, as the tables write times


def steps(
    reader: Reader,
    cut: Cut,
    definition: Definition,
    *,
    steps: Sequence[str | Mapping[str, Any] | Step],
    order: str = "ordered",
    within: str | timedelta | None = None,
    within_each: str | timedelta | None = None,
    after_each: str | timedelta | None = None,
    exclude: str | Sequence[str] = (),
    hold: str | None = None,
    count: str = "customers",
    reentry: str = "latest",
    unit: str = "customer",
    look_back: str | timedelta = LOOK_BACK,
    by: str | Sequence[str] = (),
    cohort: str | None = None,
    from_: Any = None,
    to: Any = None,
    top: int = 10,
    data_through: Any = None,
    tz: str = "UTC",
    customers: str | None = None,
    personal_names: Collection[str] = PERSONAL_NAMES,
) -> Result:
    """How many did one thing, then another, then a third.

    Args:
        reader: the read tables.
        cut: the position and the moment it is asked as of.
        definition: what entering a stage means, where a stage is a step.
        steps: at least two, each a text (``touched``, ``noted[name=cart_added]``,
            ``order_placed[amount>100]``, ``stage:selection``; ``|`` for either; ``?`` for an
            optional one; ``after 1h within 7d`` since the step before; ``as NAME``), a
            :class:`Step` or a dictionary of the same fields.
        order: ``ordered`` (others may come between), ``strict`` (nothing else of the member's may)
            or ``any`` (step k is k of them).
        within: the longest from the first step, inclusive; 90d unless each step has a limit.
        within_each: the longest from one step to the next, inclusive.
        after_each: the least from one step to the next.
        exclude: what may not come between two steps, ``EVENT[...]@A-B``; without ``@A-B`` between
            the first and the last.
        hold: a field whose value must be the same in all steps.
        count: ``customers``, ``cycles`` (each pass of the bowtie on its own) or ``conversions``
            (every attempt: after a conversion, a time-out or an exclusion comes another).
        reentry: ``latest`` (any entry that leads there counts, of several the latest) or ``first``.
        unit: what a member is: ``customer``, ``account``, ``opportunity`` or ``cycle``.
        look_back: touches of a member count for the account from so long before the membership.
        by: breakdowns: a touch's ``channel``, ``campaign``, ``medium``, ``touchpoint`` or
            ``content``, any trait, a segment; as known at the member's first entry.
        cohort: a line for each ``day``, ``week``, ``month``, ``quarter`` or ``year`` of it.
        from_: first steps from the start of that period on; later steps may come later.
        to: first steps up to the end of that period, inclusive.
        top: how many values of a breakdown stand apart; the rest are ``other``.
        data_through: up to when the data is complete; asked as of then.
        tz: the zone of days and months.
        customers: ``STEP:reached|excluded|expired|pending``: instead of counts, who is behind them.
        personal_names: traits and properties that are sealed.

    Returns:
        A row for each step of each cell: ``entered = reached_next + excluded + expired + pending``;
        ``conversion`` is of the ``mature``, whose time for the next step is over;
        ``share_of_first`` is the share of the first step's ``first_mature`` that got to the step.
        Days are of sequences that kept within the time, null under 20.

    Raises:
        UsageError: what can't be asked, or not together; the message says what to write.
        UnknownName: a breakdown that is not there.
        Refused: what would mislead, or that is sealed.
    """
    given = dict(locals())
    members = members_of(reader, cut, definition, given, personal_names=personal_names)
    question = members.chains.source.question
    if question.customers is not None:
        return _behind(definition, question, members)
    return _counted(definition, question, members)


def members_of(
    reader: Reader,
    cut: Cut,
    definition: Definition,
    given: Mapping[str, Any],
    *,
    personal_names: Collection[str],
) -> StepMembers:
    """The members of a question, for its figures and for whoever explains one.

    Args:
        reader: the read tables.
        cut: where it is asked.
        definition: what entering a stage means.
        given: the parameters of :func:`steps`, all of them.
        personal_names: traits and properties that are sealed.
    """
    question = ask(given, {name: given[name] for name in _SHARED}, personal_names)
    found = dimensions(
        reader, cut, question.asked.by, cohort_stage=None, personal_names=personal_names
    )
    cut = settled_through(reader, cut, question.asked.data_through)
    # passes of one customer are counted as what they are: alike
    passes = question.count == "cycles" and question.asked.unit == "customer"
    units = Units.of(
        reader, cut, "cycle" if passes else question.asked.unit, question.asked.look_back
    )
    reader = units.reader
    chains = _chains(reader, cut, definition, question)
    sources = {one.name: source for one in found if (source := one.source(cut)) is not None}
    cells = Members(base_of(chains, found), cut, question.asked, found, units, sources=sources)
    members = StepMembers(chains, cells)
    many = [one for one in found if distinct_values(reader, cut, one) > question.asked.top]
    kept = {one.name: _values(reader.fetch(members.ranked(one))) for one in many}
    return replace(members, cells=replace(cells, kept=kept))


def _chains(
    reader: Reader, cut: Cut, definition: Definition, question: Question
) -> Chains | AnyOrder:
    tests = [test for step in question.steps for test in step.tests]
    tests += [test for one in question.exclusions for test in one.tests]
    staged = question.count == "cycles" or any(test.stage is not None for test in tests)
    journeys = journeys_at(reader, cut, definition, Needs()) if staged else None
    source = StepRows(question, cut, journeys)
    now = 0 if cut.moment is None else _micros(cut.moment)
    start, end = question.asked.start, question.asked.end
    period = (None if start is None else _micros(start), None if end is None else _micros(end))
    if question.order != "any":
        return Chains(source, now, *period)
    chains = AnyOrder(source, now, *period)
    for one, other, query in chains.overlapping():
        if reader.fetch(query).num_rows:
            raise Refused(
                f"there are events that fit step {one} and step {other} alike: in any order nobody"
                " can tell which of them they are. Give them conditions that exclude each other, or"
                " ask with order=ordered"
            )
    return chains


def _micros(moment: datetime) -> int:
    return micros(moment - _EPOCH)


def _counted(definition: Definition, question: Question, members: StepMembers) -> Result:
    cells, reader = members.cells, members.cells.units.reader
    if question.count == "conversions":
        counted, sums = attempts(reader, members)
    else:
        counted = members.groups(reader.fetch(members.counted()).to_pylist())
        sums = reader.fetch(members.spread()).to_pylist() if cells.units.clustered else []
    rows = step_rows(counted, sums, question, cells)
    said = Said(question, cells, rows, _unmet(reader, members, rows))
    return _result(reader, definition, said, step_table(rows, cells), said.sentence())


def _unmet(
    reader: Reader, members: StepMembers, rows: Sequence[Mapping[str, Any]]
) -> tuple[str, ...]:
    """The steps and exclusions that no event fits: it may be their spelling."""
    source = members.chains.source
    question = source.question
    reached = {row["step"] for row in rows if row["entered"]}
    asked = [
        (f"step {number}, {step.label}", source.of_step(number))
        for number, step in enumerate(question.steps, 1)
        if number not in reached
    ]
    asked += [(f"the exclusion {one.label}", source.marks(one)) for one in question.exclusions]
    return tuple(
        name
        for name, query in asked
        if not reader.fetch(sa.select(query.subquery("fitting")).limit(1)).num_rows
    )


def _behind(definition: Definition, question: Question, members: StepMembers) -> Result:
    reader = members.cells.units.reader
    assert question.customers is not None  # noqa: S101 - for the type checker
    table = behind_table(reader.fetch(members.behind(*question.customers)), members.cells)
    said = Said(question, members.cells, [])
    return _result(reader, definition, said, table, said.behind(table.num_rows))


def _result(
    reader: Reader, definition: Definition, said: Said, table: pa.Table, sentence: str
) -> Result:
    cells = said.cells
    return Result(
        "steps",
        table,
        sentence=sentence,
        notes=said.notes(),
        sql=reader.statements,
        meta=standing(definition, said.question.written, cells.cut, cells.units),
    )


def _values(found: pa.Table) -> list[str]:
    return [str(value) for value in found.column(0).to_pylist()]
