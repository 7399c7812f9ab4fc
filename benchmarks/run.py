"""The table of benchmarks: each figure is a ratio of two things measured in the same run.

    python benchmarks/run.py --events 1000000

Nothing here is a test: the machine decides the absolute figures, and other work on it the noise.
Each measurement runs in a process of its own, so that its peak memory is its own too.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from server import server
from table import head, memory, rates, row

HERE = Path(__file__).parent
#: An in-memory view of the eventsourcing library takes a fifth of a millisecond an event.
_RUNNER_EVENTS = 50_000
#: The library's recorder takes a tenth of a millisecond an event there.
_POSTGRES_EVENTS = 200_000
#: The demo has no orders, so they are written and taken in for one question.
_ORDERS = 200_000
_COMMANDS = {"library": "the library", "bare": "a bare commit"}


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=1_000_000, help="about how many")
    parser.add_argument("--runs", type=int, default=3, help="how often each view is asked")
    parser.add_argument("--folder", type=Path, help="keep the files here")
    parser.add_argument("--postgres", metavar="URL", help="this server instead of one of its own")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="bowtie-bench-") as temporary:
        folder = options.folder or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        Table(folder, options.events, options.runs, options.postgres).fill()


class Table:
    """Measures in order, as each step needs the files of the one before, and prints as it goes."""

    def __init__(self, folder: Path, events: int, runs: int, postgres: str | None) -> None:
        self.folder, self.events, self.runs, self.postgres = folder, events, runs, postgres

    def fill(self) -> None:
        """Measure everything."""
        print(f"{self.events:,} events, {os.cpu_count()} cores, Python {sys.version.split()[0]}\n")
        head()
        self._demo()
        self._ingest()
        self._replay()
        self._views()
        self._pandas()
        self._asked()
        self._help()
        with server(self.postgres) as url:
            self._in_postgres(url)
            self._commands(url)
            self._together(url)

    def _measure(self, step: str, **arguments: Any) -> dict[str, Any]:
        given = {"folder": str(self.folder), "events": self.events, "runs": self.runs, **arguments}
        done = subprocess.run(
            [sys.executable, str(HERE / "steps.py"), step, json.dumps(given)],
            check=True,
            stdout=subprocess.PIPE,
        )
        found: dict[str, Any] = json.loads(done.stdout)
        return found

    def _demo(self) -> None:
        made = self._measure("demo")
        rate = made["events"] / made["seconds"]
        row("demo: write the log", f"{rate:,.0f}/s", "100,000/s", rate / 100_000, at_least=1.0)

    def _ingest(self) -> None:
        ours, raw = self._measure("ingest"), self._measure("raw_insert")
        library = self._measure("library_insert")
        found = [one["events"] / one["seconds"] for one in (ours, raw, library)]
        row("ingest, against raw executemany", *rates(found[0], found[1]), at_least=0.6)
        row("ingest, against the library's insert", *rates(found[0], found[2]))
        row("ingest, events a second", *rates(found[0], 40_000), at_least=1.0)
        memory("ingest", ours)

    def _replay(self) -> None:
        ours, raw = self._measure("replay"), self._measure("raw_read")
        runner = self._measure("runner", most=_RUNNER_EVENTS)
        found = [one["events"] / one["seconds"] for one in (ours, raw, runner)]
        row("replay, against reading the states", *rates(found[0], found[1]), at_least=0.15)
        row("replay, against ProjectionRunner", *rates(found[0], found[2]), at_least=8.0)
        row("replay, events a second", *rates(found[0], 150_000), at_least=1.0)
        memory("replay", ours)

    def _views(self) -> None:
        for name in ("funnel", "funnel_known_at", "funnel_definition"):
            found = self._measure("views", view=name)
            ours, by_hand = found["seconds"], found["by_hand"]
            allowed = max(1.3, (by_hand + 0.1) / by_hand)
            row(
                f"{name.replace('_', ', ')}, against SQL by hand",
                f"{ours:.3f} s",
                f"{by_hand:.3f} s",
                ours / by_hand,
                at_most=allowed,
            )

    def _pandas(self) -> None:
        found = self._measure("pandas")
        for what in ("from_facts", "from_journeys"):
            row(
                f"funnel, {what.replace('_', ' ')}, against pandas",
                f"{found[what]:.3f} s",
                f"{found['pandas']:.3f} s",
                found["pandas"] / found[what],
                at_least=20.0,
            )

    def _asked(self) -> None:
        """By the seconds of the processor: other work on the machine changes them least."""
        asked = {**self._measure("cohorts"), **self._measure("places")}
        asked["repeat"] = self._measure("repeat", most=_ORDERS)
        del asked["peak_mib"]
        for name, found in asked.items():
            ours, by_hand = found["processor"], found["processor_by_hand"]
            row(
                f"{name}, against SQL by hand",
                f"{ours:.3f} s",
                f"{by_hand:.3f} s",
                ours / by_hand,
                at_most=max(1.3, (by_hand + 0.1) / by_hand),
            )

    def _in_postgres(self, url: str) -> None:
        """As many events as a server of its own can take in a minute or two."""
        few = min(self.events, _POSTGRES_EVENTS)
        found = {
            one: self._measure(f"postgres_{one}", postgres=url, most=few)
            for one in ("append", "copy", "events", "library", "ingest", "replay")
        }
        rate = {one: each["events"] / each["seconds"] for one, each in found.items()}
        row("PostgreSQL: append, against COPY", *rates(rate["append"], rate["copy"]), at_least=0.5)
        events, library = rate["events"], rate["library"]
        row("PostgreSQL: events, against the library", *rates(events, library), at_least=5.0)
        row("PostgreSQL: ingest, events a second", *rates(rate["ingest"], 40_000))
        row("replay from SQLite to PostgreSQL", *rates(rate["replay"], 150_000), at_least=1.0)
        read = found["ingest"]["events"] / found["ingest"]["replay_seconds"]
        row("replay from PostgreSQL to DuckDB", *rates(read, 150_000), at_least=1.0)

    def _commands(self, url: str) -> None:
        """One event more on a journey of nine, by its median."""
        for store, bare in (("memory", False), ("sqlite", True), ("postgresql", True)):
            found = _ran("command_steps.py", {"store": store, "journeys": 400, "url": url})
            ours = found["ours"]
            least = 1.2 if bare else 2.0
            for other, bound in (("library", least), ("bare", 0.6)):
                if other in found:
                    row(
                        f"command, {store}, against {_COMMANDS[other]}",
                        f"{ours:,.0f} us",
                        f"{found[other]:,.0f} us",
                        found[other] / ours,
                        at_least=bound,
                    )

    def _together(self, url: str) -> None:
        """Eight writers at once, and who follows them."""
        for store, most in (("sqlite", 250), ("postgresql", 50)):
            found = _ran("writers.py", {"store": store, "url": url})
            row(f"8 writers, {store}", *rates(found["ours"], found["library"]), at_least=1.0)
            late = _ran("subscription.py", "sqlite" if store == "sqlite" else url)["p95"]
            row(
                f"subscription, {store}, p95",
                f"{late:.1f} ms",
                f"{most} ms",
                late / most,
                at_most=1.0,
            )

    def _help(self) -> None:
        times = []
        for _ in range(max(self.runs, 3)):
            started = time.perf_counter()
            subprocess.run(
                [sys.executable, "-m", "bowtie_cli", "--help"],
                check=True,
                stdout=subprocess.DEVNULL,
            )
            times.append(time.perf_counter() - started)
        best = min(times)
        row("bowtie --help", f"{best:.3f} s", "0.300 s", best / 0.3, at_most=1.0)


def _ran(script: str, given: Any) -> dict[str, Any]:
    """What a script of its own printed."""
    argument = given if isinstance(given, str) else json.dumps(given)
    done = subprocess.run(
        [sys.executable, str(HERE / script), argument], check=True, stdout=subprocess.PIPE
    )
    found: dict[str, Any] = json.loads(done.stdout)
    return found


if __name__ == "__main__":
    main()
