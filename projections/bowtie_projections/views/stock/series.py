"""A series of stocks: one at the end of each period.

Each is the stock as asked of that moment, with nothing that happened later and all that is known
now: it is asked anew, since a loss that was undone later, or a silence that was broken, stood then.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, timedelta

from bowtie.errors import Refused, UsageError
from bowtie.stages import Definition
from bowtie_projections.localtime import day_of
from bowtie_projections.scope import of_everybody
from bowtie_projections.views.breakdown import Dimension
from bowtie_projections.views.cohorts import PERIODS, cohort_label, period, starts_between
from bowtie_projections.views.cut import Cut, Reader
from bowtie_projections.views.funnel.question import Question
from bowtie_projections.views.given import one_of
from bowtie_projections.views.journey_source import oldest_fact
from bowtie_projections.views.shares import cell_order, covered_until
from bowtie_projections.views.stock.standing import Standing, everybody_of
from bowtie_projections.views.stock.table import Row, rows_of
from bowtie_projections.views.stock.waiting import Waiting
from bowtie_projections.views.units import Units

__all__ = ["MOST", "Moment", "Series", "check_every", "moment_of", "moments_of", "series_of"]

#: So many stocks are asked at most: each reads all facts.
MOST = 400
_INSTANT = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class Moment:
    """The end of a period.

    Args:
        label: what the period is called.
        cut: as of its last moment; of one that is not over, as of the moment asked of.
        complete: whether it is over.
    """

    label: str
    cut: Cut
    complete: bool

    @property
    def columns(self) -> Row:
        """What a row of it says of it."""
        at = self.cut.moment
        return {"period": self.label, "as_of": at, "complete": self.complete}


@dataclass(frozen=True, slots=True)
class Series:
    """Stocks in order.

    Args:
        moments: of each, when.
        rows: by cell, then by moment.
        last: where everybody stands at the last moment, and the rows of it alone.
        waits: of each moment, by what its stages are judged.
    """

    moments: Sequence[Moment]
    rows: Sequence[Row]
    last: Standing
    of_last: Sequence[Row]
    waits: Sequence[tuple[Row, Mapping[str, Waiting]]]


def check_every(every: str | None, question: Question) -> str | None:
    """How long a period is; none where one stock is asked for.

    Raises:
        UsageError: there is no such period, or from_ and to have nothing to say.
    """
    if every is not None:
        return one_of("every", every, PERIODS)
    if question.start is not None or question.end is not None:
        raise UsageError(
            "from_ and to say of which periods stocks are asked for: give every= too, such as"
            " every=month; one stock is asked with as_of="
        )
    return None


def moments_of(reader: Reader, cut: Cut, question: Question, every: str) -> list[Moment]:
    """The ends of the periods, from the first fact or as asked for, to the moment asked of.

    Args:
        reader: the read tables.
        cut: settled.
        question: from and to which periods.
        every: how long one is.

    Raises:
        Refused: there are too many.
    """
    if cut.moment is None:
        return []
    begin = oldest_fact(of_everybody(reader), cut)
    begin = question.start or begin or cut.moment
    end = cut.moment if question.end is None else min(cut.moment, question.end - _INSTANT)
    first, last = (day_of(moment, question.tz) for moment in (begin, end))
    starts = starts_between(first, last, every)
    if len(starts) > MOST:
        raise Refused(
            f"every={every} asks for {len(starts):,} stocks, and each reads all facts: at most"
            f" {MOST} are answered at once. Ask by a longer period, or of less time with from_="
            " and to="
        )
    return [_moment(cut, question, cohort_label(start, every)) for start in starts]


def moment_of(cut: Cut, question: Question, label: str) -> Cut:
    """The cut of one stock of a series.

    Args:
        cut: that of the question; settled.
        question: what was asked.
        label: what the period is called.
    """
    return _moment(cut, question, label).cut


def _moment(cut: Cut, question: Question, label: str) -> Moment:
    assert cut.moment is not None  # noqa: S101 - for the type checker
    end = period(label, question.tz)[1]
    covered = covered_until(cut, cut.moment, question.data_through)
    if end - _INSTANT >= cut.moment:
        return Moment(label, cut, end <= covered)
    at = (end - _INSTANT).replace(tzinfo=UTC)
    return Moment(label, replace(cut, as_of=at, complete=False), complete=True)


def series_of(
    reader: Reader,
    definition: Definition,
    question: Question,
    found: Sequence[Dimension],
    moments: Sequence[Moment],
) -> tuple[Units, Series]:
    """The stock at each moment, and the units of the last.

    The last is asked first: the values that stand apart are its, at every moment.

    Args:
        reader: the read tables.
        definition: what entering a stage means.
        question: what was asked.
        found: the breakdowns.
        moments: in order; one at least.
    """
    asked = list(_asked(reader, definition, question, found, moments))
    units, last, of_last = asked[0]
    keys = [one.column for one in found]
    by_cell: dict[tuple[str | None, ...], list[Row]] = {}
    for moment, (_, _, rows) in zip(moments, reversed(asked), strict=True):
        for row in rows:
            cell = tuple(row[key] for key in keys)
            by_cell.setdefault(cell, []).append(row | moment.columns)
    ordered = [row for cell in sorted(by_cell, key=cell_order) for row in by_cell[cell]]
    waits = [
        (moment.columns, everybody.waits)
        for moment, (_, everybody, _) in zip(moments, reversed(asked), strict=True)
    ]
    return units, Series(moments, ordered, last, of_last, waits)


def _asked(
    reader: Reader,
    definition: Definition,
    question: Question,
    found: Sequence[Dimension],
    moments: Sequence[Moment],
) -> Iterator[tuple[Units, Standing, list[Row]]]:
    """Each stock with its units, the last first."""
    apart = None
    for moment in reversed(moments):
        units = Units.of(reader, moment.cut, question.unit, question.look_back)
        everybody = everybody_of(units, moment.cut, definition, question, found, apart=apart)
        apart = everybody.kept
        yield (
            units,
            everybody,
            rows_of(units.reader.fetch(everybody.counted()).to_pylist(), everybody),
        )
