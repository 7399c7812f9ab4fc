"""A contact between an account and the business, at one touchpoint."""

from __future__ import annotations

from bowtie.demo import facts, market
from bowtie.demo.accounts import Account, pick
from bowtie.demo.ledger import Ledger

__all__ = ["any_way", "check_in", "touch"]


def any_way(ledger: Ledger) -> tuple[market.Channel, str | None]:
    """A channel and a campaign, each as likely as accounts come through it."""
    return pick(market.CHANNELS, ledger.random), pick(market.CAMPAIGNS, ledger.random)


def touch(
    ledger: Ledger, account: Account, at: int, channel: market.Channel, campaign: str | None
) -> None:
    """A touch of one of the ways in which accounts hear of the business."""
    data = facts.touched(
        channel.name,
        channel.direction,
        touchpoint=channel.touchpoint,
        medium=channel.medium,
        campaign=campaign,
        cost=channel.touch_cost,
    )
    if channel.precise:
        ledger.web(account, "touched", at, data)
    else:
        ledger.by_day("fairs", account, "touched", at, data)


def check_in(ledger: Ledger, account: Account, at: int) -> None:
    """The customer's manager calls."""
    data = facts.touched("account_manager", "outbound", touchpoint="call", medium="phone")
    ledger.crm(account, "touched", at, data)
