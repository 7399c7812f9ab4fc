"""The score of every open prospect, and how good it was on others."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from decimal import Decimal, localcontext
from typing import TYPE_CHECKING, Any

import numpy as np
import sqlalchemy as sa
from numpy.typing import NDArray

from bowtie.errors import Refused
from bowtie.extras import need
from bowtie.stages import Definition
from bowtie_projections.known import Observed
from bowtie_projections.traits import TOUCH_TRAITS, rule_of
from bowtie_projections.value import money, money_by_365
from bowtie_projections.views.cut import Cut, Reader
from bowtie_projections.views.journey_source import settled_through
from bowtie_projections.views.loop.money import check_currencies, threshold_of
from bowtie_projections.views.loop.population import Population
from bowtie_projections.views.loop.tally import fitted as fitted_threshold
from bowtie_projections.views.prospects.features import features
from bowtie_projections.views.prospects.learning import Learnt, learn
from bowtie_projections.views.prospects.looks import Leads, LookedAt, looks
from bowtie_projections.views.prospects.question import Question, ask
from bowtie_projections.views.prospects.standing import Known, known
from bowtie_projections.views.units import Units

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["Scores", "scores"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

_MICRO = timedelta(microseconds=1)
#: The share of the mature who need a cost on record before contributions are compared.
_COVERED = 0.95
_CENT = Decimal("0.000001")


@dataclass(frozen=True, slots=True)
class Worth:
    """What value is in this answer.

    Args:
        threshold: from which value on it is high; None where that can't be said.
        unfitted: why not.
        currency: of all amounts.
        high: the mean value of who was won and of high value; None where too few were.
        other: the same of the others who were won.
    """

    threshold: Decimal | None = None
    unfitted: str = ""
    currency: str | None = None
    high: Decimal | None = None
    other: Decimal | None = None


@dataclass(slots=True)
class Scores:
    """The open prospects with their scores, the best first.

    Args:
        units: what is counted.
        cut: where it was asked.
        definition: what entering a stage means.
        question: what was asked.
        leads: how many there are.
        known: what was known of all looks; None where there is no fact.
        rows: of the prospects, the places in ``known``.
        p_win: the chance that each is won in time; None where too few were to learn from.
        p_high: that it is then of high value.
        p_high_value: that it is both.
        expected: the value to expect: the mean of those won, of high value and not, by chance.
        learnt: from what, and how good it was.
        worth: what value is.
        refused: the traits that are off.
    """

    units: Units
    cut: Cut
    definition: Definition
    question: Question
    leads: Leads = field(default_factory=Leads)
    known: Known | None = None
    rows: Ints = field(default_factory=lambda: np.zeros(0, np.int64))
    p_win: Floats | None = None
    p_high: Floats | None = None
    p_high_value: Floats | None = None
    expected: list[Decimal] | None = None
    learnt: Learnt = field(default_factory=Learnt)
    worth: Worth = field(default_factory=Worth)
    refused: tuple[str, ...] = ()

    @property
    def customers(self) -> list[str]:
        """The keys of the prospects."""
        if self.known is None:
            return []
        return [str(key) for key in self.known.customer.take(self.rows).to_pylist()]

    @property
    def score(self) -> Floats | None:
        """What the prospects are ordered by: of high value, if that can be told, else won."""
        return self.p_win if self.p_high_value is None else self.p_high_value


def scores(reader: Reader, cut: Cut, definition: Definition, asked: Mapping[str, Any]) -> Scores:
    """The scores of all open prospects.

    Args:
        reader: the read tables.
        cut: the position and the moment it is asked of.
        definition: what the entry of a stage is.
        asked: the parameters of :func:`~bowtie_projections.views.prospects.prospects`, all.

    Raises:
        UsageError: a value that can't be asked, or scikit-learn is not installed.
        Refused: several currencies, or costs that are missing for too many.
    """
    question = ask(definition, asked)
    need("sklearn", "models")
    from threadpoolctl import threadpool_limits

    cut = settled_through(reader, cut, question.value.data_through)
    units = Units.of(reader, cut, question.value.unit, question.value.look_back)
    found = Scores(units, cut, definition, question)
    if cut.moment is None:
        return found
    population = Population.of(units, cut, definition, question.value)
    found.leads = Leads.of(units.reader, population, question)
    traits = Observed.of(units.reader, cut, question.value.gap, question.rules)
    touched = (one for one in TOUCH_TRAITS if rule_of(one, question.rules).refusal is not None)
    found.refused = (*touched, *traits.refused)
    taken = units.relation(looks(population, question), "looks")
    found.known = known(units.through(LookedAt(taken, traits)), cut, definition, traits, taken)
    found.worth, worths = _worths(units.reader, population, question)
    # the problems are small: threads would wait for each other longer than they work
    with threadpool_limits(1):
        _score(found, found.known, worths)
    return found


def _score(found: Scores, stood: Known, worths: pa.Table) -> None:
    """Learn from the looks of the past, and score the prospects of now."""
    place = _places(stood, worths)
    ripe = stood.left >= (found.question.within + found.question.value.horizon) // _MICRO
    if found.worth.threshold is None:
        ripe = np.zeros_like(ripe)
    # a look that was won tells of value only where the worth of its customer is known
    ripe &= ~stood.won | (place >= 0)
    high = np.append(worths.column("high").to_numpy() == 1, False)[place]
    found.learnt = learn(features(stood, found.question.rules), stood, high & stood.won, ripe)
    rows = np.flatnonzero(stood.now)
    win, card = found.learnt.win.model, found.learnt.high
    if win is None:
        found.rows = rows
        return
    p_win = win.chances(rows)
    p_high = None if card.model is None else card.model.chances(rows)
    score = p_win if p_high is None else p_win * p_high
    order = np.argsort(-score, kind="stable")
    found.rows, found.p_win = rows[order], p_win[order]
    if p_high is None:
        return
    found.p_high, found.p_high_value = p_high[order], score[order]
    means = [_mean(worths, place[card.rows[high[card.rows] == wanted]]) for wanted in (True, False)]
    found.worth = replace(found.worth, high=means[0], other=means[1])
    least = float(means[1])
    expected = found.p_win * (found.p_high * (float(means[0]) - least) + least)
    found.expected = [Decimal(repr(one)).quantize(_CENT) for one in expected.tolist()]


def _worths(reader: Reader, population: Population, question: Question) -> tuple[Worth, pa.Table]:
    """What high value is, and of everybody whose horizon is over whether it was reached.

    Raises:
        Refused: several currencies, or costs that are missing for too many.
    """
    fit = reader.fetch(fitted_threshold(population)).to_pylist()[0]
    check_currencies(reader, population, fit)
    worth = Worth(currency=fit["currency_low"])
    try:
        worth = replace(worth, threshold=threshold_of(question.value, fit))
    except Refused as error:
        worth = replace(worth, unfitted=str(error))
    rows = population.worth()
    c, nought = rows.c, sa.literal_column("0", sa.Integer())
    high: Any = nought
    if worth.threshold is not None:
        reached = sa.and_(c.worth >= money_by_365(worth.threshold), c.worth > nought)
        high = sa.case((reached, 1), else_=0)
    told = reader.fetch(sa.select(c.customer, c.worth, high.label("high"), c.costed))
    if question.value.value == "contribution" and not question.value.costs_complete:
        _check_costs(int(told.column("costed").to_numpy().sum()), len(told))
    return worth, told


def _check_costs(costed: int, mature: int) -> None:
    if costed < _COVERED * mature:
        raise Refused(
            "contribution needs a cost of onboarding or serving on record for 95% of the mature;"
            f" {costed:,} of {mature:,} ({costed / mature:.0%}) have one. Ask for"
            ' value="revenue", or with costs_complete=True if a customer without a cost had none'
        )


def _places(stood: Known, worths: pa.Table) -> Ints:
    """Of each look the row of its customer's worth; -1 where there is none."""
    import pyarrow.compute as pc

    found: Any = pc.index_in(stood.customer, value_set=worths.column("customer"))
    return np.asarray(found.fill_null(-1).to_numpy(), np.int64)


def _mean(worths: pa.Table, places: Ints) -> Decimal:
    """The mean worth of some customers, each once."""
    chosen = np.unique(places)
    amounts: list[Any] = worths.column("worth").take(chosen).to_pylist()
    total = sum(amounts, Decimal(0))
    with localcontext(prec=60):
        return money(total / chosen.size)
