"""Where events are kept: one contract, several databases."""

from __future__ import annotations

from pathlib import Path

from bowtie.errors import UsageError
from bowtie.stores.contract import StateBatch, Store, StoredState
from bowtie.stores.sqlite import SqliteStore

__all__ = ["StateBatch", "Store", "StoredState", "open_store", "store_path"]


def store_path(url: str) -> Path | None:
    """The file that a store's URL names; None for a store in memory.

    >>> store_path("sqlite:///journeys.db"), store_path("memory://")
    (PosixPath('journeys.db'), None)

    Raises:
        UsageError: the URL names no kind of store that there is.
    """
    if url == "memory://":
        return None
    if url.startswith("sqlite:///"):
        name = url.removeprefix("sqlite:///")
    elif "://" not in url:
        name = url
    else:
        raise UsageError(f"{url!r} is no store: write sqlite:///FILE, a file's path, or memory://")
    if not name:
        raise UsageError(f"{url!r} names no file: write sqlite:///journeys.db")
    return Path(name)


def open_store(url: str, *, create: bool = False) -> Store:
    """The store at a URL.

    Args:
        url: ``sqlite:///FILE``, a file's path, or ``memory://``.
        create: make it where it isn't there yet.

    Raises:
        StoreMissing: it isn't there, and ``create`` is false.
        NotAStore, StoreNewer, StoreReadOnly: it can't be used.
    """
    return SqliteStore(store_path(url), url, create=create)
