"""The command line in a folder of its own, called in this process."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from bowtie_cli.main import main


@dataclass(frozen=True)
class Done:
    """What a call came to."""

    code: int
    out: str
    err: str
    bytes: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.out)

    @property
    def error(self) -> str:
        """The one line that says what went wrong."""
        lines = [line for line in self.err.splitlines() if line.startswith("Error: ")]
        assert len(lines) == 1, self.err
        return lines[0].removeprefix("Error: ")


Run = Callable[..., Done]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def run(folder: Path) -> Run:
    """Call ``bowtie`` with some arguments; fails unless it ends with ``code``."""

    def call(*args: str, code: int = 0, **options: Any) -> Done:
        result = CliRunner().invoke(main, [str(arg) for arg in args], **options)
        done = Done(result.exit_code, result.stdout, result.stderr, result.stdout_bytes)
        assert "a fault of bowtie itself" not in done.err, done.err
        assert done.code == code, f"{done.code}\n{done.out}\n{done.err}"
        return done

    return call


def line(id: str, type: str, subject: str = "acme", time: str = "2026-01-05T10:00:00Z", **data):
    """One line of an event log."""
    wire = {
        "specversion": "1.0",
        "id": id,
        "source": "crm",
        "type": f"bowtie.{type}",
        "subject": subject,
        "time": time,
        "data": data,
    }
    return json.dumps(wire)


TOUCH = {"channel": "webinar", "direction": "inbound"}
PAID = {
    "kind": "paid",
    "amount": "100.00",
    "per": "month",
    "currency": "EUR",
    "starts_on": "2026-02-01",
}
GOOD = (
    line("1", "touched", **TOUCH),
    line("2", "noted", time="2026-01-08T10:00:00Z", name="lead_created"),
    line("3", "contract_signed", time="2026-01-20T10:00:00Z", contract="c1", **PAID),
    line("4", "touched", "zeta", channel="search", direction="inbound"),
    line("5", "traits_observed", "zeta", traits={"country": "NL", "email": "z@example.com"}),
)
BAD = (
    line("6", "tuched", **TOUCH),
    line("7", "touched", time="2026-01-05T10:00:00", **TOUCH),
    line("8", "order_placed", subject="", order="o1", kind="order", amount="12.50", currency="EUR"),
)


@pytest.fixture
def good(folder: Path) -> Path:
    """A log of five good events of two customers."""
    file = folder / "good.jsonl"
    file.write_text("\n".join(GOOD) + "\n", "utf-8")
    return file


@pytest.fixture
def mixed(folder: Path) -> Path:
    """The good log with three lines that must be parked."""
    file = folder / "mixed.jsonl"
    file.write_text("\n".join((*GOOD[:2], *BAD, *GOOD[2:])) + "\n", "utf-8")
    return file


@pytest.fixture
def store(run: Run, good: Path) -> Path:
    """A store with the good events in it, where the commands look for it by default."""
    run("ingest", good)
    return Path("bowtie.db")
