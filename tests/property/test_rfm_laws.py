"""RFM against a reading of the orders in Python: everybody with an order is in one segment."""

from __future__ import annotations

from collections import Counter, defaultdict
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bowtie.errors import Refused, UsageError
from bowtie.events import OrderPlaced, Touched, TraitsObserved
from bowtie.stages import load_definition
from bowtie_projections.views.cut import Cut
from bowtie_projections.views.rfm import NEW, SEGMENTS, rfm
from tests.behind import behind
from tests.read_tables import Said

SHOP = load_definition("shop")
START = datetime(2024, 1, 1, tzinfo=UTC)
BANDS = {
    ("high", "high"): "champions",
    ("high", "middle"): "potential loyalists",
    ("high", "low"): "new customers",
    ("middle", "high"): "loyal",
    ("middle", "middle"): "need attention",
    ("middle", "low"): "about to sleep",
    ("low", "high"): "at risk",
    ("low", "middle"): "hibernating",
    ("low", "low"): "lost",
}
orders = st.tuples(
    st.integers(0, 9).map("c{}".format),
    st.integers(0, 400),
    st.sampled_from(("order", "order", "order", "return", "exchange")),
    st.integers(-20, 60),
)


def said(facts):
    return [
        Said(
            customer,
            OrderPlaced(
                order=f"o{place}",
                kind=kind,
                amount=Decimal(abs(amount) if kind == "return" else amount),
                currency="EUR",
            ),
            START + timedelta(hours=6 * hours),
            place,
        )
        for place, (customer, hours, kind, amount) in enumerate(facts, start=1)
    ]


def scores(figures):
    """1 to 5 of each, by how many are worse."""
    n = len(figures)
    return {
        name: 1 + sum(other < own for other in figures.values()) * 5 // n
        for name, own in figures.items()
    }


def by_hand(facts, as_of):
    """(segment, recency, orders, value) of each customer with an order by then."""
    days: defaultdict[str, Counter[Any]] = defaultdict(Counter)
    value: Counter[str] = Counter()
    for fact in facts:
        if fact.occurred_at > as_of:
            continue
        sign = -1 if fact.data.kind == "return" else 1
        value[fact.customer] += sign * fact.data.amount
        if sign > 0:
            days[fact.customer][fact.occurred_at.date()] += fact.data.amount
    bought = {
        name: sorted(day for day, amount in own.items() if amount > 0) for name, own in days.items()
    }
    bought = {name: own for name, own in bought.items() if own}
    r = scores({name: own[-1] for name, own in bought.items()})
    f = scores({name: len(own) for name, own in bought.items()})
    m = scores({name: value[name] for name in bought})
    found = {}
    for name, own in bought.items():
        lately = "high" if r[name] >= 4 else "middle" if r[name] == 3 else "low"
        mean = (f[name] + m[name]) / 2
        much = "high" if mean >= 3.5 else "middle" if mean >= 1.5 else "low"
        age = (as_of.date() - own[-1]).days
        found[name] = (BANDS[lately, much], age, len(own), value[name])
    return found


@given(st.lists(orders, max_size=40), st.integers(1, 60), st.integers(61, 110))
def test_segments_and_movement_are_those_of_reading_the_orders(memory, facts, since, until):
    log = said(facts)
    memory.load(log, SHOP)
    as_of = START + timedelta(days=until)
    day = (START + timedelta(days=since)).date()
    answer = rfm(memory, Cut(memory.position, as_of), SHOP, since=day)
    now = by_hand(log, as_of)
    end = datetime(day.year, day.month, day.day, tzinfo=UTC) + timedelta(days=1, microseconds=-1)
    then = by_hand(log, end)

    # the nine part them all: each is in exactly one
    rows = answer.rows()
    if rows:
        assert [row["segment"] for row in rows] == list(SEGMENTS)
    assert sum(row["customers"] for row in rows) == len(now)
    for row in rows:
        own = [one for one in now.values() if one[0] == row["segment"]]
        assert (row["customers"], row["value"]) == (len(own), sum(one[3] for one in own))
        if own:
            assert row["recency_days"] == pytest.approx(sum(one[1] for one in own) / len(own))
            assert row["orders"] == pytest.approx(sum(one[2] for one in own) / len(own))
    moved = {(row["from"], row["to"]): row["customers"] for row in answer.part("movement")}
    both = then.keys() | now.keys()
    none = (NEW,)
    assert moved == Counter((then.get(c, none)[0], now.get(c, none)[0]) for c in both)
    starts: Counter[str] = Counter()
    for row in answer.part("movement"):
        starts[row["from"]] += row["share_of_from"]
    assert all(share == pytest.approx(1) for share in starts.values())


