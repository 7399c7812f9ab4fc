"""Where events are kept: one contract, several databases."""

from __future__ import annotations

from pathlib import Path

from bowtie.errors import UsageError
from bowtie.extras import need
from bowtie.stores.connections import Synchronous
from bowtie.stores.contract import Store
from bowtie.stores.postgres_url import is_postgres
from bowtie.stores.rows import StateBatch, StoredState
from bowtie.stores.sqlite import SqliteStore

__all__ = ["StateBatch", "Store", "StoredState", "open_store", "store_path"]


def store_path(url: str) -> Path | None:
    """The file that a store's URL names; None for a store that is no file.

    >>> store_path("sqlite:///journeys.db"), store_path("memory://")
    (PosixPath('journeys.db'), None)

    Raises:
        UsageError: the URL names no kind of store that there is.
    """
    if url == "memory://" or is_postgres(url):
        return None
    if url.startswith("sqlite:///"):
        name = url.removeprefix("sqlite:///").partition("?")[0]
    elif "://" not in url:
        name = url
    else:
        scheme = url.partition("://")[0]  # what follows may hold a password
        raise UsageError(
            f"{scheme}:// is no store: write sqlite:///FILE, a file's path, postgresql://..., or"
            " memory://"
        )
    if not name:
        raise UsageError(f"{url!r} names no file: write sqlite:///journeys.db")
    return Path(name)


def open_store(url: str, *, create: bool = False) -> Store:
    """The store at a URL.

    Args:
        url: ``sqlite:///FILE``, or ``sqlite:///FILE?synchronous=normal`` not to wait for the disk
            at each commit; a file's path, ``postgresql://...?schema=NAME``, or
            ``memory://``.
        create: make it where it isn't there yet.

    Raises:
        StoreMissing: it isn't there, and ``create`` is false.
        NotAStore, StoreNewer, StoreReadOnly, StoreAway: it can't be used.
        UsageError: the URL names no store, or one in PostgreSQL, whose driver is not installed.
    """
    if is_postgres(url):
        for driver in ("psycopg", "psycopg_pool"):
            need(driver, "postgres")
        from bowtie.stores.postgres import PostgresStore

        return PostgresStore(url, create=create)
    return SqliteStore(store_path(url), url, create=create, synchronous=_synchronous(url))


def _synchronous(url: str) -> Synchronous:
    """What the URL of an SQLite file says of waiting for the disk."""
    options = url.partition("?")[2] if url.startswith("sqlite:///") else ""
    match options.lower():
        case "" | "synchronous=full":
            return "full"
        case "synchronous=normal":
            return "normal"
        case _:
            raise UsageError(
                f"{url!r}: {options!r} is no option of an SQLite store: write"
                " ?synchronous=normal or ?synchronous=full"
            )
