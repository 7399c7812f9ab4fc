"""What a customer was worth, against a reading of the facts day by day in Python."""

from __future__ import annotations

import random
from collections import defaultdict
from datetime import UTC, date, datetime, time, timedelta
from decimal import ROUND_HALF_UP, Decimal, localcontext
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import given, settings
from hypothesis import strategies as st

from bowtie.events import (
    ContractChanged,
    ContractEnded,
    ContractRenewed,
    ContractSigned,
    CostIncurred,
    Credited,
    Invoiced,
    OrderPlaced,
    Paid,
    Refunded,
    WrittenOff,
)
from bowtie_projections.value import Horizon, values
from bowtie_projections.views.cut import Cut
from tests.read_tables import Said, counted

START = date(2023, 1, 1)
CUSTOMERS = ("a", "b", "ä'c")
BILLING = (Invoiced, Credited, Refunded, WrittenOff)
YEARLY = {"month": 12, "quarter": 4, "year": 1}

days = st.integers(0, 500).map(lambda n: START + timedelta(days=n))
maybe_days = st.none() | days
amounts = st.integers(-2000, 100_000).map(lambda cents: Decimal(cents) / 100)
contracts = st.sampled_from(("c1", "c2"))
pers = st.sampled_from(("month", "quarter", "year"))
invoices = st.sampled_from(("i1", "i2"))
currencies = st.sampled_from(("EUR", "USD"))


@st.composite
def signings(draw):
    starts = draw(days)
    length = draw(st.none() | st.integers(0, 400))
    return ContractSigned(
        contract=draw(contracts),
        kind=draw(st.sampled_from(("paid", "paid", "trial"))),
        amount=draw(amounts),
        per=draw(pers),
        currency=draw(currencies),
        starts_on=starts,
        ends_on=None if length is None else starts + timedelta(days=length),
        auto_renews=draw(st.sampled_from((None, None, False, True))),
        replaces=draw(st.sampled_from((None, None, "c1", "c2"))),
    )


@st.composite
def renewals(draw):
    starts, length = draw(maybe_days), draw(st.none() | st.integers(0, 400))
    ends = None if length is None else (starts or draw(days)) + timedelta(days=length)
    return ContractRenewed(
        contract=draw(contracts),
        amount=draw(amounts),
        per=draw(pers),
        starts_on=starts,
        ends_on=ends,
    )


def on_invoice(model):
    return st.builds(model, invoice=invoices, amount=amounts, currency=currencies)


events = st.one_of(
    signings(),
    signings(),
    renewals(),
    st.builds(
        ContractChanged,
        contract=contracts,
        kind=st.just("price"),
        amount=amounts,
        per=pers,
        effective_on=maybe_days,
    ),
    st.builds(ContractEnded, contract=contracts, effective_on=maybe_days),
    st.builds(
        OrderPlaced,
        order=st.just("o"),
        kind=st.sampled_from(("order", "exchange")),
        amount=amounts,
        currency=currencies,
    ),
    st.builds(
        OrderPlaced,
        order=st.just("o"),
        kind=st.just("return"),
        amount=amounts.map(abs),
        currency=currencies,
    ),
    st.builds(
        Invoiced,
        invoice=invoices,
        kind=st.sampled_from(("recurring", "discount")),
        amount=amounts,
        currency=currencies,
    ),
    on_invoice(Credited),
    on_invoice(Refunded),
    on_invoice(WrittenOff),
    on_invoice(Paid),
    st.builds(
        CostIncurred,
        activity=st.sampled_from(("acquire", "sell", "onboard", "serve")),
        amount=amounts,
        currency=st.just("EUR"),
    ),
)
moments = st.integers(0, 600 * 24).map(
    lambda hour: datetime(2023, 1, 1, tzinfo=UTC) + timedelta(hours=hour)
)


@st.composite
def logs(draw):
    """Facts of a few customers in any order; some retracted before or after they are recorded."""
    said = draw(
        st.lists(
            st.tuples(st.sampled_from(CUSTOMERS), events, moments, st.integers(-1, 20)), max_size=16
        )
    )
    return [
        Said(customer, data, at, position, retracted_position=None if gone < 15 else gone)
        for position, (customer, data, at, gone) in enumerate(said, start=1)
    ]


