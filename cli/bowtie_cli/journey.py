"""``bowtie journey``: one customer, now or then."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import click

from bowtie_cli.groups import Command
from bowtie_cli.output import Answer, Output, output_options_with_parts
from bowtie_cli.session import Session, pass_session

if TYPE_CHECKING:
    from bowtie import JourneyRecord

__all__ = ["journey"]

#: What stands in a table for a value whose key is gone, or is another store's.
_UNOPENED = "sealed for ever"


@click.command(cls=Command)
@click.argument("customer")
@click.option("--as-of", metavar="T", help="The world as it was then.")
@click.option("--known-at", metavar="T", help="What this store had been told by then.")
@click.option("--definition", metavar="NAME|FILE", help="Of the stages, if not the store's own.")
@click.option("--tz", metavar="ZONE", default="UTC", help="The zone of days (UTC).")
@output_options_with_parts
@pass_session
def journey(
    session: Session,
    *,
    customer: str,
    as_of: str | None,
    known_at: str | None,
    definition: str | None,
    tz: str,
    output: Output,
) -> None:
    r"""Show what is known of one customer.

    \b
    Example:
      bowtie journey acme --as-of 2026-03-31
    """
    with session.engine() as engine:
        chosen = engine.load_definition(definition) if definition else None
        record = engine.journey(customer, as_of=as_of, known_at=known_at, definition=chosen, tz=tz)
    output.show(_answer(record))


def _answer(record: JourneyRecord) -> Answer:
    """The timeline, and before it where the customer stands."""
    from bowtie.sealing import is_sealed

    whole = record.as_dict()
    where = _where(record)
    if record.forgotten_at is not None:
        where += f" and was forgotten on {record.forgotten_at:%Y-%m-%d}"
    if len(record.keys) > 1:
        where += f", as {' and '.join(record.keys)} together"
    rows = [_timeline_row(event) for event in whole["events"]]
    cycles = [
        {"cycle": cycle["cycle"], **cycle["entered"], "lost": cycle["lost_at"]}
        for cycle in whole["cycles"]
    ]
    traits = [
        {"trait": name, "value": f"({_UNOPENED})" if is_sealed(value) else value}
        for name, value in whole["traits"].items()
    ]
    parts = {}
    if cycles:
        columns = list(dict.fromkeys(key for row in cycles for key in row))
        columns.append(columns.pop(columns.index("lost")))
        parts["cycles"] = Answer(columns, cycles, {})
    if traits:
        parts["traits"] = Answer(["trait", "value"], traits, {})
    sentence = f"{record.customer} {where} ({record.definition}); {len(rows):,} events."
    columns = ["time", "event", "data", "entered", "source", "id", "remark"]
    return Answer(columns, rows, whole, sentence, parts=parts)


def _where(record: JourneyRecord) -> str:
    """Where the customer stands, or how the last cycle ended."""
    from bowtie.times import zone

    if record.stage is not None:
        return f"stands in {record.stage}"
    if not record.cycles:
        return "stands in no stage"
    cycle = record.cycles[-1]
    ended = f" on {cycle.lost_at.astimezone(zone(record.tz)):%Y-%m-%d}" if cycle.lost_at else ""
    return f"was lost{ended}, {cycle.lost_side} of the knot, after {cycle.stage}"


def _words(data: dict[str, Any], prefix: str = "") -> Iterator[str]:
    """Fields as ``bowtie record`` takes them."""
    from bowtie.sealing import is_sealed

    for name, value in data.items():
        if is_sealed(value):
            yield f"{prefix}{name}=({_UNOPENED})"
        elif isinstance(value, dict):
            yield from _words(value, f"{name}.")
        elif isinstance(value, str) and value and not any(map(str.isspace, value)):
            yield f"{prefix}{name}={value}"
        else:
            yield f"{prefix}{name}={json.dumps(value, ensure_ascii=False)}"


def _timeline_row(event: dict[str, Any]) -> dict[str, Any]:
    remarks = [word for word in ("retracted", "out_of_sequence") if event[word]]
    return {
        "time": event["time"],
        "event": event["type"],
        "data": " ".join(_words(event["data"])) or None,
        "entered": ", ".join(event["entered"]) or None,
        "source": event["source"],
        "id": event["id"],
        "remark": ", ".join(remarks).replace("_", " ") or None,
    }
