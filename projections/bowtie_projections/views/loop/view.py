"""The closed loop: which traits, known when a customer came, mark those who became valuable.

:func:`loop` is the one question here. Its modules: ``question`` checks what is asked,
``population`` and ``tally`` build the SQL, ``bins`` cuts numbers, ``counts`` turns rows into
arrays, ``findings`` and ``pairs`` test them, ``sources`` sets spend against what it brought,
``tracing`` asks more of findings, ``words`` says it in sentences.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, timedelta
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bowtie.policies import Policy
from bowtie.stages import Definition
from bowtie_projections.membership import LOOK_BACK
from bowtie_projections.results import Result
from bowtie_projections.statistics import design_effect
from bowtie_projections.traits import TraitRule, read_traits
from bowtie_projections.views.cut import Cut, Reader
from bowtie_projections.views.journey_source import settled_through
from bowtie_projections.views.loop import findings as loop_findings
from bowtie_projections.views.loop import origins as loop_origins
from bowtie_projections.views.loop import pairs as loop_pairs
from bowtie_projections.views.loop import sources as loop_sources
from bowtie_projections.views.loop import values as loop_values
from bowtie_projections.views.loop.checks import check_costs, check_known
from bowtie_projections.views.loop.counting import Counted
from bowtie_projections.views.loop.counts import Totals
from bowtie_projections.views.loop.findings import Finding, assess_traits, correct, findings
from bowtie_projections.views.loop.money import check_currencies, threshold_of
from bowtie_projections.views.loop.pairs import Pairs
from bowtie_projections.views.loop.population import Arrived, Population
from bowtie_projections.views.loop.question import Question, ask
from bowtie_projections.views.loop.tables import told_table, traits_table
from bowtie_projections.views.loop.tally import spread
from bowtie_projections.views.loop.traced import Leveling, Traced
from bowtie_projections.views.loop.tracing import (
    PROSPECTS,
    assess_pairs,
    prospect_rows,
    traced_findings,
)  # fmt: skip
from bowtie_projections.views.loop.traits import Standing, standings
from bowtie_projections.views.loop.words import ENOUGH, Said
from bowtie_projections.views.units import Units

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["loop"]


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
    target: str = "high",
    pairs: bool = False,
    least_gain: float | Decimal | str = "1.2",
    rank: str = "lift",
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
        target: whose marks are sought: of ``high`` value; of ``low``, up to the value that the
            lowest ``top`` of the paying don't pass; or ``unprofitable``, a contribution under 0.
            Columns of ``high`` are called after it.
        pairs: test pairs of the best traits too; then there is a part ``pairs``.
        least_gain: the factor by which a pair's rate passes those of both its levels.
        rank: rows of one verdict come by the lower bound of ``lift``, or by the ``shrunk`` rate.

    Returns:
        A row for each level of each trait; the parts ``sources`` and ``traits``, and of the
        findings ``values``, ``origins`` and ``prospects``.

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
        return answer.result()
    population = Population.of(units, cut, definition, question)
    arrivals = reader.fetch(population.arrivals()).to_pylist()
    answer.arrived = arrived = Arrived.of(arrivals, question)
    if arrived.mature < ENOUGH:
        answer.longest = _longest(reader, population, arrived)
    if arrived.mature:
        _answer(answer, population)
    return answer.result()


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
    totals: Totals | None = None
    rows: list[Finding] = field(default_factory=list)
    standings: list[Standing] = field(default_factory=list)
    sources: list[dict[str, Any]] = field(default_factory=list)
    unnamed: loop_sources.Unnamed | None = None
    pairs: Pairs | None = None
    effect: float = 1.0
    parts: dict[str, tuple[Sequence[str], list[dict[str, Any]]]] = field(
        default_factory=lambda: {
            "values": (loop_values.COLUMNS, []),
            "origins": (loop_origins.COLUMNS, []),
            "prospects": (PROSPECTS, []),
        }
    )

    @property
    def reader(self) -> Reader:
        """The read tables, under the keys of the units."""
        return self.units.reader

    def result(self) -> Result:
        """The answer with its sentence and notes."""
        median, target = self.fitted.get("median"), self.question.target
        said = Said(
            self.question, self.arrived, self.cut.moment, self.longest, self.fitted, self.threshold,
            self.totals, self.standings, self.unnamed,
            self.effect if self.units.clustered else None, self.pairs, self.parts["values"][1],
        )  # fmt: skip
        parts = {
            "sources": told_table(loop_sources.COLUMNS, self.sources, target),
            "traits": traits_table(self.standings),
        }
        for name, (columns, rows) in self.parts.items():
            parts[name] = told_table(columns, rows, target)
        return Result(
            "loop",
            told_table(loop_findings.COLUMNS, self.rows, target),
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
                target: self.totals.high if self.totals else 0,
                "tests": said.tests,
                "clustered": self.units.clustered,
                "later_cohorts_after": median and median.replace(tzinfo=UTC),
            },
            parts=parts,
        )


def _answer(answer: _Answer, population: Population) -> None:
    """Answer where somebody is old enough."""
    reader, question = answer.reader, answer.question
    counted = Counted.of(population, answer.rules)
    totals, counts, everybody = counted.totals, counted.counts, counted.everybody
    answer.fitted = everybody.slice(0, 1).to_pylist()[0]
    check_currencies(reader, population, answer.fitted)
    answer.threshold, answer.totals = threshold_of(question, answer.fitted), totals
    check_known(question, counts)
    askable = counted.standing(None)
    if question.value == "contribution" and not question.costs_complete:
        check_costs(askable, totals)
    if answer.units.clustered:
        answer.effect = _effect(reader.fetch(spread(population)).to_pylist()[0])
    tested = assess_traits(askable, answer.effect)
    leveling = Leveling(counted.observed, counted.bins, askable)
    if question.pairs:
        answer.pairs = assess_pairs(population, leveling, tested, totals, answer.effect)
    correct(tested, answer.pairs or Pairs(), totals, answer.effect)
    found = findings(tested, totals, answer.effect, question.rank)
    answer.rows = found + _leaks(counted)
    answer.standings = standings(counts, tested, counted.observed, counted.bins)
    if answer.pairs is not None:
        rows = loop_pairs.pair_rows(answer.pairs, totals, answer.effect)
        answer.parts["pairs"] = (loop_pairs.COLUMNS, rows)
    answer.sources = _sources(answer, population, answer.arrived.rows, everybody, "channel")
    _trace(answer, population, leveling)


def _trace(answer: _Answer, population: Population, leveling: Leveling) -> None:
    """What the findings were worth, where they came from, and which prospects have them."""
    rows = traced_findings(answer.rows)
    if not rows:
        return
    names = {row["trait"] for row in rows}
    found = [trait for trait in leveling.traits if trait.name in names]
    leveling = Leveling(leveling.observed, leveling.bins, found)
    traced = Traced.of(population, leveling)
    arrivals = answer.reader.fetch(population.arrivals("campaign")).to_pylist()
    kept = Arrived.of(arrivals, answer.question).rows
    campaigns = _sources(answer, population, kept, traced.by_source("campaign"), "campaign")
    costs = {"channel": answer.sources, "campaign": campaigns}
    told = {
        "values": loop_values.value_rows(rows, traced),
        "origins": loop_origins.origin_rows(rows, traced, costs),
        "prospects": prospect_rows(population, leveling, answer.definition.lead, rows),
    }
    for name, part in told.items():
        answer.parts[name] = (answer.parts[name][0], part)


def _effect(found: Mapping[str, Any]) -> float:
    """By how much all count for fewer, because some are of one account."""
    sums = (found["high_squares"], found["products"], found["squares"])
    return design_effect(found["high"], found["customers"], found["accounts"], sums)


def _sources(
    answer: _Answer,
    population: Population,
    arrivals: Sequence[Mapping[str, Any]],
    mature: pa.Table,
    by: str,
) -> list[dict[str, Any]]:
    first = answer.arrived.first
    if first is None:
        return []
    span = loop_sources.Span.of(answer.question, first, population.end)
    ledgers, unnamed = loop_sources.read_spend(answer.reader, answer.cut, answer.question, span, by)
    if by == "channel":
        answer.unnamed = unnamed
    currency = answer.fitted["currency_low"]
    return loop_sources.source_rows(arrivals, mature, ledgers, currency)


def _leaks(counted: Counted) -> list[Finding]:
    """A row for each trait that was learnt after time zero: listed, not used."""
    return [
        {"trait": trait.name, "customers": trait.ever, "verdict": "leak"}
        for trait in counted.standing("leak")
    ]


def _longest(reader: Reader, population: Population, arrived: Arrived) -> int | None:
    """The longest horizon, in days, at which enough customers are mature."""
    if arrived.kept < ENOUGH:
        return None
    oldest = reader.fetch(population.oldest(ENOUGH)).column(0)[0].as_py()
    days = int((population.end - oldest) / timedelta(days=1))
    return days if days >= 1 else None