def lines_of(facts, contract):
    """(from_on, occurred_at, position, annual, is_term, ends_on, free, currency), as they hold."""
    lines, ends_before = [], None
    own = [f for f in facts if getattr(f.data, "contract", None) == contract]
    own.sort(key=lambda f: (f.occurred_at, f.position))
    currency = next(f.data.currency for f in own if isinstance(f.data, ContractSigned))
    for fact in own:
        data, day = fact.data, fact.occurred_at.date()
        annual = data.amount * YEARLY[data.per] if hasattr(data, "per") else None
        match data:
            case ContractSigned():
                row = (data.starts_on, annual, True, data.ends_on, data.kind != "paid")
                ends_before, currency = data.ends_on, data.currency
            case ContractRenewed():
                after = ends_before + timedelta(days=1) if ends_before else day
                row = (data.starts_on or after, annual, True, data.ends_on, False)
                ends_before = data.ends_on
            case ContractChanged():
                row = (data.effective_on or day, annual, False, None, False)
            case _:
                continue
        lines.append((row[0], fact.occurred_at, fact.position, *row[1:], currency))
    return sorted(lines, key=lambda line: line[:3])


def annual_on(facts, contract, day, as_of):
    """What the contract cost a year on that day, and in which currency; None if nothing held."""
    signed = [f.data for f in facts if isinstance(f.data, ContractSigned)]
    paid = [s for s in signed if s.contract == contract and s.kind == "paid"]
    if not paid:
        return None
    lines = lines_of(facts, contract)
    holding = [line for line in lines if line[0] <= day]
    terms = [line for line in holding if line[4]]
    ended = [
        f.data.effective_on or f.occurred_at.date()
        for f in facts
        if isinstance(f.data, ContractEnded) and f.data.contract == contract
    ]
    replaced = [s.starts_on - timedelta(days=1) for s in signed if s.replaces == contract]
    if not terms or any(day > last for last in ended + replaced):
        return None
    term, (*_, last_term) = terms[-1], [line for line in lines if line[4]]
    ends_on, free = term[5], term[6]
    runs_on = any(s.auto_renews for s in paid) or (
        term is last_term and (bool(ended) or (ends_on and as_of <= ends_on + timedelta(days=30)))
    )
    if free or (ends_on and day > ends_on and not runs_on):
        return None
    return holding[-1][3], holding[-1][7]


def present(rate, days):
    """What an amount of so many days later counts for, by its logarithm."""
    with localcontext(prec=50):
        power = (-(1 + rate).ln() * days / 365).exp()
        return power.quantize(Decimal("1e-12"))


def accrued(facts, t0, horizon, as_of, *, realised=False):
    """(day's number, annual, currency) of each contract and day of the horizon it held on."""
    held = []
    for number in range(horizon):
        day = t0.date() + timedelta(days=number)
        if not realised or day <= as_of:
            lines = [annual_on(facts, contract, day, as_of) for contract in ("c1", "c2")]
            held += [(number, *line) for line in lines if line]
    return held


def billed(inside, counted_for):
    """What the invoices came to, less what was taken back, as of time zero."""
    sums: defaultdict[tuple[str, str], dict[type, Decimal]] = defaultdict(
        lambda: dict.fromkeys(BILLING, Decimal(0))
    )
    later: defaultdict[tuple[str, str, type], Decimal] = defaultdict(Decimal)
    for fact in inside:
        data = fact.data
        if isinstance(data, BILLING):
            sums[data.invoice, data.currency][type(data)] += data.amount
            later[data.invoice, data.currency, type(data)] += data.amount * counted_for(fact)
    total = Decimal(0)
    for bill, s in sums.items():
        back = Credited if s[Credited] >= s[Refunded] else Refunded
        total += later[*bill, Invoiced] - later[*bill, back] - later[*bill, WrittenOff]
    return total


def worth(facts, t0, horizon, as_of, *, realised=False, rate=Decimal(0)):
    """(revenue, costs, how many costs, the revenue's currencies) of one customer, times 365."""

    def counted_for(fact):
        return present(rate, (fact.occurred_at.date() - t0.date()).days)

    known = [f for f in facts if t0 <= f.occurred_at < t0 + timedelta(days=horizon)]
    inside = [f.data for f in known]
    contracts = accrued(facts, t0, horizon, as_of, realised=realised)
    revenue = sum((annual * present(rate, day) for day, annual, _ in contracts), Decimal(0))
    kinds: tuple[Any, ...] = (OrderPlaced,)
    sign = {"order": 1, "return": -1, "exchange": 1}
    for fact in known:
        if isinstance(fact.data, OrderPlaced):
            revenue += 365 * sign[fact.data.kind] * fact.data.amount * counted_for(fact)
    signed = any(isinstance(data, ContractSigned) and data.kind == "paid" for data in inside)
    if not contracts and not signed:
        revenue += 365 * billed(known, counted_for)
        kinds = (OrderPlaced, *BILLING)
    used = {data.currency for data in inside if isinstance(data, kinds)}
    used |= {currency for *_, currency in contracts}
    costs = [
        fact.data.amount * counted_for(fact)
        for fact in known
        if isinstance(fact.data, CostIncurred) and fact.data.activity in {"onboard", "serve"}
    ]
    spent = 365 * sum(costs, Decimal(0))
    return whole_millionths(revenue), whole_millionths(spent), len(costs), used


