"""The events of a step funnel as columns: each once, in order, with the steps that it fits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["NEVER", "Flags", "Numbers", "Occurrences", "codes"]

#: Later than all times, in microseconds.
NEVER = 1 << 62
_NONE = -1
Numbers = NDArray[np.int64]
Flags = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Occurrences:
    """The events of the steps; those of one customer and held value stand together, in order.

    Args:
        t: when each was, in microseconds.
        group: of which customer and held value it is, as a number.
        fits: by step, the places of the events that fit it, in order; of the first step those
            that may begin an attempt.
        raw: the row that each was read from.
        stops: of each exclusion, and last of anything in strict order, when it came first after
            each event; :data:`NEVER` if it did not.
        moments: all times, each once, in order.
        key: a number for group and time that grows with the place.
    """

    t: Numbers
    group: Numbers
    fits: Mapping[int, Numbers]
    raw: Numbers
    stops: Sequence[Numbers]
    moments: Numbers
    key: Numbers

    @classmethod
    def read(cls, rows: pa.Table, steps: int, kinds: int) -> Occurrences:
        """From the rows that were asked for.

        Args:
            rows: ``customer``, ``t``, ``tie``, ``position``, ``step`` (of what may not come between
                a negative number) and maybe ``held``, in any order.
            steps: how many steps there are.
            kinds: how many things may not come between.
        """
        step, t = _whole(rows, "step"), _whole(rows, "t")
        moments, rank = np.unique(t, return_inverse=True)
        customer, held = codes(rows, "customer"), codes(rows, "held")
        size = len(moments) + 1
        of_customer = customer * size + rank
        own = np.flatnonzero(step > 0)
        group = customer * (int(held.max(initial=0)) + 2) + held + 1
        keys, tie, position = (
            one[own] for one in (group * size + rank, _whole(rows, "tie"), _whole(rows, "position"))
        )
        order = np.lexsort((position, tie, keys))
        own, keys, tie, position = own[order], keys[order], tie[order], position[order]
        fresh = np.ones(len(own), dtype=bool)
        fresh[1:] = (np.diff(keys) != 0) | (np.diff(tie) != 0) | (np.diff(position) != 0)
        place = np.cumsum(fresh) - 1
        fitting = step[own]
        fits = {one: _distinct(place[fitting == one]) for one in range(1, steps + 1)}
        raw = own[fresh]
        # the row of an entry tells its cell
        raw[place[fitting == 1]] = own[fitting == 1]
        marks = (np.sort(of_customer[step == -number]) for number in range(1, kinds + 1))
        return cls(
            t=t[raw],
            group=group[raw],
            fits=fits,
            raw=raw,
            stops=[_first_after(one, of_customer[raw], moments) for one in marks],
            moments=moments,
            key=keys[fresh],
        )

    def upto(self, places: Numbers, least: int) -> Numbers:
        """The last place of the same group, or one before it, that is at least so long before."""
        size = len(self.moments) + 1
        rank = np.searchsorted(self.moments, self.t[places] - least, "right")
        wanted = self.group[places] * size + rank
        last: Numbers = np.searchsorted(self.key, wanted, "left") - 1
        return last


def _distinct(places: Numbers) -> Numbers:
    """Each once; they are in order."""
    once: Numbers = places[np.diff(places, prepend=_NONE) != 0]
    return once


def _first_after(marks: Numbers, keys: Numbers, moments: Numbers) -> Numbers:
    """When the first mark of the same customer came that is later."""
    found = np.full(len(keys), NEVER)
    if not len(marks):
        return found
    size = len(moments) + 1
    mark = marks[np.minimum(np.searchsorted(marks, keys, "right"), len(marks) - 1)]
    later = (mark > keys) & (mark // size == keys // size)
    found[later] = moments[mark[later] % size]
    return found


def _whole(rows: pa.Table, name: str) -> Numbers:
    """A column of whole numbers; what is null is of rows that do not need it."""
    import pyarrow as pa

    return _filled(rows.column(name).cast(pa.int64()), 0)


def codes(rows: pa.Table, name: str) -> Numbers:
    """A number for each value of a column; -1 for none, and where there is no such column."""
    if name not in rows.column_names or not rows.num_rows:
        return np.full(rows.num_rows, _NONE, dtype=np.int64)
    encoded: Any = rows.column(name).combine_chunks().dictionary_encode()
    return _filled(encoded.indices, _NONE)


def _filled(column: Any, value: int) -> Numbers:
    return np.asarray(column.fill_null(value).to_numpy(zero_copy_only=False), dtype=np.int64)
