"""The rules of one journey, as plain functions: ``initial``, ``evolve``, ``fold``, ``decide``.

The state doesn't depend on the order of events: each value carries when it occurred and its
position, and the greatest wins; firsts are minima. So a journey folded from any permutation of its
events is the same.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from types import MappingProxyType
from typing import Any, Protocol

from bowtie.errors import RuleViolation
from bowtie.events import (
    ContractChanged,
    ContractEnded,
    ContractRenewed,
    ContractSigned,
    Event,
    IdentityLinked,
    IdentityUnlinked,
    MembershipEnded,
    MembershipStarted,
    Touched,
    TraitsObserved,
)
from bowtie.rules import Signing, broken_rule

__all__ = ["Contract", "Dated", "Journey", "decide", "evolve", "fold", "initial"]


class Occurred(Protocol):
    """What the rules need to know of an event."""

    @property
    def data(self) -> Event:
        """The fact."""

    @property
    def occurred_at(self) -> datetime:
        """When it happened."""

    @property
    def position(self) -> int:
        """Its place among the others."""


@dataclass(frozen=True, slots=True, order=True)
class Dated:
    """A value with the moment it holds from; the greatest of several is the newest."""

    occurred_at: datetime
    position: int
    value: Any = field(compare=False)


@dataclass(frozen=True, slots=True)
class Contract:
    """What is known of one contract; None where nothing was said yet."""

    signed: Dated | None = None
    amount: Dated | None = None
    ended_on: Dated | None = None


@dataclass(frozen=True, slots=True)
class Journey:
    """What is known of one customer.

    Attributes:
        traits: the newest observation of each trait; a value of None unsets it.
        contracts: by contract id.
        first_touch: the earliest touch.
        aliases, accounts: the newest word on each: linked or not, member or not.
        first_at, last_at: when the oldest and newest of its events occurred.
        events: how many count.
    """

    traits: Mapping[str, Dated] = field(default_factory=lambda: MappingProxyType({}))
    contracts: Mapping[str, Contract] = field(default_factory=lambda: MappingProxyType({}))
    first_touch: Dated | None = None
    aliases: Mapping[str, Dated] = field(default_factory=lambda: MappingProxyType({}))
    accounts: Mapping[str, Dated] = field(default_factory=lambda: MappingProxyType({}))
    first_at: datetime | None = None
    last_at: datetime | None = None
    events: int = 0

    def trait(self, name: str) -> Any:
        """The value of a trait, None where it is unset or was never observed."""
        dated = self.traits.get(name)
        return None if dated is None else dated.value


def initial() -> Journey:
    """The journey of a customer of whom nothing is known."""
    return Journey()


def fold(events: Iterable[Occurred]) -> Journey:
    """The journey after all of these events, which must be those that count (none retracted)."""
    journey = initial()
    for event in events:
        journey = evolve(journey, event)
    return journey


def evolve(journey: Journey, event: Occurred) -> Journey:
    """The journey with one more event.

    >>> from bowtie.testing import at
    >>> evolve(initial(), at("2026-01-05", TraitsObserved(traits={"plan": "pro"}))).trait("plan")
    'pro'
    """
    when, position = event.occurred_at, event.position
    journey = replace(
        journey,
        events=journey.events + 1,
        first_at=when if journey.first_at is None else min(when, journey.first_at),
        last_at=when if journey.last_at is None else max(when, journey.last_at),
    )
    match event.data:
        case TraitsObserved(traits=traits):
            observed = {name: Dated(when, position, value) for name, value in traits.items()}
            return replace(journey, traits=_newest(journey.traits, observed))
        case Touched() as touch:
            dated = Dated(when, position, touch)
            first = journey.first_touch
            return replace(journey, first_touch=dated if first is None else min(first, dated))
        case IdentityLinked(alias=alias) | IdentityUnlinked(alias=alias):
            word = {alias: Dated(when, position, isinstance(event.data, IdentityLinked))}
            return replace(journey, aliases=_newest(journey.aliases, word))
        case MembershipStarted(account=account) | MembershipEnded(account=account):
            word = {account: Dated(when, position, isinstance(event.data, MembershipStarted))}
            return replace(journey, accounts=_newest(journey.accounts, word))
        case ContractSigned() | ContractChanged() | ContractRenewed() | ContractEnded() as data:
            known = journey.contracts.get(data.contract, Contract())
            changed = _contract(known, data, when, position)
            contracts = MappingProxyType({**journey.contracts, data.contract: changed})
            return replace(journey, contracts=contracts)
        case _:
            return journey


def _newest(known: Mapping[str, Dated], more: Mapping[str, Dated]) -> Mapping[str, Dated]:
    won = {
        name: dated if name not in known else max(known[name], dated)
        for name, dated in more.items()
    }
    return MappingProxyType({**known, **won})


def _contract(known: Contract, data: Event, when: datetime, position: int) -> Contract:
    dated = Dated(when, position, data)
    match data:
        case ContractSigned():
            known = replace(
                known, signed=dated if known.signed is None else min(known.signed, dated)
            )
        case ContractEnded(effective_on=effective_on):
            ended = Dated(when, position, effective_on or when.date())
            return replace(
                known, ended_on=ended if known.ended_on is None else max(known.ended_on, ended)
            )
    return replace(known, amount=dated if known.amount is None else max(known.amount, dated))


def decide(journey: Journey, data: Event, occurred_at: datetime) -> RuleViolation | None:
    """Which rule of sequence an event breaks, if it does.

    A command that breaks one is refused; a logged fact is recorded all the same, and marked.

    >>> ended = ContractEnded(contract="c1")
    >>> decide(initial(), ended, datetime(2026, 1, 5)).rule
    'not_signed'
    """
    contract = getattr(data, "contract", None)
    known = None if contract is None else journey.contracts.get(contract)
    signed = None if known is None or known.signed is None else known.signed
    signing = None if signed is None else Signing.of(signed.value, signed.occurred_at)
    return broken_rule(data.type_name, data, signing, occurred_at)
