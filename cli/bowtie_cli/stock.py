"""``bowtie stock``: who is where now, and how long."""

from __future__ import annotations

from typing import Any

import click

from bowtie_cli.asking import ask, cut_options, touch_option, unit_options
from bowtie_cli.funnel import PERIODS
from bowtie_cli.groups import Command
from bowtie_cli.output import Output, output_options_with_parts, plot_option
from bowtie_cli.session import Session, pass_session

__all__ = ["stock"]


@click.command(cls=Command)
@unit_options
@click.option("--by", metavar="NAME", multiple=True, help="Break down by this; repeat it.")
@touch_option
@click.option(
    "--customers", metavar="STAGE[:stuck]", help="Who stands in a stage; or who is stuck there."
)
@click.option("--every", type=PERIODS, help="A stock at the end of each of these.")
@click.option("--from", "from_", metavar="PERIOD", help="From then on: 2026, 2026-Q1, a day.")
@click.option("--to", metavar="PERIOD", help="Through the end of this period.")
@click.option(
    "--within", metavar="TIME", help="How long a step may take, for stuck (90d; right of it 180d)."
)
@click.option("--lost-after", metavar="TIME", help="Silence so long is a loss, marked inferred.")
@click.option("--top", type=click.IntRange(1), metavar="N", help="Show the N largest values (10).")
@cut_options
@plot_option
@output_options_with_parts
@pass_session
def stock(session: Session, output: Output, **asked: Any) -> None:
    r"""Count who stands in each stage, how long, and who is stuck.

    \b
    Example:
      bowtie stock --by channel
      bowtie stock --customers selection:stuck
      bowtie stock --every month --from 2026
    """
    output.show(ask(session, "stock", asked))
