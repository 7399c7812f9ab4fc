"""``bowtie pipeline``: open opportunities, and what they may bring."""

from __future__ import annotations

from typing import Any

import click

from bowtie_cli.asking import ask, cut_options, touch_option
from bowtie_cli.groups import Command
from bowtie_cli.output import Output, output_options, plot_option
from bowtie_cli.session import Session, pass_session

__all__ = ["pipeline"]


@click.command(cls=Command)
@click.option(
    "--unit", type=click.Choice(["customer", "account"]), help="Whose they are (customer)."
)
@click.option(
    "--look-back", metavar="TIME", help="Touches count so long before a membership (90d)."
)
@click.option("--by", metavar="NAME", multiple=True, help="Break down by this; repeat it.")
@touch_option
@click.option(
    "--opportunities", metavar="all|overdue|STAGE", help="The single ones, instead of sums."
)
@click.option("--lost-after", metavar="TIME", help="Silence so long is a loss, marked inferred.")
@click.option("--top", type=click.IntRange(1), metavar="N", help="Show the N largest values (10).")
@cut_options
@plot_option
@output_options
@pass_session
def pipeline(session: Session, output: Output, **asked: Any) -> None:
    r"""Count open opportunities, and what they may bring.

    \b
    Example:
      bowtie pipeline --by industry
      bowtie pipeline --opportunities overdue --format csv
    """
    output.show(ask(session, "pipeline", asked))
