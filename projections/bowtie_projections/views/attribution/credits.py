"""The credit of each source under each model, exactly; and its parts, which sum to the cent.

>>> [str(part) for part in apportioned(Decimal("100.00"), [Fraction(1, 3)] * 3, Decimal("0.01"))]
['33.34', '33.33', '33.33']
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from decimal import ROUND_FLOOR, Decimal, localcontext
from fractions import Fraction
from typing import Any, NamedTuple

from bowtie_projections.views.attribution.markov import (
    CONVERSION,
    NULL,
    START,
    State,
    removal_effects,
)
from bowtie_projections.views.attribution.paths import MEASURES
from bowtie_projections.views.attribution.rules import READS, RULES, Touch
from bowtie_projections.views.loop.sources import NO_SOURCE

__all__ = [
    "Credit",
    "Credits",
    "apportioned",
    "decay_credits",
    "markov_credits",
    "rule_credits",
    "totals",
    "untouched",
]


class Credit(NamedTuple):
    """What is credited: parts of commitments, of the mature, of their worth by 365, of the high."""

    wins: Fraction = Fraction(0)
    mature: Fraction = Fraction(0)
    worth: Fraction = Fraction(0)
    high: Fraction = Fraction(0)

    @classmethod
    def of(cls, row: Mapping[str, Any]) -> Credit:
        """The measures of a row, as a whole."""
        return cls(*(Fraction(row[name]) for name in MEASURES))

    def plus(self, other: Credit) -> Credit:
        """Both together."""
        return Credit(*(a + b for a, b in zip(self, other, strict=True)))

    def times(self, share: Fraction) -> Credit:
        """A share of it."""
        return Credit(*(part * share for part in self))


#: By source, then by the month of the commitment.
Credits = dict[str, dict[int, Credit]]


def _none() -> Credits:
    return defaultdict(lambda: defaultdict(Credit))


def rule_credits(model: str, rows: Iterable[Mapping[str, Any]]) -> Credits:
    """Shared out by one of :data:`.RULES`, from the rows of :meth:`.Paths.counted`."""
    rule, found = RULES[model], _none()
    shares: dict[Touch, Fraction] = {}
    for row in rows:
        if row["source"] is None:
            continue
        touch = Touch(**{name: row[name] for name in READS[model]})
        if touch not in shares:
            shares[touch] = rule(touch)
        months = found[row["source"]]
        months[row["month"]] = months[row["month"]].plus(Credit.of(row).times(shares[touch]))
    return found


def untouched(rows: Iterable[Mapping[str, Any]]) -> Credits:
    """What no model can give to any source: the commitments without a touch."""
    found = _none()
    for row in rows:
        if row["source"] is None:
            months = found[NO_SOURCE]
            months[row["month"]] = months[row["month"]].plus(Credit.of(row))
    return found


def decay_credits(rows: Iterable[Mapping[str, Any]], whole: Credits) -> Credits:
    """Shared out by decay, from the rows of :meth:`.Paths.decayed`.

    Powers of 2 are no fractions, so each month's shares are brought to sum to its whole.

    Args:
        rows: by source and month.
        whole: the same commitments under any exact model.
    """
    sums = _by_month(whole)
    rough: dict[int, dict[str, Credit]] = defaultdict(dict)
    for row in rows:
        rough[row["month"]][row["source"]] = Credit.of(row)
    found = _none()
    for month, sources in rough.items():
        for measure, exact in enumerate(sums[month]):
            total = sum((credit[measure] for credit in sources.values()), Fraction(0))
            scale = exact / total if total else Fraction(0)
            for source, credit in sources.items():
                own = list(found[source][month])
                own[measure] = credit[measure] * scale
                found[source][month] = Credit(*own)
    return found


def markov_credits(rows: Iterable[Mapping[str, Any]], order: int, linear: Credits) -> Credits:
    """Shared out by removal effects, from the rows of :meth:`.Paths.transitions`.

    A chain knows no months: a source's credit falls on them as that of ``linear`` does, or that of
    all sources where it has none: paths may go on to a commitment from a source that so far was
    only on those without one.
    """
    steps = _steps(rows, order)
    if not steps:
        return _none()
    _, effects = removal_effects(steps)
    whole = totals(linear)
    total = sum((Fraction(effect) for effect in effects.values()), Fraction(0))
    found, of_all = _none(), _by_month(linear)
    for source in sorted({*linear, *effects}):
        months = linear.get(source, of_all)
        own = _summed(months)
        share = Fraction(effects.get(source, 0.0)) / total if total else Fraction(0)
        for month, credit in months.items():
            parts = (
                all_of * share * (part / of) if of else Fraction(0)
                for all_of, part, of in zip(whole, credit, own, strict=True)
            )
            found[source][month] = Credit(*parts)
    return _completed(found, whole)


def _steps(rows: Iterable[Mapping[str, Any]], order: int) -> dict[tuple[State, str], int]:
    """How often each state was left for each source or end."""
    names = [f"before_{number}" for number in range(order, 0, -1)]
    steps: dict[tuple[State, str], int] = defaultdict(int)
    for row in rows:
        before = tuple(START if row[name] is None else row[name] for name in names)
        steps[before, row["source"]] += row["times"]
        if row["is_last"]:
            end = CONVERSION if row["won"] else NULL
            steps[(*before[1:], row["source"]), end] += row["times"]
    return steps


def _completed(found: Credits, whole: Credit) -> Credits:
    """Measures that a source has none of under linear go to the others in their proportion."""
    got = totals(found)
    scales = [a / b if b else Fraction(0) for a, b in zip(whole, got, strict=True)]
    for months in found.values():
        for month, credit in months.items():
            months[month] = Credit(*(a * s for a, s in zip(credit, scales, strict=True)))
    return found


def totals(credits: Credits) -> Credit:
    """The credit of all sources and months."""
    return _summed({n: _summed(months) for n, months in enumerate(credits.values())})


def _by_month(credits: Credits) -> dict[int, Credit]:
    """The credit of all sources, by month."""
    found: dict[int, Credit] = defaultdict(Credit)
    for months in credits.values():
        for month, credit in months.items():
            found[month] = found[month].plus(credit)
    return found


def _summed(months: Mapping[int, Credit]) -> Credit:
    total = Credit()
    for credit in months.values():
        total = total.plus(credit)
    return total


def apportioned(total: Decimal, parts: Sequence[Fraction], unit: Decimal) -> list[Decimal]:
    """A sum in parts that are whole units and add up to it: the largest remainders are rounded up.

    Args:
        total: in whole units.
        parts: how it is shared, in any measure; the first of equal remainders comes first.
        unit: the least amount, such as a cent.
    """
    whole = sum(parts, Fraction(0))
    if not whole:
        return [Decimal(0) * unit for _ in parts]
    with localcontext(prec=60):
        units = int(total / unit)
        exact = [part * units / whole for part in parts]
        floors = [int(one // 1) for one in exact]
        order = sorted(range(len(parts)), key=lambda n: (floors[n] - exact[n], n))
        for place in order[: units - sum(floors)]:
            floors[place] += 1
        return [(count * unit).quantize(unit, rounding=ROUND_FLOOR) for count in floors]
