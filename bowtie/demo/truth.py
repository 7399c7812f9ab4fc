"""What is true of a demo log, so that an answer can be held against it."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from datetime import date
from typing import Any, NamedTuple

from bowtie.demo import market

__all__ = ["Level", "Tally", "Truth"]


class Level(NamedTuple):
    """One value of a trait, as the loop's rows name it."""

    trait: str
    level: str


_REAL_TRAIT = Level(market.REAL_TRAIT, "true")
_REAL_CHANNEL = Level("channel", market.REAL_CHANNEL)
_CHEAP_CHANNEL = Level("channel", market.CHEAP_CHANNEL)


@dataclass(slots=True)
class Tally:
    """What is counted while a log is written."""

    events_by_type: Counter[str] = field(default_factory=Counter)
    parked: Counter[str] = field(default_factory=Counter)
    malformed: Counter[str] = field(default_factory=Counter)
    duplicates: int = 0
    corrected: int = 0
    late: int = 0
    out_of_sequence: int = 0
    brought: int = 0
    referred: Counter[int] = field(default_factory=Counter)
    paying: int = 0
    mature: int = 0


@dataclass(frozen=True, slots=True)
class Truth:
    """What was built into a log, and what must become of its lines.

    ``events`` are appended by a first ingest, ``duplicates`` recognised, ``parked`` kept out by
    reason; together they are ``lines``. ``malformed`` says how the parked lines are wrong (those
    with a reused id aside), ``late`` how many events were known more than three days after they
    happened (corrections aside), ``corrected`` how many were taken back and sent again. ``brought``
    is how many accounts came by the recommendation of a customer, ``referred_customers`` how many
    of these signed a paid contract, by how many recommendations led to them.
    """

    customers: int
    seed: int
    first: date
    until: date
    lines: int
    events: int
    duplicates: int
    parked: dict[str, int]
    malformed: dict[str, int]
    corrected: int
    late: int
    out_of_sequence: int
    paying_customers: int
    mature_customers: int
    brought: int
    referred_customers: dict[int, int]
    events_by_type: dict[str, int]

    #: what the loop should find: over commitments, 365 days, the top fifth by revenue
    real_trait: Level = _REAL_TRAIT
    real_channel: Level = _REAL_CHANNEL
    cheap_channel: Level = _CHEAP_CHANNEL
    #: what it should not take for one
    older_trait: str = market.OLDER_TRAIT
    leak_trait: str = market.LEAK_TRAIT
    missing_trait: str = market.MISSING_TRAIT
    neutral_traits: tuple[str, ...] = ("industry", "company_size", "campaign")

    @classmethod
    def of(cls, tally: Tally, customers: int, seed: int, first: date, until: date) -> Truth:
        """The truth of a log that was written to its end."""
        events = tally.events_by_type.total()
        parked = tally.parked.total()
        return cls(
            customers=customers,
            seed=seed,
            first=first,
            until=until,
            lines=events + tally.duplicates + parked,
            events=events,
            duplicates=tally.duplicates,
            parked=dict(sorted(tally.parked.items())),
            malformed=dict(sorted(tally.malformed.items())),
            corrected=tally.corrected,
            late=tally.late,
            out_of_sequence=tally.out_of_sequence,
            paying_customers=tally.paying,
            mature_customers=tally.mature,
            brought=tally.brought,
            referred_customers=dict(sorted(tally.referred.items())),
            events_by_type=dict(sorted(tally.events_by_type.items())),
        )

    @property
    def marks(self) -> tuple[Level, ...]:
        """The levels that really bring customers of high value."""
        return (self.real_trait, self.real_channel)

    @property
    def anti_marks(self) -> tuple[Level, ...]:
        """The levels that really bring customers of low value."""
        return (self.cheap_channel,)

    @property
    def mirrors(self) -> tuple[Level, ...]:
        """The other side of a trait of two levels: it says the same once more."""
        return (Level(self.real_trait.trait, "false"),)

    def as_dict(self) -> dict[str, Any]:
        """The machine form: JSON values only."""

        def levels(found: tuple[Level, ...]) -> list[dict[str, str]]:
            return [level._asdict() for level in found]

        return {
            "customers": self.customers,
            "seed": self.seed,
            "first": self.first.isoformat(),
            "until": self.until.isoformat(),
            "lines": self.lines,
            "events": self.events,
            "duplicates": self.duplicates,
            "parked": self.parked,
            "malformed": self.malformed,
            "corrected": self.corrected,
            "late": self.late,
            "out_of_sequence": self.out_of_sequence,
            "paying_customers": self.paying_customers,
            "mature_customers": self.mature_customers,
            "brought": self.brought,
            "referred_customers": {str(n): count for n, count in self.referred_customers.items()},
            "events_by_type": self.events_by_type,
            "marks": levels(self.marks),
            "anti_marks": levels(self.anti_marks),
            "mirrors": levels(self.mirrors),
            "older_trait": self.older_trait,
            "leak_trait": self.leak_trait,
            "missing_trait": self.missing_trait,
            "neutral_traits": list(self.neutral_traits),
        }

    def text(self) -> str:
        """The same for a person to read."""
        return "\n".join([*self._business(), "", *self._truths(), "", *self._lines()]) + "\n"

    def _business(self) -> list[str]:
        span = f"{self.first} through {self.until} (seed {self.seed})"
        mature = f"{self.mature_customers:,} at least 365 days before the end"
        referred = f"{sum(self.referred_customers.values()):,} signed"
        return [
            f"{self.customers:,} accounts from {span}.",
            f"{self.paying_customers:,} of them signed a paid contract, {mature}.",
            f"{self.brought:,} came by the recommendation of a customer; {referred}.",
        ]

    def _truths(self) -> list[str]:
        channels = {channel.name: channel for channel in market.CHANNELS}
        partner, cheap = channels[self.real_channel.level], channels[self.cheap_channel.level]
        unknown, neutral = market.SHARE_WITHOUT_REGION, ", ".join(self.neutral_traits)
        return f"""\
Built in, for the loop to find (commitments, 365 days, the top fifth by revenue):
  mark       {self.real_trait.trait} = {self.real_trait.level}: \
its customers buy {market.VALUE_OF_REAL_TRAIT} times the seats
  mark       channel = {partner.name}: its customers buy {partner.value} times the seats
  anti-mark  channel = {cheap.name}: cheap, and brings many; \
they buy {cheap.value} times the seats and leave sooner
Not to be taken for marks:
  {self.older_trait}: usual among those who came early, so it looks good in value to date; no effect
  {self.leak_trait}: goes with value, but was written down months after the sale
  {self.missing_trait}: unknown for {unknown:.0%} of the accounts; no effect
  {neutral}: no effect; each campaign runs in every channel alike""".splitlines()

    def _lines(self) -> list[str]:
        reasons = ", ".join(f"{count} {reason}" for reason, count in self.parked.items())
        parked = f"{sum(self.parked.values()):,} to be parked" + f" ({reasons})" * bool(reasons)
        taken = f"{self.events:,} events, {self.duplicates:,} duplicates"
        late = f"{self.late:,} known more than three days late"
        corrected = f"{self.corrected:,} retracted and sent again"
        return [
            f"{self.lines:,} lines: {taken}, {parked}.",
            f"Among the events: {late}, {corrected}, {self.out_of_sequence:,} out of sequence.",
        ]
