"""The command path: load a journey of nine events, decide, save one event more.

    python benchmarks/command_steps.py '{"store": "sqlite", "journeys": 200}'

Three do the same in turns, some journeys each, so that what else the machine does hits all alike:
bowtie (the rule that a contract is signed before it changes; an id of its own, a sealed field, a
seal), an aggregate of the eventsourcing library (the same rule; none of the rest), and one bare row
and its commit (no rule at all). All wait for the disk alike. Prints one JSON object: the median
microseconds of each.
"""

from __future__ import annotations

import json
import os
import sqlite3
import statistics
import sys
import tempfile
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid5

from eventsourcing.application import Application
from eventsourcing.domain import Aggregate, event

from bowtie import Bowtie, ContractChanged, ContractSigned, Noted, ScoreGiven, Touched

_TURN = 20
_NAMES = UUID("6ba7b811-9dad-11d1-80b4-00c04fd430c8")
_BEGIN = datetime(2026, 1, 5, tzinfo=UTC)
_STATE = b'{"_key":"c000001","_at":1767607200000000,"_source":"crm","contract":"k"}' + b" " * 90


class Account(Aggregate):
    """What a user of the library would write, with one rule."""

    @event("Opened")
    def __init__(self, name: str) -> None:
        self.name = name
        self.signed: dict[str, str] = {}
        self.amounts: dict[str, str] = {}
        self.touches = 0

    @event("TouchedThem")
    def touch(self, channel: str, direction: str) -> None:  # noqa: ARG002 - kept in the event
        """Count a touch."""
        self.touches += 1

    @event("Signed")
    def sign(self, contract: str, amount: str, currency: str) -> None:
        """Sign a contract."""
        self.signed[contract], self.amounts[contract] = currency, amount

    def change(self, contract: str, amount: str, reason: str) -> None:
        """Change a contract, which must be signed."""
        if contract not in self.signed:
            raise ValueError(f"contract {contract} was never signed")
        self._changed(contract, amount, reason)

    @event("Changed")
    def _changed(self, contract: str, amount: str, reason: str) -> None:  # noqa: ARG002
        self.amounts[contract] = amount


class Peer(ABC):
    """One way to save one event more."""

    def __init__(self, journeys: int) -> None:
        self.journeys = journeys

    @abstractmethod
    def fill(self) -> None:
        """Write nine events of each journey."""

    @abstractmethod
    def command(self, number: int) -> None:
        """Load, decide and save."""


class Ours(Peer):
    """bowtie."""

    def __init__(self, journeys: int, url: str, stack: ExitStack) -> None:
        super().__init__(journeys)
        self._url, self._stack = url, stack
        self.engine = stack.enter_context(Bowtie.open(url))

    def fill(self) -> None:
        """Write nine events of each journey."""
        signed = ContractSigned(
            contract="k",
            kind="paid",
            amount="90",
            per="month",
            currency="EUR",
            starts_on="2026-01-09",
        )
        score = ScoreGiven(instrument="nps", score="9", comment="quick help")
        touch = Touched(channel="web", direction="inbound")
        noted = Noted(name="product_viewed", properties={"page": "pricing"})
        events = [touch, noted, touch, noted, score, signed, touch, noted, touch]
        for number in range(self.journeys):
            self.engine.record(f"c{number:06}", *events, occurred_at=_BEGIN)
        if self._url != "memory://":  # what writing taught it is no part of loading
            self.engine = self._stack.enter_context(Bowtie.open(self._url))
        else:
            self.engine._appender = None  # noqa: SLF001 - a store in memory can't be opened again

    def command(self, number: int) -> None:
        """Load, decide and save."""
        changed = ContractChanged(
            contract="k", kind="price", amount="95", per="month", reason="asked for by phone"
        )
        self.engine.record(
            f"c{number:06}", changed, occurred_at=_BEGIN + timedelta(days=1), expected=9
        )


class Library(Peer):
    """The eventsourcing library's aggregate."""

    def __init__(self, journeys: int, environment: dict[str, str], stack: ExitStack) -> None:
        super().__init__(journeys)
        self.app = Application[UUID](env=environment)
        stack.callback(self.app.close)
        self._ids: list[UUID] = []

    def fill(self) -> None:
        """Write nine events of each journey."""
        for number in range(self.journeys):
            account = Account(f"c{number:06}")
            for _ in range(7):
                account.touch("web", "inbound")
            account.sign("k", "90", "EUR")
            self.app.save(account)
            self._ids.append(account.id)

    def command(self, number: int) -> None:
        """Load, decide and save."""
        account: Account = self.app.repository.get(self._ids[number])
        account.change("k", "95", "asked for by phone")
        self.app.save(account)


