"""What is said of recurring revenue: who is counted, and what is not told yet."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from bowtie.wording import are, counted
from bowtie_projections.views.revenue.levels import Levels
from bowtie_projections.views.revenue.table import Bridge
from bowtie_projections.views.units import Units

__all__ = ["notes", "sentence"]

_CALLED = {"month": "MRR", "year": "ARR"}


def sentence(levels: Levels, bridge: Bridge, per: str) -> str:
    """Who pays, what the amounts are, and over which periods."""
    units = levels.members.units
    if not bridge.rows:
        return f"No {units.name} paid for a contract in the time asked for."
    periods = sorted({row["period"] for row in bridge.rows})
    when = periods[0] if len(periods) == 1 else f"{periods[0]} to {periods[-1]}"
    last = [row for row in bridge.rows if row["period"] == periods[-1]]
    over = all(row["complete"] for row in last)
    until = f"at the end of {periods[-1]}" if over else f"on {levels.today:%Y-%m-%d}"
    return (
        f"{_paying(last, units)} for a contract {until}; recurring revenue a {per}"
        f" ({_CALLED[per]}) of paid contracts, {when} by {levels.every}; usage, orders and invoices"
        " are not in it."
    )


def _paying(rows: Sequence[Mapping[str, Any]], units: Units) -> str:
    """How many pay; by currency, where there are several: who pays in two is one of each."""
    found: dict[str, int] = defaultdict(int)
    for row in rows:
        found[row["currency"]] += row["customers_end"]
    return " and ".join(
        f"{units.count(number)} {'pays' if number == 1 else 'pay'}"
        + (f" in {currency}" if len(found) > 1 else "")
        for currency, number in sorted(found.items())
    )


def notes(levels: Levels, bridge: Bridge, *, daily: bool) -> list[str]:
    """What the reader must know before believing the figures."""
    rows, members, found = bridge.rows, levels.members, []
    if partial := list(dict.fromkeys(row["period"] for row in rows if not row["complete"])):
        found.append(
            f"{', '.join(partial)} {are(len(partial))} not covered as a whole: movements are those"
            " so far, and rates wait for its end."
        )
    if rows and any(row["in_grace"] for row in rows):
        found.append(
            "in_grace is past its last day with neither a renewal nor an end on record: it counts"
            " for 30 days, and then as churned from the day after its last."
        )
    if bridge.announced:
        found.append(
            f"{counted(bridge.announced, 'contract')} will begin, change or end later, as is known"
            " already: that counts when its day has come."
        )
    if bridge.brief and not daily:
        found.append(
            f"{counted(bridge.brief, 'time')} somebody came and went within one {levels.every}:"
            ' net movements leave that out (movements="daily" has it).'
        )
    if daily:
        found.append(
            "Movements are those of each day; grr, nrr and lost_share compare the start with the"
            " end, so what went down and up again in between is kept."
        )
    if len(currencies := {row["currency"] for row in rows}) > 1:
        found.append(
            f"{' and '.join(sorted(currencies))} are never added: each is told by itself, and who"
            f" pays in several is a {members.units.name} of each."
        )
    return [*found, *members.folded_notes]
