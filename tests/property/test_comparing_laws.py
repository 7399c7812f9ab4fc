"""A comparison is two answers side by side: each side as if it had been asked alone."""

from __future__ import annotations

from datetime import UTC
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from statsmodels.stats.proportion import confint_proportions_2indep

from bowtie.errors import Refused
from bowtie.stages import STAGES, Definition
from bowtie_projections.views.answers import FUNNEL
from bowtie_projections.views.beside import beside
from bowtie_projections.views.cohorts import period
from bowtie_projections.views.cut import Cut
from bowtie_projections.views.earlier import earlier, earlier_cohort
from bowtie_projections.views.funnel import funnel
from tests.histories import DEFINITIONS, logs, moments
from tests.read_tables import FilledTables, Said

ASKED = beside(funnel, FUNNEL)
PERIODS = [("2024-02", "2024-02"), ("2024-01-20", "2024-02-10"), ("2024-W05", "2024-W09")]

parameters = st.fixed_dictionaries(
    {
        "by": st.sampled_from([[], ["channel"]]),
        "within": st.sampled_from(["3d", "7d", "30d"]),
        "cycles": st.booleans(),
        "include_truncated": st.just(True),
        "cohort_stage": st.sampled_from([None, None, "education"]),
    }
)


def _keyed(rows: list[dict[str, Any]], names: list[str]) -> dict[tuple[Any, ...], dict[str, Any]]:
    return {tuple(row[name] for name in names): row for row in rows}


def _why_not(row: dict[str, Any], before: dict[str, Any]) -> str | None:
    if row["stage"] == STAGES[-1]:
        return None
    if not row["entered"] or not before["entered"]:
        return "nobody"
    young = row["mature"] < row["entered"] or before["mature"] < before["entered"]
    return "young" if young else None


def _check(row: dict[str, Any], before: dict[str, Any]) -> str | None:
    """The other side's figures, and the difference where nothing stands in its way."""
    for name in ("entered", "reached_next", "mature", "conversion"):
        assert row[f"{name}_before"] == before[name]
    why = _why_not(row, before)
    assert ("young" in (row["not_compared"] or "")) == (why == "young")
    if row["stage"] == STAGES[-1] or why is not None:
        assert row["conversion_difference"] is None
        return why
    counts = [
        count
        for side in (row, before)
        for count in (round(side["conversion"] * side["mature"]), side["mature"])
    ]
    low, high = confint_proportions_2indep(*counts, method="newcomb")
    gap = row["conversion"] - before["conversion"]
    assert row["conversion_difference"] == pytest.approx(gap)
    assert row["conversion_difference_low"] == pytest.approx(low, abs=1e-9)
    assert row["conversion_difference_high"] == pytest.approx(high, abs=1e-9)
    return None


@pytest.mark.slow
@given(
    facts=logs(),
    definition=st.sampled_from(DEFINITIONS),
    asked=parameters,
    span_and_moment=st.tuples(st.sampled_from(PERIODS), st.none() | moments),
)
def test_both_sides_are_what_they_are_alone(
    memory: FilledTables,
    facts: list[Said],
    definition: Definition,
    asked: dict[str, Any],
    span_and_moment: tuple[tuple[str, str], Any],
) -> None:
    span, as_of = span_and_moment
    memory.load(facts, definition)
    cut = Cut(memory.position, as_of)
    names = [*asked["by"], "stage"]
    alone, before = (
        _keyed(funnel(memory, cut, definition, from_=first, to=last, **asked).rows(), names)
        for first, last in (span, earlier("previous", *span))
    )
    now = as_of or max((fact.occurred_at for fact in facts), default=None)
    over = now is not None and period(span[1])[1].replace(tzinfo=UTC) <= now
    nobody = {"entered": 0, "reached_next": 0, "mature": 0, "conversion": None}
    last = nobody | {"reached_next": None, "mature": None}

    def side(rows: dict[tuple[Any, ...], Any], key: tuple[Any, ...]) -> dict[str, Any]:
        return rows.get(key) or (last if key[-1] == STAGES[-1] else nobody) | {"stage": key[-1]}

    keys = {*alone, *before}
    why = [_why_not(side(alone, key), side(before, key)) for key in keys if key[-1] != STAGES[-1]]
    try:
        result = ASKED(
            memory, cut, definition, from_=span[0], to=span[1], compare="previous", **asked
        )
    except Refused:
        assert (now is not None and not over) or ("young" in why and None not in why)
        return
    rows = _keyed(result.rows(), names)
    assert set(rows) == keys
    for key, row in rows.items():
        own = side(alone, key)
        assert {name: row[name] for name in own} == own
        _check(row, side(before, key))


@pytest.mark.slow
@given(
    facts=logs(), definition=st.sampled_from(DEFINITIONS), cohort=st.sampled_from(["month", "week"])
)
def test_a_cohort_is_compared_with_the_one_before(
    memory: FilledTables, facts: list[Said], definition: Definition, cohort: str
) -> None:
    memory.load(facts, definition)
    cut = Cut(memory.position)
    asked: dict[str, Any] = {"cohort": cohort, "within": "3d", "include_truncated": True}
    alone = _keyed(funnel(memory, cut, definition, **asked).rows(), ["cohort", "stage"])
    try:
        rows = ASKED(memory, cut, definition, compare="previous", **asked).rows()
    except Refused:
        return
    assert len(rows) == len(alone)
    for row in rows:
        before = alone.get((earlier_cohort("previous", row["cohort"], cohort), row["stage"]))
        assert row["entered_before"] == (before["entered"] if before else 0)
        if before:
            assert row["conversion_before"] == before["conversion"]
