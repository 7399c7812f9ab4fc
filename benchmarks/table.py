"""The lines of the table of benchmarks."""

from __future__ import annotations

from typing import Any

__all__ = ["head", "memory", "rates", "row"]

_FORM = "{:46}{:>14}{:>14}{:>8}  {}"


def head() -> None:
    """Print the names of the columns."""
    print(_FORM.format("what", "bowtie", "against", "ratio", "reached?"))


def rates(ours: float, other: float) -> tuple[str, str, float]:
    """Two rates as they are printed, and their ratio."""
    return f"{ours:,.0f}/s", f"{other:,.0f}/s", ours / other


def memory(what: str, measured: dict[str, Any]) -> None:
    """Print peak memory against 2 GiB."""
    mib = measured["peak_mib"]
    row(f"{what}, peak memory", f"{mib:,.0f} MiB", "2,048 MiB", mib / 2048, at_most=1.0)


def row(
    what: str,
    ours: str,
    other: str,
    ratio: float,
    *,
    at_least: float | None = None,
    at_most: float | None = None,
) -> None:
    """Print one line of the table, with whether the ratio is what it must be."""
    bound = ""
    if at_least is not None:
        bound = f"{'yes' if ratio >= at_least else 'NO'} (at least {at_least:g})"
    if at_most is not None:
        bound = f"{'yes' if ratio <= at_most else 'NO'} (at most {at_most:.2f})"
    print(_FORM.format(what, ours, other, f"{ratio:.2f}", bound).rstrip(), flush=True)
