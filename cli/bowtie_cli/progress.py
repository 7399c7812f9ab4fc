"""Progress on standard error, for whoever watches a terminal; silence elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

    from bowtie import IngestReport
    from bowtie_cli.session import Session
    from bowtie_projections.replay import ReplayReport

__all__ = ["following", "ingesting", "positions"]


@contextmanager
def positions(title: str, session: Session) -> Iterator[Callable[[int, int], None] | None]:
    """A bar for work of known length; yields what to call with (done, total)."""
    with _shown(title, session, bar=True) as advance:
        yield advance


@contextmanager
def ingesting(title: str, session: Session) -> Iterator[Callable[[IngestReport], None] | None]:
    """A counter for an ingest; yields what to call with the report so far."""
    with _shown(title, session, bar=False) as advance:
        yield None if advance is None else lambda report: advance(report.read, None)


@contextmanager
def following(
    session: Session, head: Callable[[], int]
) -> Iterator[Callable[[ReplayReport], None] | None]:
    """Where the tables stand, for as long as they follow; yields what to call after a round.

    Args:
        head: where the log ends.
    """
    if not session.shows_progress:
        yield None
        return
    from rich.console import Console

    with Console(stderr=True).status("Following the log ...") as status:

        def show(report: ReplayReport) -> None:
            behind = max(head() - report.position, 0)
            status.update(
                f"Following the log: position {report.position:,}, {behind:,} behind; the last"
                f" round brought {report.events:,} events in {report.seconds:.2f} s"
            )

        yield show


@contextmanager
def _shown(title: str, session: Session, *, bar: bool) -> Iterator[Callable[..., None] | None]:
    """Progress that appears with the first news of it, and goes away at the end."""
    if not session.shows_progress:
        yield None
        return
    with ExitStack() as stack:
        tasks: list[tuple[Progress, TaskID]] = []

        def advance(done: int, total: int | None) -> None:
            if not tasks:
                progress = stack.enter_context(_progress(bar=bar))
                tasks.append((progress, progress.add_task(title, total=total)))
            progress, task = tasks[0]
            progress.update(task, completed=done, total=total)

        yield advance


def _progress(*, bar: bool) -> Progress:
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        SpinnerColumn,
        TextColumn,
        TimeElapsedColumn,
    )

    middle = [BarColumn(), MofNCompleteColumn()] if bar else [SpinnerColumn()]
    count = [] if bar else [TextColumn("{task.completed:,.0f} events")]
    return Progress(
        TextColumn("{task.description}"),
        *middle,
        *count,
        TimeElapsedColumn(),
        console=Console(stderr=True),
        transient=True,
    )
