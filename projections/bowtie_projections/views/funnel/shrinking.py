"""Breakdowns read with care: rates drawn to their mean, and what chance alone would show."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from bowtie.stages import STAGES
from bowtie_projections.shrinking import Chance, by_chance, shrink
from bowtie_projections.views.funnel.members import COHORT, Members

__all__ = ["SHRUNK", "add_shrunk", "chances", "noise"]

#: The column of the rates drawn to their mean.
SHRUNK = "conversion_shrunk"
#: From so many values on the highest and the lowest rate are likely to be chance.
MANY = 5

_Row = dict[str, Any]


def add_shrunk(rows: Iterable[_Row], members: Members) -> None:
    """Each rate drawn to the mean of its stage; where cohorts are broken down, of its cohort."""
    for group in _groups(rows, of_cohort=bool(members.dimensions)).values():
        judged = [row for row in group if row["mature"]]
        shrunk = shrink(*_counts(judged))
        for row, rate in zip(judged, shrunk.rates.tolist(), strict=True):
            row[SHRUNK] = rate


def chances(rows: Iterable[_Row], members: Members) -> dict[str, Chance]:
    """What chance alone would show of each stage, where there are many values to read it from."""
    if not members.dimensions:
        return {}
    found = {}
    for (stage, *_), group in _groups(rows, of_cohort=False).items():
        cells: dict[tuple[Any, ...], list[_Row]] = defaultdict(list)
        for row in group:
            if row["mature"]:
                cells[tuple(row[one.column] for one in members.dimensions)].append(row)
        sums = [[sum(counts) for counts in _counts(cell)] for cell in cells.values()]
        chance = by_chance([high for high, _ in sums], [n for _, n in sums])
        # where all reached, or none, there is nothing to read
        if chance and chance.groups >= MANY and chance.seen[0] < chance.seen[1]:
            found[stage] = chance
    return {stage: found[stage] for stage in STAGES if stage in found}


def noise(found: Mapping[str, Chance], names: Sequence[str]) -> str:
    """What is said of a breakdown that invites reading noise."""
    said = "; ".join(
        f"{stage} {_range(chance.expected)} (seen {_range(chance.seen)}{_p(chance)})"
        for stage, chance in found.items()
    )
    return (
        f"Many values of {' and '.join(names)} invite reading noise: were their rates all the same,"
        f" chance alone would spread them so: {said}. shrink=True draws each rate to the mean by as"
        " much as it may be chance."
    )


def _groups(rows: Iterable[_Row], *, of_cohort: bool) -> dict[tuple[Any, ...], list[_Row]]:
    groups: dict[tuple[Any, ...], list[_Row]] = defaultdict(list)
    for row in rows:
        groups[row["stage"], row.get(COHORT) if of_cohort else None].append(row)
    return groups


def _counts(rows: Sequence[_Row]) -> tuple[list[float], list[float]]:
    """Of each row the mature that reached, and the mature, as so many independent ones."""
    return (
        [row["mature_reached"] / row["design"] for row in rows],
        [row["mature"] / row["design"] for row in rows],
    )


def _range(rates: tuple[float, float]) -> str:
    return f"{rates[0]:.1%} to {rates[1]:.1%}"


def _p(chance: Chance) -> str:
    if chance.p is None:
        return ""
    return ", p<0.001" if chance.p < 0.001 else f", p={chance.p:.3f}"
