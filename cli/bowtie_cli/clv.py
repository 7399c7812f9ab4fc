"""``bowtie clv``: what models expect of customers over a horizon ahead."""

from __future__ import annotations

from typing import Any

import click

from bowtie_cli.asking import ask, cut_options, touch_option, whole_unit_options
from bowtie_cli.groups import Command
from bowtie_cli.output import Output, output_options_with_parts, plot_option
from bowtie_cli.session import Session, pass_session
from bowtie_cli.velocity import COHORTS

__all__ = ["clv"]


@click.command(cls=Command)
@click.option(
    "--of", type=click.Choice(["orders", "contracts"]), help="Contracts, where there are any."
)
@click.option(
    "--model",
    type=click.Choice(["bg/nbd", "mbg/nbd", "pareto/nbd"]),
    help="Of who orders without a contract (bg/nbd).",
)
@click.option("--horizon", metavar="TIME", help="How far ahead (365d).")
@click.option("--discount", metavar="RATE", help="By the year, such as 0.10; none, if not said.")
@click.option("--holdout", metavar="TIME", help="Judge the model by the last so many days.")
@click.option(
    "--term",
    type=click.Choice(["month", "quarter", "year"]),
    help="Of contracts, from one renewal to the next (the commonest).",
)
@click.option("--cohort", type=COHORTS, help="By the first order or contract, in each of these.")
@click.option("--by", metavar="NAME", multiple=True, help="Break down by this; repeat it.")
@touch_option
@click.option("--top", type=click.IntRange(1), metavar="N", help="Show the N largest values (10).")
@click.option("--who", is_flag=True, help="A row for each customer.")
@whole_unit_options
@click.option("--currency", metavar="CODE", help="Refuse all others.")
@cut_options
@plot_option
@output_options_with_parts
@pass_session
def clv(session: Session, output: Output, **asked: Any) -> None:
    r"""Predict what customers will bring, and say how good the prediction was.

    \b
    Example:
      bowtie clv --horizon 180d --cohort quarter
      bowtie clv --by channel
      bowtie clv --part holdout
      bowtie clv --who --format csv -o customers.csv
    """
    output.show(ask(session, "clv", asked))
