"""``bowtie outbox``: messages on their way to webhooks."""

from __future__ import annotations

import time
from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import click

from bowtie_cli.groups import Group
from bowtie_cli.output import Answer, Output, output_options
from bowtie_cli.session import Session, pass_session
from bowtie_projections.cells import plain

if TYPE_CHECKING:
    from bowtie import Bowtie
    from bowtie.outbox import Delivered, Message

__all__ = ["outbox"]

_STATES = ("waiting", "delivered", "dead")
_COLUMNS = ["message", "webhook", "topic", "state", "attempts", "created_at", "due_at", "reason"]


@click.group(cls=Group)
def outbox() -> None:
    """List messages, deliver them, try them again, or drop them."""


@outbox.command("list")
@click.option("--state", type=click.Choice(_STATES), help="Only these.")
@click.option("--to", "endpoint", metavar="NAME", help="Only those for a webhook.")
@click.option("--body", is_flag=True, help="What they say, too.")
@click.option(
    "--limit",
    type=click.IntRange(0),
    default=100,
    metavar="N",
    help="At most so many (100); 0: all.",
)
@output_options
@pass_session
def list_messages(
    session: Session,
    output: Output,
    *,
    state: str | None,
    endpoint: str | None,
    body: bool,
    limit: int,
) -> None:
    r"""List the messages, oldest first.

    \b
    Example:
      bowtie outbox list --state dead
    """
    from bowtie.outbox import counted_by_state, messages

    with session.engine() as engine:
        counts = counted_by_state(engine, endpoint)
        rows = [_row(one, body=body) for one in messages(engine, state, endpoint, limit or None)]
    said = ", ".join(f"{count:,} {name}" for name, count in counts.items())
    whole = {"outbox": counts, "messages": list(map(plain, rows))}
    columns = [*_COLUMNS, *(["body"] if body else [])]
    output.show(Answer(columns, rows, whole, f"Messages: {said}."))


@outbox.command()
@click.option("--follow", is_flag=True, help="Go on until SIGINT or SIGTERM.")
@click.option(
    "--attempts", type=click.IntRange(1), default=10, metavar="N", help="Then give up (10)."
)
@click.option(
    "--timeout",
    type=click.FloatRange(0.1),
    default=20.0,
    metavar="SECONDS",
    help="How long a receiver may take (20).",
)
@click.option(
    "--score-every",
    metavar="TIME",
    default="1h",
    help="With --follow: score prospects so often, where a webhook asks for it (1h).",
)
@click.option("--no-scores", is_flag=True, help="Score no prospects.")
@click.option("--json", "as_json", is_flag=True, help="Print the report as one JSON object.")
@pass_session
def deliver(
    session: Session,
    *,
    follow: bool,
    attempts: int,
    timeout: float,
    score_every: str,
    no_scores: bool,
    as_json: bool,
) -> None:
    r"""Make the messages of what was recorded, score prospects, and send what is due.

    \b
    Example:
      bowtie outbox deliver
      bowtie outbox deliver --follow
    """
    from bowtie.durations import parse_duration
    from bowtie.outbox import Schedule, Sender, derive_messages, follow_outbox
    from bowtie.outbox import deliver as send
    from bowtie_cli.following import stopped_by_signals

    schedule, every = Schedule(attempts), parse_duration(score_every).total_seconds()
    with session.engine() as engine, Sender(timeout) as sender:
        scoring = _Scoring(session, engine, every)
        if follow:
            with stopped_by_signals() as stop:
                done = follow_outbox(
                    engine,
                    sender,
                    schedule,
                    stop=stop,
                    before=(lambda: None) if no_scores else scoring.when_due,
                    on_round=lambda one: session.say(_words(one)),
                    on_trouble=session.say,
                )
        else:
            derive_messages(engine)
            if not no_scores:
                scoring.when_due()
            done = send(engine, sender, schedule)
        from bowtie.outbox import counted_by_state, endpoints

        left = counted_by_state(engine) if endpoints(engine) else dict.fromkeys(_STATES, 0)
    row = asdict(done)
    sentence = f"{_words(done)} {left['waiting']:,} wait, {left['dead']:,} were given up."
    whole = row | {"waiting": left["waiting"], "sentence": sentence}
    Output(session, "json" if as_json else "table").show(Answer(list(row), [row], whole, sentence))
    if scoring.trouble is not None and not follow:
        raise scoring.trouble