@given(st.lists(orders, min_size=3, max_size=40), st.integers(10, 110), st.integers(0, 999))
def test_cells_are_those_of_the_first_touch_by_the_first_order(memory, facts, until, place):
    """Summed over channels they are all; in each who came by it, and so who is explained."""
    log = said(facts)
    bought = by_hand(log, START + timedelta(days=until))
    came = [
        Said(f"c{name}", Touched(channel=channel, direction="inbound"), START + timedelta(days=day),
             len(log) + 1 + name)
        for name, (channel, day) in enumerate([("web", -1), ("ads", -2), ("web", 300)] * 3)
    ]  # fmt: skip
    memory.load([*log, *came], SHOP)
    cut = Cut(memory.position, START + timedelta(days=until))
    rows = rfm(memory, cut, SHOP, by="channel").rows()
    by_then = [fact for fact in came if fact.occurred_at < START]
    channel = {fact.customer: getattr(fact.data, "channel", None) for fact in by_then}
    for row in rows:
        own = [
            figures for name, figures in bought.items()
            if channel.get(name) == row["channel"] and figures[0] == row["segment"]
        ]  # fmt: skip
        assert (row["customers"], row["value"]) == (len(own), sum(one[3] for one in own))
    assert {row["channel"] for row in rows} == {channel.get(name) for name in bought}
    for name in {row["channel"] for row in rows}:
        shares = [row["customers_share"] for row in rows if row["channel"] == name]
        assert (len(shares), sum(shares)) == (9, pytest.approx(1))
    if not rows:
        return
    row = max(rows, key=lambda one: (one["customers"], one["segment"]))
    named = behind(memory, cut, SHOP, "rfm", row, ("customers", "value")[place % 2], by="channel")
    assert set(named) == {
        name for name, own in bought.items()
        if (channel.get(name), own[0]) == (row["channel"], row["segment"])
    }  # fmt: skip
    told = {fact.customer: {fact.position} for fact in by_then}
    assert all(roles.get("channel") == told.get(name) for name, roles in named.items())


def test_values_of_few_customers_are_put_together_and_contracts_tell_nothing_of_orders(memory):
    facts = said([(f"c{n}", n, "order", 5 + n) for n in range(4)])
    traits = [
        Said(f"c{n}", TraitsObserved(traits={"land": land}), START - timedelta(days=1), 5 + n)
        for n, land in enumerate(("be", "be", "nl", "lu"))
    ]
    memory.load([*facts, *traits], SHOP)
    answer = rfm(memory, Cut(8, START + timedelta(days=9)), SHOP, by=["land"], top=1)
    sums: Counter[Any] = Counter()
    for row in answer:
        sums[row["land"]] += row["customers"]
    assert sums == {"be": 2, "other": 2}
    assert any("land: the 1 values" in note for note in answer.notes)
    with pytest.raises(UsageError, match="motion is of contracts, and these are orders"):
        rfm(memory, Cut(8), SHOP, by=["motion"])


def test_what_cannot_be_asked(memory):
    facts = said([("a", 4, "order", 5), ("b", 40, "order", 5)])
    memory.load(facts, SHOP)
    cut = Cut(2, START + timedelta(days=30))
    with pytest.raises(UsageError, match="earlier day"):
        rfm(memory, cut, SHOP, since="2024-03-01")
    with pytest.raises(Refused, match="amounts are in EUR"):
        rfm(memory, cut, SHOP, currency="USD")
    assert any("begins 2024" in note for note in rfm(memory, cut, SHOP, data_from="2024").notes)


def test_nobody_ordered(memory):
    memory.load([], SHOP)
    answer = rfm(memory, Cut(0), SHOP, since="2024-01-01")
    assert (len(answer), len(answer.part("movement"))) == (0, 0)
    assert "No customer has placed an order" in answer.sentence
