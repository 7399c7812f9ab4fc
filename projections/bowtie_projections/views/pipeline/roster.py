"""Every open opportunity, in all cells of the pipeline at once."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import sqlalchemy as sa

from bowtie.stages import Definition
from bowtie_projections import tables
from bowtie_projections.conditions import Facts
from bowtie_projections.evidence import named_values
from bowtie_projections.roster import Roster, listed
from bowtie_projections.views.cut import NEVER, Cut, Reader
from bowtie_projections.views.opportunities import namings
from bowtie_projections.views.pipeline.view import (
    counts_of,
    history_of,
    owners_of,
    placed_ones,
    values_apart,
)
from bowtie_projections.views.stock.places import PLACES

__all__ = ["roster"]


def roster(reader: Reader, cut: Cut, definition: Definition, **asked: Any) -> Roster:
    """The open opportunities, each under the key of whose it is.

    Args:
        reader: the read tables.
        cut: where the pipeline was asked.
        definition: what entering a stage means.
        asked: the parameters of :func:`bowtie_projections.views.pipeline.pipeline`, all of them.
    """
    personal_names = asked.pop("personal_names")
    units, customers = owners_of(reader, cut, definition, asked, personal_names)
    if customers.cut.moment is None:  # no facts, and SQL needs a moment
        customers = replace(customers, cut=replace(customers.cut, as_of=NEVER))
    customers = replace(customers, kept=values_apart(units, customers))
    rows = placed_ones(customers).order_by(None).subquery("placed_ones")
    counts = counts_of(rows.c, customers, history_of(units, customers))
    cell = [
        *named_values(rows, customers.dimensions, customers.kept), rows.c.place, rows.c.currency
    ]  # fmt: skip
    return Roster(
        units,
        [*[None] * len(customers.dimensions), PLACES.__getitem__, None],
        tuple(counts),
        [listed(rows, cell, counts, rows.c.opportunity)],
        apart="opportunity",
        reads={"opportunity": _about_opportunities},
    )


def _about_opportunities(facts: Facts) -> sa.Select[Any]:
    """All that names an opportunity, and what closes all of a customer's."""
    naming, lost = namings(facts.cut), tables.facts["disqualified"]
    said = sa.select(naming.c.customer, naming.c.position)
    if facts.customers is not None:
        said = said.where(naming.c.customer.in_(sa.select(facts.customers.c.customer)))
    all_lost = sa.select(lost.c.customer, lost.c.position).where(
        facts.counted(lost), lost.c.opportunity.is_(None)
    )
    return sa.select(sa.union_all(said, all_lost).subquery("about"))
