"""``bowtie ingest``: event logs into the store."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from bowtie_cli.groups import Command
from bowtie_cli.output import Output
from bowtie_cli.progress import ingesting
from bowtie_cli.reports import ingest_answer
from bowtie_cli.session import Session, pass_session

if TYPE_CHECKING:
    from bowtie import Bowtie, IngestReport, Mapping

__all__ = ["ingest"]


@click.command(cls=Command)
@click.argument("files", metavar="FILE...", nargs=-1, required=True)
@click.option("--map", "mapping", metavar="MAP", help="A mapping file, for rows of another form.")
@click.option(
    "--format",
    type=click.Choice(["jsonl", "csv", "parquet"]),
    help="The form of the files, where neither name nor content tells it.",
)
@click.option("--correct", is_flag=True, help="An id that is taken corrects that event.")
@click.option("--restore", is_flag=True, help="Put an export back into an empty store.")
@click.option("--dry-run", is_flag=True, help="Show what a mapping makes of the first rows.")
@click.option("--rows", type=click.IntRange(1), default=10, show_default=True, help="How many.")
@click.option("--json", "as_json", is_flag=True, help="Print the report as one JSON object.")
@pass_session
@click.pass_context
def ingest(
    context: click.Context, /, session: Session, files: tuple[str, ...], **options: Any
) -> None:
    r"""Append event logs to the store.

    FILE holds CloudEvents as JSON lines, CSV or Parquet, plain, .gz or .zst; - is standard input.
    What is in the log already is skipped; what is wrong in itself is parked, and the exit code 3.

    \b
    Example:
      bowtie ingest events.jsonl
      bowtie ingest --map shop.toml --dry-run orders.csv
    """
    output = Output(session, "json" if options.pop("as_json") else "table")
    if options["restore"] and (options["mapping"] or options["correct"] or len(files) > 1):
        raise click.UsageError("--restore takes one export, and neither --map nor --correct")
    rows = options.pop("rows")
    if options.pop("dry_run"):
        from bowtie_cli.dry_runs import show_dry_run

        parked = show_dry_run(files, options["mapping"], options["format"], rows, output)
    else:
        parked = _ingest_all(session, files, output, **options)
    context.exit(3 if parked else 0)


def _ingest_all(session: Session, files: tuple[str, ...], output: Output, **options: Any) -> int:
    """Take in one file after the other; a damaged one doesn't keep the next from its turn."""
    from bowtie import Mapping
    from bowtie.errors import FileError

    mapping = options.pop("mapping")
    rules = Mapping.load(mapping) if mapping else None  # before a store is made for nothing
    files = tuple(dict.fromkeys(files))  # a file named twice says the same twice
    _refuse_wrong(files)
    reports, damages = {}, []
    with session.engine(create=True) as engine:
        for file in files:
            try:
                reports[file] = _ingest_one(session, engine, file, rules, **options)
            except FileError as error:
                damages.append(error)
                if error.report is not None:
                    error.report.position = engine.store.head()
                    reports[file] = error.report
    if reports:
        output.show(ingest_answer(reports))
    for damage in damages[:-1]:
        click.echo(f"Error: {damage}", err=True)
    if damages:
        raise damages[-1]
    return sum(report.parked for report in reports.values())


def _ingest_one(
    session: Session,
    engine: Bowtie,
    file: str,
    rules: Mapping | None,
    format: Any,
    *,
    correct: bool,
    restore: bool,
) -> IngestReport:
    with ingesting(file, session) as progress:
        if restore:
            return engine.restore(file, progress=progress)
        return engine.ingest(file, mapping=rules, format=format, correct=correct, progress=progress)


def _refuse_wrong(files: tuple[str, ...]) -> None:
    """Say what is wrong with a file before a store is made for it; a pipe is read once."""
    from bowtie.logs.streams import check_file

    for file in files:
        path = Path(file)
        if file != "-" and (path.is_file() or path.is_dir() or not path.exists()):
            check_file(file)
