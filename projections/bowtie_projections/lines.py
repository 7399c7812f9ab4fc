"""Lines of text in one buffer, told apart without looking at them one by one."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

__all__ = ["Lines"]


class Lines(NamedTuple):
    """Lines in one buffer: line i lies in [offsets[i], offsets[i + 1]), its newline included."""

    data: pa.Buffer
    offsets: npt.NDArray[np.int64]

    @classmethod
    def split(cls, data: bytes) -> Lines:
        """The lines of newline-ended text, without a copy."""
        ends = np.flatnonzero(np.frombuffer(data, dtype=np.uint8) == ord("\n")) + 1
        return cls(pa.py_buffer(data), np.concatenate([[0], ends]))

    def __len__(self) -> int:
        return len(self.offsets) - 1

    @property
    def longest(self) -> int:
        """How many bytes the longest line has."""
        return int(np.diff(self.offsets).max())

    def array(self) -> Any:
        """The lines as an Arrow array."""
        buffers = [None, pa.py_buffer(self.offsets.data), self.data]
        return pa.Array.from_buffers(pa.large_binary(), len(self), buffers)

    def take(self, rows: npt.NDArray[np.int64]) -> Lines:
        """Those lines, side by side in a buffer of their own."""
        if len(rows) == len(self):
            return self
        _, offsets, data = self.array().take(pa.array(rows)).buffers()
        return Lines(data, np.frombuffer(memoryview(offsets), dtype=np.int64)[: len(rows) + 1])

    def part(self, start: int, end: int) -> Lines:
        """The lines [start, end), in place."""
        first, last = int(self.offsets[start]), int(self.offsets[end])
        return Lines(self.data.slice(first, last - first), self.offsets[start : end + 1] - first)

    def whole(self) -> bool:
        """Whether each line begins and ends as an object does, so that none hides another."""
        seen = np.frombuffer(memoryview(self.data), dtype=np.uint8)
        starts, ends = self.offsets[:-1], self.offsets[1:] - 2
        if (ends <= starts).any():
            return False
        return bool((seen[starts] == ord("{")).all() and (seen[ends] == ord("}")).all())
