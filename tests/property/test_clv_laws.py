"""What is predicted, against histories read in Python and models asked directly."""

from __future__ import annotations

import random
from collections import defaultdict
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bowtie.errors import Refused, UsageError
from bowtie.events import ContractEnded, ContractSigned, Event, OrderPlaced
from bowtie.stages import load_definition
from bowtie_projections.clv.buying import BetaGeometric, Buyers
from bowtie_projections.clv.fitting import Fit
from bowtie_projections.clv.renewing import ShiftedBetaGeometric
from bowtie_projections.clv.spending import GammaGamma
from bowtie_projections.views.clv import clv
from bowtie_projections.views.cut import Cut
from tests.read_tables import Said

SHOP = load_definition("shop")
START = datetime(2024, 1, 1, tzinfo=UTC)
DAY = timedelta(days=1)
TODAY = START + timedelta(days=200)


def order(amount, kind="order"):
    return OrderPlaced(order="o", kind=kind, amount=amount, currency="EUR")


def orders_of(seed, customers=90):
    """Customers who order every few weeks and leave one day; some bring things back."""
    rng, said = random.Random(seed), []
    for name in range(customers):
        day, every = rng.randrange(0, 120), rng.choice((6, 14, 30))
        leaves = rng.choice((0.03, 0.1, 0.8))
        while day < 210:
            at = START + timedelta(days=day, hours=rng.randrange(24))
            said.append((f"c{name:03}", order(Decimal(rng.randint(100, 9000)) / 100), at))
            if rng.random() < 0.1:
                said.append((f"c{name:03}", order("5", "return"), at + DAY))
            day += 1 + int(rng.expovariate(1 / every))
            if rng.random() < leaves:
                break
    rng.shuffle(said)
    return [Said(c, data, at, place) for place, (c, data, at) in enumerate(said, start=1)]


def histories(log, end):
    """(first day, days with an order after it, what was spent on these) by customer."""
    days: defaultdict[str, Any] = defaultdict(lambda: defaultdict(Decimal))
    for fact in log:
        if fact.occurred_at <= end and fact.data.kind == "order":
            days[fact.customer][fact.occurred_at.date()] += fact.data.amount
    found = {}
    for name, own in sorted(days.items()):
        first, *more = sorted(own)
        found[name] = (first, more, sum((own[day] for day in more), Decimal(0)))
    return found


def fit_of(rows, model):
    values = [row["fitted"] for row in rows if row["model"] == model]
    return Fit(tuple(values), 0.0, True, 1, 1, 1)


@pytest.mark.slow
@given(st.integers(0, 10_000), st.sampled_from((0, 40)))
def test_orders_ahead_are_what_the_models_say_of_the_histories(memory, seed, later):
    log = orders_of(seed)
    memory.load(log, SHOP)
    today = TODAY - later * DAY
    cut = Cut(memory.position, today)
    answer = clv(memory, cut, SHOP, who=True, horizon="90d", holdout="50d")
    told = histories(log, today)
    assert [row["customer"] for row in answer] == list(told)

    returned = sum(5 for f in log if f.occurred_at <= today and f.data.kind == "return")
    ordered = sum(f.data.amount for f in log if f.occurred_at <= today and f.data.kind == "order")
    kept = 1 - returned / float(ordered)
    models = answer.part("models").rows()
    buying = BetaGeometric(fit_of(models, "bg/nbd"))
    spending = GammaGamma(fit_of(models, "gamma-gamma"))
    x = np.array([len(more) for _, more, _ in told.values()], float)
    recency = [(more[-1] - first).days if more else 0 for first, more, _ in told.values()]
    age = [(today.date() - first).days for first, _, _ in told.values()]
    buyers = Buyers.of(x, np.array(recency) / 7, np.array(age) / 7)
    mean = np.array([float(s) / max(len(more), 1) for _, more, s in told.values()])
    assert [row["purchases"] for row in answer] == [n + 1 for n in x]
    assert [row["recency_days"] for row in answer] == recency
    assert [row["age_days"] for row in answer] == age
    assert [row["alive"] for row in answer] == pytest.approx(buying.alive(buyers))
    expected = buying.expected(buyers, 90 / 7)
    assert [row["expected_purchases"] for row in answer] == pytest.approx(expected)
    value = expected * spending.expected(x, mean) * kept
    found = [float(row["predicted_value"]) for row in answer]
    assert found == pytest.approx(value, abs=0.0051)
    # the likelihood is that of these histories, and no other parameters are likelier
    again = BetaGeometric.fitted(buyers)
    assert models[0]["log_likelihood"] == pytest.approx(again.fit.log_likelihood, abs=0.01)

    # the days held out are counted as they came
    since = (today - 50 * DAY).date()
    then = histories(log, today - 49 * DAY - timedelta(microseconds=1))
    came: defaultdict[int, int] = defaultdict(int)
    for name, (_, more, _) in then.items():
        came[min(len(more), 7)] += sum(day > since for day in told[name][1])
    rows = answer.part("holdout").rows()
    if rows:
        assert {int(row["purchases_before"][0]): row["observed"] for row in rows} == came
        assert sum(row["customers"] for row in rows) == len(then)


