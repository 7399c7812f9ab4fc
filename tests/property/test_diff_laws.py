"""The difference of two answers, against plain Python, and the laws that it keeps."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from datetime import datetime
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from bowtie.stages import STAGES, Definition
from bowtie_projections.diff import Side, asked_on, diffed_view, difference
from bowtie_projections.diff.figures import Figure, figures_of, keys_of
from bowtie_projections.diff.moved import Moved, moved_members
from bowtie_projections.views.cut import Cut
from tests.histories import DEFINITIONS, logs, moments
from tests.property.test_funnel_laws import _cell, _in_period, _journeys, _judge, _window
from tests.read_tables import FilledTables, Said, counted

_PLAIN: dict[str, Any] = {
    "by": [], "within": None, "cohort": None, "from_": None, "to": None, "skipped": "absent",
    "cycles": False, "cohort_stage": None, "lost_after": None, "include_truncated": True,
    "data_from": None,
}  # fmt: skip
parameters = st.fixed_dictionaries(
    {
        "by": st.sampled_from([[], ["channel"]]),
        "cohort": st.sampled_from([None, None, "month"]),
        "skipped": st.sampled_from(["absent", "impute"]),
        "cycles": st.booleans(),
        "lost_after": st.sampled_from([None, None, "20d"]),
    }
)
#: A position, and when it is asked as of; the newest fact, if that is not said.
places = st.tuples(st.integers(0, 35), st.none() | moments)
definitions = st.sampled_from(DEFINITIONS)


#: Where a question is asked, and by which definition.
Where = tuple[tuple[int, datetime | None], Definition]


def asked_twice(
    memory: FilledTables, view: str, wheres: Sequence[Where], **asked: Any
) -> tuple[Side, Side]:
    sides: list[Side] = []
    noting = asked_on(diffed_view(view), sides)
    for (position, as_of), definition in wheres:
        noting(memory, Cut(position, as_of), definition, **asked).meta["known_at"] = None
    return sides[0], sides[1]


def told(sides: tuple[Side, Side]) -> tuple[list[Figure], list[Moved]]:
    """The figures that differ, and who moved."""
    keys = keys_of(sides)
    return list(figures_of(sides, keys)), moved_members(sides)


def tallied(moved: list[Moved]) -> tuple[Counter[Any], Counter[Any]]:
    """By cell and column, how many joined and left."""
    found: tuple[Counter[Any], Counter[Any]] = (Counter(), Counter())
    for one in moved:
        found[0].update((one.cell, name) for name in {*one.after} - {*one.before})
        found[1].update((one.cell, name) for name in {*one.before} - {*one.after})
    return found


@pytest.mark.slow
@given(facts=logs(), where=places, definition=definitions, asked=parameters)
def test_equal_questions_differ_in_nothing(
    memory: FilledTables,
    facts: list[Said],
    where: tuple[int, datetime | None],
    definition: Definition,
    asked: dict[str, Any],
) -> None:
    memory.load(facts, definition)
    sides = asked_twice(memory, "funnel", [(where, definition)] * 2, **asked)

    answer = difference("funnel", sides, ({}, {}))
    assert answer.rows() == answer.part("customers").rows() == answer.part("events").rows() == []
    # not even where it is looked for
    assert not moved_members(sides)


@pytest.mark.slow
@given(
    facts=logs(),
    wheres=st.tuples(places, places),
    both=st.tuples(definitions, definitions),
    asked=parameters,
)
def test_the_other_way_round_is_the_negation(
    memory: FilledTables,
    facts: list[Said],
    wheres: tuple[Any, Any],
    both: tuple[Definition, Definition],
    asked: dict[str, Any],
) -> None:
    memory.load(facts, both[0])
    there = list(zip(wheres, both, strict=True))
    sides = asked_twice(memory, "funnel", there, **asked)
    to, fro = told(sides), told((sides[1], sides[0]))

    assert {(one.cell, one.column): (one.before, one.after) for one in to[0]} == {
        (one.cell, one.column): (one.after, one.before) for one in fro[0]
    }
    changes = {(one.cell, one.column): one.change for one in fro[0]}
    for one in to[0]:
        back = changes[one.cell, one.column]
        assert (one.change is None) == (back is None)
        assert one.change is None or back is None or one.change == -back
    assert [(one.cell, one.member, one.before, one.after) for one in to[1]] == [
        (one.cell, one.member, one.after, one.before) for one in fro[1]
    ]


@pytest.mark.slow
@given(
    facts=logs(),
    wheres=st.tuples(places, places),
    asking=st.tuples(st.sampled_from(["funnel", "stock"]), st.tuples(definitions, definitions)),
    asked=parameters,
)
def test_changes_add_up(
    memory: FilledTables,
    facts: list[Said],
    wheres: tuple[Any, Any],
    asking: tuple[str, tuple[Definition, Definition]],
    asked: dict[str, Any],
) -> None:
    """Who joined less who left is the change; and those of the parts are that of the whole."""
    view, both = asking
    memory.load(facts, both[0])
    there = list(zip(wheres, both, strict=True))
    if view == "stock":
        asked = {name: asked[name] for name in ("by", "lost_after")}
    whole, _ = told(asked_twice(memory, view, there, **{**asked, "by": [], **_no_cohort(asked)}))
    parts, moved = told(asked_twice(memory, view, there, **asked))

    joined, left = tallied(moved)
    summed: Counter[tuple[str, str]] = Counter()
    # the stock tells who is stuck by how long those of a cell waited: no sum over cells
    numbers = [one for one in parts if one.counts and one.change is not None]
    for one in numbers:
        figure = (one.cell, one.column)
        assert joined[figure] - left[figure] == one.change
        if one.column not in _BY_CELL:
            summed[one.cell[-1], one.column] += int(one.change or 0)
    for one in whole:
        if one.counts and one.change is not None and one.column not in _BY_CELL:
            assert one.change == summed.pop((one.cell[-1], one.column))
    assert not any(summed.values())


_BY_CELL = {"stuck"}


def _no_cohort(asked: dict[str, Any]) -> dict[str, None]:
    return {"cohort": None} if "cohort" in asked else {}


def _in_python(
    facts: list[Said], definition: Definition, where: tuple[int, datetime | None], asked: Any
) -> dict[tuple[Any, ...], set[str]]:
    """By customer, cycle, cell and stage: the columns that count them, read in Python."""
    position, as_of = where
    known = counted(facts, position)
    now = as_of or max((fact.occurred_at for fact in known), default=None)
    found: dict[tuple[Any, ...], set[str]] = defaultdict(set)
    if now is None:
        return found
    for journey in _journeys(known, definition, now, asked):
        for stage, at in journey.entries.items():
            if not _in_period(at, asked):
                continue
            place = (journey.customer, journey.number, *_cell(journey, at, asked), stage)
            columns = found[place]
            columns.add("entered")
            columns |= {"imputed"} if stage in journey.imputed else set()
            if stage != STAGES[-1]:
                told = _judge(journey, stage, now, _window(stage, asked))
                columns |= {name for name, yes in told.items() if yes} - {"mature_reached"}
    return found


@given(
    facts=logs(),
    wheres=st.tuples(places, places),
    both=st.tuples(definitions, definitions),
    asked=parameters,
)
def test_the_customers_are_those_of_a_plain_reading(
    memory: FilledTables,
    facts: list[Said],
    wheres: tuple[Any, Any],
    both: tuple[Definition, Definition],
    asked: dict[str, Any],
) -> None:
    """Each member that counts otherwise, in each cell, and the columns on each side."""
    memory.load(facts, both[0])
    there = list(zip(wheres, both, strict=True))
    asked = _PLAIN | asked
    _, moved = told(asked_twice(memory, "funnel", there, **asked))

    sides = [_in_python(facts, one, where, asked) for where, one in there]
    expected = {
        place: tuple(sides[n].get(place, set()) for n in (0, 1))
        for place in {*sides[0], *sides[1]}
        if sides[0].get(place) != sides[1].get(place)
    }
    found = {
        (one.member[0], one.member[1] or 1, *one.cell): ({*one.before}, {*one.after})
        for one in moved
    }
    assert found == expected


@given(
    facts=logs(),
    positions=st.tuples(st.integers(0, 35), st.integers(0, 35)),
    as_of=moments,
    definition=definitions,
)
def test_nobody_moves_without_an_event(
    memory: FilledTables,
    facts: list[Said],
    positions: tuple[int, int],
    as_of: datetime,
    definition: Definition,
) -> None:
    """Of one day, by one definition: whoever moved was moved by what was recorded since.

    And each event that is named was recorded or retracted between the two, or reads otherwise
    because another was.
    """
    memory.load(facts, definition)
    there = [((position, as_of), definition) for position in positions]
    sides = asked_twice(memory, "funnel", there, include_truncated=True)
    answer = difference("funnel", sides, ({}, {}), 0)

    moved = {row["customer"] for row in answer.part("customers").rows()}
    events = answer.part("events").rows()
    assert moved == {row["customer"] for row in events}
    low, high = sorted(positions)
    said = {fact.position: fact for fact in facts}
    for row in events:
        fact = said[row["position"]]
        assert fact.occurred_at <= as_of
        retracted = fact.retracted_position
        between = low < fact.position <= high or (retracted and low < retracted <= high)
        assert between or row["why"] == "by other events"
    for customer in moved:
        whys = {row["why"] for row in events if row["customer"] == customer}
        assert whys - {"by other events"}


@pytest.mark.slow
@given(facts=logs(), where=places, both=st.tuples(definitions, definitions))
def test_of_two_definitions_only_rules_are_named(
    memory: FilledTables, facts: list[Said], where: Any, both: tuple[Definition, Definition]
) -> None:
    assume(both[0] != both[1])
    memory.load(facts, both[0])
    there = [(where, one) for one in both]
    sides = asked_twice(memory, "funnel", there, include_truncated=True)
    answer = difference("funnel", sides, ({}, {}), 0)

    for row in answer.part("events").rows():
        assert row["why"].startswith("read ")
