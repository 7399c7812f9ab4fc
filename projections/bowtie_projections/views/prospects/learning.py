"""What is learnt from leads of the past, and tested on leads that came later.

Three chances are told: that a prospect is won, that who is won is of high value, and both together.
Each is judged out of time: learnt from the older half of the leads, tested on the newer half. What
prospects are then scored by is learnt from all of them, under the penalty that was chosen on the
older half.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from bowtie_projections.views.prospects.features import Feature
from bowtie_projections.views.prospects.model import Model, chosen_penalty, fitted
from bowtie_projections.views.prospects.quality import Decile, Quality, deciles, judged
from bowtie_projections.views.prospects.standing import Known

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["FEWEST", "Card", "Half", "Learnt", "learn"]

Bools = NDArray[np.bool_]
Ints = NDArray[np.int64]

#: In each half of the leads so many must have had the event, and so many not.
FEWEST = 30


@dataclass(frozen=True, slots=True)
class Half:
    """The older or the newer leads.

    Args:
        looks: at leads of this half.
        leads: how many they are.
        with_event: of them, leads with a look after which it happened.
        without: of them, leads with a look after which it did not.
    """

    looks: int = 0
    leads: int = 0
    with_event: int = 0
    without: int = 0


@dataclass(frozen=True, slots=True)
class Card:
    """One chance: how it is told, and how good that is.

    Args:
        name: of the chance.
        rows: the looks it was learnt from and tested on, all of them.
        older, newer: the halves.
        middle: the moment that parts them, in microseconds; None where there are no looks.
        why_not: why it can't be told; empty where it can.
        model: learnt from all; None where it can't be told, or is made of other chances.
        penalty: scikit-learn's C.
        quality: on the newer half, by what was learnt from the older.
        deciles: the newer half in tenths by score.
    """

    name: str
    rows: Ints = field(default_factory=lambda: np.zeros(0, np.int64))
    older: Half = Half()
    newer: Half = Half()
    middle: int | None = None
    why_not: str = ""
    model: Model | None = None
    penalty: float | None = None
    quality: Quality | None = None
    deciles: Sequence[Decile] = ()


WIN, HIGH, BOTH = "win", "high if won", "high value"


@dataclass(frozen=True, slots=True)
class Learnt:
    """The three chances: of winning, of high value if won, and of both."""

    win: Card = field(default_factory=lambda: Card(WIN))
    high: Card = field(default_factory=lambda: Card(HIGH))
    both: Card = field(default_factory=lambda: Card(BOTH))

    @property
    def cards(self) -> list[Card]:
        """All of them, in order."""
        return [self.win, self.high, self.both]


def learn(features: Sequence[Feature], known: Known, high: Bools, ripe: Bools) -> Learnt:
    """What leads of the past teach.

    Args:
        features: of all looks.
        known: what was known of them.
        high: whether they were won in time, and of high value.
        ripe: whether it can be told by now.
    """
    task = _Task(features, known)
    past = ~known.now
    win = task.card(WIN, np.flatnonzero(past), known.won)
    ripe_rows = np.flatnonzero(past & ripe)
    middle = _middle(known, ripe_rows)
    if win.model is None:
        return Learnt(win, *(Card(name, why_not=win.why_not) for name in (HIGH, BOTH)))
    of_value = task.card(HIGH, ripe_rows[known.won[ripe_rows]], high, middle)
    if of_value.model is None:
        return Learnt(win, of_value, Card(BOTH, why_not=of_value.why_not))
    return Learnt(win, of_value, task.together(win, of_value, ripe_rows, high))


def _middle(known: Known, rows: Ints) -> int | None:
    """The moment up to which the older half of the leads of some looks came."""
    if not rows.size:
        return None
    # the looks at one lead follow each other
    first = np.flatnonzero(np.diff(_numbered(known.customer)[rows], prepend=-1))
    return int(np.quantile(known.t0[rows][first], 0.5, method="inverted_cdf"))


def _numbered(keys: pa.ChunkedArray[Any]) -> Ints:
    """The number of each key, from 0, in the order in which they come."""
    codes = keys.combine_chunks().dictionary_encode().indices
    return np.asarray(codes.to_numpy(), np.int64)


@dataclass(slots=True)
class _Task:
    """The looks there are to learn from."""

    features: Sequence[Feature]
    known: Known
    lead: Ints = field(init=False)
    account: Ints = field(init=False)

    def __post_init__(self) -> None:
        self.lead = _numbered(self.known.customer)
        self.account = _numbered(self.known.account)

    def card(self, name: str, rows: Ints, happened: Bools, middle: int | None = None) -> Card:
        """A chance that is learnt by itself."""
        middle = _middle(self.known, rows) if middle is None else middle
        if middle is None:
            return Card(name, why_not="no lead is old enough to learn from")
        older, newer = self._halves(rows, middle)
        card = Card(name, rows, self._half(older, happened), self._half(newer, happened), middle)
        if why_not := _too_few(card):
            return replace(card, why_not=why_not)
        t0 = self.known.t0
        penalty = chosen_penalty(self.features, older, happened[older], t0[older])
        then = fitted(self.features, older, happened[older], penalty)
        chances, account = then.chances(newer), self.account[newer]
        return replace(
            card,
            model=fitted(self.features, rows, happened[rows], penalty),
            penalty=penalty,
            quality=judged(chances, happened[newer], account, float(happened[older].mean())),
            deciles=deciles(chances, happened[newer], account),
        )

    def together(self, win: Card, high: Card, rows: Ints, happened: Bools) -> Card:
        """The chance of both: each is learnt again from the leads of this older half."""
        middle = _middle(self.known, rows)
        assert middle is not None  # noqa: S101 - there are looks, for high was learnt from some
        assert win.penalty is not None  # noqa: S101 - the same
        assert high.penalty is not None  # noqa: S101 - the same
        older, newer = self._halves(rows, middle)
        won = self.known.won
        all_older = win.rows[self.known.t0[win.rows] <= middle]
        of_win = fitted(self.features, all_older, won[all_older], win.penalty)
        bought = older[won[older]]
        of_high = fitted(self.features, bought, happened[bought], high.penalty)
        chances, account = of_win.chances(newer) * of_high.chances(newer), self.account[newer]
        return Card(
            BOTH,
            rows,
            self._half(older, happened),
            self._half(newer, happened),
            middle,
            quality=judged(chances, happened[newer], account, float(happened[older].mean())),
            deciles=deciles(chances, happened[newer], account),
        )

    def _halves(self, rows: Ints, middle: int) -> tuple[Ints, Ints]:
        early = self.known.t0[rows] <= middle
        return rows[early], rows[~early]

    def _half(self, rows: Ints, happened: Bools) -> Half:
        lead, had = self.lead[rows], happened[rows]
        return Half(
            rows.size, *(int(np.unique(some).size) for some in (lead, lead[had], lead[~had]))
        )


def _too_few(card: Card) -> str:
    """Why there is too little to learn from, or to test on."""
    words = {WIN: ("were won", "were not"), HIGH: ("were of high value", "were not")}[card.name]
    said = []
    for name, half in (("older", card.older), ("newer", card.newer)):
        if min(half.with_event, half.without) < FEWEST:
            said.append(
                f"of {half.leads:,} {name} leads {half.with_event:,} {words[0]} and"
                f" {half.without:,} {words[1]}"
            )
    return f"{' and '.join(said)}; {FEWEST} of each are needed in both halves" if said else ""
