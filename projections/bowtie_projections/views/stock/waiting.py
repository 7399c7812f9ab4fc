"""How long the stages are waited in, by what has become of those who can be judged.

Moving on is entering any later stage: that is what takes a customer out of the stock of a stage.
Judged are the mature: those who entered a stage, no later one before it, so long ago that the time
for the next stage (and the 30 days that chances are of) is over.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import groupby
from typing import Any

import numpy as np
import sqlalchemy as sa
from numpy.typing import NDArray
from sqlalchemy.sql.elements import ColumnElement

from bowtie.stages import STAGES
from bowtie_projections.expressions import micros_between, quantiles
from bowtie_projections.views.cut import Reader, time_before
from bowtie_projections.views.funnel.question import Question
from bowtie_projections.views.shares import FEWEST

__all__ = ["AHEAD", "DAY", "Waiting", "waiting"]

#: The chance to move is that of moving within so many days.
AHEAD = 30
#: A day in microseconds.
DAY = 86_400_000_000
#: Who moved by then has not waited long: nine of ten.
_MOST = 0.9


@dataclass(frozen=True, slots=True)
class Waiting:
    """What became of the mature of one stage.

    Args:
        mature: how many there are.
        moved: of them, how many moved on within the time for the next stage.
        moved_soon: how many did so within 30 days.
        after: the time by which 90% of those who moved had moved, in microseconds; null where
            fewer than 20 moved.
        at_risk: for each age in days, how many still stood there and were watched for 30 days
            more; ``moving``: of them, how many moved in these.
    """

    stage: str
    mature: int
    moved: int
    moved_soon: int
    after: int | None
    at_risk: NDArray[np.int64]
    moving: NDArray[np.int64]

    @property
    def known_through(self) -> int:
        """The last age in days at which at least 20 were watched; -1 where there is none."""
        return int(np.count_nonzero(self.at_risk >= FEWEST)) - 1

    @property
    def after_days(self) -> float | None:
        """``after`` in days."""
        return None if self.after is None else self.after / DAY

    @property
    def why_not(self) -> str | None:
        """Why nobody can be called stuck; none where they can."""
        if self.after is None:
            return f"{self.moved:,} of {self.mature:,} mature moved on, {FEWEST} are needed"
        if self.known_through < self.after // DAY:
            still = self._at(self.at_risk, self.after // DAY)
            return (
                f"{still:,} of the mature were watched so long, {FEWEST} are needed to tell the"
                " chance of those who still wait"
            )
        return None

    @property
    def chance_fresh(self) -> float | None:
        """The chance of those who just entered to move within 30 days."""
        return self.moved_soon / self.mature if self.mature >= FEWEST else None

    @property
    def chance_after(self) -> float | None:
        """The same chance of those who still stand there when ``after`` is over."""
        if self.after is None or self.why_not is not None:
            return None
        age = self.after // DAY
        return float(self.moving[age] / self.at_risk[age])

    def stuck(self, micros: ColumnElement[Any]) -> ColumnElement[bool]:
        """Whether so long a wait is stuck, in SQL, where it can be told."""
        spans = [
            micros >= first * DAY if last is None else micros.between(first * DAY, last * DAY - 1)
            for first, last in self.spans()
        ]
        return sa.and_(micros > self.after, sa.or_(sa.false(), *spans))

    def spans(self) -> Iterator[tuple[int, int | None]]:
        """The ages in days of less than half the fresh chance: from, and up to before.

        Beyond the last age at which 20 were watched, its chance holds.
        """
        last = self.known_through
        # in whole numbers: a chance of exactly a half is not less than it
        few = 2 * self.moving * self.mature < self.moved_soon * self.at_risk
        for is_few, ages in groupby(range(last + 1), key=lambda age: bool(few[age])):
            run = list(ages)
            if is_few:
                yield run[0], None if run[-1] == last else run[-1] + 1

    @staticmethod
    def _at(numbers: NDArray[np.int64], age: int) -> int:
        return int(numbers[age]) if age < numbers.size else 0


def waiting(
    reader: Reader,
    journeys: sa.FromClause,
    moment: datetime,
    question: Question,
    seen_since: datetime | None,
) -> dict[str, Waiting]:
    """What became of the mature of each stage but the last.

    Args:
        reader: the read tables.
        journeys: all cycles at the cut.
        moment: as of when it is asked.
        question: how long the next stage is waited for.
        seen_since: who was first seen before may be older than the data, and is left out.
    """
    members = [
        _mature(journeys, stage, moment, question.window(stage), seen_since)
        for stage in STAGES[:-1]
    ]
    totals = sa.union_all(*map(_totals, STAGES, members)).subquery("totals")
    ages = sa.union_all(*map(_ages, members)).subquery("ages")
    found = {row["stage"]: row for row in reader.fetch(sa.select(totals)).to_pylist()}
    ended: dict[str, list[Mapping[str, Any]]] = {stage: [] for stage in STAGES}
    for row in reader.fetch(sa.select(ages)).to_pylist():
        ended[row["stage"]].append(row)
    return {stage: _waiting(stage, found[stage], ended[stage]) for stage in STAGES[:-1]}


def _mature(
    journeys: sa.FromClause,
    stage: str,
    moment: datetime,
    window: timedelta,
    seen_since: datetime | None,
) -> sa.Subquery:
    """The mature of a stage: how long until they moved or were lost, and how long they are watched.

    Nothing of a cycle happens after its loss, so who moved was not lost before.
    """
    c = journeys.c
    at = c[f"{stage}_at"]
    later = [c[f"{one}_at"] for one in STAGES[STAGES.index(stage) + 1 :]]
    moved_at = sa.func.least(*later) if len(later) > 1 else later[0]
    longest = max(window, timedelta(days=AHEAD))
    parts = [
        at <= sa.literal(time_before(moment, longest)),
        sa.or_(moved_at.is_(None), moved_at >= at),
    ]
    if seen_since is not None:
        parts.append(c.first_seen_at >= sa.literal(seen_since))
    return (
        sa.select(
            sa.literal_column(f"'{stage}'", sa.String()).label("stage"),
            micros_between(at, moved_at).label("moved"),
            micros_between(at, sa.func.coalesce(moved_at, c.lost_at)).label("ended"),
            micros_between(at, sa.literal(moment, sa.DateTime())).label("watched"),
            sa.literal_column(str(window // timedelta(microseconds=1)), sa.BigInteger()).label(
                "longest"
            ),
        )
        .where(*parts)
        .subquery(f"mature_{stage}")
    )


def _totals(stage: str, members: sa.Subquery) -> sa.Select[Any]:
    c = members.c
    in_time = sa.case((c.moved <= c.longest, c.moved))
    return sa.select(
        sa.literal_column(f"'{stage}'", sa.String()).label("stage"),
        sa.func.count().label("mature"),
        sa.func.count(in_time).label("moved"),
        sa.func.count().filter(c.moved <= AHEAD * DAY).label("moved_soon"),
        quantiles(in_time, [_MOST]).label("after"),
    )


def _ages(members: sa.Subquery) -> sa.Select[Any]:
    """How many moved (or didn't) after so many days, and up to which age they were at risk.

    At risk at an age is who still stood there then and is watched for 30 days more.
    """
    c = members.c
    day = sa.func.ceil(sa.cast(c.ended, sa.Double()) / DAY)
    watched = sa.func.floor(sa.cast(c.watched, sa.Double()) / DAY)
    last = sa.cast(sa.func.least(day - 1, watched - AHEAD), sa.BigInteger())
    moved_on = sa.cast(sa.case((c.moved.is_not(None), day)), sa.BigInteger())
    return sa.select(
        c.stage, moved_on.label("day"), last.label("last"), sa.func.count().label("members")
    ).group_by(c.stage, moved_on, last)


def _waiting(stage: str, found: Mapping[str, Any], ended: Sequence[Mapping[str, Any]]) -> Waiting:
    oldest = max((row["last"] for row in ended), default=-1)
    at_risk, moving = (np.zeros(oldest + 2, dtype=np.int64) for _ in range(2))
    for row in ended:
        if row["last"] < 0:  # moved at once
            continue
        at_risk[0] += row["members"]
        at_risk[row["last"] + 1] -= row["members"]
        if row["day"] is not None and row["day"] - AHEAD <= row["last"]:
            moving[max(0, row["day"] - AHEAD)] += row["members"]
            moving[row["last"] + 1] -= row["members"]
    after = found["after"]
    return Waiting(
        stage,
        found["mature"],
        found["moved"],
        found["moved_soon"],
        round(after[0]) if found["moved"] >= FEWEST else None,
        np.cumsum(at_risk)[:-1],
        np.cumsum(moving)[:-1],
    )
