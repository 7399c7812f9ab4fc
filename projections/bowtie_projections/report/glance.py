"""The few figures that a manager looks for first, from the answers that stand below."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from bowtie_projections.cells import cell
from bowtie_projections.results import Result

__all__ = ["Glance", "glances"]


@dataclass(frozen=True, slots=True)
class Glance:
    """One figure, what it is, what it is of, and the section that holds it."""

    section: str
    what: str
    figure: str
    of: str


def glances(found: Mapping[str, Result]) -> list[Glance]:
    """The figures at the top of the page.

    Args:
        found: the answers that there are, by section.
    """
    return [one for name, of in _FIGURES.items() if name in found for one in of(name, found[name])]


def _committed(section: str, result: Result) -> Iterator[Glance]:
    stages = {row["stage"]: row for row in result.rows()}
    first, won = stages["awareness"]["entered"], stages["commitment"]["entered"]
    beside = f"beside {first:,} who entered awareness" if first else "since the data begins"
    yield Glance(section, "Customers won", f"{won:,}", beside)
    selection = stages["selection"]
    if selection["conversion"] is not None:
        yield Glance(
            section,
            "Won of those who selected",
            cell("conversion", selection["conversion"]),
            f"of {selection['mature']:,} whose time is over",
        )


def _stuck(section: str, result: Result) -> Iterator[Glance]:
    rows = [row for row in result.rows() if row["stuck"] is not None]
    if rows:
        stuck, there = sum(row["stuck"] for row in rows), sum(row["customers"] for row in rows)
        yield Glance(section, "Stuck in a stage", f"{stuck:,}", f"of {there:,} who stand in one")


def _recurring(section: str, result: Result) -> Iterator[Glance]:
    rows = result.rows()
    last = {row["currency"]: row for row in rows}
    for currency, row in last.items():
        if not row["end"]:
            continue
        yield Glance(
            section,
            "Recurring revenue a month",
            f"{row['end']:,.0f} {currency}",
            f"of {row['customers_end']:,} customers, at the end of {row['period']}"
            f"{'' if row['complete'] else ' so far'}",
        )
        year = [one for one in rows if one["currency"] == currency and one["nrr_12m"] is not None]
        for one in year[-1:]:
            yield Glance(
                section,
                "Kept of a year before, with expansion",
                cell("nrr_12m", one["nrr_12m"]),
                f"of {one['start_12m']:,.0f} {currency}, by the end of {one['period']}",
            )


def _again(section: str, result: Result) -> Iterator[Glance]:
    rows = [row for row in result.rows() if row["repeat_rate"] is not None]
    for row in rows[-1:]:
        yield Glance(
            section,
            f"Ordered again within {row['within']}",
            cell("repeat_rate", row["repeat_rate"]),
            f"of {row['mature']:,} whose time is over",
        )


def _worth(section: str, result: Result) -> Iterator[Glance]:
    horizon = result.meta["parameters"]["horizon"]
    currency = result.meta.get("currency") or ""
    for row in result.rows()[:1]:
        if row["value_mean"] is not None:
            yield Glance(
                section,
                f"Mean value over {horizon}",
                f"{row['value_mean']:,.0f} {currency}".strip(),
                f"of {row['mature']:,} customers old enough; half bring"
                f" {row['value_median']:,.0f} or more",
            )


def _source(section: str, result: Result) -> Iterator[Glance]:
    rows = [row for row in result.part("sources").rows() if row["cost_per_high"] is not None]
    if rows:
        best = min(rows, key=lambda row: row["cost_per_high"])
        yield Glance(
            section,
            "Least spend for a high-value customer",
            str(best["source"]),
            f"{best['cost_per_high']:,.0f} {result.meta.get('currency') or ''} each;"
            f" {best['high']:,} of {best['mature']:,} judged",
        )


def _mark(section: str, result: Result) -> Iterator[Glance]:
    rows = [row for row in result.rows() if row["verdict"] == "mark"]
    for row in rows[:1]:
        yield Glance(
            section,
            "Strongest mark of high value",
            f"{row['trait']} {row['level']}",
            f"{cell('high_rate', row['high_rate'])} of {row['customers']:,}; of all"
            f" {result.meta['high'] / result.meta['mature']:.1%} of {result.meta['mature']:,}",
        )


_FIGURES = {
    "funnel": _committed,
    "stock": _stuck,
    "revenue": _recurring,
    "repeat": _again,
    "value": _worth,
    "sources": _source,
    "loop": _mark,
}
