"""``bowtie attribution``: which touches are given the credit."""

from __future__ import annotations

from typing import Any

import click

from bowtie_cli.asking import ask, cut_options, whole_unit_options
from bowtie_cli.groups import Command
from bowtie_cli.output import Output, output_options, plot_option
from bowtie_cli.session import Session, pass_session

__all__ = ["attribution"]

MODELS = (
    "first", "last", "linear", "position", "position_lead", "w", "full_path", "j", "inverse_j",
    "time_decay", "shapley", "markov", "all",
)  # fmt: skip


@click.command(cls=Command)
@click.option(
    "--model",
    "models",
    type=click.Choice(MODELS),
    metavar="NAME",
    multiple=True,
    help=f"One of {', '.join(MODELS)}; repeat it (first, last, linear, w, time_decay, shapley,"
    " markov).",
)
@click.option(
    "--by",
    type=click.Choice(["channel", "campaign", "medium", "touchpoint", "content"]),
    help="What is credited (channel).",
)
@click.option("--window", metavar="TIME", help="Touches count so long before (90d).")
@click.option("--half-life", metavar="TIME", help="A touch counts half after it, for decay (7d).")
@click.option("--order", type=click.IntRange(1, 3), help="Sources that a Markov chain remembers.")
@click.option(
    "--direction", type=click.Choice(["any", "inbound", "outbound"]), help="Of the touches (any)."
)
@whole_unit_options
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
@click.option("--include-truncated", is_flag=True, help="Customers older than the data too.")
@cut_options
@plot_option
@output_options
@pass_session
def attribution(session: Session, output: Output, **asked: Any) -> None:
    r"""Credit channels with commitments and value, model by model.

    \b
    Example:
      bowtie attribution --model first --model markov
      bowtie attribution --by campaign --window 30d --format csv
    """
    output.show(ask(session, "attribution", asked))
