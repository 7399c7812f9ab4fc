"""``bowtie repeat``: who orders a second time."""

from __future__ import annotations

from typing import Any

import click

from bowtie_cli.asking import ask, cut_options, touch_option, whole_unit_options
from bowtie_cli.beside import beside_options
from bowtie_cli.groups import Command
from bowtie_cli.output import Output, output_options, plot_option
from bowtie_cli.session import Session, pass_session
from bowtie_cli.velocity import COHORTS

__all__ = ["repeat"]


@click.command(cls=Command)
@click.option(
    "--within",
    metavar="TIME",
    multiple=True,
    help="After the first order; repeat it (30d 60d 90d 180d 365d).",
)
@click.option("--cohort", type=COHORTS, help="By first orders in each of these (quarter).")
@whole_unit_options
@click.option("--by", metavar="NAME", multiple=True, help="Break down by this; repeat it.")
@touch_option
@click.option("--from", "from_", metavar="PERIOD", help="First orders from then: 2026, 2026-Q1.")
@click.option("--to", metavar="PERIOD", help="First orders through the end of this period.")
@click.option("--top", type=click.IntRange(1), metavar="N", help="Show the N largest values (10).")
@click.option("--include-truncated", is_flag=True, help="Customers older than the data too.")
@beside_options
@cut_options
@plot_option
@output_options
@pass_session
def repeat(session: Session, output: Output, **asked: Any) -> None:
    r"""Count the customers who order a second time.

    \b
    Example:
      bowtie repeat --within 30d --within 90d --cohort month
      bowtie repeat --cohort all --by country
    """
    output.show(ask(session, "repeat", asked))
