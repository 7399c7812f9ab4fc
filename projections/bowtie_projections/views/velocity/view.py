"""The velocity: how many days a step takes, of cohorts that are old enough to tell."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from bowtie.events import PERSONAL_NAMES
from bowtie.stages import STAGES, Definition
from bowtie_projections.membership import LOOK_BACK
from bowtie_projections.results import Result
from bowtie_projections.views.cohorts import check_cohort
from bowtie_projections.views.cut import Cut, Reader
from bowtie_projections.views.funnel.members import Members
from bowtie_projections.views.funnel.question import ask
from bowtie_projections.views.funnel.view import asked_members
from bowtie_projections.views.shares import (
    standing,
)
from bowtie_projections.views.velocity.estimate import (
    estimates_say,
    watched,
)

if TYPE_CHECKING:
    pass
from bowtie_projections.views.velocity.pace import Paces, steps

__all__ = ["paces", "velocity"]


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
    question = ask(given | {"cohort": check_cohort(given["cohort"])})
    members = asked_members(reader, cut, definition, question, personal_names, kept=kept)
    return Paces(members, steps(question, definition.lead))


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
    return [*notes, *members.folded_notes]
