"""What each conversion and each wait would add, were it as good as its benchmark.

With n members of a stage, c the share that reaches the next one and b its benchmark, n (b - c) more
would reach it. What one of them is worth:

- left of the knot, the downstream conversions times what a customer is worth who commits;
- right of it, what those are worth who went on, less what those are worth who did not.

At half of the downstream rates, each conversion after that one is half of what it is: left of the
knot the chain is halved at each step; of a customer's worth what is lost is, from the last stage to
the first, L = c / 2 (went on - did not + L of the next stage).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bowtie.stages import STAGES
from bowtie_projections.shrinking import shrink_each, shrink_means

__all__ = ["FEWEST", "MEMBERS", "STEPS", "Cell", "Lifted", "fast_quartile", "lift", "lift_all"]

Floats = NDArray[np.float64]
#: Stages that have a next one.
STEPS = STAGES[:-1]
KNOT = STAGES.index("commitment")
#: A cohort of fewer members is no benchmark.
MEMBERS = 100
#: Of fewer cohorts there is no upper quartile, and no interval.
FEWEST = 4
#: Of fewer customers there is no mean worth.
CUSTOMERS = 20
_DRAWS = 1000


@dataclass(frozen=True, slots=True)
class Cell:
    """The counts of a cell of the breakdowns: by stage (rows) and cohort (columns).

    Args:
        n: mature members.
        k: of them, who reached the next stage in time.
        old: members who are old enough for the longer window that being faster means.
        in_time: of them, who reached the next stage within the window there is.
        sooner: of them, who reached it within the longer one.
        went_on: customers whose horizon is over and who reached the next stage.
        stayed: those who did not.
        worth_on: what those who went on were worth, together.
        worth_stayed: what the others were.
        goals: given benchmarks of the conversions, NaN where there is none; None where cohorts say.
    """

    n: Floats
    k: Floats
    old: Floats
    in_time: Floats
    sooner: Floats
    went_on: Floats
    stayed: Floats
    worth_on: Floats
    worth_stayed: Floats
    goals: Floats | None

    @property
    def cohorts(self) -> int:
        """How many cohorts there are."""
        return int(self.n.shape[1])


@dataclass(frozen=True, slots=True)
class Lifted:
    """What lifting adds, by stage and draw; NaN where it can't be said.

    Args:
        conversion: the share that reaches the next stage.
        goal: its benchmark.
        gain: by how much the conversion would rise, and if the wait fell, in the same places.
        members: how many more would reach the next stage.
        customers: how many more would commit; NaN right of the knot.
        worth: what each of them is worth, if downstream rates hold, and at half of them.
        added: what all of them are, and at half of the downstream rates.
    """

    conversion: Floats
    goal: Floats
    gain: tuple[Floats, Floats]
    members: tuple[Floats, Floats]
    customers: tuple[Floats, Floats]
    worth: tuple[Floats, Floats]
    added: tuple[tuple[Floats, Floats], tuple[Floats, Floats]]


def lift_all(cell: Cell) -> tuple[Lifted, Lifted | None]:
    """What each lever adds, and the same of draws of the cohorts, for the intervals.

    Cohorts are drawn with replacement, all stages of a cohort together: a bootstrap, with 1,000
    draws that are the same each time. None of fewer than four cohorts.
    """
    found = lift(cell, np.arange(cell.cohorts)[None, :])
    if cell.cohorts < FEWEST:
        return found, None
    draws = np.random.default_rng(0).integers(0, cell.cohorts, (_DRAWS, cell.cohorts))
    return found, lift(cell, draws)


def lift(cell: Cell, draws: NDArray[Any]) -> Lifted:
    """What each lever adds of each draw of cohorts (rows of their places)."""
    n, k = (counts[:, draws].sum(axis=-1) for counts in (cell.n, cell.k))
    with np.errstate(divide="ignore", invalid="ignore"):
        conversion = k / n
        goal = _goals(cell, draws)
        old, in_time, sooner = (
            counts[:, draws].sum(axis=-1) for counts in (cell.old, cell.in_time, cell.sooner)
        )
        gain = (np.maximum(goal - conversion, 0.0), (sooner - in_time) / old)
        worth = _worth(cell, draws, conversion)
        members = (n * gain[0], n * gain[1])
        reach = np.full(conversion.shape, np.nan)
        reach[KNOT - 1] = 1.0
        for place in range(KNOT - 2, -1, -1):
            reach[place] = reach[place + 1] * conversion[place + 1]
        customers = (members[0] * reach, members[1] * reach)
        added = tuple((more * worth[0], more * worth[1]) for more in members)
    return Lifted(conversion, goal, gain, members, customers, worth, (added[0], added[1]))


def _goals(cell: Cell, draws: NDArray[Any]) -> Floats:
    """The benchmark of each conversion: as given, or the upper quartile of the larger cohorts."""
    if cell.goals is not None:
        return np.broadcast_to(cell.goals[:, None], (len(STEPS), len(draws)))
    large = cell.n >= MEMBERS
    n, k = (np.where(large, counts, 0.0)[:, draws] for counts in (cell.n, cell.k))
    _, _, rates = shrink_each(k, n)
    quartile = _quantile(rates, 0.75)
    enough = large.sum(axis=1) >= FEWEST
    return np.where(enough[:, None], quartile, np.nan)


def _quantile(values: Floats, share: float) -> Floats:
    """A quantile along the last axis, interpolated, of those that are numbers."""
    ordered = np.sort(values, axis=-1)  # NaN comes last
    count = np.isfinite(values).sum(axis=-1)
    place = np.maximum(count - 1, 0) * share
    low = np.floor(place).astype(int)
    high = np.minimum(low + 1, np.maximum(count - 1, 0))
    lower, upper = (
        np.take_along_axis(ordered, where[..., None], axis=-1)[..., 0] for where in (low, high)
    )
    found: Floats = lower + (upper - lower) * (place - low)
    return found


def _worth(cell: Cell, draws: NDArray[Any], conversion: Floats) -> tuple[Floats, Floats]:
    """What one more member of the next stage is worth, and at half of the downstream rates."""
    on, stayed, of_on, of_stayed = (
        counts[:, draws].sum(axis=-1)
        for counts in (cell.went_on, cell.stayed, cell.worth_on, cell.worth_stayed)
    )
    contrast = of_on / on - of_stayed / stayed
    customer = (of_on + of_stayed)[KNOT] / (on + stayed)[KNOT]
    few = (cell.went_on.sum(axis=1) < CUSTOMERS) | (cell.stayed.sum(axis=1) < CUSTOMERS)
    contrast[few] = np.nan
    if (cell.went_on + cell.stayed)[KNOT].sum() < CUSTOMERS:
        customer = np.full(customer.shape, np.nan)
    whole, half = contrast.copy(), contrast.copy()
    lost = np.zeros(customer.shape)
    for place in range(len(STEPS) - 1, KNOT - 1, -1):
        half[place] -= lost
        # where nobody, or everybody, goes on, what half of it costs is not known: nothing is taken
        lost = np.nan_to_num(conversion[place] / 2 * (contrast[place] + lost), nan=0.0)
    whole[KNOT - 1], half[KNOT - 1] = customer, customer - lost
    for place in range(KNOT - 2, -1, -1):
        whole[place] = conversion[place + 1] * whole[place + 1]
        half[place] = conversion[place + 1] / 2 * half[place + 1]
    return whole, half


def fast_quartile(medians: Floats, counts: Floats, spread: float) -> float | None:
    """The lower quartile of the cohorts' median waits, each drawn to their mean.

    The variance of a median is taken as pi / 2 of that of a mean of as many, and the standard
    deviation of a wait as its interquartile range over 1.349: as of a normal distribution.

    Args:
        medians: of each cohort that is large enough, in days.
        counts: of how many waits.
        spread: the interquartile range of all waits.

    Returns:
        The days; None of fewer than four cohorts.
    """
    if medians.size < FEWEST:
        return None
    if spread <= 0:
        return float(np.quantile(medians, 0.25))
    variances = np.pi / 2 * (spread / 1.349) ** 2 / counts
    return float(np.quantile(shrink_means(medians, variances), 0.25))
