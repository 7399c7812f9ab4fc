"""What the views' commands share: the options of every question, and the way it is asked."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

import click

from bowtie_projections.cells import plain
from bowtie_projections.options import as_options as written

if TYPE_CHECKING:
    from bowtie_cli.session import Session
    from bowtie_projections import Result

__all__ = [
    "EXPLAINED_BY",
    "as_options",
    "as_typed",
    "ask",
    "cut_options",
    "given",
    "knowledge_options",
    "moment_options",
    "refresh_options",
    "touch_option",
    "unit_options",
    "whole_unit_options",
]

#: What a context holds that explains a figure of the view: asked instead of the view itself.
EXPLAINED_BY = "bowtie_cli.explained_by"
F = TypeVar("F", bound=Callable[..., Any])


def ask(session: Session, view: str, asked: Mapping[str, Any]) -> Result:
    """The answer of a view; what was not asked for is left to its defaults."""
    parameters = given(asked)
    refresh = not parameters.pop("no_refresh", False)
    wait, definition = parameters.pop("wait", None), parameters.get("definition")
    with as_typed():
        from bowtie_projections.checking import check_question

        # opening a large store takes seconds, and bringing its tables up to date may take minutes
        check_question(view, parameters)
    with (
        as_typed(),
        session.answers(refresh=refresh, wait=wait, definition=definition, at_once=True) as views,
    ):
        explained = click.get_current_context().meta.get(EXPLAINED_BY)
        result: Result = (
            getattr(views, view)(**parameters)
            if explained is None
            else explained(views, view, parameters)
        )
    result.sentence, *result.notes = map(as_options, [result.sentence, *result.notes])
    if session.shows_progress and result.meta.get("as_of") is not None:
        session.say(_where(result, asked))
    if session.verbose:
        for statement in result.sql:
            session.say(f"{statement};\n")
    return result


def _where(result: Result, asked: Mapping[str, Any]) -> str:
    """Definition, day and position of an answer, for whoever reads it later."""
    meta = result.meta
    newest = "" if asked.get("as_of") else " (the newest fact)"
    known = f"known at {plain(meta['known_at'])}, " if meta.get("known_at") else ""
    return (
        f"{meta['definition']}, as of {plain(meta['as_of'])}{newest}, {known}"
        f"position {meta['position']:,}."
    )


@contextmanager
def as_typed() -> Iterator[None]:
    """What is refused names the options of the command line."""
    from bowtie.errors import Refused, UsageError

    try:
        yield
    except (Refused, UsageError) as error:
        error.args = (as_options(str(error)),)
        raise


def as_options(said: str) -> str:
    """What a view says of its parameters, as one writes them for the command that runs."""
    options = {
        str(param.name): (param.opts[0], param.is_flag)
        for param in click.get_current_context().command.params
        if isinstance(param, click.Option)
    }
    return written(said, options)


def given(asked: Mapping[str, Any]) -> dict[str, Any]:
    """The options that were given."""
    return {
        name: list(value) if isinstance(value, tuple) else value
        for name, value in asked.items()
        if value is not None and value is not False and value != ()
    }


def _stack(*options: Callable[[F], F]) -> Callable[[F], F]:
    def decorate(command: F) -> F:
        for option in reversed(options):
            command = option(command)
        return command

    return decorate


#: Whether and how long to wait for the read tables.
refresh_options = _stack(
    click.option("--no-refresh", is_flag=True, help="Answer from the tables as they stand."),
    click.option(
        "--wait", type=click.FloatRange(0), metavar="SECONDS", help="For another process (30)."
    ),
)

_UNITS = ("customer", "account", "opportunity", "cycle")


def _units(*units: str) -> Callable[[F], F]:
    return _stack(
        click.option("--unit", type=click.Choice(units), help="What is counted (customer)."),
        click.option(
            "--look-back", metavar="TIME", help="Touches count so long before a membership (90d)."
        ),
    )


#: What a view counts; and what one counts in which a cycle is no unit.
unit_options = _units(*_UNITS)
whole_unit_options = _units(*_UNITS[:-1])

#: Up to where the log is asked.
knowledge_options = _stack(
    click.option("--known-at", metavar="T", help="What this store had been told by then."),
    click.option(
        "--position", type=click.IntRange(0), metavar="N", help="The log up to a position."
    ),
)

#: At which point of both clocks a question is asked.
moment_options = _stack(
    click.option("--as-of", metavar="T", help="The world as it was then."),
    knowledge_options,
    refresh_options,
)

#: Which touch a breakdown by channel, campaign and the like reads.
touch_option = click.option(
    "--touch",
    type=click.Choice(["first", "last", "step"]),
    help="Whose channel --by takes: the first touch's, the last one's, the step's own (first).",
)

#: The same, by which definition, over which data, and of which customers.
cut_options = _stack(
    click.option("--segment", metavar="NAME|FILE", help="Only the customers of a segment."),
    click.option(
        "--where",
        metavar="TEST",
        multiple=True,
        help="Only customers with plan=pro, size>=50, channel=web, stage=selection; repeat it.",
    ),
    click.option(
        "--segment-as-of",
        metavar="T|entry",
        help="When they are judged, if not --as-of; entry: each when they entered.",
    ),
    click.option("--as-of", metavar="T", help="The world as it was then."),
    knowledge_options,
    click.option("--definition", metavar="NAME|FILE", help="If not the store's own."),
    click.option("--data-from", metavar="DAY", help="Where the data begins."),
    click.option("--data-through", metavar="DAY", help="Up to when the data is complete."),
    click.option("--tz", metavar="ZONE", help="The zone of days and months (UTC)."),
    refresh_options,
)
