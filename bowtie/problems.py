"""What a check can find."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Problem"]


@dataclass(frozen=True, slots=True)
class Problem:
    """Something that is not as it must be.

    Args:
        check: what was checked, one word, stable: ``stream``, ``commit``, ``id``, ``payload``,
            ``content``, ``seal``, ``claim``, ``snapshot``, ``forgotten``, ``sequence``, ``key``,
            ``tables``.
        problem: what is wrong, for a person; never holds the value of a field.
        position: the event it concerns, if one does.
        note: worth knowing, and no fault of the store.
    """

    check: str
    problem: str
    position: int | None = None
    note: bool = False
