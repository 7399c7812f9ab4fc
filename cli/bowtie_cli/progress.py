"""Progress on standard error, for whoever watches a terminal; silence elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.progress import Progress

    from bowtie import IngestReport
    from bowtie_cli.session import Session

__all__ = ["ingesting", "positions"]


@contextmanager
def positions(title: str, session: Session) -> Iterator[Callable[[int, int], None] | None]:
    """A bar for work of known length; yields what to call with (done, total)."""
    if not session.shows_progress:
        yield None
        return
    with _progress(bar=True) as progress:
        task = progress.add_task(title, total=None, visible=False)

        def show(done: int, total: int) -> None:
            progress.update(task, completed=done, total=total, visible=True)

        yield show


@contextmanager
def ingesting(title: str, session: Session) -> Iterator[Callable[[IngestReport], None] | None]:
    """A counter for an ingest; yields what to call with the report so far."""
    if not session.shows_progress:
        yield None
        return
    with _progress(bar=False) as progress:
        task = progress.add_task(title, total=None)

        def show(report: IngestReport) -> None:
            progress.update(task, completed=report.read)

        yield show


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