class Bare(Peer):
    """One row and its commit."""

    def __init__(self, journeys: int, insert: Callable[[tuple[Any, ...]], None]) -> None:
        super().__init__(journeys)
        self._insert = insert

    def fill(self) -> None:
        """Write nine rows of each journey."""
        for number in range(self.journeys):
            for version in range(1, 10):
                self._insert((f"c{number:06}", version, "touched", _STATE))

    def command(self, number: int) -> None:
        """Save one row."""
        self._insert((f"c{number:06}", 10, "touched", _STATE))


def _sqlite_insert(path: Path, stack: ExitStack) -> Callable[[tuple[Any, ...]], None]:
    database = sqlite3.connect(path, isolation_level=None)
    stack.callback(database.close)
    database.execute("PRAGMA journal_mode=WAL")
    database.execute(
        "CREATE TABLE stored_events (originator_id TEXT, originator_version INTEGER, topic TEXT,"
        " state BLOB, PRIMARY KEY (originator_id, originator_version))"
    )

    def insert(row: tuple[Any, ...]) -> None:
        database.execute("INSERT INTO stored_events VALUES (?,?,?,?)", row)

    return insert


def _postgres_insert(url: str, stack: ExitStack) -> Callable[[tuple[Any, ...]], None]:
    import psycopg

    database = stack.enter_context(psycopg.connect(url, autocommit=True))
    database.execute("DROP SCHEMA IF EXISTS bare CASCADE")
    database.execute("CREATE SCHEMA bare")
    database.execute(
        "CREATE TABLE bare.stored_events (originator_id TEXT, originator_version INTEGER,"
        " topic TEXT, state BYTEA, notification_id BIGSERIAL UNIQUE,"
        " PRIMARY KEY (originator_id, originator_version))"
    )

    def insert(row: tuple[Any, ...]) -> None:
        database.execute("INSERT INTO bare.stored_events VALUES (%s,%s,%s,%s)", row, prepare=True)

    return insert


@contextmanager
def _folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="bowtie-commands-") as folder:
        yield Path(folder)


def _peers(given: dict[str, Any], folder: Path, stack: ExitStack) -> dict[str, Peer]:
    kind, journeys = given["store"], int(given["journeys"])
    if kind == "memory":
        return {
            "ours": Ours(journeys, "memory://", stack),
            "library": Library(journeys, {}, stack),
        }
    if kind == "sqlite":
        return {
            "ours": Ours(journeys, f"sqlite:///{folder / 'ours.db'}", stack),
            "library": Library(
                journeys,
                {
                    "PERSISTENCE_MODULE": "eventsourcing.sqlite",
                    "SQLITE_DBNAME": str(folder / "library.db"),
                },
                stack,
            ),
            "bare": Bare(journeys, _sqlite_insert(folder / "bare.db", stack)),
        }
    url = str(given["url"])
    os.environ.setdefault("BOWTIE_MASTER_KEY", "A" * 43 + "=")
    joint = "&" if "?" in url else "?"
    return {
        "ours": Ours(
            journeys, f"{url}{joint}schema=ours_{uuid5(_NAMES, str(folder)).hex[:8]}", stack
        ),
        "library": Library(journeys, library_environment(url), stack),
        "bare": Bare(journeys, _postgres_insert(url, stack)),
    }


def library_environment(url: str) -> dict[str, str]:
    """What tells the library where its PostgreSQL is."""
    from psycopg.conninfo import conninfo_to_dict

    found = conninfo_to_dict(url)
    return {
        "PERSISTENCE_MODULE": "eventsourcing.postgres",
        "POSTGRES_DBNAME": str(found.get("dbname", "postgres")),
        "POSTGRES_HOST": str(found.get("host", "127.0.0.1")),
        "POSTGRES_PORT": str(found.get("port", "5432")),
        "POSTGRES_USER": str(found.get("user", "postgres")),
        "POSTGRES_PASSWORD": str(found.get("password", "")),
    }


def measure(given: dict[str, Any]) -> dict[str, Any]:
    """The median microseconds of one command, by who does it."""
    times: dict[str, list[float]] = {}
    with ExitStack() as stack:
        folder = stack.enter_context(_folder())
        peers = _peers(given, folder, stack)
        for peer in peers.values():
            peer.fill()
            peer.command(0)
        for start in range(1, int(given["journeys"]), _TURN):
            for name, peer in peers.items():
                for number in range(start, min(start + _TURN, int(given["journeys"]))):
                    begun = time.perf_counter()
                    peer.command(number)
                    times.setdefault(name, []).append(time.perf_counter() - begun)
    return {name: round(statistics.median(found) * 1e6, 1) for name, found in times.items()}


if __name__ == "__main__":
    print(json.dumps(measure(json.loads(sys.argv[1]))))