class _Scoring:
    """Scores prospects for the webhooks that ask for it: at most so often."""

    def __init__(self, session: Session, engine: Bowtie, every: float) -> None:
        self._session, self._engine, self._every = session, engine, every
        self._next = 0.0
        #: why the last scoring failed
        self.trouble: Exception | None = None

    def when_due(self) -> None:
        """Score, if it is time; what goes wrong holds up no message."""
        from bowtie.errors import BowtieError

        if time.monotonic() < self._next:
            return
        self.trouble = None
        try:
            self._score()
        except BowtieError as error:
            self.trouble = error
            self._next = time.monotonic() + self._every
            self._session.say(f"Prospects were not scored: {error}")

    def _score(self) -> None:
        """Score, if a webhook asks for it and something was recorded since, or a day has passed."""
        from bowtie.outbox import endpoints
        from bowtie_projections.crossings import note_crossings, waits_for_scores

        head, now = self._engine.store.head(), datetime.now(UTC)
        if not any(waits_for_scores(one, head, now) for one in endpoints(self._engine)):
            return
        from bowtie_projections import Views

        with Views.open(self._engine, self._session.views) as views:
            for name, noted in note_crossings(views, now).items():
                if isinstance(noted, str):
                    self._session.say(f"{name}: {noted}")
                elif not noted.stale:
                    first = " (the first scores: nobody has crossed yet)" if noted.first else ""
                    self._session.say(
                        f"{name}: {noted.crossed:,} prospects crossed, {noted.above:,} are"
                        f" above{first}."
                    )
        self._next = time.monotonic() + self._every


@outbox.command()
@click.argument("messages", metavar="[ID]...", nargs=-1)
@click.option("--dead", is_flag=True, help="All that were given up.")
@click.option("--to", "endpoint", metavar="NAME", help="Of these, only those for a webhook.")
@pass_session
def retry(session: Session, *, messages: tuple[str, ...], dead: bool, endpoint: str | None) -> None:
    r"""Send messages again that were given up, with the ids they had.

    \b
    Example:
      bowtie outbox retry --dead
    """
    from bowtie.outbox import retry_messages
    from bowtie.wording import counted

    if bool(messages) == dead:
        raise click.UsageError("name messages, or all that were given up: --dead")
    with session.engine() as engine:
        count = retry_messages(engine, *messages, endpoint=endpoint)
    session.say(f"To be sent again by bowtie outbox deliver: {counted(count, 'message')}.")


@outbox.command()
@click.argument("messages", metavar="[ID]...", nargs=-1)
@click.option("--state", type=click.Choice(_STATES), help="All of these.")
@click.option("--to", "endpoint", metavar="NAME", help="Only those for a webhook.")
@click.option("--before", metavar="DAY", help="Only those made before.")
@pass_session
def drop(
    session: Session,
    *,
    messages: tuple[str, ...],
    state: str | None,
    endpoint: str | None,
    before: str | None,
) -> None:
    r"""Take messages out of the outbox for ever.

    \b
    Example:
      bowtie outbox drop --state delivered --before 2026-01-01
    """
    from bowtie.outbox import drop_messages
    from bowtie.times import moment
    from bowtie.wording import counted

    if bool(messages) == (state is not None):
        raise click.UsageError("name messages, or all of a state: --state delivered")
    with session.engine() as engine:
        until = None if before is None else moment(before)
        count = drop_messages(engine, *messages, state=state, endpoint=endpoint, before=until)
    session.say(f"Dropped: {counted(count, 'message')}.")


def _words(done: Delivered) -> str:
    from bowtie.wording import counted

    text = f"{done.delivered:,} delivered, {done.failed:,} failed and will be sent again,"
    text += f" {done.dead:,} given up."
    if done.stopped:
        text += f" Stopped: {counted(done.stopped, 'webhook')}, see bowtie webhook list."
    return text


def _row(message: Message, *, body: bool) -> dict[str, Any]:
    row = {
        "message": message.id,
        "webhook": message.endpoint,
        "topic": message.topic,
        "state": message.state,
        "attempts": message.attempts,
        "created_at": message.created_at,
        "due_at": message.due_at if message.state == "waiting" else None,
        "reason": message.reason,
    }
    return row | ({"body": message.body} if body else {})
