"""``bowtie bottleneck``: which conversion or wait is worth most to mend."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from bowtie_cli.asking import ask, cut_options, touch_option, whole_unit_options
from bowtie_cli.funnel import PERIODS
from bowtie_cli.groups import Command
from bowtie_cli.output import Output, output_options, plot_option
from bowtie_cli.session import Session, pass_session

__all__ = ["bottleneck"]


@click.command(cls=Command)
@whole_unit_options
@click.option("--by", metavar="NAME", multiple=True, help="Each value by itself; repeat it.")
@click.option("--benchmark", type=click.Path(path_type=Path), metavar="FILE",
              help="What could be: stage, conversion, days.")  # fmt: skip
@click.option("--horizon", metavar="TIME", help="Revenue counts so long from commitment (365d).")
@click.option("--currency", metavar="CODE", help="Refuse all others.")
@click.option("--within", metavar="TIME", help="How long a step may take (90d; right of it 180d).")
@click.option("--cohort", type=PERIODS, help="Which cohorts are compared (quarter).")
@click.option("--from", "from_", metavar="PERIOD", help="Entries from then (two years back).")
@click.option("--to", metavar="PERIOD", help="Entries through the end of this period.")
@click.option("--skipped", type=click.Choice(["absent", "impute"]), help="A stage without entry.")
@click.option("--lost-after", metavar="TIME", help="Silence so long is a loss, marked inferred.")
@click.option("--top", type=click.IntRange(1), metavar="N", help="Show the N largest values (10).")
@click.option("--include-truncated", is_flag=True, help="Customers older than the data too.")
@touch_option
@cut_options
@plot_option
@output_options
@pass_session
def bottleneck(session: Session, output: Output, **asked: Any) -> None:
    r"""Find what, were it better, would add most revenue.

    \b
    Example:
      bowtie bottleneck --cohort quarter --horizon 365d
      bowtie bottleneck --benchmark benchmarks.csv
    """
    output.show(ask(session, "bottleneck", asked))
