"""The events of a log and their customers, against counting them in Python."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from typing import Any
from unittest.mock import patch
from zoneinfo import ZoneInfo

from hypothesis import given
from hypothesis import strategies as st

from bowtie.events import Noted, SpendRecorded, Touched
from bowtie_projections.views import status_counts
from bowtie_projections.views.cut import Cut, utc
from bowtie_projections.views.status_counts import log_counts
from tests.read_tables import Said

START = datetime(2023, 12, 31, 20, tzinfo=UTC)
SPENT = SpendRecorded(
    activity="acquire",
    channel="web",
    amount="1",
    currency="EUR",
    from_on=date(2024, 1, 1),
    to_on=date(2024, 1, 31),
    includes_touch_cost=False,
)
SAID = (Touched(channel="web", direction="inbound"), Noted(name="lead_created"), SPENT)


def a_log(rng: random.Random) -> list[Said]:
    facts = []
    for position in range(1, rng.randrange(2, 25)):
        gone = position + rng.randrange(1, 9) if rng.random() < 0.2 else None
        at = START + timedelta(days=rng.randrange(200), hours=rng.randrange(12))
        facts.append(Said(rng.choice("abc"), rng.choice(SAID), at, position, at, None, gone))
    return facts


def by_hand(
    facts: list[Said], position: int, key: Callable[[Said], str]
) -> dict[str, dict[str, Any]]:
    parted: dict[str, list[Said]] = defaultdict(list)
    for fact in facts:
        if fact.position <= position:
            parted[key(fact)].append(fact)
    return {
        value: {
            "events": len(own),
            "customers": len({one.customer for one in own if one.data.stream_kind == "customer"}),
            "first_at": utc(min(one.occurred_at for one in own)),
            "last_at": utc(max(one.occurred_at for one in own)),
            "out_of_sequence": 0,
            "retracted": sum((one.retracted_position or position + 1) <= position for one in own),
        }
        for value, own in sorted(parted.items())
    }


@given(st.randoms(use_true_random=False), st.sampled_from(("UTC", "Asia/Tokyo")))
def test_events_and_customers_are_counted_by_type_source_and_month(memory, rng, tz):
    facts = a_log(rng)
    memory.load(facts)
    position = rng.randrange(len(facts) + 1)

    # the bits of a number are soon used up, so that months fall into several
    with patch.object(status_counts, "_BITS", 2):
        found = log_counts(memory, Cut(position), tz)

    for name, table, key in (
        ("type", found.types, lambda fact: fact.data.type_name),
        ("source", found.sources, lambda _: "test"),
        (
            "month",
            found.months,
            lambda fact: format(fact.occurred_at.astimezone(ZoneInfo(tz)), "%Y-%m"),
        ),
    ):
        expected = by_hand(facts, position, key)
        assert table.to_pylist() == [{name: value} | row for value, row in expected.items()]
    whole = by_hand(facts, position, lambda _: "all").get("all", {"events": 0, "customers": 0})
    assert {name: found.total[name] for name in whole} == whole
