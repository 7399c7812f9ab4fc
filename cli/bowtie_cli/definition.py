"""``bowtie definition``: what it means to have entered a stage."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from bowtie_cli.asking import ask, refresh_options, unit_options
from bowtie_cli.groups import Group
from bowtie_cli.output import Answer, Output, open_output, output_options
from bowtie_cli.session import Session, pass_session

if TYPE_CHECKING:
    from bowtie import Definition

__all__ = ["definition"]


@click.group(cls=Group)
def definition() -> None:
    """Show, copy, check and compare stage definitions."""


@definition.command("list")
@output_options
@pass_session
def list_definitions(session: Session, output: Output) -> None:
    r"""List the definitions that come with bowtie, and the store's own.

    \b
    Example:
      bowtie definition list
    """
    from bowtie.errors import StoreMissing
    from bowtie.stages import builtin_definitions

    found = list(builtin_definitions())
    default = None
    try:
        with session.engine() as engine:
            default = engine.definition
    except StoreMissing:
        pass
    if default is not None and default not in found:
        found.append(default)
    rows = [_described(one) | {"default": one == default} for one in found]
    columns = [name for name in rows[0] if name != "sha256"]
    output.show(Answer(columns, rows, {"definitions": rows}))


@definition.command()
@click.argument("name", required=False)
@click.option("-o", "--output", type=click.Path(path_type=Path), metavar="FILE")
@pass_session
def show(session: Session, name: str | None, output: Path | None) -> None:
    r"""Print a definition; without NAME the store's own.

    \b
    Example:
      bowtie definition show shop
    """
    with open_output(output) as stream:
        stream.write(_found(session, name).text.encode())


@definition.command("init")
@click.argument("name")
@click.option(
    "-o", "--output", "file", metavar="FILE", required=True, type=click.Path(path_type=Path)
)
@pass_session
def init_definition(session: Session, name: str, file: Path) -> None:
    r"""Copy a definition to a file of your own, under the file's name.

    \b
    Example:
      bowtie definition init b2b -o saas.toml
    """
    from bowtie import load_definition
    from bowtie.errors import FileError

    if file.exists():
        raise FileError(str(file), "is there already: name another file, or remove it first")
    own = re.sub(r"[^a-z0-9_-]", "-", file.stem.lower()).lstrip("-_0123456789") or "own"
    text = re.sub(
        r'^name = ".*"', f'name = "{own}"', load_definition(name).text, count=1, flags=re.MULTILINE
    )
    text = re.sub(r"^version = \d+", "version = 1", text, count=1, flags=re.MULTILINE)
    with open_output(file) as stream:
        stream.write(text.encode())
    session.say(f"{file} holds {own}/1: change it, then bowtie definition check {file}")


@definition.command()
@click.argument("file")
@output_options
def check(file: str, output: Output) -> None:
    r"""Check a definition; what is wrong is said with its line.

    \b
    Example:
      bowtie definition check saas.toml
    """
    from bowtie import load_definition
    from bowtie.stages import STAGES

    found = load_definition(file)
    rows = [
        {
            "stage": stage,
            "conditions": len(found.conditions[stage]),
            "events": ", ".join(dict.fromkeys(one.event for one in found.conditions[stage]))
            or "stage_entered only",
        }
        for stage in STAGES
    ]
    whole = _described(found) | {"ok": True, "stages": rows}
    output.show(Answer(list(rows[0]), rows, whole, f"{file}: {found.label} is right."))


@definition.command()
@click.argument("before")
@click.argument("after")
@unit_options
@click.option("--who", is_flag=True, help="Those that stand elsewhere, by their keys.")
@click.option("--as-of", metavar="T", help="The world as it was then.")
@click.option("--known-at", metavar="T", help="What this store had been told by then.")
@refresh_options
@output_options
@pass_session
def compare(session: Session, output: Output, **asked: Any) -> None:
    r"""Count the customers that stand elsewhere by another definition.

    \b
    Example:
      bowtie definition compare b2b saas.toml
    """
    output.show(ask(session, "compare", asked))


def _found(session: Session, name: str | None) -> Definition:
    from bowtie import load_definition

    if name is not None:
        return load_definition(name)
    with session.engine() as engine:
        return engine.definition


def _described(found: Definition) -> dict[str, Any]:
    return {
        "definition": found.label,
        "title": found.title,
        "loss": found.loss,
        "lead": found.lead,
        "sha256": found.sha256,
    }
