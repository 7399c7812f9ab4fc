"""Definitions and facts for tests of stages, and Hypothesis strategies that make up journeys.

The strategies are narrow on purpose: few contracts, opportunities and moments, so that facts meet,
overlap and fall on the very edges that the rules are about.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

from hypothesis import strategies as st

from bowtie.events import CATALOGUE, ContractSigned, Event
from bowtie.stages import STAGES, Definition, load_definition

START = datetime(2024, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Happened:
    """A fact as the evaluation takes it."""

    data: Any
    occurred_at: datetime
    position: int


def at(day: float) -> datetime:
    """A moment so many days after the start of 2024."""
    return START + timedelta(days=day)


def on(day: int) -> date:
    """A day so many days after 2024-01-01."""
    return at(day).date()


def facts(*rows: tuple[float, str, dict[str, Any]]) -> list[Happened]:
    """Facts from (day, type, fields), with positions in the order given."""
    return [
        Happened(CATALOGUE[type_name](**fields), at(day), position)
        for position, (day, type_name, fields) in enumerate(rows, start=1)
    ]


def entered(day: float, stage: str) -> tuple[float, str, dict[str, Any]]:
    return day, "stage_entered", {"stage": stage}


def noted(day: float, name: str, **properties: Any) -> tuple[float, str, dict[str, Any]]:
    return day, "noted", {"name": name, "properties": properties}


def signed(day: float, contract: str = "c", **fields: Any) -> tuple[float, str, dict[str, Any]]:
    """A paid contract that starts on the day it is signed, unless said otherwise."""
    given = {
        "contract": contract,
        "kind": "paid",
        "amount": "1200",
        "per": "year",
        "currency": "EUR",
        "starts_on": on(int(day)),
    }
    return day, "contract_signed", {**given, **fields}


def changed(day: float, amount: str, per: str = "year", **fields: Any):
    given = {"contract": "c", "kind": "price", "amount": amount, "per": per}
    return day, "contract_changed", {**given, **fields}


def renewed(day: float, contract: str = "c", **fields: Any):
    given = {"contract": contract, "amount": "1200", "per": "year"}
    return day, "contract_renewed", {**given, **fields}


def ended(day: float, contract: str = "c", **fields: Any):
    return day, "contract_ended", {"contract": contract, **fields}


def achieved(day: float, metric: str = "hours"):
    return day, "impact_achieved", {"kind": "rational", "metric": metric}


def ordered(day: float, amount: str, kind: str = "order", currency: str = "EUR"):
    fields = {"order": f"o{day}", "kind": kind, "amount": amount, "currency": currency}
    return day, "order_placed", fields


def define(body: str, head: str = "") -> Definition:
    """A definition from its conditions, under a name of its own."""
    return load_definition(f'name = "test"\nversion = 1\n{head}\n{body}')


#: A definition that uses every kind of condition at once.
EVERY_KIND = define(
    """
    [[stages.awareness]]
    event = "touched"
    where = { direction = "inbound", channel = { ne = "fax" } }
    [[stages.education]]
    event = "noted"
    where = { name = "viewed", "properties.price" = { ge = 5 } }
    [[stages.education]]
    event = "touched"
    within = { of = "awareness", time = "3d" }
    nth = 2
    [[stages.selection]]
    event = "traits_observed"
    where = { "traits.plan" = ["pro", true] }
    [[stages.commitment]]
    event = "contract_signed"
    where = { kind = "paid", amount = { gt = "0" } }
    [[stages.commitment]]
    event = "order_placed"
    where = { kind = ["order", "exchange"] }
    day_total = { field = "amount", gt = "10" }
    [[stages.onboarding]]
    event = "usage_metered"
    after = "commitment"
    [[stages.utilization]]
    event = "usage_metered"
    nth = 2
    counted_by = "day"
    after = "onboarding"
    [[stages.utilization]]
    event = "contract_changed"
    falls = "amount"
    [[stages.growth]]
    event = "contract_changed"
    rises = "amount"
    [[stages.growth]]
    event = "contract_signed"
    where = { kind = "paid", amount = { gt = "0" } }
    nth = 2
    [[stages.growth]]
    event = "impact_achieved"
    nth = 2
    counted_by = "quarter"
    each = "metric"
    """,
    head='requalify_within = "5d"',
)

#: Quarter days over three quarters of a year, crowded at the start.
moments = st.one_of(st.integers(0, 160), st.integers(0, 1100)).map(lambda n: at(n / 4))
_days = st.one_of(st.integers(-5, 70), st.integers(0, 275)).map(on)
_maybe_day = st.none() | _days
_contracts = st.sampled_from(["c1", "c2", "c3"])
_opportunities = st.none() | st.sampled_from(["o1", "o2"])
_amounts = st.sampled_from(["0", "100", "300", "1200"])
_per = st.sampled_from(["month", "quarter", "year"])


@st.composite
def _signings(draw) -> Event:
    start = draw(_days)
    length = draw(st.none() | st.integers(0, 90))
    return ContractSigned(
        contract=draw(_contracts),
        kind=draw(st.sampled_from(["paid", "paid", "paid", "trial"])),
        opportunity=draw(_opportunities),
        amount=draw(_amounts),
        per=draw(_per),
        currency="EUR",
        starts_on=start,
        ends_on=None if length is None else start + timedelta(days=length),
        auto_renews=draw(st.sampled_from([None, None, False, True])),
        replaces=draw(st.none() | st.none() | _contracts),
    )


def _built(type_name: str, **fields: st.SearchStrategy) -> st.SearchStrategy[Event]:
    return st.builds(CATALOGUE[type_name], **fields)


#: Values inside maps, near to what ``EVERY_KIND`` compares them with.
_scalars = st.sampled_from(
    ["pro", "true", "5", "5.0", "1e1", "x", "", True, False, 4, 5, 5.5, None]
)

events = st.one_of(
    _signings(),
    _signings(),
    _built("stage_entered", stage=st.sampled_from(STAGES), opportunity=_opportunities),
    _built("disqualified", opportunity=_opportunities),
    _built("disqualified", opportunity=_opportunities),
    _built("contract_ended", contract=_contracts, effective_on=_maybe_day),
    _built("contract_renewed", contract=_contracts, amount=_amounts, per=_per, ends_on=_maybe_day),
    _built(
        "contract_changed", contract=_contracts, kind=st.just("price"), amount=_amounts, per=_per
    ),
    _built(
        "touched",
        channel=st.sampled_from(["fax", "web"]),
        direction=st.sampled_from(["inbound", "outbound"]),
        opportunity=_opportunities,
    ),
    _built(
        "noted",
        name=st.sampled_from(["viewed", "lead_created"]),
        properties=st.dictionaries(st.sampled_from(["price", "opportunity"]), _scalars),
    ),
    _built("traits_observed", traits=st.dictionaries(st.just("plan"), _scalars, min_size=1)),
    _built("usage_metered", metric=st.just("logins"), quantity=st.just("1")),
    _built(
        "impact_achieved", kind=st.just("rational"), metric=st.sampled_from(["hours", "revenue"])
    ),
    _built(
        "order_placed",
        order=st.just("o"),
        kind=st.sampled_from(["order", "exchange"]),
        amount=st.sampled_from(["-20", "0", "6", "20"]),
        currency=st.sampled_from(["EUR", "USD"]),
    ),
    _built(
        "order_placed",
        order=st.just("o"),
        kind=st.just("return"),
        amount=st.sampled_from(["0", "6", "20"]),
        currency=st.sampled_from(["EUR", "USD"]),
    ),
)


@st.composite
def journeys(draw, most: int = 25) -> list[Happened]:
    """The facts of one customer, in the order of recording, which is no order of time."""
    # a length drawn first: lists left to themselves stay too short for a second cycle
    least = draw(st.integers(0, most))
    rows = draw(st.lists(st.tuples(events, moments), min_size=least, max_size=most))
    return [Happened(data, when, number) for number, (data, when) in enumerate(rows, start=1)]


definitions = st.sampled_from([load_definition("b2b/1"), load_definition("shop/1"), EVERY_KIND])
