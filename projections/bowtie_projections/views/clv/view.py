"""What models expect of customers over a horizon ahead: purchases, value, who is still there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import numpy as np
import sqlalchemy as sa

from bowtie.durations import format_duration
from bowtie.stages import Definition
from bowtie_projections import tables
from bowtie_projections.localtime import day_of
from bowtie_projections.membership import LOOK_BACK
from bowtie_projections.results import Result
from bowtie_projections.views.clv import contracts, orders
from bowtie_projections.views.clv.forecast import Fitted, Forecast, Standing, cents
from bowtie_projections.views.clv.question import Question, ask
from bowtie_projections.views.cohorts import ALL, cohort_label, first_day, first_moment, last_moment
from bowtie_projections.views.cut import Cut, Reader, counts
from bowtie_projections.views.journey_source import settled_through
from bowtie_projections.views.loop.numbers import percent
from bowtie_projections.views.loop.words import refuse_currencies
from bowtie_projections.views.shares import standing as standing_of
from bowtie_projections.views.shares import typed_table
from bowtie_projections.views.units import Units

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["Predicting", "clv"]


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
    who: bool = False,
    currency: str | None = None,
    unit: str = "customer",
    look_back: str | timedelta = LOOK_BACK,
    data_from: Any = None,
    data_through: Any = None,
    tz: str = "UTC",
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
        who: a row for each customer instead.
        currency: refuse all others.
        unit: ``customer``, ``account`` or ``opportunity``.
        look_back: touches of a member count for the account from so long before the membership.
        data_from: where the data begins: who came before is younger here than in truth.
        data_through: up to when the data is complete; asked as of then.
        tz: the zone of days.

    Returns:
        A row for each cohort, or customer: ``purchases`` so far (days with one; of contracts, terms
        begun), ``recency_days`` from the first to the last, ``age_days`` from the first to the
        moment asked of, ``alive``, ``expected_purchases`` (of contracts, renewals) and
        ``predicted_value`` within the horizon, in whole cents each. The part ``holdout``: expected
        against observed in days that the model was not shown. The part ``models``: parameters,
        log-likelihood and whether the search converged.

    Raises:
        UsageError: a value that can't be asked.
        Refused: too little is known; orders of who is under contract; several currencies.
    """
    asked = {
        name: given for name, given in locals().items()
        if name not in {"reader", "cut", "definition", "data_from", "data_through"}
    }  # fmt: skip
    question = ask(asked)
    first_moment(data_from, question.tz)  # refuses what is none
    cut = settled_through(reader, cut, last_moment(data_through, question.tz))
    units = Units.of(reader, cut, question.unit, question.look_back)
    predicting = Predicting(units, cut, question)
    meta = standing_of(
        definition,
        question.parameters() | {"data_from": data_from, "data_through": data_through},
        cut,
        units,
    )
    if cut.moment is None:
        nobody = _table([], question, units)
        sentence = "No facts at this position, so nothing is expected of anybody."
        return Result("clv", nobody, sentence=sentence, meta=meta, sql=units.reader.statements)
    found = predicting.forecast()
    notes = predicting.notes(found)
    if data_from is not None:
        notes.append(
            f"The data begins {data_from}: who came before it has bought less here than in truth,"
            " and looks younger."
        )
    parts = {"holdout": _holdout(found), "models": _models(found)}
    rows = _of_customers(found, question) if question.who else _of_cohorts(found, question)
    return Result(
        "clv",
        _table(rows, question, units),
        sentence=predicting.sentence(found),
        notes=notes,
        sql=units.reader.statements,
        meta=meta | {"of": found.of, "currency": predicting.currency(found.of)},
        parts=parts,
    )


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


def _labels(found: Forecast, cohort: str) -> list[str]:
    """The cohort of each customer."""
    if cohort == ALL:
        return [ALL] * len(found.first)
    days, place = np.unique(found.first, return_inverse=True)
    named = [cohort_label(first_day(day, cohort), cohort) for day in days.astype(object)]
    return [named[one] for one in place]


