"""``bowtie funnel``: how customers move from stage to stage."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from bowtie_cli.asking import ask, cut_options, touch_option, unit_options
from bowtie_cli.groups import Command
from bowtie_cli.output import Output, output_options_with_parts, plot_option
from bowtie_cli.session import Session, pass_session

__all__ = ["funnel"]

PERIODS = click.Choice(["day", "week", "month", "quarter", "year"])


@click.command(cls=Command)
@unit_options
@click.option(
    "--by",
    metavar="NAME",
    multiple=True,
    help="Break down by channel, campaign, ... or a trait; repeat it for several at once.",
)
@touch_option
@click.option("--within", metavar="TIME", help="How long a step may take (90d; right of it 180d).")
@click.option("--cohort", type=PERIODS, help="A row for each period of entry.")
@click.option("--cohort-stage", metavar="STAGE", help="Count who entered this stage in the period.")
@click.option("--from", "from_", metavar="PERIOD", help="Entries from then: 2026, 2026-Q1, a day.")
@click.option("--to", metavar="PERIOD", help="Entries through the end of this period.")
@click.option(
    "--customers",
    metavar="STAGE:WHAT",
    help="Who is behind a cell: pending, lost, expired or reached.",
)
@click.option("--skipped", type=click.Choice(["absent", "impute"]), help="A stage without entry.")
@click.option("--cycles", is_flag=True, help="Count each cycle, not each customer's first alone.")
@click.option("--lost-after", metavar="TIME", help="Silence so long is a loss, marked inferred.")
@click.option("--top", type=click.IntRange(1), metavar="N", help="Show the N largest values (10).")
@click.option("--shrink", is_flag=True, help="Each rate drawn to the mean, as far as it is chance.")
@click.option(
    "--compare",
    type=click.Choice(["previous", "year"]),
    help="With the period before, or a year earlier.",
)
@click.option(
    "--targets",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="A plan: month, measure, breakdown, value.",
)
@click.option("--include-truncated", is_flag=True, help="Customers older than the data too.")
@click.option("--estimate", is_flag=True, help="The share of all, those still waiting too.")
@click.option("--horizon", metavar="TIMES", help="Estimated at 30d,60d,90d, or the whole curve.")
@click.option(
    "--entry-age", is_flag=True, help="Estimated with who is older than the data, from their age."
)
@cut_options
@plot_option
@output_options_with_parts
@pass_session
def funnel(session: Session, output: Output, **asked: Any) -> None:
    r"""Count how customers move from stage to stage.

    \b
    Example:
      bowtie funnel --by channel --within 90d
      bowtie funnel --estimate --horizon 30d,60d,90d
      bowtie funnel --customers selection:pending --format csv
    """
    output.show(ask(session, "funnel", asked))
