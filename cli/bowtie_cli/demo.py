"""``bowtie demo``: a believable business to try everything on."""

from __future__ import annotations

import json
from collections.abc import Iterable

import click

from bowtie_cli.files import open_output
from bowtie_cli.groups import Command
from bowtie_cli.output import Output
from bowtie_cli.session import Session, pass_session

__all__ = ["demo"]


@click.command(cls=Command)
@click.option("--customers", type=click.IntRange(1), default=5_000, show_default=True, metavar="N")
@click.option("--seed", type=int, default=7, show_default=True, metavar="S", help="Which history.")
@click.option("-o", "--output", "file", metavar="FILE", help="Write the log here; .gz, .zst too.")
@click.option("--truth", is_flag=True, help="Print what was built into the log.")
@click.option(
    "--check",
    "answer",
    metavar="FILE",
    help="Hold --json of loop or referrals against the truth; - is stdin.",
)
@click.option("--turn", is_flag=True, help="A log that goes on: up to two years before its end.")
@click.option(
    "--react", "profile", metavar="FILE", help="How it goes on, by a profile that was published."
)
@click.option("--json", "as_json", is_flag=True, help="Print truth or check as one JSON object.")
@pass_session
@click.pass_context
def demo(
    context: click.Context,
    session: Session,
    *,
    customers: int,
    seed: int,
    file: str | None,
    answer: str | None,
    truth: bool,
    turn: bool,
    profile: str | None,
    as_json: bool,
) -> None:
    r"""Write a believable event log with known truths in it.

    The same customers and seed make the same log. Some of its lines are wrong on purpose. With
    --turn it ends two years earlier, and --react writes those years: in them the business acts by
    a target profile.

    \b
    Example:
      bowtie demo --customers 1000 -o log.jsonl
      bowtie demo --turn -o log.jsonl
      bowtie demo --react profile.json -o more.jsonl
      bowtie demo --customers 1000 --truth
      bowtie loop --json | bowtie demo --customers 1000 --check -
      bowtie referrals --json | bowtie demo --customers 1000 --check -
    """
    from bowtie.demo import Demo

    if turn or profile is not None:
        _go_on(session, (customers, seed), profile, file, truth=truth)
        return
    business = Demo(customers=customers, seed=seed)
    output = Output(session, "json" if as_json else "table")
    if answer is not None:
        from bowtie_cli.demo_checks import check_answer

        checked = check_answer(answer, business.truth())
        output.show(checked)
        context.exit(0 if checked.whole["ok"] else 3)
    if file is not None or not truth:
        _write(session, business.lines(), file)
    if truth:
        built_in = business.truth()
        text = json.dumps(built_in.as_dict(), indent=2) + "\n" if as_json else built_in.text()
        output.write_text(text)


def _go_on(
    session: Session, which: tuple[int, int], profile: str | None, file: str | None, *, truth: bool
) -> None:
    """Write a history in two logs: up to a profile, or from there on."""
    from bowtie.demo.turn import Turn
    from bowtie.errors import UsageError
    from bowtie.profiles import load_profile

    business = Turn(*which)
    if profile is None:
        if truth:
            raise UsageError(
                "--truth of a turn is what the business does by a profile: --react FILE"
            )
        _write(session, business.before(), file)
        return
    found = load_profile(profile)
    if file is not None or not truth:
        _write(session, business.after(found), file)
    if truth:
        Output(session).write_text(business.truth(found))


def _write(session: Session, lines: Iterable[bytes], file: str | None) -> None:
    from bowtie.logs import write_log

    if file in (None, "-"):
        with open_output(None) as stream:
            stream.writelines(lines)
        return
    count = write_log(lines, file)
    session.say(f"{count:,} lines written to {file}")
