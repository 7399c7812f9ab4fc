"""The file that holds the read tables, served to several processes at once.

DuckDB lets many processes read a file, or one write it, never both. So it is opened late, closed
early, and asked for again until a stated time is over. What takes long is written to ``NAME.next``
and put in place when it is complete.

>>> tables = TablesFile.of("memory://")
>>> with tables.write() as connection:
...     create_tables(connection)
>>> tables.standing() is None
True
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import duckdb

from bowtie.errors import TablesError, TablesHeld
from bowtie_projections.reader import BEGIN, Reader, render
from bowtie_projections.standing import (
    Standing,
    is_foreign_database,
    read_standing,
    refuse_newer,
)
from bowtie_projections.tables import metadata

__all__ = ["WAIT", "BeingBuilt", "TablesFile", "create_tables"]

#: How long a process waits for another to let go of the file, in seconds.
WAIT = 30.0
_RETRY = 0.05
_HOLDER = re.compile(r"\(PID (\d+)\)")
_DAMAGED = re.compile(
    "not a valid DuckDB|Corrupt database|Could not read enough bytes|checksum|Serialization Error"
    "|replaying WAL"
)
_URL = re.compile(r"^(duckdb:///|file:)")
#: What a statement of a user's own could read or change beyond the tables is switched off.
_CLOSED = {"enable_external_access": "false", "python_enable_replacements": "false"}
#: Writing needs no more, and what is left belongs to the process that reads the log.
_WRITING = {"memory_limit": "1GB", "preserve_insertion_order": "false"}


class BeingBuilt(TablesHeld):
    """Another process builds these tables now."""


def create_tables(connection: duckdb.DuckDBPyConnection) -> None:
    """Make all read tables, empty."""
    from sqlalchemy.schema import CreateTable

    for table in metadata.sorted_tables:
        connection.execute(render(CreateTable(table)))


class TablesFile:
    """The read tables, in a DuckDB file or in memory.

    Args:
        path: the file; None keeps the tables in the memory of this process.
        wait: how long to wait for other processes, in seconds.
    """

    def __init__(self, path: Path | None, wait: float = WAIT) -> None:
        self.path, self.wait = path, wait
        self._memory = None if path is not None else _in_memory()

    @classmethod
    def of(cls, url: str | Path, wait: float = WAIT) -> TablesFile:
        """The tables at a place: a path, ``duckdb:///PATH``, or ``memory://``."""
        if url == "memory://":
            return cls(None, wait)
        return cls(Path(_URL.sub("", str(url))), wait)

    @property
    def name(self) -> str:
        """What to call them in a message."""
        return "memory://" if self.path is None else str(self.path)

    @property
    def next(self) -> Path | None:
        """Where tables are built that take long."""
        return None if self.path is None else Path(f"{self.path}.next")

    def close(self) -> None:
        """Let go of tables in memory; a file is never held between two uses."""
        if self._memory is not None:
            self._memory.close()

    def standing(self, wait: float | None = None) -> Standing | None:
        """Where the tables stand; None where there are none yet.

        Raises:
            TablesHeld: another process kept writing for the whole wait.
            TablesError: the file is none of ours, or can't be read.
        """
        if self.path is not None and not self.path.exists():
            return None
        with self._open(wait, writing=False) as connection:
            return read_standing(connection)

    @contextmanager
    def read(self, wait: float | None = None) -> Iterator[Reader]:
        """The tables, to be asked; no process can write them meanwhile, so be quick.

        Raises:
            TablesHeld: another process kept writing for the whole wait.
            TablesError: there are none, or they can't be read.
        """
        if self.path is not None and not self.path.exists():
            raise TablesError(f"there are no read tables at {self.name}: make them with replay")
        with self._open(wait, writing=False) as connection:
            connection.execute(BEGIN)
            try:
                standing = read_standing(connection)
                if standing is None:
                    raise TablesError(
                        f"{self.name} holds no read tables yet: make them with replay"
                    )
                refuse_newer(standing, self.name)
                yield Reader(connection, standing)
            finally:
                connection.execute("ROLLBACK")

    @contextmanager
    def write(self, wait: float | None = None) -> Iterator[duckdb.DuckDBPyConnection]:
        """The tables, to be changed; no other process can open them meanwhile.

        All that is done is one transaction: it counts when the block ends, and only then.

        Raises:
            TablesHeld: other processes held the file for the whole wait.
            TablesError: the file can't be written.
        """
        with self._open(wait, writing=True) as connection, _transaction(connection, self.name):
            yield connection

    @contextmanager
    def building(self, *, copy: bool = False) -> Iterator[duckdb.DuckDBPyConnection]:
        """New tables, put in place of those in use when the block ends, and only then.

        Until then those in use can be read, whatever happens to this process.

        Args:
            copy: begin with a copy of the tables in use instead of none.

        Raises:
            BeingBuilt: another process builds the same tables.
        """
        if self.path is None or self.next is None:
            with self._building_in_memory() as connection:
                yield connection
            return
        _remove_leftovers(self.next)
        if copy:
            with self._open(None, writing=False):
                _copy_file(self.path, self.next)
        connection = _connect(self.next, writing=True)
        identity = self.next.stat().st_ino
        try:
            if not copy:
                create_tables(connection)
            with _explaining(self.next):
                yield connection
                connection.execute("CHECKPOINT")
            self._put_in_place(identity)
        except BaseException:
            connection.close()
            if self.next.exists() and self.next.stat().st_ino == identity:
                _unlink(self.next)
            raise
        connection.close()

    @contextmanager
    def _building_in_memory(self) -> Iterator[duckdb.DuckDBPyConnection]:
        built = _in_memory()
        try:
            create_tables(built)
            yield built
        except BaseException:
            built.close()
            raise
        self.close()
        self._memory = built

    def _put_in_place(self, identity: int) -> None:
        """Swap the complete tables in, while no other process writes the old ones."""
        assert self.path is not None and self.next is not None  # noqa: S101, PT018 - for the type checker
        if self.next.stat().st_ino != identity:
            raise TablesHeld(f"another process builds {self.next} too: let it finish")
        if self.path.exists():
            # Readers keep the file they opened; only a writer would lose its work with it.
            with self._open(None, writing=False):
                # its log would be taken for that of the new file
                Path(f"{self.path}.wal").unlink(missing_ok=True)
                os.replace(self.next, self.path)  # noqa: PTH105 - atomic on every system
        else:
            os.replace(self.next, self.path)  # noqa: PTH105

    @contextmanager
    def _open(self, wait: float | None, *, writing: bool) -> Iterator[duckdb.DuckDBPyConnection]:
        if self._memory is not None:
            with self._memory.cursor() as cursor:
                yield cursor
            return
        assert self.path is not None  # noqa: S101 - for the type checker
        connection = _connect_patiently(
            self.path, self.wait if wait is None else wait, writing=writing
        )
        try:
            if is_foreign_database(connection):
                raise TablesError(
                    f"{self.name} is another program's database: name another file with --views"
                )
            yield connection
        finally:
            connection.close()


