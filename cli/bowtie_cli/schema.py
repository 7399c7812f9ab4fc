"""``bowtie schema``: what a line of a log must look like."""

from __future__ import annotations

import json
from pathlib import Path

import click

from bowtie_cli.files import open_output
from bowtie_cli.groups import Command

__all__ = ["schema"]


@click.command(cls=Command)
@click.argument("type", required=False)
@click.option("-o", "--output", type=click.Path(path_type=Path), metavar="FILE")
def schema(type: str | None, output: Path | None) -> None:
    r"""Print the JSON Schema of the wire.

    TYPE is an event, such as touched; without it the schema takes any event of the catalogue.

    \b
    Example:
      bowtie schema touched
    """
    from bowtie.schema import wire_schema

    text = json.dumps(wire_schema(type), indent=2) + "\n"
    with open_output(output) as stream:
        stream.write(text.encode())
