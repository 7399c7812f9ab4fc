"""``bowtie init``: a store, its stage definition, and what is personal in it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import click

from bowtie_cli.definition import found_definition
from bowtie_cli.groups import Command
from bowtie_cli.output import Answer, Output, output_options
from bowtie_cli.session import Session, pass_session

if TYPE_CHECKING:
    from bowtie import Bowtie

__all__ = ["init"]


@click.command(cls=Command)
@click.option("--definition", metavar="NAME|FILE", help="The stage definition (b2b/1).")
@click.option(
    "--personal",
    metavar="NAME",
    multiple=True,
    help="A trait or property to seal; repeat it. Replaces email, phone, name and the like.",
)
@output_options
@pass_session
def init(
    session: Session, definition: str | None, personal: tuple[str, ...], output: Output
) -> None:
    r"""Create a store, or set what a store goes by; upgrade one that an older version made.

    \b
    Example:
      bowtie init --definition shop
    """
    if definition is not None:  # a wrong one must not leave a store behind
        found_definition(session, definition)
    with session.engine(create=True) as engine:
        upgraded = engine.store.upgrade()
        if personal:
            engine.init_personal_names(personal)
        if definition is not None:
            engine.init(definition)
        whole = {
            "store": engine.store.url,
            "store_id": engine.store.store_id,
            "definition": engine.definition.label,
            "personal_names": list(engine.personal_names),
            "master_key": _place_of_key(engine),
            "position": engine.store.head(),
        }
    rows = [{"setting": name.replace("_", " "), "value": _shown(whole[name])} for name in whole]
    done = "was upgraded, and is ready" if upgraded else "is ready"
    output.show(Answer(["setting", "value"], rows, whole, f"{whole['store']} {done}."))


def _place_of_key(engine: Bowtie) -> str | None:
    """Where to find what must be backed up apart from the store."""
    from bowtie.sealing import MASTER_KEY_VARIABLE, key_file

    if MASTER_KEY_VARIABLE in os.environ:
        return MASTER_KEY_VARIABLE
    place = engine.store.key_place
    return None if place is None else str(key_file(place))


def _shown(value: object) -> str:
    return ", ".join(value) if isinstance(value, list) else "" if value is None else str(value)
