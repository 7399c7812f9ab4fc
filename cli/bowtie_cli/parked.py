"""``bowtie parked``: what was refused, and what to do with it."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Any

import click

from bowtie_cli.files import open_output
from bowtie_cli.groups import Group
from bowtie_cli.output import Answer, Output, output_options
from bowtie_cli.reports import ingest_answer
from bowtie_cli.session import Session, pass_session
from bowtie_projections.cells import plain

if TYPE_CHECKING:
    from bowtie import Bowtie
    from bowtie.parked import Parked

__all__ = ["parked"]

_COLUMNS = ["parked_id", "reason", "line", "parked_at", "problem"]


@click.group(cls=Group)
def parked() -> None:
    """List what was refused, try it again, or drop it."""


@parked.command("list")
@click.option("--reason", metavar="WORD", help="Only those refused for this reason.")
@click.option(
    "--limit",
    type=click.IntRange(0),
    default=100,
    metavar="N",
    help="At most so many (100); 0: all.",
)
@click.option("--dropped", is_flag=True, help="Those that were dropped, by whom and why.")
@output_options
@pass_session
def list_parked(
    session: Session, *, reason: str | None, limit: int, dropped: bool, output: Output
) -> None:
    r"""List the parked lines, oldest first; without what they say, which may be personal.

    \b
    Example:
      bowtie parked list --reason unknown_type
    """
    with session.engine() as engine:
        if dropped:
            output.show(_dropped(engine, reason, limit))
            return
        counts = engine.store.parked_counts()
        gone = sum(engine.store.dropped_counts().values())
        _refuse_unknown(reason, counts)
        lines = (one for one in engine.parked() if reason in (None, one.reason))
        rows = [_row(one) for one in islice(lines, limit or None)]
    said = ", ".join(f"{count:,} {name}" for name, count in counts.items())
    total = sum(counts.values())
    sentence = f"{total:,} lines are parked{': ' + said if said else ''}."
    asked = total if reason is None else counts[reason]
    if len(rows) < asked:
        sentence += f" The first {len(rows):,} of {asked:,} follow; --limit 0 shows all."
    whole = {"parked": total, "parked_by_reason": counts, "dropped": gone, "lines": rows}
    notes = [f"{gone:,} more were dropped: see --dropped."] if gone else []
    output.show(Answer(_COLUMNS, rows, plain(whole), sentence, notes))


def _dropped(engine: Bowtie, reason: str | None, limit: int) -> Answer:
    counts = engine.store.dropped_counts()
    _refuse_unknown(reason, counts)
    lines = (one for one in engine.dropped() if reason in (None, one.reason))
    rows = [
        {
            "reason": one.reason,
            "line": f"{one.origin}:{one.line}",
            "dropped_at": one.dropped_at,
            "by": one.by,
            "why": one.why,
        }
        for one in islice(lines, limit or None)
    ]
    total = sum(counts.values())
    whole = {"dropped": total, "dropped_by_reason": counts, "lines": rows}
    columns = ["reason", "line", "dropped_at", "by", "why"]
    return Answer(columns, rows, plain(whole), f"{total:,} lines were dropped.")


@parked.command()
@click.argument("parked_id", type=int)
@click.option(
    "--reveal", is_flag=True, help="Print the line as it was sent, which may be personal."
)
@click.option("--json", "as_json", is_flag=True, help="Print it as one JSON object.")
@pass_session
def show(session: Session, parked_id: int, *, reveal: bool, as_json: bool) -> None:
    r"""Show one parked line: where it stood and why it was refused.

    \b
    Example:
      bowtie parked show 3 --reveal
    """
    from bowtie.parked import show_parked

    with session.engine() as engine:
        found = show_parked(engine.store, parked_id)
    row = _row(found)
    if reveal and not as_json:
        session.say(f"{found.origin}:{found.line} {found.reason}: {found.problem}")
        with open_output(None) as stream:
            stream.write(found.raw.rstrip(b"\n") + b"\n")
        return
    if reveal:
        row["text"] = found.raw.decode("utf-8", "replace")
    hint = "" if found.raw else " Its customer was forgotten: the line was not kept."
    if found.raw and not reveal:
        hint = " To see what it says, which may be personal, add --reveal."
    sentence = f"Parked under {parked_id}.{hint}"
    output = Output(session, "json" if as_json else "table")
    output.show(Answer(_COLUMNS, [row], plain(row), sentence))


@parked.command()
@click.argument("parked_ids", metavar="[ID]...", type=int, nargs=-1)
@click.option("--all-of", "reason", metavar="WORD", help="All that were refused for this reason.")
@click.option("--reason", "why", metavar="TEXT", required=True, help="Why; it is kept, sealed.")
@click.option("--by", metavar="NAME", help="Who says so (you).")
@click.option("--json", "as_json", is_flag=True, help="Print the report as one JSON object.")
@pass_session
def drop(
    session: Session,
    *,
    parked_ids: tuple[int, ...],
    reason: str | None,
    why: str,
    by: str | None,
    as_json: bool,
) -> None:
    r"""Drop parked lines for ever, and keep why; they are not parked again.

    \b
    Example:
      bowtie parked drop --all-of unknown_type --reason "not for this store"
    """
    if not parked_ids and reason is None:
        raise click.UsageError("name lines by their parked_id, or all of a reason with --all-of")
    with session.engine() as engine:
        count = engine.drop_parked(*parked_ids, why=why, by=by, reason=reason)
        left = sum(engine.store.parked_counts().values())
    whole = {"dropped": count, "parked": left}
    sentence = f"{count:,} lines dropped; {left:,} are still parked."
    Output(session, "json" if as_json else "table").show(
        Answer(["dropped", "parked"], [whole], whole, sentence)
    )


@parked.command()
@click.option("--map", "mapping", metavar="MAP", help="A mapping file that reads the rows now.")
@click.option("--correct", is_flag=True, help="An id that is taken corrects that event.")
@click.option("--json", "as_json", is_flag=True, help="Print the report as one JSON object.")
@pass_session
@click.pass_context
def retry(
    context: click.Context,
    /,
    session: Session,
    mapping: str | None,
    *,
    correct: bool,
    as_json: bool,
) -> None:
    r"""Try the parked lines again; what is taken now is recorded now.

    \b
    Example:
      bowtie parked retry --correct
    """
    from bowtie import Mapping

    rules = Mapping.load(mapping) if mapping else None
    with session.engine() as engine:
        report = engine.retry_parked(mapping=rules, correct=correct)
    Output(session, "json" if as_json else "table").show(ingest_answer({"parked": report}))
    context.exit(3 if report.parked else 0)


def _row(one: Parked) -> dict[str, Any]:
    return {
        "parked_id": one.parked_id,
        "reason": one.reason,
        "line": f"{one.origin}:{one.line}",
        "parked_at": one.parked_at,
        "problem": one.problem,
    }


def _refuse_unknown(reason: str | None, counts: dict[str, int]) -> None:
    from bowtie.parked import refuse_unknown_reason

    if reason is not None:
        refuse_unknown_reason(reason, counts)
