"""What a mapping would make of a file, shown without recording anything."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import click

from bowtie_cli.output import Answer, Output
from bowtie_projections.cells import plain

if TYPE_CHECKING:
    from bowtie.logs import DryRun

__all__ = ["show_dry_run"]


def show_dry_run(
    files: tuple[str, ...], mapping: str | None, format: Any, rows: int, output: Output
) -> int:
    """Show what the first rows of a file become; how many events would be parked."""
    from bowtie.logs import Mapping, dry_run, open_log
    from bowtie.reader import Reader

    if mapping is None or len(files) != 1:
        raise click.UsageError("--dry-run shows what --map MAP makes of one FILE: name both")
    rules = Mapping.load(mapping)
    with open_log(files[0], format=format, options=rules.options) as log:
        run = dry_run(rules, log, rows, Reader().wire)
    output.show(_answer(run))
    return run.parked


def _answer(run: DryRun) -> Answer:
    rows: list[dict[str, Any]] = []
    for row in run.rows:
        made = [_event(event) for event in row.events]
        refused = [{"becomes": "parked", "data": f"{p.reason}: {p.problem}"} for p in row.parked]
        nothing = [{"becomes": "nothing"}] if not made and not refused else []
        rows += [{"row": row.line} | one for one in made + refused + nothing]
    sentence = (
        f"The first {len(run.rows):,} rows of {run.file} become {run.events:,} events by"
        f" {run.mapping}; {run.parked:,} would be parked."
    )
    columns = ["row", "becomes", "customer", "time", "id", "data"]
    return Answer(columns, rows, plain(run.to_dict()), sentence)


def _event(event: dict[str, Any]) -> dict[str, Any]:
    return {
        "becomes": str(event["type"]).removeprefix("bowtie."),
        "customer": event.get("subject"),
        "time": event.get("time"),
        "id": event.get("id"),
        "data": " ".join(f"{name}={_value(value)}" for name, value in event["data"].items()),
    }


def _value(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(plain(value), ensure_ascii=False)
