"""The same questions in SQL as a person would write it for DuckDB, over the same tables.

The person knows these tables, this definition and these windows, and writes nothing that the
answer does not need.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import duckdb
from asking import STAGES, counting

from bowtie import Bowtie
from bowtie.stages import Definition, load_definition
from bowtie.times import from_micros
from bowtie_projections import Views

#: A definition other than the store's: first entries only, no losses.
PLAIN = """
name = "plain"
version = 1
loss = "none"

[[stages.awareness]]
event = "touched"
where = { direction = "inbound" }
[[stages.education]]
event = "noted"
where = { name = "lead_created" }
[[stages.selection]]
event = "noted"
where = { name = ["demo_requested", "quote_requested", "opportunity_created"] }
[[stages.commitment]]
event = "contract_signed"
where = { kind = "paid", amount = { gt = 0 } }
[[stages.onboarding]]
event = "noted"
where = { name = "kickoff_held" }
[[stages.utilization]]
event = "impact_achieved"
[[stages.growth]]
event = "contract_renewed"
"""

_ENTRIES = """
entries AS (
  SELECT customer, 'awareness' AS stage, occurred_at FROM touched
  WHERE direction = 'inbound' AND {counts}
  UNION ALL SELECT customer, CASE name WHEN 'lead_created' THEN 'education'
    WHEN 'kickoff_held' THEN 'onboarding' ELSE 'selection' END, occurred_at FROM noted
  WHERE name IN ('lead_created', 'kickoff_held', 'demo_requested', 'quote_requested',
    'opportunity_created') AND {counts}
  UNION ALL SELECT customer, 'commitment', occurred_at FROM contract_signed
  WHERE kind = 'paid' AND amount > 0 AND {counts}
  UNION ALL SELECT customer, 'utilization', occurred_at FROM impact_achieved WHERE {counts}
  UNION ALL SELECT customer, 'growth', occurred_at FROM contract_renewed WHERE {counts}
),
first_touch AS (
  SELECT customer, min(occurred_at) AS touched_at,
    arg_min(channel, (occurred_at, position)) AS channel
  FROM touched WHERE {counts} GROUP BY customer
),
j AS (
  SELECT customer, touched_at, channel, NULL::TIMESTAMP AS lost_at, {columns}
  FROM entries LEFT JOIN first_touch USING (customer) GROUP BY ALL
)"""

_JOURNEYS = """
j AS (
  SELECT customer, first_touch_at AS touched_at, first_touch_channel AS channel,
    CASE WHEN lost_seen_at <= (SELECT as_of FROM cut) THEN lost_at END AS lost_at, {columns}
  FROM journeys WHERE cycle = 1
)"""

_FUNNEL = """
WITH cut AS (SELECT max(occurred_at) AS as_of FROM events WHERE {counts}),
{journeys},
member AS ({members}),
judged AS (
  SELECT stage, CASE WHEN touched_at <= entered_at THEN channel END AS channel, days,
    entered_at + horizon <= as_of AS mature, next_at - entered_at <= horizon AS reached,
    lost_at - entered_at <= horizon AND (next_at IS NULL OR lost_at < next_at) AS lost
  FROM (SELECT *, (epoch_us(next_at) - epoch_us(entered_at)) / 86400e6 AS days FROM member), cut
)
SELECT channel, stage, count(*) AS entered,
  count(*) FILTER (reached AND lost IS NOT TRUE) AS reached_next,
  count(*) FILTER (days < 0) AS out_of_order, count(*) FILTER (lost) AS lost,
  count(*) FILTER (mature AND reached IS NOT TRUE AND lost IS NOT TRUE) AS expired,
  count(*) FILTER (NOT mature AND reached IS NOT TRUE AND lost IS NOT TRUE) AS pending,
  count(*) FILTER (mature) AS mature,
  count(*) FILTER (mature AND reached AND lost IS NOT TRUE) / count(*) FILTER (mature)
    AS conversion,
  quantile_cont(days, [0.5, 0.75, 0.9]) FILTER (mature AND reached AND days >= 0) AS days
