"""``bowtie forget``: a customer's personal data, destroyed after a look at what that takes."""

from __future__ import annotations

import sys
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from bowtie_cli.groups import Command
from bowtie_cli.output import Answer, Output, output_options
from bowtie_cli.session import Session, pass_session

if TYPE_CHECKING:
    from bowtie.erasing import Erasure, LinkedKeys

__all__ = ["forget"]

_COLUMNS = ["key", "events", "forgotten_before"]


@click.command(cls=Command)
@click.argument("customer")
@click.option("--yes", is_flag=True, help="Don't ask.")
@click.option("--dry-run", is_flag=True, help="List what would be forgotten; destroy nothing.")
@click.option(
    "--except",
    "leave",
    metavar="KEY",
    multiple=True,
    help="A key that was linked by mistake; leave it, and what only it leads to.",
)
@output_options
@pass_session
def forget(
    session: Session,
    *,
    customer: str,
    yes: bool,
    dry_run: bool,
    leave: tuple[str, ...],
    output: Output,
) -> None:
    r"""Destroy a customer's personal data for ever.

    Under every key that was ever linked with the customer: lists them, and asks. The events stay,
    and so does every figure; their sealed fields can't be opened by anyone any more.

    \b
    Example:
      bowtie forget acme --dry-run
    """
    with session.engine() as engine:
        linked = engine.linked_keys(customer, leave=leave)
        if dry_run:
            output.show(_planned(linked))
            return
        if not yes:
            _ask(linked)
        done = engine.forget(customer, leave=leave, agreed=linked)
    output.show(_done(linked, done))


def _ask(linked: LinkedKeys) -> None:
    """List the keys, and go on only if a person says so."""
    if not (sys.stdin and sys.stdin.isatty()):
        raise click.UsageError("nobody is there to ask: look with --dry-run, then write --yes")
    for row in _rows(linked):
        click.echo(f"  {row['key']}: {row['events']:,} events", err=True)
    for note in _notes(linked):
        click.echo(f"  {note}", err=True)
    click.confirm("Destroy the personal data of all of these, for ever?", abort=True, err=True)


def _rows(linked: LinkedKeys) -> list[dict[str, Any]]:
    return [
        {
            "key": key,
            "events": linked.events.get(key, 0),
            "forgotten_before": key in linked.already,
        }
        for key in linked.keys
    ]


def _notes(linked: LinkedKeys) -> list[str]:
    notes = []
    if linked.unnamed:
        notes.append(
            f"{linked.unnamed:,} more keys are known by their hash alone: what sealed their names"
            " is destroyed already."
        )
    if linked.foreign:
        notes.append(
            f"{linked.foreign:,} aliases of these keys were sealed by another store, and can't be"
            " opened here: forget the keys that they stand for too."
        )
    if linked.foreign_elsewhere:
        notes.append(
            f"{linked.foreign_elsewhere:,} aliases of other customers were sealed by another store:"
            " one of them may be of these keys."
        )
    return notes


def _planned(linked: LinkedKeys) -> Answer:
    from bowtie.wording import counted

    rows = _rows(linked)
    events = sum(linked.events.values())
    whole = {"keys": rows, "unnamed": linked.unnamed, "events": events, "parked": linked.parked}
    whole |= {"foreign": linked.foreign, "foreign_elsewhere": linked.foreign_elsewhere}
    sentence = (
        f"{counted(len(rows), 'key')} with {counted(events, 'event')} and"
        f" {counted(linked.parked, 'parked line')} would be"
        " forgotten; nothing is destroyed yet."
    )
    return Answer(_COLUMNS, rows, whole, sentence, _notes(linked))


def _done(linked: LinkedKeys, done: Erasure) -> Answer:
    from bowtie.wording import counted

    whole = asdict(done)
    sentence = (
        f"Forgotten under {counted(len(done.keys) + done.unnamed, 'key')}, with"
        f" {counted(done.events, 'event')}: {counted(done.erased.keys, 'sealing key')},"
        f" {counted(done.erased.claims, 'claim')} and"
        f" {counted(done.erased.parked, 'parked line')} destroyed,"
        f" {counted(done.recorded, 'time')} recorded."
    )
    notes = _notes(linked)
    if not done.scrubbed:
        notes.append(
            "Another process is reading, and keeps a copy of what was destroyed in the store's"
            " files: forget again when it is done."
        )
    return Answer(_COLUMNS, _rows(linked), whole, sentence, notes)