def test_cohorts_and_customers_are_parts_of_the_whole_to_the_cent(memory):
    memory.load(orders_of(7), SHOP)
    cut = Cut(memory.position, TODAY)
    each = clv(memory, cut, SHOP, who=True)
    parts = clv(memory, cut, SHOP, cohort="month").rows()
    [whole] = clv(memory, cut, SHOP).rows()
    assert sum(row["customers"] for row in parts) == whole["customers"] == len(each)
    for name in ("predicted_value", "purchases"):
        assert sum(row[name] for row in parts) == whole[name] == sum(row[name] for row in each)


def contracts_of(seed, per="month", customers=80):
    """Customers who signed one day, and some who ended it."""
    rng = random.Random(seed)
    said: list[tuple[str, Event, datetime]] = []
    for name in range(customers):
        day = rng.randrange(0, 190)
        at = START + timedelta(days=day)
        signed = ContractSigned(
            contract="c", kind="paid", amount=rng.randint(10, 900), per=per, currency="EUR",
            starts_on=at.date(), auto_renews=True,
        )  # fmt: skip
        said.append((f"c{name:03}", signed, at))
        leaves = day + 30 * (1 + int(rng.expovariate(rng.choice((1, 0.1)))))
        if leaves < 240:
            last = START + timedelta(days=leaves - 1)
            ended = ContractEnded(contract="c", effective_on=last.date())
            said.append((f"c{name:03}", ended, min(last, TODAY)))
    return [Said(c, data, at, place) for place, (c, data, at) in enumerate(said, start=1)]


