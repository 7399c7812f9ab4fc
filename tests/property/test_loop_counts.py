"""The loop's counts against a brute-force reading of the facts in Python."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from math import ceil, nan

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bowtie.errors import Refused
from bowtie.events import OrderPlaced, StageEntered, Touched, TraitsObserved
from bowtie.stages import load_definition
from bowtie_projections.views.cut import Cut
from bowtie_projections.views.loop import loop
from tests.read_tables import Said, counted

B2B = load_definition("b2b")
START = datetime(2023, 1, 1, tzinfo=UTC)
GAP = timedelta(days=7)
HORIZON = timedelta(days=60)


def a_log(rng: random.Random, customers: int) -> list[Said]:
    """Customers with a commitment, orders, a touch and traits told early, late, or not at all."""
    facts: list[Said] = []

    def say(customer, data, at, *, delay=timedelta(0), known=None):
        gone = len(facts) + rng.randrange(-30, 200) if rng.random() < 0.05 else None
        facts.append(
            Said(customer, data, at, len(facts) + 1, at + delay, known, gone and max(gone, 1))
        )

    for number in range(customers):
        name, t0 = f"c{number}", START + timedelta(hours=rng.randrange(24 * 300))
        if rng.random() < 0.9:
            say(name, StageEntered(stage="commitment"), t0)
        if rng.random() < 0.3:
            say(name, StageEntered(stage="commitment"), t0 + timedelta(days=rng.randrange(90)))
        if rng.random() < 0.8:
            touch = Touched(channel=rng.choice(("ads", "web")), direction="inbound")
            say(name, touch, t0 + timedelta(days=rng.randrange(-20, 5)))
        for _ in range(rng.randrange(4)):
            order = OrderPlaced(
                order="o",
                kind=rng.choice(("order", "order", "return")),
                amount=Decimal(rng.randrange(50)),
                currency="EUR",
            )
            say(name, order, t0 + timedelta(days=rng.randrange(-5, 70)))
        for _ in range(rng.randrange(6)):
            trait = rng.choice(("size", "fit", "channel"))
            at = t0 + timedelta(days=rng.randrange(-30, 3), hours=rng.randrange(24))
            delay = timedelta(days=rng.choice((0, 0, 1, 6, 7, 8, 40)))
            known = at + timedelta(days=rng.randrange(5)) if rng.random() < 0.3 else None
            observed = TraitsObserved(traits={trait: rng.choice(("a", "b", True, None))})
            say(name, observed, at, delay=delay, known=known)
    return facts


def known_at(fact: Said) -> datetime:
    """When the sender's system, or failing that this store, knew the fact."""
    if fact.known_from is not None:
        return max(fact.known_from, fact.occurred_at)
    assert fact.recorded_at is not None
    late = fact.recorded_at - fact.occurred_at > GAP
    return fact.occurred_at if late else fact.recorded_at


def traits_of(own: list[Said], t0: datetime) -> dict[str, str]:
    """The newest values known by t0."""
    seen: dict[str, str | None] = {}
    for fact in sorted(own, key=lambda f: (f.occurred_at, f.position)):
        if isinstance(fact.data, TraitsObserved) and known_at(fact) <= t0:
            for name, value in fact.data.traits.items():
                renamed = "trait.channel" if name == "channel" else name
                seen[renamed] = value if value is None else str(value).lower()
    touches = [(f.occurred_at, f.position, f.data) for f in own if isinstance(f.data, Touched)]
    if touches:
        at, _, first = min(touches, key=lambda touch: touch[:2])
        if at <= t0:
            seen["channel"] = first.channel
    return {name: value for name, value in seen.items() if value is not None}


def worth_of(own: list[Said], t0: datetime) -> Decimal:
    sign = {"order": 1, "return": -1}
    return sum(
        (
            sign[f.data.kind] * f.data.amount
            for f in own
            if isinstance(f.data, OrderPlaced) and t0 <= f.occurred_at < t0 + HORIZON
        ),
        Decimal(0),
    )


