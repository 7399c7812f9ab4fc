"""Which ids a writer has certainly not written yet, told without asking the store.

A Bloom filter (B. H. Bloom, Space/time trade-offs in hash coding with allowable errors, 1970): what
it doesn't know is new; what it knows may be new too, about one in 400.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]

__all__ = ["Seen"]

#: 16 bits an id, four of them set.
_IDS_A_FILTER = 1 << 20
_BITS = 24
_PROBES = 4


class Seen:
    """The ids written so far, 2 bytes each.

    >>> seen = Seen()
    >>> seen.add([b"a" * 16])
    >>> seen.perhaps([b"a" * 16, b"b" * 16]) == [b"a" * 16]
    True
    """

    def __init__(self) -> None:
        self._filters: list[Array] = []
        self._room = 0

    def add(self, hashes: Iterable[bytes]) -> None:
        """Remember ids, each by the 16 bytes that stand for it."""
        import numpy as np

        many = list(hashes)
        while many:
            if not self._room:
                self._filters.append(np.zeros(1 << _BITS - 3, dtype=np.uint8))
                self._room = _IDS_A_FILTER
            part, many = many[: self._room], many[self._room :]
            self._room -= len(part)
            newest = self._filters[-1]
            for bits in _probes(part):
                np.bitwise_or.at(newest, bits >> 3, _mask(bits))

    def perhaps(self, hashes: Sequence[bytes]) -> list[bytes]:
        """Those of the ids that may have been added; all others certainly were not."""
        import numpy as np

        if not hashes or not self._filters:
            return []
        found = np.zeros(len(hashes), dtype=bool)
        probes = [(bits >> 3, _mask(bits)) for bits in _probes(hashes)]
        for filter_ in self._filters:
            here = np.ones(len(hashes), dtype=bool)
            for byte, mask in probes:
                here &= (filter_[byte] & mask) != 0
            found |= here
        return [hashes[index] for index in np.flatnonzero(found).tolist()]


def _probes(hashes: Sequence[bytes]) -> list[Array]:
    """Four places in a filter for each id: the hash is random enough to be cut into them."""
    import numpy as np

    words = np.frombuffer(b"".join(hashes), dtype=np.uint32).reshape(-1, _PROBES)
    return [words[:, probe] & ((1 << _BITS) - 1) for probe in range(_PROBES)]


def _mask(bits: Array) -> Array:
    import numpy as np

    mask: Array = np.left_shift(1, bits & 7).astype(np.uint8)
    return mask
