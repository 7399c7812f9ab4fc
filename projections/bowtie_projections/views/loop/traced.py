"""Each mature customer on a row of their own, with their levels of some traits.

What is asked of findings alone stands on it: pairs, value, where they came from.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING, Any

import numpy as np
import sqlalchemy as sa
from numpy.typing import NDArray
from sqlalchemy.sql.elements import ColumnElement

from bowtie_projections.expressions import hashed_share
from bowtie_projections.known import Observed
from bowtie_projections.value import MONEY
from bowtie_projections.views.cut import Reader
from bowtie_projections.views.labels import OTHER, apart_in_sql, unapart
from bowtie_projections.views.loop.bins import Bins, leveled
from bowtie_projections.views.loop.counts import MISSING, Totals, TraitCounts
from bowtie_projections.views.loop.pairs import PairCounts
from bowtie_projections.views.loop.population import Population, channel_of
from bowtie_projections.views.loop.tally import MOST_LEVELS, judged

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["BLOCKS", "Leveling", "Traced"]

#: Customers are put together in so many blocks, by the hash of their account.
BLOCKS = 1000


@dataclass(frozen=True, slots=True)
class Leveling:
    """What makes values into the levels that were counted.

    Args:
        observed: the traits on record.
        bins: how the numeric ones are cut.
        traits: the counts of those that are asked.
    """

    observed: Observed
    bins: Mapping[str, Bins]
    traits: Sequence[TraitCounts]

    def rows(self, population: sa.FromClause) -> sa.Select[Any]:
        """For each of a population (``customer``, ``t0``) and trait its ``level``; null is missing.

        Columns ``member``, ``name``, ``level``, and ``ever`` (1 where it is known by now).
        """
        among = sa.select(
            population.c.customer, population.c.t0, population.c.customer.label("member")
        )
        names = {trait.name for trait in self.traits}
        c = self.observed.known(among.subquery("among"), ("member",), only=names).subquery("told").c
        value = leveled(c.name, c.value, self.bins)
        beyond = [
            (sa.and_(c.name == trait.name, value.not_in(self._counted(trait))), OTHER)
            for trait in self.traits
            if trait.distinct > MOST_LEVELS
        ]
        level = sa.case(
            (value.is_(None), sa.null()), *beyond, else_=apart_in_sql(value, (OTHER, MISSING))
        )
        return sa.select(c.member, c.name, level.label("level"), c.ever)

    def spread(self, population: sa.FromClause) -> sa.Select[Any]:
        """The same with a row for each ``member`` and a column for each trait: ``trait_0``, ..."""
        c = self.rows(population).subquery("leveled").c
        columns = [
            sa.func.max(sa.case((c.name == trait.name, c.level))).label(f"trait_{place}")
            for place, trait in enumerate(self.traits)
        ]
        return sa.select(c.member, *columns).group_by(c.member)

    @staticmethod
    def _counted(trait: TraitCounts) -> list[str]:
        """The values of a trait that are levels of their own."""
        return [
            unapart(one, (OTHER, MISSING)) for one in trait.levels if one not in {OTHER, MISSING}
        ]


@dataclass(frozen=True, slots=True)
class Traced:
    """The mature with their levels, found now where the database can keep them.

    Args:
        reader: the read tables, under the keys of the units.
        rows: a row for each: ``month``, ``motion``, ``later``, ``high``, ``worth``, ``channel``,
            ``campaign``, ``block`` (of many, by the hash of the account) and the levels.
        traits: the counts of the traits.
    """

    reader: Reader
    rows: sa.FromClause
    traits: Sequence[TraitCounts]

    @classmethod
    def of(cls, population: Population, leveling: Leveling) -> Traced:
        """Those of a population."""
        who = judged(population)
        levels = leveling.spread(who).cte("levels_of")
        joined, account = population.units.account_of(who)
        rows = sa.select(
            *(who.c[name] for name in ("month", "motion", "later", "high", "worth")),
            channel_of(who).label("channel"),
            channel_of(who, "campaign").label("campaign"),
            sa.cast(sa.func.floor(hashed_share(account) * BLOCKS), sa.Integer()).label("block"),
            *(
                sa.func.coalesce(levels.c[f"trait_{place}"], MISSING).label(f"trait_{place}")
                for place in range(len(leveling.traits))
            ),
        ).select_from(joined.outerjoin(levels, levels.c.member == who.c.customer))
        found = population.units.relation(rows, "traced")
        return cls(population.units.reader, found, leveling.traits)

    def each(self) -> Iterator[tuple[int, TraitCounts, ColumnElement[Any], ColumnElement[bool]]]:
        """Of each trait its place, counts, column, and whom it tells of."""
        for place, trait in enumerate(self.traits):
            told = self.rows.c.later == 1 if trait.split else sa.true()
            yield place, trait, self.rows.c[f"trait_{place}"], told

    def pairs(self, totals: Totals) -> list[PairCounts]:
        """The counts of each two of the traits."""
        c = self.rows.c
        quarter = (c.month - sa.func.mod(c.month, sa.literal_column("3"))).label("quarter")
        found = []
        for (_, one, first, told), (_, other, second, also) in combinations(self.each(), 2):
            levels = [first.label("level"), second.label("level_2")]
            keys = [*levels, quarter, c.motion, c.later, c.high]
            counted = sa.select(*keys, sa.func.count().label("customers")).where(told, also)
            table = self.reader.fetch(counted.group_by(*keys))
            counts = _counts(table, one.levels, other.levels, totals)
            found.append(PairCounts((one.name, other.name), (one.levels, other.levels), counts))
        return found

    def origins(self, by: str) -> list[dict[str, Any]]:
        """By trait (its ``place``), ``level`` and source: ``customers`` and ``high``."""
        c = self.rows.c
        source = c[by].label("source")
        parts = [
            sa.select(
                sa.literal_column(str(place), sa.Integer()).label("place"),
                level.label("level"),
                source,
                sa.func.count().label("customers"),
                sa.cast(sa.func.sum(c.high), sa.BigInteger()).label("high"),
            )
            .where(told)
            .group_by(level, source)
            for place, _, level, told in self.each()
        ]
        return self.reader.fetch(sa.select(sa.union_all(*parts).subquery("origins"))).to_pylist()

    def by_source(self, by: str) -> pa.Table:
        """All of them by source (in ``level``), month and high: what they were worth."""
        c = self.rows.c
        keys = [c[by].label("level"), c.month, c.high]
        counted = sa.func.count().label("customers")
        worth = sa.cast(sa.func.sum(c.worth), MONEY).label("worth")
        return self.reader.fetch(sa.select(*keys, counted, worth).group_by(*keys))

    def worths(self) -> list[dict[str, Any]]:
        """By trait (its ``place``) and ``level``: what its customers were worth (times 365).

        ``customers``, their ``worth``, that of the one with the ``largest``, and of the two in the
        ``middles`` together: twice the median.
        """
        c = self.rows.c
        half = sa.func.percentile_disc(0.5)
        # from above it is the upper of two in the middle
        middles = half.within_group(c.worth) + half.within_group(c.worth.desc())
        parts = [
            sa.select(
                sa.literal_column(str(place), sa.Integer()).label("place"),
                level.label("level"),
                sa.func.count().label("customers"),
                sa.cast(sa.func.sum(c.worth), MONEY).label("worth"),
                sa.cast(sa.func.max(c.worth), MONEY).label("largest"),
                sa.cast(middles, MONEY).label("middles"),
            )
            .where(told)
            .group_by(level)
            for place, _, level, told in self.each()
        ]
        return self.reader.fetch(sa.select(sa.union_all(*parts).subquery("worths"))).to_pylist()

    def blocks(self) -> list[NDArray[np.float64]]:
        """Of each trait an array by worth (times 365) and customers, level, and block."""
        c = self.rows.c
        found = []
        for _, trait, level, told in self.each():
            keys = [level.label("level"), c.block]
            total: ColumnElement[Any] = sa.cast(sa.func.sum(c.worth), sa.Double())
            counted = sa.func.count().label("customers")
            rows = sa.select(*keys, counted, total.label("worth")).where(told).group_by(*keys)
            table = self.reader.fetch(rows.order_by(*keys))
            places = {name: place for place, name in enumerate(trait.levels)}
            levels = [str(name) for name in table.column("level").to_pylist()]
            at = np.array([places[name] for name in levels], np.int64)
            block = np.asarray(table.column("block").to_numpy(), np.int64)
            sums = np.zeros((2, len(places), BLOCKS))
            for row, column in enumerate(("worth", "customers")):
                sums[row, at, block] = np.asarray(table.column(column).to_numpy(), np.float64)
            found.append(sums)
        return found


def _counts(table: pa.Table, levels: list[str], levels_2: list[str], totals: Totals) -> Any:
    """The rows of a pair as an array."""
    rows = table.to_pylist()
    counts = np.zeros((len(levels), len(levels_2), *totals.counts.shape), np.int64)
    places = {level: place for place, level in enumerate(levels)}
    places_2 = {level: place for place, level in enumerate(levels_2)}
    for row in rows:
        at = (
            places[row["level"]],
            places_2[row["level_2"]],
            totals.strata[row["quarter"] // 3, row["motion"]],
            row["later"],
            row["high"],
        )
        counts[at] += row["customers"]
    return counts
