"""The file that holds the read tables, served to several processes at once.

DuckDB lets many processes read a file, or one write it, never both. So it is opened late, closed
early, and asked for again until a stated time is over; threads of one process take turns. What
takes long is written to ``NAME.next`` and put in place when it is complete.

>>> TablesFile.of("memory://").standing() is None
True
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from threading import Lock
from typing import Any

import duckdb

from bowtie.errors import TablesError, TablesHeld
from bowtie_projections.databases.asking import Reader
from bowtie_projections.databases.contract import (
    WAIT,
    BeingBuilt,
    Overtaken,
    Tables,
    Writing,
    never,
)
from bowtie_projections.databases.duckdb_sql import (
    DuckReader,
    DuckWriting,
    explaining,
    is_foreign_database,
    read_standing,
)
from bowtie_projections.databases.turns import Turns
from bowtie_projections.standing import Standing

__all__ = ["TablesFile"]

_RETRY = 0.05
_URL = re.compile(r"^(duckdb:///|file:)")
#: What a statement of a user's own could read or change beyond the tables is switched off.
_CLOSED = {"enable_external_access": "false", "python_enable_replacements": "false"}
#: Writing needs no more, and what is left belongs to the process that reads the log.
_WRITING = {"memory_limit": "1GB", "preserve_insertion_order": "false"}

_Beaten = Callable[[Standing | None], bool]

#: What threads share is set up by one at a time.
_CONNECTING = Lock()


class TablesFile(Tables):
    """The read tables, in a DuckDB file or in memory.

    Args:
        path: the file; None keeps the tables in the memory of this process.
        wait: how long to wait for other processes, in seconds.
    """

    def __init__(self, path: Path | None, wait: float = WAIT) -> None:
        super().__init__(wait)
        self.path = path
        self._turns = None if path is None else Turns.at(path)
        self._memory = None if path is not None else _in_memory()
        self._keeps = False
        self._kept: tuple[ExitStack, duckdb.DuckDBPyConnection] | None = None

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
        """Let go of tables in memory; a file is held between two uses only if it was to be kept."""
        self._let_go()
        if self._memory is not None:
            self._memory.close()

    def keep_open(self) -> None:
        """Stay open for reading from the next use until they are changed or closed."""
        self._keeps = self.path is not None

    def _let_go(self) -> None:
        """Close what was kept open: from now on each use opens the file anew."""
        self._keeps, kept, self._kept = False, self._kept, None
        if kept is not None:
            kept[0].close()

    def standing(self, wait: float | None = None) -> Standing | None:
        """Where the tables stand; None where there are none yet."""
        if self.path is not None and not self.path.exists():
            return None
        with self._open(wait, writing=False) as connection:
            return read_standing(connection)

    def set_aside(self) -> None:
        """Rename the file to ``NAME.damaged``, its log too."""
        self._let_go()
        if self.path is not None:
            for suffix in (".wal", ""):
                left = Path(f"{self.path}{suffix}")
                if left.exists():
                    left.replace(f"{self.path}.damaged{suffix}")

    @contextmanager
    def read(self, wait: float | None = None) -> Iterator[Reader]:
        """The tables, to be asked; no process can write them meanwhile, so be quick."""
        if self.path is not None and not self.path.exists():
            raise TablesError(f"there are no read tables at {self.name}: make them with replay")
        with self._open(wait, writing=False) as connection:
            standing = self.found(read_standing(connection))
            with DuckReader.opened(connection, standing) as reader:
                yield reader

    @contextmanager
    def write(self, wait: float | None = None) -> Iterator[Writing]:
        """The tables, to be changed; no other process can open them meanwhile."""
        with self._open(wait, writing=True) as connection:
            writing = DuckWriting(connection, self.name)
            with writing.transaction():
                yield writing

    @contextmanager
    def building(self, *, copy: bool = False, beaten: _Beaten = never) -> Iterator[Writing]:
        """New tables in ``NAME.next``, put in place of those in use when the block ends."""
        self._let_go()
        if self.path is None or self.next is None:
            with self._building_in_memory() as made:
                yield made
            return
        with (
            _built_by_one(self.next),
            self._building_beside(self.path, self.next, copy=copy, beaten=beaten) as made,
        ):
            yield made

    @contextmanager
    def _building_beside(
        self, path: Path, new: Path, *, copy: bool, beaten: _Beaten
    ) -> Iterator[Writing]:
        _remove_leftovers(new)
        if copy:
            with self._open(None, writing=False):
                _copy_file(path, new)
        connection = _connect(new, writing=True)
        identity = new.stat().st_ino
        try:
            writing = DuckWriting(connection, new)
            if not copy:
                writing.create()
            with explaining(new):
                writing.filling()
                yield writing
                connection.execute("CHECKPOINT")
            self._put_in_place(identity, beaten)
        except BaseException:
            connection.close()
            if new.exists() and new.stat().st_ino == identity:
                _unlink(new)
            raise
        connection.close()

    @contextmanager
    def _building_in_memory(self) -> Iterator[Writing]:
        built = _in_memory()
        try:
            writing = DuckWriting(built, self.name)
            writing.create()
            yield writing
        except BaseException:
            built.close()
            raise
        self.close()
        self._memory = built

    def _put_in_place(self, identity: int, beaten: _Beaten) -> None:
        """Swap the complete tables in, while no other process writes the old ones."""
        assert self.path is not None and self.next is not None  # noqa: S101, PT018 - for the type checker
        if self.next.stat().st_ino != identity:
            raise TablesHeld(f"another process builds {self.next} too: let it finish")
        if self.path.exists():
            # Readers keep the file they opened; only a writer would lose its work with it.
            with self._open(None, writing=False) as connection:
                if beaten(read_standing(connection)):
                    raise Overtaken(f"{self.name} was brought further meanwhile: try again")
                # its log would be taken for that of the new file
                Path(f"{self.path}.wal").unlink(missing_ok=True)
                os.replace(self.next, self.path)  # noqa: PTH105 - atomic on every system
        else:
            os.replace(self.next, self.path)  # noqa: PTH105

    @contextmanager
    def scratch(self) -> Iterator[Tables]:
        """Tables in a file that is thrown away."""
        with tempfile.TemporaryDirectory(prefix="bowtie-") as folder:
            yield TablesFile(Path(folder) / "scratch.duckdb")

    @contextmanager
    def _open(self, wait: float | None, *, writing: bool) -> Iterator[duckdb.DuckDBPyConnection]:
        if self._memory is not None:
            with self._memory.cursor() as cursor:
                yield cursor
            return
        assert self.path is not None and self._turns is not None  # noqa: S101, PT018 - for the type checker
        if writing:
            self._let_go()
        if self._kept is not None:
            with self._kept[1].cursor() as cursor:
                yield cursor
            return
        patience = self.wait if wait is None else wait
        end = time.monotonic() + patience
        with ExitStack() as held:
            held.enter_context(_turn(self._turns, self.path, patience, writing=writing))
            connection = _connect_patiently(self.path, end, patience, writing=writing)
            held.callback(connection.close)
            if is_foreign_database(connection):
                raise TablesError(
                    f"{self.name} is another program's database: name another file with --views"
                )
            if self._keeps:
                self._kept = held.pop_all(), connection
            yield connection


@contextmanager
def _turn(turns: Turns, path: Path, wait: float, *, writing: bool) -> Iterator[None]:
    with ExitStack() as taken:
        try:
            taken.enter_context(turns.writing(wait) if writing else turns.reading(wait))
        except TimeoutError:
            raise TablesHeld(
                f"{path} is held by this very process, {os.getpid()}; {_waited(wait)}"
            ) from None
        yield


@contextmanager
def _built_by_one(new: Path) -> Iterator[None]:
    with ExitStack() as taken:
        try:
            taken.enter_context(Turns.at(new).writing(0))
        except TimeoutError:
            raise BeingBuilt(
                f"this very process, {os.getpid()}, builds {new} now: try again when it is done"
            ) from None
        yield


def _waited(wait: float) -> str:
    return f"waited {wait:g} seconds (--wait): try again when it is done"


def _in_memory() -> duckdb.DuckDBPyConnection:
    connection = duckdb.connect(":memory:", config={**_CLOSED})
    connection.execute("SET GLOBAL TimeZone = 'UTC'")
    return connection


def _connect(path: Path, *, writing: bool) -> duckdb.DuckDBPyConnection:
    with explaining(path), _CONNECTING:
        config: dict[str, Any] = _WRITING if writing else _CLOSED
        connection = duckdb.connect(str(path), read_only=not writing, config=config)
        # another connection of this process may have locked the same settings already
        locked = connection.execute("SELECT current_setting('lock_configuration')").fetchone()
        if locked == (False,):
            connection.execute("SET GLOBAL TimeZone = 'UTC'")
            if not writing:
                connection.execute("SET lock_configuration = true")
        return connection


def _connect_patiently(
    path: Path, end: float, wait: float, *, writing: bool
) -> duckdb.DuckDBPyConnection:
    while True:
        try:
            return _connect(path, writing=writing)
        except TablesHeld as held:
            if time.monotonic() >= end:
                raise TablesHeld(f"{held}; {_waited(wait)}") from held
        time.sleep(_RETRY)


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
