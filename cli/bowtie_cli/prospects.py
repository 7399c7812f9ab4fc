"""``bowtie prospects``: who of the open prospects is worth working on."""

from __future__ import annotations

from typing import Any

import click

from bowtie_cli.asking import ask, cut_options, whole_unit_options
from bowtie_cli.groups import Command
from bowtie_cli.output import Output, output_options_with_parts, plot_option
from bowtie_cli.session import Session, pass_session

__all__ = ["prospects"]


@click.command(cls=Command)
@click.option(
    "--top", "most", type=click.IntRange(0), metavar="N", help="List the best N (50); 0: all."
)
@click.option("--within", metavar="TIME", help="Won is who commits within this time (180d).")
@click.option("--model", is_flag=True, help="Tell the weights too, in the part weights.")
@click.option("--policy", metavar="NAME|FILE", help="A value policy: horizon, value and high.")
@click.option("--horizon", metavar="TIME", help="Over which value counts (365d).")
@click.option("--share", "top", metavar="SHARE", help="Of high value are the top so many (0.2).")
@click.option("--threshold", metavar="MONEY", help="High is a value from here on; not --share.")
@click.option(
    "--value",
    type=click.Choice(["revenue", "contribution"]),
    help="Revenue, or less the costs of onboarding and serving.",
)
@click.option("--currency", metavar="CODE", help="Refuse all others.")
@click.option("--costs-complete", is_flag=True, help="A customer without a cost had none.")
@click.option("--traits", metavar="FILE", help="A traits.toml: what kind each trait is.")
@click.option("--backfill-gap", metavar="TIME", help="Recorded later than this: loaded later (7d).")
@click.option("--looks", type=click.IntRange(1, 10), help="How often to look at each lead (4).")
@click.option("--seed", type=click.IntRange(0), help="Of the random moments of the looks (0).")
@whole_unit_options
@click.option("--include-truncated", is_flag=True, help="Leads older than the data too.")
@cut_options
@plot_option
@output_options_with_parts
@pass_session
def prospects(session: Session, output: Output, **asked: Any) -> None:
    r"""Score the open prospects: who is likely to be won, and worth much.

    \b
    Example:
      bowtie prospects --top 50
      bowtie prospects --within 90d --part quality
      bowtie prospects --model --part weights --format csv
    """
    output.show(ask(session, "prospects", asked))
