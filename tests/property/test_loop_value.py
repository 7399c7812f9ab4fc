"""What a customer was worth, against a reading of the facts day by day in Python."""

from __future__ import annotations

import random
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal

import pyarrow as pa
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
from tests.read_tables import MemoryTables, Said, counted

START = date(2023, 1, 1)
CUSTOMERS = ("a", "b", "ä'c")
YEARLY = {"month": 12, "quarter": 4, "year": 1}

days = st.integers(0, 500).map(lambda n: START + timedelta(days=n))
maybe_days = st.none() | days
amounts = st.integers(-2000, 100_000).map(lambda cents: Decimal(cents) / 100)
contracts = st.sampled_from(("c1", "c2"))
pers = st.sampled_from(("month", "quarter", "year"))
invoices = st.sampled_from(("i1", "i2"))


@st.composite
def signings(draw):
    starts = draw(days)
    length = draw(st.none() | st.integers(0, 400))
    return ContractSigned(
        contract=draw(contracts),
        kind=draw(st.sampled_from(("paid", "paid", "trial"))),
        amount=draw(amounts),
        per=draw(pers),
        currency="EUR",
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
    return st.builds(model, invoice=invoices, amount=amounts, currency=st.just("EUR"))


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
        kind=st.sampled_from(("order", "return", "exchange")),
        amount=amounts,
        currency=st.just("EUR"),
    ),
    st.builds(
        Invoiced,
        invoice=invoices,
        kind=st.sampled_from(("recurring", "discount")),
        amount=amounts,
        currency=st.just("EUR"),
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
    """(from_on, occurred_at, position, annual, is_term, ends_on, free), in the order they hold."""
    lines, ends_before = [], None
    own = [f for f in facts if getattr(f.data, "contract", None) == contract]
    for fact in sorted(own, key=lambda f: (f.occurred_at, f.position)):
        data, day = fact.data, fact.occurred_at.date()
        annual = data.amount * YEARLY[data.per] if hasattr(data, "per") else None
        match data:
            case ContractSigned():
                row = (data.starts_on, annual, True, data.ends_on, data.kind != "paid")
                ends_before = data.ends_on
            case ContractRenewed():
                after = ends_before + timedelta(days=1) if ends_before else day
                row = (data.starts_on or after, annual, True, data.ends_on, False)
                ends_before = data.ends_on
            case ContractChanged():
                row = (data.effective_on or day, annual, False, None, False)
            case _:
                continue
        lines.append((row[0], fact.occurred_at, fact.position, *row[1:]))
    return sorted(lines, key=lambda line: line[:3])


def annual_on(facts, contract, day, as_of):
    """What the contract cost a year on that day."""
    signed = [f.data for f in facts if isinstance(f.data, ContractSigned)]
    paid = [s for s in signed if s.contract == contract and s.kind == "paid"]
    if not paid:
        return Decimal(0)
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
        return Decimal(0)
    term, (*_, last_term) = terms[-1], [line for line in lines if line[4]]
    ends_on, free = term[5], term[6]
    runs_on = any(s.auto_renews for s in paid) or (
        term is last_term and (bool(ended) or (ends_on and as_of <= ends_on + timedelta(days=30)))
    )
    if free or (ends_on and day > ends_on and not runs_on):
        return Decimal(0)
    return holding[-1][3]


def worth(facts, t0, horizon, as_of):
    """(revenue, costs) of one customer, times 365."""
    inside = [f for f in facts if t0 <= f.occurred_at < t0 + timedelta(days=horizon)]
    revenue = Decimal(0)
    for n in range(horizon):
        day = t0.date() + timedelta(days=n)
        revenue += sum((annual_on(facts, c, day, as_of) for c in ("c1", "c2")), Decimal(0))
    sign = {"order": 1, "return": -1, "exchange": 1}
    for fact in inside:
        if isinstance(fact.data, OrderPlaced):
            revenue += 365 * sign[fact.data.kind] * fact.data.amount
    if not any(isinstance(f.data, ContractSigned) and f.data.kind == "paid" for f in facts):
        for invoice in ("i1", "i2"):
            total = {
                kind: sum(
                    (
                        f.data.amount
                        for f in inside
                        if isinstance(f.data, kind) and f.data.invoice == invoice
                    ),
                    Decimal(0),
                )
                for kind in (Invoiced, Credited, Refunded, WrittenOff)
            }
            taken = max(total[Credited], total[Refunded]) + total[WrittenOff]
            revenue += 365 * (total[Invoiced] - taken)
    costs = [
        f.data.amount
        for f in inside
        if isinstance(f.data, CostIncurred) and f.data.activity in {"onboard", "serve"}
    ]
    return revenue, 365 * sum(costs, Decimal(0)), len(costs)


@pytest.fixture(scope="module")
def memory():
    return MemoryTables()


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
    st.tuples(moments, st.integers(0, 18)),
)
@settings(max_examples=50)
def test_worth_is_that_of_reading_each_day(memory, log, t0s, horizon, asked):
    as_of, position = asked
    memory.load(log)
    cut = Cut(position, as_of)
    statement = values(population_of(t0s), cut, Horizon(horizon, as_of.date()))
    found = {row["customer"]: row for row in memory.fetch(statement).to_pylist()}
    facts = [f for f in counted(log, position) if f.occurred_at <= as_of]

    for customer, t0 in t0s.items():
        own = [f for f in facts if f.customer == customer]
        row = found.get(customer, {"revenue_by_365": 0, "costs_by_365": 0, "costs": 0})
        seen = (row["revenue_by_365"], row["costs_by_365"], row["costs"])
        assert seen == worth(own, t0, horizon, as_of.date())


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
            currency="EUR",
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
    for name in ("contract_signed", "contract_changed", "contract_renewed", "contract_ended"):
        memory.duckdb.execute(f"delete from {name}")
        rows = [
            {
                "position": fact.position,
                "customer": fact.customer,
                "occurred_at": fact.occurred_at.replace(tzinfo=None),
                "time_precision": "exact",
                **fact.data.model_dump(exclude_none=True),
            }
            for fact in facts
            if fact.data.type_name == name
        ]
        columns = sorted({key for row in rows for key in row} - {"reason"})
        table = pa.table({key: [row.get(key) for row in rows] for key in columns})
        memory.duckdb.register("said", table)
        memory.duckdb.execute(f"insert into {name} by name select * from said")
        memory.duckdb.unregister("said")


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
    found = {r["customer"]: r["revenue_by_365"] for r in memory.fetch(statement).to_pylist()}

    for customer, life in lives.items():
        facts = [f for f in life if f.occurred_at <= as_of]
        expected = worth(facts, t0, horizon, as_of.date())[0]
        assert found.get(customer, 0) == expected, life
