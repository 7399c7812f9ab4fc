"""The funnel in sentences: who is counted, who is left out, and what to bear in mind."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC
from itertools import pairwise
from typing import TYPE_CHECKING

from bowtie.durations import format_duration
from bowtie.stages import STAGES, Definition
from bowtie.times import zone
from bowtie_projections.views.funnel.members import Members
from bowtie_projections.views.funnel.question import LEFT, RIGHT, Question
from bowtie_projections.views.funnel.shrinking import noise
from bowtie_projections.views.funnel.table import Totals

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["Said", "members_sentence"]


@dataclass(frozen=True, slots=True)
class Said:
    """What is said beside the figures."""

    members: Members
    definition: Definition
    totals: Totals
    table: pa.Table

    def sentence(self) -> str:
        """Who is counted and who is left out."""
        question = self.members.question
        stage = question.cohort_stage
        sentence = (
            f"{self.members.units.count(self.totals.customers)} entered {stage or 'a stage'}"
            f"{_period(self.members)}; {self._young(stage)}."
        )
        if self.totals.older and not question.include_truncated:
            sentence += (
                f" {self.members.units.count(self.totals.older)} may be older than the data and"
                f" {'is' if self.totals.older == 1 else 'are'} left out."
            )  # fmt: skip
        return sentence

    def _young(self, stage: str | None) -> str:
        """How many are too young, of one stage or of all entries."""
        rows = [row for row in self.table.to_pylist() if row["stage"] != STAGES[-1]]
        entered = sum(row["entered"] for row in rows if stage in {None, row["stage"]})
        mature = sum(row["mature"] for row in rows if stage in {None, row["stage"]})
        window = _window(self.members.question, stage)
        if stage == STAGES[-1]:
            return "it is the last stage"
        if entered == mature:
            what = "all of them" if stage else "all entries"
            return f"{what} are old enough for {window}"
        young = entered - mature
        what = f"{young:,}" if stage else f"{young:,} of {_number(entered, 'entry', 'entries')}"
        verb = "is" if young == 1 else "are"
        return f"{what} {verb} too young for {window} and {verb} left out of conversion"

    def _not_yet(self) -> list[str]:
        start, moment = self.members.question.start, self.members.moment
        if start is None or start <= moment:
            return []
        asked = f"The period begins after {moment:%Y-%m-%d}, which this is asked as of"
        return [f"{asked}: nobody can have entered in it yet."]

    def notes(self, *, blended: bool) -> list[str]:
        """What to bear in mind."""
        question, notes = self.members.question, self._not_yet()
        if self.members.units.clustered:
            notes.append(self.members.units.note)
        if blended and self.totals.customers:
            notes.append(
                "More than one motion is blended in these figures; motions convert differently:"
                " ask by motion with cohort_stage=commitment, or by a trait that tells them apart."
            )
        if self.definition.loss == "none" and question.lost_after is None:
            notes.append(
                f"{self.definition.label} sees no losses: lost is empty, and who left in silence"
                " is pending or expired (lost_after declares silence a loss)."
            )
        notes += [self._never(stage) for stage in self._unentered()]
        notes += [_late(stage, late) for stage, late in self._mostly_late()]
        if question.cohort_stage not in (None, STAGES[0]):
            notes.append(
                f"All counted here entered {question.cohort_stage}: the rows before it say how"
                " those who got there came, not how many of all get there."
            )
        if question.lost_after is not None:
            after = format_duration(question.lost_after)
            notes.append(
                f"{_number(self.totals.inferred, 'loss', 'losses')} inferred from {after} of"
                " silence, not from an event."
            )
        if self.totals.older and question.include_truncated:
            notes.append(
                f"{self.members.units.count(self.totals.older)} first seen so early that they may"
                " be older than the data are counted."
            )
        if any(row["imputed"] for row in self.table.to_pylist()):
            notes.append(
                "Skipped stages are imputed: they have the time of the next stage entered, and"
                " stay out of the days."
            )
        if question.customers is None:
            notes += self.members.folded_notes
        if self.totals.chances:
            notes.append(noise(self.totals.chances, question.by))
        return notes

    def _mostly_late(self) -> list[tuple[str, int]]:
        """Stages that more members pass after the window than within it."""
        reached, late = dict.fromkeys(STAGES, 0), dict.fromkeys(STAGES, 0)
        for row in self.table.to_pylist():
            reached[row["stage"]] += row["reached_next"] or 0
            late[row["stage"]] += row["reached_late"] or 0
        return [(stage, late[stage]) for stage in STAGES if late[stage] > reached[stage]]

    def _unentered(self) -> list[str]:
        """Stages that no one entered, though the stage before has members who might."""
        entered = dict.fromkeys(STAGES, 0)
        for row in self.table.to_pylist():
            entered[row["stage"]] += row["entered"]
        return [
            stage for before, stage in pairwise(STAGES) if entered[before] and not entered[stage]
        ]

    def _never(self, stage: str) -> str:
        """A conversion of 0% into a stage that can't be entered is no finding."""
        conditions = {str(name): found for name, found in self.definition.conditions.items()}
        why = (
            "no event counted here meets its conditions"
            if conditions[stage]
            else "the definition has no condition for it"
        )
        return (
            f"No one entered {stage} by {self.definition.label}: {why}. 0% into it says only that."
        )


def _late(stage: str, late: int) -> str:
    return (
        f"More pass {stage} after the window ({late:,}) than within it: the conversion says how"
        " many do so in time, not how many do; ask with a longer within=."
    )


def members_sentence(members: Members, stage: str, state: str, number: int) -> str:
    """Who is listed behind a cell."""
    what = {
        "pending": "are waiting for the next stage",
        "lost": "were lost before the next stage",
        "expired": "let the time pass without reaching the next stage or being lost",
        "reached": "reached the next stage",
    }[state]
    named = (
        f"{_number(number, 'cycle')}" if members.question.cycles else members.units.count(number)
    )
    return (
        f"{named} entered {stage}{_period(members)} and {what}"
        f" (within {_window(members.question, stage)})."
    )


def _period(members: Members) -> str:
    """When they entered: as it was asked, and at the latest as of when the answer is."""
    start, end = members.question.written["from"], members.question.written["to"]
    if start is not None and end is not None:
        return f" {start}" if start == end else f" {start} to {end}"
    if end is not None:
        return f" up to {end}"
    as_of = members.cut.moment
    if as_of is None:  # there is no fact
        return "" if start is None else f" from {start}"
    day = as_of.replace(tzinfo=UTC).astimezone(zone(members.question.tz)).date()
    return f" by {day}" if start is None else f" from {start} to {day}"


def _window(question: Question, stage: str | None) -> str:
    if stage is not None and stage != STAGES[-1]:
        return _days(format_duration(question.window(stage)))
    if question.within is not None:
        return _days(format_duration(question.within))
    left, right = _days(format_duration(LEFT)), _days(format_duration(RIGHT))
    return f"{left} left and {right} right of the knot"


def _days(written: str) -> str:
    number, is_days = written.removesuffix("d"), written.endswith("d")
    return f"{number} day{'' if number == '1' else 's'}" if is_days else written


def _number(number: int, one: str, many: str | None = None) -> str:
    return f"{number:,} {one if number == 1 else many or one + 's'}"
