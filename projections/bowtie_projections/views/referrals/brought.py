"""Chains of referrals: each customer was brought by one other, or by none."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

__all__ = ["Brought"]


@dataclass(slots=True)
class Brought:
    """Who was brought by whom, and what was said that brought nobody.

    Args:
        by: by whom each was brought.
        told: at which position of the log that was told.
        unnamed: referrals that name nobody who came.
        late: of somebody who was a customer already.
        again: of somebody whom another had referred before, or the same.
        circular: of oneself, or of one by whom oneself was brought.
    """

    by: dict[str, str] = field(default_factory=dict)
    told: dict[str, int] = field(default_factory=dict)
    unnamed: int = 0
    late: int = 0
    again: int = 0
    circular: int = 0

    @classmethod
    def of(
        cls, said: Iterable[Mapping[str, Any]], committed: Mapping[str, datetime | None]
    ) -> Brought:
        """From referrals in the order they happened; the first of each customer counts.

        Args:
            said: each with ``customer``, who referred; ``referred``; ``occurred_at`` and
                ``position``.
            committed: the time zero of those referred who have one.

        >>> day = datetime(2026, 1, 1)
        >>> said = [("a", "b"), ("b", "c"), ("c", "a"), ("d", "c"), ("d", None)]
        >>> found = Brought.of(
        ...     (
        ...         {"customer": one, "referred": other, "occurred_at": day, "position": place}
        ...         for place, (one, other) in enumerate(said)
        ...     ),
        ...     {},
        ... )
        >>> found.by, found.told, found.circular, found.again, found.unnamed
        ({'b': 'a', 'c': 'b'}, {'b': 0, 'c': 1}, 1, 1, 1)
        """
        found = cls()
        for one in said:
            referrer, referred = one["customer"], one["referred"]
            since = None if referred is None else committed.get(referred)
            if referred is None:
                found.unnamed += 1
            elif referred == referrer or referred in found.above(referrer):
                found.circular += 1
            elif referred in found.by:
                found.again += 1
            elif since is not None and one["occurred_at"] > since:
                found.late += 1
            else:
                found.by[referred] = referrer
                found.told[referred] = one["position"]
        return found

    def above(self, customer: str) -> list[str]:
        """By whom one was brought, and by whom that one was, and so on."""
        chain = []
        while (brought_by := self.by.get(customer)) is not None:
            chain.append(brought_by)
            customer = brought_by
        return chain
