"""Touchpoints against a reading of the events in plain Python."""

from __future__ import annotations

from collections import defaultdict
from datetime import datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bowtie.events import ScoreGiven, Touched
from bowtie.stages import STAGES, Definition, evaluate
from bowtie_projections.views.cut import Cut
from bowtie_projections.views.touchpoints import touchpoints
from tests.histories import DEFINITIONS, logs, moments
from tests.read_tables import FilledTables, Said, counted

PLACES = (*STAGES, "lost", "no stage")


@st.composite
def touches(draw: st.DrawFn) -> Touched:
    """At few touchpoints; some say what they cost, in two currencies."""
    cost = draw(st.none() | st.sampled_from([Decimal("0.5"), Decimal(0), Decimal(7)]))
    return Touched(
        channel=draw(st.sampled_from(["ads", "mail"])),
        direction=draw(st.sampled_from(["inbound", "outbound"])),
        touchpoint=draw(st.sampled_from(["x", "y", "other", None])),
        cost=cost,
        currency=draw(st.sampled_from(["EUR", "USD"])) if cost is not None else None,
    )


scores = st.builds(
    ScoreGiven,
    instrument=st.sampled_from(["nps", "nps", "csat", "ces"]),
    score=st.sampled_from([Decimal(n) for n in (-1, 0, 6, 7, 8, 9, 10, 11)]),
    touchpoint=st.sampled_from(["x", "survey", None]),
)


@st.composite
def histories(draw: st.DrawFn) -> list[Said]:
    """A log, with touches and scores of its customers, and of one who did nothing else."""
    facts = draw(logs())
    more = st.tuples(st.sampled_from("abc"), touches() | scores, moments)
    for customer, event, at in draw(st.lists(more, min_size=5, max_size=15)):
        facts.append(Said(customer, event, at, len(facts) + 1))
    return facts


def _place(facts: list[Said], definition: Definition, now: datetime, touch: Said) -> str:
    """Where its customer stood then, as the whole log tells it now."""
    own = [fact for fact in facts if fact.customer == touch.customer]
    at = touch.occurred_at
    opened = [
        cycle for cycle in evaluate(definition, own, now) if min(cycle.entries.values()) <= at
    ]
    if not opened:
        return "no stage"
    last = opened[-1]
    if last.lost_at is not None and last.lost_at <= at:
        return "lost"
    return max((s for s, entered in last.entries.items() if entered <= at), key=STAGES.index)


def _expected(
    facts: list[Said], definition: Definition, now: datetime, of: str, *, by_stage: bool
) -> dict[tuple[str | None, str | None], dict[str, Any]]:
    rows: dict[tuple[str | None, str | None], list[Said]] = defaultdict(list)
    for fact in facts:
        if not isinstance(fact.data, Touched) and not (
            isinstance(fact.data, ScoreGiven) and of == "touchpoint"
        ):
            continue
        place = _place(facts, definition, now, fact) if by_stage else None
        value = getattr(fact.data, of)
        rows["other (value)" if value == "other" else value, place].append(fact)
    return {cell: _row(found) for cell, found in rows.items()}


def _row(found: list[Said]) -> dict[str, Any]:
    told = [fact.data for fact in found if isinstance(fact.data, Touched)]
    costed = [touch for touch in told if touch.cost is not None]
    currencies = {touch.currency for touch in costed}
    one = len(currencies) == 1
    cost = sum((touch.cost or Decimal(0) for touch in costed), Decimal(0)) if one else None
    row: dict[str, Any] = {
        "touches": len(told),
        "inbound": sum(touch.direction == "inbound" for touch in told),
        "outbound": sum(touch.direction == "outbound" for touch in told),
        "customers": len({fact.customer for fact in found if isinstance(fact.data, Touched)}),
        "no_cost_share": 1 - len(costed) / len(told) if told else None,
        "currency": currencies.pop() if one else None,
        "cost": cost,
        "cost_per_touch": None if cost is None else cost / len(costed),
    }
    given_scores = [fact.data for fact in found if isinstance(fact.data, ScoreGiven)]
    for name in ("nps", "csat", "ces"):
        values = [one.score for one in given_scores if one.instrument == name]
        if name == "nps":
            values = [value for value in values if 0 <= value <= 10]
            judged = [(value >= 9) - (value <= 6) for value in values]
            row[name] = 100 * sum(judged) / len(judged) if judged else None
        else:
            row[name] = float(sum(values) / len(values)) if values else None
        row[f"{name}_answers"] = len(values) or None
    return row


def _same(one: Any, other: Any) -> bool:
    if one is None or other is None or isinstance(one, str):
        return bool(one == other)
    return float(one) == pytest.approx(float(other), abs=1e-6)


@given(
    facts=histories(),
    definition=st.sampled_from(DEFINITIONS[:2]),
    as_of=st.none() | moments,
    asked=st.fixed_dictionaries(
        {"of": st.sampled_from(["touchpoint", "channel"]), "no_stages": st.booleans()}
    ),
)
def test_the_rows_are_those_of_a_plain_reading(
    memory: FilledTables,
    facts: list[Said],
    definition: Definition,
    as_of: datetime | None,
    asked: dict[str, Any],
) -> None:
    """Volume, reach, costs and scores, at the place of that moment."""
    memory.load(facts, definition)
    known = counted(facts, len(facts))
    now = as_of or max(fact.occurred_at for fact in known)
    known = [fact for fact in known if fact.occurred_at <= now]

    result = touchpoints(memory, Cut(memory.position, as_of), definition, **asked)

    of = asked["of"]
    expected = _expected(known, definition, now, of, by_stage=not asked["no_stages"])
    found = {(row[of], row.get("stage")): row for row in result.rows()}
    assert set(found) == set(expected)
    for cell, row in expected.items():
        for name, value in row.items():
            assert _same(found[cell][name], value), (cell, name, found[cell][name], value)
    _check_parts(result, known)


def _check_parts(result: Any, known: list[Said]) -> None:
    """Every cost and answer is in a row of the parts, in its own currency."""
    sums: dict[str, Decimal] = defaultdict(Decimal)
    answers = 0
    for fact in known:
        if isinstance(fact.data, Touched) and fact.data.cost is not None:
            sums[str(fact.data.currency)] += fact.data.cost
        answers += isinstance(fact.data, ScoreGiven)
    told: dict[str, Decimal] = defaultdict(Decimal)
    for row in result.part("costs").rows() if "costs" in result.parts else []:
        told[row["currency"]] += row["cost"]
    assert sums == told
    if "scores" in result.parts:
        rows = result.part("scores").rows()
        assert answers == sum(row["answers"] + row["out_of_scale"] for row in rows)


@given(facts=histories(), as_of=st.none() | moments, by=st.sampled_from([["channel"], []]))
def test_parts_sum_to_the_total(
    memory: FilledTables, facts: list[Said], as_of: datetime | None, by: list[str]
) -> None:
    """With others put together too."""
    memory.load(facts, DEFINITIONS[0])
    cut = Cut(memory.position, as_of)
    rows = touchpoints(memory, cut, DEFINITIONS[0], by=by, top=1).rows()
    whole = touchpoints(memory, cut, DEFINITIONS[0], no_stages=True).rows()
    for name in ("touches", "inbound", "outbound", "nps_answers"):
        assert sum(row[name] or 0 for row in rows) == sum(row[name] or 0 for row in whole)
    apart = {row["touchpoint"] for row in rows} - {"other", None}
    assert len(apart) <= 1
