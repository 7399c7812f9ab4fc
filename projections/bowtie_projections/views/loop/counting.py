"""The mature counted by the levels of each trait: what the loop tests, and what it lists alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bowtie_projections.known import Observed
from bowtie_projections.traits import TraitRule
from bowtie_projections.views.loop.bins import Bins, find_bins
from bowtie_projections.views.loop.counts import Totals, TraitCounts, read_levels, read_totals
from bowtie_projections.views.loop.population import Population
from bowtie_projections.views.loop.tally import judged, tally
from bowtie_projections.views.loop.traits import untested

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["Counted"]


@dataclass(frozen=True, slots=True)
class Counted:
    """The counts of one question.

    Args:
        observed: the traits on record, and the rules of the traits file.
        bins: how the numeric ones are cut.
        everybody: the rows of the tally that are of no trait; they carry what was fitted.
        totals: of all.
        counts: of each trait that may be asked.
    """

    observed: Observed
    bins: Mapping[str, Bins]
    everybody: pa.Table
    totals: Totals
    counts: list[TraitCounts]

    @classmethod
    def of(cls, population: Population, rules: Mapping[str, TraitRule]) -> Counted:
        """Those of a population with anybody mature."""
        import pyarrow.compute as pc

        reader = population.units.reader
        observed = Observed.of(reader, population.cut, population.question.gap, rules)
        bins = find_bins(reader, judged(population), observed)
        counted = reader.fetch(tally(population, observed, bins))
        of_trait = pc.is_valid(counted.column("name"))
        everybody = counted.filter(pc.invert(of_trait))
        totals = read_totals(everybody)
        counts = read_levels(counted.filter(of_trait), totals, bins)
        return cls(observed, bins, everybody, totals, counts)

    def standing(self, reason: str | None) -> list[TraitCounts]:
        """The traits that are not tested for a reason (None: those that are)."""
        return [one for one in self.counts if untested(one, self.observed.rules) == reason]
