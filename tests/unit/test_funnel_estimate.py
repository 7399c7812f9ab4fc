"""What the funnel estimates of those who still wait, in both databases."""

from __future__ import annotations

import math
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest

from bowtie.errors import UsageError
from bowtie.events import (
    Disqualified,
    Event,
    MembershipStarted,
    Noted,
    StageEntered,
    Touched,
    TraitsObserved,
)
from bowtie.stages import load_definition
from bowtie_projections.explaining import explanation
from bowtie_projections.results import Result
from bowtie_projections.views.cut import Cut
from bowtie_projections.views.funnel import funnel
from bowtie_projections.views.funnel.horizons import estimating
from tests.read_tables import FilledTables, Said
from tests.unit.test_survival import lagged

B2B, SHOP = load_definition("b2b"), load_definition("shop")
START = datetime(2024, 1, 1, tzinfo=UTC)
ENTRY, NEXT = "awareness", "education"


def day(number: float) -> datetime:
    return START + timedelta(days=float(number))


class Story:
    """What customers did, on which days."""

    def __init__(self) -> None:
        self.facts: list[Said] = []

    def said(self, customer: str, event: Event, at: float) -> None:
        self.facts.append(Said(customer, event, day(at), len(self.facts) + 1))

    def entered(self, customer: str, at: float, stage: str = ENTRY) -> None:
        self.said(customer, StageEntered(stage=stage), at)

    def wait(
        self, customer: str, at: float, *, next_at: float = math.inf, lost: float = math.inf
    ) -> None:
        """An entry, and what comes of it, if anything."""
        self.entered(customer, at)
        if math.isfinite(next_at):
            self.entered(customer, next_at, NEXT)
        if math.isfinite(lost):
            self.said(customer, Disqualified(), lost)


Ask = Callable[..., Result]


@pytest.fixture
def ask(memory: FilledTables) -> Ask:
    """Asks a story of its estimate, as of a day."""

    loaded: list[Any] = []

    def of(story: Story, at: float | None = None, definition: Any = B2B, **asked: Any) -> Result:
        if loaded != (now := [id(story), len(story.facts), definition.label]):
            memory.load(story.facts, definition)
            loaded[:] = now
        cut = Cut(memory.position, None if at is None else day(at))
        return funnel(memory, cut, definition, **({"estimate": True} | asked))

    return of


def row(result: Result, stage: str = ENTRY, **cell: Any) -> dict[str, Any]:
    (found,) = [
        one
        for one in result.rows()
        if one["stage"] == stage and all(one[name] == value for name, value in cell.items())
    ]
    return found


@pytest.mark.parametrize(("loses", "naive"), [(False, 0.253), (True, None)])
def test_the_simulation_of_the_reference(ask, loses, naive):
    """True .311: naive .253, mature .312, estimate .312 or, with losses, .310."""
    story, truth, number = Story(), 0.311, 2_000
    for n, (at, *ends) in enumerate(zip(*lagged(number, 3, loses=loses), strict=True)):
        came, lost = (at + end if at + end <= 180 else math.inf for end in ends)
        if came < lost:
            story.wait(f"c{n}", at, next_at=came)
        else:
            story.wait(f"c{n}", at, lost=lost)
    error = 3 * math.sqrt(truth * (1 - truth) / (number / 2))

    found = row(ask(story, 180))

    assert found["conversion"] == pytest.approx(truth, abs=error)
    assert found["conversion_estimate"] == pytest.approx(truth, abs=error)
    assert found["estimate_low"] < truth < found["estimate_high"]
    assert found["estimator"] == "aalen-johansen"
    # all who are younger than the window count here for as long as they were there
    narrower = found["estimate_high"] - found["estimate_low"]
    assert narrower < found["conversion_high"] - found["conversion_low"]
    if naive:
        assert found["conversion_so_far"] == pytest.approx(naive, abs=error)


def two_cohorts() -> Story:
    """Forty of each month: every other moves on after 40 days, January's and March's alike."""
    story = Story()
    for n in range(80):
        at = (0 if n < 40 else 60) + n % 10
        story.wait(f"c{n:02}", at, next_at=at + 40 if n % 2 else math.inf)
    return story


