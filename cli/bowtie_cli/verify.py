"""``bowtie verify``: the log against its rules, and the read tables against the log."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from bowtie_cli.groups import Command
from bowtie_cli.output import Answer, Output, output_options
from bowtie_cli.progress import positions
from bowtie_cli.session import Session, pass_session
from bowtie_projections.cells import plain

if TYPE_CHECKING:
    from bowtie import Bowtie
    from bowtie.verifying import KeptSeal, Problem

__all__ = ["verify"]

_NOTES = 20


@click.command(cls=Command)
@click.option("--log-only", is_flag=True, help="Leave the read tables out.")
@click.option("--head", is_flag=True, help="Print the newest seal, to be kept elsewhere; no check.")
@click.option("--expect", metavar="SEAL", help="A seal kept elsewhere, which must be in the log.")
@click.option("--repair", is_flag=True, help="Put right what follows from the log.")
@output_options
@pass_session
@click.pass_context
def verify(
    context: click.Context,
    session: Session,
    output: Output,
    *,
    log_only: bool,
    head: bool,
    expect: str | None,
    repair: bool,
) -> None:
    r"""Check the log, and the read tables against it.

    Versions of streams, times of recording, ids, what each event says, the seals over all of them;
    then that claims, snapshots and each read table equal those made anew. Exit code 3 if there are
    problems; notes are none. --repair makes anew what is derived, and never touches an event.

    \b
    Example:
      bowtie verify --expect 4711:0f5c...
    """
    from bowtie.verifying import KeptSeal, head_seal

    kept = None if expect is None else KeptSeal.of(expect)
    with session.engine() as engine:
        if head:
            _show_head(output, head_seal(engine.store))
            return
        found = _found(session, engine, kept, log_only=log_only)
        repaired: list[str] = []
        if repair and any(not one.note for one in found):
            repaired = _repaired(session, engine, found, log_only=log_only)
            found = _found(session, engine, kept, log_only=log_only)
        checked = engine.store.count(engine.store.head())
    answer = _answer(found, checked, repaired)
    output.show(answer)
    context.exit(0 if answer.whole["ok"] else 3)


def _show_head(output: Output, newest: KeptSeal) -> None:
    """The seal alone, as --expect takes it, or its two parts as data."""
    if output.format == "table":
        output.write_text(f"{newest}\n")
        return
    row = {"position": newest.position, "seal": newest.seal.hex()}
    output.show(Answer(["position", "seal"], [row], row))


def _found(
    session: Session, engine: Bowtie, kept: KeptSeal | None, *, log_only: bool
) -> list[Problem]:
    """What is wrong."""
    from bowtie.verifying import verify_log

    with positions("Checking the log", session) as progress:
        found = list(verify_log(engine.store, progress, kept=kept))
    if not log_only:
        from bowtie_projections.verifying import verify_tables

        with positions("Replaying to compare", session) as progress:
            tables = session.tables(engine)
            found += verify_tables(engine.store, tables, engine.definition, progress)
    return found


def _repaired(
    session: Session, engine: Bowtie, found: list[Problem], *, log_only: bool
) -> list[str]:
    """Put right what is derived; what was done, in words."""
    from bowtie.repairing import repair_log

    done = repair_log(engine.store)
    if not log_only and any(one.check == "tables" and not one.note for one in found):
        from bowtie_projections.replay import replay

        with positions("Making the read tables anew", session) as progress:
            tables = session.tables(engine)
            replay(engine.store, tables, engine.definition, rebuild=True, progress=progress)
        done.append("the read tables made anew")
    return done


def _answer(found: list[Problem], checked: int, repaired: list[str]) -> Answer:
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
        "repaired": repaired,
    }
    if len(said) > _NOTES:
        said[_NOTES:] = [f"and {len(said) - _NOTES:,} more notes, all of them in --json"]
    sentence = f"{checked:,} events checked: " + (
        f"{len(problems):,} problems." if problems else "no problems."
    )
    if repaired:
        sentence = f"Repaired: {', '.join(repaired)}. {sentence}"
    columns = ["check", "position", "problem"] if problems else []
    return Answer(columns, problems, whole, sentence, said)


def _row(one: Problem) -> dict[str, object]:
    return {"check": one.check, "position": one.position, "problem": one.problem}
