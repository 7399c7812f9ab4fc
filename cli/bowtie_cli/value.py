"""``bowtie value``: what customers were worth over a fixed time of their own."""

from __future__ import annotations

from typing import Any

import click

from bowtie_cli.asking import ask, cut_options, touch_option, whole_unit_options
from bowtie_cli.groups import Command
from bowtie_cli.output import Output, output_options_with_parts, plot_option
from bowtie_cli.session import Session, pass_session
from bowtie_cli.velocity import COHORTS

__all__ = ["value"]


@click.command(cls=Command)
@click.option("--policy", metavar="NAME|FILE", help="A value policy: horizon, value and high.")
@click.option("--horizon", metavar="TIME", help="Over which value counts (365d).")
@click.option(
    "--value",
    type=click.Choice(["revenue", "contribution"]),
    help="Revenue, or less the costs of onboarding and serving.",
)
@click.option("--top", metavar="SHARE", help="High are the top so many (0.2).")
@click.option("--threshold", metavar="MONEY", help="High is a value from here on; not --top.")
@click.option(
    "--time-zero", type=click.Choice(["commitment", "lead"]), help="From when value counts."
)
@click.option("--cohort", type=COHORTS, help="By time zero in each of these (all).")
@click.option("--by", metavar="NAME", multiple=True, help="Break down by this; repeat it.")
@touch_option
@click.option("--most", type=click.IntRange(1), metavar="N", help="Show the N largest values (10).")
@click.option("--since", metavar="DAY", help="Who moved from which tier to which since then.")
@click.option("--from", "from_", metavar="PERIOD", help="Time zero from then: 2026, 2026-Q1.")
@click.option("--to", metavar="PERIOD", help="Time zero through the end of this period.")
@whole_unit_options
@click.option("--currency", metavar="CODE", help="Refuse all others.")
@click.option("--costs-complete", is_flag=True, help="A customer without a cost had none.")
@click.option("--include-truncated", is_flag=True, help="Customers older than the data too.")
@cut_options
@plot_option
@output_options_with_parts
@pass_session
def value(session: Session, output: Output, **asked: Any) -> None:
    r"""Tell what customers were worth, by cohort, and in which tier.

    \b
    Example:
      bowtie value --cohort quarter --by channel
      bowtie value --horizon 180d --part tiers
    """
    output.show(ask(session, "value", asked))
