"""What is said of recurring revenue: who is counted, and what is not told yet."""

from __future__ import annotations

from bowtie.wording import are, counted
from bowtie_projections.views.revenue.levels import Levels
from bowtie_projections.views.revenue.table import Bridge

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
    paying = sum(row["customers_end"] for row in last)
    return (
        f"{units.count(paying)} {'pays' if paying == 1 else 'pay'} for a contract at the end of"
        f" {periods[-1]}; recurring revenue a {per} ({_CALLED[per]}) of paid contracts, {when} by"
        f" {levels.every}; usage, orders and invoices are not in it."
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
    found += [
        f"{name}: the {len(kept)} values of the most customers stand apart, the rest are other."
        for name, kept in members.kept.items()
    ]
    return found
