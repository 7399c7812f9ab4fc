"""The figures of an answer that a manager will ask about: whom they count can be named."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from bowtie_projections.cells import cell
from bowtie_projections.results import Result

__all__ = [
    "Figure", "none", "of_attribution", "of_findings", "of_flow", "of_funnel", "of_repeat",
    "of_retention", "of_revenue", "of_sources", "of_stock", "of_value", "of_velocity",
]  # fmt: skip

Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Figure:
    """One figure of an answer.

    Args:
        says: what it is, with its value.
        cell: what names its row.
        column: its column.
        part: the further table it stands in.
    """

    says: str
    cell: Mapping[str, Any]
    column: str
    part: str | None = None


def none(_: Result) -> Iterable[Figure]:
    """No figure of such an answer can be explained."""
    return ()


def _figure(row: Row, column: str, says: str, *keys: str, part: str | None = None) -> Figure:
    shown = cell(column, row[column])
    return Figure(f"{shown} {says}", {key: row[key] for key in keys}, column, part)


def _most(rows: Iterable[Row], column: str) -> Row | None:
    """The row with the most of something, if any has some."""
    some = [row for row in rows if row[column]]
    return max(some, key=lambda row: row[column]) if some else None


def _pick(
    rows: Iterable[Row], column: str, says: Callable[[Row], str], *keys: str
) -> Iterator[Figure]:
    found = _most(rows, column)
    if found is not None:
        yield _figure(found, column, says(found), *keys)


def of_funnel(result: Result) -> Iterator[Figure]:
    """Who committed, where most are lost, and where most wait."""
    rows = result.rows()
    committed = [row for row in rows if row["stage"] == "commitment"]
    yield from _pick(committed, "entered", lambda _: "entered commitment", "stage")
    yield from _pick(rows, "lost", lambda row: f"were lost from {row['stage']}", "stage")
    yield from _pick(rows, "pending", lambda row: f"in {row['stage']} are still in time", "stage")


def of_stock(result: Result) -> Iterator[Figure]:
    """Where most are stuck."""
    yield from _pick(result.rows(), "stuck", lambda row: f"are stuck in {row['stage']}", "stage")


def of_flow(result: Result) -> Iterator[Figure]:
    """Who committed in the last period that is over."""
    over = [row for row in result.rows() if row["complete"] and row["stage"] == "commitment"]
    yield from _pick(
        over[-1:], "entered", lambda row: f"entered commitment in {row['period']}", "period",
        "stage",
    )  # fmt: skip


def of_velocity(result: Result) -> Iterator[Figure]:
    """Who went from a lead to a commitment."""
    rows = [row for row in result.rows() if row["step"] == "lead_to_commitment"]
    yield from _pick(rows, "moved", lambda _: "went from lead to commitment", "step", "cohort")


def of_revenue(result: Result) -> Iterator[Figure]:
    """What the last period brought and lost, and what recurs at its end, of each currency."""
    last = {row["currency"]: row for row in result.rows() if row["end"]}
    for row in last.values():
        money = f"{row['currency']} a month"
        for column, says in (
            ("end", f"{money} recurs at the end of {row['period']}"),
            ("new", f"{money} came new in {row['period']}"),
            ("churned", f"{money} was lost in {row['period']}"),
        ):
            if row[column]:
                yield _figure(row, column, says, "period", "currency")


def of_retention(result: Result) -> Iterator[Figure]:
    """Who is still active after a year."""
    rows = [row for row in result.part("curve").rows() if row["age"] == 12 and row["active"]]
    for row in rows[:1]:
        yield _figure(row, "active", "are active at an age of 12 months", "age", part="curve")


def of_repeat(result: Result) -> Iterator[Figure]:
    """Who ordered again within the longest time."""
    rows = [row for row in result.rows() if row["repeated"]]
    for row in rows[-1:]:
        yield _figure(row, "repeated", f"ordered again within {row['within']}", "cohort", "within")


def of_value(result: Result) -> Iterator[Figure]:
    """Who is of high value."""
    for row in result.rows()[:1]:
        if row["high"]:
            yield _figure(row, "high", "are of high value", "cohort")


def of_sources(result: Result) -> Iterator[Figure]:
    """The source that brought most customers of high value."""
    found = _most(result.part("sources").rows(), "high")
    if found is not None:
        says = f"of high value came by {found['source']}"
        yield _figure(found, "high", says, "source", part="sources")


def of_findings(result: Result) -> Iterator[Figure]:
    """The customers of high value of each mark and anti-mark; without any, of the first level."""
    rows = [row for row in result.rows() if row["high"]]
    found = [row for row in rows if row["verdict"] in {"mark", "anti-mark"}]
    for row in found or rows[:1]:
        says = f"of high value have {row['trait']} {row['level']} ({row['verdict']})"
        yield _figure(row, "high", says, "trait", "level")


def of_attribution(result: Result) -> Iterator[Figure]:
    """The source that a model in the middle credits with most."""
    source = result.columns[0]
    rows = [row for row in result.rows() if row["model"] == "linear"]
    yield from _pick(
        rows, "wins", lambda row: f"commitments are credited to {row[source]} (linear)", source,
        "model",
    )  # fmt: skip
