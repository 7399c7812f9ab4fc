r"""The chain of seals: one hash a transaction, over all that it wrote and over the seal before it.

A change of any event, time of recording, or of the order or number of either changes the seal of
its transaction and of each one after. Whoever keeps the newest seal elsewhere can tell later that
the log up to there is still the one it was. Personal fields are hashed as they lie in the log,
sealed, so that forgetting a customer, which destroys a key, leaves every seal as it is.

>>> first = first_seal("5f0c")
>>> event = ("customer/acme", 1, "touched", b"{}\n")
>>> sealed = next_seal(first, 1, 1_700_000_000_000_000, [1], [event])
>>> sealed == next_seal(first, 1, 1_700_000_000_000_000, [1], [event]), len(sealed)
(True, 32)
"""

from __future__ import annotations

import hashlib
import sys
from array import array
from collections.abc import Iterable, Iterator, Sequence

__all__ = ["SEAL_BYTES", "chain", "first_seal", "next_seal"]

SEAL_BYTES = 32
_PERSON = b"bowtie seal 1"


def first_seal(store_id: str) -> bytes:
    """What the seal of a store's first transaction follows."""
    return hashlib.blake2b(store_id.encode(), digest_size=SEAL_BYTES, person=_PERSON).digest()


def next_seal(
    previous: bytes,
    last_position: int,
    recorded_at: int,
    positions: Sequence[int],
    events: Sequence[tuple[str, int, str, bytes]],
) -> bytes:
    """The seal of one transaction.

    Hashed are numbers first (how many events, then for all of them: positions, versions, and the
    lengths of each text and state), then the texts and states end to end. The numbers say where
    each one ends, so no two transactions are hashed as the same bytes; and a column is hashed in
    one call, which is what makes it cheap.

    Args:
        previous: the seal of the transaction before, or :func:`first_seal`.
        last_position, recorded_at: the transaction's row, in microseconds.
        positions: of its events, ascending.
        events: (stream, version, topic, state) of each.
    """
    hasher = hashlib.blake2b(previous, digest_size=SEAL_BYTES, person=_PERSON)
    numbers = array("q", (last_position, recorded_at, len(events)))
    if not events:
        hasher.update(_bytes_of(numbers))
        return hasher.digest()
    streams, versions, topics, states = zip(*events, strict=True)
    numbers.extend(positions)
    numbers.extend(versions)
    for column in (streams, topics, states):
        numbers.extend(map(len, column))
    texts = ("".join(streams) + "".join(topics)).encode()
    hasher.update(b"".join((_bytes_of(numbers), texts, *states)))
    return hasher.digest()


def _bytes_of(numbers: array[int]) -> bytes:
    """8 bytes each, least significant first on every machine."""
    if sys.byteorder == "big":
        numbers.byteswap()
    return numbers.tobytes()


def chain(
    store_id: str,
    commits: Iterable[tuple[int, int]],
    events: Iterable[tuple[int, str, int, str, bytes]],
) -> Iterator[tuple[int, int, bytes]]:
    """The seals of a whole log: (last position, recorded_at, seal) of each transaction.

    Args:
        store_id: the store's.
        commits: (last position, recorded_at) of each transaction, by position.
        events: (position, stream, version, topic, state) of each event, by position.
    """
    seal, rest = first_seal(store_id), iter(events)
    waiting = next(rest, None)
    for last_position, recorded_at in commits:
        mine = []
        while waiting is not None and waiting[0] <= last_position:
            mine.append(waiting)
            waiting = next(rest, None)
        positions = [event[0] for event in mine]
        rows = [event[1:5] for event in mine]
        seal = next_seal(seal, last_position, recorded_at, positions, rows)
        yield last_position, recorded_at, seal
