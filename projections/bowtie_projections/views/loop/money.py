"""What holds of amounts wherever the closed loop's value is told: one currency, one threshold."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from bowtie.errors import Refused
from bowtie.wording import counted
from bowtie_projections.value import money
from bowtie_projections.views.cut import Reader
from bowtie_projections.views.loop.numbers import amount, percent
from bowtie_projections.views.loop.population import Population
from bowtie_projections.views.loop.question import Question
from bowtie_projections.views.loop.words import refuse_currencies

__all__ = ["check_currencies", "threshold_of"]


def check_currencies(reader: Reader, population: Population, fitted: Mapping[str, Any]) -> None:
    """Refuse amounts of several currencies, or of another one than was asked for.

    Args:
        reader: the read tables, under the keys of the units.
        population: whose worth is told.
        fitted: the row of :func:`~bowtie_projections.views.loop.tally.fitted`.

    Raises:
        Refused: there are several.
    """
    question, low, high = population.question, fitted["currency_low"], fitted["currency_high"]
    wanted = question.currency
    if low != high or (wanted is not None and low not in {None, wanted}):
        found = reader.fetch(population.currencies()).column(0).to_pylist()
        refuse_currencies([str(name) for name in found], wanted)
    if question.value == "contribution":
        costs = {fitted["cost_currency_low"], fitted["cost_currency_high"], low} - {None}
        if len(costs) > 1:
            refuse_currencies(sorted(costs), wanted)


def threshold_of(question: Question, fit: Mapping[str, Any]) -> Decimal:
    """The value from which on a customer is high (up to which it is low): given, or of the share.

    Raises:
        Refused: nobody was worth anything, or ties leave no such value.
    """
    if question.target == "unprofitable":
        return Decimal(0)
    if question.threshold is not None:
        return question.threshold
    if not fit["paying"]:
        raise Refused(
            "no customer of the older half was worth anything within the horizon, so there is no"
            " top share to take: check that contracts, orders or invoices are in the log"
            " (bowtie status), or ask with threshold="
        )
    low, fitted = question.target == "low", fit["fitted_worth"]
    fitted = -money(-fitted, down=True) if low else money(fitted, down=True)
    share = Decimal(fit["reaching"]) / fit["paying"]
    if not question.top / 2 <= share <= question.top * 2:
        best, reach = ("lowest", "do not pass") if low else ("top", "reach")
        paying = counted(fit["paying"], "paying customer")
        raise Refused(
            f"the {best} {percent(question.top)} of the {paying} of the older half can't be told"
            f" apart: {share:.0%} of them {reach} {amount(fitted, fit['currency_low'])}. Ask with"
            " threshold= and a value that means something, or with another top="
        )
    return fitted
