"""What models expect of customers over a horizon ahead: purchases, value, who is still there."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import sqlalchemy as sa

from bowtie.durations import format_duration
from bowtie.events import PERSONAL_NAMES
from bowtie.stages import Definition
from bowtie_projections import tables
from bowtie_projections.localtime import day_of
from bowtie_projections.membership import LOOK_BACK
from bowtie_projections.results import Result
from bowtie_projections.views.clv import contracts, orders
from bowtie_projections.views.clv.forecast import Fitted, Forecast, Standing
from bowtie_projections.views.clv.question import Question, ask
from bowtie_projections.views.clv.tables import Rows
from bowtie_projections.views.clv.tables import holdout as holdout_of
from bowtie_projections.views.clv.tables import models as models_of
from bowtie_projections.views.cohorts import ALL
from bowtie_projections.views.cut import Cut, Reader, counts
from bowtie_projections.views.firsts import broken_down
from bowtie_projections.views.journey_source import settled_through
from bowtie_projections.views.labels import others_noted
from bowtie_projections.views.loop.numbers import percent
from bowtie_projections.views.loop.words import refuse_currencies
from bowtie_projections.views.shares import standing as standing_of
from bowtie_projections.views.units import Units

__all__ = ["Predicting", "clv", "foretold"]


def clv(
    reader: Reader,
    cut: Cut,
    definition: Definition,
    *,
    of: str | None = None,
    model: str = "bg/nbd",
    horizon: str | timedelta = "365d",
    discount: Decimal | float | str | None = None,
    holdout: str | timedelta | None = None,
    term: str | None = None,
    cohort: str = ALL,
    by: str | Sequence[str] = (),
    top: int = 10,
    who: bool = False,
    currency: str | None = None,
    unit: str = "customer",
    look_back: str | timedelta = LOOK_BACK,
    data_from: Any = None,
    data_through: Any = None,
    tz: str = "UTC",
    personal_names: Collection[str] = PERSONAL_NAMES,
) -> Result:
    """What is expected of customers over the horizon from the moment asked of on.

    Who orders without a contract is told by a model of buying (BG/NBD and its relatives) and one of
    spend (Gamma-Gamma); who is under contract by one of renewals (sBG). The formulas and their
    sources are in :mod:`bowtie_projections.clv`. Times are told to the models in weeks, or in terms
    of a contract.

    Args:
        reader: the read tables.
        cut: the position and the moment it is asked as of.
        definition: stands in the answer; the models read orders and contracts alone.
        of: ``orders`` or ``contracts``; if nothing is said, contracts where there are any.
        model: of buying: ``bg/nbd``, ``mbg/nbd`` or ``pareto/nbd``.
        horizon: whole days ahead, at most ten years.
        discount: a rate by the year that brings what is to come to the moment asked of; what is
            expected of 30 days counts as if it came in their middle.
        holdout: the models are fitted once more without so many last days, and judged by them; if
            nothing is said, a third of the history, at most the horizon.
        term: of contracts, from one renewal to the next: ``month``, ``quarter`` or ``year``.
        cohort: a row for each period of the first purchase or contract, or ``all`` together.
        by: breakdowns, as known at the first order, or when the first contract was signed. The
            models are those of all customers: what is expected of them is parted, not fitted anew.
        top: how many values of a breakdown stand apart; the rest are ``other``.
        who: a row for each customer instead.
        currency: refuse all others.
        unit: ``customer``, ``account`` or ``opportunity``.
        look_back: touches of a member count for the account from so long before the membership.
        data_from: where the data begins: who came before is younger here than in truth.
        data_through: up to when the data is complete; asked as of then.
        tz: the zone of days.
        personal_names: traits that are sealed.

    Returns:
        A row for each cohort of each cell, or customer: ``purchases`` so far (days with one; of
        contracts, terms begun), ``recency_days`` from the first to the last, ``age_days`` from the
        first to the moment asked of, ``alive``, ``expected_purchases`` (of contracts, renewals) and
        ``predicted_value`` within the horizon, in whole cents each. The part ``holdout``: expected
        against observed in days that the model was not shown. The part ``models``: parameters,
        log-likelihood and whether the search converged.

    Raises:
        UsageError: a value that can't be asked; one of contracts, where orders are told.
        UnknownName: a breakdown that is not there.
        Refused: too little is known; orders of who is under contract; several currencies; a
            breakdown that is sealed.
    """
    asked = {
        name: given for name, given in locals().items()
        if name not in {"reader", "cut", "definition"}
    }  # fmt: skip
    predicting, rows = foretold(reader, cut, definition, asked)
    question, units, found = predicting.question, predicting.units, rows.found
    table = rows.of_customers(units, question.cohort) if question.who else rows.table()
    parameters = question.parameters() | {"data_from": data_from, "data_through": data_through}
    meta = standing_of(definition, parameters, predicting.cut, units)
    if predicting.cut.moment is None:
        sentence = "No facts at this position, so nothing is expected of anybody."
        return Result("clv", table, sentence=sentence, meta=meta, sql=units.reader.statements)
    return Result(
        "clv",
        table,
        sentence=predicting.sentence(found),
        notes=[*predicting.notes(found), *_more_notes(rows, data_from)],
        sql=units.reader.statements,
        meta=meta | {"of": found.of, "currency": predicting.currency(found.of)},
        parts={"holdout": holdout_of(found), "models": models_of(found)},
    )


def foretold(
    reader: Reader, cut: Cut, definition: Definition, asked: Mapping[str, Any]
) -> tuple[Predicting, Rows]:
    """A forecast, and its customers by cell and cohort, by all parameters of :func:`clv`."""
    question = ask(asked)
    cut = settled_through(reader, cut, question.cells.data_through)
    units = Units.of(reader, cut, question.unit, question.look_back)
    predicting = Predicting(units, cut, question)
    found = Forecast.of_nobody() if cut.moment is None else predicting.forecast()
    members = None
    if question.cells.by:
        members = broken_down(
            units, cut, definition, question.cells, asked["personal_names"],
            contracts=found.of == "contracts",
        )  # fmt: skip
    return predicting, Rows.of(found, question, members)


def _more_notes(rows: Rows, data_from: Any) -> list[str]:
    """What to know of the cells, and of where the data begins."""
    notes = [] if rows.members is None else others_noted(rows.members.kept)
    if rows.members is not None:
        notes.append(
            "The models are those of all customers together; what is expected of each is added up"
            " by what was known when they first bought."
        )
    if data_from is not None:
        notes.append(
            f"The data begins {data_from}: who came before it has bought less here than in truth,"
            " and looks younger."
        )
    return notes


@dataclass(frozen=True, slots=True)
class Predicting:
    """One forecast, and what is said of it.

    Args:
        units: whose facts they are.
        cut: the facts that count, settled, with a moment.
        question: what was asked.
    """

    units: Units
    cut: Cut
    question: Question

    @property
    def today(self) -> date:
        """The day of the moment asked of."""
        assert self.cut.moment is not None  # noqa: S101 - for the type checker
        return day_of(self.cut.moment, self.question.tz)

    def forecast(self) -> Forecast:
        """What is expected of each customer.

        Raises:
            Refused: too little is known; several currencies.
        """
        reader = self.units.reader
        signed = tables.facts["contract_signed"]
        paid = counts(signed, self.cut), signed.c.kind == "paid"
        number = reader.fetch(sa.select(sa.func.count(sa.distinct(signed.c.customer))).where(*paid))
        contracted = int(number.column(0)[0].as_py())
        of = self.question.of
        if of is None:
            of = "orders" if self.question.term is None and not contracted else "contracts"
        self.currency(of)
        made = contracts.forecast if of == "contracts" else orders.forecast
        return made(Standing(reader, self.cut, self.today, contracted), self.question)

    def currency(self, of: str) -> str | None:
        """The one that amounts are in.

        Raises:
            Refused: there are several, or another one than was asked for.
        """
        table = tables.facts["contract_signed" if of == "contracts" else "order_placed"]
        asked = sa.select(table.c.currency).where(counts(table, self.cut))
        if of == "contracts":
            asked = asked.where(table.c.kind == "paid")
        rows = self.units.reader.fetch(asked.distinct().order_by(table.c.currency))
        found, wanted = rows.column(0).to_pylist(), self.question.currency
        if len(found) > 1 or (wanted is not None and found not in ([], [wanted])):
            refuse_currencies([str(one) for one in found], wanted)
        return str(found[0]) if found else None

    def sentence(self, found: Forecast) -> str:
        """Who is counted, by which models, and what the figure is."""
        number, named = len(found.age), " and ".join(one.name for one in found.models)
        expect = "expects" if len(found.models) == 1 else "expect"
        what = "an order" if found.of == "orders" else "a paid contract"
        who = f"{self.units.count(number)} with {what} by {self.today}"
        if found.of == "contracts":
            running = int(found.alive.sum())
            who += f", {running:,} of them under contract then"
        money = self.currency(found.of)
        value = f"Predicted value in {money}" if money else "Predicted value"
        if self.question.discount is not None:
            value += f" (discounted by {percent(self.question.discount)} a year)"
        return (
            f"{who}. {value} is what {named} {expect} over the"
            f" {format_duration(self.question.horizon)} from then on: no money that came."
        )

    def notes(self, found: Forecast) -> list[str]:
        """What to know before believing it."""
        notes = [said for one in found.models if (said := _doubt(one))]
        notes.append(_judgement(found))
        history = int(found.age.max(initial=0))
        if self.question.days > history:
            notes.append(
                f"The horizon is longer than the {history:,} days of history: nothing in the data"
                " can judge how it goes on from there."
            )
        number, value = found.new
        more = "further orders" if found.of == "orders" else "renewals"
        notes.append(
            f"Of a new customer {number:.2f} {more} are expected within the horizon, and"
            f" {value:,.2f} of value"
            + (" beside the first order." if found.of == "orders" else " at today's mean amount.")
        )
        return notes + found.notes


def _doubt(model: Fitted) -> str:
    """What is to be doubted of a fit."""
    fit = model.fit
    if not fit.converged:
        return (
            f"{model.name} did not converge, so its figures can't be relied on (see the part"
            " models)."
        )
    if fit.at_border:
        return (
            f"{model.name} ran to the border of what is searched (see the part models): the data"
            " do not tell how customers differ in it, and what it says of far ahead rests on that."
        )
    return ""


def _judgement(found: Forecast) -> str:
    judged = found.judged
    if judged.why_not:
        return judged.why_not
    expected = sum(row["expected"] for row in judged.rows)
    observed = sum(row["observed"] for row in judged.rows)
    what = "orders" if found.of == "orders" else "customers still under contract"
    ratio = f" ({expected / observed:.0%} of them)" if observed else ""
    return (
        f"Judged over the last {judged.days} days, which a second fit was not shown:"
        f" {expected:,.0f} {what} were expected{ratio}, {observed:,.0f} observed (see the part"
        " holdout)."
    )
