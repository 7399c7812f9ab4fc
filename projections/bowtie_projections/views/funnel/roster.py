"""Every member of the stage funnel at once, and which columns count each."""

from __future__ import annotations

from functools import partial
from typing import Any

import sqlalchemy as sa
from sqlalchemy.sql.elements import ColumnElement

from bowtie.stages import STAGES, Definition
from bowtie_projections.evidence import named_values
from bowtie_projections.roster import Naming, Roster, listed
from bowtie_projections.views.cohorts import cohort_label
from bowtie_projections.views.cut import Cut, Reader
from bowtie_projections.views.funnel.members import COHORT, Members
from bowtie_projections.views.funnel.question import ask
from bowtie_projections.views.funnel.table import ADDS
from bowtie_projections.views.funnel.view import asked_members

__all__ = ["counts_of", "roster"]

#: The columns that a state adds to, in the order of the answer.
_OF_STATES = tuple(dict.fromkeys(column for adds in ADDS.values() for column in adds))


def roster(reader: Reader, cut: Cut, definition: Definition, **asked: Any) -> Roster:
    """All members of all stages of a funnel.

    Args:
        reader: the read tables.
        cut: where the funnel was asked.
        definition: what entering a stage means.
        asked: the parameters of :func:`bowtie_projections.views.funnel.funnel`, all of them.
    """
    kept, personal_names = asked.pop("kept"), asked.pop("personal_names")
    question = ask(asked)
    members = asked_members(reader, cut, definition, question, personal_names, kept=kept)
    values: list[Naming] = [None] * len(members.dimensions)
    if question.cohort is not None:
        values.append(partial(cohort_label, cohort=question.cohort))
    return Roster(
        members.units,
        [*values, None],
        _COUNTS,
        [_rows(members, stage) for stage in STAGES],
        apart="cycle" if question.cycles else None,
    )


_COUNTS = ("entered", *_OF_STATES, "mature", "imputed")


def counts_of(rows: sa.FromClause, column: str, *, last: bool) -> ColumnElement[bool]:
    """Whether a column of counts counts a member of a stage; the last stage has no next one."""
    c = rows.c
    if column == "entered":
        return sa.true()
    if column == "imputed":
        return c.imputed
    if last:
        return sa.false()
    if column == "mature":
        return c.mature
    return c.state.in_([int(state) for state, adds in ADDS.items() if column in adds])


def _rows(members: Members, stage: str) -> sa.Select[Any]:
    last = stage == STAGES[-1]
    found = members.entered(stage) if last else members.judged(stage)
    cohort = [found.c[COHORT]] if members.question.cohort is not None else []
    cell = [
        *named_values(found, members.dimensions, members.kept),
        *cohort,
        sa.literal_column(f"'{stage}'", sa.String()),
    ]
    counts = {column: counts_of(found, column, last=last) for column in _COUNTS}
    cycle = sa.cast(found.c.cycle, sa.BigInteger()) if members.question.cycles else None
    return listed(found, cell, counts, cycle)
