"""``bowtie funnel``: how customers move from stage to stage."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import click

from bowtie_cli.asking import ask, cut_options, given, touch_option, unit_options
from bowtie_cli.beside import beside_options
from bowtie_cli.groups import Command
from bowtie_cli.output import Output, output_options_with_parts, plot_option
from bowtie_cli.session import Session, pass_session

__all__ = ["funnel"]

#: What only steps are asked, and what only stages are, as parameters.
_OF_STEPS = (
    "order",
    "within_each",
    "after_each",
    "exclude",
    "hold",
    "count",
    "reentry",
)
_OF_STAGES = (
    "cohort_stage",
    "skipped",
    "lost_after",
    "shrink",
    "compare",
    "targets",
    "include_truncated",
    "data_from",
    "estimate",
    "horizon",
    "entry_age",
)
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
@beside_options
@click.option("--include-truncated", is_flag=True, help="Customers older than the data too.")
@click.option("--estimate", is_flag=True, help="The share of all, those still waiting too.")
@click.option("--horizon", metavar="TIMES", help="Estimated at 30d,60d,90d, or the whole curve.")
@click.option(
    "--entry-age", is_flag=True, help="Estimated with who is older than the data, from their age."
)
@click.option(
    "--step",
    "steps",
    metavar="EVENT",
    multiple=True,
    help='A funnel over events instead: one for each step, such as "noted[name=cart_added]".',
)
@click.option(
    "--order",
    type=click.Choice(["ordered", "strict", "any"]),
    help="With --step: may others come between (ordered).",
)
@click.option("--within-each", metavar="TIME", help="With --step: from one to the next at most.")
@click.option("--after-each", metavar="TIME", help="With --step: from one to the next at least.")
@click.option(
    "--exclude",
    metavar="EVENT@A-B",
    multiple=True,
    help="With --step: what may not come between steps A and B.",
)
@click.option("--hold", metavar="FIELD", help="With --step: the same value in all steps.")
@click.option(
    "--count",
    type=click.Choice(["customers", "cycles", "conversions"]),
    help="With --step: what is counted (customers).",
)
@click.option(
    "--reentry",
    type=click.Choice(["latest", "first"]),
    help="With --step: which first step counts (latest).",
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
      bowtie funnel --step "noted[name=cart_added]" --step order_placed --within 7d
    """
    view = "steps" if asked["steps"] else "funnel"
    _refuse_the_other(view, asked)
    if view == "steps" and asked.pop("cycles"):
        asked["count"] = "cycles"
    output.show(ask(session, view, asked))


def _refuse_the_other(view: str, asked: Mapping[str, Any]) -> None:
    """Options that say nothing of this funnel are no option of it."""
    own = given(asked)
    for name in _OF_STAGES if view == "steps" else _OF_STEPS:
        if name not in own:
            continue
        option = "--" + name.replace("_", "-")
        if view == "steps":
            hint = " (--from says from when first steps count)" if name == "data_from" else ""
            problem = f"{option} is of the funnel over stages: leave it out, or --step{hint}"
        else:
            problem = (
                f"{option} is of a funnel over events: name its steps with --step, twice or more"
            )
        raise click.UsageError(problem)
    if view == "steps" and own.get("cycles") and own.get("count", "cycles") != "cycles":
        raise click.UsageError(f"--cycles and --count {own['count']} say two things: keep one")
