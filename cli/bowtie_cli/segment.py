"""``bowtie segment``: sets of customers, told by what they are and did."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from bowtie_cli.asking import ask, moment_options, whole_unit_options
from bowtie_cli.documents import row_of, show_list, show_published
from bowtie_cli.files import open_output
from bowtie_cli.groups import Group
from bowtie_cli.output import Output, output_options, output_options_with_parts
from bowtie_cli.session import Session, pass_session

if TYPE_CHECKING:
    from bowtie.documents import Document

__all__ = ["segment"]


@click.group(cls=Group)
def segment() -> None:
    """Publish, list, show and check segments of customers."""


@segment.command("list")
@output_options
@pass_session
def list_segments(session: Session, output: Output) -> None:
    r"""List the segments that were published.

    \b
    Example:
      bowtie segment list
    """
    with session.engine() as engine:
        rows = [_described(one, engine.personal_names) for one in engine.documents("segment")]
    show_list(output, "segment", "segments", ["title", "test"], rows)


@segment.command()
@click.argument("file", type=click.Path(path_type=Path))
@output_options
@pass_session
def publish(session: Session, file: Path, output: Output) -> None:
    r"""Publish a segment in the log: from then on --segment knows it by its name.

    The same name and version stand for the same text for ever; a change takes a new version.

    \b
    Example:
      bowtie segment publish large.toml
    """
    from bowtie.segments import publish_segment

    with session.engine() as engine:
        head = engine.store.head()
        document = publish_segment(engine, file)
        whole = _described(document, engine.personal_names)
    show_published(output, document, head, whole)


@segment.command()
@click.argument("name")
@click.option("-o", "--output", type=click.Path(path_type=Path), metavar="FILE")
@pass_session
def show(session: Session, name: str, output: Path | None) -> None:
    r"""Print a segment as it was published.

    \b
    Example:
      bowtie segment show large
    """
    from bowtie.segments import load_segment

    with session.engine() as engine:
        published = {one.label: one.body for one in engine.documents("segment")}
        found = load_segment(name, engine.personal_names, published)
    with open_output(output) as stream:
        stream.write(found.text.encode())


@segment.command()
@click.argument("segment", metavar="FILE|NAME")
@click.option("--definition", metavar="NAME|FILE", help="Of the stages, if not the store's own.")
@whole_unit_options
@click.option("--who", is_flag=True, help="Those that are in it, by their keys.")
@click.option("--tz", metavar="ZONE", help="The zone of days (UTC).")
@moment_options
@output_options_with_parts
@pass_session
def check(session: Session, output: Output, **asked: Any) -> None:
    r"""Check a segment: how many meet each of its tests, and who is in it.

    What is wrong with a file is said with its line.

    \b
    Example:
      bowtie segment check large.toml
      bowtie segment check large --who --format csv
    """
    output.show(ask(session, "segment", asked))


def _described(document: Document, personal_names: tuple[str, ...]) -> dict[str, Any]:
    """A published segment in a row; one that can't be read says why."""
    from bowtie.errors import DefinitionError
    from bowtie.segments import load_segment

    try:
        found = load_segment(document.body + "\n", personal_names)
        title, test = found.title or None, str(found.test)
    except DefinitionError as error:
        title, test = None, f"can't be read: {error}"
    return row_of(document, "segment", {"title": title, "test": test})
