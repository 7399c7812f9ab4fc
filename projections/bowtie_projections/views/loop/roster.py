"""Everybody whom the loop counts, in every level of every trait at once."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import sqlalchemy as sa

from bowtie.stages import Definition
from bowtie_projections import tables
from bowtie_projections.conditions import Facts
from bowtie_projections.roster import Roster, listed
from bowtie_projections.traits import TOUCH_TRAITS, read_traits
from bowtie_projections.views.cut import Cut, Reader
from bowtie_projections.views.journey_source import settled_through
from bowtie_projections.views.loop.counting import Counted
from bowtie_projections.views.loop.counts import MISSING, TraitCounts
from bowtie_projections.views.loop.population import Arrived, Population
from bowtie_projections.views.loop.question import ask
from bowtie_projections.views.loop.tables import renamed
from bowtie_projections.views.loop.tally import judged
from bowtie_projections.views.loop.traced import Leveling
from bowtie_projections.views.units import Units

__all__ = ["roster"]

#: What a trait of one's own is called where the first touch has one of its name.
_OWN = "trait."
#: Facts of some customers, with their positions.
_Reading = Callable[[Facts], sa.Select[Any]]


def roster(reader: Reader, cut: Cut, definition: Definition, **asked: Any) -> Roster:
    """The mature in each level of the traits that are tested, and who has a trait learnt later.

    Args:
        reader: the read tables.
        cut: where the loop was asked.
        definition: what the entry of a stage is.
        asked: the parameters of :func:`bowtie_projections.views.loop.loop`, all of them.
    """
    rules = read_traits(asked.pop("traits"))
    question = ask(definition, asked)
    cut = settled_through(reader, cut, question.data_through)
    units = Units.of(reader, cut, question.unit, question.look_back)
    traits: list[TraitCounts] = []
    rows, reads = _nobody(), dict[str, _Reading]()
    if cut.moment is not None:
        population = Population.of(units, cut, definition, question)
        arrivals = units.reader.fetch(population.arrivals()).to_pylist()
        if Arrived.of(arrivals, question).mature:
            counted = Counted.of(population, rules)
            tested, leaks = counted.standing(None), counted.standing("leak")
            traits = [*tested, *leaks]
            rows = _of_levels(population, counted, tested, leaks) if traits else rows
        reads = _reads(population, traits)
    high = {"customers": sa.true(), "high": rows.c.high == 1}
    return Roster(
        units,
        [None, None],
        tuple(renamed(name, question.target) for name in high),
        [listed(rows, [rows.c.name, rows.c.level], high)],
        stages=(question.stage,),
        reads=reads,
    )


def _nobody() -> sa.Subquery:
    """No row, of the columns of :func:`_of_levels`."""
    text, whole = sa.cast(sa.null(), sa.String()), sa.cast(sa.null(), sa.Integer())
    named = [text.label(name) for name in ("customer", "name", "level")]
    return sa.select(*named, whole.label("high")).where(sa.false()).subquery("nobody")


def _of_levels(
    population: Population,
    counted: Counted,
    tested: list[TraitCounts],
    leaks: list[TraitCounts],
) -> sa.Subquery:
    """The mature in their level of each trait, the missing too; of a leak whoever ever has it.

    Of a leak there is no level, and nobody is counted as high.
    """
    traits, learnt_later = [*tested, *leaks], {one.name for one in leaks}
    who = judged(population)
    known = Leveling(counted.observed, counted.bins, traits).rows(who).subquery("levels_of")
    named = sa.values(
        sa.column("name", sa.String()),
        sa.column("split", sa.Boolean()),
        sa.column("leak", sa.Boolean()),
        name="listed_traits",
        literal_binds=True,
    ).data([(one.name, one.split, one.name in learnt_later) for one in traits])
    t, k = named.c, known.c
    same = sa.and_(k.member == who.c.customer, k.name == t.name)
    joined = who.join(named, sa.true()).outerjoin(known, same)
    level = sa.case((sa.not_(t.leak), sa.func.coalesce(k.level, MISSING))).label("level")
    # of a split the later cohorts alone tell
    told = sa.or_(sa.not_(t.split), who.c.later == 1)
    return (
        sa.select(
            who.c.customer, t.name, level, sa.case((t.leak, 0), else_=who.c.high).label("high")
        )
        .select_from(joined)
        .where(sa.case((t.leak, k.ever == 1), else_=told))
        .subquery("in_levels")
    )


def _reads(population: Population, traits: list[TraitCounts]) -> dict[str, _Reading]:
    """The facts that tell the traits, and those that value is made of."""
    who = population.kept()
    found: dict[str, _Reading] = {}
    for one in traits:
        if one.name in TOUCH_TRAITS:
            found[one.name] = partial(_touches, who)
        else:
            raw = one.name.removeprefix(_OWN)
            found[f"trait {raw}"] = partial(_observations, {raw, one.name})
    return found | {"value": partial(population.worth_facts, who)}


def _touches(who: sa.CTE, facts: Facts) -> sa.Select[Any]:
    """The touches by time zero: no other tells where somebody came from."""
    table = tables.facts["touched"]
    joined = table.join(who, who.c.customer == table.c.customer)
    told = sa.select(table.c.customer, table.c.position).select_from(joined)
    return told.where(facts.counted(table), table.c.occurred_at <= who.c.t0)


def _observations(names: set[str], facts: Facts) -> sa.Select[Any]:
    c = (table := tables.facts["traits_observed"]).c
    return sa.select(c.customer, c.position).where(facts.counted(table), c.name.in_(names))
