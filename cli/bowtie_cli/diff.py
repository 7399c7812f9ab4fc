"""``bowtie diff``: which figures of a view changed, whom they count otherwise, and why."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import click

from bowtie_cli.asking import ask
from bowtie_cli.attribution import attribution
from bowtie_cli.flow import flow
from bowtie_cli.funnel import funnel
from bowtie_cli.groups import Command, Group
from bowtie_cli.loop import loop
from bowtie_cli.metrics import metrics
from bowtie_cli.output import Output, output_options_with_parts
from bowtie_cli.pipeline import pipeline
from bowtie_cli.readable import readable
from bowtie_cli.repeat import repeat
from bowtie_cli.retention import retention
from bowtie_cli.revenue import revenue
from bowtie_cli.rfm import rfm
from bowtie_cli.session import pass_session
from bowtie_cli.stock import stock
from bowtie_cli.value import value
from bowtie_cli.velocity import velocity
from bowtie_projections.cells import cell

if TYPE_CHECKING:
    from bowtie_cli.session import Session

__all__ = ["diff"]

#: What the two sides may differ in, and how each is written.
_DIFFERING = {"known_at": "T", "position": "N", "as_of": "T", "definition": "NAME|FILE"}
#: Options of views that ask for a list or for another answer, and those that print.
_OTHERS = {
    "customers", "opportunities", "compare", "changes", "targets", "plot", "part", "wide", "long",
    "since", "format", "as_json", "output_file",
}  # fmt: skip
#: A stock of many moments is another answer; recurring revenue has periods in any case.
_OF_STOCK = {"every"}
_NUMBERS = ("before", "after", "change")


@click.group(cls=Group)
def diff() -> None:
    """Say which figures of a view changed, whom they count otherwise, and by which events.

    Ask with the options of the view, and say from what to what: two moments at which something was
    known, two positions, two definitions, or two days.
    """


def _figure(row: Mapping[str, Any], name: str) -> str:
    value = row[name]
    # who joins and leaves is told of whole numbers alone
    whole = value is not None and row["joined"] is not None
    shown = cell(row["column"], int(value) if whole else value)
    return f"+{shown}" if name == "change" and value is not None and value > 0 else shown


def _sides() -> list[click.Parameter]:
    found: list[click.Parameter] = []
    for name, written in _DIFFERING.items():
        for side, word in (("from", "before"), ("to", "after")):
            found.append(
                click.Option(
                    [f"--{side}-{name.replace('_', '-')}", f"{word}_{name}"],
                    metavar=written,
                    type=click.IntRange(0) if name == "position" else None,
                    help=f"What --{name.replace('_', '-')} is {word}.",
                )
            )
    limit = click.Option(
        ["--limit"],
        type=click.IntRange(0),
        metavar="N",
        help="Name so many customers of each change (20; all: 0).",
    )
    return [*found, limit]


def _differing(view: click.Command, example: str) -> click.Command:
    """The command that tells how a view's answers differ: its options, and the two sides."""

    @output_options_with_parts
    @pass_session
    def answer(session: Session, output: Output, **asked: Any) -> None:
        question: dict[str, Any] = {"view": view.name}
        for word in ("before", "after"):
            given = {name: asked.pop(f"{word}_{name}") for name in _DIFFERING}
            question[word] = {name: value for name, value in given.items() if value is not None}
        if not question["before"] and not question["after"]:
            raise click.UsageError(
                "say from what to what, such as --from-known-at 2026-03-31: the other side is now"
            )
        found = ask(session, "diff", asked | question)
        output.show(readable(output, found, _NUMBERS, _figure))

    others = _OTHERS | _OF_STOCK if view is stock else _OTHERS
    own = [
        option
        for option in view.params
        if option.name not in others and not getattr(option, "hidden", False)
    ]
    return Command(
        view.name,
        callback=answer,
        params=[*_sides(), *own, *getattr(answer, "__click_params__", [])[::-1]],
        help=f"Say how two answers of bowtie {view.name} differ.\n\n\\b\nExample:\n  {example}",
    )


#: Each view that has a difference, with one.
_VIEWS = {
    funnel: "--from-known-at 2026-03-31 --to-known-at 2026-04-30 --as-of 2026-03-31",
    stock: "--from-as-of 2026-03-31 --to-as-of 2026-04-30",
    flow: "--from-position 1000 --from 2026-03",
    velocity: "--from-definition b2b --to-definition saas.toml",
    retention: "--from-as-of 2026-03-31 --to-as-of 2026-04-30 --cohort quarter",
    repeat: "--from-known-at 2026-03-31 --as-of 2026-03-31",
    pipeline: "--from-as-of 2026-03-31 --to-as-of 2026-04-30",
    value: "--from-as-of 2026-03-31 --to-as-of 2026-04-30 --cohort quarter",
    rfm: "--from-as-of 2026-03-31 --to-as-of 2026-04-30",
    revenue: "--from-known-at 2026-03-31 --to-known-at 2026-04-30 --as-of 2026-03-31",
    attribution: "--from-as-of 2026-03-31 --to-as-of 2026-04-30 --model linear",
    metrics: "--from-known-at 2026-03-31 --as-of 2026-03-31",
    loop: "--from-known-at 2026-03-31 --as-of 2026-03-31 --horizon 180d",
}
for _view, _example in _VIEWS.items():
    diff.add_command(_differing(_view, f"bowtie diff {_view.name} {_example}"))
