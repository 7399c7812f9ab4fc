"""``bowtie replay``: from the log to the read tables."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from bowtie_cli.asking import given
from bowtie_cli.following import follow_store
from bowtie_cli.groups import Command
from bowtie_cli.output import Answer, Output
from bowtie_cli.progress import ingesting, positions
from bowtie_cli.session import Session, pass_session

if TYPE_CHECKING:
    from bowtie import IngestReport
    from bowtie_projections.replay import ReplayReport

__all__ = ["replay"]


@click.command(cls=Command)
@click.argument("logs", metavar="[LOG]...", nargs=-1)
@click.option("--rebuild", is_flag=True, help="From zero, beside the tables in use, then swapped.")
@click.option("--follow", is_flag=True, help="Then stay, and take in what comes, until stopped.")
@click.option("--poll", type=click.FloatRange(0), metavar="SECONDS", help="With --follow (0.25).")
@click.option("--strict", is_flag=True, help="Stop at an event that can't be processed.")
@click.option("--map", "mapping", metavar="MAP", help="A mapping file, for LOGs of another form.")
@click.option("--definition", metavar="NAME|FILE", help="With LOGs: of the stages (b2b/1).")
@click.option("--wait", type=click.FloatRange(0), metavar="SECONDS", help="For readers (30).")
@click.option("--json", "as_json", is_flag=True, help="Print the report as one JSON object.")
@pass_session
@click.pass_context
def replay(
    context: click.Context,
    /,
    session: Session,
    *,
    logs: tuple[str, ...],
    mapping: str | None,
    definition: str | None,
    follow: bool,
    poll: float | None,
    as_json: bool,
    **options: Any,
) -> None:
    r"""Bring the read tables up to date.

    From the store, or, where LOGs are named, straight from them: without a store, into --views.

    With --follow it goes on until SIGINT (Ctrl-C) or SIGTERM; --json then prints an object a line:
    one for each round that brought something, and one for all of them at the end.

    \b
    Example:
      bowtie replay --rebuild
      bowtie replay --follow
      bowtie replay events.jsonl.gz --views events.duckdb
    """
    output = Output(session, "json" if as_json else "table")
    if logs and follow:
        raise click.UsageError("--follow is for a store: LOGs are read to their end")
    if poll is not None and not follow:
        raise click.UsageError("--poll is for --follow: add that, or leave it out")
    if not logs:
        if mapping or definition:
            raise click.UsageError("--map and --definition are for LOGs: name some, or ingest them")
        if follow:
            follow_store(session, poll, as_json=as_json, **given(options))
            return
        output.show(answer(_from_store(session, given(options))))
        return
    read, report = _from_logs(session, logs, mapping, definition, given(options))
    output.show(answer(report, read))
    _tell_parked(read)
    context.exit(3 if read.parked else 0)


def _from_store(session: Session, options: dict[str, Any]) -> ReplayReport:
    from bowtie_projections.replay import replay as bring_up_to_date

    with session.engine() as engine, positions("Replaying", session) as progress:
        tables = session.tables(engine, options.pop("wait", None))
        return bring_up_to_date(
            engine.store, tables, engine.definition, progress=progress, **options
        )


def _from_logs(
    session: Session,
    logs: tuple[str, ...],
    mapping: str | None,
    definition: str | None,
    options: dict[str, Any],
) -> tuple[IngestReport, ReplayReport]:
    from bowtie import Mapping, load_definition
    from bowtie.logsource import log_source
    from bowtie_projections.replay import replay as bring_up_to_date

    if session.views is None:
        raise click.UsageError("without a store, say where the tables shall be: --views FILE")
    rules = Mapping.load(mapping) if mapping else None
    stages = load_definition(definition or "b2b")
    with ingesting("Reading", session) as counter, log_source(logs, rules, counter) as source:
        tables = session.tables(None, options.pop("wait", None))
        report = bring_up_to_date(source, tables, stages, **options)
        return source.report, report


def answer(report: ReplayReport, read: IngestReport | None = None) -> Answer:
    """What a replay did."""
    whole = asdict(report) | {"seconds": round(report.seconds, 3)}
    if read is not None:
        whole |= {"read": read.read, "parked": read.parked, "duplicates": read.duplicates}
    notes = [report.note] if report.note else []
    if report.behind:
        notes.append(f"the tables are {report.behind:,} events behind the log")
    if report.skipped:
        notes.append(f"{report.skipped:,} events could not be processed: see SQL on skipped")
    what = "made anew" if report.rebuilt else "brought up to date"
    sentence = f"Read tables {what}: {report.events:,} events, to position {report.position:,}."
    columns = ["events", "position", "seconds", "skipped"]
    return Answer(columns, [{name: whole[name] for name in columns}], whole, sentence, notes)


def _tell_parked(read: IngestReport) -> None:
    """Lines that are wrong are kept nowhere here, so that they are told even to the silent."""
    for one in read.examples:
        click.echo(f"{one.origin}:{one.line}: {one.reason}: {one.problem}", err=True)
    if read.parked > len(read.examples):
        click.echo(f"and {read.parked - len(read.examples):,} more lines left out", err=True)