@given(st.integers(0, 10_000), st.sampled_from((None, "0.2")))
def test_contracts_ahead_are_added_up_day_by_day(memory, seed, discount):
    log = contracts_of(seed)
    memory.load(log, SHOP)
    cut = Cut(memory.position, TODAY)
    answer = clv(memory, cut, SHOP, who=True, horizon="70d", discount=discount, holdout="60d")
    model = ShiftedBetaGeometric(fit_of(answer.part("models").rows(), "sbg"))
    term, today = 365 / 12, TODAY.date()
    said: dict[str, dict[type, Any]] = {fact.customer: {} for fact in log}
    for fact in log:
        said[fact.customer][type(fact.data)] = fact.data
    for row in answer:
        signed = said[row["customer"]][ContractSigned]
        ended = said[row["customer"]].get(ContractEnded)
        age, last = (today - signed.starts_on).days, ended.effective_on if ended else None
        runs = last is None or last >= today
        assert (row["alive"], row["age_days"]) == (runs, age)
        if not runs:
            assert (row["predicted_value"], row["expected_purchases"]) == (0, 0)
            days = (last - signed.starts_on).days + 1
            assert row["purchases"] == max(1, round(days / term))
            continue
        begun = int(age // term)
        assert row["purchases"] == begun + 1
        value, rate = 0.0, 1 + float(discount or 0)
        for ahead in range(1, 71):
            if last is not None and today + ahead * DAY > last:
                break
            stays = model.surviving((age + ahead) // term) / model.surviving(float(begun))
            value += float(signed.amount) * 12 / 365 * stays * rate ** (-ahead / 365)
        close = 0.006 if discount is None else 0.006 + 1e-3 * value
        assert float(row["predicted_value"]) == pytest.approx(value, abs=close)


def test_what_is_held_out_of_contracts_is_who_stayed(memory):
    log = contracts_of(3)
    memory.load(log, SHOP)
    answer = clv(memory, Cut(memory.position, TODAY), SHOP, holdout="60d")
    then = (TODAY - 60 * DAY).date()
    ended: dict[str, Any] = {}
    for fact in log:
        if isinstance(fact.data, ContractEnded):
            ended[fact.customer] = fact.data.effective_on
    signed = [
        f for f in log if f.data.type_name == "contract_signed" and f.occurred_at.date() <= then
    ]
    there = [f.customer for f in signed if ended.get(f.customer, TODAY.date()) >= then]
    stayed = [name for name in there if ended.get(name, TODAY.date()) >= TODAY.date()]
    rows = answer.part("holdout").rows()
    assert sum(row["customers"] for row in rows) == len(there)
    assert sum(row["observed"] for row in rows) == len(stayed)
    assert sum(row["expected"] for row in rows) == pytest.approx(len(stayed), rel=0.25)


def test_what_a_discount_takes_off(memory):
    memory.load(orders_of(1), SHOP)
    cut = Cut(memory.position, TODAY)
    plain, later = (
        clv(memory, cut, SHOP, discount=rate).rows()[0]["predicted_value"] for rate in (None, "0.1")
    )
    assert Decimal("0.93") < later / plain < Decimal("0.97")


def test_what_cannot_be_told_is_refused(memory):
    cut = Cut(999_999, TODAY)
    few = orders_of(1, customers=20)
    memory.load(few, SHOP)
    with pytest.raises(Refused, match="came again: from fewer than 30"):
        clv(memory, cut, SHOP)
    with pytest.raises(Refused, match="nobody has a paid contract"):
        clv(memory, cut, SHOP, of="contracts")
    under_contract = [
        Said(name, contracts_of(1, customers=1)[0].data, START, 1000 + place)
        for place, name in enumerate(sorted({fact.customer for fact in few}))
    ]
    memory.load([*few, *under_contract], SHOP)
    with pytest.raises(Refused, match="everybody who orders has a paid contract"):
        clv(memory, cut, SHOP, of="orders")
    with pytest.raises(Refused, match="came to a renewal or left"):
        clv(memory, cut, SHOP, term="year")
    slow = [
        Said(f"s{name}", order("9"), START + timedelta(days=day), 2 * name + place)
        for name in range(80)
        for place, day in enumerate((0, 150) if name < 31 else (180,), start=1)
    ]
    memory.load(slow, SHOP)
    with pytest.raises(Refused, match="silence says nothing yet"):
        clv(memory, Cut(999_999, START + 200 * DAY), SHOP)


def test_who_is_under_contract_is_left_out_of_orders(memory):
    log = orders_of(5)
    signed = contracts_of(5, customers=3)
    log += [
        Said(one.customer, one.data, one.occurred_at, len(log) + n)
        for n, one in enumerate(signed, 1)
    ]
    memory.load(log, SHOP)
    answer = clv(memory, Cut(memory.position, TODAY), SHOP, of="orders", who=True)
    assert {row["customer"] for row in answer}.isdisjoint({"c000", "c001", "c002"})
    assert any("3 with a paid contract are left out" in note for note in answer.notes)


@pytest.mark.parametrize(
    ("asked", "problem"),
    [
        ({"of": "leads"}, "orders or contracts"),
        ({"model": "arima"}, "bg/nbd or mbg/nbd"),
        ({"horizon": "1h"}, "whole days"),
        ({"horizon": "4000d"}, "ten years"),
        ({"discount": 10}, "rate by the year"),
        ({"discount": "ten"}, "rate by the year"),
        ({"term": "year", "of": "orders"}, "term is of contracts"),
        ({"cohort": "decade"}, "cohort is 'decade'"),
        ({"currency": "euro"}, "ISO 4217"),
    ],
)
def test_what_cannot_be_asked(memory, asked, problem):
    with pytest.raises(UsageError, match=problem):
        clv(memory, Cut(0), SHOP, **asked)


def test_an_empty_log_and_two_currencies(memory):
    memory.load([], SHOP)
    assert "nothing is expected" in clv(memory, Cut(0), SHOP).sentence
    dollars = OrderPlaced(order="o", kind="order", amount="1", currency="USD")
    memory.load([Said("a", order("1"), START, 1), Said("a", dollars, START, 2)], SHOP)
    with pytest.raises(Refused, match="EUR and USD"):
        clv(memory, Cut(2, TODAY), SHOP)
