"""The SQL of a definition and its reading in Python find the same cycles."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from bowtie.stages import STAGES, Cycle, Definition, evaluate
from bowtie_projections.cycles import cycles
from bowtie_projections.views.cut import Cut, utc
from tests.histories import DEFINITIONS, logs, moments
from tests.read_tables import FilledTables, Said, counted


def _expected(customer: str, cycle: Cycle) -> dict[str, Any]:
    row: dict[str, Any] = {"customer": customer, "cycle": cycle.number}
    row["opened_at"] = utc(cycle.opened_at)
    for stage in STAGES:
        row[f"{stage}_at"] = cycle.entries.get(stage) and utc(cycle.entries[stage])
        row[f"{stage}_latest"] = cycle.latest.get(stage) and utc(cycle.latest[stage])
    row["lost_at"] = cycle.lost_at and utc(cycle.lost_at)
    row["lost_seen_at"] = cycle.lost_seen_at and utc(cycle.lost_seen_at)
    row["lost_side"] = cycle.lost_side
    return row


def _in_python(
    definition: Definition, facts: list[Said], position: int, as_of: datetime | None
) -> list[dict[str, Any]]:
    known = counted(facts, position)
    return [
        _expected(customer, cycle)
        for customer in sorted({fact.customer for fact in known})
        for cycle in evaluate(
            definition, [fact for fact in known if fact.customer == customer], as_of
        )
    ]


@given(
    facts=logs(),
    definition=st.sampled_from(DEFINITIONS),
    as_of=st.none() | moments,
    position=st.none() | st.integers(0, 35),
)
def test_sql_and_python_find_the_same_cycles(
    memory: FilledTables,
    facts: list[Said],
    definition: Definition,
    as_of: datetime | None,
    position: int | None,
) -> None:
    """Whatever happened, whatever was taken back, at any position and any moment."""
    memory.load(facts)
    position = len(facts) if position is None else position

    statement = cycles(definition, Cut(position, as_of))
    found = memory.fetch(statement.order_by("customer", "cycle")).to_pylist()

    assert _in_python(definition, facts, position, as_of) == found
