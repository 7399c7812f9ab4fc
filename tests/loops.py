"""A log under construction and the closed loop over it: what the tests of the loop start from."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from bowtie.events import OrderPlaced, StageEntered, TraitsObserved
from bowtie.stages import load_definition
from bowtie_projections.views.cut import Cut
from bowtie_projections.views.loop import loop
from tests.read_tables import Said

B2B = load_definition("b2b")
START = datetime(2023, 1, 1, tzinfo=UTC)
DAY = timedelta(days=1)


class World:
    """A log under construction, and the loop over it."""

    def __init__(self, memory):
        self.memory, self.facts = memory, []

    def say(self, customer, data, at, recorded=None, known=None):
        number = len(self.facts) + 1
        self.facts.append(Said(customer, data, at, number, recorded or at, known))

    def order(self, customer, at, amount="100", currency="EUR", kind="order"):
        order = OrderPlaced(order="o", kind=kind, amount=amount, currency=currency)
        self.say(customer, order, at)

    def customer(self, name, t0, amount="100", **traits):
        """One who commits at t0 and orders at once; the traits were known the day before."""
        if traits:
            self.say(name, TraitsObserved(traits=traits), t0 - DAY)
        self.say(name, StageEntered(stage="commitment"), t0)
        if amount:
            self.order(name, t0, amount)

    def loop(self, as_of=START + 400 * DAY, horizon="30d", **asked):
        self.memory.load(self.facts, B2B)
        return loop(self.memory, Cut(self.memory.position, as_of), B2B, horizon=horizon, **asked)


def rows_of(answer, trait):
    return {row["level"]: row for row in answer.rows() if row["trait"] == trait}


def trait_of(answer, name):
    return next(row for row in answer.part("traits").rows() if row["trait"] == name)


def source_of(answer, name):
    return next(row for row in answer.part("sources").rows() if row["source"] == name)


def fill(world, count=120, **fixed):
    """Customers over a year, every fourth of high value."""
    for n in range(count):
        amount = "500" if n % 4 == 0 else "50"
        world.customer(f"c{n}", START + n * 3 * DAY, amount, half="ab"[n % 2], **fixed)