def _of_customers(found: Forecast, question: Question) -> list[dict[str, Any]]:
    value = cents(found.value)
    recency = found.recency if found.recency is not None else [None] * len(found.age)
    return [
        {
            "customer": customer, "cohort": label, "customers": 1, "first_on": first,
            "purchases": int(n), "recency_days": None if since is None else float(since),
            "age_days": float(age), "alive": float(alive), "expected_purchases": float(more),
            "predicted_value": Decimal(int(worth)) / 100, "predicted_mean": None,
        }
        for customer, label, first, n, since, age, alive, more, worth in zip(
            found.customers.to_pylist(), _labels(found, question.cohort),
            found.first.astype(object), found.purchases, recency, found.age, found.alive,
            found.expected, value, strict=True,
        )
    ]  # fmt: skip


def _of_cohorts(found: Forecast, question: Question) -> list[dict[str, Any]]:
    labels = np.array(_labels(found, question.cohort))
    value = cents(found.value)
    rows = []
    for label in np.unique(labels):
        own = labels == label
        number, total = int(own.sum()), int(value[own].sum())
        rows.append(
            {
                "cohort": str(label),
                "customers": number,
                "purchases": int(found.purchases[own].sum()),
                "recency_days": None if found.recency is None else float(found.recency[own].mean()),
                "age_days": float(found.age[own].mean()),
                "alive": float(found.alive[own].mean()),
                "expected_purchases": float(found.expected[own].sum()),
                "predicted_value": Decimal(total) / 100,
                "predicted_mean": round(Decimal(total) / 100 / number, 6),
            }
        )
    return rows


def _table(rows: Sequence[Mapping[str, Any]], question: Question, units: Units) -> pa.Table:
    import pyarrow as pa

    money = pa.decimal128(38, 6)
    figures: dict[str, Any] = {
        "purchases": pa.int64(), "recency_days": pa.float64(), "age_days": pa.float64(),
        "alive": pa.float64(), "expected_purchases": pa.float64(), "predicted_value": money,
    }  # fmt: skip
    if question.who:
        kinds = {"customer": pa.string(), "cohort": pa.string(), "first_on": pa.date32()}
        table = typed_table(rows, kinds | figures, {})
        if question.cohort == ALL:
            table = table.drop_columns(["cohort"])
        return units.by_name(table)
    kinds = {"cohort": pa.string(), "customers": pa.int64()}
    return typed_table(rows, kinds | figures | {"predicted_mean": money}, {})


def _holdout(found: Forecast) -> pa.Table:
    import pyarrow as pa

    before = "purchases_before" if found.of == "orders" else "renewals_before"
    kinds = {"before": pa.string(), "customers": pa.int64()}
    kinds |= dict.fromkeys(("expected", "observed"), pa.float64())
    money = ("expected_value", "observed_value")
    rows: list[dict[str, Any]] = [
        row | {name: None if row[name] is None else round(Decimal(row[name]), 2) for name in money}
        for row in found.judged.rows
    ]
    kinds |= dict.fromkeys(money, pa.decimal128(38, 6))
    return typed_table(rows, kinds, {"before": before})


def _models(found: Forecast) -> pa.Table:
    import pyarrow as pa

    kinds = {
        "model": pa.string(), "parameter": pa.string(), "fitted": pa.float64(),
        "customers": pa.int64(), "log_likelihood": pa.float64(), "converged": pa.bool_(),
        "at_border": pa.bool_(),
        "starts_agreed": pa.int64(), "starts": pa.int64(), "time": pa.string(),
    }  # fmt: skip
    rows = [
        {
            "model": one.name, "parameter": name, "fitted": value,
            "customers": int(one.fit.customers), "log_likelihood": one.fit.log_likelihood,
            "converged": one.fit.converged, "at_border": one.fit.at_border,
            "starts_agreed": one.fit.agreed, "starts": one.fit.starts,
            "time": None if one.name == "gamma-gamma" else found.unit_of_time,
        }
        for one in found.models
        for name, value in one.named().items()
    ]  # fmt: skip
    return typed_table(rows, kinds, {})
