"""How far the read tables are behind the log."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from bowtie import telemetry
from bowtie.times import now_micros

if TYPE_CHECKING:
    from bowtie.stores.contract import Store

__all__ = ["Lag", "lag_of"]


@dataclass(frozen=True, slots=True)
class Lag:
    """How far behind the log; false where not at all.

    >>> print(Lag(head=12, positions=2, seconds=90.0)), bool(Lag(12, 0, 0.0))
    2 positions behind the log, for 90 seconds
    (None, False)

    Attributes:
        head: where the log ends.
        positions: of the log that are not covered.
        seconds: for how long the oldest of the events there has been in the log.
    """

    head: int
    positions: int
    seconds: float

    def __bool__(self) -> bool:
        return self.positions > 0

    def __str__(self) -> str:
        plural = "" if self.positions == 1 else "s"
        return f"{self.positions:,} position{plural} behind the log, for {_words(self.seconds)}"


def lag_of(store: Store, position: int) -> Lag:
    """How far what stands at a position is behind a store's log."""
    head = store.head()
    telemetry.replay_lag(max(head - position, 0))
    if head <= position:
        return Lag(head, 0, 0.0)
    _, recorded = next(iter(store.batches(position, head, 1))).recorded[0]
    seconds = 0.0 if recorded is None else max(now_micros() - recorded, 0) / 1e6
    return Lag(head, head - position, round(seconds, 3))


def _words(seconds: float) -> str:
    """How long, in the unit that fits.

    >>> [_words(one) for one in (0.4, 119, 7000, 200_000)]
    ['less than a second', '119 seconds', '117 minutes', '56 hours']
    """
    if seconds < 1:
        return "less than a second"
    for unit, size in (("seconds", 1), ("minutes", 60), ("hours", 3600)):
        if seconds < 120 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds / 86400:.0f} days"