def whole_millionths(amount):
    return amount.quantize(Decimal("0.000001"), rounding=ROUND_HALF_UP)


def seen(row):
    """The same, of a row of the statement; a customer without a row was worth nothing."""
    if row is None:
        return 0, 0, 0, set()
    used = {row["currency_low"], row["currency_high"]} - {None}
    return row["revenue_by_365"], row["costs_by_365"], row["costs"], used


def population_of(t0s):
    rows = [
        sa.select(
            sa.literal(c).label("customer"),
            sa.cast(sa.literal(t0.isoformat(" ")[:19]), sa.DateTime()).label("t0"),
        )
        for c, t0 in t0s.items()
    ]
    return sa.union_all(*rows).cte("population")


@given(
    logs(),
    st.dictionaries(st.sampled_from(CUSTOMERS), moments, min_size=1),
    st.integers(1, 300),
    st.tuples(
        moments,
        st.integers(0, 18),
        st.booleans(),
        st.sampled_from((None, None, Decimal("0.1"), Decimal("0.000001"), Decimal(1))),
    ),
)
@settings(max_examples=50)
def test_worth_is_that_of_reading_each_day(memory, log, t0s, horizon, asked):
    as_of, position, realised, discount = asked
    memory.load(log)
    cut = Cut(position, as_of)
    span = Horizon(horizon, as_of.date(), realised=realised, discount=discount)
    statement = values(population_of(t0s), cut, span)
    found = {row["customer"]: row for row in memory.fetch(statement).to_pylist()}
    facts = [f for f in counted(log, position) if f.occurred_at <= as_of]

    for customer, t0 in t0s.items():
        own = [f for f in facts if f.customer == customer]
        assert seen(found.get(customer)) == worth(
            own, t0, horizon, as_of.date(), realised=realised, rate=discount or Decimal(0)
        )


EUROS = ContractSigned(
    contract="c1", kind="paid", amount="100", per="year", currency="EUR", starts_on=START
)


def asked_of(memory, *said, t0=START, horizon=30):
    """(revenue times 365, currencies) of one customer, of facts each with its day."""
    facts = [
        Said("a", data, datetime.combine(day, time(9), UTC), position)
        for position, (data, day) in enumerate(said, start=1)
    ]
    memory.load(facts)
    population = population_of({"a": datetime.combine(t0, time(0), UTC)})
    as_of = datetime(2030, 1, 1, tzinfo=UTC)
    statement = values(population, Cut(99, as_of), Horizon(horizon, as_of.date()))
    rows = memory.fetch(statement).to_pylist()
    revenue, _, _, used = seen(rows[0] if rows else None)
    return revenue, used


def test_a_contract_signed_again_in_another_currency_is_seen_in_both(memory):
    later = START + timedelta(days=10)
    dollars = EUROS.model_copy(update={"currency": "USD", "starts_on": later})
    change = ContractChanged(contract="c1", kind="price", amount="200", per="year")
    both = [(EUROS, START), (dollars, later)]

    assert asked_of(memory, *both)[1] == {"EUR", "USD"}
    assert asked_of(memory, *both, horizon=10)[1] == {"EUR"}
    # changes are in the currency signed last before them, wherever they stand in the log
    changed = [(change, later + timedelta(days=5)), *both]
    assert asked_of(memory, *changed, t0=later + timedelta(days=5))[1] == {"USD"}
    # before any signing, in that of the first
    ahead = change.model_copy(update={"effective_on": later})
    said = [(ahead, START - timedelta(days=1)), (EUROS, START)]
    assert asked_of(memory, *said, t0=later) == (6000, {"EUR"})


def test_a_trial_in_another_currency_is_no_revenue(memory):
    trial = EUROS.model_copy(update={"kind": "trial", "currency": "USD"})
    paid = EUROS.model_copy(update={"starts_on": START + timedelta(days=10)})

    said = [(trial, START), (paid, START + timedelta(days=10))]
    assert asked_of(memory, *said) == (2000, {"EUR"})


