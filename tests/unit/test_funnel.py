"""The funnel's words, refusals and edges; its figures are held to a plain reading elsewhere."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest

from bowtie.errors import Refused, UnknownName, UsageError
from bowtie.events import ContractSigned, Noted, Touched, TraitsObserved
from bowtie.stages import load_definition
from bowtie_projections.views.cohorts import cohort_label, period
from bowtie_projections.views.cut import Cut
from bowtie_projections.views.funnel import funnel
from bowtie_projections.views.funnel.members import OTHER
from tests.read_tables import FilledTables, Said

B2B = load_definition("b2b")
START = datetime(2024, 1, 1, tzinfo=UTC)


def day(number: float) -> datetime:
    return START + timedelta(days=number)


def signing(motion: str) -> ContractSigned:
    return ContractSigned(
        contract="k1",
        kind="paid",
        motion=motion,
        amount=Decimal(100),
        per="month",
        currency="EUR",
        starts_on=date(2024, 2, 1),
    )


@pytest.fixture(scope="module")
def tables(make_tables) -> FilledTables:
    memory = make_tables()
    facts: list = []

    def said(customer, event, at, **more):
        facts.append(Said(customer, event, at, len(facts) + 1, **more))

    for number in range(30):
        customer = f"c{number:02}"
        channel = ["ads", "mail", "web"][number % 3]
        said(customer, Touched(channel=channel, direction="inbound"), day(number))
        if number < 24:
            said(customer, Noted(name="lead_created"), day(number + 2))
    said("c00", TraitsObserved(traits={"plan": "late"}), day(1))
    said("c01", TraitsObserved(traits={"plan": "early"}), day(9), known_from=day(0))
    said("c02", signing("self"), day(30))
    said("c03", signing("field"), day(40))
    said("c04", Noted(name="opportunity_created"), day(200))
    memory.load(facts, B2B)
    return memory


def ask(tables, **asked):
    return funnel(tables, Cut(tables.position), B2B, **asked)


def stage(result, name, **cell):
    (row,) = [
        row
        for row in result.rows()
        if row["stage"] == name and all(row[key] == value for key, value in cell.items())
    ]
    return row


def test_the_sentence_says_who_is_counted_and_who_is_too_young(tables):
    result = ask(tables, cohort_stage="education", from_="2024-01", to="2024-Q1")
    assert result.sentence == (
        "24 customers entered education 2024-01 to 2024-Q1; all of them are old enough for 90 days."
    )
    young = funnel(tables, Cut(tables.position, day(60)), B2B)
    assert "56 of 56 entries are too young for 90 days left and 180 days right" in young.sentence


def test_quantiles_need_twenty_durations(tables):
    assert stage(ask(tables), "awareness")["days_p50"] == 2.0
    assert stage(ask(tables, by=["channel"]), "awareness", channel="ads")["days_p50"] is None


def test_the_rest_of_the_values_is_other_and_none_stands_last(tables):
    rows = ask(tables, by=["channel"], top=1).rows()
    assert [row["channel"] for row in rows[::7]] == ["ads", OTHER]
    traits = ask(tables, by=["plan"]).rows()
    assert [row["plan"] for row in traits[::7]] == ["early", "late", None]


def test_a_trait_counts_from_when_it_was_known(tables):
    result = ask(tables, by=["plan"])
    assert stage(result, "awareness", plan="early")["entered"] == 1
    assert stage(result, "awareness", plan="late")["entered"] == 0
    assert stage(result, "education", plan="late")["entered"] == 1


@pytest.mark.parametrize("zone", ["Europe/Berlin", "America/New_York", "Asia/Kolkata", "UTC"])
def test_a_trait_of_a_day_counts_from_the_end_of_its_senders_day(memory, zone):
    day_begins = datetime(2024, 1, 5, tzinfo=ZoneInfo(zone))
    end = datetime(2024, 1, 6, tzinfo=ZoneInfo(zone)).astimezone(UTC)
    touch, plan = Touched(channel="ads", direction="inbound"), TraitsObserved(traits={"plan": "x"})
    memory.load([])
    memory.load(
        [
            Said("early", plan, day_begins, 1),
            Said("late", plan, day_begins, 2),
            Said("early", touch, end - timedelta(microseconds=1), 3),
            Said("late", touch, end, 4),
        ],
        B2B,
    )
    memory.execute("update traits_observed set time_precision = 'day'")
    entered = {
        row["plan"]: row["entered"]
        for row in ask(memory, by=["plan"]).rows()
        if row["stage"] == "awareness"
    }

    assert entered == {"x": 1, None: 1}


def test_a_value_that_only_later_stages_carry_is_refused(tables):
    with pytest.raises(Refused, match="cohort_stage=commitment"):
        ask(tables, by=["motion"])
    with pytest.raises(Refused, match="cohort_stage=commitment"):
        ask(tables, by=["motion"], cohort_stage="selection")
    rows = ask(tables, by=["motion"], cohort_stage="commitment").rows()
    assert [row["motion"] for row in rows[::7]] == ["field", "self"]


def test_motions_blended_are_said(tables):
    assert any("More than one motion" in note for note in ask(tables).notes)
    by_motion = ask(tables, by=["motion"], cohort_stage="commitment")
    assert not any("More than one motion" in note for note in by_motion.notes)


@pytest.mark.parametrize("name", ["email", "trait.email", "Phone"])
def test_a_sealed_trait_is_refused(tables, name):
    with pytest.raises(Refused, match="sealed"):
        ask(tables, by=[name])


def test_an_unknown_trait_names_near_ones(tables):
    with pytest.raises(UnknownName, match="did you mean plan"):
        ask(tables, by=["plam"])


@pytest.mark.parametrize(
    ("asked", "problem"),
    [
        ({"within": "soon"}, "within"),
        ({"within": "0d"}, "longer than none"),
        ({"cohort": "decade"}, "cohort"),
        ({"from_": "January"}, "no period"),
        ({"from_": "2024-02", "to": "2024-01"}, "before the start"),
        ({"skipped": "maybe"}, "skipped"),
        ({"cohort_stage": "interest"}, "cohort_stage"),
        ({"customers": "selection"}, "STAGE:STATE"),
        ({"customers": "growth:lost"}, "no next stage"),
        ({"top": 0}, "top"),
        ({"tz": "Mars"}, "time zone"),
        ({"by": ["channel", "channel"]}, "twice"),
    ],
)
def test_what_cannot_be_asked_says_what_can(tables, asked, problem):
    with pytest.raises((UsageError, UnknownName), match=problem):
        ask(tables, **asked)


def test_an_empty_log_has_all_stages_and_nobody(memory):
    memory.load([], B2B)
    rows = funnel(memory, Cut(0), B2B, lost_after="10d").rows()
    assert len(rows) == 7
    assert {row["entered"] for row in rows} == {0}


def test_days_are_those_of_the_zone(tables):
    rows = ask(tables, cohort="day", tz="America/New_York").rows()
    assert rows[0]["cohort"] == "2023-12-31"


@pytest.mark.parametrize("written", ["2024", "2024-Q3", "2024-W05", "2024-02", "2024-02-29"])
def test_cohorts_are_named_as_periods_are_written(written):
    start, end = period(written)
    lengths = {4: "year", 10: "day"} | {7: "quarter" if "Q" in written else "month"}
    cohort = "week" if "W" in written else lengths[len(written)]
    assert cohort_label(start.date(), cohort) == written
    assert start < end


OUTPUT = ["stage", "lost", "entered", "imputed", "cohort"]
INSIDE = ["state", "mature", "older", "members", "customer", "cycle", "at", "key_0", "source_0"]
HOSTILE = ["it's", 'a "b"', "two words", "größe ✓", "50%", ":x", "x'; drop table events; --"]


@pytest.fixture(scope="module")
def named(make_tables) -> FilledTables:
    """Two customers with a trait of every name that might be mistaken for something else."""
    memory = make_tables()
    names = [*OUTPUT, *INSIDE, *HOSTILE, "Plan", "plan", "days"]
    traits = {name: f"of {name}" for name in names}
    facts = [
        Said("a", TraitsObserved(traits=traits), day(0), 1),
        Said("a", Touched(channel="ads", direction="inbound"), day(1), 2),
        Said("b", Touched(channel="ads", direction="inbound"), day(1), 3),
    ]
    memory.load(facts, B2B)
    return memory


@pytest.mark.parametrize("name", [*OUTPUT, *INSIDE, *HOSTILE])
@pytest.mark.parametrize("asked", [{}, {"top": 1}, {"customers": "awareness:pending"}])
def test_a_trait_may_be_called_anything(named, name, asked):
    result = ask(named, by=[name], cohort="month", **asked)
    values = {row.get(f"trait.{name}", row.get(name)) for row in result.rows()}
    assert values == {f"of {name}", None}
    assert {row["cohort"] for row in result.rows()} == {"2024-01"}


def test_a_trait_called_like_a_column_is_named_as_a_trait(named):
    rows = ask(named, by=["lost", "days", "plan", "Plan"]).rows()
    assert list(rows[0])[:5] == ["trait.lost", "days", "plan", "Plan", "stage"]
    assert (rows[0]["plan"], rows[0]["Plan"]) == ("of plan", "of Plan")
    behind = ask(named, by=["lost", "days"], customers="awareness:pending").rows()
    assert {"lost", "trait.days"} < set(behind[0])


def test_a_trait_named_twice_is_refused(named):
    with pytest.raises(UsageError, match="one trait twice: 'plan' and"):
        ask(named, by=["plan", "trait.plan"])


def channels(memory: FilledTables, names: list[str]) -> None:
    touches = [Touched(channel=name, direction="inbound") for name in names]
    memory.load([Said(f"c{n}", t, day(0), n + 1) for n, t in enumerate(touches)], B2B)


@pytest.mark.parametrize(
    ("top", "expected"),
    [
        (2, {"other (value)": 3, "web": 2, OTHER: 3}),
        (
            9,
            {"other (value)": 3, "web": 2, "(none) (value)": 1, "other (value) (value)": 1, "x": 1},
        ),
        (1, {"other (value)": 3, OTHER: 5}),
    ],
)
def test_a_real_value_other_is_not_the_rest(memory, top, expected):
    channels(memory, ["other"] * 3 + ["web"] * 2 + ["(none)", "other (value)", "x"])
    rows = ask(memory, by=["channel"], top=top).rows()
    assert {row["channel"]: row["entered"] for row in rows[::7]} == expected
    behind = ask(memory, by=["channel"], top=top, customers="awareness:pending").rows()
    assert {row["channel"] for row in behind} == (set(expected) if behind else set())


def test_tables_filled_anew_without_journeys_are_read_from_their_facts(memory):
    facts = [Said("acme", Touched(channel="ads", direction="inbound"), day(0), 1)]
    memory.load(facts, B2B)
    memory.load(facts)
    assert funnel(memory, Cut(1), B2B).rows()[0]["entered"] == 1
