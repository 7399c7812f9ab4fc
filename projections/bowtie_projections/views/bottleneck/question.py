"""What can be asked of the bottleneck, checked before anything runs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from bowtie.durations import format_duration, parse_duration
from bowtie.errors import UsageError
from bowtie.stages import STAGES
from bowtie_projections.views.bottleneck.benchmarks import Benchmarks, read_benchmarks
from bowtie_projections.views.cohorts import check_period, cohort_label, first_day, period
from bowtie_projections.views.cut import Cut
from bowtie_projections.views.funnel.question import Question as FunnelQuestion
from bowtie_projections.views.funnel.question import ask as ask_funnel
from bowtie_projections.views.given import currency_code
from bowtie_projections.views.units import check_unit

__all__ = ["Question", "ask"]

_DAY = timedelta(days=1)
#: So far back entries count where no period is asked for.
_YEARS = 2


@dataclass(frozen=True, slots=True)
class Question:
    """What was asked.

    Args:
        funnel: whose entries are counted, by cohort.
        days: how many days from a customer's commitment revenue counts.
        currency: the only one that may occur, where it was given.
        benchmarks: what to lift to; none where that is the upper quartile of the cohorts.
        first: the period that begins the one asked of, as a cohort is called, or as given.
        last: the period that ends it.
    """

    funnel: FunnelQuestion
    days: int
    currency: str | None
    benchmarks: Benchmarks | None
    first: Any
    last: Any

    def at(self, cut: Cut) -> Question:
        """The question of its period: if none was given, the newest two years that are all over.

        Over is a cohort when everybody's window is, of whatever stage.

        Raises:
            UsageError: the period given begins later than that.
        """
        if cut.moment is None:
            return self
        longest = max(self.funnel.window(stage) for stage in STAGES[:-1])
        cohort, tz = str(self.funnel.cohort), ZoneInfo(self.funnel.tz)
        first, last = self.first, self.last
        if last is None:
            moment = (cut.moment - longest).replace(tzinfo=UTC).astimezone(tz)
            last = cohort_label(first_day(first_day(moment.date(), cohort) - _DAY, cohort), cohort)
        end = period(last, self.funnel.tz)[1]
        if first is None:
            day = end.replace(tzinfo=UTC).astimezone(tz).date()
            first = cohort_label(first_day(_years_before(day), cohort), cohort)
        start = period(first, self.funnel.tz)[0]
        if start >= end:
            raise UsageError(
                f"from_={first} is later than {last}, with which the entries end whose windows are"
                " all over: ask from an earlier period, or with a shorter within="
            )
        return replace(
            self, funnel=replace(self.funnel, start=start, end=end), first=first, last=last
        )

    def day_of(self, moment: datetime) -> date:
        """The day of a moment (UTC, without a zone) in the zone asked for."""
        return moment.replace(tzinfo=UTC).astimezone(ZoneInfo(self.funnel.tz)).date()

    def parameters(self, benchmark: Any) -> dict[str, Any]:
        """What stands in the answer as its parameters."""
        written = {
            name: value
            for name, value in self.funnel.written.items()
            if name not in {"shrink", "customers"}
        }
        return written | {
            "from": _plain(self.first),
            "to": _plain(self.last),
            "horizon": f"{self.days}d",
            "currency": self.currency,
            "benchmark": None if benchmark is None else str(benchmark),
        }


def ask(given: Mapping[str, Any]) -> Question:
    """The question, from the keywords of :func:`~..bottleneck.view.bottleneck`.

    Raises:
        UsageError: a value that can't be asked; the message says which can.
        FileError: the file of benchmarks is wrong.
    """
    own = ("horizon", "benchmark", "currency")
    asked = {name: value for name, value in given.items() if name not in own}
    if check_period(asked["cohort"]) is None:
        raise UsageError("bottleneck looks for the better cohorts: ask with cohort=quarter")
    check_unit(asked["unit"], ("customer", "account", "opportunity"))
    funnel = ask_funnel(asked)
    file = given["benchmark"]
    return Question(
        funnel=funnel,
        days=_days(given["horizon"]),
        currency=currency_code(given["currency"]),
        benchmarks=None if file is None else read_benchmarks(Path(file), funnel.by),
        first=asked["from_"],
        last=asked["to"],
    )


def _days(horizon: Any) -> int:
    try:
        length = horizon if isinstance(horizon, timedelta) else parse_duration(str(horizon))
    except UsageError as error:
        raise UsageError(f"horizon: {error}") from None
    if length % _DAY or length < _DAY:
        raise UsageError(
            f"horizon is {format_duration(length)}: write whole days, such as 365d, for contracts"
            " accrue by day"
        )
    return length // _DAY


def _years_before(day: date) -> date:
    try:
        return day.replace(year=day.year - _YEARS)
    except ValueError:  # the 29th of February
        return day.replace(year=day.year - _YEARS, day=28)


def _plain(written: Any) -> str | None:
    return None if written is None else str(written)