@pytest.mark.parametrize(
    ("signed", "starts", "ends", "revenue"),
    [
        (900, 900, None, 365 * 50),  # years after
        (30, 30, None, 365 * 50),  # the day after the horizon
        (29, 60, None, 0),  # signed within it
        (60, 29, None, 100),  # covers its last day, signed later
        (-90, -90, -1, 365 * 50),  # over the day before
        (-90, -90, 0, 100),  # covers its first day
    ],
)
def test_invoices_count_unless_a_paid_contract_touches_the_horizon(
    memory, signed, starts, ends, revenue
):
    def day(number):
        return START + timedelta(days=number)

    bill = Invoiced(invoice="i", kind="one_time", amount="50", currency="EUR")
    span = {"starts_on": day(starts), "ends_on": None if ends is None else day(ends)}
    contract = EUROS.model_copy(update=span)

    assert asked_of(memory, (bill, day(3)), (contract, day(signed)))[0] == revenue


def a_life(rng: random.Random, customer: str) -> list[Said]:
    """One or two contracts and what befell them, on days that often fall together."""

    def day(first=0):
        return START + timedelta(days=30 * rng.randint(first, 10) + rng.choice((0, 0, 0, 1, 29)))

    def maybe(chance):
        return day() if rng.random() < chance else None

    def terms(model, starts, **own):
        length = rng.choice((None, 0, 29, 30, 59, 60, 89, 149))
        ends = None if length is None else (starts or day(3)) + timedelta(days=length)
        amount = Decimal(rng.randint(-100, 5000)) / 100
        per = rng.choice(("month", "quarter", "year"))
        return model(amount=amount, per=per, starts_on=starts, ends_on=ends, **own)

    def signing(contract, kind="paid"):
        return terms(
            ContractSigned,
            day(),
            contract=contract,
            kind=kind,
            currency=rng.choice(("EUR", "EUR", "USD")),
            auto_renews=rng.choice((None, None, None, None, True)),
            replaces="c1" if contract == "c2" and rng.random() < 0.5 else None,
        )

    said = [signing("c1")]
    for what in rng.choices("crest2", (6, 6, 4, 1, 1, 2), k=rng.randint(0, 5)):
        match what:
            case "c":
                said.append(
                    ContractChanged(
                        contract="c1",
                        kind="price",
                        amount=Decimal(rng.randint(0, 90)),
                        per=rng.choice(("month", "year")),
                        effective_on=maybe(0.5),
                    )
                )
            case "r":
                said.append(terms(ContractRenewed, maybe(0.4), contract="c1"))
            case "e":
                said.append(ContractEnded(contract="c1", effective_on=maybe(0.7)))
            case "s":
                said.append(signing("c1"))
            case "t":
                said.append(signing("c1", "trial"))
            case "2":
                said.append(signing("c2"))
    rng.shuffle(said)
    return [
        Said(customer, data, datetime.combine(day(), time(rng.choice((0, 9))), UTC), number)
        for number, data in enumerate(said, start=1)
    ]


def load_contracts(memory, facts):
    """Only the tables of contracts, in bulk."""
    rows = defaultdict(list)
    for fact in facts:
        rows[fact.data.type_name].append(
            {
                "position": fact.position,
                "customer": fact.customer,
                "occurred_at": fact.occurred_at.replace(tzinfo=None),
                "time_precision": "exact",
                **fact.data.model_dump(exclude_none=True, exclude={"reason"}),
            }
        )
    memory.replace(rows)


@pytest.mark.parametrize(("months", "extra"), [(4, 0), (5, 29), (7, 30), (8, 31), (11, 1)])
def test_contracts_accrue_as_they_hold_each_day(memory, months, extra):
    """Hundreds of lives, asked on days around the end of a grace."""
    rng = random.Random(months)
    lives = {f"c{n}": a_life(rng, f"c{n}") for n in range(400)}
    load_contracts(memory, [fact for life in lives.values() for fact in life])
    as_of = datetime(2023, 1, 1, 23, tzinfo=UTC) + timedelta(days=30 * months + extra)
    t0, horizon = datetime(2023, 1, 1, tzinfo=UTC), 30 * months
    everybody = sa.table("contract_signed", sa.column("customer"))
    moment = sa.cast(sa.literal("2023-01-01 00:00:00"), sa.DateTime())
    population = sa.select(everybody.c.customer, moment.label("t0")).distinct().cte("population")
    statement = values(population, Cut(99, as_of), Horizon(horizon, as_of.date()))
    found = {row["customer"]: row for row in memory.fetch(statement).to_pylist()}

    for customer, life in lives.items():
        facts = [f for f in life if f.occurred_at <= as_of]
        assert seen(found.get(customer)) == worth(facts, t0, horizon, as_of.date()), life
