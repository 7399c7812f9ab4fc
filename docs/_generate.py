"""The parts of the docs that are written from the code, for the cog blocks in the pages.

`make cog` writes them anew, `make docs` fails where a page and the code differ.
"""

from __future__ import annotations

import inspect
import re
from typing import Any, Literal, get_args, get_origin, get_type_hints

from bowtie import errors, events, fields

#: What a field holds, by its type in the catalogue.
HOLDS = (
    (fields.Text, "text"),
    (fields.Money, "money"),
    (fields.Number, "number"),
    (fields.Currency, "currency"),
    (fields.Day, "day"),
    (fields.Flag, "true or false"),
    (fields.Whole, "whole number"),
    (fields.ScalarMap, "map"),
)
#: As wide as a terminal that a page can show.
HELP_WIDTH = 88


def _first_paragraph(text: str | None) -> str:
    """The first paragraph of a docstring as Markdown, on one line."""
    words = " ".join(inspect.cleandoc(text or "").split("\n\n")[0].split())
    return re.sub(r"`{2}([^`]+)`{2}", r"`\1`", re.sub(r":\w+:`~?([^`]+)`", r"`\1`", words))


def _holds(hint: Any, *, personal: bool) -> str:
    parts = (hint, *get_args(hint))
    for part in parts:
        if get_origin(part) is Literal:
            *first, last = (f"`{value}`" for value in get_args(part))
            return f"{', '.join(first)} or {last}"
    for kind, words in HOLDS:
        if kind in parts:
            return words
    if personal:
        return "text, sealed"
    raise TypeError(f"the docs have no words for {hint}")


def event_catalogue() -> str:
    """Every event: its name on the wire, what it says, its fields."""
    lines = []
    for model in events.CATALOGUE.values():
        lines += [f"### {model.__name__}", "", f"`bowtie.{model.type_name}`"]
        kinds = sorted(events.stream_kinds(model))
        if kinds != ["customer"]:
            streams = ", ".join(f"`{kind}`" for kind in kinds)
            lines.append(f"in streams of kind {streams}")
        lines += ["", _first_paragraph(model.__doc__), ""]
        if not model.model_fields:
            lines += ["It has no fields.", ""]
            continue
        hints = get_type_hints(model, include_extras=True)
        personal = events.personal_fields(model)
        lines += ["| field | holds | |", "|---|---|---|"]
        for name, field in model.model_fields.items():
            holds = _holds(hints[name], personal=name in personal)
            lines.append(f"| `{name}` | {holds} | {'required' if field.is_required() else ''} |")
        lines.append("")
    return "\n".join(lines)


def personal_names() -> str:
    """The names of traits and properties that are sealed by default."""
    return ", ".join(f"`{name}`" for name in events.PERSONAL_NAMES) + "."


def error_tree() -> str:
    """Every error, below the one it is a kind of, with its exit code."""
    lines: list[str] = []

    def walk(error: type[errors.BowtieError], depth: int) -> None:
        builtins = [base.__name__ for base in error.__bases__ if base.__module__ == "builtins"]
        also = f", also `{builtins[0]}`" if error.__bases__[1:] else ""
        lines.append(
            f"{'  ' * depth}- **{error.__name__}** (exit code {error.exit_code}{also}):"
            f" {_first_paragraph(error.__doc__)}"
        )
        for kind in error.__subclasses__():
            if kind.__module__ == errors.__name__:
                walk(kind, depth + 1)

    walk(errors.BowtieError, 0)
    return "\n".join(lines)


def command_reference() -> str:
    """The help of every command, as `--help` prints it."""
    import click

    from bowtie_cli.main import main

    lines: list[str] = []

    def walk(command: click.Command, name: str, parent: click.Context | None) -> None:
        context = click.Context(
            command,
            info_name=name,
            parent=parent,
            terminal_width=HELP_WIDTH,
            max_content_width=HELP_WIDTH,
        )
        depth = 2 if parent is None else 3 if parent.parent is None else 4
        lines.extend([f"{'#' * depth} `{context.command_path}`", "", "```text"])
        lines.extend([line.rstrip() for line in command.get_help(context).splitlines()])
        lines.extend(["```", ""])
        if isinstance(command, click.Group):
            for child in command.list_commands(context):
                found = command.get_command(context, child)
                if found is not None and not found.hidden:
                    walk(found, child, context)

    walk(main, "bowtie", None)
    return "\n".join(lines)
