"""``bowtie explain``: whom a figure of a view counts, and the exact events behind it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from bowtie_cli.asking import EXPLAINED_BY
from bowtie_cli.attribution import attribution
from bowtie_cli.bottleneck import bottleneck
from bowtie_cli.clv import clv
from bowtie_cli.failures import Failure
from bowtie_cli.flow import flow
from bowtie_cli.funnel import funnel
from bowtie_cli.groups import Command, Group
from bowtie_cli.loop import loop
from bowtie_cli.metrics import metrics
from bowtie_cli.partners import partners
from bowtie_cli.paths import paths
from bowtie_cli.pipeline import pipeline
from bowtie_cli.profile import evaluate, history
from bowtie_cli.prospects import prospects
from bowtie_cli.referrals import referrals
from bowtie_cli.repeat import repeat
from bowtie_cli.retention import retention
from bowtie_cli.revenue import revenue
from bowtie_cli.rfm import rfm
from bowtie_cli.status import status
from bowtie_cli.stock import stock
from bowtie_cli.touchpoints import touchpoints
from bowtie_cli.value import value
from bowtie_cli.velocity import velocity

if TYPE_CHECKING:
    from bowtie_projections import Result, Views

__all__ = ["explain"]

#: Options of views that ask for another answer than the one that is explained.
_OTHER_ANSWERS = {"compare", "customers", "opportunities", "part", "plot", "targets"}
#: Options that say how rows are laid out, or what is done with them, and what they are here: a row
#: and a column for each figure, and nothing kept.
_FIXED = {"wide": None, "long": True, "record": False}


@click.group(cls=Group)
def explain() -> None:
    """Name whom a figure counts, and the exact events behind it.

    Ask with the options that the view was asked with, and name the figure by its row and column.
    """


@explain.group(cls=Group)
def profile() -> None:
    """Explain a figure of a profile: whom it assigned, and what became of them."""


def _parsed(
    context: click.Context, option: click.Parameter, written: tuple[str, ...]
) -> dict[str, str]:
    """The columns and values that name a row."""
    del context, option
    cell = {}
    for one in written:
        name, equals, value = one.partition("=")
        if not equals:
            raise click.BadParameter(f"{one!r}: write COLUMN=VALUE, such as stage=selection")
        cell[name.strip()] = value
    return cell


def _own_options() -> list[click.Parameter]:
    return [
        click.Option(
            ["--cell"],
            metavar="COLUMN=VALUE",
            multiple=True,
            callback=_parsed,
            help="The row of the figure: repeat it until it is one row.",
        ),
        click.Option(["--column"], metavar="NAME", required=True, help="The figure's column."),
        click.Option(["--part"], metavar="NAME", help="The further table that it stands in."),
        click.Option(["--data"], is_flag=True, help="Show the fields of each event too, as JSON."),
        click.Option(["--verify"], metavar="HASH", help="Exit with 3 if the hash is not this one."),
    ]


def _explaining(view: click.Command, name: str, figure: str) -> click.Command:
    """The command that explains a view: its own options, and those of the view.

    Args:
        view: the view's own command.
        name: how it is asked for.
        figure: one of it, as an example.
    """
    fixed = {param.name: _FIXED[param.name] for param in view.params if param.name in _FIXED}

    @click.pass_context
    def answer(
        context: click.Context,
        /,
        *,
        verify: str | None,
        cell: dict[str, str],
        column: str,
        part: str | None,
        data: bool,
        **asked: Any,
    ) -> None:
        found: list[Result] = []

        def explained(views: Views, name: str, parameters: dict[str, Any]) -> Result:
            own: dict[str, Any] = {"cell": cell, "column": column, "part": part, "data": data}
            found.append(views.explain(name, **own, **parameters))
            return found[0]

        context.meta[EXPLAINED_BY] = explained
        assert view.callback is not None  # noqa: S101 - for the type checker
        context.invoke(view.callback, **asked, **fixed)
        if verify is not None and found[0].meta["hash"] != verify.strip().lower():
            raise Failure(
                f"the hash is {found[0].meta['hash']}, not the one given: other customers or other"
                " events are behind the figure, or it was asked otherwise",
                exit_code=3,
            )

    return Command(
        view.name,
        callback=answer,
        params=[
            *_own_options(),
            *(
                option
                for option in view.params
                if option.name not in {*_OTHER_ANSWERS, *_FIXED}
                and not getattr(option, "hidden", False)
            ),
        ],
        help=f"Explain a figure of bowtie {name}."
        f"\n\n\\b\nExample:\n  bowtie explain {name} {figure}",
    )


#: Each view that can be explained, with a figure of it.
_VIEWS = {
    funnel: "--by channel --cell stage=selection --cell channel=webinar --column lost",
    stock: "--cell stage=onboarding --column customers",
    flow: "--cell period=2026-01 --cell stage=selection --column entered",
    velocity: "--cell step=selection_to_commitment --cell cohort=2026-Q1 --column moved",
    retention: "--cell cohort=2026-01 --cell age=3 --column active",
    revenue: "--cell period=2026-01 --cell currency=EUR --column churned",
    repeat: "--cell cohort=2026-01 --column customers",
    touchpoints: "--cell touchpoint=booth --cell stage=selection --column touches",
    pipeline: "--cell stage=selection --cell currency=EUR --column opportunities",
    paths: "--part moves --cell source=education --cell target=selection --column moves",
    bottleneck: "--cell stage=selection --cell lever=conversion --column mature",
    value: "--cohort quarter --cell cohort=2025-Q1 --column high",
    clv: "--by channel --cell channel=webinar --column predicted_value",
    rfm: "--cell segment=champions --column customers",
    prospects: "--cell rank=1 --column p_win",
    referrals: "--cell customer=acme --column chain_value",
    partners: "--cell partner=globex --column sourced",
    metrics: "--cell metric=win_rate --column value",
    attribution: "--cell channel=webinar --cell model=linear --column wins",
    loop: "--part sources --cell source=referral --column high",
    status: "--part sources --cell source=crm --column out_of_sequence",
}
#: The same of profiles.
_OF_PROFILES = {
    evaluate: "lookalike --cell arm=targeted --column converted",
    history: "lookalike --cell profile=lookalike/1 --column assigned",
}
for _view, _figure in _VIEWS.items():
    explain.add_command(_explaining(_view, str(_view.name), _figure))
for _own, _figure in _OF_PROFILES.items():
    profile.add_command(_explaining(_own, f"profile {_own.name}", _figure))
