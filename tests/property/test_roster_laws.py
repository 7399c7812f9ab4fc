"""Everybody whom a view counts makes its figures, cell by cell; and so does who is explained."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bowtie.errors import Refused, UnknownName
from bowtie_projections.diff import Side, asked_on, diffed_view
from bowtie_projections.diff.figures import figures_of, keys_of
from bowtie_projections.diff.moved import moved_members
from bowtie_projections.explaining import explanation
from bowtie_projections.views.cut import Cut
from tests.histories import DEFINITIONS, events, moments
from tests.read_tables import FilledTables, Said

_BY: dict[str, Any] = {"by": st.sampled_from([[], [], ["channel"], ["size"]])}
_FROM: dict[str, Any] = {
    "from_": st.sampled_from([None, None, "2024-01-15"]),
    "include_truncated": st.just(True),
}
_LOST: dict[str, Any] = {"lost_after": st.sampled_from([None, "20d"])}
_CYCLES: dict[str, Any] = {"cycles": st.booleans()}
_COHORT: dict[str, Any] = {"cohort": st.sampled_from(["month", "week", "all"])}
#: What each view is asked.
ASKED: dict[str, dict[str, Any]] = {
    "funnel": _BY | _FROM | _LOST | _CYCLES | {"cohort": st.sampled_from([None, "month"])},
    "stock": _BY | _LOST | {"unit": st.sampled_from(["customer", "cycle"])},
    "flow": _BY | _FROM | _LOST | _CYCLES | {"period": st.sampled_from(["month", "week"])},
    "velocity": _BY | _FROM | _CYCLES | _COHORT | {"within": st.sampled_from([None, "20d"])},
    "retention": _BY
    | _FROM
    | {
        "active": st.sampled_from([None, "order", "any"]),
        "age": st.sampled_from(["week", "month"]),
        "cohort": st.sampled_from(["month", "year"]),
    },
    "repeat": _BY | _FROM | _COHORT | {"within": st.sampled_from(["30d", ["7d", "20d"]])},
    "pipeline": _BY | _LOST,
    "value": _BY
    | _FROM
    | _COHORT
    | {
        "horizon": st.sampled_from(["10d", "30d"]),
        "time_zero": st.sampled_from(["commitment", "lead"]),
        "threshold": st.sampled_from([None, "5"]),
    },
    "rfm": _BY,
    "revenue": _BY
    | {
        "every": st.sampled_from(["month", "quarter"]),
        "per": st.sampled_from(["month", "year"]),
        "movements": st.sampled_from(["net", "daily"]),
        "from_": st.sampled_from([None, None, "2024-02"]),
    },
    "loop": {
        "horizon": st.sampled_from(["7d", "20d"]),
        "time_zero": st.sampled_from(["commitment", "lead"]),
        "threshold": st.just("5"),
        "target": st.sampled_from(["high", "high", "low"]),
        "traits": st.sampled_from([{}, {"size": {"bins": 2}, "plan": {"timeless": True}}]),
        "include_truncated": st.just(True),
    },
    "metrics": _LOST | {"edition": st.sampled_from(["wbd-2022", "wbd-2026"])},
    "attribution": {
        "models": st.sampled_from(["all", ["linear", "time_decay", "markov"]]),
        "by": st.sampled_from(["channel", "campaign"]),
        "horizon": st.just("20d"),
        "threshold": st.just("5"),
        "include_truncated": st.just(True),
    },
}
asked = st.sampled_from(sorted(ASKED)).flatmap(
    lambda view: st.tuples(st.just(view), st.fixed_dictionaries(ASKED[view]))
)
places = st.tuples(st.integers(0, 40), st.none() | moments)
definitions = st.sampled_from(DEFINITIONS)


@st.composite
def logs(draw: st.DrawFn) -> list[Said]:
    """What some customers did; some of it taken back."""
    customers = draw(st.sampled_from(["ab", "abcdef"]))
    said = draw(
        st.lists(st.tuples(st.sampled_from(customers), events, moments), min_size=15, max_size=35)
    )
    taken_back = draw(
        st.dictionaries(st.integers(1, len(said)), st.integers(1, len(said) + 1), max_size=2)
    )
    return [
        Said(customer, event, at, position, retracted_position=taken_back.get(position))
        for position, (customer, event, at) in enumerate(said, start=1)
    ]


def side(memory: FilledTables, question: Any, where: Any, definition: Any) -> Side | None:
    """A question asked; None where it can't be answered."""
    (view, parameters), (position, as_of) = question, where
    sides: list[Side] = []
    try:
        asking = asked_on(diffed_view(view), sides)
        asking(memory, Cut(position, as_of), definition, **parameters)
    except (Refused, UnknownName):  # two currencies; nobody has such a trait
        return None
    return sides[0]


