"""``bowtie replay --follow``: until a signal says that it is enough."""

from __future__ import annotations

import json
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from bowtie_cli.output import Answer, Output
from bowtie_cli.progress import following, positions

if TYPE_CHECKING:
    from bowtie import Bowtie
    from bowtie_cli.session import Session
    from bowtie_projections.following import FollowReport
    from bowtie_projections.replay import ReplayReport

__all__ = ["follow_store", "stopped_by_signals"]


def follow_store(
    session: Session,
    poll: float | None,
    *,
    as_json: bool,
    rebuild: bool = False,
    strict: bool = False,
    wait: float | None = None,
) -> None:
    """Keep the tables up to date until SIGINT or SIGTERM, then say what was done."""
    from bowtie_projections.following import POLL, follow

    with session.engine() as engine:
        if rebuild:
            _rebuild(session, engine, strict=strict, wait=wait)
        with stopped_by_signals() as stop, following(session, engine.store.head) as show:

            def on_round(report: ReplayReport) -> None:
                if as_json:
                    _print(report)
                if show is not None:
                    show(report)

            report = follow(
                engine,
                session.views,
                stop=stop,
                poll=POLL if poll is None else poll,
                strict=strict,
                wait=wait,
                on_round=on_round,
                on_trouble=session.say,
            )
    if as_json:
        _print(report)
    else:
        Output(session).show(_answer(report))


def _rebuild(session: Session, engine: Bowtie, *, strict: bool, wait: float | None) -> None:
    from bowtie_projections.replay import replay

    tables = session.tables(engine, wait)
    with positions("Replaying", session) as progress:
        replay(
            engine.store, tables, engine.definition, rebuild=True, strict=strict, progress=progress
        )


@contextmanager
def stopped_by_signals() -> Iterator[threading.Event]:
    """An event that SIGINT and SIGTERM set; who sends a second one will not wait."""
    stop = threading.Event()

    def set_it(*_: object) -> None:
        if stop.is_set():
            raise KeyboardInterrupt
        stop.set()

    before = {number: signal.signal(number, set_it) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _print(report: ReplayReport | FollowReport) -> None:
    whole = asdict(report) | {"seconds": round(report.seconds, 3)}
    click.echo(json.dumps(whole, ensure_ascii=False))


def _answer(report: FollowReport) -> Answer:
    whole: dict[str, Any] = asdict(report) | {"seconds": round(report.seconds, 3)}
    sentence = (
        f"Followed the log: {report.events:,} events in {report.rounds:,} rounds, to position"
        f" {report.position:,}."
    )
    notes = []
    if report.skipped:
        notes.append(f"{report.skipped:,} events could not be processed: see SQL on skipped")
    columns = ["rounds", "events", "position", "seconds", "skipped"]
    return Answer(columns, [whole], whole, sentence, notes)
