"""Flow and velocity against a reading of the journeys in plain Python."""

from __future__ import annotations

from collections import Counter, defaultdict
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from bowtie.durations import parse_duration
from bowtie.events import TraitsObserved
from bowtie.stages import STAGES, Definition
from bowtie_projections.views.cohorts import period
from bowtie_projections.views.cut import Cut
from bowtie_projections.views.flow import flow
from bowtie_projections.views.velocity import pace, velocity
from tests.histories import DEFINITIONS, logs, moments
from tests.property.test_funnel_laws import _cell, _in_period, _journeys
from tests.read_tables import FilledTables, Said, counted

MICROSECOND = timedelta(microseconds=1)
cuts = st.tuples(st.none() | st.integers(0, 35), st.none() | moments)
shared = {
    "by": st.sampled_from([[], ["channel"], ["trait.plan"], ["channel", "trait.plan"]]),
    "from_": st.sampled_from([None, None, "2024-01-15", "2024-02"]),
    "to": st.sampled_from([None, None, "2024-Q1"]),
    "cycles": st.booleans(),
    "include_truncated": st.booleans(),
    "data_from": st.sampled_from([None, None, "2024-01-10"]),
}
flows = st.fixed_dictionaries(
    shared
    | {
        "period": st.sampled_from(["month", "week", "quarter"]),
        "lost_after": st.sampled_from([None, None, "10d", "60d"]),
    }
)
velocities = st.fixed_dictionaries(
    shared
    | {
        "within": st.sampled_from([None, "7d", "30d"]),
        "cohort": st.sampled_from(["month", "week", "all"]),
        "cohort_stage": st.sampled_from([None, None, "selection", "commitment"]),
    }
)


def _known(
    memory: FilledTables,
    facts: list[Said],
    definition: Definition,
    cut: tuple[int | None, datetime | None],
    asked: dict[str, Any],
) -> tuple[Cut, list[Said], datetime]:
    """The tables filled; the cut, the facts that count there, and the moment asked of."""
    position, as_of = cut
    known = counted(facts, len(facts) if position is None else position)
    moment = as_of or max((fact.occurred_at for fact in known), default=None)
    assume(moment is not None)
    assert moment is not None
    told = [
        fact
        for fact in known
        if isinstance(fact.data, TraitsObserved) and "plan" in fact.data.model_dump()["traits"]
    ]
    planned = any(fact.occurred_at <= moment for fact in told)
    assume(planned or "trait.plan" not in asked["by"])
    memory.load(facts, definition)
    return Cut(memory.position if position is None else position, as_of), known, moment


def _defaults(asked: dict[str, Any]) -> dict[str, Any]:
    return {"skipped": "absent", "lost_after": None, "cohort_stage": None} | asked


@given(facts=logs(), definition=st.sampled_from(DEFINITIONS), cut=cuts, asked=flows)
def test_the_flow_is_what_a_plain_reading_counts(
    memory: FilledTables,
    facts: list[Said],
    definition: Definition,
    cut: tuple[int | None, datetime | None],
    asked: dict[str, Any],
) -> None:
    """Each entry and each loss is counted once, in the period it happened in."""
    where, known, now = _known(memory, facts, definition, cut, asked)
    rows = flow(memory, where, definition, **asked).rows()

    read = _defaults(asked) | {"cohort": asked["period"]}
    expected: dict[tuple[Any, ...], Counter[str]] = defaultdict(Counter)
    for journey in _journeys(known, definition, now, read):
        for stage, at in journey.entries.items():
            if _in_period(at, read):
                expected[*_cell(journey, at, read), stage]["entered"] += 1
        if journey.lost_at is not None and _in_period(journey.lost_at, read):
            furthest = max(journey.entries, key=STAGES.index)
            expected[*_cell(journey, journey.lost_at, read), furthest]["lost"] += 1

    _check_periods(rows, asked, now)
    sees_losses = definition.loss == "events" or asked["lost_after"] is not None
    found = {(*(row[n] for n in asked["by"]), row["period"], row["stage"]): row for row in rows}
    assert len(found) == len(rows)
    assert {key for key, counts in expected.items() if counts["entered"]} <= set(found)
    for key, row in found.items():
        assert row["entered"] == expected[key]["entered"]
        assert row["lost"] == (expected[key]["lost"] if sees_losses else None)
        following = dict(pairwise(STAGES)).get(row["stage"])
        on = None if following is None else expected[*key[:-1], following]["entered"]
        assert row["entered_next"] == on
        assert row["flow_ratio"] == (
            on / row["entered"] if on is not None and row["entered"] else None
        )


