"""Attribution: the reference's toy values, milestones, spend, and what is refused."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bowtie.errors import Refused, UsageError
from bowtie.events import CostIncurred, OrderPlaced, SpendRecorded, StageEntered, Touched
from bowtie.stages import load_definition
from bowtie_projections.results import Result
from bowtie_projections.views.attribution import attribution
from bowtie_projections.views.attribution.credits import apportioned
from bowtie_projections.views.attribution.rules import RULES, Touch
from bowtie_projections.views.cut import Cut
from tests.read_tables import FilledTables, Said

B2B = load_definition("b2b")
START = datetime(2024, 1, 1, tzinfo=UTC)
DAY = timedelta(days=1)
TOY = ["ga", "ga", "mail", "ga>mail"]


class Journeys:
    """A log of paths under construction."""

    def __init__(self, memory: FilledTables) -> None:
        self.memory, self.facts = memory, list[Said]()

    def say(self, customer: str, data: Any, day: float) -> None:
        self.facts.append(Said(customer, data, START + day * DAY, len(self.facts) + 1))

    def path(self, customer: str, path: str, *, won: bool = True, amount: str = "100") -> None:
        """Touches on the days from 0 on, and the commitment on day 30."""
        for day, channel in enumerate(path.split(">")):
            self.say(customer, Touched(channel=channel, direction="inbound"), day)
        if won:
            self.say(customer, StageEntered(stage="commitment"), 30)
            order = OrderPlaced(order="o", kind="order", amount=Decimal(amount), currency="EUR")
            self.say(customer, order, 30)

    def ask(self, as_of: datetime = START + 400 * DAY, **asked: Any) -> Result:
        self.memory.load(self.facts, B2B)
        cut = Cut(self.memory.position, as_of)
        given: dict[str, Any] = {"horizon": "60d", "threshold": 1} | asked
        return attribution(self.memory, cut, B2B, **given)


@pytest.fixture
def journeys(memory: FilledTables) -> Journeys:
    return Journeys(memory)


def credit_of(answer: Result, column: str = "wins") -> dict[str, Any]:
    return {row["channel"]: row[column] for row in answer}


def test_the_toy_of_the_reference(journeys: Journeys) -> None:
    """Two commitments of ga alone and a path of it without one, one of mail, one of both."""
    for number, path in enumerate(TOY):
        journeys.path(f"c{number}", path)
    journeys.path("none", "ga", won=False)
    assert credit_of(journeys.ask(models="markov")) == pytest.approx({"ga": 2.4, "mail": 1.6})
    assert credit_of(journeys.ask(models="shapley")) == pytest.approx({"ga": 2.5, "mail": 1.5})
    value = credit_of(journeys.ask(models="markov"), "value")
    assert value == {"ga": Decimal("240.00"), "mail": Decimal("160.00")}


def test_decay_by_half_lives(journeys: Journeys) -> None:
    """14, 7 and 0 days before: 1/7, 2/7, 4/7."""
    for channel, day in (("a", 16), ("b", 23), ("c", 30)):
        journeys.say("x", Touched(channel=channel, direction="inbound"), day)
    journeys.say("x", StageEntered(stage="commitment"), 30)
    found = credit_of(journeys.ask(models="time_decay"))
    assert found == pytest.approx({"a": 1 / 7, "b": 2 / 7, "c": 4 / 7})


def test_milestones_take_the_last_touch_before_them(journeys: Journeys) -> None:
    journeys.path("x", "a>b>c>d>e>f")
    journeys.say("x", StageEntered(stage="education"), 1.5)
    journeys.say("x", StageEntered(stage="selection"), 3.5)
    w = credit_of(journeys.ask(models="w"))
    others = pytest.approx(0.1 / 3)
    assert w == {"a": pytest.approx(0.3), "b": pytest.approx(0.3), "c": others,
                 "d": pytest.approx(0.3), "e": others, "f": others}  # fmt: skip
    full = credit_of(journeys.ask(models="full_path"))
    assert full["f"] == pytest.approx(0.225)
    assert full["c"] == pytest.approx(0.05)


def test_what_comes_after_the_commitment_or_long_before_has_no_credit(journeys: Journeys) -> None:
    journeys.path("x", "old>late")
    journeys.say("x", Touched(channel="after", direction="inbound"), 31)
    assert credit_of(journeys.ask(models="linear", window="29d")) == {"late": 1.0}
    answer = journeys.ask(models="linear", window="5d")
    assert credit_of(answer) == {"(none)": 1.0}
    assert answer.rows()[0]["value"] == Decimal("100.00")
    assert "1 had no touch with a channel in the 5d before" in answer.sentence


def test_spend_stands_beside_the_credit_of_the_same_months(journeys: Journeys) -> None:
    journeys.path("x", "ads")
    journeys.path("y", "ads>mail")
    spend = SpendRecorded(
        activity="acquire", channel="ads", amount=Decimal(300), currency="EUR",
        from_on="2024-01-01", to_on="2024-01-31", includes_touch_cost=True,
    )  # fmt: skip
    journeys.facts.append(Said("ads", spend, START, len(journeys.facts) + 1))
    rows = {row["channel"]: row for row in journeys.ask(models="linear")}
    assert rows["ads"]["wins"] == 1.5
    assert rows["ads"]["cost_per_win"] == Decimal(200)
    assert rows["ads"]["cost_per_high"] == Decimal(200)
    assert rows["ads"]["value_to_cost"] == pytest.approx(0.5)
    # 100 in 60 days are 50.69 in a twelfth of a year
    assert rows["ads"]["payback_months"] == pytest.approx(200 / (100 / 60 * 365 / 12))
    assert rows["mail"]["spend"] is None
    assert rows["mail"]["reason"] == "no spend on record for this source"
    assert journeys.ask(by="campaign").rows()[0]["reason"] is not None
    # where summer time lies between, a horizon of 60 days is of 60 days still
    summer = datetime(2024, 4, 30, 22, 30, tzinfo=UTC)
    zoned = journeys.ask(summer, models="linear", tz="Europe/Berlin")
    found = {row["channel"]: row for row in zoned}
    assert found["ads"]["payback_months"] == pytest.approx(200 / (100 / 60 * 365 / 12))


def test_costs_of_a_campaign_are_read_by_campaign(journeys: Journeys) -> None:
    journeys.say("x", Touched(channel="ads", campaign="may", direction="inbound"), 1)
    journeys.say("x", StageEntered(stage="commitment"), 3)
    cost = CostIncurred(
        activity="acquire", channel="ads", campaign="may", amount=Decimal(40), currency="EUR"
    )
    journeys.say("x", cost, 2)
    (row,) = journeys.ask(by="campaign", models="last").rows()
    assert (row["campaign"], row["cost_per_win"]) == ("may", Decimal(40))


def test_who_may_still_commit_is_no_path_without_one(journeys: Journeys) -> None:
    journeys.path("x", "ga")
    journeys.say("y", Touched(channel="mail", direction="inbound"), 390)
    answer = journeys.ask(models="markov")
    assert credit_of(answer) == {"ga": 1.0}
    assert any("1 customer without a commitment" in note for note in answer.notes)


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"models": "best"}, "models is 'best'; write first or last"),
        ({"order": 4}, "order is 4"),
        ({"by": "plan"}, "by is 'plan'; write channel or"),
        ({"window": "0d"}, "window is 0d: write a time longer than none"),
        ({"half_life": "soon"}, "half_life: "),
        ({"direction": "up"}, "direction is 'up'"),
    ],
)
def test_what_cant_be_asked(journeys: Journeys, asked: dict[str, Any], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        journeys.ask(**asked)


def test_currencies_are_never_added(journeys: Journeys) -> None:
    journeys.path("x", "ga")
    journeys.path("y", "ga")
    journeys.facts[-1] = Said(
        "y", OrderPlaced(order="p", kind="order", amount=Decimal(5), currency="USD"),
        START + 30 * DAY, journeys.facts[-1].position,
    )  # fmt: skip
    with pytest.raises(Refused, match="EUR and USD"):
        journeys.ask()


def test_an_empty_log(journeys: Journeys) -> None:
    journeys.memory.load([])
    answer = attribution(journeys.memory, Cut(0), B2B)
    assert len(answer) == 0
    assert answer.sentence == "Nobody has committed."


@given(parts=st.lists(st.fractions(0, 100), min_size=1, max_size=8), cents=st.integers(0, 10**9))
def test_parts_are_whole_cents_and_sum_to_the_whole(parts: list[Fraction], cents: int) -> None:
    total, cent = Decimal(cents) / 100, Decimal("0.01")
    found = apportioned(total, parts, cent)
    assert sum(found) == (total if sum(parts) else 0)
    for part, one in zip(parts, found, strict=True):
        assert one == one.quantize(cent)
        if sum(parts):
            assert abs(Fraction(one) - Fraction(total) * part / sum(parts)) < Fraction(1, 100)


@pytest.mark.parametrize("model", [name for name in RULES if name != "shapley"])
@pytest.mark.parametrize("touches", [1, 2, 3, 7])
def test_a_path_without_milestones_is_shared_out_whole(model: str, touches: int) -> None:
    shares = [
        RULES[model](Touch(touches, int(place == 0), int(place == touches - 1)))
        for place in range(touches)
    ]
    if model == "full_path":  # its counts of milestones hold the last one too
        shares = [
            RULES[model](
                Touch(
                    touches, int(place == 0), int(place == touches - 1),
                    milestones_z=min(2, touches),
                )
            )
            for place in range(touches)
        ]  # fmt: skip
    assert sum(shares) == 1
