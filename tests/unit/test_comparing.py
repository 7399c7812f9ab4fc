"""The funnel beside an earlier one, and beside a plan: cases by hand."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from numpy.testing import assert_allclose
from statsmodels.stats.proportion import confint_proportions_2indep

from bowtie.errors import FileError, Refused, UsageError
from bowtie.events import MembershipStarted, Noted, OrderPlaced, Touched
from bowtie.stages import load_definition
from bowtie_projections.views.answers import FUNNEL, REPEAT, VELOCITY
from bowtie_projections.views.beside import beside
from bowtie_projections.views.cut import Cut
from bowtie_projections.views.funnel import funnel
from bowtie_projections.views.repeat import repeat
from bowtie_projections.views.velocity import velocity
from tests.read_tables import FilledTables, Said

B2B = load_definition("b2b")
ASKED = beside(funnel, FUNNEL)
#: how many enter awareness in a month, and how many of them education ten days later
MONTHS = {
    (2024, 1): {"ads": (30, 12), "mail": (20, 15)},
    (2024, 12): {"ads": (10, 4), "gone": (5, 5)},
    (2025, 1): {"ads": (40, 24), "mail": (25, 10), "new": (5, 0)},
    (2025, 4): {"ads": (12, 3)},
}


def facts_of(months):
    facts: list[Said] = []

    def said(customer, event, at):
        facts.append(Said(customer, event, at, len(facts) + 1))

    for (year, month), channels in months.items():
        for channel, (entered, reached) in channels.items():
            for number in range(entered):
                customer = f"{year}-{month}-{channel}-{number:02}"
                at = datetime(year, month, 3, number % 20, tzinfo=UTC)
                said(customer, Touched(channel=channel, direction="inbound"), at)
                if number < reached:
                    said(customer, Noted(name="lead_created"), at + timedelta(days=10))
    said("last", Noted(name="other"), datetime(2025, 5, 1, tzinfo=UTC))
    return facts


@pytest.fixture(scope="module")
def tables(make_tables) -> FilledTables:
    made = make_tables()
    made.load(facts_of(MONTHS), B2B)
    return made


def ask(tables, **asked):
    return ASKED(tables, Cut(tables.position), B2B, **asked)


def awareness(result, **cell):
    (row,) = [
        row
        for row in result.rows()
        if row["stage"] == "awareness" and all(row[key] == cell[key] for key in cell)
    ]
    return row


def test_the_same_period_a_year_earlier_stands_beside(tables):
    result = ask(tables, from_="2025-01", to="2025-01", compare="year")
    row = awareness(result)
    assert (row["before"], row["entered_before"], row["mature_before"]) == ("2024-01", 50, 50)
    assert (row["reached_next_before"], row["conversion_before"]) == (27, 0.54)
    assert row["conversion_difference"] == pytest.approx(34 / 70 - 27 / 50)
    expected = confint_proportions_2indep(34, 70, 27, 50, method="newcomb")
    found = (row["conversion_difference_low"], row["conversion_difference_high"])
    assert_allclose(found, expected, atol=1e-12)
    assert row["not_compared"] is None
    assert result.meta["compared_with"] == {
        "from": "2024-01",
        "to": "2024-01",
        "as_of": result.meta["as_of"],
        "position": tables.position,
    }
    assert "Compared with: 50 customers entered a stage 2024-01" in result.sentence


def test_every_figure_of_its_own_side_stays_as_it_was(tables):
    plain = ask(tables, from_="2025-01", to="2025-01")
    compared = ask(tables, from_="2025-01", to="2025-01", compare="previous")
    assert [{name: row[name] for name in plain.columns} for row in compared.rows()] == plain.rows()
    assert compared.columns[: len(plain.columns)] == plain.columns


def test_a_cell_of_the_other_side_alone_has_a_row_so_that_parts_sum_to_the_total(tables):
    result = ask(tables, from_="2025-01", to="2025-01", compare="previous", by=["channel"])
    gone = awareness(result, channel="gone")
    assert (gone["entered"], gone["entered_before"], gone["conversion"]) == (0, 5, None)
    assert gone["not_compared"] == "nobody entered"
    assert awareness(result, channel="new")["not_compared"] == "nobody entered before"
    channels = [row["channel"] for row in result.rows() if row["stage"] == "awareness"]
    assert channels == ["ads", "gone", "mail", "new"]
    before = sum(row["entered_before"] or 0 for row in result.rows() if row["stage"] == "awareness")
    assert before == 15


def test_what_no_row_can_know_is_not_nought_where_nobody_is(make_tables):
    shop = load_definition("shop")
    made = make_tables()
    at = datetime(2024, 3, 3, tzinfo=UTC)
    facts = [
        Said("a", Touched(channel="gone", direction="inbound"), at, 1),
        Said("b", Touched(channel="new", direction="inbound"), at + timedelta(days=31), 2),
        Said("z", Noted(name="other"), at + timedelta(days=300), 3),
    ]
    made.load(facts, shop)
    result = ASKED(
        made, Cut(3), shop, from_="2024-04", to="2024-04", compare="previous", by=["channel"],
        include_truncated=True,
    )  # fmt: skip
    gone = [row for row in result.rows() if row["channel"] == "gone"]
    assert [(row["entered"], row["lost"], row["imputed"]) for row in gone] == [(0, None, 0)] * 7
    assert (gone[0]["pending"], gone[-1]["pending"]) == (0, None)


def test_the_values_put_together_are_the_same_on_both_sides(tables):
    result = ask(tables, from_="2025-01", to="2025-01", compare="year", by=["channel"], top=1)
    assert awareness(result, channel="ads")["entered_before"] == 30
    assert awareness(result, channel="other")["entered_before"] == 20
    other = ask(tables, from_="2024-12", to="2024-12", compare="year", by=["channel"], top=1)
    assert awareness(other, channel="other")["entered_before"] == 0


def test_each_cohort_has_its_own_earlier_one(tables):
    rows = ask(tables, cohort="month", compare="previous").rows()
    found = {row["cohort"]: row for row in rows if row["stage"] == "awareness"}
    assert (found["2025-01"]["before"], found["2025-01"]["entered_before"]) == ("2024-12", 15)
    assert found["2025-04"]["not_compared"] == "nobody entered before"
    assert (found["2025-04"]["entered_before"], found["2025-04"]["conversion_before"]) == (0, None)
    assert found["2024-01"]["not_compared"] == "nobody entered before"
    assert found["2025-01"]["conversion_difference"] == pytest.approx(34 / 70 - 9 / 15)


def test_a_side_whose_window_is_not_over_has_no_difference(tables):
    with pytest.raises(Refused, match=r"nothing can be compared yet: 12 of 12 too young"):
        ask(tables, from_="2025-02", to="2025-04", compare="previous")
    shorter = awareness(ask(tables, from_="2025-04", to="2025-04", compare="year", within="20d"))
    assert shorter["not_compared"] == "nobody entered before"
    # who entered awareness is old enough, who entered education ten days later is not
    cut = Cut(tables.position, datetime(2025, 2, 25, tzinfo=UTC))
    rows = ASKED(
        tables, cut, B2B, from_="2025-01", to="2025-01", compare="year", within="45d"
    ).rows()
    assert [row["not_compared"] for row in rows[:2]] == [None, "34 of 34 too young"]
    assert rows[0]["conversion_difference"] is not None
    assert rows[1]["conversion_difference"] is None


@pytest.mark.parametrize("as_of", [datetime(2025, 1, 20, tzinfo=UTC)])
def test_a_period_that_goes_on_is_not_compared(tables, as_of):
    with pytest.raises(
        Refused, match="goes on to the end of 2025-01-31, and this is asked as of 2025-01-20"
    ):
        ASKED(tables, Cut(tables.position, as_of), B2B, from_="2025-01", to="2025-01",
              compare="year")  # fmt: skip


def test_a_period_before_the_data_is_said(tables):
    notes = ask(tables, from_="2024-01", to="2024-01", compare="previous", within="20d").notes
    assert any("data begins 2024-01-03, later than what is compared with (2023-12)" in note
               for note in notes)  # fmt: skip


@pytest.mark.parametrize(
    ("asked", "problem"),
    [
        ({"compare": "month"}, "write previous or year"),
        ({"compare": "year"}, "needs a period that begins and ends"),
        ({"compare": "year", "from_": "2025-01"}, "needs a period that begins and ends"),
        ({"compare": "year", "customers": "awareness:lost"}, "nothing to compare"),
    ],
)
def test_what_can_not_be_compared(tables, asked, problem):
    with pytest.raises(UsageError, match=problem):
        ask(tables, **asked)


def test_units_of_one_account_widen_the_difference(make_tables):
    clustered = make_tables()
    months = {(2024, 1): {"ads": (30, 12)}, (2025, 1): {"ads": (40, 24)}}
    facts = facts_of(months)
    plain = make_tables()
    plain.load(facts, B2B)
    people = sorted({fact.customer for fact in facts})
    for number, person in enumerate(people):
        joined = MembershipStarted(account=f"a{number // 4}")
        at = datetime(2023, 1, 1, tzinfo=UTC)
        facts.append(Said(person, joined, at, len(facts) + 1))
    clustered.load(facts, B2B)
    wide, narrow = (
        awareness(ask(one, from_="2025-01", to="2025-01", compare="year"))
        for one in (clustered, plain)
    )
    assert wide["conversion_difference"] == narrow["conversion_difference"]
    assert wide["conversion_difference_low"] < narrow["conversion_difference_low"]
    assert wide["conversion_difference_high"] > narrow["conversion_difference_high"]


# --- targets


def planned(tables, text, tmp_path, name="targets.csv", **asked):
    file = tmp_path / name
    file.write_text(text, "utf-8")
    return ask(tables, targets=file, **asked)


def test_plan_and_gap_stand_in_the_rows_they_name(tables, tmp_path):
    text = (
        "month,measure,breakdown,value\n"
        "2025-01,awareness.entered,,80\n2025-01,awareness.conversion,,50%\n"
        "2025-04,awareness.entered,,10\n2025-04,awareness.conversion,,0.5\n"
    )
    rows = planned(tables, text, tmp_path, cohort="month").rows()
    found = {row["cohort"]: row for row in rows if row["stage"] == "awareness"}
    assert (found["2025-01"]["entered_plan"], found["2025-01"]["entered_gap"]) == (80, -10)
    assert found["2025-01"]["conversion_plan"] == 0.5
    assert found["2025-01"]["conversion_gap"] == pytest.approx(34 / 70 - 0.5)
    # all who will enter have, but not all who will reach
    assert (found["2025-04"]["entered_gap"], found["2025-04"]["conversion_gap"]) == (2, None)
    assert found["2024-01"]["entered_plan"] is None


def test_the_period_asked_may_be_planned_as_a_whole_and_by_a_breakdown(tables, tmp_path):
    text = (
        'month,measure,breakdown,value\n2025-Q1,awareness.entered,"{""channel"": ""ads""}",30.5\n'
    )
    result = planned(tables, text, tmp_path, from_="2025-01", to="2025-03", by=["channel"])
    row = awareness(result, channel="ads")
    assert (row["entered_plan"], row["entered_gap"]) == (30.5, 9.5)
    toml = '[[target]]\nmonth = "2025-Q1"\nmeasure = "awareness.entered"\nvalue = 30.5\n'
    toml += 'breakdown = {channel = "ads"}\n'
    same = planned(tables, toml, tmp_path, "t.toml", from_="2025-01", to="2025-03", by=["channel"])
    assert same.rows() == result.rows()


def test_targets_that_no_row_shows_are_said(tables, tmp_path):
    text = (
        "month,measure,breakdown,value\n2027-01,awareness.entered,,80\n"
        "2025-01,awareness.entered,campaign=may,80\n2024-12,awareness.entered,channel=mail,1\n"
        "2024-12,awareness.entered,,1\n"
    )
    notes = "\n".join(planned(tables, text, tmp_path, cohort="month", by=["channel"]).notes)
    assert "1 target of periods that are not in this answer: 2027-01." in notes
    assert "2 targets by something else than this answer: campaign, no breakdown" in notes
    assert "1 target of cells that nobody entered in their period: line 4." in notes
    assert "No row of this answer has a target." in notes


@pytest.mark.parametrize(
    ("lines", "problem"),
    [
        ("2025-01,awareness.enterd,,80", "targets.csv:2: funnel has no measure 'enterd'; did"),
        ("2025-01,entered,,80", "targets.csv:2: measure 'entered' names no stage"),
        ("2025-01,awareness.entered,,80\n\n2025-01,awareness.entered,,8", "csv:4: .*twice: line 2"),
        ("2025-01,awareness.entered,,many", "targets.csv:2: 'many' is no number"),
        ("2025-01,awareness.conversion,,45", "targets.csv:2: conversion is a share: write '45'"),
        ("January,awareness.entered,,80", "targets.csv:2: 'January' is no period"),
        ("2025-01,awareness.entered,80", "targets.csv:2: has 3 cells, and the header 4"),
        ("2025-01,awareness.entered,channel,80", "targets.csv:2: breakdown 'channel' is no NAME="),
        ("2025-01,awareness.entered,a=1;a=2,80", "targets.csv:2: breakdown .* twice"),
        ("2025-01,awareness.entered,{x,80", "targets.csv:2: breakdown is no JSON"),
        ("2025-01,awareness.entered,chanel=ads,80", "csv:2: breakdown 'chanel': .* mean channel"),
    ],
)
def test_a_line_that_is_wrong_is_named(tables, tmp_path, lines, problem):
    with pytest.raises(FileError, match=problem):
        planned(tables, f"month,measure,breakdown,value\n{lines}\n", tmp_path, cohort="month")


def test_a_value_that_nobody_has_is_refused_with_those_there_are(tables, tmp_path):
    text = "month,measure,breakdown,value\n2025-01,awareness.entered,channel=adz,80\n"
    with pytest.raises(FileError, match=r"csv:2: no row has channel 'adz'; did you mean ads"):
        planned(tables, text, tmp_path, cohort="month", by=["channel"])


@pytest.mark.parametrize(
    ("name", "text", "problem"),
    [
        ("t.csv", "", "is empty: write a header"),
        ("t.csv", "month,measure,vaule\n", "t.csv:1: has no value"),
        ("t.csv", "month,measure,value,note\n", "t.csv:1: has 'note'"),
        ("t.csv", 'month,measure,value\n2025-01,"a,1\n', "t.csv:2: is no CSV"),
        ("t.toml", "[[target]]\nmonth = '2025-01'\n\n[[target]]\n", "t.toml:1: has no measure"),
        ("t.toml", "month = '2025-01'", "write a table"),
        ("t.toml", "month = ", "is no TOML"),
    ],
)
def test_a_file_that_is_none_is_refused(tables, tmp_path, name, text, problem):
    with pytest.raises(FileError, match=problem):
        planned(tables, text, tmp_path, name, cohort="month")


def test_targets_need_a_period(tables, tmp_path):
    with pytest.raises(UsageError, match="ask with cohort=month"):
        planned(tables, "month,measure,value\n2025-01,awareness.entered,8\n", tmp_path)
    with pytest.raises(FileError, match="can't be read"):
        ask(tables, targets=tmp_path / "none.csv")


# --- other views


def test_steps_are_compared_too_each_in_its_own_order(tables):
    asked: dict[str, Any] = {
        "from_": "2025-01",
        "to": "2025-01",
        "cohort": "all",
        "by": ["channel"],
        "top": 1,
    }
    cut = Cut(tables.position)
    result = beside(velocity, VELOCITY)(tables, cut, B2B, compare="year", **asked)
    plain = velocity(tables, cut, B2B, **asked)
    assert [row["step"] for row in result.rows()] == [row["step"] for row in plain.rows()]
    first = result.rows()[0]
    assert (first["channel"], first["step"]) == ("ads", "awareness_to_education")
    assert (first["entered_before"], first["moved_before"]) == (30, 12)
    expected = confint_proportions_2indep(24, 40, 12, 30, method="newcomb")
    found = (first["moved_share_difference_low"], first["moved_share_difference_high"])
    assert_allclose(found, expected, atol=1e-12)
    by_quarter = beside(velocity, VELOCITY)(tables, cut, B2B, compare="previous").rows()
    (row,) = [
        row
        for row in by_quarter
        if (row["cohort"], row["step"]) == ("2025-Q1", "awareness_to_education")
    ]
    assert (row["before"], row["entered_before"]) == ("2024-Q4", 15)


def test_second_orders_are_compared_and_planned_too(make_tables, tmp_path):
    made, facts = make_tables(), list[Said]()
    for year, buyers, again in ((2023, 30, 6), (2024, 40, 20)):
        for number in range(buyers):
            for order in range(2 if number < again else 1):
                event = OrderPlaced(
                    order=str(order), kind="order", amount=Decimal(9), currency="EUR"
                )
                at = datetime(year, 3, 3, tzinfo=UTC) + timedelta(days=20 * order)
                facts.append(Said(f"{year}-{number}", event, at, len(facts) + 1))
    at = datetime(2025, 3, 3, tzinfo=UTC)
    facts.append(Said("z", Noted(name="other"), at, len(facts) + 1))
    made.load(facts, load_definition("shop"))
    file = tmp_path / "plan.csv"
    file.write_text("month,measure,value\n2024-03,30d.repeat_rate,60%\n", "utf-8")
    (row,) = beside(repeat, REPEAT)(
        made, Cut(made.position), load_definition("shop"), within="30d", cohort="month",
        from_="2024-03", to="2024-03", compare="year", targets=file, include_truncated=True,
    ).rows()  # fmt: skip
    assert (row["customers_before"], row["repeated_before"]) == (30, 6)
    assert row["repeat_rate_difference"] == pytest.approx(20 / 40 - 6 / 30)
    assert (row["repeat_rate_plan"], row["repeat_rate_gap"]) == (0.6, pytest.approx(-0.1))
