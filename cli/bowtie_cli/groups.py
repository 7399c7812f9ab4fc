"""Commands that load when they are needed, fail in one line, and take defaults from a file."""

from __future__ import annotations

import difflib
import importlib
import inspect
from collections.abc import Iterator, Mapping, MutableMapping
from pathlib import Path
from typing import Any

import click
from click.shell_completion import CompletionItem

from bowtie_cli.failures import Failure, failure_of
from bowtie_cli.session import Session, repeated_options
from bowtie_cli.settings import read_settings

__all__ = ["Command", "Group", "Root"]


class _Commands(MutableMapping[str, click.Command]):
    """The commands of a group by name, each imported when it is asked for.

    Args:
        lazy: the names of those in a module of their name, and what they do.
    """

    def __init__(self, lazy: Mapping[str, str]) -> None:
        self.lazy = dict(lazy)
        self._loaded: dict[str, click.Command] = {}

    def __getitem__(self, name: str) -> click.Command:
        if name not in self._loaded:
            if name not in self.lazy:
                raise KeyError(name)
            module = importlib.import_module(f"bowtie_cli.{name}")
            self._loaded[name] = getattr(module, name)
        return self._loaded[name]

    def __setitem__(self, name: str, command: click.Command) -> None:
        self._loaded[name] = command

    def __delitem__(self, name: str) -> None:
        self.lazy.pop(name, None)
        self._loaded.pop(name, None)

    def __iter__(self) -> Iterator[str]:
        return iter({**self.lazy, **self._loaded})

    def __len__(self) -> int:
        return len({**self.lazy, **self._loaded})

    def __contains__(self, name: object) -> bool:
        return name in self.lazy or name in self._loaded


class _Configured(click.Command):
    """A command that takes the options of the session too, and its defaults from the settings."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.help = unwrapped(self.help)
        self.params += repeated_options()

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Check the settings for this command before they are used."""
        if ctx.default_map and not ctx.resilient_parsing:
            known = {param.name or "" for param in self.params if not getattr(param, "hidden", 0)}
            if isinstance(self, click.Group):
                known |= set(self.commands)
            _refuse_unknown(ctx.default_map, known, f"the settings, [{'.'.join(_path(ctx))}]")
        return super().parse_args(ctx, args)


class Command(_Configured):
    """A command of bowtie."""


class Group(_Configured, click.Group):
    """Commands about one noun, listed in the order of their definition."""

    command_class = Command

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The names, in the order in which they were defined."""
        del ctx
        return list(self.commands)


class Root(click.Group):
    """The command ``bowtie`` itself.

    Args:
        sections: the headings of the help, and under each its commands with what they do.
    """

    def __init__(
        self, *args: Any, sections: Mapping[str, Mapping[str, str]], **kwargs: Any
    ) -> None:
        super().__init__(*args, **kwargs)
        self.help = unwrapped(self.help)
        self._sections = sections
        self._lazy = _Commands(
            {name: sections[one][name] for one in sections for name in sections[one]}
        )
        self.commands = self._lazy

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The names, in the order of the table: the way a user goes."""
        del ctx
        return list(self.commands)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands without importing them."""
        del ctx
        width = max(map(len, self._lazy.lazy))
        for heading, section in self._sections.items():
            with formatter.section(heading):
                formatter.write_dl([(name.ljust(width), does) for name, does in section.items()])

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Complete the names without importing the commands."""
        if incomplete.startswith("-"):
            return super().shell_complete(ctx, incomplete)
        return [
            CompletionItem(name, help=does)
            for name, does in self._lazy.lazy.items()
            if name.startswith(incomplete)
        ]

    def make_context(
        self,
        info_name: str | None,
        args: list[str],
        parent: click.Context | None = None,
        **extra: Any,
    ) -> click.Context:
        """Read the settings of the working folder, then the arguments."""
        if not extra.get("resilient_parsing"):
            settings = read_settings(Path())
            known = {param.name or "" for param in self.params} | set(self.commands)
            _refuse_unknown(settings, known, "the settings")
            extra.setdefault("default_map", settings)
        return super().make_context(info_name, args, parent, **extra)

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; what goes wrong becomes one line and an exit code."""
        try:
            return super().invoke(ctx)
        except (click.ClickException, click.exceptions.Exit, click.Abort, BrokenPipeError):
            raise
        except KeyboardInterrupt:
            raise Failure("interrupted", exit_code=130) from None
        except Exception as error:  # noqa: BLE001 - here is where every error becomes a line
            session = ctx.find_object(Session)
            raise failure_of(error, debug=session is not None and session.debug) from None


def unwrapped(help: str | None) -> str | None:
    r"""The help with click's mark for lines to leave alone, which a raw docstring spells ``\b``."""
    return help and inspect.cleandoc(help).replace("\\b\n", "\b\n")


def _path(ctx: click.Context) -> list[str]:
    """The names of the commands from below the root to this one."""
    return ctx.command_path.split()[1:]


def _refuse_unknown(settings: Any, known: set[str], where: str) -> None:
    for name in settings:
        if name not in known:
            near = difflib.get_close_matches(name, known, 1)
            hint = f"; did you mean {near[0]}?" if near else ""
            raise Failure(f"{where}: there is no option {name!r}{hint}", exit_code=2)
