"""Funnels as data: what is asked of a few events, and the answer that is expected, by hand.

Each line of ``tests/funnels/*.jsonl`` is a case. An event is ``[customer, time, type, fields]``;
a type that the catalogue does not have is what was noted. Times are of 2024-03-04 where they have no
day. Of the rows expected only what is written is compared; ``refused`` is a part of the message.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from bowtie.errors import Refused, UsageError
from bowtie.events import CATALOGUE, Noted
from bowtie.stages import load_definition
from bowtie_projections.results import Result
from bowtie_projections.views.cut import Cut
from bowtie_projections.views.funnel import funnel
from bowtie_projections.views.steps import steps
from tests.read_tables import FilledTables, Said

B2B = load_definition("b2b")
VIEWS: dict[str, Callable[..., Result]] = {"steps": steps, "funnel": funnel}
FOLDER = Path(__file__).parent.parent / "funnels"
#: when all windows are over
LATE = "2024-12-31T00:00"
CASES = [
    pytest.param(json.loads(line), id=f"{file.stem}: {json.loads(line)['case']}")
    for file in sorted(FOLDER.glob("*.jsonl"))
    for line in file.read_text(encoding="utf-8").splitlines()
]


def _moment(written: str) -> datetime:
    whole = written if "T" in written else f"2024-03-04T{written}"
    whole += "T00:00" if len(whole) == 10 else ""
    return datetime.fromisoformat(whole).replace(tzinfo=UTC)


def _said(position: int, event: list[Any], last: int) -> Said:
    customer, at, name, *more = event
    fields, marks = ([*more, {}, {}])[:2]
    if name == "traits_observed":
        fields = {"traits": fields}
    if name in CATALOGUE:
        data = CATALOGUE[name].model_validate(fields)
    else:
        numbers = {key: json.loads(v) if v.isdecimal() else v for key, v in fields.items()}
        data = Noted(name=name, properties=numbers)
    retracted = last + 1 if marks.get("retracted") else None
    return Said(customer, data, _moment(at), position, retracted_position=retracted)


def _answer(memory: FilledTables, case: dict[str, Any]) -> list[dict[str, Any]]:
    events = case["events"]
    said = [_said(place, one, len(events)) for place, one in enumerate(events, 1)]
    if any(fact.retracted_position for fact in said):  # the log goes on to where that was recorded
        said.append(Said("log", Noted(name="retraction"), _moment("12:00"), len(events) + 1))
    memory.load(said)
    position = case.get("position", len(events) + 1)
    cut = Cut(position, _moment(case.get("as_of", LATE)))
    result = VIEWS[case.get("view", "steps")](memory, cut, B2B, **case["ask"])
    return result.rows()


def _same(found: Any, expected: Any) -> bool:
    if isinstance(expected, float) and isinstance(found, float):
        return math.isclose(found, expected, rel_tol=1e-9)
    return bool(found == expected)


@pytest.mark.parametrize("case", CASES)
def test_each_case_has_the_answer_written_beside_it(
    memory: FilledTables, case: dict[str, Any]
) -> None:
    if "refused" in case:
        with pytest.raises((Refused, UsageError), match=re.escape(case["refused"])):
            _answer(memory, case)
        return
    rows = _answer(memory, case)
    if "stage" in case["expect"][0]:  # of the stages only those that are named
        named = {(one.get("plan"), one["stage"]) for one in case["expect"]}
        rows = [row for row in rows if (row.get("plan"), row["stage"]) in named]
    told = [
        {name: row[name] for name in expected}
        for row, expected in zip(rows, case["expect"], strict=True)
    ]
    assert all(
        _same(one[name], expected[name])
        for one, expected in zip(told, case["expect"], strict=True)
        for name in expected
    ), told


def test_there_are_as_many_cases_as_are_promised() -> None:
    names = [param.id for param in CASES]
    assert len(names) == len(set(names))
    assert len(names) >= 60
