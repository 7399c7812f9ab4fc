"""``bowtie stock``: who is where now."""

from __future__ import annotations

from typing import Any

import click

from bowtie_cli.asking import ask, cut_options, unit_options
from bowtie_cli.groups import Command
from bowtie_cli.output import Output, output_options
from bowtie_cli.session import Session, pass_session

__all__ = ["stock"]


@click.command(cls=Command)
@unit_options
@click.option("--by", metavar="NAME", multiple=True, help="Break down by this; repeat it.")
@click.option("--lost-after", metavar="TIME", help="Silence so long is a loss, marked inferred.")
@click.option("--top", type=click.IntRange(1), metavar="N", help="Show the N largest values (10).")
@cut_options
@output_options
@pass_session
def stock(session: Session, output: Output, **asked: Any) -> None:
    r"""Count the customers that stand in each stage.

    \b
    Example:
      bowtie stock --by channel
    """
    output.show(ask(session, "stock", asked))
