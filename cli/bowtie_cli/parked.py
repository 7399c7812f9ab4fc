"""``bowtie parked``: what was refused, and what to do with it."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Any

import click

from bowtie_cli.cells import plain
from bowtie_cli.groups import Group
from bowtie_cli.output import Answer, Output, open_output, output_options
from bowtie_cli.reports import ingest_answer
from bowtie_cli.session import Session, pass_session

if TYPE_CHECKING:
    from bowtie.parked import Parked

__all__ = ["parked"]

_COLUMNS = ["parked_id", "reason", "line", "parked_at", "problem"]


@click.group(cls=Group)
def parked() -> None:
    """List what was refused, and try it again."""


@parked.command("list")
@click.option("--reason", metavar="WORD", help="Only those refused for this reason.")
@click.option(
    "--limit",
    type=click.IntRange(0),
    default=100,
    metavar="N",
    help="At most so many (100); 0: all.",
)
@output_options
@pass_session
def list_parked(session: Session, reason: str | None, limit: int, output: Output) -> None:
    r"""List the parked lines, oldest first; without what they say, which may be personal.

    \b
    Example:
      bowtie parked list --reason unknown_type
    """
    from bowtie.parked import list_parked as all_parked

    with session.engine() as engine:
        counts = engine.store.parked_counts()
        _refuse_unknown(reason, counts)
        lines = (one for one in all_parked(engine.store) if reason in (None, one.reason))
        rows = [_row(one) for one in islice(lines, limit or None)]
    said = ", ".join(f"{count:,} {name}" for name, count in counts.items())
    total = sum(counts.values())
    sentence = f"{total:,} lines are parked{': ' + said if said else ''}."
    asked = total if reason is None else counts[reason]
    if len(rows) < asked:
        sentence += f" The first {len(rows):,} of {asked:,} follow; --limit 0 shows all."
    whole = {"parked": total, "parked_by_reason": counts, "lines": rows}
    output.show(Answer(_COLUMNS, rows, plain(whole), sentence))


@parked.command()
@click.argument("parked_id", type=int)
@pass_session
def show(session: Session, parked_id: int) -> None:
    r"""Print one parked line as it was sent.

    \b
    Example:
      bowtie parked show 3
    """
    from bowtie.errors import UnknownName
    from bowtie.parked import list_parked as all_parked

    with session.engine() as engine:
        found = next((one for one in all_parked(engine.store) if one.parked_id == parked_id), None)
    if found is None:
        raise UnknownName(f"no line is parked under {parked_id}: see bowtie parked list")
    session.say(f"{found.origin}:{found.line} {found.reason}: {found.problem}")
    with open_output(None) as stream:
        stream.write(found.raw.rstrip(b"\n") + b"\n")


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
    from bowtie.errors import UnknownName

    if reason is not None and reason not in counts:
        known = ", ".join(counts) or "nothing at all"
        raise UnknownName(f"no line is parked for the reason {reason!r}; there are: {known}")
