"""The bottleneck in sentences."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from bowtie.wording import are, counted
from bowtie_projections.views.bottleneck.cells import Cells
from bowtie_projections.views.bottleneck.levers import FEWEST, MEMBERS
from bowtie_projections.views.bottleneck.question import Question
from bowtie_projections.views.funnel.members import Members
from bowtie_projections.views.loop.numbers import amount

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["Said"]

_MEANING = (
    "What is added is of the members of this period, each lever by itself: two together add neither"
    " their sum nor its like. At half: each downstream conversion of those added is half of what it"
    " is. What those are worth who went on, less those who did not, is an association: who is made"
    " to go on may be worth less."
)


@dataclass(frozen=True, slots=True)
class Said:
    """What is said beside the figures."""

    members: Members
    question: Question
    cells: Cells
    totals: Mapping[str, Any]
    table: pa.Table
    blended: bool

    def sentence(self) -> str:
        """Who is counted, who is left out, and what adds most."""
        number = self.members.units.count(self.totals["members"])
        question = self.question
        sentence = f"{number} entered a stage{_period(question)}"
        entries, mature = self.cells.entered()
        young = entries - mature
        if young:
            sentence += (
                f"; {young:,} of {counted(entries, 'entry', 'entries')} {are(young)} too young for"
                f" their windows and {are(young)} left out"
            )
        sentence += "."
        older = self.totals["older"]
        if older and not question.funnel.include_truncated:
            sentence += (
                f" {self.members.units.count(older)} may be older than the data and {are(older)}"
                " left out."
            )
        return f"{sentence} {self._most()}"

    def _most(self) -> str:
        first = self.table.slice(0, 1).to_pylist()
        if not first or first[0]["rank"] is None:
            return "No lever can be said to add anything."
        row, names = first[0], [one.title(()) for one in self.members.dimensions]
        cell = ", ".join(f"{name} {row[name] or '(none)'}" for name in names if name in row)
        what = f"the {row['lever']} of {row['stage']}" + (f" ({cell})" if cell else "")
        if row["added_revenue"] is None:
            return f"Furthest below its benchmark: {what}."
        money = amount(row["added_revenue"], self.cells.currency)
        low, high = row["added_revenue_low"], row["added_revenue_high"]
        span = "" if low is None else f" ({amount(low, None)} to {amount(high, None)})"
        rows = self.table.to_pylist()
        told = sum(row["added_revenue"] is not None for row in rows)
        which = "" if told == len(rows) else f", of the {told} of {len(rows)} that can be judged"
        return (
            f"Most would be added by {what} at its benchmark{which}: {money}{span} within"
            f" {self.question.days} days of commitment, if downstream rates hold."
        )

    def notes(self) -> list[str]:
        """What to bear in mind."""
        question, rows = self.question, self.table.to_pylist()
        notes = [_MEANING]
        if self.blended:
            notes.append(
                "More than one motion is blended in these figures; motions convert differently: ask"
                " by a trait that tells them apart."
            )
        if question.benchmarks is None:
            notes.append(
                f"Benchmarks are the better quartile of the cohorts ({question.funnel.cohort}) of"
                f" {MEMBERS} or more members, each drawn to the mean of its stage by as much as it"
                " may be chance: where cohorts differ by chance alone, there is no headroom."
            )
            small = sum(row["cohorts"] < FEWEST for row in rows if row["lever"] == "conversion")
            if small:
                notes.append(
                    f"{counted(small, 'stage')} without a benchmark, for want of {FEWEST} such"
                    " cohorts: ask with a longer cohort= or from an earlier from_=, or give"
                    " benchmarks of your own (benchmark=)."
                )
        if any(row["added_revenue_low"] is not None for row in rows):
            notes.append(
                "Intervals: 95%, from 1,000 draws of whole cohorts (bootstrap), the benchmarks"
                + (" drawn anew" if question.benchmarks is None else " as given")
                + "; of waits the factor by which they are shortened is taken as known."
            )
        elif rows:
            notes.append(f"Fewer than {FEWEST} cohorts: no interval.")
        if rows and all(row["added_revenue"] is None for row in rows):
            notes.append(
                f"No revenue can be told: too few customers whose {question.days} days are over"
                " (horizon=), or nothing they paid. Ranked by headroom against what the conversion"
                " is now: each has the same part in the product of all."
            )
        if self.members.units.clustered:
            notes.append(
                "Several of one account tell less than as many of different ones; intervals draw"
                " cohorts, which keeps those together who came at one time."
            )
        return notes


def _period(question: Question) -> str:
    if question.last is None:
        return ""
    first, last = str(question.first), str(question.last)
    return f" {first}" if first == last else f" {first} to {last}"