def _check_periods(rows: list[dict[str, Any]], asked: dict[str, Any], now: datetime) -> None:
    """Each cell has the same periods, one after the other, and says which are not whole."""
    cells: dict[tuple[Any, ...], list[str]] = defaultdict(list)
    for row in rows:
        cells[tuple(row[name] for name in asked["by"])].append(row["period"])
    assert len({tuple(labels) for labels in cells.values()}) <= 1
    for labels in cells.values():
        spans = [period(label) for label in labels[:: len(STAGES)]]
        assert labels == [label for label in labels[:: len(STAGES)] for _ in STAGES]
        assert all(before[1] == after[0] for before, after in pairwise(spans))
    starts = [period(asked[name])[0] for name in ("from_", "data_from") if asked[name]]
    end = min([now.replace(tzinfo=None), *([period(asked["to"])[1]] if asked["to"] else [])])
    for row in rows:
        first, after = period(row["period"])
        whole = after - MICROSECOND <= end and all(first >= start for start in starts)
        assert row["complete"] == whole


def _steps(definition: Definition, within: str | None) -> list[tuple[str, str, str, timedelta]]:
    """Name, first stage, last stage and window, written down from the page."""
    windows = dict(zip(STAGES, (90, 90, 90, 180, 180, 180), strict=False))
    found = [(f"{a}_to_{b}", a, b, windows[a]) for a, b in pairwise(STAGES)]
    found.append(("commitment_to_first_impact", "commitment", "utilization", 360))
    assert definition.lead == "education"
    found.append(("lead_to_commitment", "education", "commitment", 180))
    given = None if within is None else parse_duration(within)
    return [(name, a, b, given or timedelta(days=days)) for name, a, b, days in found]


@given(facts=logs(), definition=st.sampled_from(DEFINITIONS), cut=cuts, asked=velocities)
def test_the_velocity_is_that_of_a_plain_reading(
    memory: FilledTables,
    facts: list[Said],
    definition: Definition,
    cut: tuple[int | None, datetime | None],
    asked: dict[str, Any],
) -> None:
    """Only the mature are judged; who was there before has moved and has no days."""
    where, known, now = _known(memory, facts, definition, cut, asked)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pace, "FEWEST", 1)
        rows = velocity(memory, where, definition, **asked).rows()

    read = _defaults(asked) | {"cohort": None if asked["cohort"] == "all" else asked["cohort"]}
    chosen = asked["cohort_stage"]
    expected: dict[tuple[Any, ...], Counter[str]] = defaultdict(Counter)
    days: dict[tuple[Any, ...], list[float]] = defaultdict(list)
    for journey in _journeys(known, definition, now, read):
        if chosen and not _in_period(journey.entries.get(chosen), read):
            continue
        for name, first, last, window in _steps(definition, asked["within"]):
            at, end = journey.entries.get(first), journey.entries.get(last)
            if at is None or (not chosen and not _in_period(at, read)):
                continue
            cell = _cell(journey, journey.entries[chosen] if chosen else at, read)
            key = (*cell, *(["all"] if asked["cohort"] == "all" else []), name)
            counts = expected[key]
            counts["entered"] += 1
            if at + window > now:
                continue
            counts["mature"] += 1
            if end is not None and end <= at + window:
                counts["moved"] += 1
                counts["out_of_order"] += end < at
                if end >= at:
                    days[key].append((end - at) / timedelta(days=1))

    found = {(*(row[n] for n in asked["by"]), row["cohort"], row["step"]): row for row in rows}
    assert set(found) == set(expected)
    for key, row in found.items():
        counts = expected[key]
        assert (row["entered"], row["mature"]) == (counts["entered"], counts["mature"])
        if not counts["mature"]:
            assert {row[name] for name in ("moved", "out_of_order", "moved_share", "days_p50")} == {
                None
            }
            continue
        assert (row["moved"], row["out_of_order"]) == (counts["moved"], counts["out_of_order"])
        assert row["moved_share"] == counts["moved"] / counts["mature"]
        for place in (25, 50, 75, 90):
            wanted = float(np.quantile(days[key], place / 100)) if days[key] else None
            assert row[f"days_p{place}"] == (wanted if wanted is None else pytest.approx(wanted))
