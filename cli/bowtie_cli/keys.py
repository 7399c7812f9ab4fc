"""``bowtie keys``: the key that all others are wrapped by."""

from __future__ import annotations

import click

from bowtie_cli.groups import Group
from bowtie_cli.output import Answer, Output
from bowtie_cli.session import Session, pass_session

__all__ = ["keys"]


@click.group(cls=Group)
def keys() -> None:
    """Change the master key."""


@keys.command()
@click.option("--json", "as_json", is_flag=True, help="Print the report as one JSON object.")
@pass_session
def rotate(session: Session, *, as_json: bool) -> None:
    r"""Wrap all keys by a new master key; the old one opens nothing any more.

    The new key is put into the key file. Where BOWTIE_MASTER_KEY holds the master key, put the new
    one (32 bytes in base64) into BOWTIE_NEW_MASTER_KEY first.

    \b
    Example:
      bowtie keys rotate
    """
    import os

    from bowtie.sealing import MASTER_KEY_VARIABLE, NEW_MASTER_KEY_VARIABLE, key_file

    with session.engine() as engine:
        count = engine.change_master_key()
        place = engine.store.key_place
    notes = []
    if MASTER_KEY_VARIABLE in os.environ:
        where = NEW_MASTER_KEY_VARIABLE
        notes.append(f"Set {MASTER_KEY_VARIABLE} to the value of {where} now, everywhere.")
    else:
        where = "" if place is None else str(key_file(place))
        notes.append("Back the new key up; backups of the store made before need the old one.")
    whole = {"keys": count, "master_key": where}
    sentence = f"{count:,} customers' keys are wrapped by the new master key, in {where}."
    output = Output(session, "json" if as_json else "table")
    output.show(Answer(["keys", "master_key"], [whole], whole, sentence, notes))
