"""The value of customers against a reading of the facts in Python."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from datetime import UTC, datetime, time, timedelta
from decimal import Decimal
from statistics import quantiles

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bowtie.errors import UsageError
from bowtie.events import OrderPlaced, StageEntered
from bowtie.stages import load_definition
from bowtie_projections.views.cut import Cut
from bowtie_projections.views.value import value
from tests.property.test_loop_counts import HORIZON, START, a_log, traits_of, worth_of
from tests.read_tables import Said, counted

B2B = load_definition("b2b")
SIGN = {"order": 1, "return": -1}


def people_of(log, position, as_of, data_from):
    """(channel, quarter, t0, mature, worth, realised) of each, and how many are older."""
    own, older, people = defaultdict(list), 0, []
    for fact in counted(log, position):
        if fact.occurred_at <= as_of:
            own[fact.customer].append(fact)
    for facts in own.values():
        entries = [f.occurred_at for f in facts if isinstance(f.data, StageEntered)]
        if not entries:
            continue
        if min(f.occurred_at for f in facts) < data_from:
            older += 1
            continue
        t0 = min(entries)
        realised = sum(
            (
                SIGN[f.data.kind] * f.data.amount
                for f in facts
                if isinstance(f.data, OrderPlaced) and f.occurred_at >= t0
            ),
            Decimal(0),
        )
        quarter = f"{t0.year}-Q{(t0.month + 2) // 3}"
        mature = t0 + HORIZON <= as_of
        channel = traits_of(facts, t0).get("channel")
        people.append((channel, quarter, t0, mature, worth_of(facts, t0), realised))
    return people, older


def spread_of(worths, threshold):
    """What a row says of the mature."""
    total, falling = sum(worths, Decimal(0)), sorted(worths, reverse=True)
    low = quantiles(worths, n=10, method="inclusive") if len(worths) > 1 else worths * 9
    tops = [
        sum(falling[: math.ceil(len(worths) * top / 10)]) / total for top in (1, 2) if total > 0
    ]
    return {
        "paying": sum(one > 0 for one in worths),
        "high": sum(one > 0 and one >= threshold for one in worths),
        "value": total,
        "value_mean": pytest.approx(total / len(worths), abs=Decimal("0.000001")),
        "value_median": pytest.approx(low[4], abs=Decimal("0.000001")),
        "value_p90": pytest.approx(low[8], abs=Decimal("0.000001")),
        "top10_share": pytest.approx(float(tops[0])) if tops else None,
        "top20_share": pytest.approx(float(tops[1])) if tops else None,
    }


def tier_of(worth, everybody):
    """A, B, C or none: by the share of revenue of those worth more."""
    total = sum(one for one in everybody if one > 0)
    if worth <= 0:
        return "none"
    before = sum(one for one in everybody if one > worth)
    return (
        "A" if before < Decimal("0.8") * total else "B" if before < Decimal("0.95") * total else "C"
    )


@given(
    st.randoms(use_true_random=False),
    st.integers(1, 25),
    st.integers(0, 60),
    st.tuples(st.booleans(), st.booleans()),
)
def test_value_is_that_of_reading_the_facts(memory, rng, customers, threshold, cells):
    log, (by, quarters) = a_log(rng, customers), cells
    memory.load(log, B2B)
    position = memory.position if rng.random() < 0.5 else rng.randrange(1, memory.position + 1)
    as_of = START + timedelta(days=rng.choice((100, 200, 400)))
    data_from = START + timedelta(days=rng.randrange(-30, 40))
    people, older = people_of(log, position, as_of, data_from)
    cut = Cut(position, as_of)
    answer = value(
        memory, cut, B2B, horizon=HORIZON, threshold=threshold, data_from=data_from,
        by=["channel"] if by else [], cohort="quarter" if quarters else "all",
    )  # fmt: skip

    found = defaultdict(list)
    for one in people:
        found[one[0] if by else None, one[1] if quarters else "all"].append(one)
    order = sorted(found, key=lambda cell: (cell[0] is None, cell[0] or "", cell[1]))
    assert [(row.get("channel"), row["cohort"]) for row in answer] == order
    judged = [one[4] for one in people if one[3]]
    for row, cell in zip(answer.rows(), order, strict=True):
        worths = [one[4] for one in found[cell] if one[3]]
        assert (row["customers"], row["mature"]) == (len(found[cell]), len(worths))
        assert row["realised"] == sum(one[5] for one in found[cell])
        ages = [(as_of - one[2]) / timedelta(days=1) for one in found[cell]]
        assert row["age_days"] == pytest.approx(sum(ages) / len(ages))
        if worths:
            expected = spread_of(worths, threshold)
            assert {name: row[name] for name in expected} == expected
        else:
            assert row["value"] is None
    tiers = defaultdict(list)
    for channel, quarter, _, mature, worth, _ in people:
        if mature:
            cell = (channel if by else None, quarter if quarters else "all")
            tiers[*cell, tier_of(worth, judged)].append(worth)
    told = {
        (row.get("channel"), row["cohort"], row["tier"]): (row["customers"], row["value"])
        for row in answer.part("tiers")
        if row["customers"]
    }
    assert told == {key: (len(own), sum(own)) for key, own in tiers.items()}
    # every mature customer is in exactly one, whatever the customers are broken down by
    parted: dict[str, int] = Counter()
    for row in answer.part("tiers"):
        parted[row["tier"]] += row["customers"]
    assert sum(parted.values()) == len(judged)
    assert +Counter(parted) == Counter(tier_of(one, judged) for one in judged)
    assert ("may be older" in answer.sentence) == bool(older)


@pytest.mark.slow
@given(st.randoms(use_true_random=False), st.integers(2, 20), st.integers(60, 390))
def test_movement_is_from_each_days_own_tiers(memory, rng, customers, ago):
    """Everybody judged then or now is in exactly one pair of tiers."""
    log = a_log(rng, customers)
    memory.load(log, B2B)
    as_of = START + timedelta(days=400)
    day = (as_of - timedelta(days=ago)).date()
    answer = value(memory, Cut(memory.position, as_of), B2B, horizon=HORIZON, since=day)
    sides = []
    for moment in (datetime.combine(day, time.max, UTC), as_of):
        oldest = min((f.occurred_at for f in counted(log, memory.position)), default=START)
        people, _ = people_of(log, memory.position, moment, min(oldest, START))
        keys = keys_of(log, memory.position, moment)
        worths = {key: one[4] for key, one in zip(keys, people, strict=True) if one[3]}
        sides.append({key: tier_of(own, list(worths.values())) for key, own in worths.items()})
    then, now = sides
    none = "(not judged yet)"
    expected = Counter((then.get(key, none), now.get(key, none)) for key in then | now)
    moved = answer.part("movement").rows()
    assert {(row["from"], row["to"]): row["customers"] for row in moved} == expected
    starts: defaultdict[str, float] = defaultdict(float)
    for row in moved:
        starts[row["from"]] += row["share_of_from"]
    assert all(share == pytest.approx(1) for share in starts.values())


def keys_of(log, position, as_of):
    """Who has a time zero, in the order of :func:`people_of`."""
    own: dict[str, bool] = {}
    for fact in counted(log, position):
        if fact.occurred_at <= as_of:
            entered = isinstance(fact.data, StageEntered)
            own[fact.customer] = own.get(fact.customer, False) or entered
    return [key for key, entered in own.items() if entered]


def test_an_earlier_day_is_earlier(memory):
    memory.load([], B2B)
    answer = value(memory, Cut(0), B2B, since="2024")
    assert not len(answer.part("movement"))
    memory.load([Said("a", StageEntered(stage="commitment"), START, 1)], B2B)
    with pytest.raises(UsageError, match="earlier day"):
        value(memory, Cut(1), B2B, since="2024")


def test_an_empty_log_has_nobody(memory):
    memory.load([], B2B)
    answer = value(memory, Cut(0), B2B)
    assert not len(answer)
    assert "nobody is counted" in answer.sentence
