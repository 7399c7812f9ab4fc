"""Everybody whom recurring revenue counts, in all periods and cells at once, with what they pay."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from functools import cached_property, partial
from typing import Any

import sqlalchemy as sa
from sqlalchemy.sql.elements import ColumnElement

from bowtie.stages import Definition
from bowtie_projections import tables
from bowtie_projections.conditions import Facts
from bowtie_projections.evidence import named_values
from bowtie_projections.roster import Roster, listed
from bowtie_projections.value import MONEY
from bowtie_projections.views.cohorts import cohort_label
from bowtie_projections.views.cut import NEVER, Cut, Reader
from bowtie_projections.views.revenue.levels import MOVES, Levels
from bowtie_projections.views.revenue.periods import first_of
from bowtie_projections.views.revenue.table import in_months
from bowtie_projections.views.revenue.view import levels_of

__all__ = ["roster"]

#: The movements that are counted too, and by which column.
_MOVED = {"new": "customers_new", "churned": "customers_lost", "reactivated": "customers_back"}
_NOUGHT = sa.cast(sa.literal_column("0", sa.Integer()), MONEY)
_ONE = sa.literal_column("1", sa.Integer())


def roster(reader: Reader, cut: Cut, definition: Definition, **asked: Any) -> Roster:
    """Who pays at the start and the end of each period, who moved, and by how much.

    With daily movements somebody can come, or go, more than once in a period: then these are sums.

    Args:
        reader: the read tables.
        cut: where revenue was asked.
        definition: stands in the answer.
        asked: the parameters of :func:`bowtie_projections.views.revenue.revenue`, all of them.
    """
    levels, daily = levels_of(reader, cut, definition, asked), asked["movements"] == "daily"
    if levels.members.cut.moment is None:  # no facts, and SQL needs a moment
        levels = levels_of(reader, Cut(cut.position, NEVER), definition, asked)
    members = levels.members
    told = partial(_told, per=asked["per"])
    sums: dict[str, Callable[[Any], Any]] = dict.fromkeys(
        ("start", *MOVES, "end", "in_grace"), told
    )
    counts = ["customers_start", "customers_end"]
    if daily:
        sums |= dict.fromkeys(_MOVED.values(), int)
    else:
        counts += _MOVED.values()
    listing = _Listing(levels, counts, tuple(sums))
    return Roster(
        members.units,
        [*[None] * len(members.dimensions), partial(_period, every=levels.every), None],
        tuple(counts),
        [listing.held(), listing.grace(), listing.moved(daily=daily)],
        stages=(),
        reads={"contract": _contracts},
        sums=sums,
    )


class _Listing:
    """The rows of a roster, by what they tell.

    Args:
        levels: what was asked, of whom.
        counts: the columns that count members.
        sums: those that add up what is theirs.
    """

    def __init__(self, levels: Levels, counts: Sequence[str], sums: Sequence[str]) -> None:
        self._levels, self._counts, self._sums = levels, counts, sums

    def held(self) -> sa.Select[Any]:
        """What is paid at both borders of each period."""
        rows, periods = self._levels.by_period, self._periods("paid_in")
        c, at = rows.c, periods.c["at"]
        ends = {
            "start": sa.and_(c.low <= at, c.high >= at),
            "end": sa.and_(c.low <= at + _ONE, c.high >= at + _ONE),
        }
        found = (
            sa.select(
                c.customer,
                c.currency,
                at.label("at"),
                *(
                    sa.cast(sa.func.sum(sa.case((there, c.level))), MONEY).label(name)
                    for name, there in ends.items()
                ),
            )
            .select_from(rows.join(periods, sa.or_(*ends.values())))
            .where(c.level > _NOUGHT)
            .group_by(c.customer, c.currency, at)
            .subquery("held")
        )
        amounts = {name: found.c[name] for name in ends}
        flags = {f"customers_{name}": amount.is_not(None) for name, amount in amounts.items()}
        return self._listed(found, flags, amounts)

    def grace(self) -> sa.Select[Any]:
        """What is past its last day at the end of each period, and not renewed."""
        rows, periods = self._levels.in_grace(), self._periods("unrenewed_in")
        c, at = rows.c, periods.c["at"]
        there = sa.and_(c.low <= at + _ONE, c.high >= at + _ONE)
        found = (
            sa.select(
                c.customer,
                c.currency,
                at.label("at"),
                sa.cast(sa.func.sum(c.level), MONEY).label("level"),
            )
            .select_from(rows.join(periods, there))
            .group_by(c.customer, c.currency, at)
            .subquery("unrenewed_then")
        )
        return self._listed(found, {}, {"in_grace": found.c.level})

    def moved(self, *, daily: bool) -> sa.Select[Any]:
        """What moved it in each period."""
        rows, periods = self._levels.moves(daily=daily), self._periods("moved_in")
        c, at = rows.c, periods.c["at"]
        number = sa.cast(sa.func.count(), sa.BigInteger())
        found = (
            sa.select(
                c.customer,
                c.currency,
                at.label("at"),
                c.what,
                sa.cast(sa.func.sum(c.amount), MONEY).label("amount"),
                number.label("number"),
            )
            .select_from(rows.join(periods, c["at"] == at))
            .where(c.what.in_(MOVES))
            .group_by(c.customer, c.currency, at, c.what)
            .subquery("moved_then")
        )
        f = found.c
        amounts = {what: sa.case((f.what == what, f.amount)) for what in MOVES}
        if daily:
            amounts |= {name: sa.case((f.what == what, f.number)) for what, name in _MOVED.items()}
            return self._listed(found, {}, amounts)
        return self._listed(found, {name: f.what == what for what, name in _MOVED.items()}, amounts)

    @cached_property
    def _asked_for(self) -> list[int]:
        """The periods that can be in the answer; a cell has none before its first."""
        levels = self._levels
        oldest = sa.select(sa.func.min(levels.by_period.c["at"]))
        first = levels.members.units.reader.fetch(oldest).column(0)[0].as_py()
        return [] if first is None else [*levels.shown(first)]

    def _periods(self, name: str) -> sa.FromClause:
        at = sa.column("at", sa.Integer())
        # there is no period 0: of nobody there are no rows
        rows = [(one,) for one in self._asked_for] or [(0,)]
        return sa.values(at, name=name, literal_binds=True).data(rows)

    def _listed(
        self,
        rows: sa.Subquery,
        flags: Mapping[str, ColumnElement[bool]],
        amounts: Mapping[str, ColumnElement[Any]],
    ) -> sa.Select[Any]:
        """Rows of ``customer``, ``currency`` and period in the cells they are in."""
        members = self._levels.members
        keys, joined = self._levels.cells(rows)
        own = [*flags.values(), *amounts.values()]
        told = sa.select(
            rows.c.customer,
            rows.c["at"],
            *keys,
            *(column.label(f"own_{place}") for place, column in enumerate(own)),
        )
        inside = told.select_from(joined).subquery(f"{rows.name}_inside")
        columns = {name: inside.c[f"own_{place}"] for place, name in enumerate([*flags, *amounts])}
        cell = [
            *named_values(inside, members.dimensions, members.kept), inside.c["at"],
            inside.c.currency,
        ]  # fmt: skip
        return listed(
            inside,
            cell,
            {name: columns.get(name, sa.false()) for name in self._counts},
            sums=[sa.cast(columns.get(name, sa.null()), MONEY) for name in self._sums],
        )


def _period(number: int, every: str) -> str:
    return cohort_label(first_of(number, every), every)


def _told(annual: Decimal, per: str) -> Decimal:
    """An amount of a year, as the answer tells it."""
    return annual if per == "year" else in_months(annual, [])[0]


def _contracts(facts: Facts) -> sa.Select[Any]:
    """All that is said of contracts."""
    found = [
        sa.select(table.c.customer, table.c.position).where(facts.counted(table))
        for name, table in tables.facts.items()
        if name.startswith("contract_")
    ]
    return sa.select(sa.union_all(*found).subquery("of_contracts"))
