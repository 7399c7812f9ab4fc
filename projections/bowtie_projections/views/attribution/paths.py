"""The touches before each commitment, and the paths without one, as relations in SQL.

A path is what touched a customer within the window before the commitment, in order. Of customers
who have not committed it is what came within the window before their last touch, once that is a
window ago: until then a commitment could still be credited to it.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import timedelta
from functools import cached_property
from typing import Any

import sqlalchemy as sa
from sqlalchemy.sql.elements import ColumnElement

from bowtie_projections import tables
from bowtie_projections.expressions import micros_between, span
from bowtie_projections.localtime import local_month
from bowtie_projections.value import MONEY
from bowtie_projections.views.attribution.rules import Touch
from bowtie_projections.views.cut import counts
from bowtie_projections.views.loop.population import Population
from bowtie_projections.views.loop.tally import judged

__all__ = ["KEYS", "MEASURES", "Paths"]

#: What is credited: commitments; of the mature, how many they are, what they were worth (times
#: 365), and how many of them are of high value.
MEASURES = ("wins", "mature", "worth", "high")
#: By what the touches are counted: all that a rule may look at.
KEYS = (
    "touches", "is_first", "is_last", "is_lead", "is_opportunity", "has_lead", "has_opportunity",
    "milestones_u", "milestones_w", "milestones_z", "is_fresh", "sources",
)  # fmt: skip
_ONE = sa.literal_column("1", sa.Integer())
_MICROSECOND = timedelta(microseconds=1)


@dataclass(frozen=True)
class Paths:
    """The paths of one question.

    Args:
        population: who committed, when, and what they were worth.
        by: the field of a touch that is its source.
        window: how long before the commitment a touch counts.
        half_life: after which a touch counts half, in the model of decay.
        directions: of the touches that count.
        lead: the stage whose entry is the lead.
    """

    population: Population
    by: str
    window: timedelta
    half_life: timedelta
    directions: tuple[str, ...]
    lead: str

    # -- commitments ---------------------------------------------------------------------------

    @cached_property
    def _arrived(self) -> sa.CTE:
        """Everybody who committed."""
        return self.population.entered("arrived")

    @cached_property
    def _ends(self) -> sa.CTE:
        """Everybody counted who committed, and when."""
        c = self._arrived.c
        kept = sa.true() if self.population.question.include_truncated else c.truncated == 0
        return sa.select(c.customer, c.t0).where(kept).cte("ends").prefix_with("MATERIALIZED")

    @cached_property
    def wins(self) -> sa.CTE:
        """The same with the month, their milestones and their measures."""
        ends, worth, milestones = self._ends, judged(self.population), self._milestones()
        c, w, m = ends.c, worth.c, milestones.c
        joined = ends.outerjoin(worth, w.customer == c.customer).outerjoin(
            milestones, sa.and_(m.customer == c.customer, m.t0 == c.t0)
        )
        nought = sa.literal_column("0", sa.Integer())
        return (
            sa.select(
                c.customer,
                c.t0,
                local_month(c.t0, self.population.question.tz).label("month"),
                m.lead_at,
                m.opportunity_at,
                _ONE.label("wins"),
                sa.case((w.customer.is_not(None), 1), else_=0).label("mature"),
                sa.cast(sa.func.coalesce(w.worth, sa.cast(nought, MONEY)), MONEY).label("worth"),
                sa.func.coalesce(w.high, 0).label("high"),
            )
            .select_from(joined)
            .cte("wins")
            .prefix_with("MATERIALIZED")
        )

    def _milestones(self) -> sa.Subquery:
        """When the lead and the opportunity of each commitment came, where they did before it."""
        c = self.population.journeys.c
        at = c.commitment_at
        lead, opportunity = c[f"{self.lead}_at"], c.selection_at
        return (
            sa.select(
                c.customer,
                at.label("t0"),
                sa.func.min(sa.case((lead <= at, lead))).label("lead_at"),
                sa.func.min(sa.case((opportunity <= at, opportunity))).label("opportunity_at"),
            )
            .where(at.is_not(None))
            .group_by(c.customer, at)
            .subquery("milestones")
        )

    # -- touches -------------------------------------------------------------------------------

    def _touches(self) -> sa.Subquery:
        """All touches that may count, by their source."""
        table = tables.facts["touched"]
        c = table.c
        return (
            sa.select(c.customer, c.occurred_at.label("at"), c.position, c[self.by].label("source"))
            .where(
                counts(table, self.population.cut),
                c[self.by].is_not(None),
                c.direction.in_(self.directions),
            )
            .subquery("touches")
        )

    def _inside(self, ends: sa.FromClause, touches: sa.FromClause) -> ColumnElement[bool]:
        """A touch is in the window before a commitment."""
        t, c = touches.c, ends.c
        return sa.and_(t.customer == c.customer, t.at <= c.t0, t.at >= c.t0 - span(self.window))

    def _placed(self, parts: Collection[str]) -> sa.Subquery:
        """The touches of each path of a commitment, with what they are to it.

        A commitment without a touch has one row, without a source.

        Args:
            parts: what is asked of: some of ``place``, ``touches``, ``lead``, ``opportunity`` and
                ``fresh``. Each sorts the touches once more.
        """
        wins, touches = self.wins, self._touches()
        t, w = touches.c, wins.c
        whole: dict[str, Any] = {"partition_by": w.customer}
        order = (t.at, t.position)
        fresh = sa.func.row_number().over(partition_by=(w.customer, t.source), order_by=order)
        # the milestone's touch is the last one before it
        found: dict[str, ColumnElement[Any]] = {
            "place": sa.func.row_number().over(**whole, order_by=order),
            "touches": sa.func.count().over(**whole),
            "lead": sa.func.count(sa.case((t.at <= w.lead_at, _ONE))).over(**whole),
            "opportunity": sa.func.count(sa.case((t.at <= w.opportunity_at, _ONE))).over(**whole),
            "fresh": _flag(fresh == 1),
        }
        asked = [found[name].label(name) for name in found if name in parts]
        return (
            sa.select(*w, t.source, t.at, t.position, *asked)
            .select_from(wins.outerjoin(touches, self._inside(wins, touches)))
            .subquery("placed")
        )

    def _flagged(self, keys: Collection[str]) -> sa.Subquery:
        """The touches with what the rules look at."""
        placed = self._placed({part for key in keys for part in _PARTS[key]})
        told = {name: flag(placed.c).label(name) for name, flag in _FLAGS.items() if name in keys}
        own = [
            placed.c[name] for name in ("customer", "position", "t0", "source", "month", *MEASURES)
        ]
        return sa.select(*own, *told.values()).subquery("flagged")

    # -- statements ----------------------------------------------------------------------------

    def counted(self, keys: Collection[str] = KEYS) -> sa.Select[Any]:
        """The measures of commitments by source, month and what the rules look at.

        A commitment without a touch has no source, and counts once.

        Args:
            keys: some of :data:`KEYS`.
        """
        f = self._flagged(keys).c
        own = [f.source, f.month, *(f[name] for name in KEYS if name in keys)]
        return sa.select(*own, *_sums(f)).group_by(*own)

    def untouched(self) -> ColumnElement[bool]:
        """Which :attr:`wins` no touch stands before."""
        p = self._placed(()).c
        return self.wins.c.customer.in_(sa.select(p.customer).where(p.source.is_(None)))

    def by_rule(self, shares: Mapping[Touch, float]) -> sa.Select[Any]:
        """Each touch with its ``share`` of its commitment under a rule.

        Args:
            shares: by all that the rule looks at; touches of other kinds are left out.
        """
        flagged = self._flagged(KEYS)
        columns = [sa.column(name, sa.BigInteger()) for name in KEYS]
        rows = sa.values(
            *columns, sa.column("share", sa.Double()), name="shares", literal_binds=True
        ).data([(*touch, share) for touch, share in shares.items()])
        told = sa.select(rows).subquery("shares_of_touches")
        f = flagged.c
        same = sa.and_(*(told.c[name] == f[name] for name in KEYS))
        own = [f[name] for name in ("customer", "position", "t0", "source", "month", *MEASURES)]
        return sa.select(*own, told.c.share).select_from(flagged.join(told, same))

    def by_decay(self) -> sa.Select[Any]:
        """Each touch with its ``share`` of its commitment in the model of decay."""
        p = self._placed(()).c
        age: ColumnElement[Any] = sa.cast(micros_between(p.at, p.t0), sa.Double())
        half: ColumnElement[Any] = sa.literal_column(
            str(self.half_life // _MICROSECOND), sa.Double()
        )
        # counted from the last touch, so that no weight is lost in a window of many half-lives
        least = sa.func.min(age).over(partition_by=p.customer)
        weight: ColumnElement[Any] = sa.func.pow(
            sa.literal_column("0.5", sa.Double()), (age - least) / half
        )
        names = ("customer", "position", "t0", "source", "month", *MEASURES)
        weighed = (
            sa.select(*(p[name] for name in names), weight.label("weight"))
            .where(p.source.is_not(None))
            .subquery("weighed")
        )
        q = weighed.c
        share = q.weight / sa.func.sum(q.weight).over(partition_by=q.customer)
        return sa.select(*(q[name] for name in names), share.label("share"))

    def decayed(self) -> sa.Select[Any]:
        """The shares of the model of decay, summed over each source and month."""
        s = self.by_decay().subquery("shared").c
        return (
            sa.select(
                s.source,
                s.month,
                *(
                    sa.func.sum(s.share * sa.cast(s[name], sa.Double())).label(name)
                    for name in MEASURES
                ),
            )
            .group_by(s.source, s.month)
            .order_by(s.source, s.month)
        )

    def transitions(self, order: int) -> sa.Select[Any]:
        """How often each source came after the ones before it.

        Columns ``before_N`` to ``before_1`` (null before the first touch), ``source``, ``is_last``
        (0, 1), ``won`` (0, 1) and ``times``.
        """
        steps = self._steps().c
        line: dict[str, Any] = {
            "partition_by": steps.customer,
            "order_by": (steps.at, steps.position),
        }
        before = [
            sa.func.lag(steps.source, number).over(**line).label(f"before_{number}")
            for number in range(order, 0, -1)
        ]
        last = sa.func.lead(steps.position).over(**line).is_(None)
        told = sa.select(*before, steps.source, _flag(last).label("is_last"), steps.won)
        walked = told.subquery("walked")
        return sa.select(*walked.c, sa.func.count().label("times")).group_by(*walked.c)

    def _steps(self) -> sa.Subquery:
        """The touches of all paths, of one customer one path."""
        ends, touches = self._path_ends(), self._touches()
        t = touches.c
        joined = ends.join(touches, self._inside(ends, touches))
        return (
            sa.select(t.customer, t.source, t.at, t.position, ends.c.won)
            .select_from(joined)
            .subquery("steps")
        )

    def _path_ends(self) -> sa.Subquery:
        """Where paths end: at the commitment, or the last touch of who is old enough without."""
        population, t = self.population, self._touches().c
        won, committed = self._ends.c, self._arrived
        last = (sa.select(t.customer, sa.func.max(t.at).label("at")).group_by(t.customer)).subquery(
            "last"
        )
        over = last.c.at + span(self.window) < sa.literal(population.end)
        unwon = (
            sa.select(last.c.customer, last.c.at.label("t0"), sa.literal_column("0", sa.Integer()))
            .select_from(last.outerjoin(committed, committed.c.customer == last.c.customer))
            .where(committed.c.customer.is_(None), over)
        )
        both = sa.select(won.customer, won.t0, _ONE.label("won")).union_all(unwon)
        return both.subquery("path_ends")

    def young(self) -> sa.Select[Any]:
        """How many of those who did not commit are touched so lately that they may."""
        population = self.population
        touches, entered = self._touches(), self._arrived
        t = touches.c
        last = (
            sa.select(sa.func.max(t.at).label("last"))
            .where(t.customer.not_in(sa.select(entered.c.customer)))
            .group_by(t.customer)
            .subquery("last")
        )
        still = last.c.last + span(self.window) >= sa.literal(population.end)
        return sa.select(sa.func.count()).select_from(last).where(still)


def _flag(condition: ColumnElement[bool]) -> ColumnElement[Any]:
    return sa.case((condition, 1), else_=0)


def _sums(c: Any) -> list[ColumnElement[Any]]:
    kinds = {"worth": MONEY}
    return [
        sa.cast(sa.func.sum(c[name]), kinds.get(name, sa.BigInteger())).label(name)
        for name in MEASURES
    ]


def _apart(p: Any) -> ColumnElement[Any]:
    """Whether the lead's touch is not the first one."""
    return _flag(sa.and_(p.lead > 0, p.lead != 1))


