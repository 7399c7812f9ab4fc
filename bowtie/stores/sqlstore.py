"""What all stores do alike, whatever database they lie in: keys and transactions.

What they are only asked is in :mod:`bowtie.stores.sqlreading`.
"""

from __future__ import annotations

import os
from abc import abstractmethod
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

from bowtie.errors import SealedKeyMissing, StoreError, StoreReadOnly
from bowtie.sealing import (
    MASTER_KEY_VARIABLE,
    StoreKeys,
    load_master_key,
    make_master_key,
    new_key,
    open_store_key,
    wrap_store_key,
)
from bowtie.stores.about import NOTHING, About
from bowtie.stores.queries import Queries
from bowtie.stores.sqlreading import SqlReading
from bowtie.stores.tables import SCHEMA_VERSION, too_new, too_old
from bowtie.stores.writing import SqlWriting

__all__ = ["LOCK_TIMEOUT", "SqlStore"]

#: Seconds that a writer waits for the others, unless it says.
LOCK_TIMEOUT = 30.0


class SqlStore(SqlReading):
    """A store in a database; see :class:`bowtie.stores.contract.Store`."""

    def __init__(self, url: str, path: Path | None) -> None:
        #: how it is named, without a password
        self.url = url
        #: its file, where it is one
        self.path = path
        #: random, from when it was made
        self.store_id = ""
        self._secrets: StoreKeys | None = None
        self._master: bytes | None = None
        #: the store's own key, as the master key at hand wraps it
        self._wrapped: bytes | str | None = None

    @property
    def address(self) -> str:
        """The URL to connect by."""
        return self.url

    # -- what each database does in its own way -----------------------------------------------

    @property
    @abstractmethod
    def version(self) -> int:
        """The version of its tables."""

    @property
    @abstractmethod
    def key_place(self) -> Path | None:
        """The master key lies beside it, in a file of that name and ``.key``."""

    @abstractmethod
    def close(self) -> None:
        """Release it; it can't be used after."""

    @abstractmethod
    def upgrade(self) -> bool:
        """Bring the tables to the version of this code; whether they were older."""

    @abstractmethod
    def scrub(self) -> bool:
        """See that nothing deleted stays in the files; False where a reader keeps it there."""

    @abstractmethod
    def _transaction(self, timeout: float) -> AbstractContextManager[Queries]:
        """A transaction of our own under the writer's lock."""

    @abstractmethod
    def _joined(self, connection: Any, timeout: float) -> AbstractContextManager[Queries]:
        """The caller's open transaction, with the writer's lock."""

    # -- beginnings ---------------------------------------------------------------------------

    def _new_meta(self) -> dict[str, bytes | str]:
        """What a new store knows of itself; makes its master key."""
        self.store_id = uuid4().hex
        place = self.key_place
        if place is not None and MASTER_KEY_VARIABLE not in os.environ:
            try:
                place.parent.mkdir(0o700, parents=True, exist_ok=True)
            except OSError as error:
                raise StoreReadOnly(
                    f"can't make {place.parent} for the store's master key ({error.strerror}):"
                    f" set {MASTER_KEY_VARIABLE}"
                ) from None
        self._master = make_master_key(place)
        self._wrapped = wrap_store_key(self._master, new_key())
        return {"store_id": self.store_id, "store_key": self._wrapped}

    def _check_meta(self) -> None:
        """See that it is a store that this code can read."""
        version = self._found = self.version
        if version > SCHEMA_VERSION:
            raise too_new(self.url, version)
        meta = self.meta()
        if not {"store_id", "store_key"} <= meta.keys():
            raise StoreError(
                f"{self.url}: what the store knows of itself is gone: it is damaged;"
                " restore it from a backup"
            )
        self.store_id = str(meta["store_id"])

    # -- keys ---------------------------------------------------------------------------------

    @property
    def master_key(self) -> bytes:
        """The key that wraps the others; from the environment or the key file."""
        return self.master_key_for(self.meta().get("store_key"))

    def master_key_for(self, wrapped: bytes | str | None) -> bytes:
        """The master key that wraps the store's own key so; read again where it was changed."""
        if self._master is None or wrapped != self._wrapped:
            self._master = load_master_key(
                self.key_place, lambda key: open_store_key(key, wrapped) is not None
            )
            self._wrapped = wrapped
        return self._master

    def use_master_key(self, master: bytes, wrapped: bytes) -> None:
        """Go on with another master key, which now wraps the store's own key so."""
        self._master, self._wrapped = master, wrapped

    @property
    def secrets(self) -> StoreKeys:
        """The keys derived from the store's own key.

        Raises:
            SealedKeyMissing: the master key is not at hand, or is another store's.
        """
        if self._secrets is None:
            wrapped = self.meta()["store_key"]
            if not isinstance(wrapped, bytes):
                raise StoreError(f"{self.url}: the store's key is damaged; restore from a backup")
            key = open_store_key(self.master_key_for(wrapped), wrapped)
            if key is None:
                raise SealedKeyMissing(
                    f"the master key at hand is not the one of {self.url}: restore its key file"
                )
            self._secrets = StoreKeys(key)
        return self._secrets

    # -- writing ------------------------------------------------------------------------------

    @contextmanager
    def writing(
        self, connection: Any = None, timeout: float | None = None, about: About = NOTHING
    ) -> Iterator[SqlWriting]:
        """A transaction under the writer's lock."""
        if self._found < SCHEMA_VERSION:
            self._found = self.version  # it may have been upgraded since
            if self._found < SCHEMA_VERSION:
                raise too_old(self.url)
        wait = LOCK_TIMEOUT if timeout is None else timeout
        begun = self._transaction(wait) if connection is None else self._joined(connection, wait)
        with begun as queries:
            writing = SqlWriting(queries, about)
            if writing.version > SCHEMA_VERSION:
                raise too_new(self.url, writing.version)
            yield writing
