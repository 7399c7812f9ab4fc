"""``bowtie touchpoints``: what happens where, with whom, at what cost."""

from __future__ import annotations

from typing import Any

import click

from bowtie_cli.asking import ask, cut_options, touch_option, whole_unit_options
from bowtie_cli.groups import Command
from bowtie_cli.output import Output, output_options_with_parts, plot_option
from bowtie_cli.session import Session, pass_session

__all__ = ["touchpoints"]


@click.command(cls=Command)
@click.option(
    "--of",
    type=click.Choice(["touchpoint", "channel", "campaign", "medium", "content"]),
    help="By which field of touches (touchpoint).",
)
@whole_unit_options
@click.option("--by", metavar="NAME", multiple=True, help="Break down by this; repeat it.")
@touch_option
@click.option("--from", "from_", metavar="PERIOD", help="Touches from then: 2026, 2026-Q1, a day.")
@click.option("--to", metavar="PERIOD", help="Touches through the end of this period.")
@click.option("--no-stages", is_flag=True, help="One row for all stages.")
@click.option("--top", type=click.IntRange(1), metavar="N", help="Show the N largest values (10).")
@cut_options
@plot_option
@output_options_with_parts
@pass_session
def touchpoints(session: Session, output: Output, **asked: Any) -> None:
    r"""Count touches by touchpoint, with their cost and scores.

    \b
    Example:
      bowtie touchpoints --from 2026-Q1
      bowtie touchpoints --of channel --no-stages
    """
    output.show(ask(session, "touchpoints", asked))
