"""A question about what the log does not hold is answered with a word on that."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from bowtie import Bowtie, Noted, Touched
from bowtie_projections import Views

THEN = datetime(2026, 1, 5, tzinfo=UTC)


@pytest.fixture
def views() -> Iterator[Views]:
    """Those of one customer with a touch and a request."""
    with Bowtie.open("memory://") as engine:
        touch, request = Touched(channel="web", direction="inbound"), Noted(name="demo_requested")
        engine.record("acme", touch, request, occurred_at=THEN)
        yield Views.open(engine)


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"as_of": "2031-01-01"}, True),
        ({"as_of": "2026-01-13"}, True),
        ({"as_of": "2026-01-11"}, False),
        ({"as_of": "2031-01-01", "data_through": "2026-02-28"}, False),
        ({}, False),
    ],
)
@pytest.mark.parametrize("view", ["funnel", "stock", "loop", "flow"])
def test_a_moment_after_the_data(
    views: Views, view: str, asked: dict[str, Any], said: bool
) -> None:
    """What has not been told yet would pass for what did not happen."""
    notes = getattr(views, view)(**asked).notes
    assert any(note.startswith("The newest fact is of 2026-01-05") for note in notes) is said


def test_a_period_that_has_not_begun(views: Views) -> None:
    answer = views.funnel(from_="2030", to="2030")
    assert any("begins after 2026-01-05" in note for note in answer.notes)
    assert not any("motion" in note for note in answer.notes)


@pytest.mark.parametrize(
    ("asked", "unmet"),
    [
        ({"steps": ["touched", "noted[name=demo_requested]"]}, []),
        ({"steps": ["touched", "noted[name=demo_request]"]}, ["step 2, noted[name=demo_request]"]),
        (
            {"steps": ["touched", "noted"], "exclude": ["noted[name=none]@1-2"]},
            ["the exclusion noted[name=none]"],
        ),
        (
            {"steps": ["touched[channel=wbe]", "noted"], "by": ["channel"]},
            ["step 1, touched[channel=wbe]"],
        ),
    ],
)
def test_a_step_that_no_event_fits(views: Views, asked: dict[str, Any], unmet: list[str]) -> None:
    notes = [note for note in views.steps(**asked).notes if note.startswith("No event fits")]
    assert [note.removeprefix("No event fits ").partition(": see")[0] for note in notes] == unmet


def test_a_difference_with_a_time_before_the_store(views: Views) -> None:
    answer = views.diff("funnel", before={"known_at": "2020-01-01"})
    assert any("recorded its first event" in note for note in answer.notes)
