"""``bowtie revenue``: recurring revenue, what moved it, and what was kept."""

from __future__ import annotations

from typing import Any

import click

from bowtie_cli.asking import ask, cut_options, touch_option
from bowtie_cli.beside import targets_option
from bowtie_cli.groups import Command
from bowtie_cli.output import Output, output_options_with_parts, plot_option
from bowtie_cli.session import Session, pass_session

__all__ = ["revenue"]


@click.command(cls=Command)
@click.option(
    "--every", type=click.Choice(["month", "quarter", "year"]), help="How long a period is (month)."
)
@click.option("--per", type=click.Choice(["month", "year"]), help="MRR, or ARR (month).")
@click.option(
    "--movements",
    type=click.Choice(["net", "daily"]),
    help="Of each customer over the period, or of each day (net).",
)
@click.option("--changes", is_flag=True, help="Tell why contracts moved too: price, quantity, ...")
@click.option("--currency", metavar="CODE", help="Money of this currency only.")
@click.option("--by", metavar="NAME", multiple=True, help="Break down by this; repeat it.")
@touch_option
@click.option("--top", type=click.IntRange(1), metavar="N", help="Show the N largest values (10).")
@click.option("--from", "from_", metavar="PERIOD", help="Periods from then: 2026, 2026-Q1.")
@click.option("--to", metavar="PERIOD", help="Periods through that one.")
@click.option("--unit", type=click.Choice(["customer", "account"]), help="Whose (customer).")
@click.option(
    "--look-back", metavar="TIME", help="Touches count so long before a membership (90d)."
)
@targets_option
@cut_options
@plot_option
@output_options_with_parts
@pass_session
def revenue(session: Session, output: Output, **asked: Any) -> None:
    r"""Tell recurring revenue, what moved it, and what was kept.

    \b
    Example:
      bowtie revenue --every quarter --from 2025
      bowtie revenue --per year --by motion
      bowtie revenue --every year --changes --part changes
    """
    output.show(ask(session, "revenue", asked))
