"""The touches before each commitment, and the paths without one, as relations in SQL.

A path is what touched a customer within the window before the commitment, in order. Of customers
who have not committed it is what came within the window before their last touch, once that is a
window ago: until then a commitment could still be credited to it.
"""

from __future__ import annotations

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

    def _placed(self, wins: sa.CTE) -> sa.Subquery:
        """The touches of each path of a commitment, numbered, with what they are to it."""
        touches = self._touches()
        t, w = touches.c, wins.c
        whole: dict[str, Any] = {"partition_by": t.customer}
        order = (t.at, t.position)
        # the milestone's touch is the last one before it
        before = {
            name: sa.func.count(sa.case((t.at <= w[f"{name}_at"], _ONE))).over(**whole)
            for name in ("lead", "opportunity")
        }
        fresh = sa.func.row_number().over(partition_by=(t.customer, t.source), order_by=order)
        return (
            sa.select(
                *w,
                t.source,
                t.at,
                sa.func.row_number().over(**whole, order_by=order).label("place"),
                sa.func.count().over(**whole).label("touches"),
                before["lead"].label("lead"),
                before["opportunity"].label("opportunity"),
                sa.case((fresh == 1, 1), else_=0).label("is_fresh"),
            )
            .select_from(wins.join(touches, self._inside(wins, touches)))
            .subquery("placed")
        )

    def _flagged(self, wins: sa.CTE) -> sa.Subquery:
        """The touches with all that a rule may look at."""
        placed = self._placed(wins)
        p = placed.c
        lead, opportunity = p.lead > 0, p.opportunity > 0
        apart_lead = sa.and_(lead, p.lead != 1)
        apart_opportunity = sa.and_(opportunity, p.opportunity != 1, p.opportunity != p.lead)
        last_too = sa.and_(p.touches != 1, p.touches != p.lead, p.touches != p.opportunity)
        milestones_u = 1 + _flag(apart_lead)
        milestones_w = milestones_u + _flag(apart_opportunity)
        sources = sa.func.sum(p.is_fresh).over(partition_by=p.customer)
        return sa.select(
            p.source,
            p.month,
            p.touches,
            _flag(p.place == 1).label("is_first"),
            _flag(p.place == p.touches).label("is_last"),
            _flag(p.place == p.lead).label("is_lead"),
            _flag(p.place == p.opportunity).label("is_opportunity"),
            _flag(lead).label("has_lead"),
            _flag(opportunity).label("has_opportunity"),
            milestones_u.label("milestones_u"),
            milestones_w.label("milestones_w"),
            (milestones_w + _flag(last_too)).label("milestones_z"),
            p.is_fresh,
            sa.cast(sources, sa.BigInteger()).label("sources"),
            *(p[name] for name in MEASURES),
        ).subquery("flagged")

    # -- statements ----------------------------------------------------------------------------

    def counted(self) -> sa.Select[Any]:
        """The measures of commitments by source, month and all that a rule may look at.

        A commitment without a touch has no source, and counts once.
        """
        wins = self.wins
        f = self._flagged(wins).c
        keys = [f.source, f.month, *(f[name] for name in KEYS)]
        credited = sa.select(*keys, *_sums(f)).group_by(*keys)
        placed = self._placed(wins)
        w = wins.c
        untouched = w.customer.not_in(sa.select(placed.c.customer))
        nothing = [sa.cast(sa.null(), sa.String()).label("source"), w.month]
        none = [sa.cast(sa.null(), sa.BigInteger()).label(name) for name in KEYS]
        alone = sa.select(*nothing, *none, *_sums(w)).where(untouched).group_by(w.month)
        return sa.select(sa.union_all(credited, alone).subquery("counted"))

    def decayed(self) -> sa.Select[Any]:
        """The shares of the model of decay, summed over each source and month."""
        wins = self.wins
        placed = self._placed(wins)
        p = placed.c
        age: ColumnElement[Any] = sa.cast(micros_between(p.at, p.t0), sa.Double())
        half: ColumnElement[Any] = sa.literal_column(
            str(self.half_life // _MICROSECOND), sa.Double()
        )
        # counted from the last touch, so that no weight is lost in a window of many half-lives
        least = sa.func.min(age).over(partition_by=p.customer)
        weight: ColumnElement[Any] = sa.func.pow(
            sa.literal_column("0.5", sa.Double()), (age - least) / half
        )
        weighed = sa.select(
            p.customer, p.source, p.month, weight.label("weight"), *(p[name] for name in MEASURES)
        ).subquery("weighed")
        q = weighed.c
        share = q.weight / sa.func.sum(q.weight).over(partition_by=q.customer)
        shared = sa.select(q.source, q.month, share.label("share"), *(q[n] for n in MEASURES))
        s = shared.subquery("shared").c
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
        both = sa.union_all(
            _walked(self._won_steps(), order, won=1), _walked(self._unwon_steps(), order, won=0)
        )
        return sa.select(both.subquery("walked"))

    def _won_steps(self) -> sa.Subquery:
        """The touches before commitments."""
        ends, touches = self._ends, self._touches()
        t = touches.c
        joined = ends.join(touches, self._inside(ends, touches))
        return sa.select(t.customer, t.source, t.at, t.position).select_from(joined).subquery("won")

    def _unwon_steps(self) -> sa.Subquery:
        """The touches of those who did not commit and are old enough."""
        population, touches = self.population, self._touches()
        t = touches.c
        last = sa.func.max(t.at).over(partition_by=t.customer)
        aged = (
            sa.select(*t, last.label("last"))
            .where(t.customer.not_in(sa.select(self._arrived.c.customer)))
            .subquery("aged")
        )
        a = aged.c
        over = a.last + span(self.window) < sa.literal(population.end)
        kept = sa.and_(over, a.at >= a.last - span(self.window))
        return sa.select(a.customer, a.source, a.at, a.position).where(kept).subquery("unwon")

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


def _walked(steps: sa.Subquery, order: int, *, won: int) -> sa.Select[Any]:
    """The steps of paths with what came before, counted."""
    s = steps.c
    line: dict[str, Any] = {"partition_by": s.customer, "order_by": (s.at, s.position)}
    before = [
        sa.func.lag(s.source, number).over(**line).label(f"before_{number}")
        for number in range(order, 0, -1)
    ]
    last = sa.func.lead(s.position).over(**line).is_(None)
    told = sa.select(*before, s.source, _flag(last).label("is_last")).subquery(f"told_{won}")
    kind = sa.literal_column(str(won), sa.Integer()).label("won")
    return sa.select(*told.c, kind, sa.func.count().label("times")).group_by(*told.c)


def _flag(condition: ColumnElement[bool]) -> ColumnElement[Any]:
    return sa.case((condition, 1), else_=0)


def _sums(c: Any) -> list[ColumnElement[Any]]:
    kinds = {"worth": MONEY}
    return [
        sa.cast(sa.func.sum(c[name]), kinds.get(name, sa.BigInteger())).label(name)
        for name in MEASURES
    ]