def _in_memory() -> duckdb.DuckDBPyConnection:
    connection = duckdb.connect(":memory:", config={**_CLOSED})
    connection.execute("SET GLOBAL TimeZone = 'UTC'")
    return connection


def _connect(path: Path, *, writing: bool) -> duckdb.DuckDBPyConnection:
    with _explaining(path):
        config: dict[str, Any] = _WRITING if writing else _CLOSED
        connection = duckdb.connect(str(path), read_only=not writing, config=config)
        # another connection of this process may have locked the same settings already
        locked = connection.execute("SELECT current_setting('lock_configuration')").fetchone()
        if locked == (False,):
            connection.execute("SET GLOBAL TimeZone = 'UTC'")
            if not writing:
                connection.execute("SET lock_configuration = true")
        return connection


def _connect_patiently(path: Path, wait: float, *, writing: bool) -> duckdb.DuckDBPyConnection:
    end = time.monotonic() + wait
    while True:
        try:
            return _connect(path, writing=writing)
        except TablesHeld as held:
            if time.monotonic() >= end:
                raise TablesHeld(
                    f"{held}; waited {wait:g} seconds (--wait): try again when it is done"
                ) from held
        time.sleep(_RETRY)


@contextmanager
def _transaction(connection: duckdb.DuckDBPyConnection, name: str) -> Iterator[None]:
    with _explaining(name):
        connection.execute("BEGIN")
        try:
            yield
        except BaseException:
            # a failed COMMIT, or a full disk, has ended the transaction already
            if not isinstance(sys.exception(), duckdb.FatalException):
                connection.execute("ROLLBACK")
            raise
        connection.execute("COMMIT")


