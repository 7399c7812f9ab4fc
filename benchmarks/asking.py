"""A view and the same question in SQL by hand, asked in turns."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb

from bowtie import Bowtie
from bowtie_projections import Views

__all__ = ["STAGES", "Asked", "counting", "cut_of"]

STAGES = (
    "awareness", "education", "selection", "commitment", "onboarding", "utilization", "growth",
)  # fmt: skip


def counting(position: int) -> str:
    """Which rows count up to a position, as a condition."""
    kept = f"retracted_position IS NULL OR retracted_position > {position}"
    return f"position <= {position} AND ({kept})"


def cut_of(counts: str) -> str:
    """The moment asked of, as a table expression: that of the newest fact."""
    return f"cut AS (SELECT max(occurred_at) AS as_of FROM events WHERE {counts})"


@dataclass
class Asked:
    """A view, and its answer by hand."""

    view: str
    parameters: dict[str, Any]
    sql: str
    #: the figures of an answer, in the order of the rows by hand
    figures: Callable[[list[dict[str, Any]]], list[tuple[Any, ...]]]

    @property
    def name(self) -> str:
        """The view, and how it was asked."""
        return " ".join([self.view, *map(str, self.parameters.values())])

    def times(self, engine: Bowtie, tables: Path, runs: int) -> dict[str, Any]:
        """The medians of both, asked in turns, each with the file opened anew.

        ``seconds`` and ``by_hand`` are those of the clock; ``processor`` and
        ``processor_by_hand`` those of all cores together, which other work on the machine
        changes less.
        """
        ours: list[tuple[float, float]] = []
        hand: list[tuple[float, float]] = []
        for _ in range(runs + 1):
            with _timed(ours), Views.open(engine, at_once=True) as views:
                answer = getattr(views, self.view)(**self.parameters).rows()
            with _timed(hand), duckdb.connect(str(tables), read_only=True) as connection:
                rows = connection.execute(self.sql).fetchall()
        found = self.figures(answer)
        # rows by hand beyond these are of the answer's other parts
        if found != [tuple(row[: len(one)]) for row, one in zip(rows, found, strict=False)]:
            raise SystemExit(f"{self.view}: answers differ")
        clock, processor = (_median(ours, part) for part in (0, 1))
        return {
            "seconds": clock,
            "by_hand": _median(hand, 0),
            "processor": processor,
            "processor_by_hand": _median(hand, 1),
            "rows": len(found),
        }


@contextmanager
def _timed(found: list[tuple[float, float]]) -> Iterator[None]:
    """Add the seconds of the clock and of the processor that the block takes."""
    clock, processor = time.perf_counter(), time.process_time()
    yield
    found.append((time.perf_counter() - clock, time.process_time() - processor))


def _median(found: list[tuple[float, float]], part: int) -> float:
    """Of all runs but the first, which warms up."""
    return statistics.median(one[part] for one in found[1:])
