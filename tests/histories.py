"""Strategies for histories: few customers and few moments, so that facts meet each other."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

from hypothesis import strategies as st

from bowtie.events import (
    ContractChanged,
    ContractEnded,
    ContractRenewed,
    ContractSigned,
    Disqualified,
    Event,
    ImpactAchieved,
    ImpactSought,
    Noted,
    Onboarded,
    OpportunityValued,
    OrderPlaced,
    Referred,
    StageEntered,
    Touched,
    TraitsObserved,
    UsageMetered,
)
from bowtie.stages import STAGES, load_definition
from tests.read_tables import Said

START = datetime(2024, 1, 1, tzinfo=UTC)

#: Conditions of every kind, in ways the two that come along don't use.
CONTEXTUAL = """
name = "contextual"
version = 1
requalify_within = "20d"
[[stages.awareness]]
event = "traits_observed"
where = { traits = { size = { gt = 5 }, plan = ["a", true] } }
[[stages.awareness]]
event = "touched"
nth = 2
each = "channel"
[[stages.education]]
event = "noted"
where = { "properties.plan" = ["a", 5] }
within = { of = "awareness", time = "30d" }
[[stages.selection]]
event = "impact_sought"
nth = 2
[[stages.commitment]]
event = "contract_signed"
where = { kind = "paid", amount = { gt = "0", le = "200" }, auto_renews = { ne = true } }
[[stages.commitment]]
event = "order_placed"
where = { kind = ["order", "exchange"] }
day_total = { field = "amount", ge = "10" }
nth = 2
counted_by = "day"
after = "education"
[[stages.onboarding]]
event = "usage_metered"
where = { quantity = { ge = 2 } }
after = "selection"
within = { of = "commitment", time = "60d" }
nth = 2
counted_by = "day"
[[stages.utilization]]
event = "contract_changed"
falls = "amount"
[[stages.growth]]
event = "contract_renewed"
rises = "amount"
where = { ends_on = { gt = "2024-02-15" } }
"""

PLAIN = """
name = "plain"
version = 1
requalify_within = "0d"
[[stages.awareness]]
event = "touched"
where = { channel = { ne = "ads" } }
[[stages.commitment]]
event = "contract_signed"
[[stages.growth]]
event = "contract_changed"
rises = "amount"
"""

DEFINITIONS = [load_definition(source) for source in ("b2b", "shop", CONTEXTUAL, PLAIN)]

#: Few moments, most of them at midnight, so that times meet each other and the ends of contracts.
moments = st.builds(
    lambda day, part: START + timedelta(days=day) + part,
    st.integers(0, 30).map(lambda step: step * 7) | st.integers(28, 64),
    st.sampled_from([timedelta(0), timedelta(0), timedelta(hours=9), timedelta(microseconds=1)]),
)
days = st.integers(-10, 90).map(lambda day: date(2024, 1, 1) + timedelta(days=day))
contracts = st.sampled_from(["k1", "k2", "k3"])
opportunities = st.sampled_from(["o1", "o2"])
amounts = st.sampled_from([Decimal(value) for value in ("0", "5", "10", "120", "240.5")])
pers = st.sampled_from(["month", "quarter", "year"])
texts = st.sampled_from(["a", "b"])


@st.composite
def signings(draw: st.DrawFn) -> Event:
    """A contract of a few weeks, sometimes open, sometimes in place of another."""
    start = draw(days)
    return ContractSigned(
        contract=draw(contracts),
        kind=draw(st.sampled_from(["paid", "paid", "paid", "trial"])),
        amount=draw(amounts),
        per=draw(pers),
        currency="EUR",
        starts_on=start,
        ends_on=draw(st.none() | st.integers(0, 60).map(lambda n: start + timedelta(days=n))),
        auto_renews=draw(st.sampled_from([None, False, True])),
        opportunity=draw(st.none() | opportunities),
        replaces=draw(st.none() | contracts),
    )


def _optional(strategy: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.none() | strategy


events: st.SearchStrategy[Event] = st.one_of(
    signings(),
    signings(),
    st.builds(ContractEnded, contract=contracts, effective_on=_optional(days)),
    st.builds(
        ContractRenewed, contract=contracts, amount=amounts, per=pers, ends_on=_optional(days)
    ),
    st.builds(ContractChanged, contract=contracts, kind=st.just("price"), amount=amounts, per=pers),
    st.builds(Disqualified, opportunity=_optional(opportunities)),
    st.builds(Disqualified, opportunity=_optional(opportunities)),
    st.builds(
        Touched,
        channel=st.sampled_from(["ads", "mail"]),
        direction=st.sampled_from(["inbound", "outbound"]),
        opportunity=_optional(opportunities),
    ),
    st.builds(
        Noted,
        name=st.sampled_from(
            ["lead_created", "opportunity_created", "kickoff_held", "delivered", "other"]
        ),
        properties=st.fixed_dictionaries(
            {},
            optional={
                "opportunity": opportunities | st.sampled_from(["", None]),
                "plan": st.sampled_from(["a", "5", 5, 5.0, "5x", True, None]),
            },
        ),
    ),
    st.builds(
        OpportunityValued, opportunity=opportunities, amount=amounts, currency=st.just("EUR")
    ),
    st.builds(
        OrderPlaced,
        order=texts,
        kind=st.sampled_from(["order", "exchange"]),
        amount=st.sampled_from([Decimal(value) for value in ("-5", "4", "6", "10")]),
        currency=st.sampled_from(["EUR", "EUR", "USD"]),
    ),
    st.builds(
        OrderPlaced,
        order=texts,
        kind=st.just("return"),
        amount=st.sampled_from([Decimal(4), Decimal(10)]),
        currency=st.just("EUR"),
    ),
    st.builds(UsageMetered, metric=texts, quantity=st.sampled_from([Decimal(1), Decimal(2)])),
    st.builds(ImpactAchieved, kind=st.just("rational"), metric=texts),
    st.builds(ImpactSought, kind=st.just("rational"), metric=texts),
    st.builds(StageEntered, stage=st.sampled_from(STAGES), opportunity=_optional(opportunities)),
    st.builds(Onboarded),
    st.builds(Referred, referrer=texts),
    st.builds(
        TraitsObserved,
        traits=st.fixed_dictionaries(
            {"size": st.sampled_from([4, 6, "6", "7x", None])},
            optional={"plan": st.sampled_from(["a", True, "b"])},
        ),
    ),
)


@st.composite
def logs(draw: st.DrawFn) -> list[Said]:
    """What several customers did, recorded in any order; some of it taken back."""
    size = draw(st.sampled_from([1, 10, 25]))
    one = st.tuples(st.sampled_from("ab"), events, moments)
    said = draw(st.lists(one, min_size=size, max_size=size + 10))
    retracted = draw(
        st.dictionaries(st.integers(1, len(said)), st.integers(1, len(said) + 1), max_size=2)
    )
    return [
        Said(customer, event, at, position, retracted_position=retracted.get(position))
        for position, (customer, event, at) in enumerate(said, start=1)
    ]
