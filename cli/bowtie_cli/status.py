"""``bowtie status``: what there is to ask."""

from __future__ import annotations

from typing import Any

import click

from bowtie_cli.asking import ask, knowledge_options, refresh_options, unit_options
from bowtie_cli.groups import Command
from bowtie_cli.output import Output, output_options_with_parts
from bowtie_cli.session import Session, pass_session

__all__ = ["status"]


@click.command(cls=Command)
@unit_options
@click.option("--tz", metavar="ZONE", help="The zone of days and months (UTC).")
@knowledge_options
@refresh_options
@output_options_with_parts
@pass_session
def status(session: Session, output: Output, **asked: Any) -> None:
    r"""Show what is in the log and what can be answered.

    \b
    Example:
      bowtie status
    """
    output.show(ask(session, "status", asked))
