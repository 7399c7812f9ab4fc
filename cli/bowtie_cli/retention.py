"""``bowtie retention``: who is still active at each age."""

from __future__ import annotations

from typing import Any

import click

from bowtie_cli.asking import ask, cut_options, touch_option, whole_unit_options
from bowtie_cli.funnel import PERIODS
from bowtie_cli.groups import Command
from bowtie_cli.output import Output, output_options_with_parts, plot_option
from bowtie_cli.session import Session, pass_session

__all__ = ["retention"]

_FOR_READING = ("table", "markdown")


@click.command(cls=Command)
@click.option(
    "--active",
    metavar="WHAT",
    help="contract, order, usage, usage:METRIC, any, or an event's name (what the log has).",
)
@click.option("--age", type=click.Choice(["day", "week", "month"]), help="Its length (month).")
@click.option("--ages", type=click.IntRange(0), metavar="N", help="The greatest age told (24).")
@click.option("--cohort", type=PERIODS, help="By commitment in each of these (month).")
@click.option("--currency", metavar="CODE", help="Money of this currency only.")
@click.option(
    "--wide",
    type=click.Choice(["retention", "active", "grr", "nrr"]),
    help="A column for each age, of this; tables are wide unless --long.",
)
@click.option("--long", "long", is_flag=True, help="A row for each age; what machines get.")
@whole_unit_options
@click.option("--by", metavar="NAME", multiple=True, help="Break down by this; repeat it.")
@touch_option
@click.option("--from", "from_", metavar="PERIOD", help="Commitments from then: 2026, 2026-Q1.")
@click.option("--to", metavar="PERIOD", help="Commitments through the end of this period.")
@click.option("--top", type=click.IntRange(1), metavar="N", help="Show the N largest values (10).")
@click.option("--include-truncated", is_flag=True, help="Customers older than the data too.")
@cut_options
@plot_option
@output_options_with_parts
@pass_session
def retention(session: Session, output: Output, *, long: bool, **asked: Any) -> None:
    r"""Tell who is still active at each age, by cohort.

    A table or Markdown shows the triangle; other forms have a row for each cohort and age.

    \b
    Example:
      bowtie retention --cohort quarter --ages 12
      bowtie retention --wide nrr --active contract
      bowtie retention --active usage --age week --part curve --format csv
    """
    if long and asked["wide"] is not None:
        raise click.UsageError("--long and --wide exclude each other")
    if not long and asked["wide"] is None and output.format in _FOR_READING:
        asked["wide"] = "retention"
    output.show(ask(session, "retention", asked))
