"""Forecasts of customers who order without a contract."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date, timedelta
from typing import Any

import numpy as np
import sqlalchemy as sa
from numpy.typing import NDArray
from sqlalchemy.sql.elements import ColumnElement

from bowtie.errors import Refused
from bowtie_projections import tables
from bowtie_projections.clv.buying import MODELS, Buyers, BuyingModel
from bowtie_projections.clv.fitting import Floats
from bowtie_projections.clv.spending import GammaGamma, correlation
from bowtie_projections.expressions import packed_field, packed_min
from bowtie_projections.value import MONEY
from bowtie_projections.views.clv.forecast import (
    Forecast,
    Judged,
    Standing,
    holdout_of,
    present_parts,
)
from bowtie_projections.views.clv.question import Question
from bowtie_projections.views.cut import counts
from bowtie_projections.views.purchases import purchases

__all__ = ["forecast"]

#: Under so many customers who came again nothing can be told.
_FEWEST = 30
#: Times are told to the models in weeks.
_WEEK = 7
#: Customers of so many further purchases, or more, are judged together.
_MANY = 7
#: Spend and frequency that correlate more than this are not independent.
_CORRELATED = 0.3


@dataclass(frozen=True, slots=True)
class _Bought:
    """What each customer has bought so far; all times in days.

    Args:
        x: days with a purchase after the first.
        recency: from the first purchase to the last.
        age: from the first purchase to the moment asked of.
        spent: at those further purchases together.
    """

    x: NDArray[np.int64]
    recency: NDArray[np.int64]
    age: NDArray[np.int64]
    spent: Floats

    def where(self, kept: NDArray[np.bool_]) -> _Bought:
        """Some of them."""
        times = self.x[kept], self.recency[kept], self.age[kept]
        return _Bought(*times, self.spent[kept])

    def alike(self) -> tuple[Buyers, NDArray[np.int64]]:
        """Those alike in one row, in weeks; and the row of each."""
        width = int(self.age.max()) + 1
        keys = (self.x * width + self.recency) * width + self.age
        found, first, place, many = np.unique(
            keys, return_index=True, return_inverse=True, return_counts=True
        )
        del found
        since, old = self.recency[first] / _WEEK, self.age[first] / _WEEK
        return Buyers.of(self.x[first], since, old, many), place


@dataclass(frozen=True, slots=True)
class _Expected:
    """What two models expect of each customer."""

    buying: BuyingModel
    spending: GammaGamma
    alive: Floats
    purchases: Floats
    value: Floats


def forecast(standing: Standing, question: Question) -> Forecast:
    """What is expected of each customer with a purchase who has no paid contract.

    Raises:
        Refused: too little is known.
    """
    today, reader = standing.today, standing.reader
    held = question.holdout or holdout_of(_first_day(standing, question), today, question.horizon)
    since = today - held
    rows = reader.fetch(_histories(standing, question, since))
    columns = {name: rows.column(name).to_numpy(zero_copy_only=False) for name in _NUMBERS}
    x, recency, age = (columns[name].astype(np.int64) for name in ("x", "recency", "age"))
    bought = _Bought(x, recency, age, columns["spent"])
    _check(bought, standing.contracted)
    kept = _kept(standing)
    found = _expected(bought, question.days, question, kept)
    then = _then(columns, held.days)
    judged = _judged(then, columns, question, kept, held)
    spent = bought.spent
    again = (x > 0) & (spent > 0)
    alike = correlation(x[again].astype(np.float64), spent[again] / x[again])
    return Forecast(
        of="orders",
        customers=rows.column("customer"),
        first=rows.column("first_on").to_numpy(zero_copy_only=False).astype("datetime64[D]"),
        purchases=x + 1,
        recency=bought.recency,
        age=bought.age,
        alive=found.alive,
        expected=found.purchases,
        value=found.value,
        models=(found.buying, found.spending),
        judged=judged,
        notes=[*_notes(alike, kept), *_on_contracts(standing.contracted)],
        unit_of_time="weeks",
        new=_new(found, question, kept),
    )


_NUMBERS = ("x", "recency", "age", "spent", "then_x", "then_recency", "then_spent")


def _bought(standing: Standing, question: Question) -> sa.Subquery:
    signed = tables.facts["contract_signed"]
    under_contract = sa.select(signed.c.customer).where(
        counts(signed, standing.cut), signed.c.kind == "paid"
    )
    found = purchases(standing.cut, question.tz).subquery("bought")
    return (
        sa.select(found.c.customer, found.c.day, found.c.amount)
        .where(found.c.customer.not_in(under_contract))
        .subquery("purchases")
    )


def _first_day(standing: Standing, question: Question) -> date | None:
    c = _bought(standing, question).c
    found: date | None = standing.reader.fetch(sa.select(sa.func.min(c.day))).column(0)[0].as_py()
    return found


def _histories(standing: Standing, question: Question, since: date) -> sa.Select[Any]:
    """Each customer with a purchase: now, and as it was at the end of an earlier day."""
    c = _bought(standing, question).c
    early = c.day <= sa.literal(since, sa.Date())
    first, packed = sa.func.min(c.day), packed_min(c.day, c.amount)
    per = (
        sa.select(
            c.customer,
            first.label("first_on"),
            sa.func.max(c.day).label("last_on"),
            sa.func.count().label("n"),
            sa.cast(sa.func.sum(c.amount), MONEY).label("total"),
            sa.func.max(sa.case((early, c.day))).label("then_on"),
            sa.func.sum(sa.case((early, 1), else_=0)).label("then_n"),
            sa.cast(sa.func.sum(sa.case((early, c.amount))), MONEY).label("then_total"),
            packed_field(packed, 1, MONEY).label("at_first"),
        )
        .group_by(c.customer)
        .subquery("per_customer")
    )
    p = per.c
    today = sa.literal(standing.today, sa.Date())

    def number(one: ColumnElement[Any]) -> ColumnElement[Any]:
        return sa.cast(one, sa.BigInteger())

    def amount(one: ColumnElement[Any]) -> ColumnElement[Any]:
        return sa.cast(one - p.at_first, sa.Double())

    one = sa.literal_column("1", sa.Integer())
    # who came after that day has then_x of -1
    return sa.select(
        p.customer,
        p.first_on,
        number(p.n - one).label("x"),
        number(p.last_on - p.first_on).label("recency"),
        number(today - p.first_on).label("age"),
        amount(p.total).label("spent"),
        number(p.then_n - one).label("then_x"),
        number(sa.func.coalesce(p.then_on, p.first_on) - p.first_on).label("then_recency"),
        amount(sa.func.coalesce(p.then_total, p.at_first)).label("then_spent"),
    ).order_by(p.customer)


def _kept(standing: Standing) -> float:
    """The share of what is ordered that is not given back."""
    o = tables.facts["order_placed"].c
    sums: list[ColumnElement[Any]] = [
        sa.cast(sa.func.sum(sa.case((which, o.amount), else_=0)), sa.Double()).label(name)
        for name, which in (("gross", o.kind != "return"), ("back", o.kind == "return"))
    ]
    asked = sa.select(*sums)
    row = standing.reader.fetch(
        asked.where(counts(tables.facts["order_placed"], standing.cut))
    ).to_pylist()[0]
    gross, back = row["gross"] or 0.0, row["back"] or 0.0
    return max(0.0, 1 - back / gross) if gross > 0 else 1.0


def _check(bought: _Bought, contracted: int) -> None:
    """Whether there is anything to tell from.

    Raises:
        Refused: there isn't; it says what would be.
    """
    again = bought.x > 0
    number = int(again.sum())
    if not len(bought.x) and contracted:
        raise Refused(
            "everybody who orders has a paid contract, and a contract says itself when it ends:"
            " these models tell from silence. Ask with of=contracts"
        )
    if number < _FEWEST:
        raise Refused(
            f"{number:,} of {len(bought.x):,} customers with an order came again: from fewer than"
            f" {_FEWEST} nothing can be told. Ask for value, or when more have"
        )
    typical = float(np.median(bought.recency[again] / bought.x[again]))
    history = float(np.median(bought.age))
    if history < typical:
        raise Refused(
            f"half of the customers have been seen for {history:.0f} days or less, and half of"
            f" those who came again take {typical:.0f} days or more from one order to the next:"
            " silence says nothing yet. Ask when there is more history"
        )


def _expected(bought: _Bought, days: int, question: Question, kept: float) -> _Expected:
    """What the models expect of each over so many days, fitted to all of them."""
    buyers, place = bought.alike()
    buying = MODELS[question.model](buyers)
    again = (bought.x > 0) & (bought.spent > 0)
    x = bought.x.astype(np.float64)
    mean = np.where(again, bought.spent / np.maximum(x, 1), 0.0)
    # in an order that is the same in every database
    order = np.lexsort((mean[again], x[again]))
    spending = GammaGamma.fitted(x[again][order], mean[again][order])
    if not np.isfinite(spending.mean_of_all()):
        raise Refused(
            "what customers spend at an order has so heavy a tail that it has no mean (q of"
            f" Gamma-Gamma is {spending.fit.values[1]:.2f}): a few very large orders make it so."
            " Look at them (bowtie value --by), or leave them out by a segment"
        )
    alive, expected = buying.alive(buyers), buying.expected(buyers, days / _WEEK)
    counted = _discounted(buying, buyers, days, question)
    spend = spending.expected(np.where(again, x, 0.0), mean)
    return _Expected(buying, spending, alive[place], expected[place], counted[place] * spend * kept)


def _discounted(buying: BuyingModel, buyers: Buyers, days: int, question: Question) -> Floats:
    """How many purchases to expect, each counting for what it is worth now."""
    total, before = np.zeros(len(buyers.x)), np.zeros(len(buyers.x))
    for until, part in present_parts(days, question.discount):
        so_far = buying.expected(buyers, until / _WEEK)
        total, before = total + (so_far - before) * part, so_far
    return total


def _new(found: _Expected, question: Question, kept: float) -> tuple[float, float]:
    """Purchases and value to expect of one who orders for the first time now, beside that order."""
    number, before = 0.0, 0.0
    for until, part in present_parts(question.days, question.discount):
        so_far = found.buying.expected_of_new(until / _WEEK)
        number, before = number + (so_far - before) * part, so_far
    return before, number * found.spending.mean_of_all() * kept


def _then(columns: dict[str, Any], held: int) -> tuple[_Bought, NDArray[np.bool_]]:
    """Those who had come before the days held out, as they stood then; and who they are."""
    there = columns["then_x"] >= 0
    whole = _Bought(
        columns["then_x"].astype(np.int64),
        columns["then_recency"].astype(np.int64),
        columns["age"].astype(np.int64) - held,
        columns["then_spent"],
    )
    return whole.where(there), there


def _judged(
    then: tuple[_Bought, NDArray[np.bool_]],
    columns: dict[str, Any],
    question: Question,
    kept: float,
    held: timedelta,
) -> Judged:
    """Expected against observed in the days held out, by how often they had bought before."""
    known, there = then
    try:
        _check(known, 0)
        found = _expected(known, held.days, replace(question, discount=None), kept)
    except Refused as error:
        return Judged(
            held.days, [], f"The model is not judged: of {held.days} days before, {error}."
        )
    came = (columns["x"] - columns["then_x"])[there]
    spent = (columns["spent"] - columns["then_spent"])[there]
    band = np.minimum(known.x, _MANY)
    rows = []
    for number in range(_MANY + 1):
        own = band == number
        if own.any():
            rows.append(
                {
                    "before": f"{number} or more" if number == _MANY else str(number),
                    "customers": int(own.sum()),
                    "expected": float(found.purchases[own].sum()),
                    "observed": float(came[own].sum()),
                    "expected_value": float(found.value[own].sum()),
                    # what was given back is not told of each order: the same share is taken off
                    "observed_value": float(spent[own].sum()) * kept,
                }
            )
    return Judged(held.days, rows)


def _notes(alike: float, kept: float) -> list[str]:
    notes = []
    if np.isfinite(alike):
        said = f"Spend and frequency correlate at {alike:.2f}; the model of spend takes them for"
        notes.append(
            f"{said} independent."
            + (" They are not: its values are off." if abs(alike) > _CORRELATED else "")
        )
    if kept < 1:
        notes.append(f"{1 - kept:.1%} of what is ordered is given back, and taken off.")
    return notes


def _on_contracts(contracted: int) -> list[str]:
    if not contracted:
        return []
    said = f"{contracted:,} with a paid contract are left out: their silence says nothing."
    return [f"{said} Ask of them with of=contracts."]
