"""``bowtie policy``: what a customer's value is, under a name and a version."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from bowtie_cli.documents import row_of, show_list, show_published
from bowtie_cli.files import open_output
from bowtie_cli.groups import Group
from bowtie_cli.output import Answer, Output, output_options
from bowtie_cli.session import Session, pass_session
from bowtie_projections.cells import plain

if TYPE_CHECKING:
    from bowtie.documents import Document

__all__ = ["policy"]


@click.group(cls=Group)
def policy() -> None:
    """Publish, list, show and check value policies."""


@policy.command("list")
@output_options
@pass_session
def list_policies(session: Session, output: Output) -> None:
    r"""List the value policies that were published.

    \b
    Example:
      bowtie policy list
    """
    with session.engine() as engine:
        rows = [_described(one) for one in engine.documents("policy")]
    show_list(output, "policy", "policies", ["title", "says"], rows)


@policy.command()
@click.argument("file", type=click.Path(path_type=Path))
@output_options
@pass_session
def publish(session: Session, file: Path, output: Output) -> None:
    r"""Publish a value policy in the log: from then on --policy knows it by its name.

    The same name and version stand for the same text for ever; a change takes a new version.

    \b
    Example:
      bowtie policy publish worth.toml
    """
    from bowtie.policies import publish_policy

    with session.engine() as engine:
        head = engine.store.head()
        document = publish_policy(engine, file)
    whole = _described(document)
    show_published(output, document, head, whole)


@policy.command()
@click.argument("name")
@click.option("-o", "--output", type=click.Path(path_type=Path), metavar="FILE")
@pass_session
def show(session: Session, name: str, output: Path | None) -> None:
    r"""Print a value policy as it was published.

    \b
    Example:
      bowtie policy show worth
    """
    from bowtie.policies import load_policy

    with session.engine() as engine:
        published = {one.label: one.body for one in engine.documents("policy")}
        found = load_policy(name, published)
    with open_output(output) as stream:
        stream.write(found.text.encode())


@policy.command()
@click.argument("file", type=click.Path(path_type=Path))
@output_options
def check(file: Path, output: Output) -> None:
    r"""Check the file of a value policy; what is wrong is said with its line.

    \b
    Example:
      bowtie policy check worth.toml
    """
    from bowtie.policies import load_policy

    found = load_policy(file)
    row: dict[str, Any] = {"policy": found.label, "says": str(found), "sha256": found.sha256}
    row["tiers"] = ", ".join(tier.name for tier in found.tiers) or None
    output.show(Answer(list(row), [row], plain(row), f"{found.label} is a policy: {found}."))


def _described(document: Document) -> dict[str, Any]:
    """A published policy in a row; one that can't be read says why."""
    from bowtie.errors import DefinitionError
    from bowtie.policies import load_policy

    try:
        found = load_policy(document.body + "\n")
        title, says = found.title or None, str(found)
    except DefinitionError as error:
        title, says = None, f"can't be read: {error}"
    return row_of(document, "policy", {"title": title, "says": says})
