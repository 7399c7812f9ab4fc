"""Who moved from which segment to which between two days: what every such part holds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING

from bowtie.errors import UsageError
from bowtie_projections.views.cut import Cut, Reader
from bowtie_projections.views.journey_source import settled
from bowtie_projections.views.shares import typed_table

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["earlier_cut", "moves"]


def earlier_cut(reader: Reader, cut: Cut, moment: datetime) -> Cut:
    """The cut as of an earlier moment.

    Raises:
        UsageError: it is not earlier.
    """
    if cut.moment is not None and moment >= cut.moment:
        raise UsageError(
            f"since is not before the moment asked as of, {cut.moment:%Y-%m-%d}: write an earlier"
            " day"
        )
    return settled(reader, replace(cut, as_of=moment, complete=False))


def moves(
    found: Mapping[tuple[int | None, int | None], int], names: Sequence[str], new: str
) -> pa.Table:
    """A row for each pair of segments that anybody moved between, or stayed in.

    Args:
        found: how many, by the place of the segment before and after; None is in none.
        names: the segments.
        new: what it is called to be in none.

    >>> moves({(0, 0): 3, (0, 1): 1, (None, 0): 2}, ["gold", "rest"], "(new)").to_pylist()[:2]
    [{'from': 'gold', 'to': 'gold', 'customers': 3, 'share_of_from': 0.75},
     {'from': 'gold', 'to': 'rest', 'customers': 1, 'share_of_from': 0.25}]
    """
    import pyarrow as pa

    starts: dict[int | None, int] = {}
    for (before, _), customers in found.items():
        starts[before] = starts.get(before, 0) + customers

    def place(segment: int | None) -> int:
        return len(names) if segment is None else segment

    def called(segment: int | None) -> str:
        return new if segment is None else names[segment]

    rows = [
        {
            "from": called(before),
            "to": called(after),
            "customers": found[before, after],
            "share_of_from": found[before, after] / starts[before],
        }
        for before, after in sorted(found, key=lambda pair: (place(pair[0]), place(pair[1])))
    ]
    kinds = {"from": pa.string(), "to": pa.string(), "customers": pa.int64()}
    return typed_table(rows, kinds | {"share_of_from": pa.float64()}, {})
