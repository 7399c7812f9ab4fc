"""Repeat orders: how many customers order a second time within some days of their first order."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from sqlalchemy.sql.elements import ColumnElement

from bowtie.durations import format_duration, parse_duration
from bowtie.errors import UsageError
from bowtie.events import PERSONAL_NAMES
from bowtie.stages import STAGES, Definition
from bowtie_projections.conditions import Facts
from bowtie_projections.cycles import activity, first_touch
from bowtie_projections.expressions import micros_between, nth_least, quantiles
from bowtie_projections.membership import LOOK_BACK
from bowtie_projections.results import Result
from bowtie_projections.views.breakdown import CONTRACT
from bowtie_projections.views.cohorts import PERIODS, cohort_label
from bowtie_projections.views.cut import Cut, Reader, time_before
from bowtie_projections.views.funnel.members import COHORT, Members
from bowtie_projections.views.funnel.question import ask
from bowtie_projections.views.funnel.view import asked_members
from bowtie_projections.views.journey_source import Needs
from bowtie_projections.views.purchases import purchases
from bowtie_projections.views.shares import (
    FEWEST,
    cell_order,
    shares,
    spread,
    standing,
    typed_table,
)
from bowtie_projections.views.units import check_unit

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["ALL", "COLUMNS", "QUANTILES", "WITHIN", "Buyers", "buyers_of", "repeat"]

#: All cohorts together.
ALL = "all"
#: Within how long a second order is looked for, if nobody says.
WITHIN = ("30d", "60d", "90d", "180d", "365d")
_UNITS = ("customer", "account", "opportunity")
QUANTILES = {"days_p25": 0.25, "days_p50": 0.5, "days_p75": 0.75, "days_p90": 0.9}
_COUNTS = ("customers", "mature", "repeated")
_SHARE = ("repeat_rate", "repeat_rate_low", "repeat_rate_high")
COLUMNS = ("cohort", "within", *_COUNTS, *_SHARE, *QUANTILES)
_DAY_MICROS = 86_400_000_000
_MICROSECOND = timedelta(microseconds=1)


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
    times, cohort = _times(given.pop("within")), given["cohort"]
    if cohort not in (*PERIODS, ALL):
        raise UsageError(f"cohort is {cohort!r}; write one of {', '.join((*PERIODS, ALL))}")
    check_unit(given["unit"], _UNITS)
    question = ask(given | {"cohort": None if cohort == ALL else cohort})
    question = replace(question, cohort_stage="commitment")
    _refuse_contracts(question.by)
    members = asked_members(
        reader, cut, definition, question, personal_names,
        journeys_of=partial(_first_orders, question.tz), kept=kept,
    )  # fmt: skip
    return Buyers(members, times)


def _times(within: str | timedelta | Sequence[str | timedelta]) -> list[timedelta]:
    """The lengths asked for, each once, the shortest first."""
    given = [within] if isinstance(within, str | timedelta) else list(within)
    found = set()
    for one in given:
        try:
            length = one if isinstance(one, timedelta) else parse_duration(str(one))
        except UsageError as error:
            raise UsageError(f"within: {error}") from None
        if length <= timedelta(0):
            raise UsageError(f"within is {one}: write a time longer than none")
        found.add(length)
    if not found:
        raise UsageError("within names no time: write one, such as 90d")
    return sorted(found)


def _refuse_contracts(by: Sequence[str]) -> None:
    for name in by:
        if name in CONTRACT:
            raise UsageError(
                f"{name} is of contracts, and these are orders: ask by trait.{name} if it is a"
                " trait"
            )


def _first_orders(tz: str, cut: Cut, needs: Needs) -> sa.CTE:
    """Customers with an order, in the shape of journeys whose commitment is the first one.

    Beside it ``second_at``, and how many ``orders`` there are.
    """
    c = purchases(cut, tz).subquery("purchases").c
    firsts = (
        sa.select(
            c.customer,
            sa.func.min(c.at).label("first_at"),
            nth_least(c.at, 2).label("second_at"),
            sa.func.count().label("orders"),
        )
        .group_by(c.customer)
        .cte("first_orders")
        .prefix_with("MATERIALIZED")
    )
    joined: sa.FromClause = firsts
    more: list[ColumnElement[Any]] = []
    facts = Facts(cut, firsts)
    for needed, statement in ((needs.activity, activity(facts)), (needs.touch, first_touch(facts))):
        if needed:
            rows = statement.subquery()
            joined = joined.outerjoin(rows, rows.c.customer == firsts.c.customer)
            more += [column for column in rows.c if column.name != "customer"]
    nothing = sa.cast(sa.null(), sa.DateTime())
    stages = [
        (firsts.c.first_at if stage == "commitment" else nothing).label(f"{stage}_at")
        for stage in STAGES
    ]
    return (
        sa.select(
            firsts.c.customer,
            sa.literal_column("1", sa.BigInteger()).label("cycle"),
            *stages,
            nothing.label("lost_at"),
            sa.false().label("lost_inferred"),
            firsts.c.second_at,
            firsts.c.orders,
            *more,
        )
        .select_from(joined)
        .cte("buyers")
        .prefix_with("MATERIALIZED")
    )


@dataclass(frozen=True, slots=True)
class Buyers:
    """Who placed a first order in the period, and the times a second one is looked for."""

    members: Members
    times: Sequence[timedelta]

    def people(self, *, everybody: bool = False) -> sa.Subquery:
        """Who is counted: ``customer``, their cell, ``at``, ``waited`` and ``orders``.

        With ``everybody`` also who is left out, as they are ``older`` than the data.
        """
        members = self.members
        c = members.journeys.c
        keys, joined = members.keys_at(c.commitment_at)
        waited = micros_between(c.commitment_at, c.second_at)
        new = members.surely_new()
        asked = [*members.journeys_asked(), *([] if everybody else new)]
        return (
            sa.select(
                c.customer,
                sa.not_(sa.and_(sa.true(), *new)).label("older"),
                c.commitment_at.label("at"),
                c.second_at,
                waited.label("waited"),
                c.orders,
                *keys,
            )
            .select_from(joined)
            .where(*asked)
            .subquery("bought")
        )

    def judged(self, rows: Any, time: timedelta) -> tuple[ColumnElement[Any], ColumnElement[Any]]:
        """Who is old enough for a time, and who ordered again within it."""
        longest = sa.literal_column(str(time // _MICROSECOND), sa.BigInteger())
        old = rows.at <= sa.literal(time_before(self.members.moment, time))
        return old, sa.func.coalesce(rows.waited <= longest, sa.false())

    def counted(self) -> sa.Select[Any]:
        """By cell: customers, their orders, and for each time who is mature and who repeated.

        Who is left out has rows of their own, which say how many they are.
        """
        rows = self.people(everybody=True)
        c = rows.c
        keys = [*(c[name] for name in self.members.key_names), c.older]
        figures: list[ColumnElement[Any]] = []
        for place, time in enumerate(self.times):
            old, again = self.judged(c, time)
            waited = sa.case((sa.and_(old, again), c.waited))
            figures += [
                sa.func.count().filter(old).label(f"mature_{place}"),
                sa.func.count().filter(old, again).label(f"repeated_{place}"),
                quantiles(waited, tuple(QUANTILES.values())).label(f"waited_{place}"),
            ]
        orders = sa.cast(sa.func.sum(c.orders), sa.BigInteger()).label("orders")
        return sa.select(*keys, sa.func.count().label("customers"), orders, *figures).group_by(
            *keys
        )

    def spread(self, place: int) -> sa.Select[Any]:
        """How the mature for a time are spread over accounts, by cell."""
        rows = self.people()
        old, again = self.judged(rows.c, self.times[place])
        return spread(self.members.units, rows, self.members.key_names, old, again)

    def rows(
        self, counted: Sequence[dict[str, Any]], sums: Sequence[Sequence[dict[str, Any]]]
    ) -> list[dict[str, Any]]:
        """The rows of the answer, in order: cell, cohort, time."""
        by_key = [{self._key(group): group for group in of_time} for of_time in sums]
        ordered = [
            (group, place)
            for group in sorted(counted, key=self._order)
            if group["customers"]
            for place in range(len(self.times))
        ]
        judged = shares(
            [group[f"repeated_{place}"] for group, place in ordered],
            [group[f"mature_{place}"] for group, place in ordered],
            [by_key[place].get(self._key(group)) for group, place in ordered],
        )
        return [
            self._row(group, place) | dict(zip(_SHARE, share, strict=True))
            for (group, place), share in zip(ordered, judged, strict=True)
        ]

    def _row(self, group: Mapping[str, Any], place: int) -> dict[str, Any]:
        members, cohort = self.members, self.members.question.cohort
        mature, repeated = group[f"mature_{place}"], group[f"repeated_{place}"]
        days: dict[str, Any] = dict.fromkeys(QUANTILES)
        if repeated >= FEWEST:
            found = zip(QUANTILES, group[f"waited_{place}"], strict=True)
            days = {name: micros / _DAY_MICROS for name, micros in found}
        return {
            **{one.column: members.named(one, group[one.column]) for one in members.dimensions},
            COHORT: ALL if cohort is None else cohort_label(group[COHORT], cohort),
            "within": format_duration(self.times[place]),
            "customers": group["customers"],
            "mature": mature,
            "repeated": repeated if mature else None,
            **days,
        }

    def _key(self, group: Mapping[str, Any]) -> tuple[Any, ...]:
        return tuple(group[name] for name in self.members.key_names)

    def _order(self, group: Mapping[str, Any]) -> tuple[Any, ...]:
        members = self.members
        cell = [members.named(one, group[one.column]) for one in members.dimensions]
        return (cell_order(cell), *([group[COHORT]] if members.question.cohort else []))

    def table(self, rows: Sequence[Mapping[str, Any]]) -> pa.Table:
        """The rows, as Arrow."""
        import pyarrow as pa

        asked = self.members.dimensions
        kinds: dict[str, Any] = {one.column: pa.string() for one in asked}
        kinds |= dict.fromkeys((COHORT, "within"), pa.string())
        kinds |= dict.fromkeys(_COUNTS, pa.int64())
        kinds |= dict.fromkeys((*_SHARE, *QUANTILES), pa.float64())
        titles = {one.column: one.title(COLUMNS) for one in asked}
        return typed_table(rows, kinds, titles | {COHORT: "cohort"})


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
    notes += [
        f"{name}: the {len(kept)} values of the most customers stand apart, the rest are other."
        for name, kept in members.kept.items()
    ]
    return notes
