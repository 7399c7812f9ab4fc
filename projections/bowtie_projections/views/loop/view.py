"""The closed loop: which traits, known when a customer came, mark those who became valuable.

:func:`loop` is the one question here. Its parts: ``loop_question`` checks what is asked,
``loop_population`` builds the SQL, ``loop_counts`` turns rows into arrays, ``loop_findings`` tests
them, ``loop_sources`` sets spend against what it brought, ``loop_words`` says it in sentences.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, timedelta
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bowtie.durations import format_duration
from bowtie.errors import Refused
from bowtie.policies import Policy
from bowtie.stages import Definition
from bowtie.wording import counted
from bowtie_projections.known import Observed
from bowtie_projections.membership import LOOK_BACK
from bowtie_projections.results import Result
from bowtie_projections.statistics import design_effect
from bowtie_projections.traits import TraitRule, read_traits
from bowtie_projections.views.cut import Cut, Reader
from bowtie_projections.views.journey_source import settled_through
from bowtie_projections.views.loop import sources as loop_sources
from bowtie_projections.views.loop.counts import Totals, TraitCounts, read_levels, read_totals
from bowtie_projections.views.loop.findings import FEWEST, Finding, findings, judge_traits
from bowtie_projections.views.loop.money import check_currencies, threshold_of
from bowtie_projections.views.loop.population import Arrived, Population
from bowtie_projections.views.loop.question import Question, ask
from bowtie_projections.views.loop.tables import findings_table, sources_table, traits_table
from bowtie_projections.views.loop.tally import spread, tally
from bowtie_projections.views.loop.traits import Standing, standings, untested
from bowtie_projections.views.loop.words import (
    ENOUGH,
    Said,
    assumed_values,
)
from bowtie_projections.views.units import Units

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["loop"]

#: The share of customers of a level who need a cost on record before contributions are compared.
COVERED = 0.95


def loop(
    reader: Reader,
    cut: Cut,
    definition: Definition,
    *,
    unit: str = "customer",
    look_back: str | timedelta = LOOK_BACK,
    time_zero: str = "commitment",
    horizon: str | timedelta = "365d",
    top: float | Decimal | str = 0.2,
    threshold: Decimal | int | str | None = None,
    value: str = "revenue",
    currency: str | None = None,
    costs_complete: bool = False,
    traits: str | Path | Mapping[str, Any] | None = None,
    backfill_gap: str | timedelta = "7d",
    strict_known: bool = False,
    data_from: Any = None,
    data_through: Any = None,
    include_truncated: bool = False,
    tz: str = "UTC",
    policy: Policy | None = None,
) -> Result:
    """Which traits known at time zero go with high value, and which sources bring it.

    Args:
        reader: the read tables.
        cut: the position and the day it is asked of.
        definition: what the entry of a stage is.
        unit: what is counted: ``customer``, ``account`` or ``opportunity``.
        look_back: touches of a member count for the account from so long before the membership.
        time_zero: ``commitment``, or ``lead``: the definition's lead stage, with all leads.
        horizon: whole days from time zero over which value counts.
        top: the share of the older half's paying customers that sets the threshold.
        threshold: the value from which on a customer is of high value; then ``top`` is not used.
        value: ``revenue``, or ``contribution``: less the costs of onboarding and serving.
        currency: refuse all others.
        costs_complete: a customer without a cost on record had none.
        traits: what kind each trait is: a traits file, its text, or what it holds.
        backfill_gap: a fact recorded so much later than it happened is history loaded later.
        strict_known: refuse to take facts for history loaded later.
        data_from: where the data begins, if its first fact doesn't say so.
        data_through: up to when it is complete, if not up to the moment asked of.
        include_truncated: count customers who may be older than the data.
        tz: the zone of days, months and quarters.
        policy: a value policy, whose horizon, value and high then hold.

    Returns:
        A row for each level of each trait; the parts ``sources`` and ``traits``.

    Raises:
        UsageError: a value that can't be asked.
        Refused: the answer would mislead: several currencies, a threshold that ties make
            meaningless, costs that are missing for too many.
    """
    asked = {
        name: given for name, given in locals().items()
        if name not in {"reader", "cut", "definition", "traits"}
    }  # fmt: skip
    question, rules = ask(definition, asked), read_traits(traits)
    cut = settled_through(reader, cut, question.data_through)
    units = Units.of(reader, cut, question.unit, question.look_back)
    reader = units.reader
    answer = _Answer(units, cut, definition, question, rules)
    if cut.moment is None:
        return answer.nobody()
    population = Population.of(units, cut, definition, question)
    arrivals = reader.fetch(population.arrivals()).to_pylist()
    answer.arrived = arrived = Arrived.of(arrivals, question)
    if arrived.mature < ENOUGH:
        answer.longest = _longest(reader, population, arrived)
    return _answered(answer, population) if arrived.mature else answer.nobody()


@dataclass(slots=True)
class _Answer:
    """What is known of the answer so far."""

    units: Units
    cut: Cut
    definition: Definition
    question: Question
    rules: Mapping[str, TraitRule]
    arrived: Arrived = field(default_factory=Arrived)
    longest: int | None = None
    fitted: Mapping[str, Any] = field(default_factory=dict)
    threshold: Decimal | None = None
    unnamed: loop_sources.Unnamed | None = None
    effect: float = 1.0

    @property
    def reader(self) -> Reader:
        """The read tables, under the keys of the units."""
        return self.units.reader

    def nobody(self) -> Result:
        """The answer where nobody is old enough to be judged."""
        return self.result(findings_table([]), None, [], sources_table([]))

    def result(
        self, rows: pa.Table, totals: Totals | None, traits: list[Standing], sources: pa.Table
    ) -> Result:
        """The answer with its sentence and notes."""
        median = self.fitted.get("median")
        said = Said(
            self.question, self.arrived, self.cut.moment, self.longest, self.fitted, self.threshold,
            totals, traits, self.unnamed, self.effect if self.units.clustered else None,
        )  # fmt: skip
        return Result(
            "loop",
            rows,
            sentence=said.sentence(),
            notes=said.notes(),
            sql=self.reader.statements,
            meta={
                "definition": self.definition.label,
                "parameters": self.question.parameters(),
                "position": self.cut.position,
                "as_of": self.cut.as_of,
                "threshold": self.threshold,
                "currency": self.fitted.get("currency_low"),
                "entered": self.arrived.entered,
                "left_truncated": self.arrived.truncated,
                "mature": self.arrived.mature,
                "high": totals.high if totals else 0,
                "tests": sum(one.p is not None for one in traits),
                "clustered": self.units.clustered,
                "later_cohorts_after": median and median.replace(tzinfo=UTC),
            },
            parts={"sources": sources, "traits": traits_table(traits)},
        )


def _answered(answer: _Answer, population: Population) -> Result:
    """The answer where somebody is old enough."""
    import pyarrow.compute as pc

    reader, question = answer.reader, answer.question
    observed = Observed.of(reader, population.cut, question.gap, answer.rules)
    counted = reader.fetch(tally(population, observed))
    of_trait = pc.is_valid(counted.column("name"))
    everybody, by_level = counted.filter(pc.invert(of_trait)), counted.filter(of_trait)
    answer.fitted = everybody.slice(0, 1).to_pylist()[0]
    check_currencies(reader, population, answer.fitted)
    answer.threshold = threshold_of(question, answer.fitted)
    totals = read_totals(everybody)
    counts = read_levels(by_level, totals)
    _check_known(question, counts)
    askable = [trait for trait in counts if untested(trait, answer.rules) is None]
    if question.value == "contribution" and not question.costs_complete:
        _check_costs(askable, totals)
    if answer.units.clustered:
        answer.effect = _effect(reader.fetch(spread(population)).to_pylist()[0])
    tested = judge_traits(askable, totals, answer.effect)
    rows = findings(tested, totals, answer.effect) + _leaks(counts, answer.rules)
    return answer.result(
        findings_table(rows),
        totals,
        standings(counts, tested, answer.rules),
        _sources(answer, population, everybody),
    )


def _effect(found: Mapping[str, Any]) -> float:
    """By how much all count for fewer, because some are of one account."""
    sums = (found["high_squares"], found["products"], found["squares"])
    return design_effect(found["high"], found["customers"], found["accounts"], sums)


def _sources(answer: _Answer, population: Population, everybody: pa.Table) -> pa.Table:
    arrived = answer.arrived
    if arrived.first is None:
        return sources_table([])
    span = loop_sources.Span.of(answer.question, arrived.first, population.end)
    ledgers, answer.unnamed = loop_sources.read_spend(
        answer.reader, answer.cut, answer.question, span
    )
    currency = answer.fitted["currency_low"]
    return sources_table(loop_sources.source_rows(arrived.rows, everybody, ledgers, currency))


def _leaks(counts: list[TraitCounts], rules: Mapping[str, TraitRule]) -> list[Finding]:
    """A row for each trait that was learnt after time zero: listed, not used."""
    return [
        {"trait": trait.name, "customers": trait.ever, "verdict": "leak"}
        for trait in counts
        if untested(trait, rules) == "leak"
    ]


def _longest(reader: Reader, population: Population, arrived: Arrived) -> int | None:
    """The longest horizon, in days, at which enough customers are mature."""
    if arrived.kept < ENOUGH:
        return None
    oldest = reader.fetch(population.oldest(ENOUGH)).column(0)[0].as_py()
    days = int((population.end - oldest) / timedelta(days=1))
    return days if days >= 1 else None


def _check_known(question: Question, counts: list[TraitCounts]) -> None:
    assumed, known = assumed_values(counts)
    if question.strict_known and assumed:
        raise Refused(
            f"{assumed:,} of the {counted(known, 'trait value')} known at time zero"
            f" ({assumed / known:.0%}) count only if they are taken as history loaded later, for"
            f" they were recorded more than {format_duration(question.gap)} after the fact; without"
            " strict_known they are. To be sure, send recordedtime with such facts"
        )


def _check_costs(traits: list[TraitCounts], totals: Totals) -> None:
    """Contributions are compared only where costs are on record on both sides."""
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