def _both_apart(p: Any) -> ColumnElement[Any]:
    opportunity = sa.and_(p.opportunity > 0, p.opportunity != 1, p.opportunity != p.lead)
    return 1 + _apart(p) + _flag(opportunity)


def _all_apart(p: Any) -> ColumnElement[Any]:
    last = sa.and_(p.touches != 1, p.touches != p.lead, p.touches != p.opportunity)
    return _both_apart(p) + _flag(last)


def _sources(p: Any) -> ColumnElement[Any]:
    return sa.cast(sa.func.sum(p.fresh).over(partition_by=p.customer), sa.BigInteger())


#: Each of :data:`KEYS`, from the touches as they are placed.
_FLAGS: dict[str, Callable[[Any], ColumnElement[Any]]] = {
    "touches": lambda p: p.touches,
    "is_first": lambda p: _flag(p.place == 1),
    "is_last": lambda p: _flag(p.place == p.touches),
    "is_lead": lambda p: _flag(p.place == p.lead),
    "is_opportunity": lambda p: _flag(p.place == p.opportunity),
    "has_lead": lambda p: _flag(p.lead > 0),
    "has_opportunity": lambda p: _flag(p.opportunity > 0),
    "milestones_u": lambda p: 1 + _apart(p),
    "milestones_w": _both_apart,
    "milestones_z": _all_apart,
    "is_fresh": lambda p: p.fresh,
    "sources": _sources,
}
#: What has to be known of the touches for each.
_PARTS: dict[str, tuple[str, ...]] = {
    "touches": ("touches",),
    "is_first": ("place",),
    "is_last": ("place", "touches"),
    "is_lead": ("place", "lead"),
    "is_opportunity": ("place", "opportunity"),
    "has_lead": ("lead",),
    "has_opportunity": ("opportunity",),
    "milestones_u": ("lead",),
    "milestones_w": ("lead", "opportunity"),
    "milestones_z": ("lead", "opportunity", "touches"),
    "is_fresh": ("fresh",),
    "sources": ("fresh",),
}
