"""Changing the master key: all keys wrapped anew in one transaction, whatever happens halfway.

The new key is on the disk before anything is wrapped by it, and the old one until all is. Where it
was cut short, the next to open the store finds which of the two is right.
"""

from __future__ import annotations

import os

from bowtie.decoding import unwrap_key, wrap_key
from bowtie.errors import SealedKeyMissing, StoreReadOnly, UsageError
from bowtie.sealing import (
    MASTER_KEY_VARIABLE,
    NEW_MASTER_KEY_VARIABLE,
    key_file,
    new_key,
    next_key,
    next_key_file,
    open_store_key,
    wrap_store_key,
    write_key,
)
from bowtie.stores.contract import Store, Writing

__all__ = ["change_master_key"]


def change_master_key(store: Store) -> int:
    """Wrap all keys of a store by a new master key; see :meth:`bowtie.Bowtie.change_master_key`."""
    old = store.master_key
    new = _new_master_key(store)
    with store.writing() as tx:
        count, wrapped = _wrap_anew(tx, old, new, store.url)
    store.use_master_key(new, wrapped)
    place = store.key_place
    if place is not None and MASTER_KEY_VARIABLE not in os.environ:
        os.replace(next_key_file(place), key_file(place))  # noqa: PTH105 - atomic on every system
    store.scrub()
    return count


def _new_master_key(store: Store) -> bytes:
    """The key to come, which is where a next one is looked for before it is used."""
    place = store.key_place
    if MASTER_KEY_VARIABLE in os.environ:
        given = next_key(place)
        if given is None:
            raise UsageError(
                f"the master key is in {MASTER_KEY_VARIABLE}: put a new one, 32 bytes in base64,"
                f" into {NEW_MASTER_KEY_VARIABLE}"
            )
        return given
    key = new_key()
    if place is not None:
        try:
            write_key(next_key_file(place), key)
        except OSError as error:
            raise StoreReadOnly(
                f"can't write the key file {next_key_file(place)}: {error.strerror}"
            ) from error
    return key


def _wrap_anew(tx: Writing, old: bytes, new: bytes, url: str) -> tuple[int, bytes]:
    """Wrap all keys; how many customers' there were, and the store's as it is now."""
    store_key = open_store_key(old, tx.meta("store_key"))
    opened = {name: unwrap_key(old, key, name) for name, key in tx.all_keys().items()}
    keys = {name: key for name, key in opened.items() if key is not None}
    if store_key is None or len(keys) < len(opened):
        raise SealedKeyMissing(
            f"the master key at hand does not open all keys of {url}: nothing was changed; see"
            " bowtie verify, or restore the key file"
        )
    tx.insert_keys([(name, wrap_key(new, key, name)) for name, key in keys.items()])
    wrapped = wrap_store_key(new, store_key)
    tx.set_meta("store_key", wrapped)
    tx.rewrite_secrets()
    return len(keys), wrapped
