"""What can be replayed, and its events as columns, batch after batch."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING, Protocol

from bowtie.stores.rows import StateBatch
from bowtie_projections.columns import Columns, Misaligned, columns_of

if TYPE_CHECKING:
    from bowtie.sealing import StoreKeys

__all__ = ["Source", "columns_between"]


class Source(Protocol):
    """What can be replayed: a store, or log files read as one."""

    @property
    def store_id(self) -> str:
        """Which log it is; positions mean nothing in another."""

    @property
    def secrets(self) -> StoreKeys:
        """The keys of the store; links are matched by the one for aliases."""

    def head(self) -> int:
        """The newest position; 0 when empty."""

    def hash_at(self, position: int) -> str:
        """A hash of the event at a position; "" where there is none."""

    def batches(self, after: int, upto: int, size: int) -> Iterator[StateBatch]:
        """The events of positions (after, upto] in runs of at most ``size``."""


def columns_between(source: Source, after: int, upto: int, size: int) -> Iterator[Columns]:
    """The columns of positions (after, upto], each batch converted while the last one is used."""
    with ThreadPoolExecutor(1) as pool:
        ahead: tuple[int, StateBatch, Callable[[], Columns]] | None = None
        for batch in source.batches(after, upto, size):
            following = (after, batch, pool.submit(columns_of, batch).result)
            if ahead is not None:
                yield from _converted(source, *ahead)
            ahead, after = following, batch.positions[-1]
        if ahead is not None:
            yield from _converted(source, *ahead)


def _converted(
    source: Source, after: int, batch: StateBatch, convert: Callable[[], Columns]
) -> Iterator[Columns]:
    try:
        yield convert()
    except Misaligned:
        # A state has a newline too many or too few: smaller batches corner it.
        half = len(batch.positions) // 2
        for smaller in source.batches(after, batch.positions[-1], half):
            yield from _converted(source, after, smaller, partial(columns_of, smaller))
            after = smaller.positions[-1]
