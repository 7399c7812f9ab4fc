"""The chance that an open opportunity is won, given how long it has been open already."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bowtie_projections.survival import LOST, REACHED, WATCHED, Incidence, packed
from bowtie_projections.views.shares import FEWEST

__all__ = ["History"]

Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class History:
    """What became of all opportunities.

    Args:
        ages: in microseconds, at which they ended or are now.
        ends: what ended them: reached (won), lost, or still watched.
    """

    ages: Ints
    ends: Ints

    @property
    def won(self) -> int:
        """How many were won."""
        return int((self.ends == REACHED).sum())

    @property
    def lost(self) -> int:
        """How many were lost."""
        return int((self.ends == LOST).sum())

    @property
    def still_open(self) -> int:
        """How many are neither."""
        return int((self.ends == WATCHED).sum())

    @property
    def why_not(self) -> str | None:
        """Why no chance can be told; none where it can."""
        closed = self.won + self.lost
        if closed >= FEWEST:
            return None
        return f"{closed:,} opportunities were closed, {FEWEST} are needed to tell a chance"

    @property
    def known_before(self) -> int:
        """The age up to which a chance is known: only 20 were open longer; 0 where none is."""
        if self.why_not is not None:
            return 0
        return int(np.sort(self.ages)[-FEWEST])

    def chances(self, ages: Ints) -> list[float | None]:
        """The chance to be won from each of these ages on.

        Of those open just after an age, the share won later: (F - F(a)) / S(a), where F is the
        Aalen-Johansen share won, up to the greatest age watched, and S(a) is the share neither won
        nor lost by then. Null where fewer than 20 were open longer.
        """
        if self.why_not is not None or not ages.size:
            return [None] * ages.size
        incidence = Incidence(packed(self.ages, self.ends))
        index = np.searchsorted(incidence.times, ages, "right")
        won = np.concatenate([[0.0], incidence.share])
        still = np.concatenate([[1.0], incidence.rest])[index]
        with np.errstate(divide="ignore", invalid="ignore"):
            chance = np.clip((won[-1] - won[index]) / still, 0.0, 1.0)
        known = ages < self.known_before
        return [float(one) if yes else None for one, yes in zip(chance, known, strict=True)]
