"""Who moved between tiers of value from an earlier day to now."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import sqlalchemy as sa

from bowtie_projections.views.moves import moves
from bowtie_projections.views.value.worth import Worths

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["NEW", "movement"]

#: Who was too young to be judged at the earlier day, or no customer yet.
NEW = "(not judged yet)"


def movement(then: Worths, now: Worths) -> pa.Table:
    """How many went from each tier to each: everybody who is judged now, or was then.

    Tiers are of each day's own mature, and so is a threshold that is fitted: who brings nothing
    more may rise or fall as others do.

    Args:
        then: the customers as of the earlier day.
        now: the same, as of the moment asked of.
    """
    before, after = _placed(then), _placed(now)
    found = Counter((before.get(name), after.get(name)) for name in before.keys() | after.keys())
    names = [tier.name for tier in now.bounds().tiers]
    return moves(found, names, NEW)


def _placed(worths: Worths) -> dict[str, int]:
    """The place of each one's tier."""
    if worths.members.cut.moment is None:
        return {}
    bounds = worths.bounds()
    c = worths.mature(bounds.threshold, bounds.tiers).c
    told = sa.select(c.customer, c.tier).where(c.tier.is_not(None))
    rows = worths.members.units.reader.fetch(told).to_pylist()
    return {row["customer"]: row["tier"] for row in rows}
