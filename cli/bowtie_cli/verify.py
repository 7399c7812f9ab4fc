"""``bowtie verify``: the log against its rules, and the read tables against the log."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from bowtie_cli.cells import plain
from bowtie_cli.groups import Command
from bowtie_cli.output import Answer, Output, output_options
from bowtie_cli.progress import positions
from bowtie_cli.session import Session, pass_session

if TYPE_CHECKING:
    from bowtie.verifying import Problem

__all__ = ["verify"]

_NOTES = 20


@click.command(cls=Command)
@click.option("--log-only", is_flag=True, help="Leave the read tables out.")
@output_options
@pass_session
@click.pass_context
def verify(context: click.Context, session: Session, output: Output, *, log_only: bool) -> None:
    r"""Check the log, and the read tables against it.

    Versions of streams, times of recording, ids, what each event says; then that each read table
    equals one made anew. Exit code 3 if there are problems; notes are none.

    \b
    Example:
      bowtie verify
    """
    from bowtie.verifying import verify_log

    with session.engine() as engine:
        with positions("Checking the log", session) as progress:
            found = list(verify_log(engine.store, progress))
        checked = engine.store.count(engine.store.head())
        if not log_only:
            from bowtie_projections.verifying import verify_tables

            with positions("Replaying to compare", session) as progress:
                tables = session.tables(engine)
                found += verify_tables(engine.store, tables, engine.definition, progress)
    answer = _answer(found, checked)
    output.show(answer)
    context.exit(0 if answer.whole["ok"] else 3)


def _answer(found: list[Problem], checked: int) -> Answer:
    problems = [_row(one) for one in found if not one.note]
    notes = [one for one in found if one.note]
    said = [
        f"{one.problem}{f' (position {one.position:,})' if one.position else ''}" for one in notes
    ]
    whole = {
        "ok": not problems,
        "events": checked,
        "problems": plain(problems),
        "notes": [_row(one) for one in notes],
    }
    if len(said) > _NOTES:
        said[_NOTES:] = [f"and {len(said) - _NOTES:,} more notes, all of them in --json"]
    sentence = f"{checked:,} events checked: " + (
        f"{len(problems):,} problems." if problems else "no problems."
    )
    columns = ["check", "position", "problem"] if problems else []
    return Answer(columns, problems, whole, sentence, said)


def _row(one: Problem) -> dict[str, object]:
    return {"check": one.check, "position": one.position, "problem": one.problem}
