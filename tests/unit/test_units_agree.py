"""Linked keys, members, opportunities and cycles: DuckDB and PostgreSQL count them alike."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from bowtie import Bowtie
from bowtie.errors import AliasClaimed
from bowtie.events import (
    ContractSigned,
    Disqualified,
    Event,
    IdentityLinked,
    MembershipEnded,
    MembershipStarted,
    Noted,
    Onboarded,
    Touched,
    TraitsObserved,
)
from bowtie_projections import Views
from tests.unit.test_views_agree import same

START = datetime(2024, 1, 1, tzinfo=UTC)
UNITS = ("customer", "account", "opportunity", "cycle")
ASKED: list[tuple[str, dict[str, Any]]] = [
    ("status", {}),
    ("stock", {"by": ["trait.size"]}),
    ("stock", {"position": 100}),
    ("funnel", {"by": ["channel"], "cohort": "month"}),
    ("funnel", {"customers": "awareness:pending"}),
    ("funnel", {"horizon": "30d,200d", "by": ["trait.size"]}),
    ("funnel", {"entry_age": True, "data_from": "2024-04-01"}),
    ("loop", {"horizon": "60d", "threshold": "1"}),
    ("paths", {"of": ["stages", "channels"]}),
    ("touchpoints", {"of": "channel"}),
    ("definition_diff", {"before": "b2b/1", "after": "shop/1", "who": True}),
]


def _facts(chance: random.Random) -> Iterator[tuple[Event, int]]:
    """What happens to one key, and on which days."""
    for number in range(chance.randint(2, 7)):
        day, opportunity = chance.randint(0, 300), chance.choice([None, "o1", "o2"])
        signed_on = (START + timedelta(days=day)).date()
        yield (
            chance.choice(
                [
                    Touched(
                        channel=chance.choice(["ads", "Web"]),
                        direction="inbound",
                        opportunity=opportunity,
                    ),
                    Noted(name="lead_created"),
                    Noted(name="demo_requested", properties={"opportunity": opportunity or "o3"}),
                    Disqualified(opportunity=opportunity),
                    Onboarded(),
                    TraitsObserved(traits={"size": chance.choice(["s", "l"])}),
                    ContractSigned(
                        contract=f"c{number}", kind="paid", amount="100", per="month",
                        currency="EUR", starts_on=signed_on, opportunity=opportunity,
                    ),
                ]
            ),
            day,
        )  # fmt: skip


@pytest.fixture(scope="module")
def both(tmp_path_factory, postgres_server):
    """The views of one store, over tables in either database."""
    chance = random.Random(7)
    file = tmp_path_factory.mktemp("units") / "units.db"
    keys = [f"{'Zä-b'[number % 4]}{number}" for number in range(40)]
    with postgres_server.schema() as url, Bowtie.open(str(file)) as engine:

        def say(key: str, event: Event, day: int) -> None:
            engine.record(key, event, occurred_at=START + timedelta(days=day))

        for number, key in enumerate(keys):
            for event, day in _facts(chance):
                say(key, event, day)
            if number % 3 == 1:
                with suppress(AliasClaimed):
                    say(chance.choice(keys[:number]), IdentityLinked(alias=key), 0)
            if number % 4 == 2:
                account = chance.choice(["A", "b", keys[3]])
                say(key, MembershipStarted(account=account), chance.randint(0, 200))
                if number % 8 == 2:
                    say(key, MembershipEnded(account=account), chance.randint(200, 300))
        yield Views.open(engine), Views.open(engine, url)


@pytest.mark.parametrize(
    ("name", "parameters"),
    [
        (name, {"unit": unit, **more})
        for name, more in ASKED
        for unit in UNITS
        if unit != "cycle" or name not in ("status", "loop", "touchpoints")
    ],
    ids=lambda value: str(value)[:60],
)
def test_answers_are_the_same(both, name, parameters):
    one, other = (getattr(views, name)(**parameters) for views in both)
    assert one.rows(), "there is something to compare"
    assert same(one.to_dict(), other.to_dict())
