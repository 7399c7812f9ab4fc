"""A figure of a step funnel and the events behind it."""

from __future__ import annotations

from typing import Any

import pytest

from bowtie import Bowtie
from bowtie.demo import Demo
from bowtie.errors import UsageError
from bowtie_projections import Views

STEPS = ["touched", "noted[name=opportunity_created]", "contract_signed[kind=paid]"]


@pytest.fixture(scope="module")
def views(tmp_path_factory):
    folder = tmp_path_factory.mktemp("business")
    Demo(customers=150).write(folder / "log.jsonl")
    with Bowtie.open(f"sqlite:///{folder / 'b.db'}", create=True) as engine:
        engine.ingest(folder / "log.jsonl")
        yield Views.open(engine)


@pytest.mark.parametrize(
    ("asked", "cell", "column"),
    [
        ({}, {"step": 1}, "reached_next"),
        ({}, {"step": 2}, "conversion"),
        ({}, {"step": 3}, "entered"),
        ({"by": ["channel"], "top": 1}, {"step": 1, "channel": "other"}, "expired"),
        ({"cohort": "year", "count": "cycles"}, {"step": 1, "cohort": "2024"}, "mature"),
        ({"order": "any"}, {"step": 2}, "entered"),
        ({"order": "strict"}, {"step": 1}, "excluded"),
        ({"exclude": "disqualified@1-2", "within": "365d"}, {"step": 1}, "excluded"),
    ],
    ids=str,
)
def test_as_many_members_as_the_figure_says_and_events_of_its_steps(
    views: Views, asked: dict[str, Any], cell: dict[str, Any], column: str
) -> None:
    """That they are as many is checked by explain itself, which refuses to answer else."""
    found = views.explain("steps", cell=cell, column=column, steps=STEPS, **asked)
    rows = found.rows()
    assert rows
    assert {row["type"] for row in rows} <= {"touched", "noted", "contract_signed"}
    if asked.get("order") != "any":
        assert {row["role"].partition(":")[0] for row in rows} <= {"step 1", "step 2", "step 3"}


def test_the_events_of_the_last_step_are_those_of_the_sequence(views: Views) -> None:
    found = views.explain("steps", cell={"step": 3}, column="entered", steps=STEPS).rows()
    by_customer: dict[str, list[Any]] = {}
    for row in found:
        by_customer.setdefault(row["customer"], []).append(row)
    for rows in by_customer.values():
        assert [row["type"] for row in rows] == ["touched", "contract_signed"]
        assert (rows[1]["occurred_at"] - rows[0]["occurred_at"]).days <= 90


def test_what_has_no_members_is_refused(views: Views) -> None:
    refused: tuple[tuple[dict[str, Any], str], ...] = (
        ({"column": "days_p50"}, "explain one of"),
        ({"column": "entered", "count": "conversions"}, "count=customers"),
    )
    for asked, said in refused:
        column = asked.pop("column")
        with pytest.raises(UsageError, match=said):
            views.explain("steps", cell={"step": 1}, column=column, steps=STEPS, **asked)
