"""The stage funnel in pandas, as a person would write it, over the same facts in memory."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import duckdb
import pandas as pd
from asking import STAGES, counting

_NOTED = {
    "lead_created": "education",
    "demo_requested": "selection",
    "quote_requested": "selection",
    "opportunity_created": "selection",
    "kickoff_held": "onboarding",
}
_FACTS = {
    "touched": "customer, occurred_at, position, direction, channel",
    "noted": "customer, occurred_at, name",
    "contract_signed": "customer, occurred_at, kind, amount::DOUBLE AS amount",
    "impact_achieved": "customer, occurred_at",
    "contract_renewed": "customer, occurred_at",
}


def load(tables: Path, position: int) -> tuple[dict[str, pd.DataFrame], Any]:
    """The facts as frames, and the moment of the newest; not timed."""
    counts = counting(position)
    with duckdb.connect(str(tables), read_only=True) as connection:
        frames = {
            name: connection.execute(f"SELECT {columns} FROM {name} WHERE {counts}").df()
            for name, columns in _FACTS.items()
        }
        found = connection.execute(f"SELECT max(occurred_at) FROM events WHERE {counts}").fetchone()
    return frames, pd.Timestamp(found[0]) if found else None


def _entries(facts: dict[str, pd.DataFrame]) -> pd.DataFrame:
    """Each customer's first entry into each stage, a column a stage."""
    touched, noted, signed = facts["touched"], facts["noted"], facts["contract_signed"]
    paid = (signed["kind"] == "paid") & (signed["amount"] > 0)
    parts = [
        touched[touched["direction"] == "inbound"].assign(stage="awareness"),
        noted.assign(stage=noted["name"].map(_NOTED)).dropna(subset=["stage"]),
        signed[paid].assign(stage="commitment"),
        facts["impact_achieved"].assign(stage="utilization"),
        facts["contract_renewed"].assign(stage="growth"),
    ]
    rows = pd.concat([part[["customer", "stage", "occurred_at"]] for part in parts])
    first = rows.groupby(["customer", "stage"])["occurred_at"].min().unstack()
    return first.reindex(columns=list(STAGES))


def funnel(facts: dict[str, pd.DataFrame], as_of: pd.Timestamp) -> pd.DataFrame:
    """By channel and stage what the funnel of bowtie counts, without losses."""
    touched = facts["touched"].sort_values(["occurred_at", "position"])
    touch = touched.drop_duplicates("customer").set_index("customer")
    first = _entries(facts).join(touch[["occurred_at", "channel"]])
    parts = []
    for number, stage in enumerate(STAGES[:-1]):
        days = pd.Timedelta(days=90 if number < 3 else 180)
        member = first[first[stage].notna()]
        wait = member[STAGES[number + 1]] - member[stage]
        mature = member[stage] + days <= as_of
        reached = wait <= days
        parts.append(
            pd.DataFrame(
                {
                    "stage": stage,
                    "channel": member["channel"].where(member["occurred_at"] <= member[stage]),
                    "entered": 1,
                    "reached_next": reached,
                    "out_of_order": wait < pd.Timedelta(0),
                    "expired": mature & ~reached,
                    "pending": ~mature & ~reached,
                    "mature": mature,
                    "days": (wait / pd.Timedelta(days=1)).where(
                        mature & reached & (wait.dt.days >= 0)
                    ),
                }
            )
        )
    rows = pd.concat(parts).groupby(["channel", "stage"], dropna=False)
    counts = rows[["entered", "reached_next", "out_of_order", "expired", "pending", "mature"]].sum()
    return counts.join(rows["days"].quantile([0.5, 0.75, 0.9]).unstack())
