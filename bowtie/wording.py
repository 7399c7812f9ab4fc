"""Numbers in sentences for people."""

from __future__ import annotations

__all__ = ["are", "counted"]


def counted(count: int, one: str, many: str | None = None) -> str:
    """A number of things, with the word for it.

    >>> counted(1, "customer"), counted(2615, "customer")
    ('1 customer', '2,615 customers')
    """
    return f"{count:,} {one if count == 1 else many or one + 's'}"


def are(count: int) -> str:
    """``is`` or ``are``, whichever goes with the number."""
    return "is" if count == 1 else "are"
