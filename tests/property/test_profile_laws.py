"""Target profiles over made-up logs, against a reading of the facts in Python."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bowtie.events import (
    CostIncurred,
    OrderPlaced,
    StageEntered,
    Targeted,
    Touched,
    TraitsObserved,
)
from bowtie.profiles import load_profile
from bowtie.stages import load_definition
from bowtie_projections.arms import mean_gap
from bowtie_projections.views.cut import Cut
from bowtie_projections.views.profile import (
    profile_evaluation,
    profile_outlook,
    profile_prospects,
)
from tests.behind import behind
from tests.read_tables import Said, counted

B2B = load_definition("b2b")
START = datetime(2024, 1, 1, tzinfo=UTC)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
HORIZON, SETTLED = 10 * DAY, 7 * DAY
PROFILE = load_profile("""
name = "p"
version = 1
starts_on = 2024-01-04
ends_on = 2024-01-20
holdout = "0.5"
horizon = "10d"
prospects = "new"
least = "0.5"
[[traits]]
trait = "size"
level = "l"
weight = 1
[[traits]]
trait = "size"
level = "(missing)"
weight = "0.3"
[[traits]]
trait = "channel"
level = "web"
weight = "0.25"
[[traits]]
trait = "channel"
level = "fair"
weight = "-0.8"
[[exclusions]]
trait = "land"
level = "x"
""")

SEED = int(hashlib.sha256(b"p/1").hexdigest()[:15], 16)

money = st.integers(0, 9).map(lambda n: str(n * 5))
events = st.one_of(
    st.builds(
        Touched,
        channel=st.sampled_from(["web", "fair", "mail"]),
        direction=st.sampled_from(["inbound", "outbound"]),
        cost=st.one_of(st.none(), money),
        currency=st.just("EUR"),
    ),
    st.builds(
        TraitsObserved,
        traits=st.dictionaries(
            st.sampled_from(["size", "land"]), st.sampled_from(["l", "x", None]), min_size=1
        ),
    ),
    st.just(StageEntered(stage="commitment")),
    st.builds(
        OrderPlaced,
        order=st.just("o"),
        kind=st.sampled_from(["order", "return"]),
        amount=money,
        currency=st.just("EUR"),
    ),
    st.builds(
        CostIncurred,
        activity=st.sampled_from(["acquire", "sell", "serve"]),
        amount=money,
        currency=st.just("EUR"),
    ),
    st.builds(
        Targeted,
        profile=st.sampled_from(["p", "p", "p", "q"]),
        version=st.sampled_from(["1", "1", "2"]),
        arm=st.sampled_from(["targeted", "holdout"]),
    ),
)
facts = st.lists(
    st.tuples(st.integers(0, 6), events, st.integers(0, 60), st.booleans()), max_size=60
)


def a_log(found):
    """Facts as they were told; some are retracted by the end."""
    return [
        Said(
            f"c{who}", data, START + 12 * HOUR * when, n, START + 12 * HOUR * when, None,
            len(found) if gone and n < len(found) else None,
        )
        for n, (who, data, when, gone) in enumerate(found, start=1)
    ]  # fmt: skip


def by_customer(log, position, as_of):
    own = defaultdict(list)
    for fact in counted(log, position):
        if fact.occurred_at <= as_of:
            own[fact.customer].append(fact)
    return {key: sorted(own[key], key=lambda f: (f.occurred_at, f.position)) for key in sorted(own)}


def committed(own):
    return next((f.occurred_at for f in own if isinstance(f.data, StageEntered)), None)


def known(own, moment):
    """What was known of a customer by a moment."""
    traits: dict[str, Any] = {}
    for fact in own:
        if fact.occurred_at > moment:
            break
        if isinstance(fact.data, Touched):
            traits.setdefault("channel", fact.data.channel)
        elif isinstance(fact.data, TraitsObserved):
            traits |= fact.data.traits
    return traits


def worth(own, t0):
    sign = {"order": 1, "return": -1}
    return sum(
        (
            sign[f.data.kind] * f.data.amount
            for f in own
            if isinstance(f.data, OrderPlaced) and t0 <= f.occurred_at < t0 + HORIZON
        ),
        Decimal(0),
    )


def outlay(own, t0):
    within = [f.data for f in own if t0 <= f.occurred_at < t0 + HORIZON]
    spent = [d.amount for d in within if isinstance(d, CostIncurred) and d.activity != "serve"]
    spent += [d.cost for d in within if isinstance(d, Touched) and d.cost is not None]
    return sum(spent, Decimal(0))


def arms_of(log, position, as_of):
    """(arm, mature, converted, worth, outlay) of each that was assigned, and the last moment."""
    members, last = [], None
    for own in by_customer(log, position, as_of).values():
        first = next(
            (
                f
                for f in own
                if isinstance(f.data, Targeted) and (f.data.profile, f.data.version) == ("p", "1")
            ),
            None,
        )
        if first is None:
            continue
        t0, when = first.occurred_at, committed(own)
        last = t0 if last is None else max(last, t0)
        converted = when is not None and t0 < when <= t0 + HORIZON
        mature = t0 + HORIZON <= as_of
        members.append((first.data.arm, mature, converted, worth(own, t0), outlay(own, t0)))
    return members, last


def cut_of(log, position, days):
    last = max((f.occurred_at for f in log), default=START)
    return Cut(position, START + days * DAY, complete=last <= START + days * DAY)


@given(found=facts, days=st.integers(5, 45), back=st.integers(0, 3))
def test_arms_are_those_of_the_facts(memory, found, days, back):
    log = a_log(found)
    memory.load(log, B2B)
    position = max(0, memory.position - back)
    as_of = START + days * DAY
    members, last = arms_of(log, position, as_of)
    asked = (memory, cut_of(log, position, days), B2B)
    answer = profile_evaluation(*asked, profile=PROFILE, interim=True)
    rows = {row["arm"]: row for row in answer}
    told = any(mature for _, mature, *_ in members)
    for arm in ("targeted", "holdout"):
        row, own = rows[arm], [one for one in members if one[0] == arm]
        mature = [one for one in own if one[1]]
        assert (row["assigned"], row["mature"]) == (len(own), len(mature))
        if mature:
            assert row["converted"] == sum(one[2] for one in mature)
            assert row["value"] == sum(one[3] for one in mature)
            assert row["cost"] == sum(one[4] for one in mature)
            assert row["value_per_prospect"] == pytest.approx(float(row["value"]) / len(mature))
    pair = [
        [float(m[3]) for m in members if m[0] == arm and m[1]]
        for arm in rows
        if arm != "difference"
    ]
    difference = rows["difference"]["value_per_prospect"]
    if told and all(pair):
        assert difference == pytest.approx(np.mean(pair[0]) - np.mean(pair[1]))
        gap: Any = mean_gap(sorted(pair[0]), sorted(pair[1]), SEED)
        assert rows["difference"]["value_per_prospect_low"] == pytest.approx(gap.low)
    else:
        assert difference is None
    ends = datetime(2024, 1, 21, tzinfo=UTC)
    ready = (last if as_of >= ends and last is not None else ends) + HORIZON
    final = profile_evaluation(*asked, profile=PROFILE).rows()[2]["reason"]
    if not members:
        assert final == ("nobody was assigned" if as_of >= ends else "nobody was assigned yet")
    elif as_of < ready:
        assert final == f"not yet, from {ready:%Y-%m-%d}"
    else:
        assert final is None or final.startswith("nobody is in the arm")


OF_ARMS = ("assigned", "mature", "converted", "conversion", "value", "cost")


@pytest.mark.slow
@given(found=facts, days=st.integers(5, 45), back=st.integers(0, 3), place=st.integers(0, 99))
def test_behind_an_arm_is_who_was_assigned_and_what_became_of_them(
    memory, found, days, back, place
):
    log = a_log(found)
    memory.load(log, B2B)
    position, as_of = max(0, memory.position - back), START + days * DAY
    cut = cut_of(log, position, days)
    rows = profile_evaluation(memory, cut, B2B, profile=PROFILE, interim=True).rows()
    told = [(row, name) for row in rows[:2] for name in OF_ARMS if row[name]]
    if not told:
        return
    row, column = told[place % len(told)]
    asked: dict[str, Any] = {"profile": PROFILE, "interim": True}
    named = behind(memory, cut, B2B, "profile_evaluation", row, column, **asked)
    expected = {}
    for key, own in by_customer(log, position, as_of).items():
        first = next((f for f in own if getattr(f.data, "profile", "") == "p"
                      and getattr(f.data, "version", "") == "1"), None)  # fmt: skip
        if first is None or getattr(first.data, "arm", "") != row["arm"]:
            continue
        t0, when = first.occurred_at, committed(own)
        if column != "assigned" and t0 + HORIZON > as_of:
            continue
        within = [f for f in own if t0 <= f.occurred_at < t0 + HORIZON]
        entered = {f.position for f in own if isinstance(f.data, StageEntered)
                   and f.occurred_at == when and when is not None and t0 < when <= t0 + HORIZON}  # fmt: skip
        if column == "converted" and not entered:
            continue
        expected[key] = {"assigned": {first.position}} | {
            role: positions
            for role, positions in {
                "converted: entered commitment": entered,
                "value: order": {f.position for f in within if isinstance(f.data, OrderPlaced)},
                "cost: cost": {f.position for f in within if isinstance(f.data, CostIncurred)
                               and f.data.activity != "serve"},
                "cost: touch": {f.position for f in within if isinstance(f.data, Touched)
                                and f.data.cost is not None},
            }.items()
            if positions and role.split(":")[0] == {"conversion": "converted"}.get(column, column)
        }  # fmt: skip
    assert named == expected


@given(found=facts, days=st.integers(5, 45))
def test_who_came_is_judged_by_what_was_known(memory, found, days):
    log = a_log(found)
    memory.load(log, B2B)
    as_of, expected = START + days * DAY, []
    for own in by_customer(log, memory.position, as_of).values():
        t0, when = own[0].occurred_at + SETTLED, committed(own)
        if t0 > as_of or (when is not None and when <= t0):
            continue
        fits = PROFILE.fits(known(own, t0))
        mature = fits and t0 + HORIZON <= as_of
        converted = mature and when is not None and when <= t0 + HORIZON
        expected.append((fits, mature, converted, worth(own, t0) if mature else Decimal(0)))
    answer = profile_outlook(
        memory, cut_of(log, memory.position, days), B2B, profile=PROFILE
    ).rows()
    names = ("fitting", "mature", "converted", "value")
    assert sum(row["prospects"] for row in answer) == len(expected)
    assert [sum(row[name] or 0 for row in answer) for name in names] == [
        sum(one[place] for one in expected) for place in range(4)
    ]


@given(found=facts, days=st.integers(2, 22))
def test_who_is_assigned_next_fits_and_was_not_assigned(memory, found, days):
    log = a_log(found)
    memory.load(log, B2B)
    as_of, starts = START + days * DAY, START + 3 * DAY
    ever = {
        f.customer
        for f in log  # an assignment that was retracted is not made anew
        if isinstance(f.data, Targeted) and f.data.profile == "p"
    }
    expected = []
    if starts <= as_of < START + 20 * DAY:
        expected = [
            (key, PROFILE.score(traits), PROFILE.arm(key))
            for key, own in by_customer(log, memory.position, as_of).items()
            if own[0].occurred_at >= starts and committed(own) is None and key not in ever
            if PROFILE.fits(traits := known(own, as_of))
        ]
    answer = profile_prospects(memory, cut_of(log, memory.position, days), B2B, profile=PROFILE)
    assert [(row["customer"], row["score"], row["arm"]) for row in answer] == expected
