"""Given, when, then: tests of journeys without a database.

>>> from bowtie import ContractEnded, ContractSigned
>>> signed = ContractSigned(
...     contract="c1", kind="paid", amount="100.00", per="month", currency="EUR",
...     starts_on="2026-01-01",
... )
>>> given(at("2026-01-01", signed)).when(ContractEnded(contract="c1"), "2026-06-30").then_accepted()
>>> given().when(ContractEnded(contract="c1"), "2026-06-30").then_refused("not_signed")
>>> from bowtie import Touched
>>> given(at("2026-01-05", Touched(channel="web", direction="inbound"))).then_stage("awareness")
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime

from bowtie.errors import RuleViolation
from bowtie.events import Event
from bowtie.journey import Journey, decide, fold
from bowtie.stages import Definition, current_stage, evaluate, load_definition
from bowtie.times import moment

__all__ = ["Given", "Happened", "When", "at", "given"]


@dataclass(frozen=True, slots=True)
class Happened:
    """An event with the moment it occurred at, and its place among the others."""

    data: Event
    occurred_at: datetime
    position: int = 1


def at(when: str | datetime, data: Event) -> Happened:
    """An event that occurred at a day (its first moment, UTC) or at a time with its zone."""
    return Happened(data, moment(when))


def given(*events: Happened) -> Given:
    """What has happened so far, in the order of its recording."""
    return Given(tuple(replace(event, position=n) for n, event in enumerate(events, 1)))


@dataclass(frozen=True, slots=True)
class Given:
    """A history to try something on."""

    events: tuple[Happened, ...]

    @property
    def journey(self) -> Journey:
        """The state that the history folds to."""
        return fold(self.events)

    def when(self, command: Event, occurred_at: str | datetime) -> When:
        """What comes of recording one more event."""
        return When(self, command, moment(occurred_at))

    def then_stage(
        self, expected: str | None, definition: str | Definition = "b2b/1", as_of: str | None = None
    ) -> None:
        """Assert where the customer stands, now unless said."""
        chosen = load_definition(definition) if isinstance(definition, str) else definition
        cut = datetime.now(UTC) if as_of is None else moment(as_of, end_of_day=True)
        actual = current_stage(evaluate(chosen, self.events, cut))
        if actual != expected:
            raise AssertionError(f"the customer is in {actual}, not in {expected}")


@dataclass(frozen=True, slots=True)
class When:
    """A command tried on a history."""

    given: Given
    command: Event
    occurred_at: datetime

    @property
    def violation(self) -> RuleViolation | None:
        """The rule that it breaks."""
        return decide(self.given.journey, self.command, self.occurred_at)

    def then_accepted(self) -> None:
        """Assert that it breaks no rule."""
        if self.violation is not None:
            raise AssertionError(f"refused: {self.violation}")

    def then_refused(self, rule: str) -> None:
        """Assert that it breaks the rule named."""
        if self.violation is None:
            raise AssertionError(f"accepted, though {rule} was expected")
        if self.violation.rule != rule:
            raise AssertionError(f"refused by {self.violation.rule}, not by {rule}")
