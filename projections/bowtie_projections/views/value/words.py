"""Who is judged and who is left out: the words of all views that tell what customers were worth."""

from __future__ import annotations

from bowtie.durations import format_duration
from bowtie.wording import are
from bowtie_projections.views.loop.question import Question

__all__ = ["judged"]


def judged(who: str, number: int, mature: int, older: int, question: Question) -> str:
    """A sentence without its full stop.

    Args:
        who: who is counted, and by when.
        number: how many these are.
        mature: of them, for how many the horizon is over.
        older: how many more may be older than the data.
        question: what was asked.
    """
    horizon = format_duration(question.horizon)
    parts = [f"{who}: {mature:,} {are(mature)} judged, each over the first {horizon}"]
    if young := number - mature:
        parts.append(f"{young:,} {are(young)} too young for {horizon} and left out of value")
    if older and not question.include_truncated:
        parts.append(f"{older:,} more may be older than the data and {are(older)} out")
    return "; ".join(parts)
