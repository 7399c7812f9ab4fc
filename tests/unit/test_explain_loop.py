"""Who is behind the figures of the closed loop, by hand."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pytest

from bowtie.errors import UsageError
from bowtie.events import (
    ContractEnded,
    ContractSigned,
    CostIncurred,
    SpendRecorded,
    StageEntered,
    Touched,
    TraitsObserved,
)
from bowtie_projections.explaining import explanation
from bowtie_projections.results import Result
from bowtie_projections.views.cut import Cut
from tests.loops import B2B, DAY, START, World, fill
from tests.read_tables import MemoryTables


@pytest.fixture(scope="module")
def memory() -> MemoryTables:
    return MemoryTables()


@pytest.fixture
def world(memory: MemoryTables) -> World:
    return World(memory)


def explain(world: World, column: str, part: str | None = None, **asked: Any) -> Result:
    names = ("trait", "level", "trait_2", "level_2", "by", "source")
    named: dict[str, Any] = {name: asked.pop(name) for name in names if name in asked}
    world.memory.load(world.facts, B2B)
    return explanation(
        world.memory, Cut(world.memory.position, START + 400 * DAY), B2B,
        view="loop", part=part, cell=named, column=column, **{"horizon": "30d", "threshold": 200, **asked},
    )  # fmt: skip


def roles(result: Result, customer: str) -> list[tuple[str, str]]:
    return [(row["role"], row["type"]) for row in result.rows() if row["customer"] == customer]


def test_a_level_is_what_was_known_at_time_zero(world):
    fill(world)
    world.say("c0", TraitsObserved(traits={"half": "b"}), START + 5 * DAY)
    found = explain(world, "customers", trait="half", level="a")
    assert found.meta["members"] == 60
    assert roles(found, "c0") == [
        ("half", "traits_observed"),
        ("time zero: entered commitment", "stage_entered"),
    ]
    assert found.rows()[0]["position"] == 1, "not what was learnt later"
    high = explain(world, "high", trait="half", level="a")
    assert high.meta["members"] == 30
    assert roles(high, "c0")[-1] == ("value: order", "order_placed")
    rate = explain(world, "high_rate", trait="half", level="a")
    assert (rate.meta["value"], rate.meta["members"]) == (0.5, 60)


def test_the_missing_the_others_and_the_leaks(world):
    for n in range(110):
        code = f"k{n % 55:02}"
        world.customer(f"c{n:03}", START + n * DAY, "900" if n % 2 else "100", code=code)
    for n in range(40):
        world.customer(f"d{n:02}", START + n * DAY, "50")
        world.say(f"d{n:02}", TraitsObserved(traits={"late": "x"}), START + 300 * DAY)
    missing = explain(world, "customers", trait="code", level="(missing)")
    assert {row["customer"][0] for row in missing} == {"d"}
    assert {row["role"] for row in missing} == {"time zero: entered commitment"}
    others = explain(world, "customers", trait="code", level="other")
    named = [*range(50, 55), *range(105, 110)]
    assert sorted({row["customer"] for row in others}) == [f"c{n:03}" for n in named]
    leak = explain(world, "customers", trait="late", level=None)
    assert leak.meta["members"] == 40


def test_a_source_is_the_first_touch_in_the_months_with_spend(world):
    for n in range(120):
        at = START + timedelta(days=n)
        channel = "web" if n % 2 else "ads"
        world.say(f"c{n:03}", Touched(channel=channel, direction="inbound"), at - DAY)
        world.customer(f"c{n:03}", at, "500" if n % 4 < 2 else "50")
    spend = SpendRecorded(
        activity="acquire", channel="web", amount=Decimal(900), currency="EUR",
        from_on=date(2023, 1, 1), to_on=date(2023, 2, 28), includes_touch_cost=False,
    )  # fmt: skip
    world.say("web", spend, START + 100 * DAY)
    found = explain(world, "customers", "sources", source="web")
    assert found.meta["members"] == 29
    assert roles(found, "c001") == [
        ("first touch", "touched"),
        ("time zero: entered commitment", "stage_entered"),
    ]
    worth = explain(world, "value", "sources", source="web")
    assert worth.meta["value"] == Decimal(15 * 500 + 14 * 50)
    assert roles(worth, "c003")[-1] == ("value: order", "order_placed")
    ads = explain(world, "customers", "sources", source="ads")
    assert ads.meta["members"] == 60, "without spend on record no month is left out"


def test_contracts_and_costs_are_what_a_value_is_made_of(world):
    fill(world)
    at = START + 3 * DAY

    def signed(contract: str, day: int) -> ContractSigned:
        return ContractSigned(
            contract=contract, kind="paid", amount=Decimal(900), per="month", currency="EUR",
            starts_on=(START + timedelta(days=day)).date(),
        )  # fmt: skip

    world.say("c1", signed("k", 3), at + timedelta(hours=1))
    world.say("c1", signed("later", 300), at + timedelta(hours=2))
    world.say("c1", ContractEnded(contract="k"), START + 200 * DAY)
    cost = CostIncurred(activity="serve", amount=Decimal(5), currency="EUR")
    world.say("c1", cost, at + DAY)
    found = explain(world, "high", trait="half", level="b")
    assert roles(found, "c1")[-3:] == [
        ("value: order", "order_placed"),
        ("value: contract", "contract_signed"),
        ("value: contract", "contract_ended"),
    ]
    asked: dict[str, Any] = {"value": "contribution", "costs_complete": True}
    found = explain(world, "high", trait="half", level="b", **asked)
    assert ("value: cost", "cost_incurred") in roles(found, "c1")


def test_a_test_has_no_members_of_its_own(world):
    fill(world)
    with pytest.raises(UsageError, match="lift has no members to name; explain one of: customers"):
        explain(world, "lift", trait="half", level="a")
    world.say("c0", Touched(channel="web", direction="inbound"), START - DAY)
    with pytest.raises(UsageError, match="explain one of: customers, mature, high, value"):
        explain(world, "months", "sources", source="(none)")


def planted(world: World) -> None:
    """Customers of whom every second is of high value, as a trait tells; and some leads."""
    for n in range(160):
        at = START + n * DAY
        world.say(f"c{n:03}", Touched(channel="web", direction="inbound"), at - DAY)
        world.customer(f"c{n:03}", at, "500" if n % 2 else "50", half="ab"[n % 2], seats=n % 7)
    for n in range(5):
        world.say(f"d{n}", TraitsObserved(traits={"half": "b"}), START + 380 * DAY)
        world.say(f"d{n}", StageEntered(stage="education"), START + 390 * DAY)


def test_what_becomes_of_findings(world):
    planted(world)
    named = {"trait": "half", "level": "b"}
    mean = explain(world, "value_mean", "values", **named)
    assert (mean.meta["value"], mean.meta["members"]) == (Decimal(500), 80)
    assert roles(mean, "c001")[-1] == ("value: order", "order_placed")
    came = explain(world, "high", "origins", by="channel", source="web", **named)
    assert [role for role, _ in roles(came, "c001")] == [
        "first touch", "half", "time zero: entered commitment", "value: order",
    ]  # fmt: skip
    now = explain(world, "prospects", "prospects", **named)
    assert now.meta["members"] == 5
    assert roles(now, "d0") == [("half", "traits_observed"), ("entered education", "stage_entered")]


def test_pairs_and_splits_are_of_whom_they_tell(world):
    for n in range(240):
        both = n % 4 == 3
        world.customer(
            f"c{n:03}", START + n * DAY, "500" if both else "50", one="ab"[n % 2],
            two="xy"[n // 2 % 2], size=100 if both else n % 9,
        )  # fmt: skip
    asked: dict[str, Any] = {"pairs": True, "traits": {"size": {"split": True}}}
    named = {"trait": "two", "level": "y", "trait_2": "one", "level_2": "b"}
    pair = explain(world, "high", "pairs", **named, **asked)
    assert pair.meta["members"] == 60
    assert [role for role, _ in roles(pair, "c003")[:2]] == ["two", "one"]
    split = explain(world, "customers", trait="size", level="100 or more", **asked)
    assert split.meta["members"] == 30, "the later cohorts alone tell of a split"


@pytest.mark.parametrize(
    ("part", "column", "says"),
    [
        ("values", "difference", "explain one of: customers, value_mean, value_mean_others"),
        ("prospects", "share_of_prospects", "a share of all of them.; explain one of: prospects"),
    ],
)
def test_what_is_made_of_others_has_no_members(world, part, column, says):
    planted(world)
    with pytest.raises(UsageError, match=says):
        explain(world, column, part, trait="half", level="b")
