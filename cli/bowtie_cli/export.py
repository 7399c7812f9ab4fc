"""``bowtie export``: the log as CloudEvents lines, the read tables as Parquet."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from bowtie_cli.files import open_output
from bowtie_cli.groups import Group
from bowtie_cli.progress import positions
from bowtie_cli.session import Session, pass_session

__all__ = ["export"]


@click.group(cls=Group)
def export() -> None:
    """Write the log or the read tables to files."""


@export.command()
@click.option("-o", "--output", metavar="FILE", help="A .jsonl, .csv or .parquet, also .gz, .zst.")
@click.option(
    "--format", type=click.Choice(["jsonl", "csv", "parquet"]), help="If the name doesn't tell."
)
@click.option("--reveal", is_flag=True, help="Open the personal fields of those not forgotten.")
@pass_session
def log(session: Session, output: str | None, format: Any, *, reveal: bool) -> None:
    r"""Write the whole log, as ingest --restore takes it back.

    \b
    Example:
      bowtie export log -o backup.jsonl.gz
    """
    from bowtie.logs import write_log

    with session.engine() as engine:
        lines = engine.export(reveal=reveal)
        if output in (None, "-"):
            with open_output(None) as stream:
                count = write_log(lines, stream, format=format)
        else:
            count = write_log(lines, output, format=format)
    session.say(f"{count - 1:,} events written to {output or 'standard output'}")


@export.command("tables")
@click.option(
    "-o",
    "--output",
    metavar="FOLDER",
    required=True,
    type=click.Path(path_type=Path),
    help="Where to write a Parquet file for each table; made if it isn't there.",
)
@click.option("--no-refresh", is_flag=True, help="Write the tables as they stand.")
@pass_session
def export_read_tables(session: Session, output: Path, *, no_refresh: bool) -> None:
    r"""Write the read tables, a Parquet file each.

    \b
    Example:
      bowtie export tables -o tables
    """
    from bowtie_projections.exporting import export_tables
    from bowtie_projections.replay import refresh

    with session.engine() as engine:
        tables = session.tables(engine)
        if not no_refresh:
            with positions("Replaying", session) as progress:
                refresh(engine.store, tables, engine.definition, progress=progress)
        written = export_tables(tables, output)
    session.say(f"{len(written)} tables written to {output}")
