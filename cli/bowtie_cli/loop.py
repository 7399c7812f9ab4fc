"""``bowtie loop``: what marked the customers who became valuable, when they came."""

from __future__ import annotations

from typing import Any

import click

from bowtie_cli.asking import ask, cut_options, unit_options
from bowtie_cli.groups import Command
from bowtie_cli.output import Output, output_options_with_parts, plot_option
from bowtie_cli.session import Session, pass_session

__all__ = ["loop"]


@click.command(cls=Command)
@unit_options
@click.option(
    "--time-zero", type=click.Choice(["commitment", "lead"]), help="From when value counts."
)
@click.option(
    "--target",
    type=click.Choice(["high", "low", "unprofitable"]),
    help="Whose marks are sought (high).",
)
@click.option("--policy", metavar="NAME|FILE", help="A value policy: horizon, value and high.")
@click.option("--horizon", metavar="TIME", help="Over which value counts (365d).")
@click.option("--top", metavar="SHARE", help="High are the top so many (0.2).")
@click.option("--threshold", metavar="MONEY", help="High is a value from here on; not --top.")
@click.option(
    "--value",
    type=click.Choice(["revenue", "contribution"]),
    help="Revenue, or less the costs of onboarding and serving.",
)
@click.option("--currency", metavar="CODE", help="Refuse all others.")
@click.option("--costs-complete", is_flag=True, help="A customer without a cost had none.")
@click.option("--traits", metavar="FILE", help="A traits.toml: what kind each trait is.")
@click.option("--pairs", is_flag=True, help="Test pairs of traits too: see --part pairs.")
@click.option("--least-gain", metavar="FACTOR", help="A pair passes both its levels so far (1.2).")
@click.option(
    "--rank", type=click.Choice(["lift", "shrunk"]), help="By lift's bound, or the shrunk rate."
)
@click.option("--backfill-gap", metavar="TIME", help="Recorded later than this: loaded later (7d).")
@click.option("--strict-known", is_flag=True, help="Refuse to rest on facts loaded later.")
@click.option("--include-truncated", is_flag=True, help="Customers older than the data too.")
@cut_options
@plot_option
@output_options_with_parts
@pass_session
def loop(session: Session, output: Output, **asked: Any) -> None:
    r"""Find the traits and sources of customers of high value.

    \b
    Example:
      bowtie loop --horizon 365d --top 0.2
      bowtie loop --part sources --format csv
      bowtie loop --target unprofitable --pairs --part pairs
    """
    output.show(ask(session, "loop", asked))
