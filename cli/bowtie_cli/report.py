"""``bowtie report``: one web page of many views' answers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from bowtie_cli.asking import as_typed, cut_options, given
from bowtie_cli.files import open_output
from bowtie_cli.groups import Command
from bowtie_cli.session import Session, pass_session

__all__ = ["report"]


def _page(context: click.Context, option: click.Parameter, file: Path) -> Path:
    """Told before anything is computed: what is no page."""
    del context, option
    if str(file) != "-" and file.suffix.lower() != ".html":
        raise click.BadParameter(f"{file}: name a file that ends in .html, or - for the output")
    return file


@click.command(cls=Command)
@click.option(
    "--section",
    "sections",
    metavar="NAME",
    multiple=True,
    help="Only this one; repeat it: funnel, stock, flow, velocity, revenue, retention, repeat,"
    " value, sources, loop, attribution, profile, prospects, missing.",
)
@click.option("--title", metavar="TEXT", help="Of the page.")
@click.option("--by", metavar="NAME", multiple=True, help="Beside the whole: by this; repeat it.")
@click.option(
    "--horizon",
    metavar="TIME",
    help="Over which value counts (the longest of 365d, 180d, 90d with 100 old enough).",
)
@click.option("--top", metavar="SHARE", help="High are the top so many (0.2).")
@click.option("--threshold", metavar="MONEY", help="High is a value from here on; not --top.")
@click.option("--policy", metavar="NAME|FILE", help="A value policy: horizon, value and high.")
@click.option("--currency", metavar="CODE", help="Refuse all others.")
@click.option("--prospects", is_flag=True, help="Score the open prospects too: a model is trained.")
@click.option("--customers", is_flag=True, help="Name customers by their keys, where any are told.")
@cut_options
@click.option(
    "-o",
    "--output",
    metavar="FILE",
    type=click.Path(path_type=Path),
    default=Path("report.html"),
    callback=_page,
    help="The page: a file that ends in .html, or - (report.html).",
)
@pass_session
def report(session: Session, output: Path, **asked: Any) -> None:
    r"""Write one web page of many views' answers, for whoever asks none.

    It says how the bowtie stands, what it is worth, who the good customers are and where they come
    from; all at one position. It needs no network, and holds the command behind each figure.

    \b
    Example:
      bowtie report -o report.html
      bowtie report --by channel --as-of 2026-03-31 --section funnel --section value
    """
    parameters = given(asked)
    refresh = not parameters.pop("no_refresh", False)
    wait, definition = parameters.pop("wait", None), parameters.get("definition")
    with as_typed():
        from bowtie_projections.report import check_report

        check_report(parameters)
    with as_typed(), session.answers(refresh=refresh, wait=wait, definition=definition) as views:
        page = views.report(**parameters)
    with open_output(None if str(output) == "-" else output) as stream:
        stream.write(page.html.encode())
    if session.verbose:
        for statement in page.sql:
            session.say(f"{statement};\n")
    if str(output) != "-":
        session.say(f"Report written to {output}")
