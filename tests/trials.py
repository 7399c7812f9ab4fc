"""A trial of a target profile, whose prospects are known one by one."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from bowtie import Bowtie
from bowtie.events import OrderPlaced, StageEntered, Targeted, Touched, TraitsObserved
from bowtie.profiles import publish_profile

__all__ = ["PROFILE", "START", "Prospect", "prospects", "record_trial"]

START = datetime(2024, 1, 1, tzinfo=UTC)
DAY = timedelta(days=1)
PROFILE = """
name = "lookalike"
version = 1
starts_on = 2024-01-01
ends_on = 2024-01-10
horizon = "30d"
holdout = "0.5"
[[traits]]
trait = "size"
level = "large"
lift = "2"
"""


@dataclass(frozen=True)
class Prospect:
    """One who was assigned, with what was known of them then, and what they brought."""

    key: str
    arm: str
    size: str
    channel: str
    amount: Decimal

    @property
    def committed(self) -> bool:
        """Whether they bought."""
        return self.amount > 0


def prospects(number: int = 160) -> list[Prospect]:
    """Half of them are targeted, which helps the large; the small buy all alike."""
    found = []
    for n in range(number):
        arm = "targeted" if n % 2 else "holdout"
        size, channel = "large" if n % 3 == 0 else "small", "web" if n % 5 < 3 else "fair"
        helped = size == "large" and arm == "targeted"
        buys = n % 7 < 6 if helped else n % 7 < 3
        amount = Decimal(100 + n % 11 if helped else 40 + n % 13) if buys else Decimal(0)
        found.append(Prospect(f"c{n:03}", arm, size, channel, amount))
    return found


def record_trial(engine: Bowtie, people: list[Prospect]) -> None:
    """Their story; what is told of them after they were assigned says something else."""
    publish_profile(engine, PROFILE)
    for one in people:
        touch = Touched(channel=one.channel, direction="inbound")
        known = TraitsObserved(traits={"size": one.size, "age": 40})
        engine.record(one.key, touch, known, occurred_at=START + DAY)
        data = Targeted(profile="lookalike", version="1", arm=one.arm)
        engine.record(one.key, data, occurred_at=START + 5 * DAY)
        later = TraitsObserved(traits={"size": "large" if one.committed else "small"})
        engine.record(one.key, later, occurred_at=START + 6 * DAY)
        if one.committed:
            order = OrderPlaced(order=one.key, kind="order", amount=one.amount, currency="EUR")
            bought = StageEntered(stage="commitment")
            engine.record(one.key, bought, order, occurred_at=START + 9 * DAY)
    touch = Touched(channel="mail", direction="inbound")
    engine.record("late", touch, occurred_at=START + 60 * DAY)
