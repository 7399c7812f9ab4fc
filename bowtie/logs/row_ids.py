"""Ids for rows that bring none: the hash of what the row says."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

import msgspec

__all__ = ["RowIds", "canonical"]

_encode = msgspec.json.Encoder(order="sorted").encode


def canonical(row: Mapping[str, Any]) -> bytes:
    """The form of a row that its id stands on: JSON, keys sorted, empty values left out.

    >>> canonical({"b": "2", "a": 1, "c": "", "d": None})
    b'{"a":1,"b":"2"}'
    """
    return _encode({name: value for name, value in row.items() if value not in (None, "")})


class RowIds:
    """Gives each row of one input its id: its hash, and ``-n`` for the n-th equal row.

    The same file sent again, longer, or compressed gives the same ids.

    >>> ids = RowIds()
    >>> first, second = ids.take({"user": "u1"}), ids.take({"user": "u1"})
    >>> first, second == f"{first}-2"
    ('3b421da68dab0dc9df7df13c804cc3e7', True)
    """

    def __init__(self) -> None:
        # 8 bytes of each hash are enough here: two rows that share them only get a `-2` too many
        self._seen: set[int] = set()
        self._repeats: dict[str, int] = {}

    def take(self, row: Mapping[str, Any]) -> str:
        """The id of a row."""
        digest = hashlib.blake2b(canonical(row), digest_size=16)
        return self.numbered(digest.hexdigest(), int.from_bytes(digest.digest()[:8], "big"))

    def numbered(self, text: str, seen_as: int | None = None) -> str:
        """The text, with ``-n`` when it is the n-th time it is taken here."""
        mark = hash(text) if seen_as is None else seen_as
        if mark not in self._seen:
            self._seen.add(mark)
            return text
        count = self._repeats.get(text, 1) + 1
        self._repeats[text] = count
        return f"{text}-{count}"