def test_who_is_not_old_enough_is_not_shown_as_dropped(ask):
    """Complaint #33605: users who have not matured yet are shown as dropped off."""
    found = ask(two_cohorts(), 105, cohort="month")
    old, young = (row(found, cohort=month) for month in ("2024-01", "2024-03"))

    assert (young["pending"], young["expired"], young["lost"]) == (28, 0, 0)
    assert young["conversion_so_far"] < old["conversion"] == 0.5
    assert young["conversion"] is None
    both = row(ask(two_cohorts(), 105))
    assert both["conversion_estimate"] == pytest.approx(0.5, abs=0.02)


def test_windows_that_are_not_over_are_marked(ask):
    """Complaint #7645: incomplete conversion windows are not marked, so trends fall at the end."""
    story = two_cohorts()
    found = ask(story, 105, cohort="month", horizon="30d,45d,90d")

    young = row(found, cohort="2024-03")
    assert young["mature"] == 0
    assert "40 of 80 entries" not in found.sentence
    assert "too young for 90 days" in found.sentence
    assert young["conversion_estimate"] is None, "nobody of March was watched for 90 days"
    assert any("nobody is left at risk" in note for note in found.notes)
    curve = [
        (one["days"], one["estimate"])
        for one in found.part("curve").rows()
        if (one["stage"], one["cohort"]) == (ENTRY, "2024-03")
    ]
    assert curve[0] == (30.0, 0.0)
    assert curve[1][1] == pytest.approx(0.5, abs=0.05)
    assert curve[2] == (90.0, None)


def test_a_rate_does_not_change_after_its_window_is_closed(ask):
    """Complaint #3877: who comes later moves no figure of a window that is over."""
    story = two_cohorts()
    figures = ("conversion", "conversion_low", "conversion_high", "conversion_estimate",
               "estimate_low", "estimate_high", "reached_next", "lost", "pending")  # fmt: skip
    before = row(ask(story, 160, to="2024-01"))
    for n in range(0, 40, 2):
        story.entered(f"c{n:02}", 165, NEXT)
    after = row(ask(story, 400, to="2024-01"))

    assert {name: after[name] for name in figures} == {name: before[name] for name in figures}
    assert after["reached_late"] == 20
    assert (before["conversion"], before["conversion_estimate"]) == (0.5, pytest.approx(0.5))


def test_a_loss_is_no_end_of_watching(ask):
    """One minus Kaplan-Meier, which takes the lost for still watched, would say a half."""
    story = Story()
    story.wait("a", 0, lost=10)
    story.wait("b", 0, lost=10)
    story.wait("c", 0, next_at=20)
    story.wait("d", 0)

    assert row(ask(story, 100))["conversion_estimate"] == pytest.approx(0.25)


def test_what_cannot_be_lost_is_by_kaplan_meier_and_named_so(ask):
    story = Story()
    for n in range(4):
        story.said(f"c{n}", Touched(channel="ads", direction="inbound"), 0)
    story.said("c0", Noted(name="product_viewed"), 5)

    asked: dict[str, Any] = {"definition": SHOP, "include_truncated": True}
    found = ask(story, 100, **asked)
    silent = ask(story, 100, lost_after="20d", **asked)

    assert row(found)["estimator"] == "kaplan-meier"
    assert row(found)["conversion_estimate"] == pytest.approx(0.25)
    assert any("No loss can be seen" in note for note in found.notes)
    assert row(silent)["estimator"] == "aalen-johansen"


def test_half_is_reached_at_a_time_or_never(ask):
    story = Story()
    for n, came in enumerate((4, 8, 12, 100, math.inf, math.inf)):
        story.wait(f"c{n}", 0, next_at=came)

    assert row(ask(story, 50))["days_to_half"] == 12.0
    assert row(ask(story, 11))["days_to_half"] is None
    assert row(ask(story, 300, within="5d"))["days_to_half"] == 12.0


def test_who_had_the_next_stage_already_has_it_at_the_entry(ask):
    story = Story()
    story.entered("a", 0, NEXT)
    story.entered("a", 10)
    story.wait("b", 0)
    found = ask(story, 100, horizon="curve")

    assert row(found)["out_of_order"] == 1
    assert found.part("curve").rows()[0]["estimate"] == 0.5
    assert row(found)["days_to_half"] == 0.0


