"""Eight processes that each save one event at a time, in one store.

    python benchmarks/writers.py '{"store": "sqlite"}'
    python benchmarks/writers.py '{"store": "postgresql", "url": "postgresql://..."}'

bowtie, then the eventsourcing library (an aggregate with one event, saved). All events must be
there afterwards. Prints one JSON object: the events a second of each.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any
from uuid import uuid4

_WRITERS = 8


def write(who: str, given: dict[str, Any]) -> None:
    """Save events one by one; waits for a line before the first."""
    save = _ours(given) if who == "ours" else _library(given)
    save(-1)
    print("ready", flush=True)
    sys.stdin.readline()
    for number in range(int(given["each"])):
        save(number)
    print("done", flush=True)


def _ours(given: dict[str, Any]) -> Any:
    from bowtie import Bowtie, Touched

    engine, me = Bowtie.open(given["ours"]), uuid4().hex[:8]
    touch = Touched(channel="web", direction="inbound")
    return lambda number: engine.record(f"{me}-{number}", touch)


def _library(given: dict[str, Any]) -> Any:
    from command_steps import Account
    from eventsourcing.application import Application

    app: Application[Any] = Application(env=given["library"])
    me = uuid4().hex[:8]
    return lambda number: app.save(Account(f"{me}-{number}"))


def _rate(who: str, given: dict[str, Any]) -> float:
    command = [sys.executable, __file__, json.dumps(given), who]
    writers = []
    for _ in range(_WRITERS):  # one after the other: the library's set-up can't meet itself
        one = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        if one.stdout is None or one.stdout.readline() != "ready\n":
            raise RuntimeError(f"a writer of {who} did not start")
        writers.append(one)
    started = time.perf_counter()
    for one in writers:
        if one.stdin is not None:
            print("go", file=one.stdin, flush=True)
    for one in writers:
        if one.stdout is None or one.stdout.readline() != "done\n":
            raise RuntimeError(f"a writer of {who} failed")
    seconds = time.perf_counter() - started
    for one in writers:
        one.communicate(timeout=60)
    return _WRITERS * int(given["each"]) / seconds


def measure(given: dict[str, Any]) -> dict[str, float]:
    """The events a second of both."""
    from bowtie import Bowtie

    each = int(given.setdefault("each", 200))
    with tempfile.TemporaryDirectory(prefix="bowtie-writers-") as folder:
        if given["store"] == "sqlite":
            given["ours"] = f"sqlite:///{Path(folder) / 'ours.db'}"
            given["library"] = {
                "PERSISTENCE_MODULE": "eventsourcing.sqlite",
                "SQLITE_DBNAME": str(Path(folder) / "library.db"),
                "SQLITE_LOCK_TIMEOUT": "60",
            }
        else:
            from command_steps import library_environment

            joint = "&" if "?" in given["url"] else "?"
            given["ours"] = f"{given['url']}{joint}schema=w{uuid4().hex[:8]}"
            given["library"] = library_environment(given["url"])
        with Bowtie.open(given["ours"]):
            pass  # made once, before they meet
        rates = {"ours": _rate("ours", given), "library": _rate("library", given)}
        with Bowtie.open(given["ours"], create=False) as engine:
            found = engine.store.count(engine.store.head())
    if found != _WRITERS * (each + 1):
        raise RuntimeError(f"{found} of {_WRITERS * (each + 1)} events are there")
    return rates


if __name__ == "__main__":
    os.environ.setdefault("BOWTIE_MASTER_KEY", "A" * 43 + "=")
    told = json.loads(sys.argv[1])
    if len(sys.argv) > 2:
        write(sys.argv[2], told)
    else:
        print(json.dumps(measure(told)))
