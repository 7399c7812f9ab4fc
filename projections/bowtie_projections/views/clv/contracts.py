"""Forecasts of customers under contract: who renews, and what comes of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import numpy as np
import sqlalchemy as sa
from numpy.typing import NDArray

from bowtie.errors import Refused
from bowtie_projections import tables
from bowtie_projections.clv.fitting import Floats
from bowtie_projections.clv.renewing import ShiftedBetaGeometric
from bowtie_projections.contracts import Rates, rates
from bowtie_projections.value import MONEY
from bowtie_projections.views.clv.forecast import Forecast, Judged, Standing, holdout_of
from bowtie_projections.views.clv.question import TERMS, Question
from bowtie_projections.views.cut import counts

__all__ = ["forecast"]

#: Under so many customers who came to a renewal nothing can be told.
_FEWEST = 30
#: Customers of so many renewals, or more, are judged together.
_MANY = 7
#: A contract that nobody has ended runs on; later than all days.
_OPEN = np.iinfo(np.int64).max // 4


@dataclass(frozen=True, slots=True)
class _Lives:
    """From the first day of the first contract to the last of the last; in days from the first.

    Args:
        age: to the moment asked of.
        until: the last day, where one is known; else far ahead.
        term: from one renewal to the next.
    """

    age: NDArray[np.int64]
    until: NDArray[np.int64]
    term: float

    def at(self, ago: int) -> _Lives:
        """The same, so many days ago, of those who had begun."""
        begun = self.age >= ago
        return _Lives(self.age[begun] - ago, self.until[begun], self.term)

    @property
    def running(self) -> NDArray[np.bool_]:
        """Whether the last day is not over."""
        return self.until >= self.age

    @property
    def renewals(self) -> Floats:
        """How many were passed, in whole numbers: all terms begun but the first."""
        begun = np.floor(self.age / self.term)
        ended = np.maximum(np.rint((np.minimum(self.until, _OPEN - 1) + 1) / self.term) - 1, 0)
        return np.where(self.running, begun, ended)

    def fitted(self) -> ShiftedBetaGeometric:
        """The model of the greatest likelihood.

        Raises:
            Refused: too few have come to a renewal.
        """
        running, passed = self.running, self.renewals.astype(np.int64)
        asked = int((~running | (passed > 0)).sum())
        if asked < _FEWEST:
            raise Refused(
                f"{asked:,} of {len(running):,} customers with a contract came to a renewal or"
                f" left at one: from fewer than {_FEWEST} nothing can be told. Ask when more have,"
                " or with another term="
            )
        size = int(passed.max()) + 1
        lost = np.bincount(passed[~running], minlength=size).astype(np.float64)
        kept = np.bincount(passed[running], minlength=size).astype(np.float64)
        there = lost + kept > 0
        return ShiftedBetaGeometric.fitted(
            np.arange(size)[there].astype(float), lost[there], kept[there]
        )


def forecast(standing: Standing, question: Question) -> Forecast:
    """What is expected of each customer with a paid contract.

    Raises:
        Refused: too little is known.
    """
    term = question.term or _commonest(standing)
    rows = standing.reader.fetch(_spans(standing, question))
    numbers = {
        name: rows.column(name).to_numpy(zero_copy_only=False).astype(np.int64)
        for name in ("age", "until", "going_on")
    }
    going_on = numbers["going_on"] > 0
    until = np.where(going_on, _OPEN, numbers["until"])
    lives = _Lives(numbers["age"], until, TERMS[term])
    if not len(lives.age):
        raise Refused(
            "nobody has a paid contract: ask with of=orders, or record contract_signed of kind paid"
        )
    model = lives.fitted()
    annual = rows.column("annual").to_numpy(zero_copy_only=False)
    renewed, value = _ahead(lives, model, annual, question)
    running = lives.running
    first = rows.column("first_on").to_numpy(zero_copy_only=False).astype("datetime64[D]")
    oldest = None if not len(first) else first.min().astype(object)
    held = question.holdout or holdout_of(oldest, standing.today, question.horizon)
    new = _Lives(np.zeros(1, np.int64), np.array([_OPEN]), lives.term)
    mean = float(annual[running].mean()) if running.any() else 0.0
    of_new = _ahead(new, model, np.array([mean]), question)
    return Forecast(
        of="contracts",
        customers=rows.column("customer"),
        first=first,
        purchases=lives.renewals.astype(np.int64) + 1,
        recency=None,
        age=lives.age,
        alive=running.astype(np.float64),
        expected=renewed,
        value=value,
        models=(model,),
        judged=_judged(lives, held),
        notes=[*_notes(term, question), *_on_orders(standing)],
        unit_of_time=f"terms of a {term}",
        new=(float(of_new[0][0]), float(of_new[1][0])),
    )


def _spans(standing: Standing, question: Question) -> sa.Select[Any]:
    """Each customer whose first contract has begun: its first day, the last, the amount a year."""
    signed = tables.facts["contract_signed"]
    everybody = (
        sa.select(signed.c.customer)
        .where(counts(signed, standing.cut), signed.c.kind == "paid")
        .distinct()
        .cte("under_contract")
    )
    read = Rates(standing.cut, standing.today, question.tz)
    c = sa.select(rates(read, everybody).subquery("known")).subquery("spans").c
    today = sa.literal(standing.today, sa.Date())
    now = sa.and_(c.from_on <= today, sa.or_(c.to_on.is_(None), c.to_on >= today))
    per = (
        sa.select(
            c.customer,
            sa.func.min(c.from_on).label("first_on"),
            sa.func.max(c.to_on).label("last_on"),
            sa.func.max(sa.case((c.to_on.is_(None), 1), else_=0)).label("going_on"),
            sa.func.sum(sa.case((now, c.annual))).label("annual"),
        )
        # a span that ends before it begins was never in force
        .where(sa.or_(c.to_on.is_(None), c.to_on >= c.from_on))
        .group_by(c.customer)
        .subquery("per_customer")
    )
    p = per.c
    return (
        sa.select(
            p.customer,
            p.first_on,
            sa.cast(today - p.first_on, sa.BigInteger()).label("age"),
            sa.cast(sa.func.coalesce(p.last_on, p.first_on) - p.first_on, sa.BigInteger()).label(
                "until"
            ),
            sa.cast(p.going_on, sa.BigInteger()).label("going_on"),
            sa.cast(sa.cast(sa.func.coalesce(p.annual, 0), MONEY), sa.Double()).label("annual"),
        )
        .where(p.first_on <= today)
        .order_by(p.customer)
    )


def _commonest(standing: Standing) -> str:
    """The commonest term of the paid contracts: as long as they say, else as they are priced."""
    signed = tables.facts["contract_signed"]
    c = signed.c
    length = sa.cast(c.ends_on - c.starts_on, sa.Integer())
    counted = (
        sa.select(length.label("days"), c.per, sa.func.count().label("n"))
        .where(counts(signed, standing.cut), c.kind == "paid")
        .group_by(length, c.per)
    )
    found: dict[str, int] = dict.fromkeys(TERMS, 0)
    for row in standing.reader.fetch(counted).to_pylist():
        found[_term_of(row)] += row["n"]
    return max(found, key=lambda name: found[name])


def _term_of(row: Mapping[str, Any]) -> str:
    if row["days"] is None:
        return str(row["per"])
    return min(TERMS, key=lambda name: abs(TERMS[name] - row["days"] - 1))


def _ahead(
    lives: _Lives, model: ShiftedBetaGeometric, annual: Floats, question: Question
) -> tuple[Floats, Floats]:
    """Renewals and value to expect of each within the horizon.

    A contract accrues by day, as realised value does; a term that has begun is paid to its end,
    and each further one counts with the chance that it is reached.
    """
    days = question.days
    age, passed = lives.age.astype(np.float64), lives.renewals
    renewals, value = np.zeros(len(age)), np.zeros(len(age))
    rate = 1.0 if question.discount is None else float(1 + question.discount)
    last = np.minimum(lives.until - lives.age, days).astype(np.float64)
    now = model.surviving(passed)
    for step in range(int(days / lives.term) + 2):
        # whole days after today: of the running term from tomorrow on, of others from its renewal
        begins = np.maximum(np.ceil((passed + step) * lives.term) - age, 1.0)
        ends = np.minimum(np.ceil((passed + step + 1) * lives.term) - age, last + 1)
        length = np.where(lives.running, np.maximum(ends - begins, 0.0), 0.0)
        reached = model.surviving(passed + step) / now
        middle = begins + (length - 1) / 2
        value += annual / 365 * length * reached * rate ** (-middle / 365)
        if step:
            renewals += np.where(length > 0, reached, 0.0)
    return renewals, value


def _judged(lives: _Lives, held: timedelta) -> Judged:
    """Who was expected to be under contract at the end of the days held out, and who was."""
    then = lives.at(held.days)
    try:
        model = then.fitted()
    except Refused as error:
        return Judged(
            held.days, [], f"The model is not judged: of {held.days} days before, {error}."
        )
    there = then.running
    passed = then.renewals[there]
    later = np.floor((then.age[there] + held.days) / then.term)
    expected = model.surviving(later) / model.surviving(passed)
    stayed = then.until[there] >= then.age[there] + held.days
    band = np.minimum(passed, _MANY)
    rows: list[dict[str, Any]] = []
    for number in range(_MANY + 1):
        own = band == number
        if own.any():
            rows.append(
                {
                    "before": f"{number} or more" if number == _MANY else str(number),
                    "customers": int(own.sum()),
                    "expected": float(expected[own].sum()),
                    "observed": float(stayed[own].sum()),
                    "expected_value": None,
                    "observed_value": None,
                }
            )
    return Judged(held.days, rows)


def _notes(term: str, question: Question) -> list[str]:
    why = "as asked" if question.term else "the commonest term"
    renewing = (
        f"Contracts renew by the {term} here, {why}; a customer is lost when the last contract"
        " ends, and who came back after a gap counts as never gone."
    )
    costing = (
        "What a contract costs now is taken to be what it will cost: neither expansion nor"
        " contraction is expected."
    )
    return [renewing, costing]


def _on_orders(standing: Standing) -> list[str]:
    ordered = tables.facts["order_placed"]
    known = sa.select(sa.func.count()).where(counts(ordered, standing.cut))
    if not standing.reader.fetch(known).column(0)[0].as_py():
        return []
    return ["Orders are not in it: ask of customers without a contract with of=orders."]
