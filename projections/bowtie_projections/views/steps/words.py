"""A step funnel in sentences: who is counted, by what rules, and what to bear in mind."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, timedelta
from typing import Any

from bowtie.durations import format_duration
from bowtie.times import zone
from bowtie_projections.views.funnel.members import Members
from bowtie_projections.views.steps.question import Question

__all__ = ["Said"]

#: A breakdown into more values than so invites reading chance.
_MANY = 10


@dataclass(frozen=True)
class Said:
    """What is said beside the figures.

    Args:
        question: what was asked.
        cells: the breakdowns, the units and the cut.
        rows: of the answer.
        unmet: steps and exclusions that no event fits.
    """

    question: Question
    cells: Members
    rows: Sequence[Mapping[str, Any]]
    unmet: Sequence[str] = ()

    def sentence(self) -> str:
        """Who is counted, within which time, and who is too young."""
        firsts = [row for row in self.rows if row["step"] == 1]
        entered = sum(row["entered"] for row in firsts)
        young = entered - sum(row["first_mature"] for row in firsts)
        label = "any of the steps" if self.question.order == "any" else self.question.label(1)
        sentence = f"{self._number(entered)} began with {label}{self._period()}; {self._rules()}."
        if young:
            verb = "is" if young == 1 else "are"
            return (
                f"{sentence} {young:,} {verb} too young for that: share_of_first is of the others."
            )
        return sentence

    def _number(self, number: int) -> str:
        if self.question.count == "conversions":
            return f"{number:,} {'attempt' if number == 1 else 'attempts'}"
        return self.cells.units.count(number)

    def _rules(self) -> str:
        question = self.question
        order = {
            "ordered": "the steps follow in order, whatever comes between",
            "strict": "the steps follow with nothing between",
            "any": "the steps may come in any order",
        }[question.order]
        said = [order]
        if question.within is not None:
            said.append(f"within {_days(question.within)} of the first")
        if question.gaps.most is not None:
            said.append(f"each within {_days(question.gaps.most)} of the one before")
        if question.gaps.least is not None:
            said.append(f"each at least {_days(question.gaps.least)} after the one before")
        if question.hold is not None:
            said.append(f"all with one {question.hold}")
        return ", ".join(said)

    def _period(self) -> str:
        """When they entered: as it was asked, and at the latest as of when the answer is."""
        written = self.cells.question.written
        start, end = written.get("from"), written.get("to")
        if end is not None:
            return (
                f" {start} to {end}"
                if start not in (None, end)
                else f" {'' if start else 'up to '}{end}"
            )
        as_of = self.cells.cut.moment
        if as_of is None:  # there is no fact
            return "" if start is None else f" from {start}"
        day = as_of.replace(tzinfo=UTC).astimezone(zone(self.cells.question.tz)).date()
        return f" by {day}" if start is None else f" from {start} to {day}"

    def notes(self) -> list[str]:
        """What to bear in mind."""
        question, notes = self.question, [self._reentry()]
        notes += [
            f"No event fits {name}: see whether its values are written as they are in the log."
            for name in self.unmet
        ]
        for one in question.exclusions:
            between = (
                "between the first and the last"
                if question.order == "any"
                else f"between step {one.after} and step {one.before}"
            )
            notes.append(f"{one.label} may not come {between}; whom it ended is in excluded.")
        if question.order == "strict":
            notes.append("Whoever did anything else in between is in excluded, not in expired.")
        if question.order == "any":
            notes.append(
                "A row says how many of the steps were done, not which: in any order the steps have"
                " no conversion of their own."
            )
        if self.cells.units.clustered:
            notes.append(self.cells.units.note)
        values = {tuple(row[one.column] for one in self.cells.dimensions) for row in self.rows}
        if self.cells.dimensions and len(values) > _MANY:
            notes.append(
                f"Of {len(values)} values the best and the worst are partly chance: look at the"
                " intervals."
            )
        notes += [
            f"{name}: the {len(kept)} values of the most members stand apart, the rest are other."
            for name, kept in self.cells.kept.items()
        ]
        return notes

    def _reentry(self) -> str:
        if self.question.count == "conversions":
            return (
                "Each attempt counts: a new one begins after a conversion, after the time is over,"
                " or after an exclusion ended it."
            )
        if self.question.reentry == "first":
            return "Only the first entry counts (reentry=first): who failed once has failed."
        return (
            "Who began several times has reached a step if any beginning leads there; who began"
            " again lately is pending again. With reentry=first only the first beginning counts."
        )

    def behind(self, number: int) -> str:
        """Who is listed behind a cell."""
        assert self.question.customers is not None  # noqa: S101 - for the type checker
        step, state = self.question.customers
        what = {
            "reached": "reached the next step",
            "excluded": "were ended by what may not come between",
            "expired": "let the time pass",
            "pending": "may still reach the next step",
        }[state]
        return (
            f"{self.cells.units.count(number)} reached step {step}, {self.question.label(step)},"
            f" and {what}; {self._rules()}."
        )


def _days(span: timedelta) -> str:
    written = format_duration(span)
    number, is_days = written.removesuffix("d"), written.endswith("d")
    return f"{number} day{'' if number == '1' else 's'}" if is_days else written
