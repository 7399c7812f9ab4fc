"""What must hold before an answer of the closed loop is given."""

from __future__ import annotations

from collections.abc import Sequence

from bowtie.durations import format_duration
from bowtie.errors import Refused
from bowtie.wording import counted
from bowtie_projections.views.loop.counts import Totals, TraitCounts
from bowtie_projections.views.loop.pairs import FEWEST
from bowtie_projections.views.loop.question import Question
from bowtie_projections.views.loop.words import assumed_values

__all__ = ["check_costs", "check_known"]

#: The share of customers of a level who need a cost on record before contributions are compared.
COVERED = 0.95


def check_known(question: Question, counts: Sequence[TraitCounts]) -> None:
    """Refuse values that rest on being history loaded later, where that was asked.

    Raises:
        Refused: some do.
    """
    assumed, known = assumed_values(counts)
    if question.strict_known and assumed:
        raise Refused(
            f"{assumed:,} of the {counted(known, 'trait value')} known at time zero"
            f" ({assumed / known:.0%}) count only if they are taken as history loaded later, for"
            f" they were recorded more than {format_duration(question.gap)} after the fact; without"
            " strict_known they are. To be sure, send recordedtime with such facts"
        )


def check_costs(traits: Sequence[TraitCounts], totals: Totals) -> None:
    """Contributions are compared only where costs are on record on both sides.

    Raises:
        Refused: they are not.
    """
    wanting = [("all", "mature customers", totals.costed, totals.customers)]
    wanting += [
        (trait.name, level, int(costed), int(size))
        for trait in traits
        for level, costed, size in zip(trait.levels, trait.costed, trait.sizes, strict=True)
        if size >= FEWEST
    ]
    for trait, level, costed, size in wanting:
        if costed < COVERED * size:
            raise Refused(
                f"contribution needs a cost of onboarding or serving on record for 95% of the"
                f" mature in each level compared; {trait} {level!r} has one for {costed:,} of"
                f' {size:,} ({costed / size:.0%}). Ask for value="revenue", or'
                " with costs_complete=True if a customer without a cost had none"
            )