@contextmanager
def _explaining(path: Path | str) -> Iterator[None]:
    """Word what DuckDB would say badly."""
    try:
        yield
    except duckdb.Error as error:
        raise explained(error, path) from error


def explained(error: duckdb.Error, path: Path | str) -> TablesError:
    """The error to show for one of DuckDB's about a file.

    >>> str(explained(duckdb.IOException("No space left on device"), "shop.duckdb"))
    'shop.duckdb: the disk is full; free some space and repeat (the tables are as they were)'
    """
    text = str(error)
    if holder := _HOLDER.search(text):
        return TablesHeld(f"{path} is held by another process, {holder[1]}")
    if "different configuration" in text:
        return TablesHeld(f"{path} is held by this very process, {os.getpid()}")
    if _DAMAGED.search(text):
        return TablesError(
            f"{path} is no DuckDB file, or a damaged one: remove it if it held read tables"
            " (replay makes them anew), else name another one with --views"
        )
    if "No space left" in text or "disk is full" in text.lower():
        return TablesError(
            f"{path}: the disk is full; free some space and repeat (the tables are as they were)"
        )
    if "No such file or directory" in text:
        return TablesError(f"{path}: the folder {Path(path).parent} is not there: make it first")
    if "Is a directory" in text:
        return TablesError(f"{path} is a folder: name a file in it with --views")
    if re.search("[Pp]ermission denied|Read-only file system|Operation not permitted", text):
        return TablesError(
            f"{path} can't be opened: check the permissions of the file and of its folder"
        )
    return TablesError(f"{path}: {text.splitlines()[0]}")


def _remove_leftovers(path: Path) -> None:
    """Remove what a killed build left; refuse where the build is still going on."""
    try:
        if path.exists():
            _connect(path, writing=True).close()
    except TablesHeld as held:
        raise BeingBuilt(
            f"{held}, which builds these tables now: try again when it is done"
        ) from held
    except TablesError:
        pass  # killed too early to leave a database
    _unlink(path)


def _unlink(path: Path) -> None:
    path.unlink(missing_ok=True)
    Path(f"{path}.wal").unlink(missing_ok=True)
    shutil.rmtree(f"{path}.tmp", ignore_errors=True)


def _copy_file(source: Path, target: Path) -> None:
    """Copy in a process of its own.

    A process that closes any handle of a file drops all its locks on it (POSIX), and with them the
    lock that keeps writers away while we read.
    """
    script = "import shutil, sys; shutil.copyfile(sys.argv[1], sys.argv[2])"
    done = subprocess.run(  # noqa: S603 - our own interpreter and script
        [sys.executable, "-I", "-c", script, str(source), str(target)],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        _unlink(target)
        problem = done.stderr.strip().splitlines()[-1:] or ["unknown"]
        raise TablesError(f"{source} can't be copied to {target}: {problem[0]}")
