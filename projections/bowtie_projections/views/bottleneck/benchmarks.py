"""Files of benchmarks: what a conversion or a wait could be, by whoever says so.

CSV with a header, or TOML with a table ``[[benchmark]]`` for each::

    stage,conversion,days,motion
    awareness,35%,10,
    selection,0.25,,field
    selection,0.4,30,self-serve

``conversion`` is the share of those in the stage who reach the next one within its window, ``days``
the median of their wait; one of the two may be empty. Each further column is a breakdown of the
answer; an empty value holds for all that no other line names.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bowtie.errors import FileError, UsageError
from bowtie.stages import STAGES
from bowtie_projections.results import NONE
from bowtie_projections.views.records import number, records

__all__ = ["Benchmark", "Benchmarks", "read_benchmarks"]

_OWN = ("stage", "conversion", "days")


@dataclass(frozen=True, slots=True)
class Benchmark:
    """What one stage could be: the share that reaches the next one, and the median of the days."""

    conversion: float | None = None
    days: float | None = None


@dataclass(frozen=True, slots=True)
class Benchmarks:
    """The benchmarks of a file, by stage and value of each breakdown (empty for any)."""

    names: tuple[str, ...] = ()
    found: Mapping[tuple[str, ...], Benchmark] = field(default_factory=dict)

    def of(self, stage: str, cell: Mapping[str, str | None]) -> Benchmark:
        """What holds for a stage of a cell: of its values the most that a line names."""
        values = [NONE if cell[name] is None else str(cell[name]) for name in self.names]
        best, most = Benchmark(), -1
        for (of_stage, *wanted), benchmark in self.found.items():
            named = [want for want in wanted if want]
            same = all(want in {"", value} for want, value in zip(wanted, values, strict=True))
            if of_stage == stage and same and len(named) > most:
                best, most = benchmark, len(named)
        return best


def read_benchmarks(file: Path, by: Sequence[str]) -> Benchmarks:
    """The benchmarks of a CSV or TOML file.

    Args:
        file: ``.toml``, or CSV by any other name.
        by: the breakdowns that a benchmark may be of.

    Raises:
        FileError: it can't be read, or a line can't; the message names the line.
    """
    names: set[str] = set()

    def check(columns: Sequence[str]) -> str | None:
        if "stage" not in columns or not {"conversion", "days"} & set(columns):
            return "a benchmark has a stage, and a conversion or days"
        others = [name for name in columns if name not in _OWN]
        for name in others:
            if name not in by:
                return f"benchmarks are by {name!r}, and the question is not: ask with by={name}"
        names.update(others)
        return None

    found = records(file, "benchmark", check)
    ordered = tuple(name for name in by if name in names)
    benchmarks: dict[tuple[str, ...], Benchmark] = {}
    for line, record in found:
        try:
            key, benchmark = _read(record, ordered)
            if key in benchmarks:
                raise UsageError(f"{', '.join(filter(None, key))} stands here a second time")
        except UsageError as error:
            raise FileError(str(file), str(error), line) from None
        benchmarks[key] = benchmark
    return Benchmarks(ordered, benchmarks)


def _read(record: Mapping[str, Any], names: Sequence[str]) -> tuple[tuple[str, ...], Benchmark]:
    stage = str(record["stage"]).strip()
    if stage not in STAGES[:-1]:
        raise UsageError(f"{stage!r} is no stage with a next one; write {', '.join(STAGES[:-1])}")
    conversion, days = (_given(record.get(name, "")) for name in ("conversion", "days"))
    if conversion is None and days is None:
        raise UsageError("give a conversion, or days")
    if conversion is not None and not 0 <= conversion <= 1:
        raise UsageError(f"conversion is a share: write {record['conversion']!r} as 0.35 or 35%")
    if days is not None and days <= 0:
        raise UsageError("days are more than none")
    values = [str(record.get(name, "")).strip() for name in names]
    return (stage, *values), Benchmark(conversion, days)


def _given(written: Any) -> float | None:
    return None if str(written).strip() == "" else float(number(written))
