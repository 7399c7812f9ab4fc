"""The rules of an ordered funnel as numbers, for what is matched outside SQL."""

from __future__ import annotations

from bowtie_projections.views.steps.occurrences import NEVER
from bowtie_projections.views.steps.question import Question
from bowtie_projections.views.steps.windows import micros

__all__ = ["Rules"]


class Rules:
    """What holds between the steps, in microseconds.

    Args:
        question: what was asked.
        now: the moment it is asked as of.
    """

    def __init__(self, question: Question, now: int) -> None:
        self.question, self.now = question, now
        self.required = question.required
        self.window = NEVER if question.within is None else micros(question.within)
        longest = question.longest
        self.longest = NEVER if longest is None else micros(longest)
        gaps = {step: question.gap(step) for step in range(2, len(question.steps) + 1)}
        self.least = {step: micros(gap.least) if gap.least else 0 for step, gap in gaps.items()}
        self.most = {step: micros(gap.most) if gap.most else NEVER for step, gap in gaps.items()}

    @property
    def ways(self) -> list[tuple[int, int, tuple[int, ...]]]:
        """From which step to which, and under what path what gets there is kept.

        A path is a step, or an optional step and the one that follows it.
        """
        found: list[tuple[int, int, tuple[int, ...]]] = []
        for row in self.question.rows:
            if row.before is not None:
                found.append((row.before, row.step, (row.step,)))
            if row.after is not None and self.optional(row.step):
                found.append((row.step, row.after, (row.step, row.after)))
        return found

    def optional(self, step: int) -> bool:
        """Whether attempts go on without a step."""
        return self.question.steps[step - 1].optional

    def between(self, before: int, step: int) -> list[tuple[int, int]]:
        """What may not come between two steps: its number, and from which step on."""
        found = [
            (number, one.after)
            for number, one in enumerate(self.question.exclusions)
            if one.after <= before and step <= one.before
        ]
        if self.question.order == "strict":
            found.append((len(self.question.exclusions), before))
        return found
