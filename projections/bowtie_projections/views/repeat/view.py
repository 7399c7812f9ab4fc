"""Repeat orders: how many customers order a second time within some days of their first order."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from functools import partial
from typing import Any

from bowtie.durations import format_duration
from bowtie.errors import UsageError
from bowtie.events import PERSONAL_NAMES
from bowtie.stages import Definition
from bowtie_projections.membership import LOOK_BACK
from bowtie_projections.results import Result
from bowtie_projections.views.cohorts import check_cohort
from bowtie_projections.views.cut import Cut, Reader
from bowtie_projections.views.firsts import first_orders, refuse_contracts
from bowtie_projections.views.funnel.members import Members
from bowtie_projections.views.funnel.question import ask
from bowtie_projections.views.funnel.view import asked_members
from bowtie_projections.views.given import span
from bowtie_projections.views.repeat.buyers import Buyers
from bowtie_projections.views.shares import (
    standing,
)
from bowtie_projections.views.units import check_unit

__all__ = ["WITHIN", "buyers_of", "repeat"]

#: Within how long a second order is looked for, if nobody says.
WITHIN = ("30d", "60d", "90d", "180d", "365d")
_UNITS = ("customer", "account", "opportunity")


def repeat(
    reader: Reader,
    cut: Cut,
    definition: Definition,
    *,
    within: str | timedelta | Sequence[str | timedelta] = WITHIN,
    cohort: str = "quarter",
    unit: str = "customer",
    look_back: str | timedelta = LOOK_BACK,
    by: str | Sequence[str] = (),
    from_: Any = None,
    to: Any = None,
    top: int = 10,
    include_truncated: bool = False,
    data_from: Any = None,
    data_through: Any = None,
    tz: str = "UTC",
    kept: Mapping[str, Sequence[str]] | None = None,
    personal_names: Collection[str] = PERSONAL_NAMES,
) -> Result:
    """How many customers order a second time, by the cohort of their first order.

    What a customer orders on one day is one order, and counts where it comes to more than 0 in any
    currency; a return is no order and takes none away.

    Args:
        reader: the read tables.
        cut: the position and the moment it is asked as of.
        definition: says only how long after the data's beginning a customer may be older than it.
        within: how long after the first order, one or several: ``90d``.
        cohort: a line for each ``day``, ``week``, ``month``, ``quarter`` or ``year`` of first
            orders, or ``all`` of them together.
        unit: ``customer``, ``account`` or ``opportunity``.
        look_back: touches of a member count for the account from so long before the membership.
        by: breakdowns, as known at the first order.
        from_: first orders from the start of that period on.
        to: first orders up to the end of that period, inclusive.
        top: how many values of a breakdown stand apart; the rest are ``other``.
        include_truncated: count customers who may be older than the data.
        data_from: where the data begins.
        data_through: up to when the data is complete; asked as of then.
        tz: the zone of days and months.
        kept: of a breakdown, the values that stand apart instead of the top ones.
        personal_names: traits that are sealed.

    Returns:
        A row for each cohort and time of each cell: ``customers`` with a first order, ``mature``
        (for whom the time is over), of them ``repeated``, ``repeat_rate`` with its interval, and
        quantiles of the days to the second order, null under 20.

    Raises:
        UsageError: a value that can't be asked.
        UnknownName: a breakdown that is not there.
        Refused: a breakdown that is sealed.
    """
    asked = {
        name: given for name, given in locals().items()
        if name not in {"reader", "cut", "definition"}
    }  # fmt: skip
    buyers = buyers_of(reader, cut, definition, asked)
    members, times = buyers.members, buyers.times
    units, reader = members.units, members.units.reader
    counted = reader.fetch(buyers.counted()).to_pylist()
    sums = [
        reader.fetch(buyers.spread(place)).to_pylist() if units.clustered else []
        for place in range(len(times))
    ]
    older = sum(group["customers"] for group in counted if group["older"])
    counted = [group for group in counted if not group["older"]]
    if include_truncated and members.seen_since is not None:
        older = reader.fetch(members.totals()).to_pylist()[0]["older"]
    written = {
        **members.question.written,
        "within": [format_duration(time) for time in times],
        "cohort": cohort,
    }
    return Result(
        "repeat",
        buyers.table(buyers.rows(counted, sums)),
        sentence=_sentence(members, counted, older),
        notes=_notes(members, older),
        sql=reader.statements,
        meta=standing(definition, written, members.cut, units),
    )


def buyers_of(reader: Reader, cut: Cut, definition: Definition, asked: Mapping[str, Any]) -> Buyers:
    """Whose orders are looked at and for which times, by all parameters of :func:`repeat`."""
    given = dict(asked)
    personal_names, kept = given.pop("personal_names"), given.pop("kept", None)
    times, cohort = _times(given.pop("within")), check_cohort(given["cohort"])
    check_unit(given["unit"], _UNITS)
    question = ask(given | {"cohort": cohort})
    question = replace(question, cohort_stage="commitment")
    refuse_contracts(question.by)
    members = asked_members(
        reader, cut, definition, question, personal_names,
        journeys_of=partial(first_orders, question.tz), kept=kept,
    )  # fmt: skip
    return Buyers(members, times)


def _times(within: str | timedelta | Sequence[str | timedelta]) -> list[timedelta]:
    """The lengths asked for, each once, the shortest first."""
    given = [within] if isinstance(within, str | timedelta) else list(within)
    found = {span("within", one) for one in given}
    if not found:
        raise UsageError("within names no time: write one, such as 90d")
    return sorted(found)


def _sentence(members: Members, counted: Sequence[Mapping[str, Any]], older: int) -> str:
    customers = sum(group["customers"] for group in counted)
    if not customers and not older:
        return f"No {members.units.name} placed a first order in the time asked for."
    more = sum(group["orders"] or 0 for group in counted) - customers
    orders = f"{more:,} more order{'' if more == 1 else 's'}"
    sentence = (
        f"{members.units.count(customers)} placed a first order and {orders} since; what one"
        f" {members.units.name} orders on a day is one. Rates are of the mature, for whom the time"
        " is over."
    )
    if older and not members.question.include_truncated:
        verb = "is" if older == 1 else "are"
        sentence += f" {members.units.count(older)} may be older than the data and {verb} left out."
    return sentence


def _notes(members: Members, older: int) -> list[str]:
    notes = []
    if members.units.clustered:
        notes.append(members.units.note)
    if older and members.question.include_truncated:
        notes.append(
            f"{members.units.count(older)} first seen so early that they may be older than the"
            " data are counted: their first order may be none."
        )
    return [*notes, *members.folded_notes]
