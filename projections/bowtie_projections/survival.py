"""The share that has reached something by an age, of members some of whom are still watched.

A member is watched from age 0 (or, with delayed entry, from a later age on) until it reaches what
is waited for, until it is lost, or until the data end. Who is still watched has not failed: such a
member counts among those at risk up to its age, and no longer. The share is the Aalen-Johansen
estimate of the cumulative incidence; where nothing can be lost it is one minus the Kaplan-Meier
estimate, the same sums.

Ages are whole numbers of any unit. Ties are exact: at one age all that ends, ends at once, and who
is watched up to that age is at risk at it.

>>> ages, ends = [1, 2, 2, 3, 5], [REACHED, LOST, WATCHED, REACHED, WATCHED]
>>> estimate = Incidence(packed(ages, ends)).at([2, 3, 9])
>>> estimate.share.round(3).tolist()   # nobody is watched beyond 5
[0.2, 0.5, nan]
>>> estimate.at_risk.tolist()
[4, 2, 0]
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from statistics import NormalDist

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["LOST", "REACHED", "WATCHED", "Estimate", "Incidence", "packed"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

#: What ended the time of a member: it reached what was waited for, was lost, or is still watched.
#: In the order of ties: what ends at an age ends before the watching does.
REACHED, LOST, WATCHED = 0, 1, 2
_BITS = 2
#: A half of the members may be 0.4999999999999999 of them.
_ROUNDING = 1e-12


def packed(ages: ArrayLike, ends: ArrayLike) -> Ints:
    """Each member's age and what ended it, in one number, which sorts as time does.

    >>> packed([3, 3], [WATCHED, REACHED]).tolist()
    [14, 12]
    """
    return np.asarray((np.asarray(ages, dtype=np.int64) << _BITS) + np.asarray(ends), np.int64)


@dataclass(frozen=True, slots=True)
class Estimate:
    """The share at some ages, with its 95% bounds; NaN where the data can't say.

    Args:
        share: of all, how many have reached it by that age.
        low, high: of the log-log interval. It has no meaning for a share of 0 or 1.
        at_risk: how many are watched at that age and had neither reached it nor been lost before.
    """

    share: Floats
    low: Floats
    high: Floats
    at_risk: Ints


class Incidence:
    """How the share that has reached something grows with age.

    O. O. Aalen, S. Johansen, Scand. J. Stat. 5, 1978; E. L. Kaplan, P. Meier, JASA 53, 1958.
    One sort and a few passes over the members: a million take 0.2 seconds.

    Args:
        members: of each, its age and what ended it, as :func:`packed` makes them; in any order.
        starts: the ages from which members with delayed entry are at risk, in any order. None may
            begin after its own end: who ended before being watched was never at risk.
        competing: whether members can be lost at all. It decides which scale the interval has:
            log-log of the share (as D. Collett, Modelling Survival Data, has it for cumulative
            incidence), or of what is left over (as for Kaplan-Meier).
        clusters: of each member, the number of its cluster; none where members are independent.
        start_clusters: the same for ``starts``.

    Attributes:
        times: the ages at which anything ended, ascending.
        share: who had reached it by then; ``lost``: was lost; ``rest``: neither. They sum to 1.
        known_through: the age from which on nobody is at risk; what comes later is not known,
            unless nobody was left over. -1 where nobody is at risk from the beginning.
    """

    def __init__(
        self,
        members: Ints,
        starts: Ints | None = None,
        *,
        competing: bool = True,
        clusters: Ints | None = None,
        start_clusters: Ints | None = None,
    ) -> None:
        self._competing = competing
        self._members = members
        self._raw_starts = np.zeros(0, dtype=np.int64) if starts is None else starts
        self._clusters = clusters
        self._start_clusters = start_clusters
        ordered = np.sort(members)
        self._ages: Ints = ordered >> _BITS
        self._starts = np.sort(self._raw_starts)
        ends = ordered & ((1 << _BITS) - 1)
        self._count(np.flatnonzero(ends != WATCHED), ends)
        self._add_up()
        self.known_through = self._watched_through()

    @property
    def number(self) -> int:
        """How many members there are."""
        return int(self._ages.size)

    def _count(self, ending: NDArray[np.intp], ends: Ints) -> None:
        """At each distinct age: how many reached it, were lost, and were at risk."""
        ages = self._ages[ending]
        first = np.flatnonzero(np.diff(ages, prepend=ages[:1] - 1))
        self.times: Ints = ages[first]
        reached = (ends[ending] == REACHED).astype(np.int64)
        if first.size:
            reached = np.add.reduceat(reached, first)
        self._reached = reached.astype(np.float64)
        self._ended = np.diff(first, append=ages.size).astype(np.float64)
        self._risk: Floats = self._at_risk(self.times).astype(np.float64)

    def _at_risk(self, ages: Ints) -> Ints:
        gone = np.searchsorted(self._ages, ages, "left")
        to_come = self._starts.size - np.searchsorted(self._starts, ages, "right")
        return np.asarray(self._ages.size - gone - to_come, dtype=np.int64)

    def _add_up(self) -> None:
        self.rest: Floats = np.asarray(np.cumprod(1 - self._ended / self._risk))
        self._before = np.concatenate([[1.0], self.rest])[:-1]
        lost = self._ended - self._reached
        self.lost: Floats = np.cumsum(self._before * lost / self._risk)
        grown = np.cumsum(self._before * self._reached / self._risk)
        self.share: Floats = grown if lost.any() else np.asarray(1 - self.rest)

    def _watched_through(self) -> int:
        if not self._ages.size or self._at_risk(np.zeros(1, dtype=np.int64))[0] <= 0:
            return -1
        if not self._starts.size:
            return int(self._ages[-1])
        # what is left just after each age; with delayed entry it may be nobody, for a while
        after = self._ages.size - np.searchsorted(self._ages, self._ages, "right")
        to_come = self._starts.size - np.searchsorted(self._starts, self._ages, "right")
        return int(self._ages[np.argmax(after - to_come <= 0)])

    def at(self, ages: ArrayLike, confidence: float = 0.95) -> Estimate:
        """The estimate at some ages.

        Its variance is the multinomial Greenwood's (one cause: Greenwood's own). Where members are
        clustered it is raised by the design effect: the infinitesimal-jackknife variance between
        clusters over the plain one, within the bounds that
        :func:`bowtie_projections.statistics.design_effect` keeps.
        """
        asked = np.asarray(ages, dtype=np.int64)
        index = np.searchsorted(self.times, asked, "right")
        at_risk = np.maximum(self._at_risk(asked), 0)
        known = self._is_known(asked, index)
        share = np.where(known, np.concatenate([[0.0], self.share])[index], np.nan)
        variance = np.concatenate([[0.0], self._variances()])[index]
        if self._clusters is not None:
            variance = variance * self._effects(asked, index, np.where(known, variance, 0.0))
        low, high = self._bounds(share, np.sqrt(variance), confidence)
        return Estimate(share, low, high, at_risk)

    def _is_known(self, asked: Ints, index: NDArray[np.intp]) -> NDArray[np.bool_]:
        if self.known_through < 0:
            return np.zeros(asked.shape, dtype=bool)
        left = np.concatenate([[1.0], self.rest])[index]
        # who enters after everybody has ended tells of a share that is no longer estimated
        later = self._starts.size > 0 and self._starts[-1] > self.known_through
        return np.asarray((asked <= self.known_through) | ((left == 0) & (not later)))

    def reached_by(self, age: int) -> int:
        """How many members have been seen to reach it by an age."""
        return int(self._reached[self.times <= age].sum())

    def age_at(self, share: float = 0.5) -> int | None:
        """The first age by which so large a share has reached it; None where it never does.

        Of all members, not of those who ever reach it: the median of the time to reach it, with
        those who never do at infinity.
        """
        found = np.flatnonzero(self.share >= share - _ROUNDING)[:1]
        if not found.size or self.times[found[0]] > self.known_through:
            return None
        return int(self.times[found[0]])

    def _variances(self) -> Floats:
        """The variance of the share at each of ``times``.

        Sums over earlier times of (F(t) - F(u))^2 d/(n(n-d)) and the like, grown step by step so
        that all terms are positive: no large sum is taken from another.
        """
        n, d, d1, before = self._risk, self._ended, self._reached, self._before
        with np.errstate(divide="ignore", invalid="ignore"):
            # where all end at once the share grows no more
            a = np.where(n > d, d / (n * (n - d)), 0.0)
        step = np.diff(self.share, prepend=0.0)
        linear = np.cumsum(step * _earlier(np.cumsum(a)))
        square = np.cumsum(step * (2 * _earlier(linear) + step * _earlier(np.cumsum(a))))
        own = np.cumsum(before**2 * d1 * (n - d1) / n**3)
        cross = np.cumsum(step * _earlier(np.cumsum(before * d1 / n**2)))
        return np.asarray(np.maximum(square + own - 2 * cross, 0.0))

    def _effects(self, asked: Ints, index: NDArray[np.intp], variance: Floats) -> Floats:
        """The design effect of clusters, at each age asked."""
        clusters, starts = self._clusters, self._start_clusters
        assert clusters is not None  # noqa: S101 - for the type checker
        number, sizes = int(clusters.max(initial=-1)) + 1, np.bincount(clusters).astype(np.float64)
        members = float(clusters.size)
        most = max(1.0, float((sizes**2).sum()) / members) if members else 1.0
        if number < 2:
            return np.full(asked.shape, max(1.0, members / max(number, 1)))
        effects = np.ones(asked.shape)
        for place in np.flatnonzero(variance > 0):
            own, until_start = self._influence(int(index[place]))
            sums = np.bincount(clusters, own, number)
            if starts is not None and starts.size:
                sums += np.bincount(starts, until_start, number)
            between = float((sums**2).sum()) * number / (number - 1)
            effects[place] = min(max(1.0, between / variance[place]), most)
        return effects

    def _influence(self, index: int) -> tuple[Floats, Floats]:
        """How much each member moves the share, and what late starts leave out of that.

        The derivative of the estimate by the member's weight (the infinitesimal jackknife).

        Args:
            index: how many of ``times`` lie up to the age.
        """
        n, d, d1 = (one[:index] for one in (self._risk, self._ended, self._reached))
        before, grows = self._before[:index], self.share[:index][-1:] - self.share[:index]
        with np.errstate(divide="ignore", invalid="ignore"):
            onward = np.where(n > d, grows * n / (n - d), 0.0)
        # what one end of each kind does, and what being at risk has done up to each age
        by_reaching, by_loss = (before - onward) / n, -onward / n
        exposed = np.cumsum((before * d1 - onward * d) / n**2)
        exposed = np.concatenate([[0.0], exposed])
        own = -exposed[np.minimum(self._passed, index)]
        # of who ended by then, at which of the times
        at = self._passed[self._ended_ones] - 1
        by_then = at < index
        here, at = self._ended_ones[by_then], at[by_then]
        reached = self._members[here] & ((1 << _BITS) - 1) == REACHED
        own[here] += np.where(reached, by_reaching[at], by_loss[at])
        return own, exposed[np.minimum(self._passed_at_start, index)]

    @cached_property
    def _passed(self) -> NDArray[np.intp]:
        """Of each member, at how many of ``times`` it may have been at risk, late start or not."""
        return np.searchsorted(self.times, self._members >> _BITS, "right")

    @cached_property
    def _ended_ones(self) -> NDArray[np.intp]:
        """The members that are not watched any more."""
        return np.flatnonzero(self._members & ((1 << _BITS) - 1) != WATCHED)

    @cached_property
    def _passed_at_start(self) -> NDArray[np.intp]:
        """Of each late start, how many of ``times`` lie before it."""
        return np.searchsorted(self.times, self._raw_starts, "left")

    def _bounds(self, share: Floats, error: Floats, confidence: float) -> tuple[Floats, Floats]:
        z = NormalDist().inv_cdf(0.5 + confidence / 2)
        inside = (share > 0) & (share < 1 - _ROUNDING)
        scale = share if self._competing else 1 - share
        with np.errstate(divide="ignore", invalid="ignore"):
            far = np.exp(z * error / (scale * -np.log(scale)))
            less, more = scale**far, scale ** (1 / far)
        low, high = (less, more) if self._competing else (1 - more, 1 - less)
        return np.where(inside, low, np.nan), np.where(inside, high, np.nan)


def _earlier(sums: Floats) -> Floats:
    """The sums up to the time before."""
    return np.concatenate([[0.0], sums[:-1]])[: sums.size]
