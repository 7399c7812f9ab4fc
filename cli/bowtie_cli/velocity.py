"""``bowtie velocity``: how many days each step takes."""

from __future__ import annotations

from typing import Any

import click

from bowtie_cli.asking import ask, cut_options, touch_option, unit_options
from bowtie_cli.beside import beside_options
from bowtie_cli.groups import Command
from bowtie_cli.output import Output, output_options, plot_option
from bowtie_cli.session import Session, pass_session

__all__ = ["velocity"]

COHORTS = click.Choice(["day", "week", "month", "quarter", "year", "all"])


@click.command(cls=Command)
@unit_options
@click.option("--by", metavar="NAME", multiple=True, help="Break down by this; repeat it.")
@touch_option
@click.option("--within", metavar="TIME", help="How long a step may take (90d; right of it 180d).")
@click.option("--cohort", type=COHORTS, help="A row for each period of entry (quarter).")
@click.option("--cohort-stage", metavar="STAGE", help="Count who entered this stage in the period.")
@click.option("--from", "from_", metavar="PERIOD", help="Entries from then: 2026, 2026-Q1, a day.")
@click.option("--to", metavar="PERIOD", help="Entries through the end of this period.")
@click.option("--cycles", is_flag=True, help="Count each cycle, not each customer's first alone.")
@click.option("--top", type=click.IntRange(1), metavar="N", help="Show the N largest values (10).")
@click.option("--include-truncated", is_flag=True, help="Customers older than the data too.")
@click.option("--estimate", is_flag=True, help="Also the days of all who began, as estimated.")
@beside_options
@cut_options
@plot_option
@output_options
@pass_session
def velocity(session: Session, output: Output, **asked: Any) -> None:
    r"""Tell how many days each step takes, by cohort.

    \b
    Example:
      bowtie velocity --cohort quarter --from 2025
      bowtie velocity --cohort all --by channel --estimate
    """
    output.show(ask(session, "velocity", asked))
