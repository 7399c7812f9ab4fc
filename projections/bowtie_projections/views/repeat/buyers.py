"""Who ordered and who ordered again: relations in SQL, rows of the answer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from sqlalchemy.sql.elements import ColumnElement

from bowtie.durations import format_duration
from bowtie_projections.expressions import micros_between, quantiles
from bowtie_projections.views.cohorts import ALL, cohort_label
from bowtie_projections.views.cut import time_before
from bowtie_projections.views.funnel.members import COHORT, Members
from bowtie_projections.views.shares import (
    FEWEST,
    cell_order,
    shares,
    spread,
    typed_table,
)

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["COLUMNS", "QUANTILES", "Buyers"]

QUANTILES = {"days_p25": 0.25, "days_p50": 0.5, "days_p75": 0.75, "days_p90": 0.9}
_COUNTS = ("customers", "mature", "repeated")
_SHARE = ("repeat_rate", "repeat_rate_low", "repeat_rate_high")
COLUMNS = ("cohort", "within", *_COUNTS, *_SHARE, *QUANTILES)
_DAY_MICROS = 86_400_000_000
_MICROSECOND = timedelta(microseconds=1)


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
