"""``bowtie flow``: how many entered each stage in each period."""

from __future__ import annotations

from typing import Any

import click

from bowtie_cli.asking import ask, cut_options, touch_option, unit_options
from bowtie_cli.beside import compare_option
from bowtie_cli.funnel import PERIODS
from bowtie_cli.groups import Command
from bowtie_cli.output import Output, output_options, plot_option
from bowtie_cli.session import Session, pass_session

__all__ = ["flow"]


@click.command(cls=Command)
@unit_options
@click.option("--period", type=PERIODS, help="How long a period is (month).")
@click.option("--by", metavar="NAME", multiple=True, help="Break down by this; repeat it.")
@touch_option
@click.option("--cycles", is_flag=True, help="Count each cycle, not each customer's first alone.")
@click.option("--from", "from_", metavar="PERIOD", help="From then on: 2026, 2026-Q1, a day.")
@click.option("--to", metavar="PERIOD", help="Through the end of this period.")
@click.option("--lost-after", metavar="TIME", help="Silence so long is a loss, marked inferred.")
@click.option("--top", type=click.IntRange(1), metavar="N", help="Show the N largest values (10).")
@click.option("--include-truncated", is_flag=True, help="Customers older than the data too.")
@compare_option
@cut_options
@plot_option
@output_options
@pass_session
def flow(session: Session, output: Output, **asked: Any) -> None:
    r"""Count who entered each stage, and who was lost, in each period.

    \b
    Example:
      bowtie flow --period quarter --from 2025
      bowtie flow --period week --by channel --format csv
      bowtie flow --period quarter --compare year
    """
    output.show(ask(session, "flow", asked))
