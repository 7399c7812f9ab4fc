"""How long after its commit an event reaches who follows the log, in a process of its own.

    python benchmarks/subscription.py sqlite
    python benchmarks/subscription.py postgresql://...

One process records an event every few milliseconds and notes when each call returned; another
subscribes and notes when each event came. Prints one JSON object, in milliseconds.
"""

from __future__ import annotations

import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from bowtie import Bowtie, Touched

_EVENTS = 300
_PAUSE = 0.03
_TOUCH = Touched(channel="web", direction="inbound")


def follow(url: str) -> None:
    """Note when each event came."""
    came = {}
    with Bowtie.open(url, create=False) as engine:
        print("ready", flush=True)
        for event in engine.subscribe(until=_EVENTS + 1):
            came[event.position] = time.time()
    print(json.dumps(came))


def measure(url: str) -> dict[str, float]:
    """The latencies of a store."""
    with Bowtie.open(url) as engine:
        engine.record("c0", _TOUCH)
        command = [sys.executable, __file__, "--follow", url]
        follower = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        if follower.stdout is None or follower.stdout.readline() != "ready\n":
            raise RuntimeError("the follower did not start")
        time.sleep(0.5)
        recorded = {}
        for number in range(_EVENTS):
            (event,) = engine.record(f"c{number % 50}", _TOUCH)
            recorded[event.position] = time.time()
            time.sleep(random.uniform(0, 2 * _PAUSE))
        text, _ = follower.communicate(timeout=60)
    came = {int(position): when for position, when in json.loads(text).items()}
    latencies = sorted((came[one] - recorded[one]) * 1000 for one in recorded)
    if len(latencies) != _EVENTS:
        raise RuntimeError(f"{len(latencies)} of {_EVENTS} events came")
    quantiles = statistics.quantiles(latencies, n=100)
    return {
        "events": _EVENTS,
        "p50": round(quantiles[49], 1),
        "p95": round(quantiles[94], 1),
        "max": round(latencies[-1], 1),
    }


if __name__ == "__main__":
    if sys.argv[1] == "--follow":
        follow(sys.argv[2])
    else:
        os.environ.setdefault("BOWTIE_MASTER_KEY", "A" * 43 + "=")
        with tempfile.TemporaryDirectory(prefix="bowtie-subscription-") as folder:
            named = sys.argv[1]
            store = f"sqlite:///{Path(folder) / 'log.db'}" if named == "sqlite" else named
            print(json.dumps(measure(store)))
