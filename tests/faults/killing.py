"""Processes that are killed at a moment nobody chose, and what must hold afterwards."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Sequence
from pathlib import Path

from hypothesis import settings

from bowtie import Bowtie
from bowtie.verifying import Problem, verify_log
from bowtie_projections import tables_of
from bowtie_projections.verifying import verify_tables

__all__ = ["ROUNDS", "THOROUGH", "Victim", "problems_of"]

#: whether this run takes its time
THOROUGH = settings.get_current_profile_name() == "thorough"
_NAMED = os.environ.get("BOWTIE_TEST_ROUNDS")
#: How often each kind of work is killed, on each database: by the profile, unless it is named.
ROUNDS = int(_NAMED or (50 if THOROUGH else 1))
#: How long what a killed process had started may take to notice, in seconds.
_ORPHANS = 10.0


class Victim:
    """A program that says ``ready`` on a line of its own, and then works until it is killed.

    Args:
        script: its text.
        seed: when it is killed.
    """

    def __init__(self, script: str, seed: object) -> None:
        self._script, self._chance = script, random.Random(str(seed))
        #: whether any of them was killed while it worked
        self.killed = False

    def run(self, *args: str) -> float:
        """Let it end by itself; how long it worked, in seconds."""
        process = self._start(args)
        started = time.perf_counter()
        out, _ = process.communicate(timeout=120)
        assert process.returncode == 0, out
        return time.perf_counter() - started

    def kill(self, *args: str, within: float) -> list[str]:
        """Kill it within so many seconds; the whole lines that it had printed."""
        mark = f"KILLED_BY_A_TEST={uuid.uuid4().hex}"
        process = self._start(args, mark)
        time.sleep(self._chance.uniform(0, within))
        process.send_signal(signal.SIGKILL)
        out, _ = process.communicate(timeout=60)
        assert process.returncode in (0, -signal.SIGKILL), out
        self.killed |= process.returncode != 0
        _no_orphans(mark)
        return out.decode().split("\n")[:-1]

    def _start(self, args: Sequence[str], mark: str = "A=b") -> subprocess.Popen[bytes]:
        name, _, value = mark.partition("=")
        process = subprocess.Popen(
            [sys.executable, "-c", self._script, *args],
            stdout=subprocess.PIPE,
            env=os.environ | {name: value},
        )
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        return process


def _no_orphans(mark: str) -> None:
    """What the killed process had started ends by itself."""
    end = time.monotonic() + _ORPHANS
    while left := [one for one in Path("/proc").glob("[0-9]*") if _has(one / "environ", mark)]:
        assert time.monotonic() < end, [(one / "cmdline").read_bytes() for one in left]
        time.sleep(0.02)


def _has(environment: Path, mark: str) -> bool:
    try:
        return mark.encode() in environment.read_bytes()
    except OSError:  # it has ended, or is another user's
        return False


def problems_of(url: str) -> list[Problem]:
    """What is wrong with a store, and with its read tables, which must equal a rebuild."""
    with Bowtie.open(url, create=False) as engine:
        found = list(verify_log(engine.store))
        found += verify_tables(engine.store, tables_of(None, engine), engine.definition)
    return [one for one in found if not one.note]
