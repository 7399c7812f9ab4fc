"""What the business spends on each channel and campaign, month by month."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from bowtie.demo import facts, market
from bowtie.demo.clock import DAY, HOUR
from bowtie.demo.ledger import Ledger

__all__ = ["record_spend"]


@dataclass(slots=True)
class _Budget:
    """The stream of a channel's spend."""

    key: str
    number: str
    events: int = 0


def record_spend(
    ledger: Ledger, arrivals: list[int], channels: Callable[[int], Sequence[market.Channel]]
) -> None:
    """Write the spend of every month.

    Args:
        ledger: where to.
        arrivals: how many accounts came in each.
        channels: those of a month, each as often as accounts of a hundred come through it.
    """
    of_hundred = [Counter(channels(month)) for month in range(len(arrivals))]
    shares = Counter(market.CAMPAIGNS)
    for channel in Counter(market.CHANNELS):
        if channel.spend is None:
            continue
        budget = _Budget(channel.name, f"spend-{channel.name}")
        months = zip(ledger.clock.month_spans(), arrivals, of_hundred, strict=True)
        for span, count, came in months:
            for campaign, share in shares.items():
                cents = count * came[channel] * channel.spend * share // 10_000
                _spend(ledger, budget, span, campaign, cents)


def _spend(
    ledger: Ledger, budget: _Budget, span: tuple[int, int], campaign: str | None, cents: int
) -> None:
    """One line of a month's plan and what became of it, booked on the month's last evening."""
    spent = 100 + int(cents * (0.8 + 0.4 * ledger.random()))
    day = ledger.clock.day
    last_day = span[1] - DAY
    data = facts.spend_recorded(budget.key, campaign, spent, day(span[0]), day(last_day))
    at = last_day + 12 * HOUR
    ledger.write(
        budget,
        "erp",
        "spend_recorded",
        data,
        at=at,
        known=at + 6 * HOUR,
        extensions='"streamkind":"spend",',
    )