def counted(one: Side) -> Counter[Any]:
    """By cell and column, how many members there are; each but once."""
    rows = one.roster.fetch().to_pylist()
    found = [
        (one.roster.cell(row), row["customer"], row["apart"], name)
        for row in rows
        for name in one.roster.counted_by(row["code"])
        if name in one.roster.counts
    ]
    assert len(set(found)) == len(found), "nobody is counted twice"
    return Counter((cell, name) for cell, _, _, name in found)


def adds_up(row: dict[str, Any], name: str) -> bool:
    """Whether members make a sum: not what is of all paths together, no share, and no days."""
    if "metric" in row:
        taken = {"recurring_revenue", "revenue_committed", "revenue_after_onboarding"}
        return name == "value" and (row["unit"] == "customers" or row["metric"] in taken)
    return row.get("model") != "markov" or row[next(iter(row))] == "(none)"


def added(one: Side) -> dict[Any, list[Any]]:
    """By cell and column, what the members add to each sum, as it is told."""
    found: dict[Any, list[Any]] = defaultdict(list)
    for row in one.roster.fetch().to_pylist():
        for name, amount in one.roster.amounts(row).items():
            found[one.roster.cell(row), name].append(one.roster.sums[name](amount))
    return found


@given(facts=logs(), question=asked, where=places, definition=definitions)
def test_all_members_together_make_every_count(
    memory: FilledTables, facts: list[Said], question: Any, where: Any, definition: Any
) -> None:
    memory.load(facts, definition)
    one = side(memory, question, where, definition)
    if one is None:
        return
    members, amounts, keys = counted(one), added(one), keys_of((one, one))
    for row in one.answer.rows():
        cell = tuple(row[key] for key in keys)
        for name in one.roster.sums:
            if adds_up(row, name):
                found = amounts.pop((cell, name), [])
                # each is rounded by itself
                rounded = 0.02 * (1 + len(found))
                assert math.isclose(sum(map(float, found)), row[name] or 0, abs_tol=rounded)
        for name in one.roster.counts:
            number = members.pop((cell, name), 0)
            if row[name] is not None:
                assert number == row[name], (name, cell)
    assert not members, "nobody is in a cell that the answer doesn't have"
    if question[0] != "metrics":
        assert not amounts, "no amount is in a cell that the answer doesn't have"


@given(
    facts=logs(),
    question=asked,
    wheres=st.tuples(places, places),
    both=st.tuples(definitions, definitions),
)
def test_who_joined_less_who_left_is_the_change(
    memory: FilledTables, facts: list[Said], question: Any, wheres: Any, both: Any
) -> None:
    memory.load(facts, both[0])
    before, after = (
        side(memory, question, where, one) for where, one in zip(wheres, both, strict=True)
    )
    if before is None or after is None:
        return
    change: Counter[Any] = Counter()
    added_up: dict[Any, float] = defaultdict(float)
    for one in moved_members((before, after)):
        change.update((one.cell, name) for name in one.after)
        change.subtract((one.cell, name) for name in one.before)
        sums = after.roster.sums
        for place, sign in ((0, -1), (1, 1)):
            for name, amount in one.amounts[place].items():
                added_up[one.cell, name] += sign * float(sums[name](amount))
    keys = keys_of((before, after))
    for figure in figures_of((before, after), keys):
        moved = change.pop((figure.cell, figure.column), 0)
        if figure.counts and figure.change is not None:
            assert moved == figure.change
        elif figure.column in after.roster.sums:
            if not adds_up(dict(zip(keys, figure.cell, strict=True)), figure.column):
                continue
            change_of = float(figure.after or 0) - float(figure.before or 0)
            near = 0.02 * (2 + len(facts))
            assert math.isclose(added_up[figure.cell, figure.column], change_of, abs_tol=near)


@given(
    facts=logs(),
    question=asked,
    where=places,
    definition=definitions,
    place=st.integers(0, 1000),
)
def test_as_many_are_explained_as_are_counted(  # noqa: PLR0917 - the drawn
    memory: FilledTables, facts: list[Said], question: Any, where: Any, definition: Any, place: int
) -> None:
    """Of any row, every count: the members are those, and each event counts at the moment."""
    memory.load(facts, definition)
    one = side(memory, question, where, definition)
    rows = [] if one is None else one.answer.rows()
    if one is None or not rows:
        return
    row, (view, parameters) = rows[place % len(rows)], question
    cell = {name: row[name] for name in keys_of((one, one))}
    known = {fact.position for fact in facts if fact.position <= one.cut.position}
    for name in one.roster.counts:
        if row[name] is None:
            continue
        found = explanation(
            memory, one.cut, definition, view=view, cell=cell, column=name, **parameters
        )
        told = found.rows()
        if one.roster.apart != "opportunity":
            assert found.meta["members"] == row[name]
        else:
            assert bool(told) == bool(row[name])
        assert {event["position"] for event in told} <= known | {None}


@pytest.mark.slow
def test_every_view_that_is_compared_is_asked() -> None:
    from bowtie_projections.explained import EVIDENCE

    assert {*ASKED} == {view for view, one in EVIDENCE.items() if one.roster is not None}
