"""The filter of ids: it may take a new id for a known one, never the other way round."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bowtie import seen as module
from bowtie.seen import Seen


def _hash(number: int) -> bytes:
    return hashlib.blake2b(str(number).encode(), digest_size=16).digest()


@given(st.lists(st.lists(st.binary(min_size=16, max_size=16), max_size=20), max_size=5))
def test_what_was_added_is_always_told(batches: list[list[bytes]]) -> None:
    seen = Seen()
    for batch in batches:
        seen.add(batch)
    everything = [one for batch in batches for one in batch]
    assert seen.perhaps(everything) == everything


def test_few_new_ids_are_taken_for_known_ones() -> None:
    seen = Seen()
    seen.add(_hash(number) for number in range(100_000))
    doubtful = seen.perhaps([_hash(number) for number in range(100_000, 200_000)])
    assert len(doubtful) < 1_000


def test_a_full_filter_is_followed_by_another(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_IDS_A_FILTER", 10)
    seen = Seen()
    hashes = [_hash(number) for number in range(35)]
    seen.add(hashes[:25])
    seen.add(hashes[25:])
    assert seen.perhaps(hashes) == hashes


def test_nothing_is_known_at_first() -> None:
    assert Seen().perhaps([_hash(1)]) == []
