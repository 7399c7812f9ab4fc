"""``bowtie partners``: tell the customers and the value that partners brought, or had a part in."""

from __future__ import annotations

from typing import Any

import click

from bowtie_cli.asking import ask, cut_options, whole_unit_options
from bowtie_cli.groups import Command
from bowtie_cli.output import Output, output_options
from bowtie_cli.session import Session, pass_session

__all__ = ["partners"]


@click.command(cls=Command)
@click.option("--policy", metavar="NAME|FILE", help="A value policy: horizon and value.")
@click.option("--horizon", metavar="TIME", help="Over which value counts (365d).")
@click.option(
    "--value",
    type=click.Choice(["revenue", "contribution"]),
    help="Revenue, or less the costs of onboarding and serving.",
)
@click.option("--most", type=click.IntRange(1), metavar="N", help="Show the first N (20).")
@whole_unit_options
@click.option("--currency", metavar="CODE", help="Refuse all others.")
@click.option("--include-truncated", is_flag=True, help="Customers older than the data too.")
@cut_options
@output_options
@pass_session
def partners(session: Session, output: Output, **asked: Any) -> None:
    r"""Tell the customers and the value that partners brought, or had a part in.

    \b
    Example:
      bowtie partners --most 5
      bowtie partners --policy worth
    """
    output.show(ask(session, "partners", asked))
