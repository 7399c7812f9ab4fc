"""``bowtie sql``: the read tables, in SQL."""

from __future__ import annotations

import sys
from typing import Any

import click

from bowtie_cli.asking import ask, refresh_options
from bowtie_cli.groups import Command
from bowtie_cli.output import Output, output_options
from bowtie_cli.session import Session, pass_session

__all__ = ["sql"]


@click.command(cls=Command)
@click.argument("statement")
@refresh_options
@output_options
@pass_session
def sql(session: Session, statement: str, output: Output, **asked: Any) -> None:
    r"""Ask the read tables in SQL.

    STATEMENT may only read; - takes it from standard input.

    \b
    Example:
      bowtie sql "SELECT channel, count(*) AS touches FROM touched GROUP BY 1 ORDER BY 2 DESC"
    """
    asked["statement"] = sys.stdin.read() if statement == "-" else statement
    output.show(ask(session, "sql", asked))
