"""``bowtie rfm``: customers by how lately, how often and for how much they ordered."""

from __future__ import annotations

from typing import Any

import click

from bowtie_cli.asking import ask, cut_options, touch_option, whole_unit_options
from bowtie_cli.groups import Command
from bowtie_cli.output import Output, output_options_with_parts, plot_option
from bowtie_cli.session import Session, pass_session

__all__ = ["rfm"]


@click.command(cls=Command)
@click.option("--since", metavar="DAY", help="Who moved from which segment to which since then.")
@click.option("--by", metavar="NAME", multiple=True, help="Break down by this; repeat it.")
@touch_option
@click.option("--top", type=click.IntRange(1), metavar="N", help="Show the N largest values (10).")
@whole_unit_options
@click.option("--currency", metavar="CODE", help="Refuse all others.")
@cut_options
@plot_option
@output_options_with_parts
@pass_session
def rfm(session: Session, output: Output, **asked: Any) -> None:
    r"""Put customers into segments by recency, frequency and money of their orders.

    \b
    Example:
      bowtie rfm
      bowtie rfm --by channel
      bowtie rfm --since 2026-01-01 --part movement
    """
    output.show(ask(session, "rfm", asked))
