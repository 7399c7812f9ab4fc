"""``bowtie paths``: from where to where customers go."""

from __future__ import annotations

from typing import Any

import click

from bowtie_cli.asking import ask, cut_options, touch_option, unit_options
from bowtie_cli.groups import Command
from bowtie_cli.output import Output, output_options_with_parts, plot_option
from bowtie_cli.session import Session, pass_session

__all__ = ["paths"]

NODES = ("stages", "touchpoints", "channels", "campaigns", "media", "contents")


@click.command(cls=Command)
@unit_options
@click.option(
    "--of",
    type=click.Choice(NODES),
    multiple=True,
    help="What paths lead through (stages); repeat it for the stages and touches.",
)
@click.option("--by", metavar="NAME", multiple=True, help="Break down by this; repeat it.")
@touch_option
@click.option("--steps", type=click.IntRange(1), metavar="N", help="How many nodes are told (4).")
@click.option("--starts", metavar="STAGE", help="From the entry of this stage on.")
@click.option("--ends", metavar="STAGE", help="Up to the entry of this stage, counted from it.")
@click.option("--collapse", is_flag=True, help="What follows itself counts once.")
@click.option("--from", "from_", metavar="PERIOD", help="Paths from then: 2026, 2026-Q1, a day.")
@click.option("--to", metavar="PERIOD", help="Paths through the end of this period.")
@click.option("--cycles", is_flag=True, help="Count each cycle, not each customer's first alone.")
@click.option("--lost-after", metavar="TIME", help="Silence so long is a loss, marked inferred.")
@click.option(
    "--top", type=click.IntRange(1), metavar="N", help="Show the N largest values, sequences (10)."
)
@cut_options
@plot_option
@output_options_with_parts
@pass_session
def paths(session: Session, output: Output, **asked: Any) -> None:
    r"""Count from where to where customers go, and how they get on.

    \b
    Example:
      bowtie paths --steps 3 --by channel
      bowtie paths --of touchpoints --ends commitment --collapse --part sequences
    """
    output.show(ask(session, "paths", asked))