def test_times_that_are_imputed_tell_no_half(ask):
    story = Story()
    story.wait("a", 0, next_at=3)
    story.entered("b", 0, NEXT)
    found = ask(story, 100, skipped="impute")

    assert row(found)["conversion_estimate"] == row(found)["conversion"] == 1.0
    assert row(found)["days_to_half"] is None
    assert any("days_to_half is empty" in note for note in found.notes)


def late_starts() -> Story:
    """The data begin on day 100: three are older, one of them had moved on by then."""
    story = Story()
    story.wait("gone", 80, next_at=95)
    story.wait("old", 80, next_at=110)
    story.wait("older", 20)
    for n in range(4):
        story.wait(f"new{n}", 100 + n, next_at=105 + n if n < 2 else math.inf)
    return story


def test_who_is_older_than_the_data_is_watched_from_its_age_on(ask):
    asked: dict[str, Any] = {"data_from": "2024-04-10"}  # day 100
    left_out = row(ask(late_starts(), 150, **asked))
    found = ask(late_starts(), 150, entry_age=True, **asked)
    late = row(found)

    assert left_out["entered"] == late["entered"] == 4
    # at 5 days all four new are at risk, and two reach it; at 30 so are the other two, and `old`,
    # who was 20 days old when the data began
    assert left_out["conversion_estimate"] is None
    curve = ask(late_starts(), 150, entry_age=True, horizon="5d,30d,45d", **asked).part("curve")
    shares = [(one["estimate"], one["at_risk"]) for one in curve.rows() if one["stage"] == ENTRY]
    assert shares[0] == (pytest.approx(0.5), 4)
    assert shares[1] == (pytest.approx(0.5 + 0.5 / 3), 3)
    assert shares[2] == (pytest.approx(0.5 + 0.5 / 3), 2)
    # `older` was 80 when they began: between 48 and 80 days nobody is at risk
    assert late["conversion_estimate"] is None
    assert any(note.startswith("4 entries of those older than the data") for note in found.notes)
    assert any("1 more had reached the next stage" in note for note in found.notes)


def test_what_happens_as_the_data_begin_is_in_them(ask):
    story = Story()
    story.wait("old", 80, next_at=100)
    story.wait("new", 100)
    found = ask(story, 130, entry_age=True, data_from="2024-04-10", within="25d")

    assert row(found)["conversion_estimate"] == pytest.approx(0.5)


def test_a_cell_of_those_older_than_the_data_has_a_row(ask):
    story = late_starts()
    for n in range(4):
        story.said(f"new{n}", TraitsObserved(traits={"plan": "a"}), 99.5 + n)
    story.said("old", TraitsObserved(traits={"plan": "b"}), 70)
    found = ask(story, 150, by=["plan"], cohort="month", entry_age=True, data_from="2024-04-09")

    lonely = row(found, plan="b", cohort="2024-03")
    assert (lonely["entered"], lonely["conversion"], lonely["at_risk"]) == (0, None, 0)
    assert lonely["conversion_estimate"] is None, "nobody is watched from the beginning"


def in_pairs(*, members: bool) -> Story:
    """Pairs of persons that do the same; of one account each, or of none."""
    story = Story()
    for n in range(60):
        for person in "ab":
            key = f"{person}{n}"
            if members:
                story.said(key, MembershipStarted(account=f"acme{n}"), -1)
            came = 2 + n if n % 3 else math.inf
            story.wait(key, n % 7, next_at=n % 7 + came)
    return story


def test_intervals_are_clustered_where_units_repeat_within_an_account(ask):
    alone, paired = (ask(in_pairs(members=members), 35, within="30d") for members in (False, True))
    one, other = row(alone), row(paired)
    assert one["conversion_estimate"] == other["conversion_estimate"]
    assert other["pending"] > 0

    wide = [math.log(-math.log(found[end])) for found in (one, other)
            for end in ("estimate_low", "estimate_high")]  # fmt: skip
    # twice the variance, but for the factor of few accounts
    assert (wide[2] - wide[3]) / (wide[0] - wide[1]) == pytest.approx(math.sqrt(2), rel=0.02)
    assert any("clustered" in note for note in paired.notes)