FROM judged GROUP BY ALL ORDER BY ALL"""


def _members() -> str:
    parts = []
    for number, stage in enumerate(STAGES):
        following = f"{STAGES[number + 1]}_at" if number < 6 else "NULL::TIMESTAMP"
        days = 90 if number < 3 else 180
        parts.append(
            f"SELECT '{stage}' AS stage, channel, touched_at, lost_at, {stage}_at AS entered_at,"
            f" {following} AS next_at, INTERVAL {days} DAY AS horizon"
            f" FROM j WHERE {stage}_at IS NOT NULL"
        )
    return " UNION ALL ".join(parts)


def _sql(position: int, *, facts: bool) -> str:
    counts = counting(position)
    if facts:
        columns = ", ".join(
            f"min(occurred_at) FILTER (stage = '{stage}') AS {stage}_at" for stage in STAGES
        )
        journeys = _ENTRIES.format(counts=counts, columns=columns)
    else:
        journeys = _JOURNEYS.format(columns=", ".join(f"{stage}_at" for stage in STAGES))
    return _FUNNEL.format(counts=counts, journeys=journeys, members=_members())


@dataclass
class Question:
    """A view to ask, and its answer by hand.

    ``ask`` opens the views anew, as a question from outside does.
    """

    engine: Bowtie
    asked: dict[str, Any]
    sql: str

    def ask(self) -> list[dict[str, Any]]:
        """Bowtie's answer."""
        with Views.open(self.engine) as views:
            return views.funnel(by=["channel"], **self.asked).rows()

    def by_hand(self, tables: Path) -> list[tuple[Any, ...]]:
        """The same by hand, opening the file included."""
        with duckdb.connect(str(tables), read_only=True) as connection:
            return connection.execute(self.sql).fetchall()

    def compare(self, tables: Path) -> None:
        """The two must agree, or the comparison means nothing."""
        names = ("entered", "reached_next", "out_of_order", "lost", "expired", "pending", "mature")
        ours = {
            (row["channel"], row["stage"]): tuple(row[name] or 0 for name in names)
            for row in self.ask()
            if row["stage"] != "growth" and row["entered"]
        }
        hand = self.by_hand(tables)
        theirs = {(row[0], row[1]): row[2:9] for row in hand if row[1] != "growth"}
        if ours != theirs:
            raise SystemExit(f"answers differ: {ours} and {theirs}")


def agree(ours: list[dict[str, Any]], frame: Any) -> None:
    """The funnel and that of pandas must count the same, or the comparison means nothing."""
    names = ("entered", "reached_next", "out_of_order", "expired", "pending", "mature")
    found = {
        (row["channel"] or "", row["stage"]): tuple(row[name] or 0 for name in names)
        for row in ours
        if row["stage"] != "growth" and row["entered"]
    }
    theirs = {
        (channel if isinstance(channel, str) else "", stage): tuple(int(row[one]) for one in names)
        for (channel, stage), row in frame.iterrows()
    }
    if found != theirs:
        raise SystemExit(f"answers differ: {found} and {theirs}")


def _default(engine: Bowtie, views: Views) -> Question:
    return Question(engine, {}, _sql(views.position, facts=False))


def _plain() -> Definition:
    return load_definition(PLAIN)


def _definition(engine: Bowtie, views: Views) -> Question:
    return Question(engine, {"definition": _plain()}, _sql(views.position, facts=True))


def _known_at(engine: Bowtie, views: Views) -> Question:
    """As known when nine tenths of the log had been recorded, by the plain definition."""
    state = engine.store.state_at(views.position * 9 // 10)
    known_at = from_micros(state.recorded_at or 0) + timedelta(microseconds=1)
    position = engine.store.position_recorded_by(state.recorded_at or 0)
    asked = {"definition": _plain(), "known_at": known_at}
    return Question(engine, asked, _sql(position, facts=True))


QUESTIONS: dict[str, Callable[[Bowtie, Views], Question]] = {
    "funnel": _default,
    "funnel_known_at": _known_at,
    "funnel_definition": _definition,
}
