"""The funnel's estimates against a reading of the events in plain Python, and the laws they keep."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from itertools import pairwise
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from bowtie.stages import STAGES, Definition
from bowtie_projections.views.cohorts import period
from tests.histories import DEFINITIONS, logs
from tests.property import test_funnel_laws as plain
from tests.read_tables import FilledTables, Said

MICROSECOND = timedelta(microseconds=1)
#: When a member began to be watched, until when, and how that ended.
Watched = tuple[int, int, str]


def _watched(
    facts: list[Said], definition: Definition, now: datetime, asked: dict[str, Any]
) -> tuple[dict[tuple[Any, ...], list[Watched]], set[tuple[Any, ...]]]:
    """Who was watched how long, by cell and stage; and the cells where some times are not known."""
    since = period(asked["data_from"])[0].replace(tzinfo=UTC) if asked["entry_age"] else None
    own = asked | {"include_truncated": True} if since else asked
    cells, untimed = defaultdict(list), set()
    for journey in plain._journeys(facts, definition, now, own):
        seen = min(fact.occurred_at for fact in journey.facts)
        if since and since <= seen < since + definition.burn_in:
            continue
        chosen = asked["cohort_stage"]
        if chosen and not plain._in_period(journey.entries.get(chosen), asked):
            continue
        for stage, at in journey.entries.items():
            if stage == STAGES[-1] or (not chosen and not plain._in_period(at, asked)):
                continue
            key = (*plain._cell(journey, journey.entries[chosen] if chosen else at, asked), stage)
            following = STAGES[STAGES.index(stage) + 1]
            came, lost = journey.entries.get(following), journey.lost_at
            over, how = (came, "reached") if came else (lost, "lost") if lost else (now, "")
            age = max((over - at) // MICROSECOND, 0)
            start = max((since - at) // MICROSECOND, 0) if since else 0
            if came and {stage, following} & journey.imputed:
                untimed.add(key)
            if age >= start:
                cells[key].append((start, age, how))
    return cells, untimed


def _at_risk(members: list[Watched], age: Fraction | int) -> int:
    return sum(start <= age <= end for start, end, _ in members)


def _steps(members: list[Watched], until: int) -> tuple[Fraction, Fraction]:
    """Who reached it, and who is left over, by an age."""
    reached, left = Fraction(0), Fraction(1)
    for age in sorted({end for _, end, how in members if how and end <= until}):
        risk = _at_risk(members, age)
        ended = [how for _, end, how in members if end == age and how]
        reached += left * Fraction(ended.count("reached"), risk)
        left *= 1 - Fraction(len(ended), risk)
    return reached, left


def _known_until(members: list[Watched]) -> int:
    """The age after which nobody is at risk; -1 where nobody is from the beginning."""
    if not _at_risk(members, 0):
        return -1
    ends = sorted({end for _, end, _ in members})
    return next(end for end in ends if not _at_risk(members, end + Fraction(1, 2)))


def _expected(members: list[Watched], window: int) -> float | None:
    until = _known_until(members)
    if until < 0:
        return None
    reached, left = _steps(members, window)
    later = any(start > until for start, _, _ in members)
    return float(reached) if window <= until or (left == 0 and not later) else None


def _half(members: list[Watched]) -> int | None:
    until = _known_until(members)
    ages = sorted({end for _, end, how in members if how == "reached" and end <= until})
    return next((age for age in ages if _steps(members, age)[0] >= Fraction(1, 2)), None)


def _close(found: float | None, expected: float | None) -> bool:
    if found is None or expected is None:
        return found is expected
    return abs(found - expected) < 1e-9


@given(
    facts=logs(),
    definition=st.sampled_from(DEFINITIONS),
    asked=plain.questions,
    late=st.booleans(),
)
def test_the_estimates_are_those_of_a_plain_reading(
    memory: FilledTables, facts: list[Said], definition: Definition, asked: plain.Asked, late: bool
) -> None:
    """Share, number at risk and half, of each cell, whatever was asked, at whatever cut."""
    entry_age = late and asked.parameters["data_from"] is not None
    more = {"entry_age": entry_age}
    if entry_age:
        more |= {"include_truncated": False}
    asked = replace(asked, parameters=asked.parameters | more)
    known = plain._loaded(memory, facts, definition, asked)
    now = plain._now(known, asked)

    rows = asked.of(memory, definition, estimate=True).rows()

    cells, untimed = ({}, set()) if now is None else _watched(
        known, definition, now, asked.parameters
    )  # fmt: skip
    found = {plain._key(row, asked.parameters): row for row in rows}
    assert set(cells) <= set(found)
    for key, row in found.items():
        if row["stage"] == STAGES[-1]:
            assert row["conversion_estimate"] is row["at_risk"] is row["estimator"] is None
            continue
        members = cells.get(key, [])
        window = plain._window(row["stage"], asked.parameters) // MICROSECOND
        assert row["at_risk"] == _at_risk(members, window), key
        expected = _expected(members, window) if members else None
        assert _close(row["conversion_estimate"], expected), key
        half = _half(members) if members and key not in untimed else None
        assert _close(row["days_to_half"], half and half * MICROSECOND / timedelta(days=1)), key


@given(facts=logs(), definition=st.sampled_from(DEFINITIONS), asked=plain.questions)
def test_where_all_are_mature_the_estimate_is_the_conversion(
    memory: FilledTables, facts: list[Said], definition: Definition, asked: plain.Asked
) -> None:
    """Nothing that stood there before moves for it; and the curve ends at it, and never falls."""
    plain._loaded(memory, facts, definition, asked)

    whole = asked.of(memory, definition, horizon="curve")

    for row, before in zip(whole.rows(), asked.of(memory, definition).rows(), strict=True):
        assert before == {name: row[name] for name in before}
        if row["mature"] and row["mature"] == row["entered"]:
            assert _close(row["conversion_estimate"], row["conversion"])
            if row["estimate_low"] is not None:
                assert 0 < row["estimate_low"] < row["conversion"] < row["estimate_high"] < 1
    curve = whole.part("curve").rows()
    rows = [row for row in whole.rows() if row["stage"] != STAGES[-1]]
    pairs = {"conversion_estimate": "estimate", "estimate_low": "low", "estimate_high": "high"}
    for row, end in zip(rows, curve[90::91], strict=True):
        assert end["days"] == plain._window(row["stage"], asked.parameters) / timedelta(days=1)
        assert all(_close(row[name], end[other]) for name, other in pairs.items())
        assert (row["stage"], row["at_risk"]) == (end["stage"], end["at_risk"])
    for one, after in pairwise(curve):
        if after["days"] and one["estimate"] is not None and after["estimate"] is not None:
            assert after["estimate"] >= one["estimate"] - 1e-12
