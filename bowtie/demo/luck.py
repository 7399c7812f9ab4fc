"""What a customer buys: the truths built into the demo, and chance, evenly spread.

Left alone, chance makes some level of some trait without any effect look like a mark in every few
histories. The demo is there to show what holds, so chance is dealt out as patients are to the arms
of a small clinical trial (by minimisation): of a few hands drawn, a customer gets the one that
keeps the levels of all traits most alike in how many of their customers bought more than expected.
"""

from __future__ import annotations

from collections import defaultdict
from math import erf, exp, log, sqrt
from random import Random
from typing import Final, NamedTuple

from bowtie.demo.accounts import CENTS_FOR_A_SEAT, Account
from bowtie.demo.market import VALUE_OF_REAL_TRAIT

__all__ = ["BIG_YEAR_CENTS", "Luck"]

#: About one customer in five pays this much a year.
BIG_YEAR_CENTS: Final = 1_650_000

_MEDIAN_SEATS = 16
_FEWEST_SEATS = 3
_SPREAD_OF_SEATS = 0.55
_DISCOUNTS = 21  # 0 to 20 percent, each as likely
_PAYS_BY_THE_MONTH = 0.25
_HANDS = 3


class _Hand(NamedTuple):
    seats: int
    discount: int

    @property
    def is_big(self) -> bool:
        """Whether the first year alone makes the customer one of high value."""
        return self.seats * CENTS_FOR_A_SEAT * (100 - self.discount) >= BIG_YEAR_CENTS * 100


class Luck:
    """Deals out what customers buy."""

    def __init__(self, dice: Random) -> None:
        self._dice = dice
        #: by level of a trait: its big customers so far, less those to be expected
        self._excess: defaultdict[str, float] = defaultdict(float)

    def deal(self, account: Account) -> None:
        """Decide what an account buys: the one place where the truths touch the money."""
        worth = account.channel.value * (VALUE_OF_REAL_TRAIT if account.multi_site else 1.0)
        expected = _share_of_big(worth)
        levels = account.levels()
        excess = sum(self._excess[level] for level in levels)

        def imbalance(hand: _Hand) -> float:
            surprise = hand.is_big - expected
            return surprise * (2.0 * excess + surprise * len(levels))

        hand = min((self._draw(worth) for _ in range(_HANDS)), key=imbalance)
        for level in levels:
            self._excess[level] += hand.is_big - expected
        account.seats, account.discount = hand
        account.monthly = self._dice.random() < _PAYS_BY_THE_MONTH

    def _draw(self, worth: float) -> _Hand:
        seats = _MEDIAN_SEATS * worth * exp(self._dice.gauss(0.0, _SPREAD_OF_SEATS))
        return _Hand(max(_FEWEST_SEATS, round(seats)), int(self._dice.random() * _DISCOUNTS))


def _share_of_big(worth: float) -> float:
    """How many customers of that worth are big, at a discount in the middle."""
    seats = BIG_YEAR_CENTS / (CENTS_FOR_A_SEAT * (1 - _DISCOUNTS / 200))
    distance = log(seats / (_MEDIAN_SEATS * worth)) / _SPREAD_OF_SEATS
    return 0.5 * (1.0 - erf(distance / sqrt(2.0)))
