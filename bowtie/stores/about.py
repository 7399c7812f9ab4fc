"""What a transaction says at its beginning that it will ask, so as to be answered at once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

__all__ = ["NOTHING", "About", "Part", "StreamHead"]


class Part(NamedTuple):
    """The events of some topics in some streams, of the versions (after, upto].

    What :meth:`bowtie.stores.contract.Writing.streams` takes.
    """

    streams: Sequence[str]
    topics: Sequence[str]
    after: int = 0
    upto: int | None = None


class About(NamedTuple):
    """What a transaction is going to be about, which it asks for at once.

    Attributes:
        streams: whose heads it is to find; sorted, each once.
        hashes: of ids that it will look up.
        part: of streams, which it will read.
    """

    streams: Sequence[str]
    hashes: Sequence[bytes]
    part: Part | None = None


#: Many streams, or none: they are asked for when it comes to them.
NOTHING = About((), ())


class StreamHead(NamedTuple):
    """Where a stream is: its newest version (0: it has no event), and its wrapped key."""

    version: int
    key: bytes | None
