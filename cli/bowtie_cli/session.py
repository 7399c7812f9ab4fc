"""What all commands of one call share: where the store and the tables are, and how much to say."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from bowtie import Bowtie
    from bowtie_projections import Views
    from bowtie_projections.databases.contract import Tables

__all__ = ["Session", "pass_session", "repeated_options", "session_options"]

F = TypeVar("F", bound=Callable[..., Any])
#: Where the store is unless it is named, in the working folder.
DEFAULT_STORE = "bowtie.db"


@dataclass(slots=True)
class Session:
    """The options that go with every command."""

    store: str | None = None
    views: str | None = None
    silent: bool = False
    verbose: int = 0
    debug: bool = False

    @contextmanager
    def engine(self, *, create: bool = False) -> Iterator[Bowtie]:
        """The store, opened; made where it isn't there only if ``create``."""
        from bowtie import Bowtie

        with Bowtie.open(self.store or f"sqlite:///{DEFAULT_STORE}", create=create) as engine:
            yield engine

    @contextmanager
    def answers(
        self,
        *,
        refresh: bool = True,
        wait: float | None = None,
        definition: str | None = None,
        at_once: bool = False,
    ) -> Iterator[Views]:
        """The views of the store, brought up to date first.

        Where no store is named and none is there, those of the tables alone: made from log files.

        Args:
            refresh: bring the tables up to date.
            wait: for another process, in seconds.
            definition: what is asked by, which tables without a store may need to be read.
            at_once: nothing else is done meanwhile, so a file may be held until the end.
        """
        from bowtie_cli.progress import positions

        if self.views is not None and self.store is None and not Path(DEFAULT_STORE).exists():
            from bowtie_projections.storeless import storeless_views

            with storeless_views(self.views, definition, wait) as views:
                yield views
            return
        with self.engine() as engine, positions("Replaying", self) as progress:
            from bowtie_projections import Views

            with Views.open(
                engine, self.views, refresh=refresh, wait=wait, progress=progress, at_once=at_once
            ) as views:
                yield views

    def tables(self, engine: Bowtie | None, wait: float | None = None) -> Tables:
        """Where the read tables are: as named, or beside the store.

        Args:
            wait: for other processes that hold them, in seconds.
        """
        from bowtie_projections import tables_of

        return tables_of(self.views, engine, wait)

    def say(self, text: str = "") -> None:
        """Tell the user something that is no data: on standard error, unless silent."""
        if not self.silent:
            click.echo(text, err=True)

    @property
    def shows_progress(self) -> bool:
        """Whether someone is there to watch."""
        return not self.silent and bool(sys.stderr) and sys.stderr.isatty()


def pass_session(command: F) -> F:
    """Give the session to a command as its first argument."""
    return click.make_pass_decorator(Session)(command)  # type: ignore[return-value]  # the same command, called with less


def session_options() -> list[click.Parameter]:
    """The options of the session, for the command ``bowtie`` itself."""
    return [
        click.Option(
            ["--store"], metavar="URL", help="The store: a file or sqlite:///FILE (bowtie.db)."
        ),
        click.Option(
            ["--views"],
            metavar="URL",
            help="The read tables: a file or a database (beside the store).",
        ),
        click.Option(["--silent"], is_flag=True, help="Say nothing but data and errors."),
        click.Option(["-v", "--verbose"], count=True, help="Say more: the SQL that ran."),
        click.Option(["--debug"], is_flag=True, help="Show where in the code an error arose."),
    ]


def repeated_options() -> list[click.Parameter]:
    """The same options for a command, since everyone writes them behind it too."""
    options = session_options()
    for option in options:
        assert isinstance(option, click.Option)  # noqa: S101 - for the type checker
        option.hidden, option.expose_value = True, False
        option.callback, option.allow_from_autoenv = _overrule, False
    return options


def _overrule(context: click.Context, option: click.Parameter, value: Any) -> None:
    session = context.find_object(Session)
    if session is not None and value and option.name:
        setattr(session, option.name, value)
