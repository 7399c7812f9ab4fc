"""Flow and velocity: their words and edges; a plain reading holds the figures elsewhere."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from math import hypot

import pytest
from lifelines import KaplanMeierFitter
from scipy.stats import chi2

from bowtie.errors import Refused, UsageError
from bowtie.events import Disqualified, Event, Noted, Touched
from bowtie.stages import load_definition
from bowtie_projections.views.cut import Cut
from bowtie_projections.views.flow import flow
from bowtie_projections.views.flow_compared import compared_flow
from bowtie_projections.views.funnel import funnel
from bowtie_projections.views.velocity import velocity
from tests.read_tables import Said

B2B, SHOP = load_definition("b2b"), load_definition("shop")
START = datetime(2024, 1, 10, tzinfo=UTC)
DAY = timedelta(days=1)
TOUCH = Touched(channel="ads", direction="inbound")
LEAD = Noted(name="lead_created")


@pytest.fixture(scope="module")
def tables(make_tables):
    """30 come in January, one a day; half of them become leads, the n-th after n days."""
    memory = make_tables()
    facts: list[tuple[str, Event, datetime]] = [
        (f"c{n:02}", TOUCH, START + n * DAY / 2) for n in range(30)
    ]
    facts += [(f"c{n:02}", LEAD, START + n * DAY / 2 + n * DAY) for n in range(0, 30, 2)]
    facts += [("c00", Disqualified(), datetime(2024, 4, 2, tzinfo=UTC))]
    memory.load([Said(*fact, place) for place, fact in enumerate(facts, start=1)], B2B)
    return memory


def asked_of(tables, view=flow, definition=B2B, as_of=datetime(2024, 4, 20, tzinfo=UTC), **asked):
    return view(tables, Cut(tables.position, as_of), definition, **asked)


def of(answer, **cell):
    [row] = [row for row in answer.rows() if cell.items() <= row.items()]
    return row


def test_every_period_is_there_and_the_running_one_is_marked(tables):
    answer = asked_of(tables)
    periods = [row["period"] for row in answer.rows()[::7]]
    assert periods == ["2024-01", "2024-02", "2024-03", "2024-04"]
    assert of(answer, period="2024-03", stage="awareness")["entered"] == 0
    assert of(answer, period="2024-03", stage="awareness")["flow_ratio"] is None
    assert [row["complete"] for row in answer.rows()[::7]] == [True, True, True, False]
    assert any(note.startswith("2024-04 is not covered as a whole") for note in answer.notes)


def test_a_loss_is_counted_where_the_cycle_stood(tables):
    answer = asked_of(tables)
    assert of(answer, period="2024-04", stage="education")["lost"] == 1
    assert sum(row["lost"] for row in answer.rows()) == 1


def test_the_ratio_is_of_other_people_and_says_so(tables):
    answer = asked_of(tables)
    january = of(answer, period="2024-01", stage="awareness")
    assert january["flow_ratio"] == january["entered_next"] / january["entered"]
    assert "flow_ratio is no conversion" in answer.sentence
    assert "conversion" not in answer.columns
    # in February leads come of whom none was new in it
    february = of(answer, period="2024-02", stage="education")
    assert february["entered"] > 0
    assert of(answer, period="2024-02", stage="awareness")["flow_ratio"] is None


def test_days_that_the_data_does_not_cover_are_not_whole(tables):
    partly = asked_of(tables, data_from="2024-01-10", from_="2024-01-01", to="2024-02-14")
    assert [row["period"] for row in partly.rows()[::7]] == ["2024-01", "2024-02"]
    assert not any(row["complete"] for row in partly.rows())
    through = asked_of(tables, data_through="2024-03-31")
    assert [row["complete"] for row in through.rows()[::7]] == [True, True, True]
    # what was asked for before the data began is not told as nought
    early = asked_of(tables, from_="2023")
    assert early.rows()[0]["period"] == "2024-01"


def test_periods_are_those_of_the_zone(tables):
    tokyo = asked_of(tables, tz="Asia/Tokyo", period="day")
    assert tokyo.rows()[0]["period"] == "2024-01-10"
    new_york = asked_of(tables, tz="America/New_York", period="day")
    assert new_york.rows()[0]["period"] == "2024-01-09"


def test_losses_nobody_can_see_are_none(tables):
    answer = asked_of(tables, definition=SHOP, include_truncated=True)
    assert {row["lost"] for row in answer.rows()} == {None}
    assert any("sees no losses" in note for note in answer.notes)
    silent = asked_of(tables, definition=SHOP, include_truncated=True, lost_after="10d")
    assert sum(row["lost"] for row in silent.rows()) > 0


def test_what_the_flow_cannot_be_asked(tables):
    with pytest.raises(UsageError, match="period is 'decade'; write one of day"):
        asked_of(tables, period="decade")
    with pytest.raises(Refused, match="ask the funnel with cohort_stage=commitment"):
        asked_of(tables, by=["motion"])


def test_velocity_is_of_the_mature_that_moved_in_time(tables):
    """15 of 30 became leads after 0, 2, 4, ... 28 days."""
    answer = asked_of(tables, velocity, cohort="all", within="60d")
    row = of(answer, step="awareness_to_education")
    assert (row["entered"], row["mature"], row["moved"], row["within"]) == (30, 30, 15, "60d")
    assert row["moved_share"] == 0.5
    assert row["days_p50"] is None  # 15 are too few
    young = asked_of(tables, velocity, cohort="all", as_of=START + 60 * DAY)
    row = of(young, step="awareness_to_education")
    assert (row["entered"], row["mature"], row["moved"], row["moved_share"]) == (30, 0, None, None)
    assert "60 are too young and left out" in young.sentence


def test_velocity_tells_quantiles_from_twenty_on(make_tables):
    memory = make_tables()
    facts: list[tuple[str, Event, datetime]] = [(f"c{n:02}", TOUCH, START) for n in range(40)]
    facts += [(f"c{n:02}", LEAD, START + n * DAY) for n in range(21)]
    memory.load([Said(*fact, place) for place, fact in enumerate(facts, start=1)], B2B)
    row = of(asked_of(memory, velocity), step="awareness_to_education")
    assert (row["cohort"], row["moved"], row["moved_share"]) == ("2024-Q1", 21, 21 / 40)
    assert [row[f"days_p{place}"] for place in (25, 50, 75, 90)] == [5, 10, 15, 18]


def test_what_velocity_cannot_be_asked(tables):
    with pytest.raises(
        UsageError, match="cohort is 'decade'; write one of day, week, month, quarter, year, all"
    ):
        asked_of(tables, velocity, cohort="decade")


def compared(tables, **asked):
    return asked_of(tables, compared_flow, **{"compare": "previous"} | asked)


def test_a_period_beside_the_one_before(tables):
    """Counts of both, and their difference with the exact interval of each (Garwood), joined."""
    answer = compared(tables, from_="2024-02", data_from="2024-01-01")
    row = of(answer, period="2024-02", stage="education")
    there = of(asked_of(tables), period="2024-01", stage="education")
    assert (row["before"], row["entered_before"]) == ("2024-01", there["entered"])
    assert (row["entered"], there["entered"], row["entered_difference"]) == (7, 8, -1)
    low, high = (
        {k: chi2.ppf(share, 2 * k + more) / 2 for k in (7, 8)}
        for share, more in ((0.025, 0), (0.975, 2))
    )
    assert row["entered_difference_low"] == pytest.approx(-1 - hypot(7 - low[7], high[8] - 8))
    assert row["entered_difference_high"] == pytest.approx(-1 + hypot(high[7] - 7, 8 - low[8]))
    assert row["not_compared"] is None
    assert row["entered_next_before"] == there["entered_next"]
    assert answer.meta["parameters"]["compare"] == "previous"


def test_what_is_not_covered_is_compared_with_nothing(tables):
    answer = compared(tables)
    why = {row["period"]: row["not_compared"] for row in answer}
    assert why["2024-01"] == "the data begins after 2023-12"
    assert why["2024-04"] == "2024-04 is not covered as a whole"
    assert why["2024-03"] is None
    assert of(answer, period="2024-04", stage="education")["entered_difference"] is None
    assert of(answer, period="2024-01", stage="education")["entered_before"] is None
    with pytest.raises(Refused, match="nothing can be compared: 2024-04 is not covered"):
        compared(tables, from_="2024-04")
    with pytest.raises(Refused, match="the data begins after 2023-03"):
        compared(tables, from_="2024-03", to="2024-03", compare="year")
    with pytest.raises(UsageError, match="previous or year"):
        compared(tables, compare="last")


def test_losses_that_may_still_be_told_have_no_difference(tables):
    """A contract that ran out is a loss when its grace is over."""
    asked = {"as_of": datetime(2024, 5, 20, tzinfo=UTC), "data_through": "2024-05-20"}
    row = of(compared(tables, **asked), period="2024-04", stage="education")
    assert row["entered_difference"] == 0
    assert (row["lost"], row["lost_before"], row["lost_difference"]) == (1, 0, None)
    later = {"as_of": datetime(2024, 6, 1, tzinfo=UTC), "data_through": "2024-06-01"}
    assert (
        of(compared(tables, **later), period="2024-04", stage="education")["lost_difference"] == 1
    )
    unseen = of(
        compared(tables, definition=SHOP, include_truncated=True),
        period="2024-03",
        stage="awareness",
    )
    assert unseen["lost_before"] is None


def test_a_value_that_is_gone_is_still_compared(memory):
    """Who was there on one side alone is nobody on the other; the same values stand apart."""
    facts: list[tuple[str, Event, datetime]] = []
    for channel, day in {"ads": 5, "gone": 5, "new": 35}.items():
        for number in range(2 if channel == "ads" else 1):
            touch = Touched(channel=channel, direction="inbound")
            facts.append(
                (f"{channel}{number}", touch, datetime(2024, 1, 1, tzinfo=UTC) + day * DAY)
            )
    facts.append(("end", Noted(name="x"), datetime(2024, 3, 1, tzinfo=UTC)))
    memory.load([Said(*fact, place) for place, fact in enumerate(facts, start=1)], B2B)
    asked = {"from_": "2024-02", "to": "2024-02", "by": ["channel"], "data_from": "2024-01"}
    answer = compared(memory, as_of=datetime(2024, 3, 1, tzinfo=UTC), **asked)
    rows = [row for row in answer if row["stage"] == "awareness"]
    assert [(row["channel"], row["entered"], row["entered_before"]) for row in rows] == [
        ("ads", 0, 2),
        ("gone", 0, 1),
        ("new", 1, 0),
    ]


def waits(memory, definition, waited, lost=()):
    """Each comes at an hour of its own, moves after so many days, or has not yet; some are lost."""
    facts: list[tuple[str, Event, datetime]] = []
    for number, days in enumerate(waited):
        at = START + number * DAY
        facts.append((f"c{number:03}", TOUCH, at))
        if days is not None:
            facts.append((f"c{number:03}", LEAD, at + days * DAY))
        if number in lost:
            facts.append((f"c{number:03}", Disqualified(), at + 3 * DAY))
    memory.load([Said(*fact, place) for place, fact in enumerate(facts, start=1)], definition)


def test_days_of_those_who_still_wait_are_lifelines(memory):
    """The median of all, by Kaplan-Meier; and of those who move in time, beside the mature's."""
    waited = [None if n % 3 == 0 else (n * 7) % 40 + n / 100 for n in range(90)]
    waits(memory, B2B, waited)
    now = START + 100 * DAY
    asked = {"cohort": "all", "within": "45d", "estimate": True, "as_of": now}
    row = of(asked_of(memory, velocity, **asked), step="awareness_to_education")
    watched = [(now - START) / DAY - n for n in range(90)]
    ages = [w if d is None else min(d, w) for d, w in zip(waited, watched, strict=True)]
    seen = [age == days for age, days in zip(ages, waited, strict=True)]
    fitter = KaplanMeierFitter().fit(ages, seen)
    assert row["days_to_half"] == pytest.approx(fitter.median_survival_time_)
    share = 1 - fitter.predict(45)
    curve = 1 - fitter.survival_function_["KM_estimate"]
    assert row["days_p50_estimate"] == pytest.approx(curve.index[curve >= share / 2 - 1e-12][0])
    assert row["estimator"] == "aalen-johansen"  # which it is where nothing was lost
    assert row["at_risk"] == sum(age >= 45 for age in ages)
    assert row["days_p50"] is not None


def test_half_of_all_is_the_funnels(memory):
    """With losses and with who had moved before; nobody of a young cohort is guessed."""
    waited = [None if n % 4 == 0 else (n % 9) - (2 if n % 10 == 1 else 0) for n in range(60)]
    waits(memory, B2B, waited, lost=range(0, 60, 8))
    now = START + 70 * DAY
    estimated = of(
        asked_of(memory, funnel, estimate=True, within="20d", as_of=now), stage="awareness"
    )
    asked = {"cohort": "all", "within": "20d", "estimate": True, "as_of": now}
    row = of(asked_of(memory, velocity, **asked), step="awareness_to_education")
    assert row["days_to_half"] == pytest.approx(estimated["days_to_half"])
    young = asked_of(memory, velocity, **asked | {"within": "90d"})
    assert of(young, step="awareness_to_education")["days_p50_estimate"] is None
    shop = asked_of(memory, velocity, definition=SHOP, include_truncated=True, **asked)
    assert {one["estimator"] for one in shop} <= {"kaplan-meier"}
    assert any("left in silence" in note for note in shop.notes)
    assert "days_to_half" not in asked_of(memory, velocity, cohort="all", as_of=now).columns
