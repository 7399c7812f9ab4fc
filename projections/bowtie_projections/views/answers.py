"""What the columns of a view's answer are, for what is set beside its figures."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from bowtie.stages import STAGES
from bowtie_projections.results import Result

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["FUNNEL", "REPEAT", "REVENUE", "VELOCITY", "Shape", "keys_of", "listed", "with_columns"]


@dataclass(frozen=True, slots=True)
class Shape:
    """What the columns of a view's answer are.

    The first columns, up to the first figure, name a row: the breakdowns, a column of cohorts if
    it was asked for, and what else a row is of.

    Args:
        figures: the first figure.
        part: the column that says what a row is of, such as the stage; none if there is none.
        counts: what is carried over of the other side.
        rates: shares, with their bounds in columns ``_low`` and ``_high``.
        mature: how many of ``entered`` are old enough to be judged.
        entered: how many there are; known as soon as the period is over.
        order: the values of ``part`` in order, where they are always the same.
        last: the part that has no rates.
        cohort: the cohorts that are asked for, if nobody says; ``all`` of them together are none.
        period: the column of the cohort or period.
        final: the column that says whether nothing to come changes a row, if one does.
    """

    figures: str
    part: str | None
    counts: tuple[str, ...]
    rates: tuple[str, ...]
    mature: str
    entered: str
    order: tuple[str, ...] = ()
    last: str | None = None
    cohort: str | None = None
    period: str = "cohort"
    final: str | None = None

    def cohort_of(self, asked: Mapping[str, Any]) -> str | None:
        """By which cohorts an answer is, if by any."""
        cohort = asked.get("cohort", self.cohort)
        return None if cohort in {None, "all"} else str(cohort)

    def parts(self, rows: Iterable[Mapping[str, Any]]) -> tuple[str, ...]:
        """The values of ``part``, in order."""
        if self.order or self.part is None:
            return self.order
        return tuple(dict.fromkeys(row[self.part] for row in rows))


FUNNEL = Shape(
    figures="entered",
    part="stage",
    counts=("entered", "reached_next", "mature"),
    rates=("conversion",),
    mature="mature",
    entered="entered",
    order=STAGES,
    last=STAGES[-1],
)
VELOCITY = Shape(
    figures="entered",
    part="step",
    counts=("entered", "mature", "moved"),
    rates=("moved_share",),
    mature="mature",
    entered="entered",
    cohort="quarter",
)
REPEAT = Shape(
    figures="customers",
    part="within",
    counts=("customers", "mature", "repeated"),
    rates=("repeat_rate",),
    mature="mature",
    entered="customers",
    cohort="quarter",
)

#: Money, of each currency by itself: it has plans, and no intervals to compare it by.
REVENUE = Shape(
    figures="start",
    part="currency",
    counts=(),
    rates=(),
    mature="end",
    entered="end",
    cohort="month",
    period="period",
    final="complete",
)


def listed(by: str | Sequence[str]) -> list[str]:
    """The breakdowns, of one name or several."""
    return [by] if isinstance(by, str) else list(by)


def keys_of(result: Result, shape: Shape) -> list[str]:
    """The columns that name a row."""
    return result.columns[: result.columns.index(shape.figures)]


def with_columns(result: Result, table: pa.Table, *said: str) -> Result:
    """The answer with other columns and further notes."""
    return Result(
        result.view,
        table,
        sentence=result.sentence,
        notes=[*result.notes, *said],
        sql=result.sql,
        meta=result.meta,
        parts={name: part.to_arrow() for name, part in result.parts.items()},
    )