def by_hand(facts: list[Said], as_of: datetime, data_from: datetime):
    """(mature customers with t0, worth and traits; entered; truncated)."""
    people: dict[str, list[Said]] = {}
    for fact in facts:
        if fact.occurred_at <= as_of:
            people.setdefault(fact.customer, []).append(fact)
    mature, entered, truncated = [], 0, 0
    for own in people.values():
        entries = [f.occurred_at for f in own if isinstance(f.data, StageEntered)]
        if not entries:
            continue
        entered += 1
        if min(f.occurred_at for f in own) < data_from:
            truncated += 1
        elif min(entries) + HORIZON <= as_of:
            t0 = min(entries)
            mature.append((t0, worth_of(own, t0), traits_of(own, t0)))
    return mature, entered, truncated


def threshold_by_hand(mature, top: Decimal) -> Decimal | None:
    """The value of the customer at the top share of the older half's paying; None if refused."""
    t0s = sorted(t0 for t0, _, _ in mature)
    median = t0s[(len(t0s) - 1) // 2]
    paying = sorted((w for t0, w, _ in mature if t0 <= median and w > 0), reverse=True)
    if not paying:
        return None
    theta = paying[ceil(top * len(paying)) - 1]
    share = Decimal(sum(w >= theta for w in paying)) / len(paying)
    return theta if top / 2 <= share <= top * 2 else None


@given(st.randoms(use_true_random=False), st.integers(1, 25), st.sampled_from((None, 20)))
def test_counts_are_those_of_reading_the_facts(memory, rng, customers, threshold):
    log = a_log(rng, customers)
    whole = rng.random() < 0.5
    memory.load(log, B2B)
    position = memory.position if whole else rng.randrange(1, memory.position + 1)
    as_of = START + timedelta(days=rng.choice((100, 200, 400)))
    data_from = START + timedelta(days=rng.randrange(-30, 40))
    top = Decimal("0.25")
    mature, entered, truncated = by_hand(counted(log, position), as_of, data_from)
    theta = threshold if threshold is not None else mature and threshold_by_hand(mature, top)
    ask = {"horizon": HORIZON, "threshold": threshold, "top": top, "data_from": data_from}

    if mature and theta is None:
        with pytest.raises(Refused):
            loop(memory, Cut(position, as_of), B2B, **ask)
        return
    answer = loop(memory, Cut(position, as_of), B2B, **ask)

    assert (answer.meta["entered"], answer.meta["left_truncated"]) == (entered, truncated)
    assert answer.meta["mature"] == len(mature)
    assert answer.meta["high"] == sum(w >= theta and w > 0 for _, w, _ in mature)
    if mature:
        assert answer.meta["threshold"] == theta
    seen: dict[tuple[str, str], list[int]] = {}
    used = {row["trait"] for row in answer.rows() if row["verdict"] != "leak"}
    for _, worth, traits in mature:
        for trait in used:
            cell = seen.setdefault((trait, traits.get(trait, "(missing)")), [0, 0])
            cell[0] += 1
            cell[1] += worth >= theta and worth > 0
    rows = {
        (row["trait"], row["level"]): [row["customers"], row["high"]]
        for row in answer.rows()
        if row["verdict"] != "leak"
    }
    assert rows == seen


@given(st.randoms(use_true_random=False))
@settings(max_examples=5)
def test_levels_and_sources_add_up_to_the_whole(memory, rng):
    memory.load(a_log(rng, 30), B2B)
    as_of = START + timedelta(days=rng.choice((200, 400)))
    answer = loop(memory, Cut(memory.position, as_of), B2B, horizon="60d", threshold=20)

    assert list(answer.columns[:3]) == ["trait", "level", "customers"]
    for trait in {row["trait"] for row in answer.rows() if row["verdict"] != "leak"}:
        own = [row for row in answer.rows() if row["trait"] == trait]
        assert sum(row["customers"] for row in own) == answer.meta["mature"]
        assert sum(row["high"] for row in own) == answer.meta["high"]
        assert sum(row["share_of_customers"] for row in own) == pytest.approx(1)
        lifts = [row["share_of_customers"] * (row["lift"] or nan) for row in own if row["high"]]
        if answer.meta["high"]:
            assert sum(lifts) == pytest.approx(1)
    sources = answer.part("sources").rows()
    assert sum(row["mature"] for row in sources) == answer.meta["mature"]
    assert sum(row["high"] for row in sources) == answer.meta["high"]
    left = answer.meta["entered"] - answer.meta["left_truncated"]
    assert sum(row["customers"] for row in sources) == left
