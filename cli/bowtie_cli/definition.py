"""``bowtie definition``: what it means to have entered a stage."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from bowtie_cli.asking import ask, moment_options, unit_options
from bowtie_cli.documents import row_of, show_published
from bowtie_cli.files import open_output
from bowtie_cli.groups import Group
from bowtie_cli.output import Answer, Output, output_options, output_options_with_parts
from bowtie_cli.session import Session, pass_session
from bowtie_projections.cells import plain

if TYPE_CHECKING:
    from bowtie import Definition

__all__ = ["definition", "found_definition"]


@click.group(cls=Group)
def definition() -> None:
    """Publish, list, show, copy, check and compare stage definitions."""


@definition.command("list")
@output_options
@pass_session
def list_definitions(session: Session, output: Output) -> None:
    r"""List the definitions: those that come with bowtie, the published ones, the store's own.

    \b
    Example:
      bowtie definition list
    """
    from bowtie.errors import StoreMissing
    from bowtie.stages import builtin_definitions, load_definition

    rows = [
        _described(one) | {"from": "bowtie", "published_at": None} for one in builtin_definitions()
    ]
    default = None
    try:
        with session.engine() as engine:
            default = engine.definition
            for document in engine.documents("definition"):
                found = load_definition(document.body, engine.personal_names)
                said = {"from": "log", "published_at": document.recorded_at}
                rows.append(_described(found) | said)
    except StoreMissing:
        pass
    if default is not None and default.label not in {row["definition"] for row in rows}:
        rows.append(_described(default) | {"from": "store", "published_at": None})
    for row in rows:
        row["default"] = default is not None and row["definition"] == default.label
    columns = [name for name in rows[0] if name != "sha256"]
    output.show(Answer(columns, rows, {"definitions": list(map(plain, rows))}))


@definition.command()
@click.argument("file", type=click.Path(path_type=Path))
@output_options
@pass_session
def publish(session: Session, file: Path, output: Output) -> None:
    r"""Publish a definition in the log: from then on --definition knows it by its name.

    The same name and version stand for the same text for ever; a change takes a new version.

    \b
    Example:
      bowtie definition publish saas.toml
    """
    with session.engine() as engine:
        head = engine.store.head()
        document = engine.publish_definition(file)
    show_published(output, document, head, row_of(document, "definition", {}))


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
        stream.write(found_definition(session, name).text.encode())


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
    from bowtie.errors import FileError

    if file.exists():
        raise FileError(str(file), "is there already: name another file, or remove it first")
    own = re.sub(r"[^a-z0-9_-]", "-", file.stem.lower()).lstrip("-_0123456789") or "own"
    text = re.sub(
        r'^name = ".*"',
        f'name = "{own}"',
        found_definition(session, name).text,
        count=1,
        flags=re.MULTILINE,
    )
    text = re.sub(r"^version = \d+", "version = 1", text, count=1, flags=re.MULTILINE)
    with open_output(file) as stream:
        stream.write(text.encode())
    session.say(f"{file} holds {own}/1: change it, then bowtie definition check {file}")


@definition.command()
@click.argument("name", metavar="NAME|FILE")
@unit_options
@moment_options
@output_options_with_parts
@pass_session
def check(session: Session, output: Output, **asked: Any) -> None:
    r"""Check a definition, and try it on the log: who enters, and which events no rule uses.

    What is wrong in a file is said with its line. Without a store only the text is checked.

    \b
    Example:
      bowtie definition check saas.toml
      bowtie definition check saas.toml --part events
    """
    from bowtie.errors import StoreMissing

    name = asked.pop("name")
    found = found_definition(session, name)
    described = _described(found) | {"ok": True}
    try:
        answer = ask(session, "definition_check", asked | {"definition": name})
    except StoreMissing:
        if session.store is not None:
            raise
        rows = _rules(found)
        whole = described | {"stages": rows}
        sentence = f"{name}: {found.label} is right; there is no store here to try it on."
        output.show(Answer(list(rows[0]), rows, whole, sentence))
        return
    answer.meta |= described
    answer.sentence = f"{name}: {found.label} is right. {answer.sentence}"
    output.show(answer)


@definition.command()
@click.argument("before", metavar="OLD")
@click.argument("after", metavar="NEW")
@unit_options
@click.option("--who", is_flag=True, help="Those that stand elsewhere, by their keys.")
@moment_options
@output_options_with_parts
@pass_session
def diff(session: Session, output: Output, **asked: Any) -> None:
    r"""Say who stands elsewhere by another definition, and which figures change.

    \b
    Example:
      bowtie definition diff b2b saas.toml
      bowtie definition diff academy/1 academy/2 --who
    """
    output.show(ask(session, "definition_diff", asked))


def found_definition(session: Session, name: str | None) -> Definition:
    """The definition of a name or a file; the store knows more of them, where there is one."""
    from bowtie import load_definition
    from bowtie.errors import StoreMissing

    try:
        with session.engine() as engine:
            return engine.definition if name is None else engine.load_definition(name)
    except StoreMissing:
        if name is None:
            raise
        return load_definition(name)


def _rules(found: Definition) -> list[dict[str, Any]]:
    """The events that enter each stage."""
    from bowtie.stages import STAGES

    return [
        {
            "stage": stage,
            "conditions": len(found.conditions[stage]),
            "events": ", ".join(dict.fromkeys(one.event for one in found.conditions[stage]))
            or "stage_entered only",
        }
        for stage in STAGES
    ]


def _described(found: Definition) -> dict[str, Any]:
    return {
        "definition": found.label,
        "title": found.title,
        "loss": found.loss,
        "lead": found.lead,
        "sha256": found.sha256,
    }
