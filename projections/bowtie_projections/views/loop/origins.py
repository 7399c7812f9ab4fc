"""Where the customers of a finding came from: their first touches, and what those sources cost."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from bowtie_projections.views.loop.sources import source_of
from bowtie_projections.views.loop.traced import Traced

__all__ = ["COLUMNS", "MOST_SOURCES", "origin_rows"]

#: By source, customers and how many of them are high.
_Sources = dict[str | None, tuple[int, int]]
#: So many sources of a finding are told, those that brought most.
MOST_SOURCES = 10
COLUMNS = (
    "trait", "level", "verdict", "by", "source", "customers", "share", "share_of_customers",
    "high", "high_rate", "cost_per_customer", "cost_per_high",
)  # fmt: skip


def origin_rows(
    findings: Sequence[Mapping[str, Any]],
    traced: Traced,
    costs: Mapping[str, Sequence[Mapping[str, Any]]],
) -> list[dict[str, Any]]:
    """For each finding the channels, then the campaigns, that brought most of its customers.

    Args:
        findings: in their order.
        traced: the mature with their levels.
        costs: the rows of the sources, by ``channel`` and by ``campaign``.
    """
    places = {trait.name: place for place, trait in enumerate(traced.traits)}
    told: dict[tuple[str, int], dict[str, _Sources]] = defaultdict(lambda: defaultdict(dict))
    for by in costs:
        for row in traced.origins(by):
            sources = told[by, row["place"]][row["level"]]
            sources[row["source"]] = (row["customers"], row["high"])
    rows = []
    for finding in findings:
        place = places[finding["trait"]]
        for by, found in costs.items():
            cost = {row["source"]: row for row in found}
            rows += _rows(finding, by, told[by, place], cost)
    return rows


def _rows(
    finding: Mapping[str, Any],
    by: str,
    levels: Mapping[str, _Sources],
    cost: Mapping[str, Mapping[str, Any]],
) -> list[dict[str, Any]]:
    own = levels[finding["level"]]
    customers = sum(number for number, _ in own.values())
    all_of: dict[str | None, int] = defaultdict(int)
    for sources in levels.values():
        for source, (number, _) in sources.items():
            all_of[source] += number
    everybody = sum(all_of.values())
    best = sorted(own.items(), key=lambda item: (-item[1][0], item[0] is None, item[0] or ""))
    return [
        {name: finding[name] for name in ("trait", "level", "verdict")}
        | {
            "by": by,
            "source": source_of(source),
            "customers": number,
            "share": number / customers,
            "share_of_customers": all_of[source] / everybody,
            "high": high,
            "high_rate": high / number,
            **{
                name: cost.get(source_of(source), {}).get(name)
                for name in ("cost_per_customer", "cost_per_high")
            },
        }
        for source, (number, high) in best[:MOST_SOURCES]
    ]