def test_clusters_and_late_starts_hold_together(ask):
    story = in_pairs(members=True)
    plain = row(ask(story, 35, within="20d", data_from="2024-01-04", entry_age=True))
    assert plain["estimate_low"] < plain["conversion_estimate"] < plain["estimate_high"]


def test_a_trait_called_like_a_column_of_the_estimate(ask):
    story = two_cohorts()
    story.said("c01", TraitsObserved(traits={"estimator": "x"}), -1)
    assert ask(story, by=["estimator"], estimate=False).columns[0] == "estimator"
    found = ask(story, by=["estimator"], horizon="9d")
    assert found.columns[0] == "trait.estimator"
    assert found.part("curve").columns[0] == "trait.estimator"


def test_who_is_behind_an_estimate_can_be_named(ask, memory):
    story = late_starts()
    for n in range(4):
        story.said(f"new{n}", TraitsObserved(traits={"estimator": "x"}), 99.5 + n)
    asked: dict[str, Any] = {"data_from": "2024-04-09", "entry_age": True}
    ask(story, 150, **asked)

    def explained(column: str, **more: Any) -> Result:
        return explanation(
            memory, Cut(memory.position, day(150)), B2B, view="funnel", column=column,
            **({"cell": {"stage": ENTRY}} | asked | more),
        )  # fmt: skip

    known = {"cell": {"stage": ENTRY, "trait.estimator": "x"}, "by": ["estimator"]}
    assert explained("at_risk", within="45d", **known).meta["members"] == 2
    assert explained("days_to_half", within="45d", **known).meta["members"] == 4
    everybody = explained("conversion_estimate", within="25d")
    assert {row["customer"] for row in everybody.rows()} == {
        "old", "older", "new0", "new1", "new2", "new3",
    }  # fmt: skip


def test_few_who_are_old_enough_are_said(ask):
    found = ask(two_cohorts(), 93)
    assert row(found)["mature"] < 20
    assert any("a matter of few" in note for note in found.notes)


def test_nobody_has_no_estimate(ask):
    found = ask(Story())
    assert {one["conversion_estimate"] for one in found.rows()} == {None}
    assert [one["at_risk"] for one in found.rows()] == [0] * 6 + [None]
    assert not any("conversion_estimate" in note for note in found.notes)


def test_horizons_are_windows(ask):
    story = two_cohorts()
    curve = ask(story, 105, horizon=["45d", timedelta(days=41)]).part("curve").rows()
    for place, within in enumerate(("41d", "45d")):
        at, window = curve[place], row(ask(story, 105, within=within))
        assert (at["days"], at["at_risk"]) == (float(within[:-1]), window["at_risk"])
        assert at["estimate"] == window["conversion_estimate"]


def test_what_was_asked_is_in_the_answer(ask):
    found = ask(two_cohorts(), estimate=False, horizon="9w,30d")
    assert found.meta["parameters"]["horizon"] == ["30d", "63d"]
    assert ask(two_cohorts()).parts == {}
    whole = estimating({"horizon": "curve"})
    assert whole is not None
    assert whole.written == "curve"
    assert len(whole.ages(timedelta(days=45))) == 91
    assert estimating({"estimate": False, "horizon": None}) is None


@pytest.mark.parametrize(
    ("asked", "problem"),
    [
        ({"horizon": "soon"}, "horizon: 'soon' is not a span"),
        ({"horizon": "0d"}, "longer than none"),
        ({"horizon": "30d,,60d"}, "horizon: '' is not"),
        ({"horizon": 5}, "horizon: '5' is not"),
        ({"customers": f"{ENTRY}:lost"}, "customers= lists who is behind a cell: leave estimate="),
        ({"entry_age": True}, "data_from=2024-01-01"),
        (
            {"entry_age": True, "data_from": "2024", "include_truncated": True},
            "choose one",
        ),
    ],
)
def test_what_cannot_be_asked_says_what_can(ask, asked, problem):
    with pytest.raises(UsageError, match=problem):
        ask(Story(), **asked)


def test_microseconds_are_ages(ask):
    story = Story()
    story.wait("a", 0, next_at=1 / 86_400e6)
    story.wait("b", 0)
    assert row(ask(story, 100))["conversion_estimate"] == 0.5
    assert np.isclose(row(ask(story, 100))["days_to_half"], 1 / 86_400e6)
