"""Who came by whose recommendation.

A customer who recommends the business names who is to come, and that account arrives later in the
month. Most such accounts say so, and stand under the channel ``referral``; others were told of it
and searched, or met at a fair, so that channel shows only a part of what word of mouth brings. Like
tells like: a customer with several sites mostly knows others that have some.
"""

from __future__ import annotations

from random import Random
from typing import Final

from bowtie.demo.accounts import Account

__all__ = ["Introductions"]

_WORD_OF_MOUTH: Final = "referral"
#: How often the CRM says who came, if somebody did; and how often they did without saying so.
_IS_NAMED, _CAME_OTHERWISE = 0.9, 0.5


class Introductions:
    """Finds who came by a recommendation among those who arrived in a month.

    Args:
        dice: its own, so that nothing else in the history depends on it.
    """

    def __init__(self, dice: Random) -> None:
        self._dice = dice
        self._arrived: list[tuple[int, Account]] = []
        #: who was brought
        self.brought: list[Account] = []

    def arrive(self, account: Account, at: int) -> None:
        """An account was seen for the first time."""
        self._arrived.append((at, account))

    def who_came(self, referrer: Account, at: int) -> Account | None:
        """Who of this month came by a recommendation; None where nobody did, or nobody says so."""
        random = self._dice.random
        later = [account for seen, account in self._arrived if seen > at and not account.referrer]
        by_word = [one for one in later if one.channel.name == _WORD_OF_MOUTH]
        others = [one for one in later if one.channel.name != _WORD_OF_MOUTH]
        chosen = by_word or (others if random() < _CAME_OTHERWISE else [])
        alike = [one for one in chosen if one.multi_site == referrer.multi_site]
        chosen = alike or chosen
        if not chosen or random() >= _IS_NAMED:
            return None
        found = chosen[int(random() * len(chosen))]
        found.referrer = referrer
        self.brought.append(found)
        return found

    def next_month(self) -> None:
        """Forget who arrived: who comes later was not meant."""
        self._arrived.clear()
