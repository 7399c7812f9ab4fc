"""The business of the demo: who could buy, how they hear of it, and what makes one worth more.

It sells software for planning maintenance, by the seat. What makes one customer worth more than
another stands in this module and nowhere else: the ``value`` and ``churn`` of a :class:`Channel`,
and :data:`VALUE_OF_REAL_TRAIT`. All else that is known about a customer before the sale has no
effect on what it will buy.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal, TypeVar

__all__ = [
    "CAMPAIGNS",
    "CHANNELS",
    "CHEAP_CHANNEL",
    "CURRENCY",
    "HISTORY_MONTHS",
    "INDUSTRIES",
    "LEAK_TRAIT",
    "MISSING_TRAIT",
    "MOTIONS",
    "OLDER_TRAIT",
    "PUSH",
    "REAL_CHANNEL",
    "REAL_TRAIT",
    "REGIONS",
    "SHARE_OF_REAL_TRAIT",
    "SHARE_WITHOUT_REGION",
    "SIZES",
    "TURN_MONTHS",
    "VALUE_OF_REAL_TRAIT",
    "Channel",
    "older_trait_share",
    "spread",
]

T = TypeVar("T")

CURRENCY: Final = "EUR"
#: Months that the demo of a turn of the loop goes on after a profile was published: prospects of a
#: year, and a year more, until the last of them is old enough to be judged.
TURN_MONTHS: Final = 24
#: How much more often a prospect goes on to selection, and is won, once somebody takes care of it.
PUSH: Final = 1.25
#: Months of history: with 42, customers of the first 30 are at least a year old at the end.
HISTORY_MONTHS: Final = 42


@dataclass(frozen=True, slots=True)
class Channel:
    """A way in which accounts hear of the business.

    ``share``: of 100 accounts, how many come first through it. ``value`` multiplies what they buy,
    ``eagerness`` their chance to go on to the next stage, ``churn`` their chance to leave.
    ``spend``: what one account costs there, in cents; None where nobody keeps that record.
    ``precise``: whether its touches carry a time, or only a day.
    """

    name: str
    share: int
    medium: str
    touchpoint: str
    direction: Literal["inbound", "outbound"] = "inbound"
    touch_cost: int = 0
    spend: int | None = None
    value: float = 1.0
    eagerness: float = 1.0
    churn: float = 1.0
    precise: bool = True


def spread(weights: dict[T, int]) -> tuple[T, ...]:
    """Each value as often as its weight says: one random index then draws from it.

    >>> spread({"a": 1, "b": 3})
    ('a', 'b', 'b', 'b')
    """
    return tuple(value for value, weight in weights.items() for _ in range(weight))


REAL_CHANNEL: Final = "partner"
CHEAP_CHANNEL: Final = "directory"

#: The effects of partner and directory offset one another, so that each other channel is as good
#: as all the rest taken together: none of them is a mark or an anti-mark.
_CHANNELS: Final = (
    Channel("search", 22, "cpc", "pricing_page", touch_cost=640, spend=31_000),
    Channel("webinar", 14, "event", "live_session", touch_cost=1_850, spend=24_000),
    Channel("content", 14, "organic", "guide", spend=19_000),
    Channel("trade_fair", 9, "event", "booth", touch_cost=9_500, spend=68_000, precise=False),
    Channel("outbound_email", 11, "email", "sequence", "outbound", touch_cost=120, spend=27_000),
    Channel("referral", 5, "word_of_mouth", "introduction"),
    Channel(REAL_CHANNEL, 9, "partner", "introduction", spend=52_000, value=1.85, eagerness=1.06),
    Channel(
        CHEAP_CHANNEL,
        16,
        "listing",
        "comparison",
        touch_cost=90,
        spend=5_500,
        value=0.62,
        eagerness=1.06,
        churn=1.8,
    ),
)
CHANNELS: Final = spread({channel: channel.share for channel in _CHANNELS})

#: Campaigns are about a theme and run in every channel alike; None: a touch without one.
CAMPAIGNS: Final = spread(
    {"less_downtime": 26, "audit_ready": 19, "spare_parts": 15, "energy_saver": 12, None: 28}
)

INDUSTRIES: Final = spread(
    {"manufacturing": 26, "logistics": 20, "utilities": 16, "food": 15, "chemicals": 13, "rail": 10}
)
#: Seats are for planners, and a company of any size has few: size says nothing about value.
SIZES: Final = spread({"1-49": 30, "50-249": 36, "250-999": 22, "1000+": 12})
#: How each size is sold to.
MOTIONS: Final = {
    "1-49": spread({"self_serve": 35, "inside": 65}),
    "50-249": spread({"self_serve": 10, "inside": 80, "field": 10}),
    "250-999": spread({"inside": 60, "field": 40}),
    "1000+": spread({"inside": 30, "field": 70}),
}

#: Runs several sites: more planners, more seats.
REAL_TRAIT: Final = "multi_site"
SHARE_OF_REAL_TRAIT: Final = 0.18
VALUE_OF_REAL_TRAIT: Final = 1.8

#: Runs its own servers: usual in the first months, rare in the last; no effect on value.
OLDER_TRAIT: Final = "on_premise"


def older_trait_share(progress: float) -> float:
    """How many of the accounts that come at this point of the history run their own servers."""
    return 0.80 - 0.65 * progress


#: Unknown for a share of the accounts, whatever they are worth.
MISSING_TRAIT: Final = "region"
SHARE_WITHOUT_REGION: Final = 0.35
REGIONS: Final = spread({"dach": 34, "nordics": 22, "benelux": 24, "uk": 20})

#: Set by the account team some months after the sale, from what was sold.
LEAK_TRAIT: Final = "account_tier"
