"""Where everybody stands, in all cells of the stock at once."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from bowtie.errors import UsageError
from bowtie.stages import STAGES, Definition
from bowtie_projections.evidence import named_values
from bowtie_projections.roster import Roster, listed
from bowtie_projections.views.breakdown import dimensions
from bowtie_projections.views.cut import Cut, Reader
from bowtie_projections.views.funnel.question import ask
from bowtie_projections.views.journey_source import settled_through
from bowtie_projections.views.stock.places import PLACES
from bowtie_projections.views.stock.standing import everybody_of
from bowtie_projections.views.units import Units, plural

__all__ = ["roster"]


def roster(reader: Reader, cut: Cut, definition: Definition, **asked: Any) -> Roster:
    """Everybody, by their place.

    Args:
        reader: the read tables.
        cut: where the stock was asked.
        definition: what entering a stage means.
        asked: the parameters of :func:`bowtie_projections.views.stock.stock`, all of them.

    Raises:
        UsageError: it is a series.
    """
    personal_names = asked.pop("personal_names")
    if asked.pop("every") is not None:
        raise UsageError("every asks for a stock at several moments: ask for one of them, by as_of")
    question = ask(asked)
    by = dimensions(
        reader, cut, question.by, cohort_stage=STAGES[-1], personal_names=personal_names
    )
    cut = settled_through(reader, cut, question.data_through)
    units = Units.of(reader, cut, question.unit, question.look_back)
    everybody = everybody_of(units, cut, definition, question, by)
    rows = everybody.placed().subquery("placed")
    counts = {plural(units.name): sa.true(), "stuck": everybody.is_stuck(rows)}
    cell = [*named_values(rows, by, everybody.kept), rows.c.place]
    cycle = sa.cast(rows.c.cycle, sa.BigInteger()) if question.unit == "cycle" else None
    return Roster(
        units,
        [*[None] * len(by), PLACES.__getitem__],
        tuple(counts),
        [listed(rows, cell, counts, cycle)],
        apart="cycle" if question.unit == "cycle" else None,
    )
