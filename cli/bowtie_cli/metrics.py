"""``bowtie metrics``: the metrics of a named edition of the bowtie."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import click

from bowtie_cli.asking import ask, cut_options, unit_options
from bowtie_cli.groups import Command
from bowtie_cli.output import Output, output_options
from bowtie_cli.readable import readable
from bowtie_cli.session import Session, pass_session
from bowtie_projections.cells import cell

__all__ = ["metrics"]


@click.command(cls=Command)
@click.option(
    "--edition",
    type=click.Choice(["wbd-2022", "wbd-2026"]),
    help="Whose numbers the metrics have (wbd-2026).",
)
@unit_options
@click.option("--within", metavar="TIME", help="How long a step may take (90d; right of it 180d).")
@click.option("--from", "from_", metavar="PERIOD", help="Entries from then: 2026, 2026-Q1, a day.")
@click.option("--to", metavar="PERIOD", help="Entries through the end of this period.")
@click.option("--lost-after", metavar="TIME", help="Silence so long is a loss, marked inferred.")
@click.option("--include-truncated", is_flag=True, help="Customers older than the data too.")
@cut_options
@output_options
@pass_session
def metrics(session: Session, output: Output, **asked: Any) -> None:
    r"""Show the volumes, conversions and days of a named edition of the bowtie.

    \b
    Example:
      bowtie metrics --edition wbd-2026 --from 2026-Q1
    """
    answer = ask(session, "metrics", asked)
    output.show(readable(output, answer, ("value", "low", "high"), _figure))


def _figure(row: Mapping[str, Any], name: str) -> str:
    """A figure as its unit has it: shares in per cent, days, money, and whole numbers."""
    value = row[name]
    kind = {"share": "share", "days": "days"}.get(row["unit"], "money")
    whole = value is not None and kind == "money" and not row["unit"].startswith("money")
    return cell(kind, int(value) if whole else value)
