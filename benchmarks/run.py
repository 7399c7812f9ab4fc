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

HERE = Path(__file__).parent
#: An in-memory view of the eventsourcing library takes a fifth of a millisecond an event.
_RUNNER_EVENTS = 50_000


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=1_000_000, help="about how many")
    parser.add_argument("--runs", type=int, default=3, help="how often each view is asked")
    parser.add_argument("--folder", type=Path, help="keep the files here")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="bowtie-bench-") as temporary:
        folder = options.folder or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        Table(folder, options.events, options.runs).fill()


class Table:
    """Measures in order, as each step needs the files of the one before, and prints as it goes."""

    def __init__(self, folder: Path, events: int, runs: int) -> None:
        self.folder, self.events, self.runs = folder, events, runs

    def fill(self) -> None:
        """Measure everything."""
        print(f"{self.events:,} events, {os.cpu_count()} cores, Python {sys.version.split()[0]}\n")
        print(f"{'what':44}{'bowtie':>14}{'against':>14}{'ratio':>8}  reached?")
        self._demo()
        self._ingest()
        self._replay()
        self._views()
        self._help()

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
        rates = [one["events"] / one["seconds"] for one in (ours, raw, library)]
        row("ingest, against raw executemany", *_rates(rates[0], rates[1]), at_least=0.6)
        row("ingest, against the library's insert", *_rates(rates[0], rates[2]))
        row("ingest, events a second", *_rates(rates[0], 40_000), at_least=1.0)
        memory("ingest", ours)

    def _replay(self) -> None:
        ours, raw = self._measure("replay"), self._measure("raw_read")
        runner = self._measure("runner", most=_RUNNER_EVENTS)
        rates = [one["events"] / one["seconds"] for one in (ours, raw, runner)]
        row("replay, against reading the states", *_rates(rates[0], rates[1]), at_least=0.15)
        row("replay, against ProjectionRunner", *_rates(rates[0], rates[2]), at_least=8.0)
        row("replay, events a second", *_rates(rates[0], 150_000), at_least=1.0)
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


def _rates(ours: float, other: float) -> tuple[str, str, float]:
    return f"{ours:,.0f}/s", f"{other:,.0f}/s", ours / other


def memory(what: str, measured: dict[str, Any]) -> None:
    """Print peak memory against 2 GiB."""
    mib = measured["peak_mib"]
    row(f"{what}, peak memory", f"{mib:,.0f} MiB", "2,048 MiB", mib / 2048, at_most=1.0)


def row(
    what: str,
    ours: str,
    other: str,
    ratio: float,
    *,
    at_least: float | None = None,
    at_most: float | None = None,
) -> None:
    """Print one line of the table, with whether the ratio is what it must be."""
    bound = ""
    if at_least is not None:
        bound = f"{'yes' if ratio >= at_least else 'NO'} (at least {at_least:g})"
    if at_most is not None:
        bound = f"{'yes' if ratio <= at_most else 'NO'} (at most {at_most:.2f})"
    print(f"{what:44}{ours:>14}{other:>14}{ratio:>8.2f}  {bound}", flush=True)


if __name__ == "__main__":
    main()
